//! Clones that were offline, in front of a server with the hook; and the order in which `sync` brings what they did.

use serde_json::{Value, json};

use super::raw;
use super::streams::forge;
use super::world::{Run, World, policy};

const STREAM: &str = "refs/permit/streams/main";
const POLICY: &str = "governance/policy/acme.policy.json";

/// A server that has adopted, and a clone `b` of it that counts what the server accepted alone.
fn with_clone() -> World {
    let world = World::adopted();
    world.clone_to("b");
    world.git("b", &["config", "permit.remote", "origin"]);
    world
}

fn permit(world: &World, at: &str, arguments: &[&str]) -> Run {
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), at);
    command
        .args(arguments)
        .args(["--format", "json"])
        .env("ENFORCEMENT_MODE", "enforce");
    Run::of(&command.output().unwrap())
}

fn ok(world: &World, at: &str, arguments: &[&str]) -> Value {
    let run = permit(world, at, arguments);
    assert_eq!(run.exit, 0, "{arguments:?}: {run:?}");
    run.json()
}

fn refused(world: &World, at: &str, arguments: &[&str], reason: &str) -> Value {
    let run = permit(world, at, arguments);
    assert_eq!(run.json()["reason"], reason, "{arguments:?}: {run:?}");
    run.json()
}

fn tip(world: &World, at: &str) -> String {
    world.git(at, &["rev-parse", STREAM])
}

/// Changes the policy through `a`, reviewed, on the server.
fn change_policy(world: &World, version: &str) {
    world.write("a", POLICY, policy(version).to_string());
    world.commit("a", &format!("Policy {version}"));
    let range = ["--base", "origin/main", "--head", "HEAD"];
    let plan = [
        &["guard", "plan"],
        range.as_slice(),
        &["--governed-ref", "main"],
    ]
    .concat();
    let plan = world.ok("a", &plan);
    let planned = plan["requests"].as_array().unwrap().last().unwrap();
    let request = world.save("change.json", &planned["request"]);
    world.review("a", &request, &["README"]);
    world.commit("a", "Review");
    world.pushed("a", &["main"]);
}

/// The refs whose pushes the server has recorded since a line, in order.
fn recorded(world: &World, since: usize) -> Vec<String> {
    let record = world.record();
    let lines = record.iter().skip(since);
    let mut refs: Vec<String> = lines
        .map(|line| line["intent"]["subject"].as_str().unwrap().to_owned())
        .collect();
    refs.dedup();
    refs
}

#[test]
fn a_clone_that_is_offline_for_a_week_while_policy_changes_loses_nothing() {
    let world = with_clone();
    let request = world.request("run", &json!({}));
    let file = world.issue("a", &request);
    world.pushed("a", &[STREAM]);
    ok(&world, "b", &["sync"]);
    // The week: a use of what was issued before, and a permit of its own.
    let offline = ok(
        &world,
        "b",
        &["--offline", "use", &file, "--request", &request],
    );
    assert_eq!(
        (&offline["freshness"], &offline["offline"]),
        (&json!("local"), &json!(true))
    );
    let often = world.request("run.often", &json!({}));
    ok(&world, "b", &["--offline", "issue", "--request", &often]);
    let done = tip(&world, "b");
    change_policy(&world, "2");
    world.git("b", &["pull", "-q", "--ff-only", "origin", "main"]);
    let server = tip(&world, "server.git");

    let report = refused(&world, "b", &["sync"], "GOVERNED_STALE");
    let orphan = &report["streams"][0]["orphan"];
    let kept = orphan["ref"].as_str().unwrap();
    assert_eq!(orphan["events"], 2, "{report}");
    assert_eq!(orphan["used"].as_array().unwrap().len(), 1);
    assert_eq!(report["details"]["kept_under"], kept);
    // It is there, here and on the server, and confers nothing.
    for at in ["b", "server.git"] {
        assert_eq!(world.git(at, &["rev-parse", kept]), done);
        assert_eq!(tip(&world, at), server);
    }
    let again = ok(&world, "b", &["sync"]);
    assert_eq!(again["orphans"][0]["ref"], kept);
    assert!(again["warnings"].to_string().contains(kept));
    let status = ok(&world, "b", &["status"]);
    assert_eq!(status["unaccepted"][0]["ref"], kept);

    // A week in which nothing was used is derived again under the policy of today, and accepted.
    let old = ok(&world, "b", &["--offline", "issue", "--request", &often]);
    change_policy(&world, "3");
    world.git("b", &["pull", "-q", "--ff-only", "origin", "main"]);
    let synced = ok(&world, "b", &["sync"]);
    let rederived = &synced["streams"][0]["rederived"];
    assert_eq!(rederived[0]["old"], old["permit"]["permit_id"], "{synced}");
    assert_eq!(tip(&world, "b"), tip(&world, "server.git"));
    assert_eq!(
        ok(&world, "b", &["replay"])["divergences"],
        json!([]),
        "what was derived again holds"
    );
}

