//! Governance is verified by whoever relies on it: attack 14, and what stays honest beside it.

use std::fs;

use serde_json::{Value, json};

use super::world::{World, policy};

const POLICY: &str = "governance/policy/acme.policy.json";
const PEOPLE: &str = "governance/principals.json";
const STREAM: &str = "refs/permit/streams/main";

/// A clone `b` that trusts what it cloned, and judges what comes after it.
fn trusting() -> World {
    let world = World::adopted();
    world.clone_to("b");
    let pin = world.git("b", &["rev-parse", "origin/main"]);
    for (key, value) in [
        ("permit.governedRef", "refs/remotes/origin/main"),
        ("permit.trustedCommit", &pin),
        ("permit.governance", "reviewed"),
    ] {
        world.git("b", &["config", key, value]);
    }
    world
}

/// Commits a policy.
fn change(world: &World, policy: &Value) {
    world.write("a", POLICY, policy.to_string());
    world.commit("a", "Policy");
}

/// Has the newest commit reviewed by the policy of the server's tip, and commits the artifacts.
fn review(world: &World) {
    let words = [
        ["guard", "plan"],
        ["--base", "origin/main"],
        ["--head", "HEAD"],
        ["--governed-ref", "main"],
    ]
    .concat();
    let plan = world.ok("a", &words);
    let planned = plan["requests"].as_array().unwrap().last().unwrap();
    let request = world.save("change.json", &planned["request"]);
    world.review("a", &request, &["README"]);
    world.commit("a", "Review");
}

