//! What a clone has seen is not taken back: a ref that went behind it is refused by every command.

use std::fs;

use serde_json::Value;

use super::{STREAM, World};
use crate::sandbox::Sandbox;

const USE: [&str; 4] = ["use", "../build.permit", "--request", "requests/build.json"];

#[test]
fn attack_a_ref_moved_back_unuses_a_one_shot() {
    let world = World::new();
    world.git("one", &["config", "--unset", "permit.remote"]);
    world.issue("one", "build", "build");
    let issued = world.tip("one");
    world.ok("one", &USE);
    let used = world.tip("one");
    world.git("one", &["update-ref", STREAM, &issued]);
    for call in [
        &USE[..],
        &[
            "verify",
            "../build.permit",
            "--request",
            "requests/build.json",
        ],
        &["issue", "--request", "requests/read.json"],
        &["status"],
        &["log"],
        &["replay"],
        &["replay", "--all"],
        &["verify-chain"],
        &["verify-chain", "--all"],
        &["checkpoint"],
        &["sync"],
        &["stream", "list"],
    ] {
        let refused = world.refused("one", call, "STREAM_REWOUND");
        if call != ["sync"] {
            assert_eq!(
                refused["next_step"],
                format!("git update-ref {STREAM} {used}"),
                "{call:?}"
            );
        }
    }
    // A linked work tree shares what was seen.
    world.git("one", &["worktree", "add", "-q", "--detach", "../linked"]);
    world.refused("linked", &["status"], "STREAM_REWOUND");
    // The step works as it is typed.
    world.git("one", &["update-ref", STREAM, &used]);
    world.refused("one", &USE, "ALREADY_USED");
    world.ok("one", &["issue", "--request", "requests/read.json"]);
}

#[test]
fn attack_an_authority_that_went_back_is_believed() {
    let world = World::new();
    world.issue("one", "build", "build");
    let issued = world.tip("authority.git");
    world.ok("one", &USE);
    let used = world.tip("authority.git");
    for name in ["authority.git", "one"] {
        world.git(name, &["update-ref", STREAM, &issued]);
    }
    world.refused("one", &USE, "STREAM_REWOUND");
    world.refused("one", &["sync"], "STREAM_REWOUND");
    // Another clone saw no more than that.
    world.ok("two", &["sync"]);
    world.git(
        "one",
        &["push", "-q", "origin", &format!("{used}:{STREAM}")],
    );
    world.git("one", &["update-ref", STREAM, &used]);
    world.refused("one", &USE, "ALREADY_USED");
    world.is_even();
}

#[test]
fn what_was_seen_is_given_up_only_with_a_reason() {
    let sandbox = Sandbox::opened();
    let opened = sandbox.git(&["rev-parse", STREAM]);
    sandbox.issue("read");
    let seen = sandbox.git(&["rev-parse", STREAM]);
    sandbox.git(&["update-ref", STREAM, &opened]);
    assert_eq!(sandbox.reason(&["status"]), "STREAM_REWOUND");
    assert_eq!(sandbox.run(&["stream", "forget", "main"]).exit, 2);
    assert_eq!(
        sandbox.reason(&["stream", "forget", "main", "--reason", " "]),
        "INVALID_INPUT"
    );
    let forgotten = sandbox.json(&["stream", "forget", "main", "--reason", "restored"]);
    assert_eq!(forgotten["forgotten"][0]["commit"], seen.as_str());
    assert!(
        forgotten["gives_up"]
            .as_str()
            .unwrap()
            .contains("used again")
    );
    assert_eq!(sandbox.reason(&["status"]), "OK");
    // Reading wrote nothing: only an append remembers again.
    assert!(!sandbox.path(".git/permit/streams/main").exists());
    sandbox.issue("read");
    assert!(sandbox.path(".git/permit/streams/main").exists());
}

#[test]
fn a_deleted_ref_is_lost_for_every_command_and_a_line_of_the_list() {
    let sandbox = Sandbox::chain();
    let tip = sandbox.git(&["rev-parse", STREAM]);
    sandbox.git(&["update-ref", "-d", STREAM]);
    for call in [
        &["status"][..],
        &["log"],
        &["replay"],
        &["verify-chain"],
        &["issue", "--request", "requests/read.json"],
        &["issue", "--request", "requests/read.json", "--open-stream"],
        &["stream", "open", "main"],
    ] {
        assert_eq!(sandbox.reason(call), "STREAM_LOST", "{call:?}");
    }
    let list = sandbox.json(&["stream", "list"]);
    assert_eq!(list["streams"][0]["reason"], "STREAM_LOST");
    let step = sandbox.json(&["status"])["next_step"].clone();
    assert_eq!(step, format!("git update-ref {STREAM} {tip}"));
    sandbox.git(&["update-ref", STREAM, &tip]);
    assert_eq!(sandbox.reason(&["status"]), "OK");
}

