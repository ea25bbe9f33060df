//! Two commits compared: their merge base, and the paths that differ between their trees.
//!
//! Both read raw commits and trees only, so that no configuration of the repository changes the answer: no grafts, no
//! replace refs, no rename detection, no quoting, no ignored submodules.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;

use super::{CommitId, Entry, EntryKind, Error, ObjectId, Repository, Result, Snapshot};

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

    /// Tells whether two commits have an ancestor in common, themselves included; reads each commit once.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) and [`Error::Corrupt`](super::Error::Corrupt).
    pub fn are_related(&self, first: CommitId, second: CommitId) -> Result<bool> {
        let mut seen = BTreeMap::from([(first, FIRST)]);
        if first == second {
            return Ok(true);
        }
        seen.insert(second, SECOND);
        // Both sides go back in turn, so that what one has grown since costs no more than the other.
        let mut sides = [VecDeque::from([first]), VecDeque::from([second])];
        while sides.iter().any(|side| !side.is_empty()) {
            for (side, colour) in sides.iter_mut().zip([FIRST, SECOND]) {
                let Some(id) = side.pop_front() else { continue };
                for parent in self.read_commit(id)?.parents {
                    match seen.insert(parent, colour) {
                        None => side.push_back(parent),
                        Some(other) if other != colour => return Ok(true),
                        Some(_) => {}
                    }
                }
            }
        }
        Ok(false)
    }

    /// Lists the paths at which two commits' trees differ, both sides of a rename, in the order of their bytes.
    ///
    /// The same as `git diff --name-only -z --no-renames --ignore-submodules=none FROM TO`.
    ///
    /// # Errors
    /// [`Error::Missing`](super::Error::Missing) and [`Error::Corrupt`](super::Error::Corrupt), and
    /// [`Error::TooMany`](super::Error::TooMany) beyond [`Bounds`].
    pub fn changed_paths(&self, from: CommitId, to: CommitId) -> Result<Vec<Vec<u8>>> {
        let found = self.differences(Some(from), to, &mut Bounds::default(), |_| true)?;
        Ok(found.paths.into_iter().map(|found| found.path).collect())
    }

    /// Lists the paths at which two commits' trees differ and what is there, below those names of the root that are
    /// wanted; where there is nothing before, every path of the commit is listed.
    ///
    /// # Errors
    /// As [`Repository::changed_paths`].
    pub fn differences(
        &self,
        from: Option<CommitId>,
        to: CommitId,
        bounds: &mut Bounds,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Differences> {
        let to = self.snapshot(to)?;
        let from = from.map(|from| self.snapshot(from)).transpose()?;
        let mut found = Differences::default();
        let mut trees = Trees {
            of: &to,
            read: BTreeMap::new(),
            entries: 0,
        };
        let mut folders = vec![Pair {
            path: Vec::new(),
            old: from.as_ref().map(Snapshot::tree_id),
            new: Some(to.tree_id()),
        }];
        while let Some(pair) = folders.pop() {
            if pair.old == pair.new {
                continue;
            }
            let (old, new) = (trees.read(pair.old)?, trees.read(pair.new)?);
            bounds.see(old.len().saturating_add(new.len()))?;
            for (name, old, new) in joined(&old, &new) {
                if old == new {
                    continue;
                }
                if pair.path.is_empty() && !wanted(name) {
                    found.more = true;
                    continue;
                }
                let mut path = pair.path.clone();
                path.extend_from_slice(name);
                let (below_old, below_new) = (folder(old), folder(new));
                if leaf(old) != leaf(new) {
                    bounds.list(path.len())?;
                    found.paths.push(Difference {
                        path: path.clone(),
                        before: old.filter(|entry| is_leaf(entry)).cloned(),
                        after: new.filter(|entry| is_leaf(entry)).cloned(),
                    });
                }
                if below_old.or(below_new).is_some() {
                    path.push(b'/');
                    bounds.keep(path.len())?;
                    folders.push(Pair {
                        path,
                        old: below_old,
                        new: below_new,
                    });
                }
            }
        }
        found
            .paths
            .sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }
}

