//! Properties over generated values. The seed is fixed, so that a run can be repeated; `PROPTEST_CASES` asks for more.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use permit::engine::canonical::{self, scan, to_bytes};
use permit::engine::chain::{Event, Order, Verdict, Verifier};
use permit::engine::evaluate::evaluate;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use serde_json::{Value, json};
use url::Url;

use crate::sandbox::{Sandbox, fixtures};

fn config(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20),
        ..Config::default()
    }
}

/// Text with all that is special in JSON, in UTF-16 and in ids.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"',
        '\\',
        '/',
        '\n',
        '\u{0}',
        '\u{1f}',
        '\u{7f}',
        '\u{85}',
        '\u{2028}',
        'é',
        'e',
        '\u{301}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fb33}',
        '\u{ffff}',
        '\u{10000}',
        '😀',
        '\u{10ffff}',
        'a',
        'Z',
        '<',
    ]);
    prop::collection::vec(prop_oneof![3 => special, 1 => any::<char>()], 0..6)
        .prop_map(String::from_iter)
}

fn values() -> impl Strategy<Value = Value> {
    const MOST: i64 = (1 << 53) - 1;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![-MOST..=MOST, Just(MOST), Just(-MOST), -3_i64..3].prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), values(), 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// RFC 8785 written down once more, from its text.
