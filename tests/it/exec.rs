//! The execution boundary: real runs, claimed before they begin.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::guard::world::{Run, World};

const STREAM: &str = "refs/permit/streams/main";

/// A clone whose governed ref is its own `main`.
fn world() -> World {
    let world = World::new();
    world.git("a", &["config", "permit.governedRef", "refs/heads/main"]);
    world
}

fn exec(world: &World, mode: &str, arguments: &[&str]) -> Run {
    Run::of(&command(world, mode, arguments).output().unwrap())
}

fn command(world: &World, mode: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "a");
    command.arg("exec").args(arguments);
    if !mode.is_empty() {
        command.env("ENFORCEMENT_MODE", mode);
    }
    command
}

fn spawn(world: &World, mode: &str, arguments: &[&str]) -> Child {
    let mut command = command(world, mode, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A permit and its request for a program.
fn permitted(world: &World, selector: &str, argv: &[&str]) -> (String, String) {
    let request = world.request(selector, &json!({"argv": argv}));
    (world.issue("a", &request), request)
}

/// The types and payloads of the stream's events, oldest first.
fn events(world: &World) -> Vec<(String, Value)> {
    let log = world.git("a", &["log", "--reverse", "--format=%b", STREAM]);
    log.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let artifact: Value = serde_json::from_str(line).unwrap();
            let event = &artifact["event"];
            let kind = event["event_type"].as_str().unwrap().to_owned();
            (kind, event["payload"].clone())
        })
        .collect()
}

#[test]
fn the_claim_stands_before_the_run_and_the_result_after_it() {
    let world = world();
    let argv = [
        "sh",
        "-c",
        "git log -1 --format=%s refs/permit/streams/main; exit 7",
    ];
    let (permit, request) = permitted(&world, "run", &argv);
    let report = world.path("report.json");
    let run = exec(
        &world,
        "enforce",
        &[
            &permit,
            "--request",
            &request,
            "--report",
            report.to_str().unwrap(),
        ],
    );
    assert_eq!(
        (run.exit, run.stdout.trim_end()),
        (7, "tool.exec.requested #3"),
        "{run:?}"
    );
    let events = events(&world);
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "stream.opened",
            "permit.issued",
            "permit.used",
            "tool.exec.requested",
            "tool.exec.allowed"
        ]
    );
    assert_eq!(events[3].1["argv"], json!(argv));
    assert_eq!(events[3].1["target_commit"], "");
    let result = &events[4].1;
    assert_eq!(
        (&result["exit_status"], &result["signal"], &result["reason"]),
        (&json!(7), &json!(-1), &json!("OK"))
    );
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(
        (&report["exit"], &report["executed"]),
        (&json!(7), &json!(true))
    );
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 106, "{run:?}");
    assert!(
        run.stderr.contains("[ALREADY_USED]") && run.stdout.is_empty(),
        "{run:?}"
    );
    // What was recorded goes through the receive boundary.
    world.adopt("a");
}

#[test]
fn another_program_or_arguments_are_refused_before_the_claim() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["true"]);
    let run = exec(
        &world,
        "enforce",
        &[&permit, "--request", &request, "--", "false"],
    );
    assert_eq!(run.exit, 103, "{run:?}");
    assert!(run.stderr.contains("[ARGV_MISMATCH]"), "{run:?}");
    let kinds: Vec<String> = events(&world).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        ["stream.opened", "permit.issued", "tool.exec.blocked"]
    );
    let run = exec(
        &world,
        "enforce",
        &[&permit, "--request", &request, "--", "true"],
    );
    assert_eq!(run.exit, 0, "{run:?}");
    let (permit, request) = permitted(&world, "run", &["no-such-program-anywhere"]);
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 101, "{run:?}");
    assert!(
        !events(&world)
            .iter()
            .any(|(kind, payload)| kind == "permit.used" && payload["permit_id"] == permit)
    );
    world.adopt("a");
}

/// A request for a tool with a target, as text.
fn asked(world: &World, selector: &str, target: &str, context: &Value) -> String {
    let request = json!({"schema": "permit.request.v1", "actor_id": "agent:codex",
        "capability": {"kind": "tool", "selector": selector},
        "operation": "run", "target": target, "context": context});
    world.save("request.json", &request)
}

