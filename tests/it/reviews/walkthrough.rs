//! The walk-through of the README, run as it stands by somebody who has only SSH keys and the binary.

use std::path::Path;

use super::sandbox::Sandbox;
use crate::console;

#[test]
fn two_people_approve_a_deployment() {
    let page = console::section("## Reviews");
    let sandbox = Sandbox::bare();
    let program = Path::new(env!("CARGO_BIN_EXE_permit")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    console::run(&page, |script| {
        let output = sandbox
            .command("sh")
            .args(["-c", script])
            .env("PATH", path)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
}
