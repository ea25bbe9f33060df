//! The policy format, one fault at a time, and every way to decide a conflict.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::too_many_lines, reason = "a table of cases is read as one")]

use super::super::canonical::Object;
use super::super::request::{Capability, Kind, Request};
use super::*;

/// A policy with these rules and these switches.
pub(crate) fn policy(mode: &str, tie: &str, order: &str, rules: &str) -> String {
    format!(
        r#"{{"schema":"permit.policy.v1","policy_id":"p","policy_version":"v1","interpretation_authority":"supervisor",
        "supervisor_id":"supervisor:x","default_effect":"block",
        "conflict_resolution":{{"mode":"{mode}","tie_breaker":"{tie}","stable_order_mode":"{order}"}},
        "severity_to_gating":{{"allow":"proceed","warn":"proceed_emit_audit","block":"deny_emit_audit","review":"pause_pending_ledger"}},
        "admitted_repositories":["acme/web"],
        "review_types":{{"t":{{"min_cross_signers":2,"reviewer_roles":["council"],"require_user_presence":false}},
                        "a":{{"attestations":{{"profile":"deploy-gate@0.3","env":"prod"}}}}}},
        "rules":[{rules}]}}"#
    )
}

fn plain(rules: &str) -> String {
    policy("deny_wins", "stable_order", "lexical_rule_id", rules)
}

/// A `tool` rule with these matchers.
fn rule(id: &str, effect: &str, priority: u32, order: u32, target: &str) -> String {
    let rest = match effect {
        "block" => "",
        "review" => r#","grant":{"mode":"one_shot","sequence_span":0},"review_type":"t""#,
        _ => r#","grant":{"mode":"bounded","sequence_span":3}"#,
    };
    format!(
        r#"{{"id":"{id}","effect":"{effect}","priority":{priority},"order_index":{order},
        "match":{{"actor":{{"any":true}},"capability":{{"kind":"tool","selector":{{"exact":"fs.read"}}}},
        "operation":{{"any":true}},"target":{target}}}{rest}}}"#
    )
}