fn by_the_rfc(value: &Value, out: &mut String) {
    let string = |text: &str, out: &mut String| {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\u{c}' => out.push_str("\\f"),
                '\r' => out.push_str("\\r"),
                low if low < ' ' => write!(out, "\\u{:04x}", u32::from(low)).unwrap(),
                other => out.push(other),
            }
        }
        out.push('"');
    };
    let utf16 =
        |left: &str, right: &str| -> Ordering { left.encode_utf16().cmp(right.encode_utf16()) };
    match value {
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                by_the_rfc(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut keys: Vec<_> = members.keys().collect();
            keys.sort_by(|left, right| utf16(left, right));
            out.push('{');
            for (number, key) in keys.into_iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                string(key, out);
                out.push(':');
                by_the_rfc(&members[key], out);
            }
            out.push('}');
        }
        Value::String(text) => string(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// The same value written with white space, needless escapes and its keys in another order.
fn loosely(value: &Value, chance: &mut u64, out: &mut String) {
    let mut next = |out: &mut String| {
        *chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        out.push_str([" ", "\n", "\t\r", "", "", ""][usize::try_from(*chance >> 60).unwrap() % 6]);
        *chance
    };
    next(out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                loosely(item, chance, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (number, (key, member)) in members.iter().rev().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                loosely(&Value::from(key.as_str()), chance, out);
                out.push(':');
                loosely(member, chance, out);
            }
            out.push('}');
        }
        Value::String(text) => {
            out.push('"');
            for unit in text.encode_utf16() {
                write!(out, "\\u{unit:04X}").unwrap();
            }
            out.push('"');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
    if !matches!(value, Value::Number(_)) {
        out.push_str(if *chance % 3 == 0 { " " } else { "" });
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn canonical_json_is_that_of_the_rfc_however_it_was_written(value in objects(), chance in any::<u64>()) {
        let (mut expected, mut loose) = (String::new(), String::new());
        by_the_rfc(&value, &mut expected);
        loosely(&value, &mut chance.clone(), &mut loose);
        let parsed = canonical::parse(loose.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(to_bytes(&parsed)).unwrap(), expected.clone());
        let again = canonical::parse(expected.as_bytes()).unwrap();
        prop_assert_eq!(to_bytes(&again), expected.as_bytes());
        prop_assert!(scan::check(&expected).is_ok());
        let back: Value = serde_json::from_str(&expected).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn the_scanner_takes_exactly_what_is_its_own_canonical_form(
        value in objects(), at in any::<prop::sample::Index>(), with in prop::sample::select(vec!["", " ", "\"", "0", "-", ",", "}", "{", "\\u0041", "\u{e000}", "é", "1"]), length in 0_usize..3,
    ) {
        let mut text = String::new();
        by_the_rfc(&value, &mut text);
        let places: Vec<_> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        let from = at.index(places.len());
        let to = (from + length).min(places.len() - 1);
        text.replace_range(places[from]..places[to], with);
        let own = canonical::parse(text.as_bytes()).is_ok_and(|value| to_bytes(&value) == text.as_bytes());
        prop_assert_eq!(scan::check(&text).is_ok(), own, "{}", text);
    }
}

/// A short chain, as lines.
fn chain() -> &'static [Vec<u8>] {
    static CHAIN: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    CHAIN.get_or_init(|| {
        let text = Sandbox::chain().ok(&["stream", "export", "main", "--jsonl", "-"]);
        text.lines().map(|line| line.as_bytes().to_vec()).collect()
    })
}

fn is_valid(lines: &[Vec<u8>]) -> bool {
    let mut verifier = Verifier::new(Order::Forward, None, None);
    for line in lines {
        match Event::read(line) {
            Ok(event) => verifier.see(&event),
            Err(what) => verifier.note(Verdict::Malformed, verifier.next_sequence(), what),
        }
    }
    verifier.finish().is_ok()
}

#[derive(Debug, Clone)]
enum Change {
    Byte(prop::sample::Index, prop::sample::Index, u8),
    Insert(prop::sample::Index, prop::sample::Index, u8),
    Remove(prop::sample::Index, prop::sample::Index),
    Drop(prop::sample::Index),
    Copy(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Splice(
        prop::sample::Index,
        prop::sample::Index,
        prop::sample::Index,
    ),
}

fn changes() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), index(), any::<u8>()).prop_map(|(a, b, c)| Change::Byte(a, b, c)),
        (index(), index(), any::<u8>()).prop_map(|(a, b, c)| Change::Insert(a, b, c)),
        (index(), index()).prop_map(|(a, b)| Change::Remove(a, b)),
        index().prop_map(Change::Drop),
        (index(), index()).prop_map(|(a, b)| Change::Copy(a, b)),
        (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        (index(), index(), index()).prop_map(|(a, b, c)| Change::Splice(a, b, c)),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, change: &Change) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    match change {
        Change::Byte(line, at, byte) => {
            let line = &mut lines[line.index(count)];
            if !line.is_empty() {
                let at = at.index(line.len());
                line[at] = *byte;
            }
        }
        Change::Insert(line, at, byte) => {
            let line = &mut lines[line.index(count)];
            line.insert(at.index(line.len() + 1), *byte);
        }
        Change::Remove(line, at) => {
            let line = &mut lines[line.index(count)];
            if !line.is_empty() {
                line.remove(at.index(line.len()));
            }
        }
        Change::Drop(line) => drop(lines.remove(line.index(count))),
        Change::Copy(from, to) => {
            let line = lines[from.index(count)].clone();
            lines.insert(to.index(count + 1), line);
        }
        Change::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
        Change::Splice(from, to, at) => {
            // The end of one event behind the beginning of another.
            let end = lines[from.index(count)].clone();
            let line = &mut lines[to.index(count)];
            let at = at.index(line.len().min(end.len()) + 1);
            line.truncate(at);
            line.extend_from_slice(&end[at.min(end.len())..]);
        }
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_mutated_chain_is_never_valid(changes in prop::collection::vec(changes(), 1..4)) {
        let mut lines = chain().to_vec();
        for change in &changes {
            apply(&mut lines, change);
        }
        // What is left when only the tail is cut off is a chain: a checkpoint tells (README, limits).
        let is_beginning = !lines.is_empty() && chain().starts_with(&lines);
        prop_assert_eq!(is_valid(&lines), is_beginning, "{:?}", changes);
    }
}

/// A rule over a small alphabet, so that rules meet often.
fn rules() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(vec!["a", "ab", "abc", "b", "ba"]);
    let matcher = move || {
        prop_oneof![
            word().prop_map(|word| json!({"exact": word})),
            word().prop_map(|word| json!({"prefix": word})),
            (word(), word())
                .prop_map(|(one, other)| json!({"regex": format!("^(?:{one}|{other})$")})),
            Just(json!({"any": true})),
        ]
    };
    let urls = prop_oneof![
        (prop::sample::select(vec!["a.example", "b.a.example"]), prop::sample::select(vec!["/", "/a/", "/a/b"]))
            .prop_map(|(host, path)| json!({"host": host, "path_prefix": path, "methods": ["a", "b"]})),
        (1_u32..3, prop::sample::select(vec!["/", "/a/"]))
            .prop_map(|(depth, path)| json!({"host": "*.a.example", "path_prefix": path, "methods": ["ab", "a"], "max_subdomain_depth": depth})),
    ];
    let secrets = (prop::sample::select(vec!["vault", "env"]), matcher())
        .prop_map(|(provider, key)| json!({"provider": provider, "key": key, "injection": ["header", "bearer"]}));
    (
        prop::sample::select(vec!["tool", "tool", "net_egress", "secret_use"]),
        prop::sample::select(vec!["allow", "warn", "block", "review"]),
        0_u32..3,
        (matcher(), matcher(), matcher(), matcher()),
        (urls, secrets, any::<bool>()),
    )
        .prop_map(|(kind, effect, priority, (actor, selector, operation, target), (url, secret, special))| {
            let mut rule = json!({
                "effect": effect, "priority": priority,
                "match": {"actor": actor, "capability": {"kind": kind, "selector": selector}, "operation": operation}
            });
            let permits = ["allow", "warn"].contains(&effect);
            let (name, value) = match kind {
                "net_egress" if permits || special => ("url", url),
                "secret_use" if permits || special => ("secret", secret),
                _ => ("target", target),
            };
            rule["match"][name] = value;
            if effect != "block" {
                rule["grant"] = json!({"mode": "one_shot", "sequence_span": 0});
            }
            if effect == "review" {
                rule["review_type"] = json!("r");
            }
            rule
        })
}

fn policies() -> impl Strategy<Value = (Value, Vec<usize>)> {
    (
        prop::collection::vec(rules(), 1..8),
        prop::sample::select(vec!["deny_wins", "most_specific", "explicit_priority"]),
        prop::sample::select(vec!["stable_order", "fail_closed"]),
        prop::sample::select(vec!["lexical_rule_id", "order_index"]),
        Just(["z", "a", "m", "Z", "é", "aa", "0", "b"]).prop_shuffle(),
        Just(vec![0, 1, 2, 3, 4, 5, 6, 7]).prop_shuffle(),
        Just(vec![0_usize, 1, 2, 3, 4, 5, 6, 7]).prop_shuffle(),
    )
        .prop_map(|(mut rules, mode, tie, order, ids, indices, shuffle)| {
            for (number, rule) in rules.iter_mut().enumerate() {
                rule["id"] = ids[number].into();
                rule["order_index"] = indices[number].into();
            }
            let policy = json!({
                "schema": "permit.policy.v1", "policy_id": "p", "policy_version": "v", "interpretation_authority": "supervisor",
                "supervisor_id": "s", "default_effect": "block",
                "conflict_resolution": {"mode": mode, "tie_breaker": tie, "stable_order_mode": order},
                "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit", "review": "pause_pending_ledger"},
                "admitted_repositories": [],
                "review_types": {"r": {"min_cross_signers": 2, "reviewer_roles": ["council"], "require_user_presence": false}},
                "rules": rules
            });
            (policy, shuffle)
        })
}

