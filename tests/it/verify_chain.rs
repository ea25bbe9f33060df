//! `permit verify-chain`: verdicts, what was checked and what was not, expectations, sources.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::forge::{self, Forger};
use crate::sandbox::Sandbox;

#[test]
fn a_good_chain_in_every_form() {
    let sandbox = Sandbox::chain();
    assert_snapshot!("valid", sandbox.permit(&["verify-chain"]));
    let found = sandbox.json(&["verify-chain"]);
    assert_snapshot!("valid_json", serde_json::to_string_pretty(&found).unwrap());
    assert_eq!(sandbox.json(&["chain-check"]), found);
    sandbox.ok(&["stream", "open", "ci"]);
    assert_snapshot!("all", sandbox.permit(&["verify-chain", "--all"]));
    assert_snapshot!(
        "all_json",
        serde_json::to_string_pretty(&sandbox.json(&["verify-chain", "--all"])).unwrap()
    );
}

#[test]
fn an_expected_point_is_there_or_not() {
    let sandbox = Sandbox::chain();
    let events = forge::events(&sandbox, "main");
    for event in &events {
        let hash = forge::event_hash(event);
        let found = sandbox.json(&["verify-chain", "--expect-tip", &hash]);
        assert_eq!(
            found["verdict"], "VALID",
            "the stream extends event {}",
            event["sequence"]
        );
        assert!(found["checked"].as_array().unwrap().contains(&json!("tip")));
    }
    assert_snapshot!(
        "unknown_tip",
        sandbox.permit(&["verify-chain", "--expect-tip", &"0".repeat(64)])
    );
    assert_eq!(
        sandbox.reason(&["verify-chain", "--expect-tip", "0"]),
        "INVALID_INPUT"
    );
    let capitals = forge::event_hash(&events[7]).to_uppercase();
    assert_eq!(
        sandbox.reason(&["verify-chain", "--expect-tip", &capitals]),
        "INVALID_INPUT"
    );
}

#[test]
fn a_checkpoint_is_extended_forked_or_cut_off() {
    let sandbox = Sandbox::chain();
    let file = sandbox.aside("checkpoint.json");
    let call = ["verify-chain", "--checkpoint", file.to_str().unwrap()];
    fs::write(&file, sandbox.ok(&["checkpoint"])).unwrap();
    assert_eq!(sandbox.reason(&call), "OK");
    sandbox.issue("read");
    assert_eq!(sandbox.reason(&call), "OK");
    sandbox.git(&[
        "update-ref",
        "refs/permit/streams/main",
        "refs/permit/streams/main~4",
    ]);
    assert_snapshot!(
        "cut_off",
        sandbox
            .permit(&call)
            .replace(file.to_str().unwrap(), "checkpoint.json")
    );
    assert_eq!(sandbox.reason(&["verify-chain"]), "STREAM_REWOUND");
    sandbox.forget();
    assert_eq!(
        sandbox.reason(&["verify-chain"]),
        "OK",
        "which a chain alone cannot show"
    );
    for _ in 0..5 {
        sandbox.issue("build");
    }
    assert_snapshot!(
        "forked",
        sandbox
            .permit(&call)
            .replace(file.to_str().unwrap(), "checkpoint.json")
    );
    let lines = sandbox.aside("main.jsonl");
    sandbox.ok(&[
        "stream",
        "export",
        "main",
        "--jsonl",
        lines.to_str().unwrap(),
    ]);
    let of_lines = [&call[..], &["--jsonl", lines.to_str().unwrap()]].concat();
    assert_eq!(sandbox.reason(&of_lines), "CHAIN_FORKED");
    let minimal = json!({"stream_id": "main", "sequence": 0, "event_hash": forge::event_hash(&forge::events(&sandbox, "main")[0])});
    fs::write(&file, minimal.to_string()).unwrap();
    assert_eq!(sandbox.reason(&call), "OK");
    for wrong in [
        json!({}),
        json!({"stream_id": "main", "sequence": -1, "event_hash": "0"}),
        json!([]),
    ] {
        fs::write(&file, wrong.to_string()).unwrap();
        assert_eq!(sandbox.reason(&call), "INVALID_INPUT");
    }
    let other = json!({"stream_id": "other", "sequence": 0, "event_hash": "0".repeat(64)});
    fs::write(&file, other.to_string()).unwrap();
    assert_eq!(
        sandbox.reason(&[&call[..], &["--stream", "main2"]].concat()),
        "INVALID_INPUT"
    );
}

