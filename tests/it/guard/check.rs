//! `guard check` before a merge: attack 12, what the command line may say of trust, and what stays honest beside it.

use serde_json::{Value, json};

use super::world::World;

const MAIN: &str = "refs/heads/main";
const TRACKING: &str = "refs/remotes/origin/main";

/// A server whose `main` demands a permit for sources, and a clone without configuration beside it.
fn attached() -> World {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl", "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": [MAIN],
         "paths": ["src/**"], "stream": "main", "require": "permit"}]});
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    world
}

/// A clone that nobody configured, as a runner has it.
fn runner(world: &World) {
    world.clone_to("ci");
    world.git("ci", &["config", "--unset", "permit.governedRef"]);
}

/// The result of a check in a clone; the exit code is in it as `exit`.
fn check(world: &World, at: &str, arguments: &[&str]) -> Value {
    let words = ["guard", "check", "--mode", "enforce", "--format", "json"];
    let run = world.permit(at, &[&words[..], arguments].concat());
    let mut result = run.json();
    result["exit"] = run.exit.into();
    result
}

/// The result of a check as CI makes it, from the tip of the remote-tracking ref.
fn in_ci(world: &World, head: &str, more: &[&str]) -> Value {
    let tip = world.git("ci", &["rev-parse", "origin/main"]);
    let words = ["--base", &tip, "--head", head, "--governed-ref", TRACKING];
    let words = [&words[..], &["--trusted-commit", &tip], more].concat();
    check(world, "ci", &words)
}

fn no(result: &Value, reason: &str, exit: i32) {
    assert_eq!(
        (&result["reason"], &result["exit"]),
        (&json!(reason), &json!(exit)),
        "{result}"
    );
}

/// Commits a source in the clone `a` and brings it to the runner.
fn source(world: &World) -> String {
    world.write("a", "src/x", "guarded");
    let head = world.commit("a", "Source");
    world.git("a", &["push", "-q", "../ci", "HEAD:refs/heads/change"]);
    head
}

#[test]
fn what_is_attached_to_a_branch_applies_in_ci_too() {
    let world = attached();
    runner(&world);
    let head = source(&world);
    // The attack: the ref that CI reads has another name than the one that `enforcement.json` attaches to.
    for more in [&[][..], &["--as-ref", MAIN], &["--as-ref", "main"]] {
        let found = in_ci(&world, &head, more);
        no(&found, "PERMIT_REQUIRED", 3);
        assert_eq!(found["decisions"][0]["intent"]["subject"], MAIN, "{found}");
        // A runner is told what to trust, and cannot know what only the authority does.
        assert_eq!(
            (&found["trust"], &found["landing"], &found["claims"]),
            (
                &json!("command line"),
                &json!("unchecked"),
                &json!("unchecked")
            )
        );
        assert_eq!(found["governed_ref"], TRACKING);
    }
    // Honest: another branch has nothing attached, and a permit for the push to `main` counts in CI.
    no(&in_ci(&world, &head, &["--as-ref", "next"]), "OK", 0);
    let before = world.git("a", &["rev-parse", "origin/main"]);
    let request = json!({"schema": "permit.request.v1", "actor_id": "boundary:git.receive",
        "capability": {"kind": "tool", "selector": "content.change"},
        "operation": "push", "target": MAIN, "context": {"before": before, "after": head}});
    let request = world.save("content.json", &request);
    world.ok("a", &["issue", "--request", &request, "--at", &before]);
    world.pushed("a", &["refs/permit/streams/main"]);
    world.git("ci", &["fetch", "-q"]);
    no(&in_ci(&world, &head, &[]), "OK", 0);
    let bad = in_ci(&world, &head, &["--as-ref", "a..b"]);
    no(&bad, "INVALID_INPUT", 7);
}

