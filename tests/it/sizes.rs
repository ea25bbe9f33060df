//! The limits of core.md section 1: what is just small enough is taken, one byte more is refused.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn request(pointer: &str, value: Value) -> String {
    let mut request = json!({
        "schema": "permit.request.v1", "actor_id": "agent:codex", "operation": "read", "target": "workspace/x",
        "capability": {"kind": "tool", "selector": "fs.read"}, "context": {}
    });
    *request.pointer_mut(pointer).unwrap() = value;
    request.to_string()
}

fn eval(sandbox: &Sandbox, request: &str) -> String {
    sandbox.write("request.json", request);
    sandbox.reason(&["eval", "--request", "request.json"])
}

#[test]
fn an_id_has_at_most_4096_bytes() {
    let sandbox = Sandbox::acme();
    for pointer in ["/actor_id", "/capability/selector", "/operation", "/target"] {
        for (text, reason) in [
            ("x".repeat(4096), "OK"),
            ("x".repeat(4097), "INVALID_REQUEST"),
            ("ä".repeat(2048), "OK"),
            ("ä".repeat(2048) + "x", "INVALID_REQUEST"),
        ] {
            assert_eq!(
                eval(&sandbox, &request(pointer, json!(text))),
                reason,
                "{pointer}"
            );
        }
    }
}

#[test]
fn a_request_has_at_most_a_mebibyte_whatever_fills_it() {
    let sandbox = Sandbox::opened();
    let small = request("/context", json!({"a": ""}));
    let room = (1 << 20) - small.len();
    let full = request("/context", json!({"a": "x".repeat(room)}));
    assert_eq!(full.len(), 1 << 20);
    assert_eq!(eval(&sandbox, &full), "OK");
    let issued = sandbox.json(&["issue", "--request", "request.json"]);
    assert_eq!(issued["reason"], "OK");
    sandbox.ok(&["replay"]);
    sandbox.ok(&["verify-chain"]);
    let more = request("/context", json!({"a": "x".repeat(room + 1)}));
    assert_eq!(eval(&sandbox, &more), "INVALID_REQUEST");
    assert_eq!(
        eval(&sandbox, &(small + &" ".repeat(1 << 20))),
        "INVALID_REQUEST"
    );
}

#[test]
fn nesting_ends_at_64() {
    let sandbox = Sandbox::acme();
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let exit = |text: &str| sandbox.run_with(&["canonicalize"], text.as_bytes()).exit;
    assert_eq!((exit(&nested(64)), exit(&nested(65))), (0, 7));
    let lists = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        (exit(&lists(63)), exit(&lists(64)), exit(&lists(200_000))),
        (0, 7, 7)
    );
}

#[test]
fn a_request_that_its_event_cannot_hold_is_refused_and_nothing_is_appended() {
    // Its event stands three levels deeper: artifact, event, payload.
    let sandbox = Sandbox::opened();
    let nested = |depth: usize| {
        let depth = depth - 2;
        let text = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        request("/context", json!({"a": 0})).replace("{\"a\":0}", &format!("{{\"a\":{text}}}"))
    };
    let before = sandbox.tip("main");
    for depth in 62..=65 {
        sandbox.write("deep.json", nested(depth) + "\n");
        for way in [&["--request"][..], &["--atomic", "--batch"], &["--batch"]] {
            let call = [&["issue"], way, &["deep.json"]].concat();
            let reason = sandbox.reason_of_last_line(&call);
            assert_eq!(reason, "INVALID_REQUEST", "{depth} {way:?}");
            assert_eq!(sandbox.tip("main"), before, "{depth} {way:?}");
        }
    }
    sandbox.write("deep.json", nested(61));
    sandbox.ok(&["issue", "--request", "deep.json"]);
    sandbox.ok(&["issue", "--batch", "deep.json"]);
    assert_eq!(sandbox.json(&["replay"])["replayed"], 2);
}

#[test]
fn integers_end_where_a_double_is_exact() {
    let sandbox = Sandbox::acme();
    for (number, exit) in [
        ("9007199254740991", 0),
        ("-9007199254740991", 0),
        ("9007199254740992", 7),
        ("-9007199254740992", 7),
        ("123456789012345678901234567890", 7),
        ("-0", 7),
        ("00", 7),
        ("+1", 7),
        ("1.", 7),
        ("0x1", 7),
        ("1E2", 7),
    ] {
        let run = sandbox.run_with(&["canonicalize"], format!("{{\"n\":{number}}}").as_bytes());
        assert_eq!(run.exit, exit, "{number}");
    }
}

/// A policy with this many rules of this length.
fn policy(rules: usize, pad: usize) -> String {
    let folder = crate::sandbox::fixtures().join("repos/acme/governance/policy/acme.policy.json");
    let mut policy: Value = serde_json::from_slice(&std::fs::read(folder).unwrap()).unwrap();
    let rule = policy["rules"][0].clone();
    let numbered = |number: usize| {
        let mut rule = rule.clone();
        rule["id"] = format!("{number:05}{}", "x".repeat(pad)).into();
        rule
    };
    policy["rules"] = (0..rules).map(numbered).collect();
    policy.to_string()
}

#[test]
fn a_policy_has_at_most_ten_thousand_rules_and_8_mebibytes() {
    let sandbox = Sandbox::acme();
    let name = "governance/policy/acme.policy.json";
    let (target, line) = (8 << 20, policy(1000, 0).len());
    let pad = (target - line) / 1000;
    let full = policy(1000, pad);
    let full = full.clone() + &" ".repeat(target - full.len());
    for (text, reason) in [
        (policy(10_000, 0), "OK"),
        (policy(10_001, 0), "INVALID_POLICY"),
        (full.clone() + " ", "INVALID_POLICY"),
    ] {
        sandbox.write(name, text);
        sandbox.commit("Large");
        let found = sandbox.json(&["eval", "--request", "requests/read.json"]);
        assert_eq!(found["reason"], reason);
    }
    // Ids of 8 KiB are too long; the size alone is not what is refused here.
    sandbox.write(name, full);
    sandbox.commit("Full");
    let found = sandbox.json(&["eval", "--request", "requests/read.json"]);
    assert!(
        found["message"].as_str().unwrap().contains("$.rules[0].id"),
        "{}",
        found["message"]
    );
}

#[test]
fn an_event_has_at_most_8_mebibytes() {
    let sandbox = Sandbox::empty();
    let event = |size: usize| {
        json!({"event_id": "x", "event_type": "t", "policy_hash": "p", "request_fingerprint": "f", "sequence": 0,
               "stream_id": "s", "prev_event_hash": null, "payload": {"a": "x".repeat(size)}})
    };
    let frame = crate::forge::artifact(&event(0)).len();
    let call = ["verify-chain", "--jsonl", "-"];
    let exit = |size: usize| {
        sandbox
            .run_with(&call, &crate::forge::artifact(&event(size - frame)))
            .exit
    };
    assert_eq!((exit(8 << 20), exit((8 << 20) + 1)), (0, 5));
}
