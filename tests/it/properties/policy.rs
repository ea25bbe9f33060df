//! Policies decide as the independent resolver says, in whatever order their rules stand.

use permit::engine::evaluate::evaluate;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::config;
use super::resolver::resolve;

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
            prop_assert_eq!(&found, &resolve(&policy, request), "{} under {}", request, policy);
            prop_assert_eq!((found, hash), decided(&other, request));
        }
    }
}
