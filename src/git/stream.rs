//! A ref whose history is a stream: one commit per event, in one form only, appended by compare-and-swap.
//!
//! The form (core, section 6), so that the same inputs give the same commit id:
//!
//! ```text
//! tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
//! parent <the previous event's commit, absent in the first>
//! author permit <permit@invalid> <time> +0000
//! committer permit <permit@invalid> <time> +0000
//!
//! <message>
//! ```
use std::str;

use git2::{ErrorClass, ErrorCode, ObjectType, Odb, OdbObject};
use sha1::{Digest, Sha1};

use super::{
    CommitId, Error, Repository, Result, Storing, id::parse_hex, lock, objects::EMPTY_TREE,
};

const PERSON: &str = "permit <permit@invalid>";

/// One ref with one commit per event.
pub struct StreamRef<'r> {
    repository: &'r Repository,
    odb: Odb<'r>,
    name: String,
}

/// The parts of an event's commit, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCommit<'a> {
    /// The previous event's commit; `None` in the first.
    pub parent: Option<CommitId>,
    /// The time of author and committer, in seconds since 1970.
    pub time: u64,
    /// What stands after the headers' empty line.
    pub message: &'a [u8],
}

/// An event's commit as it was read: in the right form, its bytes hashing to its id.
pub struct EventBytes<'s> {
    id: CommitId,
    parent: Option<CommitId>,
    time: u64,
    /// Where the message begins.
    message: usize,
    object: OdbObject<'s>,
}

/// Says why a commit is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// The repository lacks the object.
    #[error("the commit is not in the repository")]
    Missing,
    /// What lies in the object's place is no file, or the system does not let it be opened: nothing is known of it.
    #[error("{0}")]
    Failed(String),
    /// The object is damaged, is no commit, or does not hash to its id.
    #[error("the commit cannot be read: {0}")]
    Unreadable(String),
    /// The commit is not in an event's form; the text names the part.
    #[error("the commit is not in the form of an event: {0}")]
    Form(&'static str),
}

/// Writes an event's commit: the bytes that Git hashes after its own header.
#[must_use]
pub fn event_commit_bytes(parent: Option<CommitId>, time: u64, message: &[u8]) -> Vec<u8> {
    let parent = parent
        .map(|id| format!("parent {id}\n"))
        .unwrap_or_default();
    let person = format!("{PERSON} {time} +0000");
    let headers = format!("tree {EMPTY_TREE}\n{parent}author {person}\ncommitter {person}\n\n");
    [headers.as_bytes(), message].concat()
}

/// Computes a commit's id: `sha1("commit " ‖ decimal length ‖ 0x00 ‖ bytes)`.
///
/// This SHA-1 does not look for collisions, which the events do not rest on: what they hold is chained by
/// SHA-256, and the commit's form leaves no room beside it.
#[must_use]
pub fn event_commit_id(bytes: &[u8]) -> CommitId {
    let hash = Sha1::new()
        .chain_update(b"commit ")
        .chain_update(bytes.len().to_string())
        .chain_update(b"\0");
    CommitId::new(hash.chain_update(bytes).finalize().into())
}

impl<'a> EventCommit<'a> {
    /// Parses an event's commit; the bytes that [`event_commit_bytes`] writes are the only ones that pass.
    ///
    /// # Errors
    /// [`EventFault::Form`] with the part that is wrong.
    pub fn parse(bytes: &'a [u8]) -> std::result::Result<Self, EventFault> {
        let rest = line(bytes, "tree ")
            .and_then(|(value, rest)| (value == EMPTY_TREE.as_bytes()).then_some(rest));
        let mut rest = rest.ok_or(EventFault::Form("its tree is not the empty tree"))?;
        let mut parent = None;
        if let Some((value, after)) = line(rest, "parent ") {
            parent = Some(CommitId::new(
                parse_hex(value).ok_or(EventFault::Form("its parent is malformed"))?,
            ));
            rest = after;
        }
        if rest.starts_with(b"parent ") {
            return Err(EventFault::Form("it has more than one parent"));
        }
        let (author, rest) = line(rest, "author ").ok_or(EventFault::Form("it has no author"))?;
        let time =
            time_of(author).ok_or(EventFault::Form("its author is not the fixed identity"))?;
        let (committer, rest) =
            line(rest, "committer ").ok_or(EventFault::Form("it has no committer"))?;
        if committer != author {
            return Err(EventFault::Form("its committer is not its author"));
        }
        let message = rest
            .strip_prefix(b"\n")
            .ok_or(EventFault::Form("it has another header"))?;
        Ok(Self {
            parent,
            time,
            message,
        })
    }
}

impl EventBytes<'_> {
    /// Returns the commit's id, which its bytes hash to.
    #[must_use]
    pub fn id(&self) -> CommitId {
        self.id
    }

    /// Returns the previous event's commit; `None` in the first.
    #[must_use]
    pub fn parent(&self) -> Option<CommitId> {
        self.parent
    }

    /// Returns the time of author and committer, in seconds since 1970.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.object.data().get(self.message..).unwrap_or_default()
    }

    /// Returns the whole commit.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.object.data()
    }
}

