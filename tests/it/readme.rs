//! The README is true: its commands run, in order, in one shell, and print what the page shows.
//!
//! They run in a repository that holds this repository's own `governance/`, requests and test keys. A `sh` block has to
//! succeed, whatever it prints; the build in it is left out, for the test has one.

use std::fs;
use std::path::{Path, PathBuf};

use permit::engine::code::{class_table, markdown_table};

use crate::console;
use crate::sandbox::{Sandbox, copy_folder};

const BUILD: &str = "cargo build --release --locked";
const TESTS: &str = "```sh\ncargo test --locked\n```\n";

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn readme() -> String {
    fs::read_to_string(home().join("README.md")).unwrap()
}

/// The page with its `sh` blocks as `console` blocks that may print anything.
fn as_console(page: &str) -> String {
    let mut sections = page.split("```sh\n");
    let mut console = sections.next().unwrap().to_owned();
    for section in sections {
        let (block, rest) = section.split_once("\n```\n").unwrap();
        let block = block.replace(BUILD, "true").replace('\n', "\n> ");
        console.push_str(&format!("```console\n$ {block}\n...\n```\n{rest}"));
    }
    console
}

#[test]
fn every_command_of_the_readme_prints_what_the_page_shows() {
    let sandbox = Sandbox::without_commits();
    for folder in ["governance", "fixtures/requests", "fixtures/keys"] {
        copy_folder(&home().join(folder), &sandbox.path(folder));
    }
    sandbox.write(".gitignore", "/target\n");
    sandbox.commit("This repository's own governance");
    fs::create_dir(sandbox.path("target")).unwrap();
    let page = console::main_page();
    assert!(page.contains(BUILD) && page.contains(TESTS));
    console::run(&as_console(&page.replace(TESTS, "")), |script| {
        let program = Path::new(env!("CARGO_BIN_EXE_permit"));
        let (program, path) = (program.parent().unwrap(), std::env::var("PATH").unwrap());
        let mut shell = sandbox.command("bash");
        shell.arg("-c").arg(script);
        shell.env("PATH", format!("{}:{path}", program.display()));
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    });
}

#[test]
fn the_last_command_of_ci_is_the_test_command_of_the_readme() {
    let script = fs::read_to_string(home().join(".ci/run")).unwrap();
    let last = script.lines().next_back().unwrap();
    assert_eq!(format!("```sh\n{last}\n```\n"), TESTS);
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
        let how = "UPDATE_README=1 cargo test --test it readme writes the tables";
        assert!(page == new, "{how}");
    }
}
