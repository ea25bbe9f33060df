//! Attack 6, small push, dead server: the judgement has limits. What breaks them is denied in `enforce`; `shadow` never blocks.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::world::{World, policy};

const RECORD: &str = "permit-guard.jsonl";
/// Lines for more refs than any judgement gets through in a second, or holds in a few megabytes.
const MANY: &str =
    "awk 'BEGIN { for (i = 0; i < 500000; i++) printf \"%040d %040d refs/heads/%d\\n\", 0, 1, i }'";

/// A server whose limits are others, and an honest change in the clone.
fn limited(limits: &[(&str, &str)]) -> World {
    let world = World::adopted();
    for (key, value) in limits {
        world.git("server.git", &["config", key, value]);
    }
    world.write("a", "README", "two");
    world.commit("a", "An honest change");
    world
}

/// Puts something before the standard input of the hook.
fn with_input_of(world: &World, producer: &str) {
    let permit = env!("CARGO_BIN_EXE_permit");
    let hook = format!("#!/bin/sh\n{producer} | '{permit}' guard receive\n");
    world.write("server.git", "hooks/pre-receive", hook);
}

/// Pushes in `enforce` and `shadow`: denied for a reason and landed, recorded both times, and both say what the limit is.
fn broken(world: &World, key: &str) {
    let before = world.refs();
    let run = world.push("a", "enforce", &["main"]);
    assert_ne!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("error[INTERNAL]"), "{run:?}");
    assert!(run.stderr.contains(&format!("(`{key}`)")), "{run:?}");
    assert!(
        run.stderr.contains(&format!("git config {key} ")),
        "{run:?}"
    );
    assert_eq!(world.refs(), before);
    let run = world.push("a", "shadow", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(
        run.stderr.contains("SHADOW: the push could not be judged"),
        "{run:?}"
    );
    assert!(run.stderr.contains(key), "{run:?}");
    let tip = world.git("a", &["rev-parse", "main"]);
    assert_eq!(world.git("server.git", &["rev-parse", "main"]), tip);
}

/// What the record says last, of both modes.
fn recorded(world: &World) {
    let record = world.record();
    let [.., denied, allowed] = record.as_slice() else {
        panic!("{record:?}");
    };
    for (line, mode, effective) in [(denied, "enforce", "deny"), (allowed, "shadow", "allow")] {
        assert_eq!(
            (&line["mode"], &line["reason"], &line["effective"]),
            (&json!(mode), &json!("INTERNAL"), &json!(effective))
        );
    }
}

#[test]
fn an_honest_push_passes_under_the_limits_of_the_page() {
    let world = limited(&[]);
    world.pushed("a", &["main"]);
    let status = world.ok("server.git", &["guard", "status"]);
    assert_eq!(
        status["limits"],
        json!({"memory": 1_u64 << 30, "cpu": 60, "wall": 120})
    );
}

#[test]
fn attack_6_a_push_that_takes_more_memory_than_there_is() {
    let world = limited(&[("permit.guard.memory", "8388608")]);
    with_input_of(&world, MANY);
    broken(&world, "permit.guard.memory");
    recorded(&world);
}

#[test]
fn attack_6_a_push_that_takes_more_processor_time_than_there_is() {
    let world = limited(&[("permit.guard.cpu", "1")]);
    with_input_of(&world, MANY);
    broken(&world, "permit.guard.cpu");
    recorded(&world);
}

#[test]
fn attack_6_a_push_that_never_ends() {
    let world = limited(&[("permit.guard.wall", "1")]);
    // Whoever judges waits for the record, and so does whoever would record that.
    let held = fs::File::open(world.path("server.git").join(RECORD)).unwrap();
    held.lock().unwrap();
    broken(&world, "permit.guard.wall");
    held.unlock().unwrap();
    let run = world.push("a", "shadow", &["main:refs/heads/other"]);
    assert!(run.exit == 0 && !run.stderr.contains("SHADOW"), "{run:?}");
}

#[test]
fn a_worker_that_cannot_even_begin_blocks_nothing_in_shadow() {
    let world = limited(&[("permit.guard.memory", "lots")]);
    let run = world.push("a", "enforce", &["main"]);
    assert!(
        run.exit != 0 && run.stderr.contains("[INVALID_INPUT]"),
        "{run:?}"
    );
    assert!(
        run.stderr
            .contains("git config permit.guard.memory 1073741824"),
        "{run:?}"
    );
    let run = world.push("a", "shadow", &["main"]);
    assert!(run.exit == 0 && run.stderr.contains("SHADOW"), "{run:?}");
    assert!(run.stderr.contains("COULD NOT BE RECORDED"), "{run:?}");
    world.git("server.git", &["config", "--unset", "permit.guard.memory"]);
    world.git(
        "server.git",
        &["config", "permit.governedRef", "refs/heads/nowhere"],
    );
    let run = world.push("a", "shadow", &["main:refs/heads/other"]);
    assert!(
        run.exit == 0 && run.stderr.contains("COMMIT_NOT_GOVERNED"),
        "{run:?}"
    );
}

