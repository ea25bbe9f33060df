//! `permit policy check` and `permit eval --policy`: every fault at once, each with its place; nothing needs a repository.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, fixtures};

const PATH: &str = "governance/policy/acme.policy.json";

fn acme() -> String {
    fs::read_to_string(fixtures().join("repos/acme").join(PATH)).unwrap()
}

/// A folder, no repository, with the policy of acme in which texts are replaced.
fn with(changes: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::empty();
    let text = changes.iter().fold(acme(), |text, (from, to)| {
        assert!(text.contains(from), "the policy holds no `{from}`");
        text.replacen(from, to, 1)
    });
    sandbox.write(PATH, text);
    sandbox
}

const CHECK: [&str; 3] = ["policy", "check", PATH];

#[test]
fn a_sound_policy_is_said_to_be_sound() {
    let sandbox = with(&[]);
    assert_snapshot!("check_sound", sandbox.permit(&CHECK));
    let found = sandbox.json(&["policy", "check"]);
    assert_eq!(found["rules"], 7, "the one of the work tree: {found}");
    let run = sandbox.run_with(&["policy", "check", "-"], acme().as_bytes());
    assert!(run.stdout.starts_with("sound <stdin>"), "{}", run.stdout);
}

#[test]
fn every_fault_is_told_with_line_column_and_rule() {
    let sandbox = with(&[
        ("\"sequence_span\": 50", "\"sequence_span\": \"50\""),
        ("\"effect\": \"warn\"", "\"effect\": \"wran\""),
        ("\"methods\": [\"GET\"]", "\"methods\": [\"get\"]"),
        (
            "\"review_type\": \"production-deploy\"",
            "\"reviewtype\": \"production-deploy\"",
        ),
        ("\"supervisor_id\": \"supervisor:acme\",", ""),
        ("^(?:web|api)$", "^(?:web|api$"),
    ]);
    assert_snapshot!("check_faults", sandbox.permit(&CHECK));
    let found = sandbox.json(&CHECK);
    let places: Vec<Value> = found["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| json!([fault["path"], fault["rule"], fault["line"], fault["column"]]))
        .collect();
    assert_snapshot!(
        "check_faults_json",
        serde_json::to_string_pretty(&places).unwrap()
    );
    let run = sandbox.run(&CHECK);
    for word in [
        "variant",
        "expected",
        "invalid type",
        "serde",
        "u32",
        "i64",
        "string",
        "struct",
    ] {
        assert!(!run.stderr.contains(word), "{word}: {}", run.stderr);
    }
}

#[test]
fn patterns_are_told_once_the_form_is_sound() {
    let sandbox = with(&[
        ("^(?:web|api)$", "^(?:web|api$"),
        ("^service/[a-z-]+$", "service/[a-z-]+$"),
    ]);
    assert_snapshot!("check_patterns", sandbox.permit(&CHECK));
}

#[test]
fn what_is_no_json_is_told_where_it_stands() {
    for (name, from, to) in [
        ("comment", "\"rules\": [", "// the rules\n  \"rules\": ["),
        (
            "trailing_comma",
            "\"admitted_repositories\": [\"acme/web\"]",
            "\"admitted_repositories\": [\"acme/web\",]",
        ),
        (
            "twice",
            "\"policy_version\": \"v1.0\",",
            "\"policy_version\": \"v1.0\", \"policy_id\": \"a\",",
        ),
        (
            "fraction",
            "\"sequence_span\": 50",
            "\"sequence_span\": 50.5",
        ),
    ] {
        let sandbox = with(&[(from, to)]);
        assert_snapshot!(format!("check_json_{name}"), sandbox.permit(&CHECK));
    }
}

#[test]
fn bad_input_has_its_code_and_writes_nothing() {
    let sandbox = with(&[]);
    sandbox.write("binary.json", b"{\"a\": \"\xff\"}");
    sandbox.write("huge.json", vec![b' '; (8 << 20) + 1]);
    sandbox.write("hidden.json", acme().replace("agent:", "agent\u{200b}:"));
    sandbox.write("list.json", "[]");
    let bomb = acme().replace("^(?:web|api)$", "^[a-z]{9999}[0-9]{9999}$");
    sandbox.write("bomb.json", bomb);
    for (file, reason) in [
        ("binary.json", "INVALID_POLICY"),
        ("huge.json", "INVALID_POLICY"),
        ("hidden.json", "INVALID_POLICY"),
        ("list.json", "INVALID_POLICY"),
        ("bomb.json", "LIMIT_EXCEEDED"),
        ("governance", "INVALID_INPUT"),
        ("missing.json", "IO_ERROR"),
    ] {
        assert_eq!(sandbox.reason(&["policy", "check", file]), reason, "{file}");
    }
    sandbox.write("governance/policy/other.policy.json", acme());
    assert_eq!(
        sandbox.reason(&["policy", "check"]),
        "INVALID_POLICY",
        "two policies"
    );
    let repository = Sandbox::acme();
    let at = |rev| repository.reason(&["policy", "check", "--at", rev]);
    assert_eq!(at("HEAD"), "OK");
    assert_eq!(at("nowhere"), "INVALID_INPUT");
    let empty = Sandbox::empty();
    assert_eq!(empty.reason(&["policy", "check"]), "POLICY_MISSING");
}

#[test]
fn a_draft_is_evaluated_without_a_commit() {
    let sandbox = with(&[(
        "\"id\": \"never-read-env\"",
        "\"id\": \"never-read-env\", \"description\": \"Ask for a secret by name instead.\"",
    )]);
    let read = fixtures().join("repos/acme/requests/env.json");
    sandbox.write("env.json", fs::read(read).unwrap());
    let call = ["eval", "--policy", PATH, "--request", "env.json"];
    assert_snapshot!("eval_draft", sandbox.permit(&call));
    assert_eq!(
        sandbox.json(&call)["mapping"]["matched_rule_id"],
        "never-read-env"
    );
    let broken = with(&[("\"effect\": \"warn\"", "\"effect\": \"wran\"")]);
    broken.write("env.json", sandbox_file(&sandbox));
    assert_eq!(broken.reason(&call), "INVALID_POLICY");
}

fn sandbox_file(sandbox: &Sandbox) -> Vec<u8> {
    fs::read(sandbox.path("env.json")).unwrap()
}
