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

/// Attaches a permit to globs of refs, beside what else the attachment says.
fn attached(refs: &[&str], more: &serde_json::Value) -> World {
    let world = World::new();
    let mut attachment = json!({"boundary": "git.receive", "class": "content.change", "refs": refs,
         "paths": ["**"], "stream": "main", "require": "permit"});
    for (key, value) in more.as_object().unwrap() {
        attachment[key] = value.clone();
    }
    let document = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl",
        "boundaries": [attachment]});
    world.write("a", "governance/enforcement.json", document.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    world
}

/// Issues and lands a permit for exactly one update.
fn permit(world: &World, actor: &str, name: &str, before: &str, after: &str) {
    let request = json!({"schema": "permit.request.v1", "actor_id": actor,
        "capability": {"kind": "tool", "selector": "content.change"},
        "operation": "push", "target": name, "context": {"before": before, "after": after}});
    let request = world.save("content.json", &request);
    world.ok(
        "a",
        &["issue", "--request", &request, "--at", "origin/main"],
    );
    world.pushed("a", &[STREAM]);
}

/// An annotated tag of an object, as many times tagged as `depth` says.
fn nested(world: &World, mut object: String, kind: &str, depth: usize) -> String {
    for level in 0..depth {
        let kind = if level == 0 { kind } else { "tag" };
        let tag = format!(
            "object {object}\ntype {kind}\ntag t{level}\ntagger Ana <ana@acme.invalid> 1700000000 +0000\n\nx\n"
        );
        let mut command = world.command("git", "a");
        command.args(["hash-object", "-t", "tag", "-w", "--stdin"]);
        let made = crate::sandbox::with_input(command, tag.as_bytes());
        let made = String::from_utf8(made.stdout).unwrap();
        made.trim().clone_into(&mut object);
    }
    object
}

#[test]
fn attack_4_a_nested_tag_or_the_tag_of_a_tree_needs_its_permit() {
    let world = attached(&["refs/tags/**", "refs/other/**"], &json!({}));
    let head = world.git("a", &["rev-parse", "HEAD"]);
    let tree = world.git("a", &["rev-parse", "HEAD^{tree}"]);
    let deep = nested(&world, head.clone(), "commit", 34);
    let of_tree = nested(&world, tree.clone(), "tree", 1);
    for object in [&deep, &of_tree, &tree, &head] {
        for place in ["refs/tags/x", "refs/other/x"] {
            world.denied("a", &[&format!("{object}:{place}")], "PERMIT_REQUIRED");
        }
        let last = world.record().pop().unwrap();
        assert_eq!(
            (&last["intent"]["paths"], &last["reason"]),
            (&serde_json::Value::Null, &json!("PERMIT_REQUIRED"))
        );
    }
    permit(&world, "boundary:git.receive", "refs/tags/x", "", &deep);
    world.pushed("a", &[&format!("{deep}:refs/tags/x")]);
    // To delete it touches every path, too.
    world.denied("a", &[":refs/tags/x"], "PERMIT_REQUIRED");
    // A ref that nothing is attached to needs none.
    world.pushed("a", &[&format!("{deep}:refs/unprotected/x")]);
}

#[test]
fn attack_4_a_new_branch_of_an_equal_tree_needs_its_permit_where_it_is_named() {
    let world = attached(&["refs/heads/prod", "refs/heads/release/*"], &json!({}));
    world.denied("a", &["main:refs/heads/prod"], "PERMIT_REQUIRED");
    // By a pattern it is what differs from the governed tip: nothing here, something there.
    world.pushed("a", &["main:refs/heads/release/1"]);
    world.write("a", "src/x", "new");
    world.commit("a", "Source");
    world.denied("a", &["HEAD:refs/heads/release/2"], "PERMIT_REQUIRED");
    // Without common history, every path: the tree is the same.
    world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    let alone = world.git("a", &["commit-tree", "-m", "alone", "HEAD^{tree}"]);
    world.denied(
        "a",
        &[&format!("{alone}:refs/heads/release/3")],
        "PERMIT_REQUIRED",
    );
    let head = world.git("a", &["rev-parse", "HEAD"]);
    permit(&world, "boundary:git.receive", "refs/heads/prod", "", &head);
    world.pushed("a", &["main:refs/heads/prod"]);
}

