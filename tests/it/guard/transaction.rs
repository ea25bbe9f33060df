//! What lands is what was judged, by the state that is there when it lands.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::json;

use super::claims::{call, hook, permit, protected, push, two};
use super::world::{Run, World};

const MAIN: &str = "refs/heads/main";
const PROD: &str = "refs/heads/prod";
const STREAM: &str = "refs/permit/streams/main";

/// Runs `git` on the server in a mode; an empty one leaves it unset.
fn local(world: &World, mode: &str, arguments: &[&str]) -> Run {
    let mut command = world.command("git", "server.git");
    if !mode.is_empty() {
        command.env("ENFORCEMENT_MODE", mode);
    }
    Run::of(&command.args(arguments).output().unwrap())
}

fn vetoed(world: &World, run: &Run, before: &[String]) {
    assert_ne!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("[MOVED]"), "{run:?}");
    assert_eq!(world.refs(), before);
}

/// Lets `pre-receive` wait once it allowed a slow push, runs something meanwhile, and returns how the push ended.
fn meanwhile(world: &World, refs: &[&str], run: impl FnOnce()) -> Run {
    let fifo = |name: &str| {
        let path = world.path("server.git").join(name);
        drop(fs::remove_file(&path));
        let made = world.command("mkfifo", "").arg(&path).status().unwrap();
        assert!(made.success());
        path
    };
    let (judged, go) = (fifo("judged"), fifo("go"));
    let receive = call("receive");
    let waits =
        format!("{receive} || exit 1\ntest -z \"$SLOW\" || {{ echo >judged; read x <go; }}");
    hook(world, "pre-receive", &waits);
    let mut command = world.command("git", "a");
    command.args(["push", "-q", "origin"]).args(refs);
    command.env("ENFORCEMENT_MODE", "enforce").env("SLOW", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut line = String::new();
    // Opens when the hook does.
    let mut judged = fs::File::open(judged).unwrap();
    judged.read_to_string(&mut line).unwrap();
    run();
    fs::OpenOptions::new()
        .write(true)
        .open(go)
        .unwrap()
        .write_all(b"\n")
        .unwrap();
    Run::of(&child.wait_with_output().unwrap())
}

#[test]
fn attack_1_a_stream_does_not_land_under_a_main_that_moved_meanwhile() {
    let world = World::adopted();
    world.clone_to("b");
    world.git("b", &["reset", "-q", "--hard", "origin/main"]);
    world.write("b", "README", "of b");
    world.commit("b", "Of b");
    world.issue("a", &world.request("run", &json!({})));
    world.write("a", "README", "of a");
    world.commit("a", "Of a");
    let opened = world.git("server.git", &["rev-parse", STREAM]);
    let refs = ["main", STREAM, "HEAD:refs/heads/slow"];
    let run = meanwhile(&world, &refs, || world.pushed("b", &["main"]));
    assert_ne!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains("[MOVED]"), "{run:?}");
    assert_eq!(world.git("server.git", &["rev-parse", STREAM]), opened);
    let of_b = world.git("b", &["rev-parse", "HEAD"]);
    assert_eq!(world.git("server.git", &["rev-parse", MAIN]), of_b);
}

#[test]
fn an_honest_push_of_main_a_stream_and_a_branch_lands_as_a_whole() {
    let world = World::adopted();
    world.clone_to("b");
    world.issue("a", &world.request("run", &json!({})));
    world.write("a", "README", "of a");
    let head = world.commit("a", "Of a");
    let refs = ["main", STREAM, "HEAD:refs/heads/slow"];
    // What others do beside it matters only where it was judged by that.
    let other = "origin/main:refs/heads/other";
    let run = meanwhile(&world, &refs, || world.pushed("b", &[other]));
    assert_eq!(run.exit, 0, "{run:?}");
    for name in [MAIN, "refs/heads/slow"] {
        assert_eq!(world.git("server.git", &["rev-parse", name]), head);
    }
    world.issue("a", &world.request("run", &json!({"n": 2})));
    world.write("a", "README", "more of a");
    world.commit("a", "More of a");
    world.pushed("a", &["--atomic", "main", STREAM]);
}

#[test]
fn a_permit_whose_stream_moved_meanwhile_lets_nothing_through() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    permit(&world, "", &one);
    world.clone_to("b");
    world.git("b", &["reset", "-q", "--hard", "origin/main"]);
    world.issue("b", &world.request("run", &json!({})));
    let line = format!("{one}:{PROD}");
    let run = meanwhile(&world, &[&line], || world.pushed("b", &[STREAM]));
    assert!(run.exit != 0 && run.stderr.contains("[MOVED]"), "{run:?}");
    // Nothing was lost: the same push again is judged by what is there now.
    let run = push(&world, &one);
    assert_eq!(run.exit, 0, "{run:?}");
}

#[test]
fn two_pushes_of_one_update_land_once() {
    let world = protected("bounded");
    let (one, two) = two(&world);
    permit(&world, "", &one);
    assert_eq!(push(&world, &one).exit, 0);
    permit(&world, &one, &two);
    permit(&world, &two, &one);
    world.clone_to("b");
    world.git("b", &["fetch", "-q", "../a", "two"]);
    let line = |commit: &str| format!("+{commit}:{PROD}");
    // The slow one was allowed; the same update landed and was taken back meanwhile.
    let run = meanwhile(&world, &[&line(&two)], || {
        world.pushed("b", &[&line(&two)]);
        world.pushed("b", &[&line(&one)]);
    });
    assert!(run.exit != 0 && run.stderr.contains("[MOVED]"), "{run:?}");
    assert_eq!(world.git("server.git", &["rev-parse", PROD]), one);
}

