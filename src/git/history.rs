//! A commit's first parents, read from the raw commits.
use std::collections::BTreeMap;

use super::{CommitId, EntryKind, Error, ObjectId, Repository, Result, Snapshot};

/// Goes from a commit to its first parent and on, until the root or an error.
///
/// Each commit is read before its id is returned. A parent that is not there is [`Error::Missing`](super::Error), in a
/// shallow clone too: an end that only the repository's own files claim is no end.
pub struct FirstParents<'r> {
    repository: &'r Repository,
    next: Option<CommitId>,
}

impl<'r> FirstParents<'r> {
    pub(super) fn new(repository: &'r Repository, from: CommitId) -> Self {
        Self {
            repository,
            next: Some(from),
        }
    }
}

impl Iterator for FirstParents<'_> {
    type Item = Result<CommitId>;

    fn next(&mut self) -> Option<Self::Item> {
        let commit = self.repository.read_commit(self.next.take()?);
        Some(commit.map(|commit| {
            self.next = commit.parents.first().copied();
            commit.id
        }))
    }
}

/// The first-parent history of one tip, walked only as far as questions demand and remembered.
///
/// It holds no repository, so that threads, each with a repository of its own, can share what was walked.
pub struct History {
    next: Option<CommitId>,
    positions: BTreeMap<CommitId, u64>,
}

impl History {
    /// Begins at a tip, of which nothing has been asked.
    #[must_use]
    pub fn new(tip: CommitId) -> Self {
        Self {
            next: Some(tip),
            positions: BTreeMap::new(),
        }
    }

    /// Returns how many steps `wanted` is behind the tip (0 is the tip itself); `None` where it is not on the chain.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) and [`Error::Corrupt`](super::Error::Corrupt) where the walk cannot
    /// go on, at this question and at every later one that needs it.
    pub fn position(&mut self, repository: &Repository, wanted: CommitId) -> Result<Option<u64>> {
        if let Some(&position) = self.positions.get(&wanted) {
            return Ok(Some(position));
        }
        while let Some(next) = self.next {
            self.next = repository.read_commit(next)?.parents.first().copied();
            let position = u64::try_from(self.positions.len()).unwrap_or(u64::MAX);
            self.positions.insert(next, position);
            if next == wanted {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}

/// Where the present bytes of a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The commit that introduced them.
    pub commit: CommitId,
    /// Its first parent; none where it is a root.
    pub parent: Option<CommitId>,
    /// Its committer time, in seconds since 1970.
    pub time: i64,
}

impl Repository {
    /// Finds the commit that introduced the present bytes of a file: the oldest of the unbroken run of first parents,
    /// back from `from`, that hold the same blob at its path. `None` where `from` holds no regular file there.
    ///
    /// Reads the commits of that run and the one before it, no more.
    ///
    /// # Errors
    /// [`Error::Missing`] where the walk leaves what the repository holds, and [`Error::Corrupt`].
    pub fn introduction(&self, from: CommitId, path: &str) -> Result<Option<Introduction>> {
        let mut at = self.snapshot(from)?;
        let Some(blob) = regular_file(&at, path)? else {
            return Ok(None);
        };
        while let Some(parent) = at.first_parent() {
            let before = self.snapshot(parent)?;
            if !same_top(&at, &before, path)? && regular_file(&before, path)? != Some(blob) {
                break;
            }
            at = before;
        }
        Ok(Some(Introduction {
            commit: at.commit(),
            parent: at.first_parent(),
            time: at.committer_time(),
        }))
    }

    /// Tells whether a commit, or any on its first-parent chain, ever had anything at a path.
    ///
    /// # Errors
    /// [`Error::Missing`] where the walk leaves what the repository holds before the path was met, and [`Error::Corrupt`].
    pub fn ever_held(&self, from: CommitId, path: &str) -> Result<bool> {
        let mut at = self.snapshot(from)?;
        let mut unchanged = false;
        loop {
            if !unchanged {
                match at.entry(path) {
                    Ok(None) => {}
                    // What stands in the way of the path is no proof that nothing was there.
                    Ok(Some(_)) | Err(Error::NotRegular { .. }) => return Ok(true),
                    Err(other) => return Err(other),
                }
            }
            let Some(parent) = at.first_parent() else {
                return Ok(false);
            };
            let before = self.snapshot(parent)?;
            unchanged = same_top(&at, &before, path)?;
            at = before;
        }
    }
}

/// The blob of the regular file at a path; nothing for whatever else is there.
fn regular_file(snapshot: &Snapshot<'_>, path: &str) -> Result<Option<ObjectId>> {
    match snapshot.entry(path) {
        Ok(entry) => Ok(entry
            .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
            .map(|entry| entry.id)),
        Err(Error::NotRegular { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether two commits hold the same entry where a path begins, so that nothing below it can differ.
fn same_top(one: &Snapshot<'_>, other: &Snapshot<'_>, path: &str) -> Result<bool> {
    if one.tree_id() == other.tree_id() {
        return Ok(true);
    }
    let top = path.split('/').next().unwrap_or(path);
    Ok(one.entry(top)? == other.entry(top)?)
}
