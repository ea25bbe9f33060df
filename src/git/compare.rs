//! Two commits compared: their merge base, and the paths that differ between their trees.
//!
//! Both read raw commits and trees only, so that no configuration of the repository changes the answer: no grafts, no
//! replace refs, no rename detection, no quoting, no ignored submodules.
use std::collections::{BTreeMap, BinaryHeap};

use super::{CommitId, Entry, EntryKind, ObjectId, Repository, Result, Snapshot};

/// Reached from the first commit.
const FIRST: u8 = 1;
/// Reached from the second commit.
const SECOND: u8 = 2;
/// Behind a common ancestor: no better one is to be found there.
const STALE: u8 = 4;

/// A commit that waits to be looked at; the newest is first, of equals the one that came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    time: i64,
    turn: std::cmp::Reverse<u64>,
    id: CommitId,
}

/// A walk from two commits towards what they have in common.
struct Paint<'r> {
    repository: &'r Repository,
    colours: BTreeMap<CommitId, u8>,
    waiting: BinaryHeap<Waiting>,
    turn: u64,
}

impl Repository {
    /// Finds the best common ancestor of two commits, as `git merge-base` does; `None` where they have none.
    ///
    /// Of several best ones (criss-cross merges) it is the newest by committer time.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) where history is cut off before the answer is known,
    /// [`Error::Corrupt`](super::Error::Corrupt).
    pub fn merge_base(&self, first: CommitId, second: CommitId) -> Result<Option<CommitId>> {
        if first == second {
            return self.read_commit(first).map(|commit| Some(commit.id));
        }
        let mut common = Paint::new(self).common(first, second)?;
        let mut index = 0;
        while common.len() > 1 && index < common.len() {
            let candidate = common.get(index).copied();
            if self.is_behind_another(candidate, &common)? {
                common.remove(index);
            } else {
                index = index.saturating_add(1);
            }
        }
        Ok(common.first().copied())
    }

    /// Tells whether a common ancestor is itself an ancestor of another one: clocks that ran backwards let such through.
    fn is_behind_another(&self, candidate: Option<CommitId>, common: &[CommitId]) -> Result<bool> {
        let Some(candidate) = candidate else {
            return Ok(false);
        };
        for other in common.iter().filter(|other| **other != candidate) {
            if Paint::new(self).common(candidate, *other)? == [candidate] {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lists the paths at which two commits' trees differ, both sides of a rename, in the order of their bytes.
    ///
    /// The same as `git diff --name-only -z --no-renames --ignore-submodules=none FROM TO`.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) and [`Error::Corrupt`](super::Error::Corrupt).
    pub fn changed_paths(&self, from: CommitId, to: CommitId) -> Result<Vec<Vec<u8>>> {
        self.changed_paths_since(Some(from), to)
    }

    /// The same where there may be nothing before: then every path of the commit is listed.
    ///
    /// # Errors
    /// As [`Repository::changed_paths`].
    pub fn changed_paths_since(
        &self,
        from: Option<CommitId>,
        to: CommitId,
    ) -> Result<Vec<Vec<u8>>> {
        let to = self.snapshot(to)?;
        let from = from.map(|from| self.snapshot(from)).transpose()?;
        let mut changed = Vec::new();
        let before = from.as_ref().map(Snapshot::tree_id);
        let from = from.as_ref().unwrap_or(&to);
        let mut folders = vec![(Vec::new(), before, Some(to.tree_id()))];
        while let Some((path, old, new)) = folders.pop() {
            if old == new {
                continue;
            }
            let (old, new) = (entries(from, old)?, entries(&to, new)?);
            for name in old
                .keys()
                .chain(new.keys().filter(|name| !old.contains_key(*name)))
            {
                let (old, new) = (old.get(name), new.get(name));
                let mut place: Vec<u8> = path.clone();
                place.extend_from_slice(name);
                if leaf(old) != leaf(new) {
                    changed.push(place.clone());
                }
                if folder(old).or(folder(new)).is_some() {
                    place.push(b'/');
                    folders.push((place, folder(old), folder(new)));
                }
            }
        }
        changed.sort_unstable();
        Ok(changed)
    }
}

/// A folder's entries by name; none where there is no folder.
fn entries(snapshot: &Snapshot<'_>, folder: Option<ObjectId>) -> Result<BTreeMap<Vec<u8>, Entry>> {
    let Some(folder) = folder else {
        return Ok(BTreeMap::new());
    };
    let entries = snapshot.read_tree(folder)?;
    Ok(entries
        .iter()
        .map(|entry| (entry.name.clone(), entry.clone()))
        .collect())
}

/// What makes two files, symlinks or submodules the same; nothing for a folder.
fn leaf(entry: Option<&Entry>) -> Option<(ObjectId, EntryKind)> {
    entry
        .filter(|entry| entry.kind != EntryKind::Folder)
        .map(|entry| (entry.id, entry.kind))
}

fn folder(entry: Option<&Entry>) -> Option<ObjectId> {
    entry
        .filter(|entry| entry.kind == EntryKind::Folder)
        .map(|entry| entry.id)
}

impl<'r> Paint<'r> {
    fn new(repository: &'r Repository) -> Self {
        Self {
            repository,
            colours: BTreeMap::new(),
            waiting: BinaryHeap::new(),
            turn: 0,
        }
    }

    /// Returns the common ancestors that are behind no other one, newest first, as far as times are in order.
    fn common(mut self, first: CommitId, second: CommitId) -> Result<Vec<CommitId>> {
        self.reach(first, FIRST)?;
        self.reach(second, SECOND)?;
        let mut common = Vec::new();
        while self.is_open() {
            let Some(Waiting { id, .. }) = self.waiting.pop() else {
                break;
            };
            let mut colour = self.colour(id);
            if colour == FIRST | SECOND {
                if !common.contains(&id) {
                    common.push(id);
                }
                colour |= STALE;
                // What is behind this one is of no interest, unless somebody still walks towards it.
                if !self.is_open() {
                    break;
                }
            }
            for parent in self.repository.read_commit(id)?.parents {
                self.reach(parent, colour)?;
            }
        }
        common.retain(|id| self.colour(*id) & STALE == 0);
        Ok(common)
    }

    /// Tells whether any commit that waits could still lead to an answer.
    fn is_open(&self) -> bool {
        self.waiting
            .iter()
            .any(|waiting| self.colour(waiting.id) & STALE == 0)
    }

    fn colour(&self, id: CommitId) -> u8 {
        self.colours.get(&id).copied().unwrap_or(0)
    }

    fn reach(&mut self, id: CommitId, colour: u8) -> Result<()> {
        let before = self.colour(id);
        if before | colour == before {
            return Ok(());
        }
        let time = self.repository.read_commit(id)?.committer_time;
        self.colours.insert(id, before | colour);
        self.turn = self.turn.saturating_add(1);
        self.waiting.push(Waiting {
            time,
            turn: std::cmp::Reverse(self.turn),
            id,
        });
        Ok(())
    }
}
