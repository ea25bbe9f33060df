//! The commands that look: `eval`, `status`, `show`, `log`, `checkpoint`, `init`, and those that need no repository.

use std::fs;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, files_below};

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn eval_says_which_rules_matched_and_why_the_others_did_not() {
    let sandbox = Sandbox::acme();
    for name in ["read", "env", "unknown", "ship", "fetch"] {
        let call = ["eval", "--request", &format!("requests/{name}.json")];
        assert_snapshot!(format!("eval_{name}"), sandbox.permit(&call));
        assert_eq!(sandbox.reason(&call), "OK", "whatever the severity");
    }
    let found = sandbox.json(&["eval", "--request", "requests/env.json"]);
    assert_snapshot!("eval_json", pretty(&found));
    assert_eq!(sandbox.json(&["stream", "list"])["streams"], json!([]));
}

#[test]
fn eval_of_a_tie_is_ambiguous_where_the_policy_fails_closed() {
    let sandbox = Sandbox::acme();
    let name = "governance/policy/acme.policy.json";
    let text = fs::read_to_string(sandbox.path(name)).unwrap();
    let text = text
        .replace(
            "\"mode\": \"deny_wins\", \"tie_breaker\": \"stable_order\"",
            "\"mode\": \"explicit_priority\", \"tie_breaker\": \"fail_closed\"",
        )
        .replace("\"priority\": 100", "\"priority\": 10");
    sandbox.write(name, text);
    sandbox.commit("A tie");
    assert_snapshot!(
        "eval_tie",
        sandbox.permit(&["eval", "--request", "requests/env.json"])
    );
    sandbox.ok(&["stream", "open", "main"]);
    let issue = ["issue", "--request", "requests/env.json"];
    assert_snapshot!("issue_tie", sandbox.permit(&issue));
    assert_eq!(
        sandbox.json(&["checkpoint"])["sequence"],
        0,
        "nothing was recorded"
    );
}

#[test]
fn the_projection_of_a_stream() {
    let sandbox = Sandbox::chain();
    assert_snapshot!("status", sandbox.permit(&["status"]));
    assert_snapshot!("status_json", pretty(&sandbox.json(&["status"])));
    assert_snapshot!("log", sandbox.permit(&["log"]));
    assert_snapshot!("log_2", sandbox.permit(&["log", "-n", "2"]));
    assert_snapshot!("log_json", pretty(&sandbox.json(&["log", "-n", "1"])));
    assert_eq!(sandbox.json(&["log", "-n", "0"])["events"], json!([]));
    assert_snapshot!("checkpoint", sandbox.permit(&["checkpoint"]));
    assert_eq!(
        sandbox.ok(&["checkpoint"]),
        sandbox.ok(&["checkpoint", "--format", "json"])
    );
}