#[test]
fn an_allow_to_read_runs_no_shell() {
    let world = world();
    let run = |selector: &str, target: &str, context: Value| {
        let request = asked(&world, selector, target, &context);
        let permit = world.issue("a", &request);
        exec(&world, "enforce", &[&permit, "--request", &request])
    };
    let refused = [
        (
            "fs.read",
            "workspace/",
            json!({"argv": ["sh", "-c", "touch ran"]}),
        ),
        ("fs.read", "touch ran", json!({"argv": ["touch", "ran"]})),
        ("shell.exec", "true", json!({"argv": ["touch", "ran"]})),
        (
            "shell.exec",
            "touch ran; true",
            json!({"argv": ["touch", "ran"]}),
        ),
        ("shell.exec", "touch a b", json!({"argv": ["touch", "a b"]})),
        (
            "shell.exec",
            "touch ran",
            json!({"argv": ["touch", "ran"], "env": {}}),
        ),
        (
            "shell.exec",
            "touch ran",
            json!({"argv": ["touch", "ran"], "cwd": ""}),
        ),
        (
            "shell.exec",
            "touch ran",
            json!({"argv": ["touch", "ran"], "allowed_paths": []}),
        ),
        (
            "run",
            "here",
            json!({"argv": ["touch", "ran"], "env": {"LANG": "C"}}),
        ),
        (
            "run",
            "here",
            json!({"argv": ["touch", "ran"], "cwd": "governance"}),
        ),
        (
            "run",
            "here",
            json!({"argv": ["touch", "ran"], "allowed_paths": ["src/**"]}),
        ),
    ];
    for (selector, target, context) in refused {
        let run = run(selector, target, context.clone());
        assert_eq!(run.exit, 103, "{context}: {run:?}");
        assert!(run.stderr.contains("[EXEC_NOT_COVERED]"), "{run:?}");
    }
    assert!(!world.path("a/ran").exists());
    assert!(events(&world).iter().all(|(kind, _)| kind != "permit.used"));
    let honest = run(
        "shell.exec",
        "touch ran 'it'\\''s'",
        json!({"argv": ["touch", "ran", "it's"]}),
    );
    assert_eq!(honest.exit, 0, "{honest:?}");
    assert!(world.path("a/ran").exists() && world.path("a/it's").exists());
    world.adopt("a");
}

#[test]
fn time_is_not_given_and_another_repository_is_no_target() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["touch", "ran"]);
    let run = exec(
        &world,
        "enforce",
        &[&permit, "--request", &request, "--now", "1"],
    );
    assert_eq!(run.exit, 107, "{run:?}");
    assert!(
        run.stderr.contains("[INVALID_INPUT]") && run.stderr.contains("--now"),
        "{run:?}"
    );
    world.git("a", &["init", "-q", "../other"]);
    let run = exec(
        &world,
        "enforce",
        &[&permit, "--request", &request, "--target", "../other"],
    );
    assert_eq!(run.exit, 107, "{run:?}");
    assert!(
        run.stderr.contains("[INVALID_INPUT]") && run.stderr.contains("--target"),
        "{run:?}"
    );
    assert!(!world.path("other/ran").exists());
    let run = exec(
        &world,
        "enforce",
        &[&permit, "--request", &request, "--target", "."],
    );
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(world.path("a/ran").exists());
}

#[test]
fn a_forged_permit_leaves_nothing_on_the_stream() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["true"]);
    let mut forged: Value = serde_json::from_slice(&fs::read(&permit).unwrap()).unwrap();
    forged["decision"] = "warn".into();
    let forged = world.save("forged.json", &forged);
    let before = events(&world).len();
    let run = exec(&world, "enforce", &[&forged, "--request", &request]);
    assert!(run.exit > 100 && run.stderr.contains("blocked"), "{run:?}");
    assert_eq!(events(&world).len(), before, "a forged permit is on record");
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 0, "{run:?}");
    world.adopt("a");
}

#[test]
fn the_mode_is_the_only_switch() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["echo", "ran"]);
    for (mode, exit) in [("", 107), ("Enforce", 107)] {
        assert_eq!(
            exec(&world, mode, &[&permit, "--request", &request]).exit,
            exit
        );
    }
    let run = exec(
        &world,
        "off",
        &[&permit, "--request", &request, "--", "echo", "anything"],
    );
    assert_eq!(
        (run.exit, run.stdout.as_str()),
        (0, "anything\n"),
        "{run:?}"
    );
    assert_eq!(events(&world).len(), 2, "off records nothing");
    // In shadow a refusal is recorded and the child runs.
    let run = exec(
        &world,
        "shadow",
        &[&permit, "--request", &request, "--", "echo", "other"],
    );
    assert_eq!((run.exit, run.stdout.as_str()), (0, "other\n"), "{run:?}");
    assert!(run.stderr.contains("[ARGV_MISMATCH]"), "{run:?}");
    let (kind, payload) = events(&world).pop().unwrap();
    assert_eq!(
        (kind.as_str(), &payload["mode"]),
        ("tool.exec.blocked", &json!("shadow"))
    );
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!((run.exit, run.stdout.as_str()), (0, "ran\n"), "{run:?}");
    world.adopt("a");
    let report = world.ok("a", &["guard", "report"]);
    let sums = report["sums"].as_array().unwrap();
    assert!(
        sums.iter()
            .any(|row| row["reason"] == "ARGV_MISMATCH" && row["mode"] == "shadow"),
        "{report}"
    );
}

