//! A remote repository, spoken to through the user's own `git`, so that credentials and transports work as they do there.
//!
//! Each question is one child process, never a shell. Nothing here moves a ref of this repository: `git` would move
//! the refs that the configuration maps, after a fetch and after a push, so both are told not to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

mod call;

use call::{Room, Said};

use super::fault;
use super::stream::STREAMS;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository};

/// The key of the repository's own configuration that names the authority.
pub(crate) const KEY: &str = "permit.remote";

/// The key that says how many seconds one call of `git` may take.
const TIMEOUT: &str = "permit.remote.timeout";

/// How many seconds that is where nobody says.
const SECONDS: u64 = 30;

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
    seconds: u64,
}

/// What a remote answered to a push.
pub(crate) enum Pushed {
    /// This very push moved the ref.
    Accepted,
    /// Another writer was faster, if only with the same event: equal events of two writers are one commit.
    Raced,
    /// The remote refused.
    Refused(Refusal),
    /// No answer arrived: what the remote did is not known.
    Unanswered(Refusal),
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
            seconds: seconds(repository)?,
        })
    }

    /// The name or URL, as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks which commit each ref of some patterns names.
    ///
    /// # Errors
    /// `GIT_ERROR` where the remote cannot be asked.
    pub(crate) fn tips(&self, patterns: &[&str]) -> Result<BTreeMap<String, CommitId>, Refusal> {
        let output = self.git(
            Room::Question,
            ["ls-remote", "--refs", "--end-of-options", &self.name]
                .iter()
                .chain(patterns),
        )?;
        if !output.status.success() {
            return Err(self.failed("cannot be asked", &output));
        }
        let mut tips = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.output).lines() {
            let parts = line.split_once('\t');
            let tip = parts.and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
            let (name, id) = tip.ok_or_else(|| self.failed("answered out of form", &output))?;
            // A pattern matches the end of a name; only what it means from the beginning was asked for.
            let is_asked_for = |pattern: &&str| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == **pattern,
            };
            if patterns.iter().any(is_asked_for) {
                tips.insert(name, id);
            }
        }
        Ok(tips)
    }

    /// Refuses a remote that names no ref at all: it may be empty, but then it never held what it is asked for, and an
    /// answer that broke off in the right place looks the same.
    ///
    /// # Errors
    /// `GIT_ERROR`.
    pub(crate) fn refuse_empty(&self) -> Result<(), Refusal> {
        let output = self.git(
            Room::Question,
            ["ls-remote", "--refs", "--end-of-options", &self.name],
        )?;
        if output.status.success() && !output.output.is_empty() {
            return Ok(());
        }
        Err(self.failed("names no ref at all", &output))
    }

    /// Asks which commit a ref names.
    ///
    /// # Errors
    /// As [`Remote::tips`].
    pub(crate) fn tip(&self, reference: &str) -> Result<Option<CommitId>, Refusal> {
        Ok(self.tips(&[reference])?.remove(reference))
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
                "--end-of-options",
                &self.name,
            ];
            let output = self.git(Room::Objects, head.iter().chain(part))?;
            if !output.status.success() {
                return Err(self.failed("cannot be fetched from", &output));
            }
        }
        Ok(())
    }

    /// Asks the remote to move a ref from `expected` (`None`: it is not there) to a commit that follows it.
    ///
    /// The rule of fast-forwards is not enough: where another writer's first event equals ours, ours are its
    /// continuation. The lease demands the very commit that ours were derived from. It also lifts the rule, so that
    /// INVARIANT: the caller has seen that the commit follows `expected`. Only the answer that the ref was moved counts:
    /// a ref that is there already was another's push.
    pub(crate) fn push(
        &self,
        reference: &str,
        expected: Option<CommitId>,
        commit: CommitId,
    ) -> Pushed {
        let expected = expected.map(|id| id.to_string()).unwrap_or_default();
        let lease = format!("--force-with-lease={reference}:{expected}");
        self.push_with(&lease, reference, commit)
    }

    /// Asks the remote to bring a ref forward to a commit, and never elsewhere.
    pub(crate) fn bring_forward(&self, reference: &str, commit: CommitId) -> Pushed {
        self.push_with("--no-force", reference, commit)
    }

    fn push_with(&self, how: &str, reference: &str, commit: CommitId) -> Pushed {
        const RACES: &[&str] = &[
            "lock",
            "failed to update ref",
            "incorrect old value",
            "already exists",
        ];
        let update = format!("{commit}:{reference}");
        let output = match self.git(
            Room::Objects,
            [
                "push",
                "--porcelain",
                how,
                "--no-follow-tags",
                "--recurse-submodules=no",
                "--end-of-options",
                &self.name,
                &update,
            ],
        ) {
            Ok(output) => output,
            Err(refusal) => return Pushed::Unanswered(refusal),
        };
        let text = String::from_utf8_lossy(&output.output);
        // A flag, the two refs and an answer, between tabs.
        let found = text.lines().find_map(|line| {
            let (flag, rest) = line.split_once('\t')?;
            let (refs, answer) = rest.split_once('\t')?;
            (refs == update).then_some((flag, answer))
        });
        match found {
            Some((" " | "*", _)) if output.status.success() => Pushed::Accepted,
            Some(("=", _)) => Pushed::Raced,
            // `git push` itself rejects where the ref is not at the expected commit; the other words are those of a
            // remote where another push held or moved the ref.
            Some(("!", answer))
                if answer.starts_with("[rejected]")
                    || (answer.starts_with("[remote rejected]")
                        && RACES.iter().any(|word| answer.contains(word))) =>
            {
                Pushed::Raced
            }
            Some((_, answer)) => Pushed::Refused(self.unpushed(&output).detail("answer", answer)),
            None => Pushed::Unanswered(self.unpushed(&output)),
        }
    }

    /// Runs `git` on this repository to its end, or to the deadline's.
    fn git<S: AsRef<OsStr>>(
        &self,
        room: Room,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Said, Refusal> {
        let mut command = Command::new("git");
        for name in LOCAL {
            command.env_remove(name);
        }
        command
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // The words of an answer are looked at.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .arg("--git-dir")
            .arg(&self.git_dir)
            // After a push, `git` would set the refs that the remote's refspecs map, whatever they are at.
            .arg("-c")
            .arg(format!("remote.{}.fetch=^{STREAMS}*", self.name))
            .args(arguments);
        call::run(command, self.seconds, room).map_err(|mut refusal| {
            refusal.message = format!("the remote `{}`: {}", self.name, refusal.message);
            refusal
        })
    }

    fn unpushed(&self, output: &Said) -> Refusal {
        self.failed("did not accept the push", output)
            .next("do what `git` says in the details, then run the command again; nothing was lost")
    }

    fn failed(&self, what: &str, output: &Said) -> Refusal {
        let message = format!("the remote `{}` {what}", self.name);
        let refusal = Refusal::new(Code::GitError, message).next(format!(
            "make `git ls-remote {}` work, then run the command again; nothing is lost",
            self.name
        ));
        match call::said(&output.error) {
            Some(said) => refusal.detail("git", said),
            None => refusal,
        }
    }
}

/// How many seconds one call of `git` may take.
///
/// # Errors
/// `INVALID_INPUT` where the value is no whole number of seconds above nothing.
fn seconds(repository: &Repository) -> Result<u64, Refusal> {
    let Some(text) = repository.config_string(TIMEOUT)? else {
        return Ok(SECONDS);
    };
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|seconds| number && *seconds > 0);
    seconds.ok_or_else(|| {
        fault::input(format!(
            "`{TIMEOUT}` is `{text}`, not a whole number of seconds"
        ))
        .next(format!("git config {TIMEOUT} {SECONDS}"))
    })
}
