//! Remotes that do not behave: silent, dripping, chatty, hostile in what they say. A call of `git` ends all the same.

use std::process::Command;

use serde_json::Value;

use super::World;

const CALLS: [&[&str]; 3] = [
    &["issue", "--request", "requests/read.json"],
    &["use", "../build.permit", "--request", "requests/build.json"],
    &["sync"],
];

/// Every command that asks the remote ends with `GIT_ERROR`, and the stream stays as it was.
fn nothing_goes_on(world: &World, said: &str) {
    let before = world.tip("one");
    for call in CALLS {
        let refused = world.refused("one", call, "GIT_ERROR");
        let text = format!("{}{}", refused["message"], refused["details"]);
        assert!(text.contains(said), "{call:?}: {refused}");
    }
    assert_eq!(world.tip("one"), before);
}

#[test]
fn attack_a_silent_remote_hangs_use() {
    let world = World::new();
    world.issue("one", "build", "build");
    let url = world.aside("authority.git");
    world.git("one", &["config", "permit.remote.timeout", "1"]);
    // The child of the transport keeps every pipe open: it is ended with it.
    world.remote_is("one", "sleep 1000 & wait");
    nothing_goes_on(&world, "1 seconds");
    // The honest counterpart: the same clone, as soon as the remote answers.
    world.git("one", &["config", "remote.origin.url", &url]);
    world.git("one", &["config", "permit.remote.timeout", "30"]);
    world.ok("one", CALLS[1]);
}

#[test]
fn attack_a_remote_that_drips_is_no_empty_one() {
    let world = World::new();
    world.issue("one", "build", "build");
    world.git("one", &["config", "permit.remote.timeout", "5"]);
    // Four zeros end an answer: `git` takes the remote for one without a single ref.
    world.remote_is("one", "while :; do printf 0; sleep 0.1; done");
    nothing_goes_on(&world, "");
    // Not even a clone that never saw a stream believes that there is none.
    let (url, fresh) = (world.aside("authority.git"), world.aside("fresh"));
    world.sandbox.git(&["clone", "--quiet", &url, &fresh]);
    world.git("fresh", &["config", "permit.remote", "origin"]);
    world.git(
        "fresh",
        &["config", "permit.governedRef", "refs/heads/main"],
    );
    world.remote_is("fresh", "while :; do printf 0; sleep 0.1; done");
    world.refused("fresh", &["sync"], "GIT_ERROR");
}

#[test]
fn attack_a_chatty_remote_costs_no_memory() {
    let world = World::new();
    world.issue("one", "build", "build");
    world.git("one", &["config", "permit.remote.timeout", "20"]);
    let line = "004f%040d refs/heads/%022d";
    world.remote_is(
        "one",
        &format!("yes \"$(printf '{line}' 1 1)\" | head -c 900000000"),
    );
    nothing_goes_on(&world, "");
}

#[test]
fn what_a_remote_says_is_passed_on_cut_and_escaped() {
    let world = World::new();
    world.issue("one", "build", "build");
    world.remote_is(
        "one",
        "printf 'closed \\033[31m today\\n' >&2; head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 1",
    );
    let refused = world.refused("one", CALLS[0], "GIT_ERROR");
    let said = refused["details"]["git"].as_str().unwrap();
    assert!(said.starts_with("closed \\u{1b}[31m today"), "{said}");
    assert!(said.len() < 6000, "{}", said.len());
}

#[test]
fn the_timeout_is_a_whole_number_of_seconds() {
    let world = World::new();
    for value in ["0", "-1", "1.5", "1k", "soon", ""] {
        world.git("one", &["config", "permit.remote.timeout", value]);
        let refused = world.refused("one", CALLS[0], "INVALID_INPUT");
        assert_eq!(refused["next_step"], "git config permit.remote.timeout 30");
    }
    world.git("one", &["config", "permit.remote.timeout", "30"]);
    world.ok("one", CALLS[0]);
}

#[test]
fn attack_a_pipe_in_place_of_a_loose_object_hangs() {
    let world = World::new();
    let id = world.tip("one");
    let folder = format!("one/.git/objects/{}", &id[..2]);
    let path = world.sandbox.aside(&folder).join(&id[2..]);
    let kept = world.sandbox.aside("kept");
    std::fs::rename(&path, &kept).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    for call in [
        &["verify-chain"][..],
        &["log"],
        &["status"],
        CALLS[0],
        &["replay"],
    ] {
        let (run, value) = world.run("one", call);
        assert_eq!(
            (run.exit, &value["reason"]),
            (1, &Value::from("GIT_ERROR")),
            "{call:?} {}",
            run.stdout
        );
    }
    std::fs::rename(&kept, &path).unwrap();
    world.ok("one", CALLS[0]);
}
