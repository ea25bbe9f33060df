//! `permit replay` and `permit simulate`: what was decided, decided again.

use insta::assert_snapshot;
use serde_json::json;

use crate::forge::{self, Forger};
use crate::sandbox::Sandbox;

#[test]
fn everything_is_derived_again() {
    let sandbox = Sandbox::chain();
    assert_snapshot!("identical", sandbox.permit(&["replay"]));
    assert_snapshot!(
        "identical_json",
        sandbox.permit(&["replay", "--format", "json"])
    );
    sandbox.ok(&["stream", "open", "empty"]);
    assert_eq!(sandbox.json(&["replay", "--all"])["replayed"], 6);
    assert_eq!(
        sandbox.json(&["replay", "--stream", "empty"])["replayed"],
        0
    );
    assert_eq!(
        sandbox.json(&["replay", "--from", "2", "--to", "5"])["replayed"],
        3
    );
    assert_eq!(sandbox.json(&["replay", "--from", "100"])["replayed"], 0);
    let id = sandbox.kept("env")["permit_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(sandbox.json(&["replay", "--permit-id", &id])["replayed"], 1);
    assert_snapshot!(
        "no_such_permit",
        sandbox.permit(&["replay", "--permit-id", &"0".repeat(64)])
    );
    let other = sandbox.kept("read")["permit_id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (range, reason) in [
        (["--from", "1", "--to", "1"], "OK"),
        (["--from", "0", "--to", "0"], "NOT_ISSUED"),
        (["--from", "2", "--to", "9"], "NOT_ISSUED"),
        (["--from", "5", "--to", "2"], "INVALID_INPUT"),
    ] {
        let call = [&["replay", "--permit-id", &other][..], &range].concat();
        assert_eq!(sandbox.reason(&call), reason, "{range:?}");
    }
    let backward = ["--from", "5", "--to", "2"];
    let call = [&["simulate", "--policy-at", "HEAD"][..], &backward].concat();
    assert_eq!(sandbox.reason(&call), "INVALID_INPUT");
    assert_eq!(
        sandbox.reason(&["replay", "--permit-id", "short"]),
        "INVALID_INPUT"
    );
    assert_eq!(
        sandbox.reason(&["replay", "--stream", "nowhere"]),
        "STREAM_MISSING"
    );
}

#[test]
fn decisions_stay_what_they_were_under_their_own_commit() {
    let sandbox = Sandbox::chain();
    sandbox.amend_policy("\"effect\": \"allow\"", "\"effect\": \"warn\"");
    sandbox.issue("read");
    assert_eq!(sandbox.json(&["replay"])["replayed"], 7);
}

#[test]
fn a_permit_made_wider_is_shown_field_by_field() {
    let sandbox = Sandbox::chain();
    let mut events: Vec<_> = forge::commits(&sandbox, "main")
        .iter()
        .map(|bytes| forge::message(bytes).0)
        .zip(forge::events(&sandbox, "main"))
        .collect();
    let event = &mut events[7].1;
    let mut permit = event["payload"]["permit"].clone();
    permit["expiry_condition"]["sequence_range"] = json!([7, 1000]);
    let permit = forge::with_id(permit);
    event["event_id"] = permit["permit_id"].clone();
    event["payload"]["permit_id"] = permit["permit_id"].clone();
    event["payload"]["permit"] = permit;
    Forger::new(&sandbox).rewrite_events("main", &events);
    assert_eq!(sandbox.reason(&["verify-chain"]), "STREAM_REWOUND");
    assert_snapshot!("wider", sandbox.permit(&["replay"]));
    let found = sandbox.json(&["replay"]);
    assert_eq!(found["divergences"][0]["sequence"], 7);
    assert_snapshot!(
        "wider_json",
        serde_json::to_string_pretty(&found["divergences"]).unwrap()
    );
    assert_eq!(
        sandbox.json(&["replay", "--to", "6"])["divergences"],
        json!([])
    );
}

#[test]
fn an_event_that_misreports_its_mapping_or_request_diverges() {
    for (pointer, value) in [
        ("/payload/mapping/matched_rule_id", json!("never-read-env")),
        ("/payload/mapping/final_severity", json!("warn")),
        ("/payload/request/target", json!("workspace/.env")),
        ("/payload/request/context", json!({"task": 1})),
        ("/payload/sequence", json!(6)),
        ("/payload/stream_id", json!("other")),
        ("/payload/policy_hash", json!("0".repeat(64))),
        ("/payload/governed_commit", json!("HEAD")),
        ("/payload/more", json!(1)),
        ("/policy_hash", json!("0".repeat(64))),
        ("/request_fingerprint", json!("0".repeat(64))),
        ("/event_id", json!("0".repeat(64))),
    ] {
        let sandbox = Sandbox::chain();
        let mut events: Vec<_> = forge::commits(&sandbox, "main")
            .iter()
            .map(|bytes| forge::message(bytes).0)
            .zip(forge::events(&sandbox, "main"))
            .collect();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        events[7].1.pointer_mut(parent).unwrap()[name] = value;
        Forger::new(&sandbox).rewrite_events("main", &events);
        let found = sandbox.json(&["replay"]);
        assert_eq!(found["reason"], "REPLAY_MISMATCH", "{pointer}");
        assert_eq!(found["divergences"][0]["sequence"], 7, "{pointer}");
    }
}

#[test]
fn a_governed_commit_that_is_not_there_proves_nothing() {
    let sandbox = Sandbox::chain();
    let mut event = forge::events(&sandbox, "main")[7].clone();
    event["payload"]["governed_commit"] = json!("1".repeat(40));
    let subject = "permit.issued #8 allow net_egress:https agent:codex";
    Forger::new(&sandbox).append(&sandbox, "main", subject, event);
    assert_eq!(sandbox.reason(&["replay"]), "COMMIT_NOT_GOVERNED");
    sandbox.git(&["config", "--unset", "permit.governedRef"]);
    assert_eq!(sandbox.reason(&["replay"]), "OBJECT_MISSING");
}

#[test]
fn an_older_commit_that_governs_alike_is_no_rollback() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["config", "permit.governedRef", "main"]);
    sandbox.commit("Newer");
    sandbox.issue("read");
    let run = sandbox.run(&["issue", "--request", "requests/read.json", "--at", "HEAD~1"]);
    assert_eq!(
        (run.exit, run.stderr.contains("warning")),
        (0, false),
        "{}",
        run.stderr
    );
    let found = sandbox.json(&["replay"]);
    assert_eq!(found["rollbacks"], json!([]));
    assert_eq!(found["reason"], "OK");
}

