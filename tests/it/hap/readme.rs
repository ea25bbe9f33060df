//! The walk-through for readers, block by block: each command is run, and what it prints is what the text says.

use std::process::Command;

const TEXT: &str = include_str!("../../../fixtures/readme_hap.md");

/// Commands with what they print, from the `console` blocks.
fn steps() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in TEXT.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            steps.push((command, Vec::new()));
        } else if inside {
            steps.last_mut().unwrap().1.push(line);
        }
    }
    steps
}

/// Tells whether a printed line is the expected one, where `…` stands for anything.
fn fits(expected: &str, printed: &str) -> bool {
    match expected.split_once('…') {
        None => expected == printed,
        Some((before, after)) => printed.strip_prefix(before).is_some_and(|rest| {
            after.is_empty()
                || rest
                    .char_indices()
                    .any(|(at, _)| fits(after, rest.split_at(at).1))
        }),
    }
}

#[test]
fn the_walk_through_prints_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_permit"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut here = folder.path().to_path_buf();
    let steps = steps();
    assert!(steps.len() > 20);
    for (command, expected) in steps {
        let output = Command::new("bash")
            .args([
                "-c",
                &format!("{{ {command}; }} 2>&1; pwd > \"$HOME/.here\""),
            ])
            .current_dir(&here)
            .env_clear()
            .env("PATH", path.as_ref().unwrap())
            .env("HOME", folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "t"), ("GIT_AUTHOR_EMAIL", "t@invalid")])
            .envs([
                ("GIT_COMMITTER_NAME", "t"),
                ("GIT_COMMITTER_EMAIL", "t@invalid"),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let printed: Vec<&str> = text.lines().collect();
        assert_eq!(printed.len(), expected.len(), "{command}\n{text}");
        for (expected, printed) in expected.iter().zip(&printed) {
            assert!(fits(expected, printed), "{command}\n{expected}\n{printed}");
        }
        here = std::fs::read_to_string(folder.path().join(".here"))
            .unwrap()
            .trim_end()
            .into();
    }
}
