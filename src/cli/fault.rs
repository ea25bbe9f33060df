//! Failures of the edge become reasons: which code, and what the user can do about it.

use std::io;
use std::path::Path;

use crate::engine::code::{Code, Refusal};
use crate::git;

impl From<git::Error> for Refusal {
    fn from(error: git::Error) -> Self {
        let message = error.to_string();
        match error {
            git::Error::Missing { .. } => Refusal::new(Code::ObjectMissing, message),
            git::Error::Io { .. } => Refusal::new(Code::IoError, message),
            git::Error::Unborn { .. } => Refusal::new(Code::InvalidInput, message).next(
                "git commit --allow-empty --message \"Begin\", then run `permit init` and commit what it made",
            ),
            git::Error::Unresolved { .. } => Refusal::new(Code::InvalidInput, message)
                .next("name a commit that exists; `git log --oneline` shows them"),
            git::Error::NoRepository { .. } => Refusal::new(Code::GitError, message)
                .next("go into a repository, name one with `--repository PATH`, or make one: git init"),
            git::Error::Unflushed { .. } => Refusal::new(Code::IoError, message)
                .next("do not run it again before you see what stands: git for-each-ref"),
            git::Error::NotRegular { .. } | git::Error::TooLarge { .. } => {
                Refusal::new(Code::InvalidInput, message)
            }
            git::Error::TooMany { .. } | git::Error::TooMuch { .. } => {
                Refusal::new(Code::LimitExceeded, message)
            }
            git::Error::Moved => Refusal::new(Code::Contention, message),
            git::Error::Locked { path } => Refusal::new(Code::GitError, message).next(format!(
                "if no other writer is running, remove `{}` and run again",
                path.display()
            )),
            git::Error::Ownership { path } => Refusal::new(Code::GitError, message).next(format!(
                "if you trust it: git config --global --add safe.directory {}",
                path.display()
            )),
            git::Error::Unsupported { what } => {
                Refusal::new(Code::GitError, message).next(other_form(&what))
            }
            git::Error::Corrupt { .. } | git::Error::Git(_) => {
                Refusal::new(Code::GitError, message)
            }
        }
    }
}

/// How to come by a repository in a form that is supported.
fn other_form(what: &str) -> &'static str {
    if what.contains("refstorage") || what.contains("reftable") {
        "git refs migrate --ref-format=files"
    } else if what.contains("object format") || what.contains("objectformat") {
        "make a repository of SHA-1 and bring the files over: git init --object-format=sha1"
    } else {
        "use a full clone whose objects are SHA-1 and whose refs are files: git clone --ref-format=files URL"
    }
}

/// The reason for a file that could not be read or written.
pub(crate) fn io(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(
        Code::IoError,
        format!("cannot access `{}`: {error}", path.display()),
    )
}

/// The reason for input that a user gave in a wrong form.
pub(crate) fn input(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidInput, message)
}

/// The reason for a text that is no id of its kind, and the command that lists those that there are.
pub(crate) fn id(what: &str, fault: impl std::fmt::Display, list: &str) -> Refusal {
    input(format!("the {what} id {fault}")).next(list)
}

/// Refuses a range of events that no event of the stream is in: nothing of it would pass for all of it.
pub(crate) fn check_range_holds(from: u64, to: u64, seen: u64) -> Result<(), Refusal> {
    if seen > 0 {
        return Ok(());
    }
    let to = if to == u64::MAX {
        "the end".to_owned()
    } else {
        to.to_string()
    };
    Err(input(format!("the range from {from} to {to} holds no event")).next("permit log"))
}

/// Refuses a range of events that ends before it begins: nothing in it would pass for all of it.
pub(crate) fn check_range(from: u64, to: u64) -> Result<(), Refusal> {
    if from > to {
        return Err(input(format!(
            "the range from {from} to {to} holds no event"
        )));
    }
    Ok(())
}

/// Makes a refusal about a governed file, for a path that is a symlink, a submodule, a folder or too large.
pub(crate) fn governed(code: Code) -> impl Fn(git::Error) -> Refusal {
    move |error| match error {
        git::Error::NotRegular { .. } | git::Error::TooLarge { .. } => {
            Refusal::new(code, format!("in the governed commit, {error}"))
        }
        git::Error::Missing { .. }
        | git::Error::Unborn { .. }
        | git::Error::NoRepository { .. }
        | git::Error::Unflushed { .. }
        | git::Error::Corrupt { .. }
        | git::Error::TooMany { .. }
        | git::Error::TooMuch { .. }
        | git::Error::Unresolved { .. }
        | git::Error::Locked { .. }
        | git::Error::Moved
        | git::Error::Unsupported { .. }
        | git::Error::Ownership { .. }
        | git::Error::Io { .. }
        | git::Error::Git(_) => error.into(),
    }
}