/// How much a comparison may look at and keep: nine objects can hold as many paths as somebody likes.
#[derive(Debug)]
pub struct Bounds {
    paths: usize,
    entries: usize,
    bytes: usize,
}

impl Bounds {
    /// The most paths that are listed.
    pub const PATHS: usize = 1_000_000;

    /// The most entries of trees that are compared.
    const ENTRIES: usize = 8_000_000;

    /// The most bytes of paths.
    const BYTES: usize = 256 << 20;

    fn see(&mut self, entries: usize) -> Result<()> {
        spend(
            &mut self.entries,
            entries,
            "entries of trees",
            Self::ENTRIES,
        )
    }

    fn list(&mut self, length: usize) -> Result<()> {
        spend(&mut self.paths, 1, "changed paths", Self::PATHS)?;
        self.keep(length)
    }

    fn keep(&mut self, length: usize) -> Result<()> {
        spend(
            &mut self.bytes,
            length,
            "bytes of changed paths",
            Self::BYTES,
        )
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            paths: Self::PATHS,
            entries: Self::ENTRIES,
            bytes: Self::BYTES,
        }
    }
}

fn spend(left: &mut usize, cost: usize, what: &'static str, most: usize) -> Result<()> {
    *left = left
        .checked_sub(cost)
        .ok_or(Error::TooMuch { what, most })?;
    Ok(())
}

/// What differs between two commits' trees.
#[derive(Debug, Default)]
pub struct Differences {
    /// The paths that were wanted, in the order of their bytes.
    pub paths: Vec<Difference>,
    /// Whether anything else differs.
    pub more: bool,
}

/// A path at which two trees differ; nothing for a folder.
#[derive(Debug)]
pub struct Difference {
    /// The path from the root.
    pub path: Vec<u8>,
    /// What is there before.
    pub before: Option<Entry>,
    /// What is there after.
    pub after: Option<Entry>,
}

/// Two folders of the same path.
struct Pair {
    path: Vec<u8>,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
}

/// Trees that were read: one tree may stand at any number of paths.
struct Trees<'s, 'r> {
    of: &'s Snapshot<'r>,
    read: BTreeMap<ObjectId, Rc<[Entry]>>,
    entries: usize,
}

impl Trees<'_, '_> {
    /// A tree's entries by name; none where there is no tree.
    fn read(&mut self, tree: Option<ObjectId>) -> Result<Rc<[Entry]>> {
        const MOST: usize = 1_000_000;
        let Some(tree) = tree else {
            return Ok(Rc::default());
        };
        if let Some(entries) = self.read.get(&tree) {
            return Ok(Rc::clone(entries));
        }
        let mut entries = self.of.parse_tree(tree)?;
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        self.entries = self.entries.saturating_add(entries.len());
        if self.entries > MOST {
            self.read.clear();
            self.entries = entries.len();
        }
        let entries: Rc<[Entry]> = entries.into();
        self.read.insert(tree, Rc::clone(&entries));
        Ok(entries)
    }
}

/// Joins two lists that are sorted by name: each name with what each of them holds.
fn joined<'e>(
    old: &'e [Entry],
    new: &'e [Entry],
) -> impl Iterator<Item = (&'e [u8], Option<&'e Entry>, Option<&'e Entry>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (Some(one), Some(other)) => one.name.cmp(&other.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let before = if order.is_gt() { None } else { old.next() };
        let after = if order.is_lt() { None } else { new.next() };
        let name = before.or(after).map(|entry| entry.name.as_slice())?;
        Some((name, before, after))
    })
}

fn is_leaf(entry: &Entry) -> bool {
    entry.kind != EntryKind::Folder
}

/// What makes two files, symlinks or submodules the same; nothing for a folder.
fn leaf(entry: Option<&Entry>) -> Option<(ObjectId, EntryKind)> {
    entry
        .filter(|entry| is_leaf(entry))
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
