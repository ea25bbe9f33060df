//! Streams in a push: only events that fit the chain and can be derived again.

use serde_json::json;

use super::world::World;

const STREAM: &str = "refs/permit/streams/main";

/// Replaces the newest event's commit by one with other bytes, in the form of an event.
pub(crate) fn forge(world: &World, at: &str, change: impl Fn(&str) -> String) {
    let tip = world.git(at, &["rev-parse", STREAM]);
    let bytes = world.git(at, &["cat-file", "commit", &tip]);
    let mut command = world.command("git", at);
    command.args([
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        "--literally",
    ]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), change(&bytes).as_bytes()).unwrap();
    let id = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    world.git(at, &["update-ref", STREAM, id.trim()]);
}

/// Seals the artifact in a commit anew, so that only deriving it again shows the change.
pub(crate) fn reseal(bytes: &str, from: &str, to: &str) -> String {
    use permit::engine::canonical::{Value, parse, to_bytes};
    use permit::engine::digest::{Domain, domain_hash};
    let (head, artifact) = bytes.rsplit_once("\n\n").unwrap();
    let altered = artifact.replace(from, to);
    assert_ne!(artifact, altered);
    let mut artifact = parse(altered.as_bytes()).unwrap().into_owned();
    let Value::Object(members) = &mut artifact else {
        unreachable!()
    };
    let Some(Value::Object(mut identity)) = members.get("event").cloned() else {
        unreachable!()
    };
    let payload = identity.remove("payload").unwrap();
    let named = |key: &str| identity.get(key).cloned().unwrap();
    if !named("event_type").as_str().unwrap().starts_with("permit.") {
        let keys = ["event_type", "stream_id", "sequence", "prev_event_hash"];
        let mut id = permit::engine::canonical::Object::of(keys.map(|key| (key, named(key))));
        id.insert("payload", payload.clone());
        let id = permit::engine::digest::Digest::new(domain_hash(Domain::EventId, &id));
        identity.insert("event_id", Value::from(id.to_string()));
    }
    let mut event = identity.clone();
    event.insert("payload", payload.clone());
    members.insert("event", Value::Object(event));
    let body = Value::Object(permit::engine::canonical::Object::of([(
        "payload", payload,
    )]));
    let whole =
        permit::engine::canonical::Object::of([("identity", identity.into()), ("body", body)]);
    let hash = domain_hash(Domain::AuditEvent, &whole);
    members.insert(
        "event_hash",
        Value::from(permit::engine::digest::Digest::new(hash).to_string()),
    );
    format!(
        "{head}\n\n{}",
        String::from_utf8(to_bytes(&artifact)).unwrap()
    )
}

#[test]
fn honest_events_go_through_from_several_clones() {
    let world = World::adopted();
    world.clone_to("b");
    let request = world.request("run", &json!({}));
    let permit = world.issue("a", &request);
    world.pushed("a", &[STREAM]);
    world.git("b", &["fetch", "-q"]);
    world.ok("b", &["use", &permit, "--request", &request]);
    world.pushed("b", &[STREAM]);
    // The other clone did not see the use: what it appends is a fork, not a fast-forward.
    world.issue("a", &world.request("run.often", &json!({})));
    let run = world.push("a", "enforce", &[STREAM]);
    assert_ne!(run.exit, 0);
    world.denied("a", &[&format!("+{STREAM}")], "STREAM_REWRITE");
}

#[test]
fn a_stream_is_never_deleted_truncated_or_rewritten() {
    let world = World::adopted();
    let request = world.request("run", &json!({}));
    world.issue("a", &request);
    world.pushed("a", &[STREAM]);
    world.denied("a", &[&format!(":{STREAM}")], "STREAM_DELETE");
    world.denied("a", &[&format!("+{STREAM}~1:{STREAM}")], "STREAM_REWRITE");
    let before = world.git("a", &["rev-parse", &format!("{STREAM}~1")]);
    world.git("a", &["update-ref", STREAM, &before]);
    world.ok("a", &["stream", "forget", "main", "--reason", "test"]);
    world.issue("a", &world.request("run.often", &json!({})));
    world.denied("a", &[&format!("+{STREAM}")], "STREAM_REWRITE");
    // What is no event is a rewrite too, unless it only goes on from the old tip.
    world.denied("a", &["+main:refs/permit/streams/main"], "STREAM_REWRITE");
    let server = world.git("server.git", &["rev-parse", STREAM]);
    for (parent, code) in [(&server, "CHAIN_MALFORMED"), (&before, "STREAM_REWRITE")] {
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let odd = world.git("a", &["commit-tree", "-p", parent, "-m", "x", tree]);
        world.denied("a", &[&format!("+{odd}:{STREAM}")], code);
    }
}