#[test]
fn the_command_line_repeats_the_trust_root_and_is_none() {
    let world = World::adopted();
    let side = world.git("a", &["branch", "side"]);
    assert_eq!(side, "");
    world.git("a", &["symbolic-ref", "refs/heads/alias", MAIN]);
    let request = world.request("run.often", &json!({}));
    let reason = |name: &str, words: &[&str]| {
        let words = [words, &["--governed-ref", name, "--format", "json"]].concat();
        world.permit("a", &words).json()["reason"].clone()
    };
    let eval = ["eval", "--request", &request];
    let issue = ["issue", "--request", &request];
    for name in [MAIN, "main", "heads/main", "HEAD", "alias"] {
        assert_eq!(reason(name, &eval), "OK", "{name}");
    }
    for name in ["side", "refs/heads/side", TRACKING, "gone", "a..b"] {
        for words in [&eval[..], &issue, &["status"], &["replay"]] {
            assert_eq!(
                reason(name, words),
                "COMMIT_NOT_GOVERNED",
                "{name} {words:?}"
            );
        }
    }
    // Where nothing is configured the command line is no trust root either, but for `guard check` with a commit.
    runner(&world);
    let run = world.permit(
        "ci",
        &["issue", "--request", &request, "--governed-ref", MAIN],
    );
    assert!(run.stderr.contains("[COMMIT_NOT_GOVERNED]"), "{run:?}");
    assert!(
        run.stderr.contains("permit trust refs/heads/main"),
        "{run:?}"
    );
    let tip = world.git("ci", &["rev-parse", "origin/main"]);
    let range = ["--base", &tip, "--head", &tip];
    let named = [&range[..], &["--governed-ref", TRACKING]].concat();
    no(&check(&world, "ci", &named), "INVALID_INPUT", 7);
    no(&check(&world, "ci", &range), "UNGOVERNED", 7);
    no(&in_ci(&world, &tip, &[]), "OK", 0);
    // A commit that the ref does not hold is not trusted through it, wherever the ref is named.
    world.write("a", "README", "aside");
    let aside = world.commit("a", "Aside");
    world.git("a", &["push", "-q", "../ci", "HEAD:refs/heads/aside"]);
    let untrusted = [&named[..], &["--trusted-commit", &aside]].concat();
    no(&check(&world, "ci", &untrusted), "COMMIT_NOT_GOVERNED", 5);
    world.git("ci", &["config", "permit.governedRef", MAIN]);
    let configured = [&range[..], &["--trusted-commit", &aside]].concat();
    no(&check(&world, "ci", &configured), "COMMIT_NOT_GOVERNED", 5);
    let configured = check(&world, "ci", &range);
    no(&configured, "OK", 0);
    assert_eq!(configured["trust"], Value::Null);
}

#[test]
fn a_governed_ref_that_does_not_exist_judges_nothing() {
    let world = World::adopted();
    runner(&world);
    let tip = world.git("ci", &["rev-parse", "origin/main"]);
    let gone = ["--governed-ref", "refs/remotes/origin/gone"];
    let words = ["--base", &tip, "--head", &tip, "--trusted-commit", &tip];
    let found = check(&world, "ci", &[&words[..], &gone].concat());
    no(&found, "COMMIT_NOT_GOVERNED", 5);
    world.git("a", &["config", "permit.governedRef", "refs/heads/gone"]);
    let request = world.request("run.often", &json!({}));
    let permit = world.save("permit.json", &json!({}));
    for words in [
        &["issue", "--request", &request][..],
        &["eval", "--request", &request],
        &["verify", &permit, "--request", &request],
        &["use", &permit, "--request", &request],
        &["status"],
        &["log"],
        &["show", "x"],
        &["replay"],
        &["verify-chain"],
        &["simulate", "--policy-at", "HEAD"],
        &["checkpoint"],
        &["stream", "list"],
        &["review", "list"],
        &["guard", "plan", "--base", "HEAD", "--head", "HEAD"],
        &["guard", "report"],
        &["guard", "status"],
        &[
            "guard", "check", "--base", "HEAD", "--head", "HEAD", "--mode", "enforce",
        ],
    ] {
        let run = world.permit("a", &[words, &["--format", "json"]].concat());
        assert_eq!(run.json()["reason"], "COMMIT_NOT_GOVERNED", "{words:?}");
    }
}

#[test]
fn a_pull_request_is_judged_as_the_merge_from_the_tip() {
    let world = World::adopted();
    runner(&world);
    let old = world.git("a", &["rev-parse", "HEAD"]);
    world.git("a", &["switch", "-q", "-c", "proposal"]);
    world.write("a", "proposal", "x");
    let proposal = world.commit("a", "Proposal");
    world.git("a", &["switch", "-q", "main"]);
    world.write("a", "README", "meanwhile");
    world.commit("a", "Meanwhile");
    world.pushed("a", &["main"]);
    world.git("a", &["push", "-q", "../ci", "proposal:refs/heads/change"]);
    world.git("ci", &["fetch", "-q"]);
    // Made before the base went on: not an alarm, and the next step is what helps.
    let stale = in_ci(&world, &proposal, &[]);
    no(&stale, "GOVERNED_STALE", 6);
    let next = stale["next_step"].as_str().unwrap();
    assert!(next.contains("update the branch"), "{next}");
    let of_old = [
        "--base",
        &old,
        "--head",
        &proposal,
        "--governed-ref",
        TRACKING,
    ];
    let of_old = [&of_old[..], &["--trusted-commit", &old]].concat();
    let stale = check(&world, "ci", &of_old);
    no(&stale, "GOVERNED_STALE", 6);
    assert!(
        stale["message"]
            .as_str()
            .unwrap()
            .contains("is not the tip")
    );
    // The merge commit has the tip as its first parent.
    world.git("ci", &["switch", "-q", "--detach", "origin/main"]);
    world.git("ci", &["merge", "-q", "--no-ff", "-m", "Merge", &proposal]);
    no(&in_ci(&world, "HEAD", &[]), "OK", 0);
    // The other way round the governed ref would become a side line.
    world.git("ci", &["switch", "-q", "--detach", &proposal]);
    world.git(
        "ci",
        &["merge", "-q", "--no-ff", "-m", "Back", "origin/main"],
    );
    no(&in_ci(&world, "HEAD", &[]), "FIRST_PARENT_BROKEN", 5);
}
