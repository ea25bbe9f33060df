//! Attack 14: trust from nowhere. The ref that governs is named by a person, pinned, and changed only for a reason.

use std::fs;

use serde_json::Value;

use crate::guard::world::World;
use crate::sandbox::Sandbox;

const MAIN: &str = "refs/heads/main";
const ISSUE: [&str; 3] = ["issue", "--request", "requests/read.json"];

fn fresh() -> (Sandbox, String) {
    let sandbox = Sandbox::acme();
    sandbox.git(&["config", "--unset", "permit.governedRef"]);
    let tip = sandbox.git(&["rev-parse", MAIN]);
    (sandbox, tip)
}

fn config(sandbox: &Sandbox, key: &str) -> String {
    let mut command = sandbox.command("git");
    command.args(["config", "--local", "--get", key]);
    let found = command.output().unwrap().stdout;
    String::from_utf8(found).unwrap().trim_end().to_owned()
}

fn log(sandbox: &Sandbox) -> Vec<Value> {
    let text = fs::read_to_string(sandbox.path(".git/permit/trust.log")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn attack_14_trust_names_the_ref_pins_its_tip_and_says_whom_it_trusts() {
    let (sandbox, tip) = fresh();
    assert_eq!(sandbox.reason(&ISSUE), "UNGOVERNED");
    let call = ["trust", MAIN, "--commit", &tip, "--role", "supervisor"];
    let found = sandbox.json(&call);
    assert_eq!(found["reason"], "OK", "{found}");
    assert_eq!(found["governed_ref"], MAIN);
    assert_eq!(found["trusted_commit"], tip.as_str());
    assert_eq!(found["governed_commit"], tip.as_str());
    assert_eq!(found["trust_root"], "user");
    assert!(found["policy"]["policy_hash"].is_string() && found["principals"].is_array());
    assert_eq!(config(&sandbox, "permit.governedRef"), MAIN);
    assert_eq!(config(&sandbox, "permit.trustedCommit"), tip);
    assert_eq!(config(&sandbox, "permit.role"), "supervisor");
    assert_eq!(log(&sandbox).len(), 1);
    let issue = [&ISSUE[..], &["--open-stream"]].concat();
    assert_eq!(sandbox.reason(&issue), "OK");
    // The same again changes nothing, and says so.
    let found = sandbox.json(&call);
    assert_eq!(
        (&found["reason"], &found["changed"]),
        (&"OK".into(), &Value::Array(vec![]))
    );
    assert_eq!(log(&sandbox).len(), 1);
    let run = sandbox.run(&call);
    assert!(
        run.stdout.contains("policy    acme") && run.stderr.contains("can change the trust root")
    );
}

#[test]
fn attack_14_a_symbolic_name_another_commit_or_nobody_asked_is_no_trust() {
    let (sandbox, tip) = fresh();
    sandbox.git(&["symbolic-ref", "refs/heads/alias", MAIN]);
    for name in ["HEAD", "@", "FETCH_HEAD", "alias", "refs/heads/alias"] {
        let found = sandbox.json(&["trust", name, "--commit", &tip]);
        assert_eq!(found["reason"], "INVALID_INPUT", "{name}");
        assert!(
            found["next_step"].as_str().unwrap().contains(MAIN),
            "{found}"
        );
    }
    sandbox.git(&["checkout", "-q", "--detach"]);
    assert_eq!(
        sandbox.reason(&["trust", "HEAD", "--commit", &tip]),
        "INVALID_INPUT"
    );
    sandbox.git(&["checkout", "-q", "main"]);
    let later = sandbox.commit("Later");
    assert_eq!(
        sandbox.reason(&["trust", MAIN, "--commit", &tip]),
        "COMMIT_NOT_GOVERNED"
    );
    let gone = ["trust", "refs/heads/gone", "--commit", &later];
    assert_eq!(sandbox.reason(&gone), "COMMIT_NOT_GOVERNED");
    assert_eq!(
        sandbox.reason(&["trust", MAIN, "--commit", "main"]),
        "INVALID_INPUT"
    );
    // Neither a terminal nor a commit; a change without its reason.
    assert_eq!(sandbox.run(&["trust", MAIN]).exit, 2);
    assert_eq!(
        sandbox
            .run(&["trust", MAIN, "--commit", &later, "--replace", MAIN])
            .exit,
        2
    );
    assert_eq!(config(&sandbox, "permit.governedRef"), "");
    assert!(log(&sandbox).is_empty());
}

#[test]
fn attack_14_what_is_trusted_changes_only_for_a_reason_and_never_by_an_executor() {
    let (sandbox, tip) = fresh();
    sandbox.ok(&["trust", "main", "--commit", &tip]);
    let later = sandbox.commit("Later");
    sandbox.git(&["branch", "side"]);
    for name in [MAIN, "refs/heads/side"] {
        assert_eq!(
            sandbox.reason(&["trust", name, "--commit", &later]),
            "INVALID_INPUT"
        );
    }
    let side = ["trust", "side", "--commit", &later, "--reason", "moved"];
    let with = |old| [&side[..], &["--replace", old]].concat();
    assert_eq!(sandbox.reason(&with("refs/heads/other")), "INVALID_INPUT");
    assert_eq!(config(&sandbox, "permit.trustedCommit"), tip);
    assert_eq!(sandbox.reason(&with(MAIN)), "OK");
    assert_eq!(config(&sandbox, "permit.governedRef"), "refs/heads/side");
    assert_eq!(log(&sandbox)[1]["reason"], "moved");
    sandbox.git(&["config", "permit.role", "executor"]);
    let back = [
        "trust",
        "main",
        "--commit",
        &later,
        "--replace",
        "side",
        "--reason",
        "back",
    ];
    assert_eq!(sandbox.reason(&back), "ROLE_FORBIDDEN");
    let role = ["trust", "side", "--commit", &later, "--role", "supervisor"];
    assert_eq!(sandbox.reason(&role), "ROLE_FORBIDDEN");
    sandbox.commit("More");
    sandbox.git(&["branch", "-f", "side"]);
    assert_eq!(sandbox.reason(&["trust", "--advance"]), "ROLE_FORBIDDEN");
    assert_eq!(log(&sandbox).len(), 2);
}

#[test]
fn attack_14_a_history_without_the_pinned_commit_does_not_govern() {
    let (sandbox, tip) = fresh();
    sandbox.ok(&["trust", MAIN, "--commit", &tip]);
    sandbox.git(&["commit", "-q", "--amend", "-m", "Another past"]);
    assert_eq!(sandbox.reason(&ISSUE), "COMMIT_NOT_GOVERNED");
    assert_eq!(
        sandbox.reason(&["trust", "--advance"]),
        "COMMIT_NOT_GOVERNED"
    );
    let now = sandbox.git(&["rev-parse", MAIN]);
    let call = [
        "trust",
        MAIN,
        "--commit",
        &now,
        "--replace",
        MAIN,
        "--reason",
        "amended",
    ];
    assert_eq!(sandbox.reason(&call), "OK");
    let issue = [&ISSUE[..], &["--open-stream"]].concat();
    assert_eq!(sandbox.reason(&issue), "OK");
}

#[test]
fn attack_14_the_pin_moves_on_alone_only_over_what_was_reviewed() {
    let (sandbox, tip) = fresh();
    assert_eq!(sandbox.reason(&["trust", "--advance"]), "UNGOVERNED");
    sandbox.ok(&["trust", MAIN, "--commit", &tip]);
    sandbox.write("README", "more");
    let later = sandbox.commit("No governance in it");
    assert_eq!(sandbox.reason(&["trust", "--advance"]), "OK");
    assert_eq!(config(&sandbox, "permit.trustedCommit"), later);
    assert_eq!(log(&sandbox)[1]["advanced"], true);
    let text = fs::read_to_string(sandbox.path("governance/policy/acme.policy.json")).unwrap();
    sandbox.write("governance/policy/acme.policy.json", text + "\n");
    sandbox.commit("Nobody reviewed this");
    assert_eq!(
        sandbox.reason(&["trust", "--advance"]),
        "GOVERNANCE_UNREVIEWED"
    );
    assert_eq!(config(&sandbox, "permit.trustedCommit"), later);
}

#[test]
fn a_clone_that_follows_a_remote_is_pinned_and_fetches_its_streams() {
    let world = World::adopted();
    world.git("", &["clone", "-q", "server.git", "b"]);
    let name = "refs/remotes/origin/main";
    let request = world.request("run", &serde_json::json!({}));
    world.git("b", &["symbolic-ref", "HEAD", MAIN]);
    let tip = world.git("b", &["rev-parse", name]);
    let found = world.ok(
        "b",
        &["trust", name, "--commit", &tip, "--remote", "origin"],
    );
    assert_eq!(found["governance"], "reviewed");
    assert_eq!(found["configured"].as_array().unwrap().len(), 2, "{found}");
    let mut issue = world.command(env!("CARGO_BIN_EXE_permit"), "b");
    issue.args(["issue", "--request", &request]);
    let issued = issue.env("ENFORCEMENT_MODE", "enforce").output().unwrap();
    assert!(issued.status.success(), "{issued:?}");
    assert_eq!(world.git("b", &["config", "permit.remote"]), "origin");
    let other = world.permit(
        "b",
        &["trust", name, "--commit", &tip, "--remote", "nobody"],
    );
    assert_eq!(other.exit, 7, "{other:?}");
}
