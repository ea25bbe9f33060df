//! A commit's first parents, read from the raw commits.
use std::collections::BTreeMap;

use super::{CommitId, Repository, Result};

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
pub struct History<'r> {
    walk: FirstParents<'r>,
    positions: BTreeMap<CommitId, u64>,
}

impl<'r> History<'r> {
    pub(super) fn new(repository: &'r Repository, tip: CommitId) -> Self {
        Self {
            walk: repository.first_parents(tip),
            positions: BTreeMap::new(),
        }
    }

    /// Returns how many steps `wanted` is behind the tip (0 is the tip itself); `None` where it is not on the chain.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) and [`Error::Corrupt`](super::Error::Corrupt) where the walk cannot
    /// go on, at this question and at every later one that needs it.
    pub fn position(&mut self, wanted: CommitId) -> Result<Option<u64>> {
        if let Some(&position) = self.positions.get(&wanted) {
            return Ok(Some(position));
        }
        while let Some(next) = self.walk.next {
            let step = self.walk.next();
            let Some(Ok(commit)) = step else {
                self.walk.next = Some(next);
                return step.transpose().map(|_| None);
            };
            let position = u64::try_from(self.positions.len()).unwrap_or(u64::MAX);
            self.positions.insert(commit, position);
            if commit == wanted {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}
