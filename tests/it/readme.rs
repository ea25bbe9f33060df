//! The README is true: every block of commands runs, in order, in one sandbox, and prints what the page shows.
//!
//! The sandbox is a repository that holds this repository's own `governance/` and requests. In ```` ```console ```` blocks a
//! line that begins with `$ ` is a command, one with `> ` goes on with it, and what follows is its output, standard output
//! and standard error as they come. `…` stands for any text in a line, and alone on a line for any lines.
//! ```` ```sh ```` blocks run too and have to succeed; a build is left out, for the test has one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use permit::engine::code::{class_table, markdown_table};

use crate::sandbox::{Sandbox, copy_folder};

const BUILD: &str = "cargo build --release --locked";
const TESTS: &str = "cargo test --locked";

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn readme() -> String {
    fs::read_to_string(home().join("README.md")).unwrap()
}

/// A command of the page and the output that the page shows.
struct Step {
    line: usize,
    command: String,
    shown: Option<Vec<String>>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for (number, line) in page.lines().enumerate() {
        let number = number + 1;
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_none() { Some(kind) } else { None };
            if kind == "sh" && block.is_some() {
                let (command, shown) = (String::new(), None);
                steps.push(Step {
                    line: number,
                    command,
                    shown,
                });
            }
            continue;
        }
        match block {
            Some("console") => {
                if let Some(command) = line.strip_prefix("$ ") {
                    let (command, shown) = (command.to_owned(), Some(Vec::new()));
                    steps.push(Step {
                        line: number,
                        command,
                        shown,
                    });
                } else {
                    let step = steps.last_mut().unwrap();
                    match (line.strip_prefix("> "), &mut step.shown) {
                        (Some(more), Some(shown)) if shown.is_empty() => {
                            step.command.push('\n');
                            step.command.push_str(more);
                        }
                        (_, shown) => shown.as_mut().unwrap().push(line.to_owned()),
                    }
                }
            }
            Some("sh") => {
                let command = &mut steps.last_mut().unwrap().command;
                command.push_str(line);
                command.push('\n');
            }
            _ => {}
        }
    }
    assert!(block.is_none(), "a block is not closed");
    steps
}

/// Tells whether a line is the one that is shown, where `…` stands for any text.
fn line_fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn lines_fit(shown: &[String], lines: &[&str]) -> bool {
    match (shown.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((first, others)), _) if first == "…" => {
            (0..=lines.len()).any(|skip| lines_fit(others, &lines[skip..]))
        }
        (Some((first, others)), Some((line, more))) => {
            line_fits(first, line) && lines_fit(others, more)
        }
        _ => false,
    }
}

/// A shell in the sandbox that finds the built program first, like one in which the quick start was run.
fn shell(sandbox: &Sandbox, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_permit"));
    let path = std::env::var("PATH").unwrap();
    let mut command = sandbox.command("sh");
    command.arg("-c").arg(format!("exec 2>&1\n{script}")).env(
        "PATH",
        format!("{}:{path}", program.parent().unwrap().display()),
    );
    command
}

#[test]
fn every_command_of_the_readme_prints_what_the_page_shows() {
    let sandbox = Sandbox::bare_of_commits();
    for folder in ["governance", "fixtures/requests", "fixtures/keys"] {
        copy_folder(&home().join(folder), &sandbox.path(folder));
    }
    sandbox.write(".gitignore", "/target\n");
    sandbox.commit("This repository's own governance");
    fs::create_dir(sandbox.path("target")).unwrap();
    let mut wrong = Vec::new();
    let steps = steps(&readme());
    assert!(steps.len() > 20);
    for step in steps {
        let script = step.command.replace(BUILD, "true");
        if script.trim_end() == TESTS {
            continue;
        }
        let output = shell(&sandbox, &script).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let place = format!("README.md:{}", step.line);
        match &step.shown {
            None if !output.status.success() => wrong.push(format!("{place}: fails\n{text}")),
            Some(shown) if !lines_fit(shown, &text.lines().collect::<Vec<_>>()) => {
                wrong.push(format!("{place}: prints\n{text}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_last_command_of_ci_is_the_test_command_of_the_readme() {
    let script = fs::read_to_string(home().join(".ci/run")).unwrap();
    assert_eq!(script.lines().next_back(), Some(TESTS));
    assert!(readme().contains(&format!("```sh\n{TESTS}\n```")));
    assert!(readme().contains(BUILD));
}

#[test]
fn the_tables_of_codes_are_those_of_the_program() {
    let page = readme();
    let mut new = page.clone();
    for (name, table) in [("classes", class_table()), ("codes", markdown_table())] {
        let (before, rest) = new.split_once(&format!("<!-- {name}:")).unwrap();
        let (remark, rest) = rest.split_once("-->\n").unwrap();
        let (_, after) = rest.split_once(&format!("<!-- /{name} -->")).unwrap();
        new = format!("{before}<!-- {name}:{remark}-->\n{table}<!-- /{name} -->{after}");
    }
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(home().join("README.md"), new).unwrap();
    } else {
        assert!(
            page == new,
            "UPDATE_README=1 cargo test --test it readme writes the tables"
        );
    }
}
