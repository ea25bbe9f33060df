//! Honest days: what people do who attack nobody has to go on working.

use std::fs;

use serde_json::json;

use crate::sandbox::Sandbox;

/// Carries out what a command said comes next, as it was typed.
fn follow(sandbox: &Sandbox, step: &str) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_permit"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut shell = sandbox.command("sh");
    let output = shell.args(["-c", step]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{step}: {output:?}");
}

#[test]
fn a_solo_developer_with_an_agent_on_a_laptop() {
    let sandbox = Sandbox::without_commits();
    let found = sandbox.json(&["init"]);
    let step = found["next_step"].as_str().unwrap();
    let (_, step) = step.split_once("then run `").unwrap();
    sandbox.commit("Govern what the agent may do");
    follow(&sandbox, step.trim_end_matches('`'));
    // The agent works on a branch, asks, and does what it was permitted to do.
    sandbox.git(&["switch", "-q", "-c", "feature"]);
    let request = json!({"schema": "permit.request.v1", "actor_id": "agent:codex",
        "capability": {"kind": "tool", "selector": "fs.read"},
        "operation": "read", "target": "workspace/README.md", "context": {}});
    fs::write(sandbox.aside("request.json"), request.to_string()).unwrap();
    let request = sandbox.aside("request.json");
    let request = request.to_str().unwrap();
    let issued = sandbox.json(&["issue", "--request", request]);
    assert_eq!(issued["reason"], "OK", "{issued}");
    let main = sandbox.git(&["rev-parse", "main"]);
    assert_eq!(issued["governed_commit"], main.as_str());
    assert_eq!(
        (&issued["governance"], &issued["trust_root"]),
        (&json!("unreviewed"), &json!("user"))
    );
    let permit = sandbox.aside("permit.json");
    fs::write(&permit, issued["permit"].to_string()).unwrap();
    let using = ["use", permit.to_str().unwrap(), "--request", request];
    assert_eq!(sandbox.reason(&using), "OK");
    // Work lands on main, where nobody else reviews; the developer moves the pin along.
    sandbox.write("code.rs", "fn main() {}");
    sandbox.commit("A feature");
    sandbox.git(&["switch", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "Merge", "feature"]);
    assert_eq!(sandbox.reason(&["issue", "--request", request]), "OK");
    assert_eq!(sandbox.reason(&["trust", "--advance"]), "OK");
    // A change of the policy is the developer's own: looked at, and trusted for a reason.
    let path = "governance/policy/permit.policy.json";
    let text = fs::read_to_string(sandbox.path(path)).unwrap();
    sandbox.write(path, text + "\n");
    let now = sandbox.commit("Another policy");
    assert_eq!(
        sandbox.reason(&["trust", "--advance"]),
        "GOVERNANCE_UNREVIEWED"
    );
    let again = [
        "trust",
        "main",
        "--commit",
        &now,
        "--replace",
        "main",
        "--reason",
        "my own change",
    ];
    assert_eq!(sandbox.reason(&again), "OK");
    assert_eq!(sandbox.reason(&["issue", "--request", request]), "OK");
    for call in [&["replay"][..], &["verify-chain"], &["status"]] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
}
