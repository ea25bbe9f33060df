//! The mode is the only switch.

use serde_json::json;

use super::world::World;

#[test]
fn an_unset_or_misspelt_mode_blocks_and_off_does_nothing() {
    let world = World::new();
    for (mode, reason) in [
        ("", "MODE_NOT_SET"),
        ("Enforce", "MODE_INVALID"),
        ("audit", "MODE_INVALID"),
    ] {
        let run = world.push("a", mode, &["main"]);
        assert_ne!(run.exit, 0, "{mode}");
        assert!(
            run.stderr.contains(&format!("[{reason}]")),
            "{mode}: {run:?}"
        );
    }
    let run = world.push("a", "off", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("the mode is `off`"), "{run:?}");
    assert!(world.record().is_empty());
}

#[test]
fn two_sources_that_contradict_each_other_block() {
    let world = World::adopted();
    let check = |environment: &str, argument: &str| {
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "a");
        command.args([
            "guard", "check", "--base", "HEAD", "--head", "HEAD", "--mode", argument,
        ]);
        command.args(["--governed-ref", "main", "--format", "json"]);
        command.env("ENFORCEMENT_MODE", environment);
        super::world::Run::of(&command.output().unwrap())
    };
    let run = check("shadow", "enforce");
    assert_eq!(
        (run.exit, run.json()["reason"].clone()),
        (7, json!("MODE_INVALID"))
    );
    assert_eq!(check("enforce", "enforce").exit, 0);
}