#[test]
fn an_event_that_cannot_be_derived_is_refused() {
    let world = World::adopted();
    let request = world.request("run", &json!({"task": "1"}));
    world.issue("a", &request);
    let honest = world.git("a", &["rev-parse", STREAM]);
    forge(&world, "a", |bytes| {
        bytes.replace("\"task\":\"1\"", "\"task\":\"2\"")
    });
    world.denied("a", &[STREAM], "CHAIN_TAMPERED");
    world.git("a", &["update-ref", STREAM, &honest]);
    forge(&world, "a", |bytes| {
        reseal(bytes, "\"task\":\"1\"", "\"task\":\"2\"")
    });
    world.denied("a", &[STREAM], "REPLAY_MISMATCH");
    world.git("a", &["update-ref", STREAM, &honest]);
    world.pushed("a", &[STREAM]);
}

#[test]
fn a_use_needs_a_permit_that_was_usable_there() {
    let world = World::adopted();
    let request = world.request("run", &json!({}));
    let permit = world.issue("a", &request);
    world.ok("a", &["use", &permit, "--request", &request]);
    world.pushed("a", &[STREAM]);
    // A second use of the same permit, sealed as the first was.
    let tip = world.git("a", &["rev-parse", STREAM]);
    let artifact = world.git("a", &["log", "-1", "--format=%b", STREAM]);
    let hash = serde_json::from_str::<serde_json::Value>(&artifact).unwrap()["event_hash"].clone();
    let before =
        serde_json::from_str::<serde_json::Value>(&artifact).unwrap()["event"]["prev_event_hash"]
            .clone();
    let (hash, before) = (
        hash.as_str().unwrap().to_owned(),
        before.as_str().unwrap().to_owned(),
    );
    forge(&world, "a", |bytes| {
        let again = reseal(bytes, &before, &hash)
            .replace("permit.used #2", "permit.used #3")
            .replace(" 2 +0000", " 3 +0000");
        let again = reseal(&again, "\"sequence\":2", "\"sequence\":3");
        let (_, rest) = again.split_once("author ").unwrap();
        format!("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent {tip}\nauthor {rest}")
    });
    world.denied("a", &[STREAM], "EVENT_NOT_ALLOWED");
}

#[test]
fn events_count_only_under_governed_commits() {
    let world = World::adopted();
    world.write("a", "README", "two");
    world.commit("a", "Not pushed");
    world.issue("a", &world.request("run", &json!({})));
    world.denied("a", &[STREAM], "COMMIT_NOT_GOVERNED");
    world.denied("a", &["main", STREAM], "GOVERNED_STALE");
    world.pushed("a", &["main"]);
    world.pushed("a", &[STREAM]);
}

#[test]
fn a_stream_of_an_unlawful_name_or_beginning_is_refused() {
    let world = World::adopted();
    world.issue("a", &world.request("run", &json!({})));
    world.denied(
        "a",
        &[&format!("{STREAM}:refs/permit/streams/Upper")],
        "EVENT_NOT_ALLOWED",
    );
    world.denied(
        "a",
        &[&format!("{STREAM}:refs/permit/streams/second")],
        "CHAIN_TAMPERED",
    );
    world.ok("a", &["stream", "open", "second"]);
    world.pushed("a", &["refs/permit/streams/second"]);
}

#[test]
fn a_run_is_recorded_only_as_its_permit_names_it() {
    let world = World::adopted();
    world.git("a", &["config", "permit.governedRef", "refs/heads/main"]);
    let request = world.request("run", &json!({"argv": ["true"]}));
    let permit = world.issue("a", &request);
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "a");
    command.args(["exec", &permit, "--request", &request]);
    command.env("ENFORCEMENT_MODE", "enforce");
    assert!(command.status().unwrap().success());
    let tip = world.git("a", &["rev-parse", STREAM]);
    let requested = world.git("a", &["rev-parse", &format!("{STREAM}~1")]);
    for (from, to) in [
        ("\"argv\":[\"true\"]", "\"argv\":[\"false\"]"),
        (
            "\"target_commit\":\"\"",
            "\"target_commit\":\"1111111111111111111111111111111111111111\"",
        ),
    ] {
        world.git("a", &["update-ref", STREAM, &requested]);
        forge(&world, "a", |bytes| reseal(bytes, from, to));
        world.denied("a", &[STREAM], "REPLAY_MISMATCH");
    }
    // A run that the policy allows without a warning is not recorded as one with a warning.
    world.git("a", &["update-ref", STREAM, &tip]);
    forge(&world, "a", |bytes| {
        reseal(bytes, "tool.exec.allowed", "tool.exec.warned")
            .replace("tool.exec.allowed #", "tool.exec.warned #")
    });
    world.denied("a", &[STREAM], "EVENT_NOT_ALLOWED");
    world.git("a", &["update-ref", STREAM, &tip]);
    world.pushed("a", &[STREAM]);
}