fn requests() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(vec!["a", "ab", "abc", "b", "ba", "c"]);
    let target = prop_oneof![
        word().prop_map(str::to_owned),
        (
            prop::sample::select(vec![
                "https://a.example",
                "https://b.a.example",
                "https://c.b.a.example",
                "http://a.example",
                "https://A.example",
                "https://a.example:443"
            ]),
            prop::sample::select(vec![
                "/", "/a/", "/a/b", "/a/../b", "/a/%2e/b", "/a#x", "/a/?q"
            ])
        )
            .prop_map(|(host, path)| format!("{host}{path}")),
        (prop::sample::select(vec!["vault", "env", "file"]), word())
            .prop_map(|(provider, key)| format!("{provider}:{key}")),
    ];
    let operation = prop_oneof![
        word(),
        prop::sample::select(vec!["header", "bearer", "query_param"])
    ];
    (prop::sample::select(vec!["tool", "net_egress", "secret_use"]), word(), word(), operation, target).prop_map(
        |(kind, actor, selector, operation, target)| {
            json!({"schema": "permit.request.v1", "actor_id": actor, "operation": operation, "target": target,
                   "capability": {"kind": kind, "selector": selector}, "context": {}})
        },
    )
}

/// What decides a request, found by reading core.md section 3 line by line: `(rule, severity)`, or nothing for a tie.
fn naive(policy: &Value, request: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let matches = |matcher: &Value, found: &str| {
        let (kind, wanted) = matcher.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "exact" => wanted.as_str() == Some(found),
            "prefix" => found.starts_with(wanted.as_str().unwrap()),
            "regex" => wanted
                .as_str()
                .unwrap()
                .trim_start_matches("^(?:")
                .trim_end_matches(")$")
                .split('|')
                .any(|one| one == found),
            _ => true,
        }
    };
    let (operation, target) = (text(&request["operation"]), text(&request["target"]));
    let url = Url::parse(&target).ok().filter(|url| {
        url.as_str() == target && url.port().is_none() && !target.to_lowercase().contains("%2e")
    });
    let secret = target
        .split_once(':')
        .filter(|(provider, _)| ["vault", "env", "keychain", "kms"].contains(provider));
    let applies = |rule: &Value| {
        let (wanted, effect) = (&rule["match"], rule["effect"].as_str().unwrap());
        if wanted["capability"]["kind"] != request["capability"]["kind"]
            || !matches(&wanted["actor"], request["actor_id"].as_str().unwrap())
            || !matches(
                &wanted["capability"]["selector"],
                request["capability"]["selector"].as_str().unwrap(),
            )
        {
            return false;
        }
        let kind = request["capability"]["kind"].as_str().unwrap();
        let readable = match kind {
            "net_egress" => url.is_some(),
            "secret_use" => secret.is_some(),
            _ => true,
        };
        if !readable {
            return ["review", "block"].contains(&effect);
        }
        if !matches(&wanted["operation"], &operation) {
            return false;
        }
        if let (Some(wanted), Some(url)) = (wanted.get("url"), &url) {
            let (own, host) = (text(&wanted["host"]), url.host_str().unwrap_or_default());
            let covers = match own.strip_prefix("*.") {
                None => own == host,
                Some(domain) => {
                    let depth = wanted["max_subdomain_depth"].as_u64().unwrap();
                    host.strip_suffix(domain)
                        .and_then(|rest| rest.strip_suffix('.'))
                        .is_some_and(|rest| {
                            !rest.is_empty()
                                && u64::try_from(rest.split('.').count()).unwrap() <= depth
                        })
                }
            };
            return url.scheme() == "https"
                && url.fragment().is_none()
                && covers
                && url
                    .path()
                    .starts_with(wanted["path_prefix"].as_str().unwrap())
                && wanted["methods"]
                    .as_array()
                    .unwrap()
                    .contains(&request["operation"]);
        }
        if let (Some(wanted), Some((provider, key))) = (wanted.get("secret"), secret) {
            return wanted["provider"] == provider
                && matches(&wanted["key"], key)
                && wanted["injection"]
                    .as_array()
                    .unwrap()
                    .contains(&request["operation"]);
        }
        matches(&wanted["target"], &target)
    };
    let matched: Vec<&Value> = policy["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| applies(rule))
        .collect();
    if matched.is_empty() {
        return Some(("default".to_owned(), "block".to_owned()));
    }
    let severity = |rule: &&Value| {
        ["allow", "warn", "review", "block"]
            .iter()
            .position(|word| rule["effect"] == *word)
            .unwrap()
    };
    let specificity = |rule: &&Value| {
        let wanted = &rule["match"];
        let parts = [
            &wanted["actor"],
            &wanted["capability"]["selector"],
            &wanted["operation"],
            &wanted["target"],
            &wanted["secret"]["key"],
        ];
        let exact = parts
            .iter()
            .filter(|part| part.get("exact").is_some())
            .count();
        let mut bytes: usize = parts
            .iter()
            .filter_map(|part| part.get("prefix")?.as_str())
            .map(str::len)
            .sum();
        if let Some(url) = wanted.get("url") {
            bytes +=
                text(&url["host"]).trim_start_matches("*.").len() + text(&url["path_prefix"]).len();
        }
        (exact, bytes)
    };
    let switches = &policy["conflict_resolution"];
    let rank = |rule: &&Value| match switches["mode"].as_str().unwrap() {
        "deny_wins" => (severity(rule), 0),
        "most_specific" => specificity(rule),
        _ => (
            usize::try_from(rule["priority"].as_u64().unwrap()).unwrap(),
            0,
        ),
    };
    let highest = matched.iter().map(rank).max().unwrap();
    let left: BTreeMap<_, _> = matched
        .iter()
        .filter(|rule| rank(rule) == highest)
        .map(|rule| {
            let index = rule["order_index"].as_u64().unwrap();
            let by_index = switches["stable_order_mode"] == "order_index";
            (
                (
                    if by_index { index } else { 0 },
                    text(&rule["id"]).into_bytes(),
                ),
                *rule,
            )
        })
        .collect();
    let first = left.values().next().unwrap();
    let differ = left.values().any(|rule| rule["effect"] != first["effect"]);
    (!differ || switches["tie_breaker"] == "stable_order")
        .then(|| (text(&first["id"]), text(&first["effect"])))
}

