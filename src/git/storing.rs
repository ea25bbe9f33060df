//! Commits of events become durable objects: loose ones where they are few, one pack where they are many.
use std::{mem, path::PathBuf};

use git2::{ObjectType, Odb};

use super::{
    CommitId, Error, EventCommit, ObjectId, Repository, Result, event_commit_id, objects,
    pack::PackWriter,
};

/// From this many commits on, one pack is cheaper than loose objects: three flushes in all, not two for each.
const PACK_FROM: usize = 16;

/// Commits of events, each on the one before it, on their way into the object database.
pub struct Storing<'s> {
    repository: &'s Repository,
    odb: &'s Odb<'s>,
    last: Option<CommitId>,
    /// Commits that are not handed on yet.
    waiting: Vec<(CommitId, Vec<u8>)>,
    packs: Option<PackWriter>,
}

impl<'s> Storing<'s> {
    pub(super) fn new(repository: &'s Repository, odb: &'s Odb<'s>, tip: Option<CommitId>) -> Self {
        Self {
            repository,
            odb,
            last: tip,
            waiting: Vec::new(),
            packs: None,
        }
    }

    /// Returns the newest commit: the last that was added, else the tip.
    #[must_use]
    pub fn last(&self) -> Option<CommitId> {
        self.last
    }

    /// Adds a commit, the bytes that [`event_commit_bytes`](super::event_commit_bytes) wrote on the one before it, and
    /// returns its id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it does not follow that one, [`Error::Io`].
    pub fn push(&mut self, bytes: Vec<u8>) -> Result<CommitId> {
        let id = event_commit_id(&bytes);
        let parsed =
            EventCommit::parse(&bytes).map_err(|fault| Error::corrupt(&id, fault.to_string()))?;
        if parsed.parent != self.last {
            return Err(Error::corrupt(
                &id,
                "it does not follow the event before it",
            ));
        }
        self.last = Some(id);
        self.waiting.push((id, bytes));
        if self.waiting.len() >= PACK_FROM || self.packs.is_some() {
            self.pack()?;
        }
        Ok(id)
    }

    /// Makes all commits, and the empty tree that they name, durable; returns the last one's id.
    ///
    /// # Errors
    /// [`Error::Git`] where nothing was added, [`Error::Io`].
    pub fn finish(mut self) -> Result<CommitId> {
        let nothing = || Error::Git("there is nothing to append".to_owned());
        let objects = self.objects();
        let empty_tree = ObjectId::from_git(git2::Oid::hash_object(ObjectType::Tree, b"")?)?;
        // libgit2 answers for the empty tree whether the object is there or not; only `exists` looks for it.
        if !self.odb.exists(empty_tree.to_git()?) {
            objects::write_loose(self.odb, &objects, &[(empty_tree, ObjectType::Tree, b"")])?;
        }
        if let Some(packs) = self.packs.take() {
            packs.finish()?;
            return self.last.ok_or_else(nothing);
        }
        let list: Vec<_> = self
            .waiting
            .iter()
            .map(|(id, bytes)| (ObjectId::from(*id), ObjectType::Commit, bytes.as_slice()))
            .collect();
        if list.is_empty() {
            return Err(nothing());
        }
        objects::write_loose(self.odb, &objects, &list)?;
        self.last.ok_or_else(nothing)
    }

    fn objects(&self) -> PathBuf {
        self.repository.common_dir().join("objects")
    }

    /// Hands the waiting commits on to the pack.
    fn pack(&mut self) -> Result<()> {
        let packs = match &mut self.packs {
            Some(packs) => packs,
            none => none.insert(PackWriter::begin(
                &self.repository.common_dir().join("objects"),
            )?),
        };
        for (id, bytes) in mem::take(&mut self.waiting) {
            packs.push(id.into(), ObjectType::Commit, bytes)?;
        }
        Ok(())
    }
}