/// A commit on top of main in which one file lies `wide` to the power of `deep` times.
fn bomb(world: &World, wide: usize, deep: usize, leaf: &str) -> String {
    let make = |kind: &str, input: &str| {
        let mut command = world.command("git", "a");
        match kind {
            "tree" => command.arg("mktree"),
            _ => command.args(["hash-object", "-w", "--stdin"]),
        };
        let made = crate::sandbox::with_input(command, input.as_bytes());
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let mut object = make("blob", "x");
    let mut mode = format!("100644 blob {object}\t{leaf}");
    for _ in 0..deep {
        let (kind, _) = mode.split_once('\t').unwrap();
        let lines: Vec<String> = (0..wide).map(|n| format!("{kind}\t{n:05}\n")).collect();
        let lines = lines.concat();
        object = make("tree", &lines);
        mode = format!("040000 tree {object}\t{leaf}");
    }
    let beside = world.git("a", &["ls-tree", "origin/main"]);
    let root = make("tree", &format!("{beside}\n040000 tree {object}\tzz\n"));
    let parent = ["commit-tree", "-m", "bomb", "-p", "origin/main", &root];
    world.git("a", &parent)
}

#[test]
fn attack_6_a_git_bomb_is_too_large_where_a_rule_asks_and_costs_nothing_elsewhere() {
    let world = attached(&["refs/heads/release/*"], &json!({}));
    // 10^7 paths in nine objects, and 10^10 in a hundred times as many.
    let small = bomb(&world, 10, 7, "f");
    let large = bomb(&world, 100, 5, "f");
    for head in [&small, &large] {
        let run = world.push("a", "enforce", &[&format!("{head}:refs/heads/release/1")]);
        assert!(run.stderr.contains("[PUSH_TOO_LARGE]"), "{run:?}");
    }
    // What is within the bounds is summed up.
    let head = bomb(&world, 300, 1, "f");
    world.denied(
        "a",
        &[&format!("{head}:refs/heads/release/1")],
        "PERMIT_REQUIRED",
    );
    let paths = world.record().pop().unwrap()["intent"]["paths"].clone();
    assert_eq!(paths["first"].as_array().unwrap().len(), 100);
    assert_eq!(paths["digest"].as_str().unwrap().len(), 64);
    // No rule asks for the paths of these refs; the governed ref's are compared where governance lies.
    world.pushed("a", &[&format!("{small}:refs/heads/free")]);
    world.pushed("a", &[&format!("{small}:refs/heads/main")]);
    let bytes = std::fs::read(world.path("server.git/permit-guard.jsonl")).unwrap();
    assert!(
        bytes
            .split(|byte| *byte == b'\n')
            .all(|line| line.len() <= 64 << 10)
    );
}

#[test]
fn a_pusher_who_is_required_is_an_active_principal() {
    let world = attached(&["refs/heads/prod"], &json!({"pusher": "required"}));
    let head = world.git("a", &["rev-parse", "HEAD"]);
    permit(&world, "boundary:git.receive", "refs/heads/prod", "", &head);
    permit(&world, "human:ana", "refs/heads/prod", "", &head);
    let fingerprint = {
        let shown = String::from_utf8(
            world
                .command("ssh-keygen", "home")
                .args(["-lf", "bo.pub"])
                .output()
                .unwrap()
                .stdout,
        )
        .unwrap();
        shown.split(' ').nth(1).unwrap().to_owned()
    };
    let push = |environment: &[(&str, &str)]| {
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
        command.args(["guard", "receive", "--mode", "enforce"]);
        command.envs(environment.iter().copied());
        let line = format!("{ABSENT} {head} refs/heads/prod\n");
        super::world::Run::of(&crate::sandbox::with_input(command, line.as_bytes()))
    };
    let certificate = |key| {
        [
            ("GIT_PUSH_CERT_STATUS", "G"),
            ("GIT_PUSH_CERT_NONCE_STATUS", "OK"),
            ("GIT_PUSH_CERT_KEY", key),
        ]
    };
    let bo = certificate(fingerprint.as_str());
    for (environment, reason) in [
        (vec![], "PERMIT_REQUIRED"),
        (vec![("PERMIT_PUSHER", "human:zoe")], "PRINCIPAL_UNKNOWN"),
        (certificate("SHA256:x").to_vec(), "PRINCIPAL_UNKNOWN"),
        // Bo pushes with his key, and the permit is not for him.
        (bo.to_vec(), "PERMIT_REQUIRED"),
        (
            [&bo[..], &[("PERMIT_PUSHER", "human:ana")]].concat(),
            "PERMIT_REQUIRED",
        ),
        (
            [&bo[..], &[("GIT_PUSH_CERT_NONCE_STATUS", "SLOP")]].concat(),
            "PERMIT_REQUIRED",
        ),
    ] {
        let run = push(&environment);
        assert!(
            run.stderr.contains(&format!("[{reason}]")),
            "{environment:?}: {run:?}"
        );
    }
    assert_eq!(push(&[("PERMIT_PUSHER", "human:ana")]).exit, 0);
    permit(&world, "human:bo", "refs/heads/prod", "", &head);
    assert_eq!(push(&bo).exit, 0);
}

/// Appends a denial of a run that nothing issued a permit for, sealed as an honest one is.
fn deny_run(world: &World, at: &str, permit_id: &str) {
    use permit::engine::canonical::{Value, parse};
    use permit::engine::chain::{EventType, SealedEvent, Tip};
    let artifact = world.git(at, &["log", "-1", "--format=%b", STREAM]);
    let last: serde_json::Value = serde_json::from_str(&artifact).unwrap();
    let tip = Tip {
        stream_id: "main".to_owned(),
        sequence: last["event"]["sequence"].as_u64().unwrap(),
        event_hash: last["event_hash"].as_str().unwrap().parse().unwrap(),
    };
    let payload = json!({"permit_id": permit_id, "mode": "enforce", "reason": "EXPIRED",
        "exit_status": -1, "signal": -1, "changed_paths": []});
    let Value::Object(payload) = parse(payload.to_string().as_bytes()).unwrap().into_owned() else {
        unreachable!()
    };
    let hash = |key: &str| last["event"][key].as_str().unwrap().to_owned();
    let event = SealedEvent::record(
        EventType::ToolExecBlocked,
        &tip,
        hash("policy_hash").parse().unwrap(),
        hash("request_fingerprint").parse().unwrap(),
        payload,
    )
    .unwrap();
    let parent = world.git(at, &["rev-parse", STREAM]).parse().unwrap();
    let bytes =
        permit::git::event_commit_bytes(Some(parent), event.sequence(), event.message().as_bytes());
    let mut command = world.command("git", at);
    command.args([
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        "--literally",
    ]);
    let made = crate::sandbox::with_input(command, &bytes);
    let id = String::from_utf8(made.stdout).unwrap();
    world.git(at, &["update-ref", STREAM, id.trim()]);
}

#[test]
fn attack_10_denials_of_a_permit_that_was_never_issued_expire_nobody_elses() {
    let world = World::adopted();
    world.issue("a", &world.request("run", &json!({})));
    world.pushed("a", &[STREAM]);
    let before = world.git("a", &["rev-parse", STREAM]);
    deny_run(&world, "a", &"1".repeat(64));
    world.denied("a", &[STREAM], "EVENT_NOT_ALLOWED");
    // A denial that is about a permit of the stream is honest.
    world.git("a", &["update-ref", STREAM, &before]);
    let saved = std::fs::read_to_string(world.path("permit.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    deny_run(&world, "a", saved["permit_id"].as_str().unwrap());
    world.pushed("a", &[STREAM]);
}

#[test]
fn attack_6_uses_in_one_push_are_judged_in_one_pass_and_counted() {
    let world = World::adopted();
    let request = world.request("run.often", &json!({}));
    let permit = world.issue("a", &request);
    for _ in 0..30 {
        world.ok("a", &["use", &permit, "--request", &request]);
    }
    world.git("server.git", &["config", "permit.maxEventsPerPush", "30"]);
    world.denied("a", &[STREAM], "PUSH_TOO_LARGE");
    // As many as are allowed go through, and then the rest.
    world.pushed("a", &[&format!("{STREAM}~1:{STREAM}")]);
    world.pushed("a", &[STREAM]);
}
