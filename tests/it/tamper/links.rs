//! A newest event that hashes to what it records, and is derived as it must be, but stands on nothing or on the wrong
//! event: whatever a command looks at, it refuses.

use std::fs;

use serde_json::{Value, json};

use super::short;
use crate::forge::{self, Forger};
use crate::sandbox::Sandbox;

/// The last event of a stream, put somewhere else: its permit says so too and has a fitting id.
fn moved(event: &Value, sequence: u64, prev: &str) -> Value {
    let mut event = event.clone();
    let mut permit = event["payload"]["permit"].clone();
    permit["issued_at_sequence"] = json!(sequence);
    permit["prev_event_hash"] = json!(prev);
    permit["expiry_condition"]["sequence_range"] = json!([sequence, sequence + 50]);
    let permit = forge::with_id(permit);
    for name in ["sequence", "prev_event_hash"] {
        let value = if name == "sequence" {
            json!(sequence)
        } else {
            json!(prev)
        };
        event[name] = value.clone();
        event["payload"][name] = value;
    }
    event["event_id"] = permit["permit_id"].clone();
    event["payload"]["permit_id"] = permit["permit_id"].clone();
    event["payload"]["permit"] = permit;
    event
}

/// What every command says of the stream whose newest event was replaced.
fn reasons(sandbox: &Sandbox, event: &Value, has_parent: bool) -> Vec<String> {
    let sequence = event["sequence"].as_u64().unwrap();
    let before = sandbox.git(&["rev-parse", "refs/permit/streams/main~1"]);
    let subject = format!("permit.issued #{sequence} allow tool:fs.read agent:codex");
    let bytes = forge::commit(
        has_parent.then_some(before.as_str()),
        sequence,
        &subject,
        &forge::artifact(event),
    );
    let forger = Forger::new(sandbox);
    let (good, newest) = (sandbox.tip("main"), forger.write(&bytes));
    forger.point("main", &newest);
    let permit = sandbox.permit_file("read");
    fs::write(&permit, event["payload"]["permit"].to_string()).unwrap();
    let request = "requests/read.json";
    let found = [
        &["verify-chain"][..],
        &["verify", &permit, "--request", request],
        &["use", &permit, "--request", request],
        &["issue", "--request", request],
        &[
            "issue",
            "--request",
            request,
            "--stream",
            "main",
            "--actor",
            "agent:codex",
        ],
        &["checkpoint"],
        &["status"],
        &["replay"],
    ]
    .map(|call| sandbox.reason(call));
    assert_eq!(sandbox.tip("main"), newest, "nothing was appended");
    forger.point("main", &good);
    found.to_vec()
}

#[test]
fn an_event_that_does_not_link_to_the_one_before_is_refused_everywhere() {
    let sandbox = short();
    let newest = forge::events(&sandbox, "main")[3].clone();
    let prev = newest["prev_event_hash"].as_str().unwrap().to_owned();
    let other = "a".repeat(64);
    for (what, sequence, prev, has_parent, code) in [
        ("another hash", 3, &other, true, "CHAIN_TAMPERED"),
        ("no parent", 3, &prev, false, "CHAIN_TRUNCATED"),
        (
            "no parent, another hash",
            3,
            &other,
            false,
            "CHAIN_TRUNCATED",
        ),
        ("a sequence later", 4, &prev, true, "CHAIN_TAMPERED"),
        ("far later", 900, &prev, true, "CHAIN_TAMPERED"),
        ("the sequence before", 2, &prev, true, "CHAIN_FORKED"),
    ] {
        let found = reasons(&sandbox, &moved(&newest, sequence, prev), has_parent);
        assert_eq!(found, vec![code; found.len()], "{what}");
    }
    let good = moved(&newest, 3, &prev);
    assert_eq!(good, newest, "the forger moves it to where it stands");
}
