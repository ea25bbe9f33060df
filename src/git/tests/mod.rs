//! Real repositories for the tests of this module, made by `git` away from the user's configuration.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where its preparation fails"
)]
mod appending;
mod comparing;
mod introduction;
mod opening;
mod reading;

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{CommitId, Repository};

/// A repository in a temporary folder, with room beside it.
struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Makes a repository without commits.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Self { folder };
        fs::create_dir(sandbox.path()).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox
    }

    /// Returns the work tree.
    fn path(&self) -> PathBuf {
        self.aside("work")
    }

    /// Returns a path beside the work tree.
    fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a path in the Git directory.
    fn git_path(&self, name: &str) -> PathBuf {
        self.path().join(".git").join(name)
    }

    /// Opens the repository as the program does.
    fn open(&self) -> Repository {
        Repository::open(&self.path(), None).unwrap()
    }

    /// Runs `git` in the work tree and returns what it printed; fails the test where git fails.
    fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.path(), arguments, b"")
    }

    /// Runs `git` in a folder with bytes on its standard input.
    fn git_in(&self, folder: &Path, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("git");
        command.current_dir(folder).args(arguments);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "t")
                .env(format!("GIT_{who}_EMAIL"), "t@invalid")
                .env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {problem}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Commits files and returns the commit's id.
    fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        for (path, text) in files {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "c"]);
        self.rev("HEAD")
    }

    /// Stores raw bytes as an object, well-formed or not, and returns its id.
    fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let arguments = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"];
        self.git_in(&self.path(), &arguments, bytes)
    }

    /// Returns where a loose object lies.
    fn loose(&self, id: &str) -> PathBuf {
        let (folder, file) = id.split_at(2);
        self.git_path("objects").join(folder).join(file)
    }

    /// Stores a commit of a tree.
    fn commit_of(&self, tree: &str) -> CommitId {
        self.git(&["commit-tree", "-m", "c", tree]).parse().unwrap()
    }

    /// Resolves a revision as git does.
    fn rev(&self, rev: &str) -> CommitId {
        self.git(&["rev-parse", "--verify", rev]).parse().unwrap()
    }
}