#[test]
fn enforce_needs_a_trust_root_and_a_role_that_executes() {
    let world = World::new();
    let (permit, request) = permitted(&world, "run", &["true"]);
    world.git("a", &["config", "--unset", "permit.governedRef"]);
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 107, "{run:?}");
    assert!(run.stderr.contains("[UNGOVERNED]"), "{run:?}");
    world.git("a", &["config", "permit.governedRef", "refs/heads/main"]);
    world.git("a", &["config", "permit.role", "supervisor"]);
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 103, "{run:?}");
    assert!(run.stderr.contains("[ROLE_FORBIDDEN]"), "{run:?}");
}

#[test]
fn a_warning_is_recorded_as_such() {
    let world = world();
    let (permit, request) = permitted(&world, "run.warn", &["true"]);
    assert_eq!(
        exec(&world, "enforce", &[&permit, "--request", &request]).exit,
        0
    );
    assert_eq!(events(&world).pop().unwrap().0, "tool.exec.warned");
    world.adopt("a");
}

#[cfg(unix)]
#[test]
fn signals_are_passed_on_and_a_killed_child_is_128_and_its_signal() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["sh", "-c", "kill -KILL $$"]);
    let run = exec(&world, "enforce", &[&permit, "--request", &request]);
    assert_eq!(run.exit, 137, "{run:?}");
    assert_eq!(events(&world).pop().unwrap().1["signal"], 9);
    let script = "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let (permit, request) = permitted(&world, "run", &["sh", "-c", script]);
    let mut child = spawn(&world, "enforce", &[&permit, "--request", &request]);
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    let pid = child.id().to_string();
    world.git("a", &["-c", &format!("alias.k=!kill -TERM {pid}"), "k"]);
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "got\n");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(events(&world).pop().unwrap().1["exit_status"], 3);
}

#[test]
fn of_many_concurrent_runs_of_a_one_shot_permit_exactly_one_happens() {
    let world = world();
    let (permit, request) = permitted(&world, "run", &["sh", "-c", "echo x >> ran"]);
    let children: Vec<Child> = (0..8)
        .map(|_| spawn(&world, "enforce", &[&permit, "--request", &request]))
        .collect();
    let mut exits: Vec<i32> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    exits.sort_unstable();
    assert_eq!(exits, [0, 106, 106, 106, 106, 106, 106, 106]);
    assert_eq!(fs::read_to_string(world.path("a/ran")).unwrap(), "x\n");
    world.adopt("a");
}

#[test]
fn a_one_shot_permit_raced_from_two_clones_of_one_authority_runs_once() {
    let world = World::adopted();
    let (permit, request) = permitted(&world, "run", &["sh", "-c", "echo x >> ../ran"]);
    world.pushed("a", &[STREAM]);
    world.clone_to("b");
    world.git("b", &["checkout", "-q", "-B", "main", "origin/main"]);
    let children: Vec<Child> = ["a", "b"]
        .map(|at| {
            world.git(at, &["config", "permit.governedRef", "refs/heads/main"]);
            world.git(at, &["config", "permit.remote", "origin"]);
            let mut command = world.command(env!("CARGO_BIN_EXE_permit"), at);
            command.args(["exec", &permit, "--request", &request]);
            command.env("ENFORCEMENT_MODE", "enforce");
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .into();
    let mut exits: Vec<i32> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    exits.sort_unstable();
    assert_eq!(exits, [0, 106]);
    assert_eq!(fs::read_to_string(world.path("ran")).unwrap(), "x\n");
    // The run of the one and the refusal of the other are both on record with the authority.
    let log = world.git("server.git", &["log", "--format=%s", STREAM]);
    for event in ["tool.exec.allowed", "tool.exec.blocked"] {
        assert_eq!(log.matches(event).count(), 1, "{log}");
    }
}
