//! Repositories to measure in: a policy, a governed commit, a stream of many events, packed as `git gc` packs.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::documents::{policy, request};

/// A repository with one governed commit and its policy of 100 rules.
pub(crate) struct World {
    pub(crate) path: PathBuf,
}

impl World {
    /// A repository without events.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let world = Self {
            path: folder.join(name),
        };
        fs::create_dir_all(world.path.join("governance/policy")).unwrap();
        world.git(&["init", "-q", "-b", "main", "."]);
        let policy = policy(100).to_string();
        fs::write(
            world.path.join("governance/policy/bench.policy.json"),
            policy,
        )
        .unwrap();
        world.git(&["add", "."]);
        world.git(&["commit", "-q", "-m", "Adopt"]);
        world.git(&["config", "permit.governedRef", "refs/heads/main"]);
        world
    }

    /// A repository with a packed stream `main` of so many events.
    pub(crate) fn of_events(folder: &Path, name: &str, events: usize) -> Self {
        let world = Self::new(folder, name);
        world.issue("main", events);
        world.git(&["gc", "-q", "--prune=now"]);
        world
    }

    /// Fills a stream: the event that opens it, then permits.
    pub(crate) fn issue(&self, stream: &str, events: usize) {
        let batch = self.batch(events - 1);
        let batch = batch.to_str().unwrap();
        let line = [
            "issue",
            "--atomic",
            "--open-stream",
            "--stream",
            stream,
            "--batch",
            batch,
        ];
        super::measure::run(&mut self.permit(&line));
    }

    /// A file of so many requests, one a line.
    pub(crate) fn batch(&self, requests: usize) -> PathBuf {
        let path = self.path.with_extension(format!("{requests}.jsonl"));
        if !path.exists() {
            let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
            (0..requests).for_each(|number| writeln!(file, "{}", request(number)).unwrap());
            file.flush().unwrap();
        }
        path
    }

    /// The commands of `permit`, in this repository.
    pub(crate) fn permit(&self, line: &[&str]) -> Command {
        let mut command = sealed(env!("CARGO_BIN_EXE_permit"), &self.path);
        command.args(line);
        command
    }

    /// What a command of `permit` prints.
    pub(crate) fn json(&self, line: &[&str]) -> Value {
        let output = self
            .permit(line)
            .args(["--format", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "permit {line:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The commands of Git, in this repository.
    pub(crate) fn git_command(&self, line: &[&str]) -> Command {
        let mut command = sealed("git", &self.path);
        command.args(line);
        command
    }

    pub(crate) fn git(&self, line: &[&str]) {
        super::measure::run(&mut self.git_command(line));
    }

    /// Feeds standard input to a command of Git.
    pub(crate) fn feed(&self, line: &[&str], input: &[u8]) {
        let mut command = self.git_command(line);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success(), "git {line:?}");
    }

    /// Adds so many commits to `main`, each of which changes one file of a hundred; packed.
    pub(crate) fn grow(&self, commits: usize) {
        let mut stream = String::new();
        for number in 0..commits {
            let from = if number == 0 {
                "from refs/heads/main^0\n"
            } else {
                ""
            };
            let (message, file) = (format!("Change {number}"), number % 100);
            let who = format!("bench <bench@invalid> {} +0000", 1_700_000_000 + number);
            write!(
                stream,
                "commit refs/heads/main\ncommitter {who}\ndata {}\n{message}\n{from}M 644 inline src/{file}\ndata {}\n{message}\n",
                message.len(),
                message.len()
            )
            .unwrap();
        }
        self.feed(&["fast-import", "--quiet"], stream.as_bytes());
        self.git(&["reset", "-q", "--hard"]);
        self.git(&["gc", "-q", "--prune=now"]);
    }
}

/// A command that sees nothing of the machine's settings.
fn sealed(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "bench")
        .env("GIT_AUTHOR_EMAIL", "bench@invalid")
        .env("GIT_COMMITTER_NAME", "bench")
        .env("GIT_COMMITTER_EMAIL", "bench@invalid");
    command
}