#[test]
fn off_reads_neither_the_push_nor_the_repository() {
    let world = limited(&[("permit.guard.memory", "lots")]);
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "home");
    command
        .args(["guard", "receive", "--mode", "off"])
        .stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let never_closed = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(never_closed);
    assert_eq!(world.push("a", "off", &["main"]).exit, 0);
}

/// Starts `guard receive` on the server with a standard input that says nothing, and finds its worker.
#[cfg(target_os = "linux")]
fn started(command: &mut Command) -> (Child, String) {
    command.args(["guard", "receive", "--mode", "enforce"]);
    let mut parent = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    loop {
        let found = fs::read_to_string(&children).unwrap();
        if let Some(worker) = found.split_whitespace().next() {
            return (parent, worker.to_owned());
        }
        assert!(
            parent.try_wait().unwrap().is_none(),
            "it ended without a worker"
        );
        pause();
    }
}

fn pause() {
    thread::sleep(Duration::from_millis(5));
}

#[test]
#[cfg(target_os = "linux")]
fn the_limits_stand_before_a_byte_of_the_push_is_read() {
    let world = limited(&[
        ("permit.guard.memory", "2147483648"),
        ("permit.guard.cpu", "70"),
    ]);
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
    let (mut parent, worker) = started(&mut command);
    let wanted = [
        ["Max data size", "2147483648", "2147483648"],
        ["Max cpu time", "70", "71"],
        ["Max open files", "4096", "4096"],
        ["Max core file size", "0", "0"],
    ];
    let stands = |limits: &str| {
        wanted.iter().all(|[name, soft, hard]| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let mut words = line.unwrap_or_default().split_whitespace();
            (words.next(), words.next()) == (Some(soft), Some(hard))
        })
    };
    loop {
        let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
        if stands(&limits) {
            break;
        }
        assert!(parent.try_wait().unwrap().is_none(), "{limits}");
        pause();
    }
    drop(parent.stdin.take());
    assert_eq!(parent.wait().unwrap().code(), Some(7));
}

#[test]
#[cfg(target_os = "linux")]
fn a_configuration_that_is_a_pipe_holds_only_the_worker_which_ends_with_its_parent() {
    let world = limited(&[]);
    let config = world.path("server.git/config");
    fs::remove_file(&config).unwrap();
    let path = config.to_str().unwrap();
    assert!(
        world
            .command("mkfifo", "home")
            .arg(path)
            .status()
            .unwrap()
            .success()
    );
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
    let (mut parent, worker) = started(&mut command);
    parent.kill().unwrap();
    parent.wait().unwrap();
    let runs = || {
        let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.starts_with("State:") && !line.contains('Z'))
    };
    while runs() {
        pause();
    }
}

#[test]
fn attack_6_a_policy_of_1500_heavy_patterns_that_nobody_reviewed() {
    let world = limited(&[("permit.guard.memory", "268435456")]);
    let mut heavy = policy("2");
    let rules = heavy["rules"].as_array_mut().unwrap();
    let mut rule = rules.pop().unwrap();
    for index in 0..1500 {
        rule["id"] = json!(format!("heavy-{index}"));
        rule["order_index"] = json!(100 + index);
        rule["match"]["target"] =
            json!({"regex": format!("^(\\w{{1,60}}[a-z]{{1,60}}){{1,8}}{index}$")});
        rules.push(rule.clone());
    }
    world.write("a", "governance/policy/acme.policy.json", heavy.to_string());
    world.commit("a", "Heavy");
    outlived(&world);
}

#[test]
fn attack_6_a_bomb_of_nine_objects() {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": RECORD, "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": ["refs/heads/*"],
         "paths": ["secret/**"], "stream": "main", "require": "permit"}]});
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Attach");
    world.adopt("a");
    for (key, value) in [
        ("permit.guard.memory", "268435456"),
        ("permit.guard.cpu", "5"),
    ] {
        world.git("server.git", &["config", key, value]);
    }
    let mut object = world.git("a", &["hash-object", "-w", "README"]);
    let mut kind = "100644 blob";
    for _ in 0..7 {
        let entries: Vec<String> = (0..10)
            .map(|name| format!("{kind} {object}\t{name}\n"))
            .collect();
        let mut command = world.command("git", "a");
        command.arg("mktree");
        let made = crate::sandbox::with_input(command, entries.concat().as_bytes());
        object = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        kind = "040000 tree";
    }
    let bomb = world.git("a", &["commit-tree", &object, "-p", "main", "-m", "Bomb"]);
    world.git("a", &["update-ref", "refs/heads/main", &bomb]);
    outlived(&world);
}

/// Pushes `main` in both modes: denied, then landed, by whatever rule or limit it breaks; and the next push is judged.
fn outlived(world: &World) {
    let before = world.refs();
    let run = world.push("a", "enforce", &["main"]);
    assert!(
        run.exit != 0 && run.stderr.contains("remote: error["),
        "{run:?}"
    );
    assert_eq!(world.refs(), before);
    let run = world.push("a", "shadow", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_ne!(world.refs(), before);
}