#[test]
fn one_permit_with_its_events() {
    let sandbox = Sandbox::chain();
    let id = sandbox.kept("build")["permit_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_snapshot!("show", sandbox.permit(&["show", &id]));
    let found = sandbox.json(&["show", &id]);
    assert_eq!(found["permit"], sandbox.kept("build"));
    assert_eq!(found["events"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.reason(&["show", &"0".repeat(64)]), "NOT_ISSUED");
    assert_eq!(sandbox.reason(&["show", "xyz"]), "INVALID_INPUT");
}

#[test]
fn init_scaffolds_once_and_never_overwrites() {
    let sandbox = Sandbox::without_commits();
    assert_snapshot!("init", sandbox.permit(&["init"]));
    let made = files_below(&sandbox.path("governance"));
    assert_eq!(made, ["README.md", "policy/permit.policy.json"]);
    sandbox.write("governance/README.md", "mine");
    assert_snapshot!("init_again", sandbox.permit(&["init"]));
    assert_eq!(
        fs::read(sandbox.path("governance/README.md")).unwrap(),
        b"mine"
    );
    assert_eq!(
        sandbox.json(&["stream", "list"])["streams"],
        json!([]),
        "nothing is committed yet"
    );
    sandbox.commit("Adopt");
    assert_snapshot!(
        "init_committed",
        sandbox.permit(&["init", "--stream", "ci"])
    );
    let found = sandbox.json(&["init", "--stream", "ci"]);
    assert_eq!(found["created"], json!([]));
    sandbox.ok(&["eval", "--request", fixture("read.json").as_str()]);
    sandbox.git(&["clone", "--quiet", "--bare", ".", "../bare"]);
    let bare = sandbox.aside("bare");
    assert_eq!(
        sandbox.reason(&["init", "--repo", bare.to_str().unwrap()]),
        "INVALID_INPUT"
    );
}

fn fixture(name: &str) -> String {
    let path = crate::sandbox::fixtures()
        .join("repos/acme/requests")
        .join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_policy_under_another_name_is_kept_by_init() {
    let sandbox = Sandbox::acme();
    let found = sandbox.json(&["init"]);
    assert_eq!(
        found["created"],
        json!(["governance/README.md", "refs/permit/streams/main"])
    );
    assert_eq!(found["kept"], json!(["governance/policy/acme.policy.json"]));
    assert_eq!(
        files_below(&sandbox.path("governance/policy")),
        ["acme.policy.json"]
    );
}

#[test]
fn canonical_bytes_and_hashes_alone() {
    let sandbox = Sandbox::empty();
    let input =
        "{\"b\": 1, \"a\": \"\\u00e9\\n\\/\", \"\\ud83d\\ude00\": null, \"\\ufb33\": [true, {}]}"
            .as_bytes();
    let run = sandbox.run_with(&["canonicalize"], input);
    assert_eq!(
        run.stdout,
        "{\"a\":\"é\\n/\",\"b\":1,\"😀\":null,\"\u{fb33}\":[true,{}]}"
    );
    let json = sandbox.run_with(&["canonicalize", "-", "--format", "json"], input);
    assert_eq!(json.stdout, run.stdout);
    // printf 'a.b\n{}' | sha256sum
    let run = sandbox.run_with(&["hash", "--domain", "a.b"], b"{ }");
    assert_eq!(
        run.stdout,
        "343f1c54e548a6ee586e3aa89e3bbf8630926deeff3c56d5892c2ef0c20e8cd1"
    );
    assert_eq!(
        sandbox
            .run_with(&["hash", "--domain", "a.b", "--format", "json"], b"{}")
            .stdout,
        run.stdout
    );
    for wrong in [
        &b"[]"[..],
        b"",
        b"{\"a\":1.0}",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":1,\"a\":1}",
    ] {
        let run = sandbox.run_with(&["canonicalize"], wrong);
        assert_eq!((run.exit, run.stdout.as_str()), (7, ""), "{wrong:?}");
        assert!(
            run.stderr.starts_with("error[INVALID_INPUT]"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(sandbox.run(&["canonicalize", "absent.json"]).exit, 1);
}

#[test]
fn schemas_completions_and_the_manual() {
    let sandbox = Sandbox::empty();
    for name in ["policy", "request", "permit", "checkpoint"] {
        let schema: Value = serde_json::from_str(&sandbox.ok(&["schema", name])).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
    // What may stand beside attestations may be left out, is never `null`, and nothing else stands there.
    let schema: Value = serde_json::from_str(&sandbox.ok(&["schema", "policy"])).unwrap();
    let attested = &schema["$defs"]["AttestedTerms"];
    assert_eq!(attested["required"], json!(["attestations"]));
    assert_eq!(attested["additionalProperties"], false);
    let members = &attested["properties"];
    for (name, kind) in [
        ("min_cross_signers", "integer"),
        ("reviewer_roles", "array"),
        ("require_user_presence", "boolean"),
    ] {
        assert_eq!(members[name]["type"], kind, "{attested}");
        assert_eq!(members[name].get("default"), None, "{attested}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            sandbox.ok(&["completions", shell]).contains("verify-chain"),
            "{shell}"
        );
    }
    assert!(sandbox.ok(&["man"]).contains("permit"));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let sandbox = Sandbox::chain();
    for call in [
        &["log"][..],
        &["man"],
        &["status", "--format", "json"],
        &["stream", "export", "main", "--jsonl", "-"],
    ] {
        let mut command = sandbox.permit_command(call);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code().is_some(), "{call:?} was killed");
        assert_eq!(said, "", "{call:?}");
    }
}

#[test]
fn no_colour_without_a_terminal() {
    let sandbox = Sandbox::chain();
    for call in [
        &["status"][..],
        &["verify-chain"],
        &["issue", "--request", "requests/env.json"],
    ] {
        let output = sandbox
            .permit_command(call)
            .env("TERM", "xterm-256color")
            .output()
            .unwrap();
        assert!(
            !output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b),
            "{call:?}"
        );
    }
}

#[test]
fn text_from_data_is_harmless_on_a_terminal() {
    let sandbox = Sandbox::opened();
    let request = json!({
        "schema": "permit.request.v1", "actor_id": "agent:codex", "operation": "read",
        "target": "workspace/\u{2066}x", "capability": {"kind": "tool", "selector": "fs.read"}, "context": {}
    });
    sandbox.write("requests/odd.json", request.to_string());
    let run = sandbox.run(&["issue", "--request", "requests/odd.json"]);
    assert!(
        run.stderr.contains("workspace/\\u{2066}x for agent:codex"),
        "{}",
        run.stderr
    );
    for call in [
        &["status"][..],
        &["log"],
        &["eval", "--request", "requests/odd.json"],
    ] {
        let run = sandbox.run(call);
        assert!(!run.stdout.contains('\u{2066}'), "{}", run.stdout);
    }
    let run = sandbox.run(&["verify-chain", "--stream", "a\u{1b}[2Jb"]);
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
    let run = sandbox.run(&["eval", "--request", "a\u{1b}[2Jb"]);
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}