/// Pushes `main` where no hook judges.
fn past_the_hook(world: &World) {
    let run = world.push("a", "off", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
}

fn run(world: &World, arguments: &[&str]) -> (i32, Value) {
    let heads = "+refs/heads/*:refs/remotes/origin/*";
    world.git("b", &["fetch", "-q", "--refmap=", "origin", heads]);
    let run = world.permit("b", &[arguments, &["--format", "json"]].concat());
    (run.exit, run.json()["reason"].clone())
}

fn issues(world: &World) -> (i32, Value) {
    let request = world.request("run", &json!({"argv": ["true"]}));
    run(world, &["issue", "--request", &request])
}

fn fine() -> (i32, Value) {
    (0, json!("OK"))
}

fn unreviewed(world: &World) {
    let (exit, reason) = issues(world);
    assert_eq!(reason, json!("GOVERNANCE_UNREVIEWED"));
    assert_ne!(exit, 0);
}

#[test]
fn what_went_past_the_hook_is_no_policy_for_a_clone() {
    let world = trusting();
    let marker = world.path("marker");
    let request = world.request("run", &json!({"argv": ["touch", marker]}));
    let permit = world.issue("b", &request);
    let used = world.request("run.often", &json!({}));
    let used = world.save(
        "used.json",
        &serde_json::from_slice(&fs::read(used).unwrap()).unwrap(),
    );
    let issued = world.ok("b", &["issue", "--request", &used]);
    let often = world.save("often.json", &issued["permit"]);
    let request = world.request("run", &json!({"argv": ["touch", marker]}));
    let before = world.git("b", &["rev-parse", STREAM]);

    // A squash merge, or a hook that was not there: nobody agreed to this policy.
    change(&world, &policy("2"));
    past_the_hook(&world);
    unreviewed(&world);
    let (exit, reason) = run(&world, &["use", &often, "--request", &used]);
    assert_eq!(reason, json!("GOVERNANCE_UNREVIEWED"));
    assert_ne!(exit, 0);
    let words = ["exec", &permit, "--request", &request, "--mode", "enforce"];
    let ran = world.permit("b", &words);
    assert_ne!(ran.exit, 0);
    assert!(ran.stderr.contains("GOVERNANCE_UNREVIEWED"), "{ran:?}");
    assert!(!marker.exists(), "a program ran under it");
    // Nothing was issued, used or claimed; a refusal of a permit of the stream is all that may stand there.
    let since = world.git("b", &["log", "--format=%s", &format!("{before}..{STREAM}")]);
    assert!(
        since.lines().all(|line| line.contains("tool.exec.blocked")),
        "{since}"
    );

    // So is all that follows, reviewed or not, whatever the server's owner took responsibility for.
    world.accept_gap();
    change(&world, &policy("3"));
    review(&world);
    world.pushed("a", &["main"]);
    unreviewed(&world);
    // Where nobody judges again, every result says so.
    world.git("b", &["config", "permit.governance", "ref"]);
    let words = ["issue", "--request", &used];
    assert_eq!(world.ok("b", &words)["governance"], "unreviewed");
}

#[test]
fn reviewed_changes_reach_every_clone() {
    let world = trusting();
    assert_eq!(issues(&world), fine());
    for version in ["2", "3"] {
        change(&world, &policy(version));
        review(&world);
        world.pushed("a", &["main"]);
        assert_eq!(issues(&world), fine(), "{version}");
    }
    world.write("a", "README", "content asks nobody");
    world.commit("a", "Content");
    world.pushed("a", &["main"]);
    assert_eq!(issues(&world), fine());
}

#[test]
fn several_changes_of_one_push_are_judged_as_the_boundary_judged_them() {
    let world = trusting();
    // All three are reviewed under the policy of before the push, the last one by artifacts that come before it.
    for version in ["2", "3", "4"] {
        change(&world, &policy(version));
        review(&world);
    }
    world.pushed("a", &["main"]);
    assert_eq!(issues(&world), fine());
    // And the next push by the policy that those left.
    change(&world, &policy("5"));
    review(&world);
    world.pushed("a", &["main"]);
    assert_eq!(issues(&world), fine());
}

#[test]
fn a_review_under_an_older_policy_counts_no_longer_once_another_push_has_gone_on() {
    let world = trusting();
    change(&world, &policy("2"));
    review(&world);
    world.pushed("a", &["main"]);
    // Version 3 came past the hook; 4 is reviewed under 2, as if all three were one push.
    change(&world, &policy("3"));
    past_the_hook(&world);
    world.git("a", &["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    change(&world, &policy("4"));
    review(&world);
    past_the_hook(&world);
    unreviewed(&world);
}

#[test]
fn who_was_removed_approves_nothing_behind_it() {
    let world = trusting();
    let people = fs::read_to_string(world.path("a").join(PEOPLE)).unwrap();
    let mut people: Value = serde_json::from_str(&people).unwrap();
    people["principals"][1]["status"] = json!("revoked");
    world.write("a", PEOPLE, people.to_string());
    world.commit("a", "Bo's key is stolen");
    review(&world);
    let removed = world.git("a", &["rev-parse", "HEAD"]);
    // The thief approves the next change, under the policy and the table of before.
    change(&world, &policy("2"));
    review(&world);
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    past_the_hook(&world);
    unreviewed(&world);
    // What removes bo is fine by itself.
    world.git("server.git", &["update-ref", "refs/heads/main", &removed]);
    world.git(
        "b",
        &["fetch", "-q", "origin", "+main:refs/remotes/origin/main"],
    );
    assert_eq!(issues(&world), fine());
}

#[test]
fn what_a_push_tightens_binds_what_comes_behind_it() {
    let world = trusting();
    let tight = |version: &str| {
        let mut tight = policy(version);
        tight["review_types"]["governance"]["min_cross_signers"] = json!(3);
        tight
    };
    change(&world, &tight("2"));
    review(&world);
    let tightened = world.git("a", &["rev-parse", "HEAD"]);
    change(&world, &tight("3"));
    review(&world);
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    world.pushed("a", &[&format!("{tightened}:refs/heads/main")]);
    past_the_hook(&world);
    unreviewed(&world);
}

#[test]
fn a_clone_knows_of_no_first_adoption_behind_its_pin() {
    let world = World::new();
    let adopted = world.git("a", &["rev-parse", "HEAD"]);
    world.git("a", &["checkout", "-q", "--orphan", "empty"]);
    world.git("a", &["rm", "-rqf", "."]);
    let empty = world.commit("a", "Nothing yet");
    world.git("a", &["checkout", "-q", "main"]);
    let tree = format!("{adopted}^{{tree}}");
    let late = world.git("a", &["commit-tree", &tree, "-p", &empty, "-m", "Adopt"]);
    world.git("a", &["update-ref", "refs/heads/late", &late]);
    for (key, value) in [
        ("permit.governedRef", "refs/heads/late"),
        ("permit.governance", "reviewed"),
        ("permit.trustedCommit", &empty),
    ] {
        world.git("a", &["config", key, value]);
    }
    let request = world.request("run", &json!({}));
    let eval = ["issue", "--request", &request, "--format", "json"];
    let run = world.permit("a", &eval);
    assert_eq!(run.json()["reason"], "GOVERNANCE_UNREVIEWED", "{run:?}");
    world.git("a", &["config", "permit.trustedCommit", &late]);
    let run = world.permit("a", &eval);
    assert_eq!(run.json()["reason"], "OK", "{run:?}");
}