impl<'r> StreamRef<'r> {
    pub(super) fn new(repository: &'r Repository, name: &str) -> Result<Self> {
        Ok(Self {
            repository,
            odb: repository.odb()?,
            name: name.to_owned(),
        })
    }

    /// Returns the full name of the ref.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the newest event's commit id, fresh from the disk; `None` where the ref is not there.
    ///
    /// # Errors
    /// As [`Repository::ref_target`].
    pub fn tip(&self) -> Result<Option<CommitId>> {
        self.repository.ref_target(&self.name)
    }

    /// Reads one event's commit, computes its id again and checks its form.
    ///
    /// # Errors
    /// [`EventFault`]; nothing is repaired.
    pub fn read_event(&self, id: CommitId) -> std::result::Result<EventBytes<'_>, EventFault> {
        let unreadable = |error: git2::Error| {
            if error.code() == ErrorCode::NotFound {
                EventFault::Missing
            } else if error.class() == ErrorClass::Os {
                EventFault::Failed(error.message().to_owned())
            } else {
                EventFault::Unreadable(error.message().to_owned())
            }
        };
        let oid = git2::Oid::from_bytes(id.as_bytes()).map_err(unreadable)?;
        self.repository.check_loose(id.into()).map_err(|error| {
            let what = error.to_string();
            if matches!(error, Error::Io { .. } | Error::Git(_)) {
                EventFault::Failed(what)
            } else {
                EventFault::Unreadable(what)
            }
        })?;
        let object = self.odb.read(oid).map_err(unreadable)?;
        if object.kind() != ObjectType::Commit {
            return Err(EventFault::Unreadable(format!("it is a {}", object.kind())));
        }
        let computed = event_commit_id(object.data());
        if computed != id {
            return Err(EventFault::Unreadable(format!(
                "its bytes hash to `{computed}`"
            )));
        }
        let EventCommit {
            parent,
            time,
            message,
        } = EventCommit::parse(object.data())?;
        let message = object.len().saturating_sub(message.len());
        Ok(EventBytes {
            id,
            parent,
            time,
            message,
            object,
        })
    }

    /// Walks from an event's commit to the first, newest first; ends after the first fault.
    pub fn walk(
        &self,
        from: CommitId,
    ) -> impl Iterator<Item = std::result::Result<EventBytes<'_>, (CommitId, EventFault)>> {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let id = next.take()?;
            Some(match self.read_event(id) {
                Ok(event) => {
                    next = event.parent;
                    Ok(event)
                }
                Err(fault) => Err((id, fault)),
            })
        })
    }

    /// Begins to add events on `tip` (`None`: the stream is not there yet); moves no ref.
    #[must_use]
    pub fn begin(&self, tip: Option<CommitId>) -> Storing<'_> {
        Storing::new(self.repository, &self.odb, tip)
    }

    /// Makes the events that were added on `tip` durable and moves the ref to the last one; returns its commit id.
    ///
    /// The objects are flushed to the disk, then the ref is swapped under its lock and flushed. A crash leaves the ref at
    /// the old or at the new tip.
    ///
    /// # Errors
    /// [`Error::Moved`] where the ref is not at `tip`, [`Error::Locked`], [`Error::Io`]. The ref is then as it was.
    /// [`Error::Unflushed`]: the ref has moved.
    pub fn append(&self, tip: Option<CommitId>, storing: Storing<'_>) -> Result<CommitId> {
        if self.tip()? != tip {
            return Err(Error::Moved);
        }
        let new = storing.finish()?;
        self.swap(tip, new)?;
        Ok(new)
    }

    /// Moves the ref from `expected` (`None`: it is not there) to a commit that is stored, durably.
    ///
    /// # Errors
    /// [`Error::Moved`] where the ref is not at `expected`, [`Error::Locked`], [`Error::Io`]. The ref is then as it
    /// was. [`Error::Unflushed`]: the ref has moved.
    pub fn swap(&self, expected: Option<CommitId>, new: CommitId) -> Result<()> {
        lock::swap(self.repository, &self.name, expected, new)
    }
}

/// Splits a header line off: its value, and what follows its line feed.
fn line<'a>(bytes: &'a [u8], name: &str) -> Option<(&'a [u8], &'a [u8])> {
    let rest = bytes.strip_prefix(name.as_bytes())?;
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let (value, after) = rest.split_at_checked(end)?;
    Some((value, after.split_first()?.1))
}

/// Reads the time of the fixed identity's line, as [`event_commit_bytes`] writes it.
fn time_of(person: &[u8]) -> Option<u64> {
    let digits = person
        .strip_prefix(PERSON.as_bytes())?
        .strip_prefix(b" ")?
        .strip_suffix(b" +0000")?;
    let canonical = digits == b"0"
        || matches!(digits, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    canonical.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}