fn decided(policy: &Value, request: &Value) -> (Option<(String, String)>, String) {
    let policy = Policy::parse(&serde_json::to_vec(policy).unwrap()).unwrap();
    let request = Request::parse(&serde_json::to_vec(request).unwrap()).unwrap();
    let found = match evaluate(&request, &policy) {
        Ok(decision) => {
            let mapping = decision.mapping();
            Some((
                mapping.matched_rule_id.clone(),
                mapping.final_severity.word().to_owned(),
            ))
        }
        Err(refusal) => {
            assert_eq!(refusal.code.name(), "AMBIGUOUS_MAPPING");
            None
        }
    };
    (found, policy.hash().to_string())
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_policy_decides_as_its_page_says_in_whatever_order_its_rules_stand((policy, shuffle) in policies(), requests in prop::collection::vec(requests(), 1..5)) {
        let mut other = policy.clone();
        let rules = policy["rules"].as_array().unwrap();
        other["rules"] = shuffle.iter().filter_map(|place| rules.get(*place)).cloned().collect();
        for request in &requests {
            let (found, hash) = decided(&policy, request);
            prop_assert_eq!(&found, &naive(&policy, request), "{} under {}", request, policy);
            prop_assert_eq!((found, hash), decided(&other, request));
        }
    }
}

