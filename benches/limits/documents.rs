//! Policies and requests to measure with.

use serde_json::{Value, json};

/// A request of such a size that its event has about 1.5 KB.
pub(crate) fn request(number: usize) -> Value {
    json!({"schema": "permit.request.v1", "actor_id": "agent:bench",
        "capability": {"kind": "tool", "selector": "cargo"}, "operation": "run",
        "target": format!("workspace/crates/member-{number}"),
        "context": {"argv": ["cargo", "test", "--locked", "--package", format!("member-{number}")],
            "task": number}})
}

/// A policy of so many rules: two in three name a tool exactly, the others by prefix, pattern or host.
pub(crate) fn policy(rules: usize) -> Value {
    let rule = |index: usize| {
        let (kind, selector) = match index {
            0 => ("tool", json!({"exact": "cargo"})),
            _ if index % 30 == 7 => ("tool", json!({"regex": format!("^tool-{index}-[a-z]+$")})),
            _ if index % 6 == 1 => ("tool", json!({"prefix": format!("tool-{index}-")})),
            _ if index % 6 == 3 => ("net_egress", json!({"exact": "http.get"})),
            _ => ("tool", json!({"exact": format!("tool-{index}")})),
        };
        let mut rule = json!({"id": format!("rule-{index:05}"), "effect": "allow", "priority": 10, "order_index": index,
            "match": {"actor": {"prefix": "agent:"}, "capability": {"kind": kind, "selector": selector},
                "operation": {"exact": "run"}},
            "grant": {"mode": "one_shot", "sequence_span": 1000}});
        rule["match"][if kind == "tool" { "target" } else { "url" }] = if kind == "tool" {
            json!({"prefix": "workspace/"})
        } else {
            json!({"host": format!("host-{index}.example"), "path_prefix": "/v1/", "methods": ["GET"]})
        };
        rule
    };
    json!({"schema": "permit.policy.v1", "policy_id": "bench", "policy_version": "1",
        "interpretation_authority": "supervisor", "supervisor_id": "supervisor:bench", "default_effect": "block",
        "conflict_resolution": {"mode": "deny_wins", "tie_breaker": "fail_closed", "stable_order_mode": "lexical_rule_id"},
        "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit",
            "review": "pause_pending_ledger"},
        "admitted_repositories": [], "review_types": {}, "rules": (0..rules).map(rule).collect::<Vec<_>>()})
}
