//! Real repositories for the tests of this module, made by `git` away from the user's configuration.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where its preparation fails"
)]
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A repository in a temporary folder.
pub(super) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Makes a repository without commits.
    pub(super) fn new() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox
    }

    /// Makes a repository with one commit that holds `files`.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let sandbox = Self::new();
        sandbox.commit(files);
        sandbox
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `git` in the repository and returns what it printed; fails the test where git fails.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.git_in(self.path(), arguments, "")
    }

    /// Runs `git` in a folder with text on its standard input.
    pub(super) fn git_in(&self, folder: &Path, arguments: &[&str], input: &str) -> String {
        use std::io::Write;
        let mut command = Command::new("git");
        command
            .current_dir(folder)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
            .env("HOME", self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "t")
                .env(format!("GIT_{who}_EMAIL"), "t@invalid");
            command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {problem}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Commits files and returns the commit's id.
    pub(super) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "c"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Returns a path beside the work tree's files, inside the temporary folder's Git directory.
    pub(super) fn aside(&self, name: &str) -> PathBuf {
        self.path().join(".git").join(name)
    }
}