#[test]
fn attack_15_a_push_lands_nothing_where_the_hook_is_gone_or_another_one() {
    let world = World::adopted();
    world.write("a", "README", "two");
    world.commit("a", "Two");
    let before = world.refs();
    let path = world.path("server.git/hooks/pre-receive");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&path, mode).unwrap();
    vetoed(&world, &world.push("a", "enforce", &["main"]), &before);
    hook(&world, "pre-receive", "exit 0");
    vetoed(&world, &world.push("a", "enforce", &["main"]), &before);
    fs::remove_file(&path).unwrap();
    vetoed(&world, &world.push("a", "enforce", &["main"]), &before);
    vetoed(&world, &world.push("a", "", &["main"]), &before);
    vetoed(&world, &world.push("a", "", &[":main"]), &before);
    // What nothing is attached to was never judged by more.
    world.pushed("a", &["HEAD:refs/heads/free"]);
    world.ok("server.git", &["guard", "install"]);
    world.pushed("a", &["main"]);
}

#[test]
fn attack_15_a_local_update_of_a_bound_ref_is_vetoed() {
    let world = protected("one_shot");
    let (one, two) = two(&world);
    permit(&world, "", &one);
    assert_eq!(push(&world, &one).exit, 0);
    world.pushed("a", &[&format!("{two}:refs/heads/free")]);
    let main = world.git("a", &["rev-parse", "HEAD"]);
    let event = world.git("server.git", &["rev-parse", &format!("{STREAM}^")]);
    let before = world.refs();
    for mode in ["", "enforce"] {
        for arguments in [
            ["update-ref", MAIN, &two].as_slice(),
            &["update-ref", MAIN, &two, &main],
            &["update-ref", "-d", MAIN],
            &["update-ref", STREAM, &event],
            &["update-ref", "-d", STREAM],
            &["update-ref", "refs/permit/streams/new", &event],
            &["update-ref", PROD, &two],
            &["update-ref", "-d", PROD],
            &["update-ref", "HEAD", &two],
            &["branch", "-f", "prod", &two],
        ] {
            let run = local(&world, mode, arguments);
            assert_ne!(run.exit, 0, "{arguments:?}: {run:?}");
            vetoed(&world, &run, &before);
        }
    }
    let run = local(&world, "sometimes", &["update-ref", PROD, &two]);
    assert!(run.stderr.contains("[MODE_INVALID]"), "{run:?}");
    assert_eq!(world.refs(), before);
    // So is a deletion of what is packed too.
    world.git("server.git", &["pack-refs", "--all"]);
    for name in [MAIN, STREAM, PROD] {
        let run = local(&world, "", &["update-ref", "-d", name]);
        vetoed(&world, &run, &before);
    }
    // What changes no value, and what nothing is attached to, passes.
    for arguments in [
        ["update-ref", "refs/heads/free", &main].as_slice(),
        &["pack-refs", "--all", "--prune"],
        &["gc", "-q"],
        &["update-ref", MAIN, &main],
        &["update-ref", MAIN, &main, &main],
        &["symbolic-ref", "HEAD", "refs/heads/free"],
        &["symbolic-ref", "HEAD", MAIN],
        &["update-ref", "refs/heads/free", &one],
        &["update-ref", "-d", "refs/heads/free"],
        &["tag", "v1", &one],
    ] {
        let run = local(&world, "", arguments);
        assert_eq!((run.exit, &*run.stderr), (0, ""), "{arguments:?}: {run:?}");
    }
    // Shadow never blocks, and off asks nothing.
    for mode in ["shadow", "off"] {
        for to in [&two, &one] {
            let run = local(&world, mode, &["update-ref", PROD, to]);
            assert_eq!(run.exit, 0, "{mode}: {run:?}");
        }
    }
}

#[test]
fn attack_15_a_verdict_is_good_for_one_landing() {
    let world = World::adopted();
    let old = world.git("a", &["rev-parse", "HEAD"]);
    world.write("a", "README", "two");
    let new = world.commit("a", "Two");
    world.pushed("a", &["main"]);
    world.git("server.git", &["update-ref", MAIN, &old]);
    let before = world.refs();
    let run = local(&world, "enforce", &["update-ref", MAIN, &new]);
    vetoed(&world, &run, &before);
    // Honest: a push of the same commit is judged anew.
    world.git("a", &["fetch", "-q", "origin"]);
    world.pushed("a", &["main"]);
}

#[test]
fn a_symbolic_ref_is_no_way_around() {
    let world = protected("one_shot");
    let (one, two) = two(&world);
    permit(&world, "", &one);
    assert_eq!(push(&world, &one).exit, 0);
    world.git("server.git", &["symbolic-ref", "refs/heads/alias", PROD]);
    let before = world.refs();
    let line = format!("+{two}:refs/heads/alias");
    let run = world.push("a", "enforce", &[&line]);
    assert_ne!(run.exit, 0, "{run:?}");
    assert_eq!(world.refs(), before);
    let run = local(&world, "", &["update-ref", "refs/heads/alias", &two]);
    vetoed(&world, &run, &before);
}

#[test]
fn a_bound_branch_is_made_and_deleted_with_permits() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    world.denied("a", &[&format!("{one}:{PROD}")], "PERMIT_REQUIRED");
    permit(&world, "", &one);
    assert_eq!(push(&world, &one).exit, 0);
    world.denied("a", &[&format!(":{PROD}")], "PERMIT_REQUIRED");
    permit(&world, &one, "");
    world.pushed("a", &[&format!(":{PROD}")]);
    // The same where the ref is packed.
    permit(&world, "", &one);
    assert_eq!(push(&world, &one).exit, 0);
    world.git("server.git", &["pack-refs", "--all"]);
    permit(&world, &one, "");
    world.pushed("a", &[&format!(":{PROD}")]);
}
