//! A commit's tree becomes files and folders: never the work tree, never the index.
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use git2::ObjectType;
use sha1::{Digest, Sha1};

use super::{
    CommitId, Entry, EntryKind, Error, ObjectId, RawCommit, Repository, Result, objects,
    objects::MAX_STRUCTURE_BYTES, tree_format,
};

/// What the tree of one commit holds.
pub struct Snapshot<'r> {
    repository: &'r Repository,
    commit: CommitId,
    first_parent: Option<CommitId>,
    committer_time: i64,
    tree: ObjectId,
    /// Trees that were read already, by id.
    trees: RefCell<BTreeMap<ObjectId, Rc<[Entry]>>>,
}

/// Computes the id that a file's bytes would have: `sha1("blob " ‖ decimal length ‖ 0x00 ‖ bytes)`.
///
/// For telling whether a copy outside the object database is the same; it does not look for SHA-1 collisions.
#[must_use]
pub fn blob_id(bytes: &[u8]) -> ObjectId {
    let hash = Sha1::new()
        .chain_update(b"blob ")
        .chain_update(bytes.len().to_string())
        .chain_update(b"\0");
    ObjectId::new(hash.chain_update(bytes).finalize().into())
}

/// A file's bytes at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The id that the bytes hash to.
    pub id: ObjectId,
    /// The bytes as they are in the object database, without any filter.
    pub bytes: Vec<u8>,
}

impl<'r> Snapshot<'r> {
    /// Begins at a commit that was read.
    pub(super) fn new(repository: &'r Repository, commit: &RawCommit) -> Self {
        Self {
            repository,
            commit: commit.id,
            first_parent: commit.parents.first().copied(),
            committer_time: commit.committer_time,
            tree: commit.tree,
            trees: RefCell::default(),
        }
    }

    /// Returns the commit.
    #[must_use]
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// Returns the commit's first parent; none where it is a root.
    #[must_use]
    pub fn first_parent(&self) -> Option<CommitId> {
        self.first_parent
    }

    /// Returns the commit's committer time, in seconds since 1970.
    #[must_use]
    pub fn committer_time(&self) -> i64 {
        self.committer_time
    }

    /// Returns the commit's root tree.
    #[must_use]
    pub fn tree_id(&self) -> ObjectId {
        self.tree
    }

    /// Reads a regular file of at most `limit` bytes; `None` where nothing is at the path.
    ///
    /// The path is relative to the root, its parts separated by `/`.
    ///
    /// # Errors
    /// [`Error::NotRegular`] where a symlink, a submodule or a folder is at the path, or anything but a folder on the
    /// way to it; [`Error::TooLarge`] before a byte is read; [`Error::Missing`] and [`Error::Corrupt`] for the objects.
    pub fn file(&self, path: &str, limit: u64) -> Result<Option<Blob>> {
        let Some(entry) = self.entry(path)? else {
            return Ok(None);
        };
        if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
            return Err(Error::NotRegular {
                path: path.to_owned(),
                what: entry.kind.describe(),
            });
        }
        self.blob(entry.id, path, limit).map(Some)
    }

    /// Reads the bytes of a file whose entry is known; `path` is for messages.
    ///
    /// # Errors
    /// As [`Snapshot::file`].
    pub fn blob(&self, id: ObjectId, path: &str, limit: u64) -> Result<Blob> {
        self.repository.check_loose(id)?;
        let odb = self.repository.odb()?;
        let bytes = objects::read(&odb, id, ObjectType::Blob, limit).map_err(|error| {
            if let Error::TooLarge { size, limit, .. } = error {
                Error::TooLarge {
                    path: path.to_owned(),
                    size,
                    limit,
                }
            } else {
                error
            }
        })?;
        Ok(Blob { id, bytes })
    }

    /// Returns what is at a path, whatever it is; `None` where nothing is there.
    ///
    /// # Errors
    /// [`Error::NotRegular`] where anything but a folder is on the way to it; [`Error::Missing`] and
    /// [`Error::Corrupt`] for the trees.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let mut folder = self.tree;
        let mut parts = path.split('/').peekable();
        let mut walked = Vec::new();
        while let Some(part) = parts.next() {
            walked.push(part);
            let entries = self.read_tree(folder)?;
            let Some(entry) = entries.iter().find(|entry| entry.name == part.as_bytes()) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(entry.clone()));
            }
            if entry.kind != EntryKind::Folder {
                return Err(Error::NotRegular {
                    path: walked.join("/"),
                    what: entry.kind.describe(),
                });
            }
            folder = entry.id;
        }
        Ok(None)
    }

    /// Lists a folder, names in the order of their bytes; empty where nothing is at the path, `""` is the root.
    ///
    /// # Errors
    /// [`Error::NotRegular`] where anything but a folder is at the path or on the way to it; [`Error::Missing`] and
    /// [`Error::Corrupt`] for the trees.
    pub fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        let id = match folder {
            "" => self.tree,
            _ => match self.entry(folder)? {
                None => return Ok(Vec::new()),
                Some(entry) if entry.kind == EntryKind::Folder => entry.id,
                Some(entry) => {
                    return Err(Error::NotRegular {
                        path: folder.to_owned(),
                        what: entry.kind.describe(),
                    });
                }
            },
        };
        let mut entries = self.read_tree(id)?.to_vec();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// Lists everything below a folder but folders, each by its whole path; empty where no folder is at the path.
    ///
    /// # Errors
    /// [`Error::TooMany`] with more than `most` entries; [`Error::Missing`] and
    /// [`Error::Corrupt`] for the trees.
    pub fn below(&self, folder: &str, most: usize) -> Result<Vec<(Vec<u8>, Entry)>> {
        let root = match self.entry(folder) {
            Ok(Some(entry)) if entry.kind == EntryKind::Folder => entry.id,
            Ok(_) | Err(Error::NotRegular { .. }) => return Ok(Vec::new()),
            Err(other) => return Err(other),
        };
        let (mut found, mut seen) = (Vec::new(), 0_usize);
        let mut folders = vec![(folder.as_bytes().to_vec(), root)];
        while let Some((path, id)) = folders.pop() {
            for entry in self.read_tree(id)?.iter() {
                seen = seen.saturating_add(1);
                if seen > most {
                    let limit = u64::try_from(most).unwrap_or(u64::MAX);
                    return Err(Error::TooMany {
                        path: folder.to_owned(),
                        limit,
                    });
                }
                let place = [&path, b"/".as_slice(), &entry.name].concat();
                match entry.kind {
                    EntryKind::Folder => folders.push((place, entry.id)),
                    EntryKind::File
                    | EntryKind::Executable
                    | EntryKind::Symlink
                    | EntryKind::Submodule => found.push((place, entry.clone())),
                }
            }
        }
        Ok(found)
    }

    /// Reads a tree and keeps nothing of it.
    pub(super) fn parse_tree(&self, id: ObjectId) -> Result<Vec<Entry>> {
        self.repository.check_loose(id)?;
        let odb = self.repository.odb()?;
        let bytes = objects::read(&odb, id, ObjectType::Tree, MAX_STRUCTURE_BYTES)?;
        tree_format::parse(&bytes).map_err(|what| Error::corrupt(&id, what))
    }

    pub(super) fn read_tree(&self, id: ObjectId) -> Result<Rc<[Entry]>> {
        if let Some(entries) = self.trees.borrow().get(&id) {
            return Ok(Rc::clone(entries));
        }
        let entries: Rc<[Entry]> = self.parse_tree(id)?.into();
        self.trees.borrow_mut().insert(id, Rc::clone(&entries));
        Ok(entries)
    }
}
