//! The walk-through for readers, run as it stands.

use std::path::Path;
use std::process::Command;

use crate::console;

#[test]
fn an_engineer_and_a_marketer_attest_to_one_commit() {
    let page = console::section("## Human Agency Protocol");
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_permit")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    console::run(&page, |script| {
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "t"), ("GIT_AUTHOR_EMAIL", "t@invalid")])
            .envs([
                ("GIT_COMMITTER_NAME", "t"),
                ("GIT_COMMITTER_EMAIL", "t@invalid"),
            ])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
}
