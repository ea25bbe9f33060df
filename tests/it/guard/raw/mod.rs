//! A client of `git receive-pack` that says what it likes: old values that are not so.

use std::io::{Read, Write};
use std::process::Stdio;

use super::world::{Run, World};

/// Pushes lines of old value, new value and ref from a clone to the server in `enforce`, whatever the server advertises.
///
/// What the server reports of each ref stands in `stdout`.
pub(crate) fn push(world: &World, at: &str, lines: &[(&str, &str, &str)]) -> Run {
    let mut command = world.command("git", "");
    command.args(["receive-pack", "server.git"]);
    command.env("ENFORCEMENT_MODE", "enforce");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut commands = Vec::new();
    for (index, (old, new, name)) in lines.iter().enumerate() {
        let capabilities = if index == 0 { "\0report-status" } else { "" };
        let line = format!("{old} {new} {name}{capabilities}");
        commands.extend(format!("{:04x}{line}", line.len() + 4).into_bytes());
    }
    commands.extend(b"0000");
    commands.extend(pack(world, at, lines));
    // Who refuses early does not read to the end.
    drop(input.write_all(&commands));
    drop(input);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut err).unwrap();
    let status = child.wait().unwrap();
    Run {
        exit: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out).into_owned(),
        stderr: String::from_utf8_lossy(&err).into_owned(),
    }
}

/// Everything that the new values stand on, as a pack.
fn pack(world: &World, at: &str, lines: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut command = world.command("git", at);
    command.args(["pack-objects", "--revs", "--stdout", "-q"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for (_, new, _) in lines {
        writeln!(input, "{new}").unwrap();
    }
    drop(input);
    child.wait_with_output().unwrap().stdout
}
