//! What `sync` pushes, in which order, and what stops it.

use std::fs;

use super::{STREAM, World};

/// Has the authority write down what is pushed, one line a ref; refuses what a pattern matches.
fn watched(world: &World, refused: &str) {
    world.hook(&format!(
        "#!/bin/sh\nwhile read -r old new ref; do\ncase \"$ref\" in {refused}) exit 1;; esac\necho \"$ref\" >>pushed\ndone\n"
    ));
}

fn pushed(world: &World) -> Vec<String> {
    let file = world.sandbox.aside("authority.git/pushed");
    let text = fs::read_to_string(&file).unwrap_or_default();
    drop(fs::remove_file(file));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn governed_ref_streams_records_and_named_refs_go_in_this_order() {
    let world = World::new();
    watched(&world, "none");
    world.git("one", &["commit", "-q", "--allow-empty", "-m", "Another"]);
    world.git("one", &["branch", "side"]);
    world.git("one", &["tag", "v1"]);
    world.git("one", &["update-ref", "refs/hap/some/record", "HEAD"]);
    world.alone("one", || world.issue("one", "read", "read"));
    let call = ["sync", "--governed", "side", "v1"];
    let synced = world.ok("one", &call);
    assert_eq!(
        pushed(&world),
        [
            "refs/heads/main",
            STREAM,
            "refs/hap/some/record",
            "refs/heads/side",
            "refs/tags/v1"
        ]
    );
    assert_eq!(synced["refs"].as_array().unwrap().len(), 4);
    world.ok("one", &call);
    assert!(pushed(&world).is_empty());
    // What went on there stays there.
    world.git("one", &["update-ref", "refs/hap/some/record", "HEAD~1"]);
    world.ok("one", &["sync"]);
    assert!(pushed(&world).is_empty());
}

#[test]
fn nothing_goes_on_after_a_refusal() {
    let world = World::new();
    world.git("one", &["commit", "-q", "--allow-empty", "-m", "Another"]);
    world.git("one", &["branch", "side"]);
    world.git("one", &["update-ref", "refs/hap/some/record", "HEAD"]);
    world.alone("one", || world.issue("one", "read", "read"));
    let call = ["sync", "--governed", "side"];
    watched(&world, "refs/heads/main");
    world.refused("one", &call, "GIT_ERROR");
    assert!(pushed(&world).is_empty());
    watched(&world, "refs/permit/*");
    let report = world.refused("one", &call, "GIT_ERROR");
    assert_eq!(pushed(&world), ["refs/heads/main"]);
    assert!(report["warnings"].to_string().contains("no other ref"));
    watched(&world, "refs/hap/*");
    let report = world.refused("one", &call, "GIT_ERROR");
    assert_eq!(pushed(&world), [STREAM]);
    assert_eq!(report["refs"][1]["reason"], "GIT_ERROR");
    watched(&world, "none");
    world.ok("one", &call);
    assert_eq!(pushed(&world), ["refs/hap/some/record", "refs/heads/side"]);
    // A branch that went elsewhere there is not forced.
    world.git(
        "authority.git",
        &["update-ref", "refs/heads/side", "main~1"],
    );
    world.git(
        "authority.git",
        &["update-ref", "refs/heads/other", "main~1"],
    );
    let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let odd = world.git("one", &["commit-tree", "-m", "x", tree]);
    world.git("one", &["update-ref", "refs/heads/other", &odd]);
    let report = world.refused("one", &["sync", "side", "other"], "GIT_ERROR");
    assert_eq!(report["refs"][0]["pushed"], true);
    assert!(
        report["next_step"]
            .as_str()
            .unwrap()
            .starts_with("git fetch origin")
    );
}

#[test]
fn a_stream_above_the_limit_of_a_push_goes_in_several() {
    let world = World::new();
    watched(&world, "none");
    let line = fs::read_to_string(world.sandbox.path("requests/read.json")).unwrap();
    let lines = format!("{}\n", line.replace('\n', "")).repeat(7);
    fs::write(world.sandbox.aside("batch.jsonl"), lines).unwrap();
    world.alone("one", || {
        world.run("one", &["issue", "--batch", "../batch.jsonl"])
    });
    world.git("one", &["config", "permit.maxEventsPerPush", "none"]);
    world.refused("one", &["sync"], "INVALID_INPUT");
    world.git("one", &["config", "permit.maxEventsPerPush", "3"]);
    let synced = world.ok("one", &["sync"]);
    assert_eq!(synced["streams"][0]["pushed"], 7);
    assert_eq!(pushed(&world), [STREAM; 3]);
    world.is_even();
}

#[test]
fn one_broken_stream_is_reported_and_the_others_go_on() {
    let world = World::new();
    world.alone("one", || world.issue("one", "read", "read"));
    let odd = world.git("authority.git", &["rev-parse", "main"]);
    for name in ["broken", "Bad", "a-b/c"] {
        let name = format!("refs/permit/streams/{name}");
        world.git("authority.git", &["update-ref", &name, &odd]);
    }
    let report = world.run("one", &["sync"]).1;
    let streams = report["streams"].as_array().unwrap();
    let reason = |id: &str| {
        let stream = streams.iter().find(|stream| stream["stream_id"] == id);
        stream.unwrap()["reason"].clone()
    };
    assert_eq!(reason("main"), "OK");
    assert_eq!(reason("broken"), "CHAIN_MALFORMED");
    assert_eq!(reason("Bad"), "INVALID_INPUT");
    assert_eq!(reason("a-b/c"), "INVALID_INPUT");
    assert_ne!(report["reason"], "OK");
    assert_eq!(world.tip("one"), world.tip("authority.git"));
}
