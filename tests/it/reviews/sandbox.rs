//! A sealed place for one test: own home, own Git configuration, own keys, fixed authors and times.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A repository in a temporary folder, with room for keys beside it.
pub(super) struct Sandbox {
    folder: TempDir,
}

/// What the program ended with.
pub(super) struct Ended {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            exit: output.status.code().unwrap(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Sandbox {
    /// Makes an empty folder to work in.
    pub(super) fn bare() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(sandbox.root()).unwrap();
        sandbox
    }

    /// Makes a repository without commits.
    pub(super) fn new() -> Self {
        let sandbox = Self::bare();
        fs::create_dir(sandbox.aside("keys")).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
        sandbox
    }

    /// The work tree.
    pub(super) fn root(&self) -> PathBuf {
        self.aside("work")
    }

    /// A path beside the work tree.
    pub(super) fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command in the work tree, away from the user's configuration, agents and clock.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "t")
                .env(format!("GIT_{who}_EMAIL"), "t@invalid")
                .env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        command
    }

    /// Runs a helper program, with bytes on its standard input; fails the test where it fails.
    pub(super) fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {problem}"
        );
        output.stdout
    }

    /// Runs `git` in the work tree and returns what it printed.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let printed = self.run("git", arguments, b"");
        String::from_utf8(printed).unwrap().trim_end().to_owned()
    }

    /// Runs the program under test.
    pub(super) fn permit(&self, arguments: &[&str]) -> Ended {
        let output = self
            .command(env!("CARGO_BIN_EXE_permit"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ended::of(&output)
    }

    /// Runs the program for its JSON, and returns the exit code and the object.
    pub(super) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let ended = self.permit(&[arguments, &["--format", "json"]].concat());
        let value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {} {}", ended.stdout, ended.stderr)
        });
        (ended.exit, value)
    }

    /// Runs the program, and returns exit code and reason.
    pub(super) fn reason(&self, arguments: &[&str]) -> (i32, String) {
        let (exit, value) = self.json(arguments);
        (exit, value["reason"].as_str().unwrap().to_owned())
    }

    /// Writes a file in the work tree.
    pub(super) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        write(&self.root().join(path), bytes.as_ref());
    }

    /// Writes JSON in the work tree: one line, as the ledger holds it.
    pub(super) fn write_json(&self, path: &str, value: &Value) {
        self.write(path, format!("{value}\n"));
    }

    /// Removes a file from the work tree.
    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    /// Commits everything in the work tree.
    pub(super) fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "c"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Makes a key, and returns its public line.
    pub(super) fn keygen(&self, name: &str, kind: &[&str]) -> String {
        let path = self.key(name);
        let path = path.to_str().unwrap();
        let common = ["-q", "-N", "", "-C", name, "-f", path];
        self.run("ssh-keygen", &[kind, &common].concat(), b"");
        let line = fs::read_to_string(format!("{path}.pub")).unwrap();
        line.trim_end().to_owned()
    }

    /// The path of a key.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.aside("keys").join(name)
    }

    /// Signs with stock `ssh-keygen`.
    pub(super) fn sign(&self, key: &str, namespace: &str, message: &[u8]) -> String {
        let path = self.key(key);
        let arguments = ["-Y", "sign", "-n", namespace, "-f", path.to_str().unwrap()];
        String::from_utf8(self.run("ssh-keygen", &arguments, message)).unwrap()
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