#[test]
fn a_week_without_a_change_of_governance_lands_as_it_is() {
    let world = with_clone();
    let request = world.request("run", &json!({}));
    let file = world.issue("a", &request);
    world.pushed("a", &[STREAM]);
    ok(&world, "b", &["sync"]);
    ok(
        &world,
        "b",
        &["--offline", "use", &file, "--request", &request],
    );
    let done = tip(&world, "b");
    world.write("a", "README", "two");
    world.commit("a", "Content");
    world.pushed("a", &["main"]);
    world.git("b", &["pull", "-q", "--ff-only", "origin", "main"]);
    let synced = ok(&world, "b", &["sync"]);
    assert_eq!(synced["streams"][0]["pushed"], 1);
    assert_eq!(tip(&world, "server.git"), done);
}

#[test]
fn a_tail_that_is_kept_aside_is_made_once_and_changed_never() {
    let world = with_clone();
    let often = world.request("run.often", &json!({}));
    ok(&world, "b", &["--offline", "issue", "--request", &often]);
    let first = tip(&world, "b");
    let hash = ok(&world, "b", &["checkpoint"])["event_hash"].clone();
    let place = |hash: &str| format!("refs/permit/orphans/main/{hash}");
    let kept = place(hash.as_str().unwrap());
    ok(&world, "b", &["--offline", "issue", "--request", &often]);
    let second = tip(&world, "b");

    world.denied(
        "b",
        &[&format!("{first}:{}", place(&"0".repeat(64)))],
        "EVENT_NOT_ALLOWED",
    );
    world.denied(
        "b",
        &[&format!("{first}:refs/permit/orphans/main")],
        "EVENT_NOT_ALLOWED",
    );
    world.denied("b", &[&format!("main:{kept}")], "CHAIN_MALFORMED");
    world.pushed("b", &[&format!("{first}:{kept}")]);
    world.denied("b", &[&format!("+{second}:{kept}")], "STREAM_REWRITE");
    world.denied("b", &[&format!(":{kept}")], "STREAM_DELETE");

    // A chain that is broken on the way is none, whatever its end is named.
    let world = with_clone();
    let often = world.request("run.often", &json!({}));
    ok(&world, "b", &["--offline", "issue", "--request", &often]);
    forge(&world, "b", |bytes| bytes.replace("run.often", "run.other"));
    let forged = tip(&world, "b");
    let hash = {
        let text = world.git("b", &["cat-file", "commit", &forged]);
        let artifact = text.rsplit_once("\n\n").unwrap().1.to_owned();
        let artifact: Value = serde_json::from_str(&artifact).unwrap();
        artifact["event_hash"].as_str().unwrap().to_owned()
    };
    world.denied(
        "b",
        &[&format!("{forged}:{}", place(&hash))],
        "CHAIN_TAMPERED",
    );
}