#[test]
fn memory_that_cannot_be_read_is_set_aside_aloud() {
    for garbage in ["", "garbage\n", "0123"] {
        let sandbox = Sandbox::opened();
        let file = sandbox.path(".git/permit/streams/main");
        fs::remove_file(&file).unwrap();
        fs::write(&file, garbage).unwrap();
        let run = sandbox.run(&["status"]);
        assert_eq!(run.exit, 0, "{}", run.stderr);
        assert!(run.stderr.contains("set aside"), "{}", run.stderr);
        assert!(!file.exists());
        assert!(!sandbox.run(&["status"]).stderr.contains("aside"));
    }
}

#[test]
fn attack_what_was_seen_is_lost_to_gc() {
    let sandbox = Sandbox::opened();
    let file = sandbox.path(".git/permit/streams/main");
    fs::write(file, format!("{}\n", "12".repeat(20))).unwrap();
    for call in [
        &["status"][..],
        &["issue", "--request", "requests/read.json"],
    ] {
        assert_eq!(sandbox.reason(call), "STREAM_REWOUND", "{call:?}");
    }
}

#[test]
fn every_line_of_a_batch_and_every_refusal_says_how_fresh_it_is() {
    let world = World::new();
    let line = fs::read_to_string(world.sandbox.path("requests/read.json")).unwrap();
    let lines = format!("{}\n{{}}\n", line.replace('\n', ""));
    fs::write(world.sandbox.aside("batch.jsonl"), lines).unwrap();
    let batch = ["issue", "--batch", "../batch.jsonl"];
    for (call, freshness) in [
        (&batch[..], "fetched"),
        (&[&["--offline"], &batch[..]].concat(), "local"),
        (&["issue", "--request", "requests/env.json"], "fetched"),
        (&["issue", "--request", "../batch.jsonl"], "fetched"),
    ] {
        let (run, _) = world.run("one", call);
        assert!(!run.stdout.is_empty());
        for line in run.stdout.lines() {
            let result: Value = serde_json::from_str(line).unwrap();
            assert_eq!(result["freshness"], freshness, "{call:?}: {line}");
            let offline = result["offline"] == true;
            assert_eq!(offline, freshness == "local", "{call:?}: {line}");
        }
    }
    let report = world.aside("report.json");
    let call = "--offline exec ../none.permit --request requests/read.json --report";
    let words = call.split(' ').chain([report.as_str(), "--", "true"]);
    world.run_plainly("one", &words.collect::<Vec<_>>());
    let report: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(
        (&report["freshness"], &report["offline"]),
        (&"local".into(), &true.into()),
        "{report}"
    );
}

#[test]
fn a_governed_ref_that_went_back_is_stale() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
    let old = sandbox.git(&["rev-parse", "HEAD"]);
    let new = sandbox.amend_policy("supervisor:acme", "supervisor:other");
    sandbox.issue("read");
    sandbox.git(&["update-ref", "refs/heads/main", &old]);
    for call in [
        &["issue", "--request", "requests/read.json"][..],
        &["eval", "--request", "requests/read.json"],
        &["status"],
        &["replay"],
    ] {
        let refused = sandbox.json(call);
        assert_eq!(refused["reason"], "GOVERNED_STALE", "{call:?}");
        assert_eq!(
            refused["next_step"],
            format!("git update-ref refs/heads/main {new}")
        );
    }
    sandbox.git(&["update-ref", "refs/heads/main", &new]);
    assert_eq!(sandbox.reason(&["status"]), "OK");
}

#[test]
fn a_tail_that_was_kept_aside_is_not_missed() {
    let world = World::new();
    world.alone("two", || {
        world.issue("two", "build", "build");
        world.ok("two", &USE);
    });
    world.issue("one", "read", "read");
    world.refused("two", &["sync"], "CHAIN_FORKED");
    world.git("two", &["config", "--unset", "permit.remote"]);
    let status = world.ok("two", &["status"]);
    let kept = &status["unaccepted"][0];
    assert_eq!(
        (&kept["events"], kept["used"].as_array().unwrap().len()),
        (&Value::from(2), 1)
    );
    assert_eq!(
        world.ok("two", &["replay"])["unaccepted"][0]["ref"],
        kept["ref"]
    );
    world.issue("two", "read", "again");
}

