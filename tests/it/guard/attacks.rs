//! The attacks of the wall at the receive boundary, each beside an honest push that still goes through.

use serde_json::json;

use super::raw;
use super::world::{World, policy};

const ABSENT: &str = "0000000000000000000000000000000000000000";
const POLICY: &str = "governance/policy/acme.policy.json";
const STREAM: &str = "refs/permit/streams/main";

/// A world whose branch `prod` needs a permit for whatever is in it.
fn protected() -> World {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl", "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": ["refs/heads/prod"],
         "paths": ["**"], "stream": "main", "require": "permit"}]});
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    world
}

#[test]
fn attack_1_lying_old_value_of_main_frees_nothing_else() {
    let world = protected();
    let landed = world.git("a", &["rev-parse", "HEAD"]);
    // X knows no enforcement; if the guard believed the line, `prod` would need no permit.
    world.git("a", &["checkout", "-q", "--orphan", "x"]);
    world.write("a", POLICY, policy("9").to_string());
    world.git(
        "a",
        &["rm", "-q", "--cached", "governance/enforcement.json"],
    );
    std::fs::remove_file(world.path("a").join("governance/enforcement.json")).unwrap();
    let own = world.commit("a", "Own rules");
    let before = world.refs();
    for old in [ABSENT, own.as_str()] {
        let lines = [
            (ABSENT, own.as_str(), "refs/heads/prod"),
            (old, own.as_str(), "refs/heads/main"),
        ];
        let run = raw::push(&world, "a", &lines);
        assert!(run.stderr.contains("[MOVED]"), "{old}: {run:?}");
        assert!(run.stdout.contains("ng refs/heads/prod"), "{old}: {run:?}");
        assert_eq!(world.refs(), before, "{old}");
    }
    // The same client without a lie is judged by what landed.
    let run = raw::push(&world, "a", &[(ABSENT, &own, "refs/heads/prod")]);
    assert!(run.stderr.contains("[PERMIT_REQUIRED]"), "{run:?}");
    let run = raw::push(&world, "a", &[(ABSENT, &landed, "refs/heads/other")]);
    assert!(run.stdout.contains("ok refs/heads/other"), "{run:?}");
}

#[test]
fn attack_1_a_stream_under_a_policy_that_git_refuses_lands_nothing() {
    let world = World::adopted();
    world.write("a", POLICY, policy("2").to_string());
    let own = world.commit("a", "Own policy");
    let next = world.commit("a", "On top of it");
    world.issue("a", &world.request("run", &json!({})));
    let stream = world.git("a", &["rev-parse", STREAM]);
    let opened = world.git("server.git", &["rev-parse", STREAM]);
    let before = world.refs();
    let lines = [
        (own.as_str(), next.as_str(), "refs/heads/main"),
        (opened.as_str(), stream.as_str(), STREAM),
    ];
    let run = raw::push(&world, "a", &lines);
    assert!(run.stderr.contains("[MOVED]"), "{run:?}");
    assert_eq!(world.refs(), before);
    // Honest: what landed governs, for a clone that saw nothing else.
    world.clone_to("b");
    world.issue("b", &world.request("run", &json!({})));
    world.pushed("b", &[STREAM]);
}

#[test]
fn attack_1_a_stream_never_rests_on_a_commit_of_the_same_push() {
    let world = World::adopted();
    world.write("a", "README", "two");
    world.commit("a", "Not landed");
    world.issue("a", &world.request("run", &json!({})));
    world.denied("a", &["main", STREAM], "GOVERNED_STALE");
    let run = world.push("a", "enforce", &["main", STREAM]);
    assert!(run.stderr.contains("push refs/heads/main first"), "{run:?}");
    world.pushed("a", &["main"]);
    world.pushed("a", &[STREAM]);
}

#[test]
fn attack_9_a_committer_time_that_no_record_can_hold_is_denied() {
    let world = World::adopted();
    world.write("a", "README", "two");
    world.git("a", &["add", "--all"]);
    let mut command = world.command("git", "a");
    command.args(["commit", "-q", "-m", "From the far future"]);
    command.env("GIT_COMMITTER_DATE", "@9007199254740993 +0000");
    assert!(command.status().unwrap().success());
    world.denied("a", &["main"], "INVALID_INPUT");
    world.git("a", &["commit", "-q", "--amend", "--no-edit"]);
    world.pushed("a", &["main"]);
}

#[test]
fn attack_12_a_hook_that_hears_nothing_or_half_a_line_denies() {
    let world = World::adopted();
    let tip = world.git("a", &["rev-parse", "HEAD"]);
    let whole = format!("{ABSENT} {tip} refs/heads/b\n");
    let receive = |mode: &str, input: &[u8]| {
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
        command.args(["guard", "receive", "--mode", mode]);
        super::world::Run::of(&crate::sandbox::with_input(command, input))
    };
    for input in [
        "",
        "\n",
        whole.trim_end(),
        "x y refs/heads/b\n",
        &format!("{whole}{whole}"),
        &format!("{ABSENT} {tip} refs/heads/{}\n", "b".repeat(5000)),
    ] {
        let run = receive("enforce", input.as_bytes());
        assert!(
            run.exit == 7 && run.stderr.contains("[INVALID_INPUT]"),
            "{input:.60}: {run:?}"
        );
        let run = receive("shadow", input.as_bytes());
        assert!(
            run.exit == 0 && run.stderr.contains("[INVALID_INPUT]"),
            "{input:.60}: {run:?}"
        );
        let last = world.record().pop().unwrap();
        assert_eq!(
            (&last["mode"], &last["reason"], &last["effective"]),
            (&json!("shadow"), &json!("INVALID_INPUT"), &json!("allow"))
        );
    }
    assert_eq!(receive("enforce", whole.as_bytes()).exit, 0);
}

#[test]
fn attack_14_first_adoption_belongs_to_the_commit_that_the_owner_named() {
    let world = World::new();
    let first = world.git("a", &["rev-parse", "HEAD"]);
    world.name_for_adoption("a");
    // Somebody else is faster with other rules, or goes on from the named ones.
    world.write("a", POLICY, policy("9").to_string());
    world.commit("a", "Other rules");
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    world.git(
        "a",
        &["commit", "-q", "--amend", "--reset-author", "-m", "Alone"],
    );
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    // Nothing else lands before it.
    world.denied("a", &["HEAD:refs/heads/other"], "COMMIT_NOT_GOVERNED");
    world.pushed("a", &[&format!("{first}:refs/heads/main")]);
    let run = world.permit("server.git", &["guard", "adopt", &first]);
    assert_eq!(run.exit, 7, "adoption happens once: {run:?}");
}
