//! Policies decide as the independent resolver says, in whatever order their rules stand.

use permit::engine::evaluate::evaluate;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::config;
use super::resolver::resolve;

const KINDS: [&str; 3] = ["tool", "net_egress", "secret_use"];

fn pick(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(words)
}

/// Mostly this kind, so that rules and requests meet often.
fn near(kind: &'static str) -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(kind), 1 => pick(&KINDS)]
}

fn matchers() -> impl Strategy<Value = Value> {
    let word = || pick(&["a", "ab", "abc", "b", "ba", "a/%2e/b"]);
    let either = |(one, other)| json!({"regex": format!("^(?:{one}|{other})$")});
    let several = |(one, other)| {
        if one == other {
            json!({"one_of": [one]})
        } else {
            json!({"one_of": [one, other]})
        }
    };
    prop_oneof![
        2 => word().prop_map(|word| json!({"exact": word})),
        1 => (word(), word()).prop_map(several),
        2 => word().prop_map(|word| json!({"prefix": word})),
        1 => (word(), word()).prop_map(either),
        3 => Just(json!({"any": true})),
    ]
}

fn urls() -> impl Strategy<Value = Value> {
    let (plain, deep) = (["a.example", "b.a.example"], "*.a.example");
    (0_usize..4, pick(&["/", "/a", "/a/", "/a/b"]), 1_u32..3).prop_map(move |(host, path, depth)| {
        let methods = ["A", "B"];
        match plain.get(host) {
            Some(host) => json!({"host": host, "path_prefix": path, "methods": methods}),
            None => {
                json!({"host": deep, "path_prefix": path, "methods": methods, "max_subdomain_depth": depth})
            }
        }
    })
}

/// A rule over a small alphabet.
fn rules(kind: &'static str) -> impl Strategy<Value = Value> {
    let secrets = (pick(&["vault", "env"]), matchers()).prop_map(
        |(provider, key)| json!({"provider": provider, "key": key, "injection": ["header", "bearer"]}),
    );
    let who = (matchers(), near(kind), matchers());
    let what = (
        matchers(),
        any::<bool>(),
        matchers(),
        urls(),
        secrets,
        any::<bool>(),
    );
    let effect = pick(&["allow", "warn", "block", "review"]);
    (effect, 0_u32..3, who, what).prop_map(|(effect, priority, who, what)| {
        let (actor, kind, selector) = who;
        let (operation, any, target, url, secret, special) = what;
        let operation = if any { json!({"any": true}) } else { operation };
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
        if permits && name != "target" {
            // One that excludes every method or way is refused.
            rule["match"]["operation"] = json!({"any": true});
        }
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

/// A policy, and another order of its rules.
fn policies(kind: &'static str) -> impl Strategy<Value = (Value, Vec<usize>)> {
    (
        prop::collection::vec(rules(kind), 1..8),
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

fn targets(kind: &'static str) -> impl Strategy<Value = String> {
    let host = pick(&[
        "https://a.example",
        "https://b.a.example",
        "https://b.a.example",
        "https://c.b.a.example",
        "http://a.example",
        "https://A.example",
        "https://a.example:443",
    ]);
    let path = pick(&[
        "/", "/a", "/a/", "/a/b", "/a/b", "/a/../b", "/a/%2e/b", "/a#x", "/a/?q",
    ]);
    let plain = || pick(&["a", "ab", "abc", "b", "ba", "c"]);
    (
        near(kind),
        plain(),
        host,
        path,
        pick(&["vault", "env", "file"]),
    )
        .prop_map(|(kind, word, host, path, provider)| match kind {
            "net_egress" => format!("{host}{path}"),
            "secret_use" => format!("{provider}:{word}"),
            _ if path == "/a/%2e/b" => format!("{word}{path}"),
            _ => word.to_owned(),
        })
}

fn requests(kind: &'static str) -> impl Strategy<Value = Value> {
    let operation = match kind {
        "secret_use" => pick(&["header", "bearer", "query_param"]),
        "net_egress" => pick(&["A", "B", "a"]),
        _ => pick(&["a", "b", "ab"]),
    };
    let word = || pick(&["a", "ab", "abc", "b"]);
    (near(kind), word(), word(), operation, targets(kind)).prop_map(
        |(kind, actor, selector, operation, target)| {
            json!({"schema": "permit.request.v1", "actor_id": actor, "operation": operation, "target": target,
                   "capability": {"kind": kind, "selector": selector}, "context": {}})
        },
    )
}

/// A policy with another order of its rules, and requests that it decides.
fn cases() -> impl Strategy<Value = ((Value, Vec<usize>), Vec<Value>)> {
    pick(&KINDS).prop_flat_map(|kind| (policies(kind), prop::collection::vec(requests(kind), 1..5)))
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
    fn a_policy_decides_as_its_page_says_in_whatever_order_its_rules_stand(((policy, shuffle), requests) in cases()) {
        let mut other = policy.clone();
        let rules = policy["rules"].as_array().unwrap();
        other["rules"] = shuffle.iter().filter_map(|place| rules.get(*place)).cloned().collect();
        for request in &requests {
            let (found, hash) = decided(&policy, request);
            prop_assert_eq!(&found, &resolve(&policy, request), "{} under {}", request, policy);
            prop_assert_eq!((found, hash), decided(&other, request));
        }
    }
}