#[test]
fn a_command_that_decides_asks_the_authority_first() {
    let world = World::new();
    let fresh = world.ok("one", &["issue", "--request", "requests/read.json"]);
    assert_eq!(fresh["freshness"], "fetched");
    world.issue("one", "build", "build");
    fs::rename(
        world.sandbox.aside("authority.git"),
        world.sandbox.aside("gone"),
    )
    .unwrap();
    world.refused("one", &USE, "GIT_ERROR");
    world.refused(
        "one",
        &["issue", "--request", "requests/read.json"],
        "GIT_ERROR",
    );
    let offline = world.ok(
        "one",
        &["--offline", "issue", "--request", "requests/read.json"],
    );
    assert_eq!(
        (&offline["offline"], &offline["freshness"]),
        (&true.into(), &"local".into())
    );
    assert!(offline["warnings"].to_string().contains("offline"));
    fs::rename(
        world.sandbox.aside("gone"),
        world.sandbox.aside("authority.git"),
    )
    .unwrap();
    // What was written offline is remembered nowhere, and goes its way with the next `sync`.
    let synced = world.ok("one", &["sync"]);
    assert_eq!(synced["streams"][0]["pushed"], 1);
    world.is_even();
}

#[test]
fn a_write_goes_on_only_under_the_governed_tip_of_the_authority() {
    let world = World::new();
    for name in ["one", "two"] {
        world.git(name, &["config", "permit.governedRef", "refs/heads/main"]);
    }
    let issue = ["issue", "--request", "requests/read.json"];
    world.ok("two", &issue);
    world.git("one", &["commit", "-q", "--allow-empty", "-m", "Another"]);
    world.git("one", &["push", "-q", "origin", "main"]);
    world.ok("one", &issue);
    world.refused("two", &issue, "GOVERNED_STALE");
    world.git("two", &["pull", "-q", "--ff-only", "origin", "main"]);
    world.ok("two", &issue);
    // A ref that follows the remote is brought forward with the same call.
    world.git(
        "two",
        &["config", "permit.governedRef", "refs/remotes/origin/main"],
    );
    let pin = world.git("two", &["rev-parse", "refs/remotes/origin/main"]);
    world.git("two", &["config", "permit.trustedCommit", &pin]);
    world.git("one", &["commit", "-q", "--allow-empty", "-m", "A third"]);
    world.git("one", &["push", "-q", "origin", "main"]);
    world.ok(
        "two",
        &[
            "issue",
            "--request",
            "requests/read.json",
            "--at",
            "refs/remotes/origin/main",
        ],
    );
    let there = world.git("authority.git", &["rev-parse", "main"]);
    assert_eq!(
        world.git("two", &["rev-parse", "refs/remotes/origin/main"]),
        there
    );
}

#[test]
fn a_clone_that_was_offline_for_a_week_derives_again_what_policy_changed_under() {
    let world = World::new();
    world.git("two", &["checkout", "-q", "--detach"]);
    let follow = ["config", "permit.governedRef", "refs/remotes/origin/main"];
    world.git("two", &follow);
    let pin = world.git("two", &["rev-parse", "refs/remotes/origin/main"]);
    world.git("two", &["config", "permit.trustedCommit", &pin]);
    let issue = ["--offline", "issue", "--request", "requests/read.json"];
    let content = world.ok("two", &issue);
    let before = world.tip("two");
    // Content alone makes nothing stale: what was issued meanwhile goes as it is.
    world.git("one", &["commit", "-q", "--allow-empty", "-m", "Content"]);
    world.git("one", &["push", "-q", "origin", "main"]);
    let synced = world.ok("two", &["sync"]);
    assert_eq!(synced["streams"][0]["rederived"], serde_json::json!([]));
    assert_eq!(world.tip("authority.git"), before);
    // Then who enforces changes, which is part of what confers authority.
    let old = world.ok("two", &issue);
    assert_ne!(old["permit"]["permit_id"], content["permit"]["permit_id"]);
    let folder = world.sandbox.aside("one");
    fs::write(folder.join("governance/surfaces.json"), "{}").unwrap();
    world.git("one", &["add", "--all"]);
    world.git("one", &["commit", "-q", "-m", "Governance"]);
    world.git("one", &["push", "-q", "origin", "main"]);
    world.git("two", &["config", "permit.governance", "ref"]);
    let synced = world.ok("two", &["sync"]);
    let again = &synced["streams"][0]["rederived"];
    assert_eq!(again[0]["old"], old["permit"]["permit_id"], "{synced}");
    assert_eq!(again.as_array().unwrap().len(), 1);
    assert_eq!(world.tip("authority.git"), world.tip("two"));
    let replayed = world.ok("two", &["replay"]);
    assert_eq!(replayed["rollbacks"], serde_json::json!([]));
    let tip = world.git("one", &["rev-parse", "HEAD"]);
    let newest = world.git("two", &["log", "-1", "--format=%b", STREAM]);
    assert!(newest.contains(&tip), "it is governed by the tip: {newest}");
}
