//! `permit verify` and `permit use`: every reason against a permit.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::forge::{self, Forger};
use crate::sandbox::Sandbox;

impl Sandbox {
    /// The call that verifies (or uses) the kept permit of a request.
    fn call(&self, verb: &str, name: &str) -> Vec<String> {
        let request = format!("requests/{name}.json");
        [verb, &self.permit_file(name), "--request", &request]
            .map(str::to_owned)
            .to_vec()
    }

    fn text_of(&self, verb: &str, name: &str) -> String {
        let call = self.call(verb, name);
        self.permit(&call.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn judged(&self, verb: &str, name: &str, more: &[&str]) -> Value {
        let call = self.call(verb, name);
        let call: Vec<_> = call
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        let found = self.json(&call);
        let (reason, checks) = (&found["reason"], found["checks"].as_array().unwrap());
        assert_eq!(found["executable"], reason == "OK", "{found}");
        assert_eq!(
            checks.iter().all(|check| check["ok"] == true),
            reason == "OK",
            "{found}"
        );
        found
    }

    fn verdict_on(&self, name: &str) -> String {
        self.judged("verify", name, &[])["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Keeps another permit in place of the one of a request.
    fn replace_permit(&self, name: &str, permit: &Value) {
        fs::write(self.permit_file(name), permit.to_string()).unwrap();
    }
}

#[test]
fn a_permit_that_holds() {
    let sandbox = Sandbox::chain();
    assert_snapshot!("verify", sandbox.text_of("verify", "read"));
    let found = sandbox.judged("verify", "read", &["--actor", "agent:codex"]);
    assert_snapshot!("verify_json", serde_json::to_string_pretty(&found).unwrap());
    assert_snapshot!("verify_warn", sandbox.text_of("verify", "write"));
    assert_eq!(
        sandbox.tip("main"),
        Sandbox::chain().tip("main"),
        "verifying writes nothing"
    );
    assert_snapshot!("use", sandbox.text_of("use", "read"));
    let found = sandbox.judged("use", "read", &[]);
    assert_snapshot!("use_json", serde_json::to_string_pretty(&found).unwrap());
    assert_eq!(found["sequence"], 9);
    assert_eq!(found["commit"], sandbox.tip("main"));
}

#[test]
fn a_one_shot_is_used_once() {
    let sandbox = Sandbox::opened();
    sandbox.issue("build");
    assert_eq!(sandbox.judged("use", "build", &[])["reason"], "OK");
    assert_snapshot!("used_before", sandbox.text_of("use", "build"));
    assert_eq!(sandbox.verdict_on("build"), "ALREADY_USED");
}

#[test]
fn a_one_shot_for_its_own_event_is_used_at_that_event() {
    let sandbox = Sandbox::opened();
    sandbox.issue("token");
    assert_eq!(sandbox.judged("use", "token", &[])["reason"], "OK");
    assert_eq!(
        sandbox.verdict_on("token"),
        "ALREADY_USED",
        "not EXPIRED, whatever the range"
    );
    sandbox.issue("token");
    sandbox.issue("read");
    assert_eq!(sandbox.verdict_on("token"), "EXPIRED");
}

#[test]
fn a_denial_is_never_executable() {
    let sandbox = Sandbox::chain();
    assert_snapshot!("denial", sandbox.text_of("verify", "env"));
    assert_eq!(
        sandbox.judged("use", "env", &[])["reason"],
        "DECISION_BLOCK"
    );
    assert_eq!(sandbox.verdict_on("unknown"), "DECISION_BLOCK");
}

#[test]
fn a_permit_expires_when_the_stream_moves_on() {
    let sandbox = Sandbox::opened();
    sandbox.issue("fetch");
    for _ in 0..2 {
        sandbox.issue("read");
        assert_eq!(sandbox.verdict_on("fetch"), "OK");
    }
    sandbox.issue("read");
    assert_snapshot!("expired", sandbox.text_of("verify", "fetch"));
}

#[test]
fn a_permit_for_one_commit_ends_with_it() {
    let sandbox = Sandbox::chain();
    sandbox.write("README.md", "changed");
    assert_eq!(
        sandbox.verdict_on("write"),
        "OK",
        "an uncommitted change is none"
    );
    sandbox.commit("Changed");
    assert_snapshot!("another_commit", sandbox.text_of("verify", "write"));
    assert_eq!(
        sandbox.judged("verify", "write", &["--at", "HEAD~1"])["reason"],
        "COMMIT_MISMATCH",
        "the tip judges it, whatever `--at`"
    );
    assert_eq!(sandbox.verdict_on("read"), "OK");
}

#[test]
fn another_policy_ends_every_permit() {
    let sandbox = Sandbox::chain();
    sandbox.amend_policy(
        "\"policy_version\": \"v1.0\"",
        "\"policy_version\": \"v1.1\"",
    );
    assert_snapshot!("another_policy", sandbox.text_of("verify", "read"));
    assert_eq!(
        sandbox.judged("verify", "read", &["--at", "HEAD~1"])["reason"],
        "GOVERNED_STALE",
        "what was withdrawn is not used again"
    );
}

#[test]
fn white_space_and_order_in_the_policy_change_nothing() {
    let sandbox = Sandbox::chain();
    let path = "governance/policy/acme.policy.json";
    let mut policy: Value = serde_json::from_slice(&fs::read(sandbox.path(path)).unwrap()).unwrap();
    policy["rules"].as_array_mut().unwrap().reverse();
    sandbox.write(path, policy.to_string());
    sandbox.commit("The same policy, written otherwise");
    assert_eq!(sandbox.verdict_on("read"), "OK");
}

#[test]
fn a_request_that_differs_in_anything_is_another_request() {
    let sandbox = Sandbox::chain();
    let path = sandbox.path("requests/read.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (pointer, value) in [
        ("/actor_id", json!("agent:codex2")),
        ("/capability/kind", json!("net_egress")),
        ("/capability/selector", json!("fs.reads")),
        ("/operation", json!("READ")),
        ("/target", json!("workspace/README.md ")),
        ("/context", json!({})),
        ("/context", json!({"task": "43"})),
        ("/context", json!({"task": 42})),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, other.to_string()).unwrap();
        assert_eq!(sandbox.verdict_on("read"), "UNBOUND_REQUEST", "{pointer}");
    }
    fs::write(&path, serde_json::to_string_pretty(&good).unwrap()).unwrap();
    assert_eq!(
        sandbox.verdict_on("read"),
        "OK",
        "white space is not a difference"
    );
}

/// Each field of a permit with another value that has the field's form.
fn changes(sandbox: &Sandbox) -> Vec<(&'static str, Value)> {
    let (hash, commit) = ("a".repeat(64), sandbox.git(&["rev-parse", "HEAD"]));
    vec![
        ("/policy_hash", json!(hash)),
        ("/request_fingerprint", json!(hash)),
        ("/prev_event_hash", json!(hash)),
        ("/capability/kind", json!("secret_use")),
        ("/capability/selector", json!("fs.write")),
        ("/permit_scope/selector", json!("fs.write")),
        ("/permit_scope/mode", json!("one_shot")),
        ("/decision", json!("warn")),
        ("/decision", json!("block")),
        ("/issued_by", json!("supervisor:mallory")),
        ("/issued_at_sequence", json!(2)),
        ("/issued_at_sequence", json!(99)),
        ("/expiry_condition/sequence_range", json!([1, 9999])),
        ("/expiry_condition/sequence_range", json!([0, 51])),
        (
            "/expiry_condition",
            json!({"type": "valid_for_commit", "commit_sha": commit}),
        ),
        ("/stream_id", json!("other")),
    ]
}

#[test]
fn a_permit_changed_in_any_field_fails_with_or_without_a_fitting_id() {
    let sandbox = Sandbox::chain();
    sandbox.ok(&["stream", "open", "other"]);
    let good = sandbox.kept("read");
    for (pointer, value) in changes(&sandbox) {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        sandbox.replace_permit("read", &changed);
        assert_eq!(
            sandbox.verdict_on("read"),
            "PERMIT_ID_MISMATCH",
            "{pointer}: {value}"
        );
        sandbox.replace_permit("read", &forge::with_id(changed));
        assert_eq!(
            sandbox.verdict_on("read"),
            "NOT_ISSUED",
            "{pointer}: {value}"
        );
    }
    let mut changed = good.clone();
    changed["permit_id"] = json!("a".repeat(64));
    sandbox.replace_permit("read", &changed);
    assert_eq!(sandbox.verdict_on("read"), "PERMIT_ID_MISMATCH");
    sandbox.replace_permit("read", &good);
    assert_eq!(sandbox.verdict_on("read"), "OK");
}

#[test]
fn a_permit_that_an_attacker_appended_to_the_stream_is_derived_otherwise() {
    for (pointer, value) in changes(&Sandbox::opened()) {
        // The place in the stream is given by the forged event, and another request or policy is told first.
        if [
            "/prev_event_hash",
            "/issued_at_sequence",
            "/stream_id",
            "/policy_hash",
            "/request_fingerprint",
        ]
        .contains(&pointer)
        {
            continue;
        }
        let sandbox = Sandbox::chain();
        let newest = sandbox.json(&["checkpoint"]);
        let mut event = forge::events(&sandbox, "main")[1].clone();
        let mut permit = event["payload"]["permit"].clone();
        permit["prev_event_hash"] = newest["event_hash"].clone();
        permit["issued_at_sequence"] = json!(8);
        permit["expiry_condition"]["sequence_range"] = json!([8, 58]);
        let value = if value == json!([0, 51]) {
            json!([0, 58])
        } else {
            value
        };
        *permit.pointer_mut(pointer).unwrap() = value.clone();
        let permit = forge::with_id(permit);
        let payload = &mut event["payload"];
        for name in ["permit_id", "prev_event_hash"] {
            payload[name] = permit[name].clone();
        }
        payload["sequence"] = json!(8);
        payload["permit"] = permit.clone();
        event["event_id"] = permit["permit_id"].clone();
        let word = |pointer: &str| {
            permit
                .pointer(pointer)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        let subject = format!(
            "permit.issued #8 {} {}:{} agent:codex",
            word("/decision"),
            word("/capability/kind"),
            word("/capability/selector")
        );
        Forger::new(&sandbox).append(&sandbox, "main", &subject, event);
        assert_eq!(
            sandbox.reason(&["verify-chain"]),
            "OK",
            "{pointer}: a well-formed chain"
        );
        sandbox.replace_permit("read", &permit);
        assert_eq!(
            sandbox.verdict_on("read"),
            "REPLAY_MISMATCH",
            "{pointer}: {value}"
        );
        assert_eq!(
            sandbox.judged("use", "read", &[])["reason"],
            "REPLAY_MISMATCH"
        );
        assert_eq!(
            sandbox.reason(&["replay"]),
            "REPLAY_MISMATCH",
            "{pointer}: {value}"
        );
    }
}

#[test]
fn an_event_that_misreports_what_it_issued_is_not_believed() {
    for (pointer, value, reason) in [
        (
            "/payload/mapping/matched_rule_id",
            json!("other"),
            "REPLAY_MISMATCH",
        ),
        (
            "/payload/mapping/final_severity",
            json!("warn"),
            "REPLAY_MISMATCH",
        ),
        (
            "/payload/request/target",
            json!("workspace/.env"),
            "REPLAY_MISMATCH",
        ),
        (
            "/payload/request/context",
            json!({"task": 1}),
            "REPLAY_MISMATCH",
        ),
        (
            "/payload/governed_commit",
            json!("0".repeat(40)),
            "REPLAY_MISMATCH",
        ),
        ("/payload/governed_commit", json!("HEAD"), "REPLAY_MISMATCH"),
        (
            "/payload/governed_commit",
            json!("1".repeat(40)),
            "COMMIT_NOT_GOVERNED",
        ),
        ("/payload/sequence", json!(6), "REPLAY_MISMATCH"),
        ("/payload/review", json!({}), "REPLAY_MISMATCH"),
        ("/payload/more", json!(1), "REPLAY_MISMATCH"),
    ] {
        let sandbox = Sandbox::chain();
        let mut events: Vec<_> = forge::commits(&sandbox, "main")
            .iter()
            .map(|bytes| forge::message(bytes).0)
            .zip(forge::events(&sandbox, "main"))
            .collect();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        events[7].1.pointer_mut(parent).unwrap()[name] = value.clone();
        Forger::new(&sandbox).rewrite_events("main", &events);
        sandbox.forget();
        assert_eq!(sandbox.reason(&["verify-chain"]), "OK", "{pointer}");
        let before = sandbox.tip("main");
        for verb in ["verify", "use"] {
            let found = sandbox.judged(verb, "fetch", &[]);
            assert_eq!(found["reason"], reason, "{verb} {pointer} {value}");
        }
        assert_eq!(sandbox.tip("main"), before, "{pointer}: nothing was used");
        assert_eq!(sandbox.reason(&["replay"]), reason, "{pointer} {value}");
    }
}

#[test]
fn an_event_of_a_commit_that_is_not_governed_is_not_believed() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["switch", "--quiet", "--create", "side"]);
    sandbox.commit("Aside");
    sandbox.git(&["config", "permit.governedRef", "refs/heads/side"]);
    sandbox.issue("read");
    assert_eq!(sandbox.verdict_on("read"), "OK");
    sandbox.git(&["config", "permit.governedRef", "main"]);
    assert_eq!(sandbox.verdict_on("read"), "COMMIT_NOT_GOVERNED");
}

#[test]
fn a_permit_of_another_repository_was_not_issued_here() {
    let (here, there) = (Sandbox::opened(), Sandbox::opened());
    there.issue("build");
    there.issue("read");
    here.issue("read");
    here.replace_permit("read", &there.kept("read"));
    assert_eq!(here.verdict_on("read"), "NOT_ISSUED");
    here.issue("build");
    assert_eq!(here.verdict_on("read"), "NOT_ISSUED");
    here.git(&["update-ref", "-d", "refs/permit/streams/main"]);
    assert_snapshot!("stream_missing", here.text_of("verify", "read"));
}

#[test]
fn the_actor_is_the_one_that_was_authenticated() {
    let sandbox = Sandbox::chain();
    assert_eq!(
        sandbox.judged("verify", "read", &[])["actor"],
        "unauthenticated"
    );
    let found = sandbox.judged("verify", "read", &["--actor", "agent:codex"]);
    assert_eq!(
        (&found["reason"], &found["actor"]),
        (&json!("OK"), &json!("agent:codex"))
    );
    for verb in ["verify", "use"] {
        let found = sandbox.judged(verb, "read", &["--actor", "agent:mallory"]);
        assert_eq!(found["reason"], "ACTOR_MISMATCH");
    }
    let call = [
        "issue",
        "--request",
        "requests/read.json",
        "--actor",
        "human:ana",
    ];
    assert_snapshot!("issue_for_another_actor", sandbox.permit(&call));
    assert_eq!(sandbox.tip("main"), Sandbox::chain().tip("main"));
}

#[test]
fn a_checkpoint_shows_that_the_stream_was_set_back_or_replaced() {
    let sandbox = Sandbox::chain();
    let file = sandbox.aside("checkpoint.json");
    let file = file.to_str().unwrap();
    fs::write(file, sandbox.ok(&["checkpoint"])).unwrap();
    let with = ["--checkpoint", file];
    assert_eq!(sandbox.judged("verify", "read", &with)["reason"], "OK");
    sandbox.issue("build");
    assert_eq!(sandbox.judged("verify", "read", &with)["reason"], "OK");
    sandbox.git(&[
        "update-ref",
        "refs/permit/streams/main",
        "refs/permit/streams/main~2",
    ]);
    assert_eq!(
        sandbox.judged("verify", "read", &with)["reason"],
        "STREAM_REWOUND"
    );
    // A clone that never saw the newer events has its checkpoint.
    sandbox.forget();
    assert_eq!(
        sandbox.judged("verify", "read", &with)["reason"],
        "CHAIN_TRUNCATED"
    );
    assert_eq!(
        sandbox.judged("use", "read", &with)["reason"],
        "CHAIN_TRUNCATED"
    );
    sandbox.issue("token");
    assert_eq!(
        sandbox.judged("verify", "read", &with)["reason"],
        "CHAIN_FORKED"
    );
    assert_eq!(sandbox.judged("verify", "read", &[])["reason"], "OK");
    fs::write(file, "{}").unwrap();
    assert_eq!(sandbox.judged_unread("read", &with), "INVALID_INPUT");
}

impl Sandbox {
    fn judged_unread(&self, name: &str, more: &[&str]) -> String {
        let call = self.call("verify", name);
        let call: Vec<_> = call
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        self.reason(&call)
    }
}

#[test]
fn what_is_no_permit_or_no_request() {
    let sandbox = Sandbox::chain();
    sandbox.write("junk.json", "{\"permit_id\": 1}");
    let request = ["--request", "requests/read.json"];
    assert_snapshot!(
        "no_permit",
        sandbox.permit(&[&["verify", "junk.json"][..], &request].concat())
    );
    let permit = sandbox.permit_file("read");
    assert_eq!(
        sandbox.reason(&["verify", &permit, "--request", "junk.json"]),
        "INVALID_REQUEST"
    );
    assert_eq!(
        sandbox.reason(&["verify", &permit, "--request", "absent.json"]),
        "IO_ERROR"
    );
    assert_eq!(
        sandbox.reason(&["verify", "absent.json", "--request", "requests/read.json"]),
        "IO_ERROR"
    );
    assert_eq!(
        sandbox.reason(&[&["verify", &permit, "--at", "nowhere"][..], &request].concat()),
        "INVALID_INPUT"
    );
    let huge = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    sandbox.write("huge.json", huge);
    assert_eq!(
        sandbox.reason(&[&["verify", "huge.json"][..], &request].concat()),
        "INVALID_PERMIT"
    );
    assert_eq!(
        sandbox.reason(&["verify", &permit, "--request", "huge.json"]),
        "INVALID_REQUEST"
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let sandbox = Sandbox::chain();
    let permit = fs::read(sandbox.permit_file("read")).unwrap();
    let run = sandbox.run_with(&["verify", "-", "--request", "requests/read.json"], &permit);
    assert_eq!(run.exit, 0);
    let request = fs::read(sandbox.path("requests/read.json")).unwrap();
    let run = sandbox.run_with(
        &["verify", &sandbox.permit_file("read"), "--request", "-"],
        &request,
    );
    assert_eq!(run.exit, 0);
    let run = sandbox.run_with(&["issue", "--request", "-"], &request);
    assert_eq!(run.exit, 0);
    let call = ["verify", "-", "--request", "-", "--format", "json"];
    let run = sandbox.run_with(&call, &permit);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&found["reason"], run.exit),
        (&json!("INVALID_INPUT"), 7),
        "it can be read once"
    );
}