fn egress(effect: &str, url: &str) -> String {
    rule("net", effect, 1, 1, "0")
        .replace(r#""kind":"tool""#, r#""kind":"net_egress""#)
        .replace(r#""target":0"#, &format!(r#""url":{url}"#))
}

fn secret(effect: &str, body: &str) -> String {
    rule("sec", effect, 1, 1, "0")
        .replace(r#""kind":"tool""#, r#""kind":"secret_use""#)
        .replace(r#""target":0"#, &format!(r#""secret":{body}"#))
}

fn request(kind: Kind, operation: &str, target: &str) -> Request {
    let capability = Capability {
        kind,
        selector: "fs.read".to_owned(),
    };
    Request::new("agent:x", capability, operation, target, Object::new()).unwrap()
}

fn decide(policy: &str, request: &Request) -> String {
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    match policy.resolve(&Subject::new(request)) {
        Ok(resolution) => resolution
            .rule
            .map_or("default", |rule| &rule.id)
            .to_owned(),
        Err(refusal) => refusal.code.name().to_owned(),
    }
}

fn fault(policy: &str) -> String {
    let refusal = Policy::parse(policy.as_bytes()).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidPolicy);
    let message = refusal.message;
    message
        .strip_prefix("the governed policy is malformed at ")
        .unwrap_or(&message)
        .to_owned()
}

#[test]
fn every_fault_is_refused_with_its_path() {
    let any = r#"{"any":true}"#;
    let url = |body: &str| plain(&egress("allow", body));
    for (policy, expected) in [
        (
            plain(&rule("a", "allow", 1, 1, r#"{"any":false}"#)),
            "`$.rules[0].match.target.any`: is `false`, only `true` can stand here",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"a$"}"#)),
            "`$.rules[0].match.target.regex`: is not anchored: it must be written `^…$`",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^a)|(?:b$"}"#)),
            "`$.rules[0].match.target.regex`: unopened group",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^a\\$"}"#)),
            "`$.rules[0].match.target.regex`: incomplete escape sequence, reached end of pattern prematurely",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^(?x)a # $"}"#)),
            "`$.rules[0].match.target.regex`: unclosed group",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"exact":"a","any":true}"#)),
            "`$.rules[0].match.target`: expected exactly one member, found 2",
        ),
        (
            plain(&rule("default", "allow", 1, 1, any)),
            "`$.rules[0].id`: `default` names the default effect",
        ),
        (
            plain(&rule("", "allow", 1, 1, any)),
            "`$.rules[0].id`: is empty",
        ),
        (
            plain(&rule("a", "allow", 2_147_483_648, 1, any)),
            "`$.rules[0].priority`: is beyond 2^31−1",
        ),
        (
            plain(&[rule("a", "allow", 1, 1, any), rule("a", "block", 1, 2, any)].join(",")),
            "`$.rules[1].id`: another rule has this id",
        ),
        (
            policy(
                "deny_wins",
                "stable_order",
                "order_index",
                &[rule("a", "allow", 1, 1, any), rule("b", "block", 1, 1, any)].join(","),
            ),
            "`$.rules[1].order_index`: another rule has this order index, which decides the stable order",
        ),
        (
            plain(
                &rule("a", "block", 1, 1, any)
                    .replace(r#""effect":"block""#, r#""effect":"allow""#),
            ),
            "`$.rules[0].grant`: missing field",
        ),
        (
            plain(
                &rule("a", "allow", 1, 1, any)
                    .replace(r#""effect":"allow""#, r#""effect":"block""#),
            ),
            "`$.rules[0].grant`: a `block` grants nothing",
        ),
        (
            plain(
                &rule("a", "review", 1, 1, any)
                    .replace(r#""review_type":"t""#, r#""review_type":"u""#),
            ),
            "`$.rules[0].review_type`: is not one of the policy's review types",
        ),
        (
            plain(
                &rule("a", "review", 1, 1, any)
                    .replace(r#""effect":"review""#, r#""effect":"warn""#),
            ),
            "`$.rules[0].review_type`: stands only on a `review`",
        ),
        (
            plain(&rule("a", "allow", 1, 1, any).replace(
                "bounded\",\"sequence_span\":3",
                "bounded\",\"sequence_span\":0",
            )),
            "`$.rules[0].grant`: expected `one_shot` with a `sequence_span` from 0, `bounded` with one from 1, or `bounded` with `commit: true`",
        ),
        (
            plain(&rule("a", "allow", 1, 1, any)).replace("deny_wins", "allow_wins"),
            "`$.conflict_resolution.mode`: unknown variant `allow_wins`, expected one of `deny_wins`, `most_specific`, `explicit_priority`",
        ),
        (
            plain("").replace(
                "\"default_effect\":\"block\"",
                "\"default_effect\":\"allow\"",
            ),
            "`$.default_effect`: unknown variant `allow`, expected `block`",
        ),
        (
            plain("").replace("\"warn\":\"proceed_emit_audit\"", "\"warn\":\"proceed\""),
            "`$.severity_to_gating.warn`: unknown variant `proceed`, expected `proceed_emit_audit`",
        ),
        (
            plain("").replace("\"min_cross_signers\":2,", ""),
            "`$.review_types.t`: expected `min_cross_signers`, `reviewer_roles` and `require_user_presence`, or `attestations`",
        ),
        (
            plain("").replace("[\"council\"]", "[\"boss\"]"),
            "`$.review_types.t.reviewer_roles[0]`: unknown variant `boss`, expected one of `domain_admin`, `company_admin`, `council`, `sovereign`",
        ),
        (
            plain("").replace("\"rules\"", "\"more\":1,\"rules\""),
            "`$.more`: unknown field",
        ),
        (
            plain("").replace("\"policy_version\":\"v1\",", ""),
            "`$.policy_version`: missing field",
        ),
        (
            plain(&egress("allow", "0").replace(r#""url":0"#, r#""target":{"any":true}"#)),
            "`$.rules[0].match`: a `net_egress` rule has `url`; only a `review` or `block` rule may have `target` instead",
        ),
        (
            url(r#"{"host":"*","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#),
            "`$.rules[0].match.url.host`: a bare or inner `*` covers too much",
        ),
        (
            url(r#"{"host":"API.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com:8443","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"u@api.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"a.example/b","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"v1","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: does not begin with `/`",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"/a/../b","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: is not a path in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"/","methods":[]}"#),
            "`$.rules[0].match.url.methods`: is empty",
        ),
        (
            url(r#"{"host":"a..com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":".a.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":"*.com.","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":"a.com","path_prefix":"/a%2","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: holds a `%` without its two hex digits",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"exact":""}"#)),
            "`$.rules[0].match.target.exact`: is empty",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"exact":"a\tb"}"#)),
            "`$.rules[0].match.target.exact`: holds a control character",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"prefix":"a\n"}"#)),
            "`$.rules[0].match.target.prefix`: holds a control character",
        ),
        (
            url(r#"{"host":"*.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.max_subdomain_depth`: missing field",
        ),
        (
            url(
                r#"{"host":"example.com","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#,
            ),
            "`$.rules[0].match.url.max_subdomain_depth`: stands only beside a wildcard host",
        ),
        (
            plain(&secret(
                "allow",
                r#"{"provider":"vault","key":{"any":true},"injection":["header","url_path"]}"#,
            )),
            "`$.rules[0].match.secret.injection[1]`: stands only in a `review` or `block` rule: a URL is logged wherever it passes",
        ),
        (
            plain(&secret(
                "allow",
                r#"{"provider":"disk","key":{"any":true},"injection":["header"]}"#,
            )),
            "`$.rules[0].match.secret.provider`: unknown variant `disk`, expected one of `vault`, `env`, `keychain`, `kms`",
        ),
    ] {
        assert_eq!(fault(&policy), expected, "{policy}");
    }
}

#[test]
fn a_pattern_is_bounded_and_all_patterns_share_one_budget() {
    let regex =
        |id: &str, pattern: &str| rule(id, "allow", 1, 1, &format!(r#"{{"regex":"{pattern}"}}"#));
    let answer = |patterns: &[&str]| {
        let rules: Vec<_> = patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| regex(&format!("r{index}"), pattern))
            .collect();
        Policy::parse(plain(&rules.join(",")).as_bytes()).map_err(|refusal| refusal.code)
    };
    let long = format!("^{}$", "a".repeat(20_000));
    let folded = format!("^(?:{})$", r"[\\w&&a]".repeat(1_200));
    for pattern in [
        "^(?:a{1000}){1000}{1000}$",
        "^[a-z]{9999}[0-9]{9999}$",
        "^\\w{1000}$",
        &long,
        &folded,
    ] {
        assert_eq!(
            answer(&[pattern]).unwrap_err(),
            Code::LimitExceeded,
            "{pattern}"
        );
    }
    for pattern in ["^[a-z]{4000}[0-9]{4000}$", "^\\w{20}$", "^(?i)[a-z]{500}$"] {
        assert!(answer(&[pattern]).is_ok(), "{pattern}");
    }
    let heavy = vec!["^[a-z]{4000}[0-9]{4000}$"; 200];
    assert_eq!(answer(&heavy).unwrap_err(), Code::LimitExceeded);
}

#[test]
fn a_draft_is_read_without_a_look_at_its_patterns() {
    let text = plain(&rule(
        "a",
        "allow",
        1,
        1,
        r#"{"regex":"^(?:a{1000}){1000}{1000}$"}"#,
    ));
    let draft = Draft::parse(text.as_bytes()).unwrap();
    let same = plain(&rule(
        "a",
        "allow",
        1,
        1,
        r#"{"regex":"^(?:a{1000}){1000}{1000}$"}"#,
    ));
    assert_eq!(draft.hash(), Draft::parse(same.as_bytes()).unwrap().hash());
    assert_eq!(draft.compile().unwrap_err().code, Code::LimitExceeded);
}

#[test]
fn a_path_fault_meets_every_rule_that_denies_and_only_an_exact_one_that_allows() {
    let faulty = "workspace/src/../governance/x";
    let matches = |effect: &str, target: &str, asked: &str| {
        let policy = plain(&rule("a", effect, 1, 1, target));
        decide(&policy, &request(Kind::Tool, "read", asked)) == "a"
    };
    for effect in ["allow", "warn"] {
        for target in [
            r#"{"any":true}"#,
            r#"{"prefix":"workspace/"}"#,
            r#"{"regex":"^workspace/.*$"}"#,
        ] {
            assert!(!matches(effect, target, faulty), "{effect} {target}");
            assert!(
                matches(effect, target, "workspace/a..b/..c"),
                "{effect} {target}"
            );
        }
        let exact = format!(r#"{{"exact":"{faulty}"}}"#);
        assert!(matches(effect, &exact, faulty));
        assert!(!matches(effect, &exact, "workspace/src/../governance/y"));
    }
    for effect in ["review", "block"] {
        for target in [
            r#"{"exact":"z"}"#,
            r#"{"prefix":"other/"}"#,
            r#"{"regex":"^z$"}"#,
        ] {
            assert!(matches(effect, target, faulty), "{effect} {target}");
            assert!(!matches(effect, target, "workspace/x"), "{effect} {target}");
        }
    }
    let other = plain(&rule("a", "block", 1, 1, r#"{"any":true}"#).replace(
        r#""operation":{"any":true}"#,
        r#""operation":{"exact":"write"}"#,
    ));
    assert_eq!(
        decide(&other, &request(Kind::Tool, "read", faulty)),
        "default"
    );
}

#[test]
fn the_hash_is_free_of_layout_and_bound_to_all_else() {
    let rules = [
        rule("b", "allow", 1, 1, r#"{"any":true}"#),
        rule("a", "block", 1, 2, r#"{"any":true}"#),
    ];
    let hash = |text: &str| Policy::parse(text.as_bytes()).unwrap().hash();
    let written = plain(&rules.join(","));
    let mut turned = rules.clone();
    turned.reverse();
    assert_eq!(hash(&written), hash(&plain(&turned.join(","))));
    assert_eq!(hash(&written), hash(&written.replace(',', " ,\n\t")));
    for (from, to) in [
        ("\"policy_version\":\"v1\"", "\"policy_version\":\"v2\""),
        ("\"policy_id\":\"p\"", "\"policy_id\":\"q\""),
        ("supervisor:x", "supervisor:y"),
        ("deny_wins", "most_specific"),
        ("\"stable_order\"", "\"fail_closed\""),
        ("lexical_rule_id", "order_index"),
        ("acme/web", "acme/app"),
        ("\"min_cross_signers\":2", "\"min_cross_signers\":3"),
        ("\"sequence_span\":3", "\"sequence_span\":4"),
        ("\"priority\":1", "\"priority\":2"),
    ] {
        assert_ne!(hash(&written), hash(&written.replace(from, to)), "{from}");
    }
}

#[test]
fn each_mode_picks_by_its_own_rank() {
    let read = request(Kind::Tool, "read", "workspace/a");
    let rules = [
        rule("wide-block", "block", 1, 3, r#"{"prefix":"work"}"#),
        rule("long-allow", "allow", 5, 2, r#"{"prefix":"workspace/"}"#),
        rule("exact-warn", "warn", 3, 1, r#"{"exact":"workspace/a"}"#),
    ]
    .join(",");
    for (mode, expected) in [
        ("deny_wins", "wide-block"),
        ("most_specific", "exact-warn"),
        ("explicit_priority", "long-allow"),
    ] {
        for tie in ["stable_order", "fail_closed"] {
            assert_eq!(
                decide(&policy(mode, tie, "order_index", &rules), &read),
                expected
            );
        }
    }
    let tied = [
        rule("b", "allow", 1, 1, r#"{"any":true}"#),
        rule("a", "warn", 1, 2, r#"{"any":true}"#),
    ]
    .join(",");
    for (tie, order, expected) in [
        ("stable_order", "lexical_rule_id", "a"),
        ("stable_order", "order_index", "b"),
        ("fail_closed", "order_index", "AMBIGUOUS_MAPPING"),
    ] {
        assert_eq!(
            decide(&policy("explicit_priority", tie, order, &tied), &read),
            expected
        );
    }
    assert_eq!(decide(&plain(""), &read), "default");
}

#[test]
fn a_url_matches_only_in_its_normal_form_and_on_the_public_web() {
    let url = r#"{"host":"*.example.com","path_prefix":"/v1/","methods":["GET"],"max_subdomain_depth":1}"#;
    let allows = plain(&egress("allow", url));
    let blocks = plain(&egress("block", url));
    for (target, operation, allowed, blocked) in [
        ("https://api.example.com/v1/x?q=..", "GET", true, true),
        ("https://api.example.com/v1/", "POST", false, false),
        ("https://example.com/v1/", "GET", false, false),
        ("https://a.b.example.com/v1/", "GET", false, false),
        ("https://api.example.com.evil.org/v1/", "GET", false, false),
        ("http://api.example.com/v1/", "GET", false, false),
        ("https://u:p@api.example.com/v1/", "GET", false, false),
        ("https://api.example.com/v1/#f", "GET", false, false),
        ("https://api.example.com./v1/", "GET", false, false),
        // Not in normal form: no rule that allows, every rule that denies.
        ("https://api.example.com/v1/../v2/", "GET", false, true),
        ("https://api.example.com/v1/%2e%2e/v2/", "GET", false, true),
        ("https://api.example.com/v1/a%2Fb", "GET", false, true),
        ("https://api.example.com/v1\\x", "GET", false, true),
        ("https://API.example.com/v1/", "GET", false, true),
        ("https://api.example.com:443/v1/", "GET", false, true),
        ("https://api.example.com:8443/v1/", "GET", false, true),
        ("https://api.example.com", "GET", false, true),
        ("nonsense", "GET", false, true),
    ] {
        let request = request(Kind::NetEgress, operation, target);
        assert_eq!(
            decide(&allows, &request) == "net",
            allowed,
            "allow {target}"
        );
        assert_eq!(
            decide(&blocks, &request) == "net",
            blocked,
            "block {target}"
        );
    }
}

#[test]
fn no_address_that_is_not_public_is_ever_matched() {
    for (host, public) in [
        ("93.184.216.34", true),
        ("10.0.0.1", false),
        ("127.0.0.1", false),
        ("169.254.169.254", false),
        ("100.64.0.1", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("[2606:4700::1111]", true),
        ("[::1]", false),
        ("[::ffff:a00:1]", false),
        ("[fd00::1]", false),
        ("[fe80::1]", false),
        ("[2001:db8::1]", false),
        ("[2002:a00:1::]", false),
        ("localhost", false),
        ("a.localhost", false),
    ] {
        let url = format!(r#"{{"host":"{host}","path_prefix":"/","methods":["GET"]}}"#);
        let request = request(Kind::NetEgress, "GET", &format!("https://{host}/"));
        assert_eq!(
            decide(&plain(&egress("allow", &url)), &request) == "net",
            public,
            "{host}"
        );
    }
}

#[test]
fn a_secret_is_matched_by_provider_key_and_injection() {
    let allows = plain(&secret(
        "allow",
        r#"{"provider":"vault","key":{"prefix":"db/"},"injection":["bearer"]}"#,
    ));
    let blocks = plain(&secret(
        "block",
        r#"{"provider":"vault","key":{"prefix":"db/"},"injection":["query_param"]}"#,
    ));
    for (target, operation, allowed, blocked) in [
        ("vault:db/pass", "bearer", true, false),
        ("vault:db/pass", "query_param", false, true),
        ("env:db/pass", "bearer", false, false),
        ("vault:web", "bearer", false, false),
        ("vault:", "bearer", false, true),
        ("disk:db/pass", "bearer", false, true),
        ("db/pass", "bearer", false, true),
    ] {
        let request = request(Kind::SecretUse, operation, target);
        assert_eq!(
            decide(&allows, &request) == "sec",
            allowed,
            "allow {target}"
        );
        assert_eq!(
            decide(&blocks, &request) == "sec",
            blocked,
            "block {target}"
        );
    }
}

#[test]
fn names_that_people_decide_by_hold_nothing_that_is_not_shown() {
    let fine = r#"{"host":"api.example.com","path_prefix":"/","methods":["GET"]}"#;
    assert!(
        Policy::parse(plain(&egress("allow", fine)).as_bytes())
            .unwrap()
            .check_form()
            .is_ok()
    );
    for (from, to, path) in [
        (
            r#""GET""#,
            "\"GET\u{200b}\"",
            "`$.rules[0].match.url.methods[0]`",
        ),
        (r#""net""#, "\"n\u{ad}et\"", "`$.rules[0].id`"),
        (r#""p""#, "\"p\u{feff}\"", "`$.policy_id`"),
    ] {
        let written = plain(&egress("allow", fine)).replacen(from, to, 1);
        // An old record is read as it was decided; nothing new is decided by it.
        let refusal = Policy::parse(written.as_bytes())
            .unwrap()
            .check_form()
            .unwrap_err();
        assert_eq!(refusal.code, Code::InvalidPolicy);
        assert!(refusal.message.contains(path), "{}", refusal.message);
    }
}