#[test]
fn a_sync_brings_the_governed_ref_then_the_streams_then_what_was_named() {
    let world = World::adopted();
    world.write("a", "README", "two");
    world.commit("a", "Content");
    world.git("a", &["branch", "side"]);
    let request = world.request("run", &json!({}));
    world.issue("a", &request);
    let before = world.refs();
    // What the stream is governed by is not there: nothing goes on.
    let report = refused(&world, "a", &["sync", "side"], "GIT_ERROR");
    assert!(
        report["details"]["git"]
            .as_str()
            .unwrap()
            .contains("COMMIT_NOT_GOVERNED"),
        "{report}"
    );
    assert_eq!(report["refs"], json!([]));
    assert_eq!(world.refs(), before);
    let since = world.record().len();
    let synced = ok(&world, "a", &["sync", "--governed", "side"]);
    let refs = synced["refs"].as_array().unwrap();
    let refs: Vec<_> = refs
        .iter()
        .map(|sent| (sent["ref"].as_str().unwrap(), &sent["pushed"]))
        .collect();
    assert_eq!(
        refs,
        [
            ("refs/heads/main", &json!(true)),
            ("refs/heads/side", &json!(true))
        ]
    );
    assert_eq!(
        recorded(&world, since),
        ["refs/heads/main", STREAM, "refs/heads/side"]
    );
    assert_eq!(tip(&world, "server.git"), tip(&world, "a"));
    // Again, there is nothing to do.
    let lines = world.record().len();
    let synced = ok(&world, "a", &["sync", "--governed", "side"]);
    assert_eq!(synced["refs"][1]["pushed"], false);
    assert_eq!(world.record().len(), lines);
    for name in ["none", "refs/permit/streams/main", "refs/hap/x"] {
        refused(&world, "a", &["sync", name], "INVALID_INPUT");
    }
}

#[test]
fn attack_a_push_of_what_is_not_there() {
    let world = World::adopted();
    let absent = "1234567890123456789012345678901234567890";
    let zeros = "0".repeat(40);
    let main = world.git("server.git", &["rev-parse", "main"]);
    let stream = tip(&world, "server.git");
    for (old, name) in [
        (main.as_str(), "refs/heads/main"),
        (&stream, STREAM),
        (&zeros, "refs/permit/streams/other"),
        (&zeros, "refs/heads/side"),
        (&zeros, "refs/tags/v1"),
        (&zeros, "refs/hap/x"),
    ] {
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
        command.args(["guard", "receive", "--mode", "enforce"]);
        let line = format!("{old} {absent} {name}\n");
        let run = Run::of(&crate::sandbox::with_input(command, line.as_bytes()));
        assert_ne!(run.exit, 0, "{name}");
        assert!(run.stderr.contains("[OBJECT_MISSING]"), "{name}: {run:?}");
    }
    // Git itself does not let it come as far.
    let run = raw::push(&world, "a", &[(&zeros, absent, "refs/heads/side")]);
    assert!(!run.stdout.contains("ok refs/heads/side"), "{run:?}");
}

#[test]
fn a_long_stream_lands_in_pushes_that_the_boundary_takes() {
    let world = World::adopted();
    world.git("server.git", &["config", "permit.maxEventsPerPush", "2"]);
    let often = world.request("run.often", &json!({}));
    for _ in 0..5 {
        world.issue("a", &often);
    }
    let report = refused(&world, "a", &["sync"], "GIT_ERROR");
    assert!(
        report["details"]["git"]
            .as_str()
            .unwrap()
            .contains("PUSH_TOO_LARGE"),
        "{report}"
    );
    world.git("a", &["config", "permit.maxEventsPerPush", "2"]);
    let since = world.record().len();
    let synced = ok(&world, "a", &["sync"]);
    assert_eq!(synced["streams"][0]["pushed"], 5);
    assert_eq!(world.record().len(), since + 3);
    assert_eq!(tip(&world, "server.git"), tip(&world, "a"));
}
