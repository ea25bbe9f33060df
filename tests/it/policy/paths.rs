//! Targets that are paths: which rules meet a writing that names another place than it seems to.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// What a committed policy decides about one request of an agent: the effect and the rule.
pub(super) fn decided(sandbox: &Sandbox, request: &Value) -> (String, String, Value) {
    fs::write(sandbox.aside("request.json"), request.to_string()).unwrap();
    let found = sandbox.json(&["eval", "--request", "../request.json"]);
    let text = |key: &str| found["mapping"][key].as_str().unwrap().to_owned();
    (text("final_severity"), text("matched_rule_id"), found)
}

fn file_request(selector: &str, target: &str) -> Value {
    let operation = selector.strip_prefix("fs.").unwrap_or("run");
    json!({
        "schema": "permit.request.v1",
        "actor_id": "agent:codex",
        "capability": {"kind": "tool", "selector": selector},
        "operation": operation,
        "target": target,
        "context": {},
    })
}

/// A repository under the policy of this one.
fn under_own_policy() -> Sandbox {
    let sandbox = Sandbox::without_commits();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("governance/policy/permit.policy.json");
    sandbox.write(
        "governance/policy/permit.policy.json",
        fs::read(own).unwrap(),
    );
    sandbox.commit("The policy of permit");
    sandbox
}

#[test]
fn an_agent_does_not_write_governance_through_its_sources() {
    let sandbox = under_own_policy();
    let honest = file_request("fs.write", "workspace/src/main.rs");
    assert_eq!(decided(&sandbox, &honest).0, "allow");
    for target in [
        "workspace/src/../governance/policy/permit.policy.json",
        "workspace/src/./../governance/x",
        "workspace/src//x",
        "workspace/src/..",
    ] {
        let (effect, rule, _) = decided(&sandbox, &file_request("fs.write", target));
        assert_eq!(
            (effect.as_str(), rule.as_str()),
            ("block", "never-edit-governance"),
            "{target}"
        );
    }
}

#[test]
fn an_agent_does_not_read_out_of_the_workspace_of_the_scaffold() {
    let sandbox = Sandbox::without_commits();
    sandbox.ok(&["init"]);
    sandbox.commit("The scaffold");
    let honest = file_request("fs.read", "workspace/README.md");
    assert_eq!(decided(&sandbox, &honest).0, "allow");
    let secret = file_request("fs.read", "workspace/../../root/.ssh/id_ed25519");
    let (effect, rule, found) = decided(&sandbox, &secret);
    assert_eq!((effect.as_str(), rule.as_str()), ("block", "default"));
    assert_eq!(found["path_fault"], "a segment `..`");
    let miss = &found["not_matched"][0];
    assert_eq!(
        (&miss["rule_id"], &miss["because"]),
        (&json!("agents-read"), &json!("path_fault"))
    );
    let text = sandbox.ok(&["eval", "--request", "../request.json"]);
    assert!(text.contains("agents-read (path fault)"), "{text}");
}

#[test]
fn words_of_the_shell_are_no_path() {
    let sandbox = Sandbox::acme();
    sandbox.amend_policy("{\"exact\": \"build\"}", "{\"exact\": \"shell.exec\"}");
    let name = "governance/policy/acme.policy.json";
    let text = fs::read_to_string(sandbox.path(name)).unwrap();
    sandbox.write(name, text.replace("^(?:web|api)$", "^ls .*$"));
    sandbox.commit("Words");
    let listing = file_request("shell.exec", "ls ../x//y");
    let (effect, rule, found) = decided(&sandbox, &listing);
    assert_eq!((effect.as_str(), rule.as_str()), ("allow", "build-once"));
    assert_eq!(found["path_fault"], Value::Null);
}