/// The policy of acme, where one host may be read and nothing else.
fn acme() -> Policy {
    let path = fixtures().join("repos/acme/governance/policy/acme.policy.json");
    Policy::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn asks(target: &str) -> Option<Request> {
    let request = json!({"schema": "permit.request.v1", "actor_id": "agent:a", "operation": "GET", "target": target,
                         "capability": {"kind": "net_egress", "selector": "https"}, "context": {}});
    Request::parse(&serde_json::to_vec(&request).unwrap()).ok()
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn only_a_url_in_its_normal_form_is_allowed(
        scheme in prop::sample::select(vec!["https", "HTTPS", "http", "wss"]),
        user in prop::sample::select(vec!["", "", "", "ana@", "ana:x@", "@"]),
        host in prop::sample::select(vec!["api.example.com", "API.example.com", "api.example.com.", "example.com", "a.b.example.com", "127.0.0.1", "[::1]", "localhost", "api.example.com%2eevil.org", "api。example.com", "xn--api.example.com", "api.example.com\\@evil.org"]),
        port in prop::sample::select(vec!["", "", "", ":443", ":", ":8443", ":0443"]),
        path in prop::collection::vec(prop::sample::select(vec!["/", "v1", "v1/", "..", ".", "%2e%2E", "%2f", "\\", "a", "//", "%41", "é", " ", "?", "#", ";", "%"]), 0..6),
    ) {
        let target = format!("{scheme}://{user}{host}{port}/{}", path.concat());
        let (policy, Some(request)) = (acme(), asks(&target)) else { return Ok(()); };
        let decision = evaluate(&request, &policy).unwrap();
        let severity = decision.mapping().final_severity.word();
        if severity == "allow" {
            let url = Url::parse(&target).unwrap();
            prop_assert_eq!(url.as_str(), &target);
            prop_assert!(target.starts_with("https://api.example.com/v1/"), "{}", target);
            let before_query = target.split('?').next().unwrap();
            for hidden in ["..", "/./", "%2e", "%2f", "\\", "#"] {
                prop_assert!(!before_query.to_lowercase().contains(hidden), "{}", target);
            }
        } else {
            let plain = target.starts_with("https://api.example.com/v1/") && path.iter().all(|part| ["v1", "v1/", "a", "/"].contains(part));
            prop_assert!(!plain || target.contains("//v1") , "{} was refused", target);
        }
    }
}
