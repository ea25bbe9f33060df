//! What was withdrawn is not used again: attack 5, and what stays honest beside it.

use std::fs;

use serde_json::{Value, json};

use crate::guard::world::{Run, World, policy};
use crate::sandbox::Sandbox;

const POLICY: &str = "governance/policy/acme.policy.json";
const ISSUE: [&str; 3] = ["issue", "--request", "requests/read.json"];

/// A chain whose governed ref is `main`.
fn governed() -> Sandbox {
    let sandbox = Sandbox::chain();
    sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
    sandbox
}

/// Withdraws what the policy allows, in a commit of its own.
fn withdraw(sandbox: &Sandbox) {
    sandbox.amend_policy(
        "\"policy_version\": \"v1.0\"",
        "\"policy_version\": \"v1.1\"",
    );
}

fn at<'a>(call: &[&'a str], rev: &'a str) -> Vec<&'a str> {
    [call, &["--at", rev]].concat()
}

#[test]
fn issue_at_old_under_a_withdrawn_policy() {
    let sandbox = governed();
    sandbox.issue("read");
    withdraw(&sandbox);
    let tip = sandbox.tip("main");
    assert_eq!(sandbox.reason(&at(&ISSUE, "HEAD~1")), "GOVERNED_STALE");
    let batch = ["issue", "--batch", "requests/read.json"];
    assert_eq!(
        sandbox.reason_of_last_line(&at(&batch, "HEAD~1")),
        "GOVERNED_STALE"
    );
    assert_eq!(
        sandbox.reason(&at(&["stream", "open", "other"], "HEAD~1")),
        "GOVERNED_STALE"
    );
    assert_eq!(sandbox.tip("main"), tip, "nothing is appended");
    // Looking at the past stays possible.
    let eval = ["eval", "--request", "requests/read.json"];
    assert_eq!(sandbox.reason(&at(&eval, "HEAD~1")), "OK");
    assert_eq!(sandbox.reason(&["replay"]), "OK");
}

#[test]
fn a_governed_commit_with_equal_governance_is_in_force() {
    let sandbox = governed();
    for round in 0..3 {
        sandbox.write("README.md", format!("content {round}"));
        sandbox.commit("Content");
    }
    sandbox.write("governance/README.md", "no part of the digest");
    sandbox.commit("A word on governance");
    let policy = sandbox.path(POLICY);
    let run = sandbox.run(&at(&ISSUE, "HEAD~4"));
    assert_eq!(run.exit, 0, "{}", run.stderr);
    // What went away and came back is in force again.
    let text = fs::read_to_string(&policy).unwrap();
    withdraw(&sandbox);
    assert_eq!(sandbox.reason(&at(&ISSUE, "HEAD~1")), "GOVERNED_STALE");
    sandbox.write(POLICY, &text);
    sandbox.commit("Restored");
    let run = sandbox.run(&at(&ISSUE, "HEAD~2"));
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert_eq!(sandbox.reason(&at(&ISSUE, "HEAD~1")), "GOVERNED_STALE");
    assert_eq!(sandbox.reason(&["replay"]), "OK");
}

#[test]
fn a_link_does_not_pass_for_the_file_whose_bytes_it_has() {
    let sandbox = governed();
    let path = "governance/principals.json";
    sandbox.write(path, "target");
    sandbox.commit("A file");
    sandbox.issue("read");
    fs::remove_file(sandbox.path(path)).unwrap();
    std::os::unix::fs::symlink("target", sandbox.path(path)).unwrap();
    sandbox.commit("A link");
    assert_eq!(sandbox.reason(&at(&ISSUE, "HEAD~1")), "GOVERNED_STALE");
}

#[test]
fn verify_and_use_at_old_under_a_withdrawn_policy() {
    let sandbox = governed();
    sandbox.write("README.md", "content");
    sandbox.commit("Content");
    withdraw(&sandbox);
    let permit = sandbox.permit_file("read");
    for command in ["verify", "use"] {
        let call = [command, &permit, "--request", "requests/read.json"];
        let found = sandbox.json(&at(&call, "HEAD~1"));
        assert_eq!(found["executable"], false, "{found}");
        assert_eq!(found["reason"], "GOVERNED_STALE", "{found}");
    }
}