#[test]
fn one_broken_stream_of_many_is_named() {
    let sandbox = Sandbox::chain();
    sandbox.ok(&["stream", "open", "ci"]);
    sandbox.ok(&["stream", "open", "zz"]);
    let mut commits = forge::commits(&sandbox, "main");
    commits.remove(3);
    Forger::new(&sandbox).rewrite("main", &commits);
    let found = sandbox.json(&["verify-chain", "--all"]);
    assert_eq!(
        (&found["verdict"], &found["reason"]),
        (&json!("TAMPERED"), &json!("CHAIN_TAMPERED"))
    );
    let verdicts: Vec<_> = found["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["VALID", "TAMPERED", "VALID"]);
    assert_snapshot!("tampered", sandbox.permit(&["verify-chain"]));
    for call in [&["status"][..], &["log"], &["replay"]] {
        assert_eq!(sandbox.reason(call), "CHAIN_TAMPERED", "{call:?}");
    }
}

#[test]
fn a_stream_that_does_not_begin_at_its_beginning_is_no_answer_to_anything() {
    let sandbox = Sandbox::chain();
    let id = sandbox.kept("read")["permit_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut commits = forge::commits(&sandbox, "main").split_off(2);
    let text = String::from_utf8(commits[0].clone()).unwrap();
    let parent = format!("parent {}\n", forge::parent(&commits[0]).unwrap());
    commits[0] = text.replacen(&parent, "", 1).into_bytes();
    Forger::new(&sandbox).rewrite("main", &commits);
    for call in [
        &["verify-chain"][..],
        &["status"],
        &["log"],
        &["replay"],
        &["replay", "--permit-id", &id],
        &["show", &id],
        &["simulate", "--policy-at", "HEAD"],
        &["stream", "export", "main", "--jsonl", "-"],
    ] {
        assert_eq!(sandbox.reason(call), "CHAIN_TRUNCATED", "{call:?}");
    }
    // Nearer to the tip there is nothing to complain of, for who has not seen more.
    sandbox.forget();
    for call in [&["log", "--limit", "3"][..], &["replay", "--from", "4"]] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
}

#[test]
fn a_stream_under_another_name_is_not_that_stream() {
    let sandbox = Sandbox::chain();
    Forger::new(&sandbox).point("copy", &sandbox.tip("main"));
    assert_eq!(
        sandbox.reason(&["verify-chain", "--stream", "copy"]),
        "CHAIN_TAMPERED"
    );
    let issue = [
        "issue",
        "--stream",
        "copy",
        "--request",
        "requests/read.json",
    ];
    assert_eq!(sandbox.reason(&issue), "CHAIN_TAMPERED");
}

#[test]
fn nothing_is_appended_to_a_tip_that_is_broken() {
    let sandbox = Sandbox::chain();
    let good = forge::commits(&sandbox, "main");
    let forger = Forger::new(&sandbox);
    for (from, to, code) in [
        ("agent:codex\n\n{", "agent:evil\n\n{", "CHAIN_MALFORMED"),
        ("/v1/status", "/v1/statux", "CHAIN_TAMPERED"),
    ] {
        let text = String::from_utf8(good[7].clone()).unwrap();
        forger.point("main", &forger.write(text.replacen(from, to, 1).as_bytes()));
        let before = sandbox.tip("main");
        assert_eq!(
            sandbox.reason(&["issue", "--request", "requests/read.json"]),
            code
        );
        assert_eq!(sandbox.tip("main"), before);
    }
}

/// Lines of a stream that another implementation could have written.
fn foreign(events: &[Value]) -> Vec<u8> {
    let mut prev = Value::Null;
    let mut lines = Vec::new();
    for (sequence, event) in events.iter().enumerate() {
        let mut event = event.clone();
        event["sequence"] = sequence.into();
        event["prev_event_hash"] = prev;
        prev = forge::event_hash(&event).into();
        lines.extend(forge::artifact(&event));
        lines.push(b'\n');
    }
    lines
}

#[test]
fn foreign_types_and_payloads_are_links_and_hashes() {
    let sandbox = Sandbox::empty();
    let event = |kind: &str, payload: Value| {
        json!({"event_id": "x", "event_type": kind, "policy_hash": "p", "request_fingerprint": "f",
               "stream_id": "Foreign Stream", "payload": payload})
    };
    let events = [
        event("policy.evaluated", json!({})),
        event(
            "permit.issued",
            json!({"n": 1, "s": "a\u{2028}b\u{85}c\rd"}),
        ),
        event("stream.opened", json!({"deep": [[[{"a": null}]]]})),
        event("", json!({})),
    ];
    let call = ["verify-chain", "--format", "json", "--jsonl", "-"];
    let run = sandbox.run_with(&call, &foreign(&events));
    assert_eq!(run.exit, 0, "{}", run.stdout);
    assert!(run.stdout.contains("\"events\":4"));
    // A link that is null hashes as "", and is null in the first event only.
    let text = String::from_utf8(foreign(&events)).unwrap();
    let as_text = text.replacen("\"prev_event_hash\":null", "\"prev_event_hash\":\"\"", 1);
    assert_eq!(sandbox.run_with(&call, as_text.as_bytes()).exit, 0);
    let mut second = events[1].clone();
    second["sequence"] = 1.into();
    second["prev_event_hash"] = Value::Null;
    let first = text.lines().next().unwrap();
    let both = [first.as_bytes(), b"\n", &forge::artifact(&second)].concat();
    let run = sandbox.run_with(&call, &both);
    assert_eq!(run.exit, 5, "{}", run.stdout);
}

#[test]
fn sources_that_are_not_there() {
    let sandbox = Sandbox::chain();
    for (call, code) in [
        (["--jsonl", "absent.jsonl"], "IO_ERROR"),
        (["--jsonl", "requests"], "IO_ERROR"),
        (["--dir", "absent"], "IO_ERROR"),
        (["--dir", "README.md"], "IO_ERROR"),
        (["--dir", "requests"], "INVALID_INPUT"),
        (["--tree", "HEAD:absent"], "INVALID_INPUT"),
        (["--tree", "HEAD"], "INVALID_INPUT"),
        (["--tree", "nowhere:requests"], "INVALID_INPUT"),
        (["--tree", "HEAD:requests"], "INVALID_INPUT"),
        (["--tree", "HEAD:README.md"], "INVALID_INPUT"),
        (["--stream", "absent"], "STREAM_MISSING"),
        (["--checkpoint", "absent"], "IO_ERROR"),
    ] {
        assert_eq!(
            sandbox.reason(&[&["verify-chain"][..], &call].concat()),
            code,
            "{call:?}"
        );
    }
}
