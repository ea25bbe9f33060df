//! Regular expressions that would cost more than a policy may: one budget for all of them, kept when it is loaded.

use std::fs;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Commits a policy whose rules each hold one pattern, and says what `eval` answers.
fn answer(patterns: &[String]) -> Value {
    let sandbox = Sandbox::acme();
    let name = "governance/policy/acme.policy.json";
    let mut policy: Value = serde_json::from_slice(&fs::read(sandbox.path(name)).unwrap()).unwrap();
    let rule = policy["rules"][0].clone();
    let rules = patterns.iter().enumerate().map(|(index, pattern)| {
        let mut rule = rule.clone();
        rule["id"] = format!("r{index}").into();
        rule["match"]["target"] = json!({"regex": pattern});
        rule
    });
    policy["rules"] = rules.collect();
    sandbox.write(name, policy.to_string());
    sandbox.commit("Many patterns");
    sandbox.json(&["eval", "--request", "requests/read.json"])
}

#[test]
fn fifteen_hundred_heavy_patterns_are_not_compiled() {
    let heavy = vec![r"^[\p{L}\p{N}]{200}x$".to_owned(); 1_500];
    let found = answer(&heavy);
    assert_eq!(found["reason"], "LIMIT_EXCEEDED", "{found}");
    assert!(
        found["message"]
            .as_str()
            .unwrap()
            .contains("$.rules[0].match.target.regex"),
        "{found}"
    );
}

#[test]
fn one_pattern_of_twenty_thousand_states_is_refused() {
    let found = answer(&["^[a-z]{9999}[0-9]{9999}$".to_owned()]);
    assert_eq!(found["reason"], "LIMIT_EXCEEDED", "{found}");
    let found = answer(&["^[a-z]{4000}[0-9]{4000}$".to_owned()]);
    assert_eq!(found["reason"], "OK", "{found}");
}

#[test]
fn nine_thousand_patterns_of_four_hundred_states_share_one_budget() {
    let found = answer(&vec!["^[a-z]{400}$".to_owned(); 9_000]);
    assert_eq!(found["reason"], "LIMIT_EXCEEDED", "{found}");
    let found = answer(&vec!["^workspace/[a-z0-9_/-]+\\.rs$".to_owned(); 9_000]);
    assert_eq!(found["reason"], "OK", "{found}");
}
