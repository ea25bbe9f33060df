//! The roll-out of the README, run as it stands; its hook and its workflow too.

use std::path::Path;

use super::world::{Run, World};
use crate::console;
use crate::sandbox::Sandbox;

/// `PATH` with the built program first.
pub(super) fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_permit")).parent().unwrap();
    format!("{}:{}", program.display(), std::env::var("PATH").unwrap())
}

#[test]
fn the_roll_out_of_the_readme_prints_what_the_page_shows() {
    let page = console::section("## Enforcement");
    let sandbox = Sandbox::empty();
    console::run(&page, |script| {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", script]).env("PATH", path());
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    });
}

#[test]
fn the_hook_of_the_readme_denies_and_lets_through() {
    let page = console::section("## Enforcement");
    let (_, hook) = page.split_once("```sh hook\n").unwrap();
    let (hook, _) = hook.split_once("```").unwrap();
    let world = World::adopted();
    world.write("server.git", "hooks/pre-receive", hook);
    world.write("a", "README", "two");
    world.commit("a", "Content");
    let push = |arguments: &[&str]| {
        let mut command = world.command("git", "a");
        command.args(["push", "-q", "origin"]).args(arguments);
        command
            .env("ENFORCEMENT_MODE", "enforce")
            .env("PATH", path());
        Run::of(&command.output().unwrap())
    };
    let run = push(&["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let run = push(&[":main"]);
    assert!(
        run.exit != 0 && run.stderr.contains("[GOVERNED_REF_DELETED]"),
        "{run:?}"
    );
}

#[test]
fn this_repository_governs_itself_at_the_boundary() {
    let world = World::new();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    world.git("a", &["rm", "-q", "-r", "governance"]);
    for name in ["policy/permit.policy.json", "enforcement.json", "README.md"] {
        let content = std::fs::read(home.join("governance").join(name)).unwrap();
        world.write("a", &format!("governance/{name}"), content);
    }
    world.git(
        "a",
        &[
            "commit",
            "-q",
            "--amend",
            "-m",
            "This repository's governance",
        ],
    );
    world.git("a", &["add", "-A"]);
    world.git("a", &["commit", "-q", "--amend", "--no-edit"]);
    world.git("a", &["update-ref", "-d", "refs/permit/streams/main"]);
    std::fs::remove_dir_all(world.path("a/.git/permit")).unwrap();
    world.ok("a", &["stream", "open", "main"]);
    world.adopt("a");
    world.write("a", "src/lib.rs", "//! x");
    world.commit("a", "Sources");
    world.pushed("a", &["main"]);
    world.write("a", ".ci/run", "true");
    world.commit("a", "Checks");
    world.denied("a", &["main"], "PERMIT_REQUIRED");
}