#[test]
fn a_permit_for_one_commit_is_judged_by_the_tip_whatever_at() {
    let sandbox = governed();
    let permit = sandbox.permit_file("write");
    let call = ["verify", &permit, "--request", "requests/write.json"];
    assert_eq!(sandbox.reason(&call), "OK");
    sandbox.write("README.md", "content");
    sandbox.commit("Content");
    assert_eq!(sandbox.reason(&call), "COMMIT_MISMATCH");
    assert_eq!(sandbox.reason(&at(&call, "HEAD~1")), "COMMIT_MISMATCH");
    let status = sandbox.json(&at(&["status"], "HEAD~1"));
    let bound = status["permits"].as_array().unwrap();
    let bound = bound.iter().find(|permit| permit["sequence"] == 5).unwrap();
    assert_eq!(bound["state"], "commit_moved");
}

#[test]
fn exec_at_old_under_a_withdrawn_policy() {
    let world = World::new();
    world.git("a", &["config", "permit.governedRef", "refs/heads/main"]);
    let request = world.request("run.often", &json!({"argv": ["true"]}));
    let permit = world.issue("a", &request);
    let exec = |rev: &str| {
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "a");
        command.args(["exec", &permit, "--request", &request, "--at", rev]);
        command.env("ENFORCEMENT_MODE", "enforce");
        Run::of(&command.output().unwrap())
    };
    world.write("a", "README", "content");
    world.commit("a", "Content");
    assert_eq!(exec("HEAD~1").exit, 0, "content alone makes nothing stale");
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Another policy");
    let run = exec("HEAD~1");
    assert_eq!(run.exit, 106, "{run:?}");
    assert!(run.stderr.contains("GOVERNED_STALE"), "{run:?}");
}

#[test]
fn a_stream_that_goes_back_to_another_governance_is_found_by_replay() {
    let sandbox = governed();
    let old = sandbox.git(&["rev-parse", "HEAD"]);
    let text = fs::read_to_string(sandbox.path(POLICY)).unwrap();
    sandbox.write("governance/surfaces.json", "{}");
    sandbox.commit("Other governance");
    sandbox.issue("read");
    let newer = sandbox.git(&["rev-parse", "HEAD"]);
    assert_eq!(sandbox.json(&["replay"])["rollbacks"], json!([]));
    // What a client without this rule would append: a permit under the older commit.
    sandbox.git(&["config", "--unset", "permit.governedRef"]);
    sandbox.git(&["switch", "-q", "--detach", &old]);
    assert_eq!(fs::read_to_string(sandbox.path(POLICY)).unwrap(), text);
    for _ in 0..2 {
        let run = sandbox.run(&[&ISSUE[..], &["--ungoverned"]].concat());
        assert_eq!(run.exit, 0, "{}", run.stderr);
    }
    sandbox.git(&["switch", "-q", "main"]);
    sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
    let run = sandbox.run(&["replay", "--format", "json"]);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.exit, &found["reason"]), (6, &json!("GOVERNED_STALE")));
    let rollbacks = found["rollbacks"].as_array().unwrap();
    assert_eq!(rollbacks.len(), 1, "permits in a row are one: {found}");
    assert_eq!(rollbacks[0]["governed_commit"], json!(old));
    assert_eq!(rollbacks[0]["previous"], json!(newer));
    assert_eq!(rollbacks[0]["sequence"], 9);
    // Forward again is no second one, and what is said of the past stays said.
    sandbox.issue("read");
    assert_eq!(
        sandbox.json(&["replay"])["rollbacks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_permit_under_a_withdrawn_policy_is_stale_at_the_boundary() {
    let world = World::adopted();
    let request = world.request("run.often", &json!({}));
    world.issue("a", &request);
    // Content alone makes nothing stale.
    world.write("a", "README", "content");
    world.commit("a", "Content");
    world.pushed("a", &["main"]);
    world.pushed("a", &["refs/permit/streams/main"]);
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Another policy");
    world.review_change("a");
    world.git("a", &["config", "--unset", "permit.governedRef"]);
    let issue = ["issue", "--ungoverned", "--request", &request];
    world.ok("a", &at(&issue, "origin/main"));
    world.pushed("a", &["main"]);
    world.denied("a", &["refs/permit/streams/main"], "GOVERNED_STALE");
}

#[test]
fn a_use_under_a_withdrawn_policy_is_stale_at_the_boundary() {
    let world = World::adopted();
    let request = world.request("run", &json!({}));
    let permit = world.issue("a", &request);
    world.pushed("a", &["refs/permit/streams/main"]);
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Another policy");
    world.review_change("a");
    world.git("a", &["config", "--unset", "permit.governedRef"]);
    let used = ["use", "--ungoverned", &permit, "--request", &request];
    world.ok("a", &at(&used, "origin/main"));
    world.pushed("a", &["main"]);
    world.denied("a", &["refs/permit/streams/main"], "GOVERNED_STALE");
}