#[test]
fn the_roll_out_goes_from_off_through_shadow_to_enforce_and_back() {
    let world = World::adopted();
    world.write(
        "a",
        "governance/policy/acme.policy.json",
        super::world::policy("2").to_string(),
    );
    let second = world.commit("a", "Change the policy without a review");
    let run = world.push("a", "enforce", &["main"]);
    assert!(run.stderr.contains("[GOVERNANCE_UNREVIEWED]"), "{run:?}");
    let run = world.push("a", "shadow", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let report = world.ok("server.git", &["guard", "report"]);
    let sums = report["sums"].as_array().unwrap();
    let count = |mode: &str| {
        let row = sums
            .iter()
            .find(|row| row["reason"] == "GOVERNANCE_UNREVIEWED" && row["mode"] == mode);
        row.unwrap()["count"].as_u64().unwrap()
    };
    assert_eq!((count("shadow"), count("enforce")), (1, 1));
    world.write("a", "README", "off");
    let third = world.commit("a", "While the guard is off");
    assert_eq!(world.push("a", "off", &["main"]).exit, 0);
    world.write("a", "README", "on");
    world.commit("a", "When it is on again");
    world.pushed("a", &["main"]);
    let record = world.record();
    let gap = &record[record.len() - 2];
    assert_eq!(
        *gap,
        json!({"schema": "permit.enforcement_gap.v1", "ref": "refs/heads/main", "from": second, "to": third})
    );
    let report = world.ok("server.git", &["guard", "report"]);
    assert_eq!(report["gaps"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_intent_and_state_give_the_same_bytes() {
    let world = World::adopted();
    world.write(
        "a",
        "governance/policy/acme.policy.json",
        super::world::policy("2").to_string(),
    );
    world.commit("a", "Change the policy without a review");
    for _ in 0..2 {
        assert_ne!(world.push("a", "enforce", &["main"]).exit, 0);
    }
    let record = world.record();
    assert_eq!(record[record.len() - 1], record[record.len() - 2]);
    assert_eq!(record.last().unwrap()["effective"], "deny");
}

#[test]
fn another_hook_is_never_overwritten() {
    let world = World::adopted();
    let again = world.ok("server.git", &["guard", "install"]);
    assert_eq!(again["state"], "kept");
    world.write("server.git", "hooks/pre-receive", "#!/bin/sh\n");
    let run = world.permit("server.git", &["guard", "install"]);
    assert_eq!(run.exit, 7, "{run:?}");
    let status = world.ok("server.git", &["guard", "status"]);
    assert_eq!(status["installed"], false);
    assert_eq!(status["mode_reason"], "MODE_NOT_SET");
    assert_eq!(status["classes"].as_array().unwrap().len(), 17);
}

#[test]
fn the_guard_judges_nothing_without_a_governed_ref() {
    let world = World::adopted();
    world.git("server.git", &["config", "--unset", "permit.governedRef"]);
    let run = world.push("a", "enforce", &["main:refs/heads/other"]);
    assert!(
        run.exit != 0 && run.stderr.contains("[UNGOVERNED]"),
        "{run:?}"
    );
    // Shadow never blocks: it says so aloud, and records it.
    let run = world.push("a", "shadow", &["main:refs/heads/other"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("UNGOVERNED"), "{run:?}");
    let last = world.record().pop().unwrap();
    assert_eq!(
        (&last["reason"], &last["effective"]),
        (&json!("UNGOVERNED"), &json!("allow"))
    );
}

#[test]
fn recording_that_fails_blocks_in_enforce_and_is_said_loudly_in_shadow() {
    let world = World::adopted();
    std::fs::remove_file(world.path("server.git/permit-guard.jsonl")).unwrap();
    std::fs::create_dir(world.path("server.git/permit-guard.jsonl")).unwrap();
    let run = world.push("a", "enforce", &["main:refs/heads/one"]);
    assert!(
        run.exit != 0 && run.stderr.contains("[IO_ERROR]"),
        "{run:?}"
    );
    let run = world.push("a", "shadow", &["main:refs/heads/one"]);
    assert!(
        run.exit == 0 && run.stderr.contains("COULD NOT BE RECORDED"),
        "{run:?}"
    );
}

/// The gaps that the record holds, as ref, from and to.
fn gaps(world: &World) -> Vec<[String; 3]> {
    let record = world.record();
    let gaps = record
        .iter()
        .filter(|line| line["schema"] == "permit.enforcement_gap.v1");
    gaps.map(|gap| ["ref", "from", "to"].map(|key| gap[key].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn the_gap_uses_only_the_newest_line_of_a_ref() {
    let world = World::adopted();
    let first = world.git("a", &["rev-parse", "HEAD"]);
    world.write("a", "README", "two");
    let second = world.commit("a", "Two");
    world.pushed("a", &["main"]);
    // Put back in `off` to where earlier lines, and the newest one's `before`, still name it.
    let run = world.push("a", "off", &["+main~1:main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    world.git("a", &["reset", "-q", "--hard", &first]);
    world.write("a", "README", "three");
    world.commit("a", "Three");
    world.pushed("a", &["main"]);
    let name = "refs/heads/main".to_owned();
    assert_eq!(gaps(&world), [[name, second, first]]);
}

#[test]
fn a_ref_that_was_made_or_removed_in_off_has_a_gap() {
    let world = World::adopted();
    let tip = world.git("a", &["rev-parse", "HEAD"]);
    world.pushed("a", &["main:kept"]);
    let off = |arguments: &[&str]| assert_eq!(world.push("a", "off", arguments).exit, 0);
    off(&[":kept", "main:made"]);
    assert!(gaps(&world).is_empty());
    world.write("a", "README", "two");
    let second = world.commit("a", "Two");
    world.pushed("a", &["HEAD:kept", "HEAD:made", "HEAD:new"]);
    let gap = |name: &str, from: &str, to: &str| [name, from, to].map(str::to_owned);
    let mut found = vec![
        gap("refs/heads/kept", &tip, ""),
        gap("refs/heads/made", "", &tip),
    ];
    assert_eq!(gaps(&world), found);
    let report = world.permit("server.git", &["guard", "report"]).stdout;
    let shown = format!("refs/heads/made from nothing to {tip}");
    assert!(report.contains(&shown), "{report}");
    // Deleted and made again elsewhere.
    off(&[":kept"]);
    off(&["main~1:refs/heads/kept"]);
    world.pushed("a", &["HEAD:kept", "HEAD:new"]);
    found.push(gap("refs/heads/kept", &second, &tip));
    assert_eq!(gaps(&world), found);
}

#[test]
fn what_was_allowed_beside_something_denied_moved_nothing_and_is_no_gap() {
    let world = World::adopted();
    let run = world.push(
        "a",
        "enforce",
        &["main:one", "main:refs/permit/other", "main:two"],
    );
    assert!(run.stderr.contains("[EVENT_NOT_ALLOWED]"), "{run:?}");
    world.pushed("a", &["main:one", "main:two"]);
    assert!(gaps(&world).is_empty());
}

#[test]
fn status_tells_what_stands_where_git_looks_for_the_hooks_and_what_none_can_bind() {
    let world = World::adopted();
    let run = world.permit("server.git", &["guard", "install"]);
    for name in ["PERMIT_*", "GIT_*", "ENFORCEMENT_*"] {
        assert!(run.stderr.contains(name), "{run:?}");
    }
    let state = || {
        let status = world.ok("server.git", &["guard", "status"]);
        let hook = &status["hooks"][0];
        assert_eq!(hook["name"], "pre-receive");
        let state = hook["state"].as_str().unwrap().to_owned();
        (state, status["installed"].as_bool().unwrap())
    };
    assert_eq!(state(), ("ours".to_owned(), true));
    world.write(
        "server.git",
        "hooks/pre-receive",
        "#!/bin/sh\npermit guard receive\n",
    );
    assert_eq!(state(), ("calls_guard".to_owned(), true));
    world.write(
        "server.git",
        "hooks/pre-receive",
        "#!/bin/sh\n# permit guard receive\n",
    );
    assert_eq!(state(), ("foreign".to_owned(), false));
    let hook = world.path("server.git/hooks/pre-receive");
    std::fs::remove_file(&hook).unwrap();
    assert_eq!(state(), ("missing".to_owned(), false));
    world.write(
        "server.git",
        "hooks/pre-receive",
        "#!/bin/sh\npermit guard receive\n",
    );
    assert_eq!(state(), ("not_executable".to_owned(), false));
    std::fs::remove_file(&hook).unwrap();
    world.ok("server.git", &["guard", "install"]);
    assert_eq!(state(), ("ours".to_owned(), true));
    // Whoever owns a file of Git's configuration names other hooks.
    world.git(
        "home",
        &["config", "--global", "core.hooksPath", "/nowhere"],
    );
    assert_eq!(state(), ("missing".to_owned(), false));
    let status = world.ok("server.git", &["guard", "status"]);
    assert_eq!(status["hooks_path"], "/nowhere");
    let unbound = status["unbound"].to_string();
    for what in [
        "shell accounts",
        "core.hooksPath",
        "writers of the file system",
        "forges that move refs without hooks",
    ] {
        assert!(unbound.contains(what), "{what}");
    }
}

#[test]
fn off_lets_a_push_of_many_refs_through_that_nobody_reads() {
    let world = World::adopted();
    let made: Vec<String> = (0..2000)
        .map(|index| format!("create refs/heads/{index:0100} main\n"))
        .collect();
    let mut command = world.command("git", "a");
    command.args(["update-ref", "--stdin"]);
    let made = crate::sandbox::with_input(command, made.concat().as_bytes());
    assert!(made.status.success());
    let run = world.push("a", "off", &["refs/heads/*"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(world.refs().len() > 2000);
}