#[test]
fn decisions_under_commits_that_are_not_governed_are_told() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["switch", "--quiet", "--create", "side"]);
    sandbox.commit("Aside");
    sandbox.git(&["config", "permit.governedRef", "refs/heads/side"]);
    sandbox.issue("read");
    sandbox.git(&["config", "permit.governedRef", "main"]);
    let found = sandbox.json(&["replay"]);
    assert_eq!(found["reason"], "COMMIT_NOT_GOVERNED");
    assert_eq!(found["divergences"][0]["sequence"], 8);
    assert_eq!(sandbox.json(&["replay", "--to", "7"])["reason"], "OK");
    // The command line names no other trust root; the repository's configuration does.
    assert_eq!(
        sandbox.json(&["--governed-ref", "side", "replay"])["reason"],
        "COMMIT_NOT_GOVERNED"
    );
    sandbox.git(&["config", "permit.governedRef", "side"]);
    assert_eq!(sandbox.json(&["replay"])["reason"], "OK");
}

#[test]
fn another_policy_on_past_decisions() {
    let sandbox = Sandbox::chain();
    assert_snapshot!(
        "simulate_same",
        sandbox.permit(&["simulate", "--policy-at", "HEAD"])
    );
    sandbox.git(&["switch", "--quiet", "--create", "stricter"]);
    let policy =
        std::fs::read_to_string(sandbox.path("governance/policy/acme.policy.json")).unwrap();
    sandbox.write(
        "governance/policy/acme.policy.json",
        policy.replace("\"prefix\": \"agent:\"", "\"prefix\": \"robot:\""),
    );
    sandbox.commit("Robots only");
    sandbox.git(&["switch", "--quiet", "main"]);
    assert_snapshot!(
        "simulate",
        sandbox.permit(&["simulate", "--policy-at", "stricter"])
    );
    let found = sandbox.json(&["simulate", "--policy-at", "stricter"]);
    assert_eq!(
        (
            &found["compared"],
            found["changed"].as_array().unwrap().len()
        ),
        (&json!(6), 3)
    );
    let call = ["simulate", "--policy-at", "stricter", "--fail-on-change"];
    assert_snapshot!("simulate_fail", sandbox.permit(&call));
    let found = sandbox.json(&[
        "simulate",
        "--policy-at",
        "stricter",
        "--from",
        "6",
        "--to",
        "6",
    ]);
    assert_eq!(
        (&found["compared"], &found["changed"]),
        (&json!(1), &json!([]))
    );
    assert_eq!(
        sandbox.reason(&["simulate", "--policy-at", "nowhere"]),
        "INVALID_INPUT"
    );
    assert_eq!(sandbox.reason(&["replay"]), "OK");
}
