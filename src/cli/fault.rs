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
            git::Error::Unresolved { .. } => Refusal::new(Code::InvalidInput, message)
                .next("name a commit that exists, for example with `--at HEAD`"),
            git::Error::NotRegular { .. } | git::Error::TooLarge { .. } => {
                Refusal::new(Code::InvalidInput, message)
            }
            git::Error::TooMany { .. } => Refusal::new(Code::LimitExceeded, message),
            git::Error::Moved => Refusal::new(Code::Contention, message),
            git::Error::Locked { path } => Refusal::new(Code::GitError, message).next(format!(
                "if no other writer is running, remove `{}` and run again",
                path.display()
            )),
            git::Error::Ownership { path } => Refusal::new(Code::GitError, message).next(format!(
                "if you trust it: git config --global --add safe.directory {}",
                path.display()
            )),
            git::Error::Corrupt { .. } | git::Error::Unsupported { .. } | git::Error::Git(_) => {
                Refusal::new(Code::GitError, message)
            }
        }
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
        | git::Error::Corrupt { .. }
        | git::Error::TooMany { .. }
        | git::Error::Unresolved { .. }
        | git::Error::Locked { .. }
        | git::Error::Moved
        | git::Error::Unsupported { .. }
        | git::Error::Ownership { .. }
        | git::Error::Io { .. }
        | git::Error::Git(_) => error.into(),
    }
}
