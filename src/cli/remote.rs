//! A remote repository, spoken to through the user's own `git`, so that credentials and transports work as they do there.
//!
//! Each question is one child process, never a shell. Nothing here moves a ref of this repository: `git` would move
//! the refs that the configuration maps, after a fetch and after a push, so both are told not to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::fault;
use super::stream::STREAMS;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository};

/// The key of the repository's own configuration that names the authority.
pub(crate) const KEY: &str = "permit.remote";

/// The most names of refs in one call of `git`.
const MOST: usize = 256;

/// Variables that would show the child another repository than the one that was opened.
const LOCAL: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// A remote as `git push` and `git fetch` take it.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    name: String,
    git_dir: PathBuf,
}

/// Why a push was not taken.
pub(crate) struct Unpushed {
    pub(crate) refusal: Refusal,
    /// Another writer may have been faster.
    pub(crate) raced: bool,
}

impl Remote {
    /// The authority that `permit.remote` names, if it names one.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the value is not the name of a remote.
    pub(crate) fn configured(repository: &Repository) -> Result<Option<Self>, Refusal> {
        let name = repository.config_string(KEY)?;
        name.map(|name| Self::named(repository, &name)).transpose()
    }

    /// A remote by its name, or by its URL.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a name that `git` could take for an option, or that is no text.
    pub(crate) fn named(repository: &Repository, name: &str) -> Result<Self, Refusal> {
        if name.is_empty() || name.starts_with('-') || name.chars().any(char::is_control) {
            return Err(fault::input(format!("`{KEY}` is `{name}`, not a remote"))
                .next(format!("git config {KEY} origin, or unset it")));
        }
        Ok(Self {
            name: name.to_owned(),
            git_dir: repository.git_dir().to_owned(),
        })
    }

    /// The name or URL, as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks which commit each ref of a pattern names.
    ///
    /// # Errors
    /// `GIT_ERROR` where the remote cannot be asked.
    pub(crate) fn tips(&self, pattern: &str) -> Result<BTreeMap<String, CommitId>, Refusal> {
        let output = self.git(["ls-remote", "--refs", "--", &self.name, pattern])?;
        if !output.status.success() {
            return Err(self.failed("cannot be asked", &output));
        }
        let mut tips = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let parts = line.split_once('\t');
            let tip = parts.and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
            let (name, id) = tip.ok_or_else(|| self.failed("answered out of form", &output))?;
            if name.starts_with(STREAMS) {
                tips.insert(name, id);
            }
        }
        Ok(tips)
    }

    /// Asks which commit a ref names.
    ///
    /// # Errors
    /// As [`Remote::tips`].
    pub(crate) fn tip(&self, reference: &str) -> Result<Option<CommitId>, Refusal> {
        Ok(self.tips(reference)?.remove(reference))
    }

    /// Brings the objects of refs; moves no ref.
    ///
    /// # Errors
    /// `GIT_ERROR`.
    pub(crate) fn fetch(&self, references: &[&str]) -> Result<(), Refusal> {
        for part in references.chunks(MOST) {
            let head = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--no-recurse-submodules",
                "--no-prune",
                "--refmap=",
                "--",
                &self.name,
            ];
            let output = self.git(head.iter().chain(part))?;
            if !output.status.success() {
                return Err(self.failed("cannot be fetched from", &output));
            }
        }
        Ok(())
    }

    /// Asks the remote to move a ref forward to a commit; a ref that would not move forward stays.
    ///
    /// # Errors
    /// Why it did not, as far as `git` knows: the answer to a push that was taken may be lost on the way back.
    pub(crate) fn push(&self, commit: CommitId, reference: &str) -> Result<(), Unpushed> {
        let update = format!("{commit}:{reference}");
        let output = self
            .git([
                "push",
                "--porcelain",
                "--no-follow-tags",
                "--recurse-submodules=no",
                "--",
                &self.name,
                &update,
            ])
            .map_err(|refusal| Unpushed {
                refusal,
                raced: false,
            })?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("!\t"));
        let answer = line
            .and_then(|line| line.split('\t').nth(1))
            .unwrap_or_default();
        // What `git push` itself rejects does not follow the ref's newest commit; the other words are those of a
        // remote where another push held or moved the ref.
        let raced = answer.starts_with("[rejected]")
            || (answer.starts_with("[remote rejected]")
                && [
                    "lock",
                    "failed to update ref",
                    "incorrect old value",
                    "already exists",
                ]
                .iter()
                .any(|word| answer.contains(word)));
        let mut refusal = self.failed("did not accept the event", &output);
        if !answer.is_empty() {
            refusal = refusal.detail("answer", answer);
        }
        Err(Unpushed { refusal, raced })
    }

    /// Runs `git` on this repository and waits for its end.
    fn git<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Output, Refusal> {
        let mut command = Command::new("git");
        for name in LOCAL {
            command.env_remove(name);
        }
        command
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // The words of an answer are looked at.
            .env("LC_ALL", "C")
            .arg("--git-dir")
            .arg(&self.git_dir)
            // After a push, `git` would set the refs that the remote's refspecs map, whatever they are at.
            .arg("-c")
            .arg(format!("remote.{}.fetch=^{STREAMS}*", self.name))
            .args(arguments)
            .stdin(Stdio::null());
        command.output().map_err(|error| {
            Refusal::new(Code::GitError, format!("cannot run `git`: {error}"))
                .next("install git, or put it on the PATH")
        })
    }

    fn failed(&self, what: &str, output: &Output) -> Refusal {
        const SHOWN: usize = 12;
        let message = format!("the remote `{}` {what}", self.name);
        let mut refusal = Refusal::new(Code::GitError, message).next(format!(
            "make `git ls-remote {}` work, then run the command again; nothing is lost",
            self.name
        ));
        let text = String::from_utf8_lossy(&output.stderr);
        let said: Vec<_> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
            .take(SHOWN)
            .collect();
        if !said.is_empty() {
            refusal = refusal.detail("git", said.join(" | "));
        }
        refusal
    }
}
