//! Local memory below `$GIT_DIR/permit/` (core.md section 10): it may be gone, stale or corrupt, and no answer changes
//! but by its own refusals (hardening.md section 2).

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::forge::{self, Forger};
use crate::sandbox::{Sandbox, copy_folder, files_below};

/// Everything that a command could say about the streams.
fn answers(sandbox: &Sandbox) -> Vec<String> {
    let permit = sandbox.permit_file("read");
    let used = sandbox.permit_file("build");
    [
        &["verify-chain"][..],
        &["verify-chain", "--all"],
        &["replay"],
        &["status"],
        &["log"],
        &["checkpoint"],
        &["stream", "list"],
        &["stream", "export", "main", "--jsonl", "-"],
        &["verify", &permit, "--request", "requests/read.json"],
        &["verify", &used, "--request", "requests/build.json"],
        &["show", &"0".repeat(64)],
        &["simulate", "--policy-at", "HEAD"],
    ]
    .iter()
    .map(|call| {
        let run = sandbox.run(&[call, &["--format", "json"][..]].concat());
        format!("{} {}", run.exit, run.stdout)
    })
    .collect()
}

/// Each answer is the expected one, or memory's own no, never another yes.
fn no_other_yes(found: &[String], expected: &[String], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        let refuses = ["\"STREAM_REWOUND\"", "\"GOVERNED_STALE\"", "\"CHAIN_"]
            .iter()
            .any(|code| found.contains(code));
        assert!(found == expected || refuses, "{what}: {found}\n{expected}");
    }
}

/// A chain whose memory is as full as it gets.
fn remembering() -> Sandbox {
    let sandbox = Sandbox::chain();
    answers(&sandbox);
    sandbox
}

fn memory(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.path(".git/permit")
}

/// A name, and what is done to each file of the memory.
type Change<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);

#[test]
fn memory_that_is_gone_or_corrupt_changes_no_answer() {
    let sandbox = remembering();
    let expected = answers(&sandbox);
    let memory = memory(&sandbox);
    let kept = sandbox.aside("memory");
    copy_folder(&memory, &kept);
    let restore = || {
        drop(fs::remove_dir_all(&memory));
        copy_folder(&kept, &memory);
    };
    let each = |change: &dyn Fn(&Path)| {
        restore();
        for name in files_below(&memory) {
            change(&memory.join(name));
        }
    };
    let halve = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let flip = |at: usize| {
        move |path: &Path| {
            let mut bytes = fs::read(path).unwrap();
            let count = bytes.len();
            let Some(byte) = bytes.get_mut(at * count.saturating_sub(1) / 4) else {
                return;
            };
            *byte ^= 0x01;
            fs::write(path, bytes).unwrap();
        }
    };
    let mut changes: Vec<Change<'_>> = vec![
        ("emptied", Box::new(|path| fs::write(path, "").unwrap())),
        (
            "garbage",
            Box::new(|path| fs::write(path, [0xff; 4096]).unwrap()),
        ),
        ("cut in half", Box::new(halve)),
        (
            "a folder",
            Box::new(|path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            }),
        ),
        (
            "a dangling link",
            Box::new(|path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/nonexistent/x", path).unwrap();
            }),
        ),
    ];
    for at in 0..=4 {
        changes.push(("a bit flipped", Box::new(flip(at))));
    }
    for (what, change) in changes {
        each(&*change);
        no_other_yes(&answers(&sandbox), &expected, what);
        if what != "a bit flipped" {
            assert_eq!(answers(&sandbox), expected, "{what}");
        }
    }
    drop(fs::remove_dir_all(&memory));
    assert_eq!(answers(&sandbox), expected, "gone");
    drop(fs::remove_dir_all(&memory));
    fs::write(&memory, "a file in its place").unwrap();
    assert_eq!(answers(&sandbox), expected, "a file in its place");
}

#[test]
fn all_streams_are_those_that_are_remembered_too() {
    let sandbox = remembering();
    sandbox.ok(&["stream", "open", "ci"]);
    fs::write(memory(&sandbox).join("streams/.tmp_left"), "x").unwrap();
    let all = |verb: &str| sandbox.json(&[verb, "--all"]);
    for verb in ["verify-chain", "replay"] {
        let found = all(verb);
        assert_eq!(
            (&found["reason"], &found["lost"]),
            (&json!("OK"), &json!([]))
        );
    }
    sandbox.git(&["update-ref", "-d", "refs/permit/streams/ci"]);
    for verb in ["verify-chain", "replay"] {
        let found = all(verb);
        assert_eq!(found["reason"], "STREAM_LOST", "{verb}");
        assert_eq!(found["lost"], json!(["ci"]), "{verb}");
        assert!(found["message"].as_str().unwrap().contains("`ci`"));
    }
    assert_eq!(
        all("replay")["replayed"],
        6,
        "the others are looked at all the same"
    );
    assert_eq!(all("verify-chain")["verdict"], "VALID");
    // A fault in what is there comes first.
    let mut commits = forge::commits(&sandbox, "main");
    commits.remove(3);
    Forger::new(&sandbox).rewrite("main", &commits);
    assert_eq!(all("verify-chain")["reason"], "CHAIN_TAMPERED");
    assert_eq!(all("replay")["reason"], "CHAIN_TAMPERED");
    // What is forgotten is not known to be gone.
    fs::remove_dir_all(memory(&sandbox)).unwrap();
    assert_eq!(all("verify-chain")["lost"], json!([]));
}

#[test]
fn memory_of_another_history_changes_no_answer() {
    // What the memory was made from is rewritten behind its back: events dropped, changed, cut off, added.
    let good = Sandbox::chain();
    let commits = forge::commits(&good, "main");
    let mut variants: Vec<(&str, Vec<Vec<u8>>)> = vec![("cut off", commits[..5].to_vec())];
    for at in [1, 4, 7] {
        let mut dropped = commits.clone();
        dropped.remove(at);
        variants.push(("dropped", dropped));
        let mut changed = commits.clone();
        let last = changed[at].len() - 2;
        changed[at][last - 60] ^= 0x01;
        variants.push(("changed", changed));
    }
    for (what, commits) in variants {
        let (remembers, forgets) = (remembering(), Sandbox::chain());
        for sandbox in [&remembers, &forgets] {
            Forger::new(sandbox).rewrite("main", &commits);
        }
        fs::remove_dir_all(memory(&forgets)).unwrap();
        no_other_yes(&answers(&remembers), &answers(&forgets), what);
    }
}

#[test]
fn memory_copied_from_another_repository_changes_no_answer() {
    let (one, other) = (remembering(), Sandbox::opened());
    other.issue("build");
    other.issue("read");
    let expected = answers(&other);
    drop(fs::remove_dir_all(memory(&other)));
    copy_folder(&memory(&one), &memory(&other));
    no_other_yes(&answers(&other), &expected, "copied");
    other.ok(&["stream", "forget", "main", "--reason", "copied"]);
    assert_eq!(answers(&other), expected);
    other.issue("read");
    assert_eq!(other.json(&["verify-chain"])["events"], 4);
}
