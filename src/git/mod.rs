//! Repositories as bytes: what one commit holds, and refs whose history is a stream of events.
//!
//! The only module that knows git2. It hands out bytes, ids and places, and never interprets a document: what a policy
//! or an event means is decided elsewhere. Every object is read raw from the object database and its id computed again,
//! so replace refs, grafts, filters, attributes and textconv change nothing (core, section 9). What it refuses:
//! symlinks and submodules on the way to a file, trees and commits that do not parse strictly, objects that are not
//! there, repositories that libgit2 cannot read.
//!
//! - [`Repository`] opens, resolves revisions and walks first parents.
//! - [`Snapshot`] is what one commit's tree holds.
//! - [`StreamRef`] is one ref with one commit per event: read, and append by compare-and-swap.
#![expect(
    clippy::disallowed_methods,
    reason = "the edge: objects, refs and locks lie on the disk"
)]
mod commit;
mod compare;
mod durable;
mod history;
mod id;
mod index;
mod lock;
mod loose;
mod memory;
mod objects;
mod pack;
mod pending;
mod remotes;
mod repository;
mod settings;
mod storing;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod tree_format;
mod work_tree;

use std::{fmt, io, path::PathBuf};

use libz_rs_sys as _;

pub use commit::RawCommit;
pub use compare::{Bounds, Difference, Differences};
pub use history::{FirstParents, History, Introduction};
pub use id::{CommitId, InvalidId, ObjectId};
pub use index::{STRIDE, is_named};
pub use memory::{Recalled, Subject};
pub use pending::{LostPush, PendingPush};
pub use repository::{Repository, is_ref_name};
pub use settings::{Origin, Setting};
pub use storing::Storing;
pub use stream::{
    EventBytes, EventCommit, EventFault, StreamRef, event_commit_bytes, event_commit_id,
};
pub use tree::{Blob, Snapshot, blob_id};
pub use tree_format::{Entry, EntryKind};
pub use work_tree::WorkTree;

/// What [`Repository`] and its parts return.
pub type Result<T> = std::result::Result<T, Error>;

/// Says why a repository could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object that the repository lacks: a shallow clone, a pruned or a partial one.
    #[error("object `{id}` is not in the repository")]
    Missing {
        /// The object's id in hex.
        id: String,
    },
    /// Bytes that are not what their id says, or that do not parse strictly; also a ref that cannot be read.
    #[error("`{id}` is corrupt: {what}")]
    Corrupt {
        /// The object's id in hex, or the ref's name.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// A revision that names no commit.
    #[error("`{rev}` names no commit: {what}")]
    Unresolved {
        /// The revision as it was given.
        rev: String,
        /// Why it names none.
        what: String,
    },
    /// `HEAD` where nothing was committed yet.
    #[error("`{rev}` names no commit yet: nothing is committed on this branch")]
    Unborn {
        /// The revision as it was given.
        rev: String,
    },
    /// No repository at a path, or at any folder that holds it.
    #[error("there is no git repository at or above `{}`", path.display())]
    NoRepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A ref that moved, and whose folder could not be flushed to the disk: it stands, unless the machine stops now.
    #[error("`{name}` is at {commit} now, and cannot be flushed to the disk: {source}")]
    Unflushed {
        /// The full name of the ref.
        name: String,
        /// Where it is.
        commit: CommitId,
        /// What could not be flushed, and why.
        source: Box<Error>,
    },
    /// A symlink or a submodule on a path, a folder where a file is needed, or the reverse.
    #[error("`{path}` is {what}")]
    NotRegular {
        /// The path from the root of the tree up to what is not regular.
        path: String,
        /// What is there.
        what: &'static str,
    },
    /// An object larger than the caller takes.
    #[error("`{path}` has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The path in the tree, or the object's id in hex.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A folder that holds more than the caller takes.
    #[error("below `{path}` there are more than {limit} files and folders")]
    TooMany {
        /// The path in the tree.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// More work than a comparison or a walk may take.
    #[error("there are more than {most} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// A lock file of a ref that stayed there for every try.
    #[error("lock file `{}` is in the way", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Another writer moved the ref: the compare-and-swap lost.
    #[error("another writer moved the ref")]
    Moved,
    /// A repository in a form that is not supported (SHA-256, reftable, partial clones).
    #[error("the repository is not supported: {what}")]
    Unsupported {
        /// The form.
        what: String,
    },
    /// A repository that belongs to another user and is not a `safe.directory`.
    #[error("`{}` belongs to another user and is not a `safe.directory`", path.display())]
    Ownership {
        /// The work tree or Git directory that another user owns.
        path: PathBuf,
    },
    /// A file that could not be read or written.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Anything else that libgit2 could not do.
    #[error("{0}")]
    Git(String),
}

impl From<git2::Error> for Error {
    fn from(error: git2::Error) -> Self {
        if error.class() == git2::ErrorClass::NoMemory {
            // As wherever else memory ends, and not as something that is wrong with the repository.
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<u8>());
        }
        Self::Git(error.message().to_owned())
    }
}

impl Error {
    /// Returns a function that adds the path to an error of the system.
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Makes the error for an object or ref whose bytes are wrong.
    fn corrupt(id: &dyn fmt::Display, what: impl Into<String>) -> Self {
        Self::Corrupt {
            id: id.to_string(),
            what: what.into(),
        }
    }
}
