//! A work tree held against a commit, raw: no index, no ignore rules, no filters, no cached times.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use git2::{ObjectType, Oid};

use super::{CommitId, Entry, EntryKind, Error, ObjectId, Repository, Result, Snapshot};

/// How a work tree differs from a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkTree {
    /// The paths that differ, untracked and ignored files included, in the order of their bytes.
    pub changed: Vec<Vec<u8>>,
    /// The symlinks that are there, in the order of their bytes.
    pub links: Vec<Vec<u8>>,
}

impl Repository {
    /// Compares the work tree with a commit, file by file: bytes, kind and whether a file may be run.
    ///
    /// The Git directory at the root is left out; empty folders count for nothing; a submodule is an empty folder.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is no work tree, [`Error::Io`], [`Error::Missing`], [`Error::Corrupt`].
    pub fn compare_work_tree(&self, commit: CommitId) -> Result<WorkTree> {
        let root = self.work_dir().ok_or_else(|| Error::Unsupported {
            what: "a bare repository has no work tree".to_owned(),
        })?;
        let snapshot = self.snapshot(commit)?;
        let mut found = WorkTree::default();
        let tree = Some(snapshot.tree_id());
        compare(&snapshot, root, &[], (tree, true), &mut found)?;
        found.changed.sort_unstable();
        found.links.sort_unstable();
        Ok(found)
    }

    /// Tells whether the index holds exactly the entries of a commit's tree.
    ///
    /// # Errors
    /// [`Error::Git`] where the index cannot be read, [`Error::Missing`], [`Error::Corrupt`].
    pub fn index_is(&self, commit: CommitId) -> Result<bool> {
        let mut index = self.inner().index()?;
        index.read(true)?;
        let snapshot = self.snapshot(commit)?;
        let mut wanted = BTreeMap::new();
        flatten(&snapshot, &[], snapshot.tree_id(), &mut wanted)?;
        let mut staged = BTreeMap::new();
        for entry in index.iter() {
            let stage = (entry.flags >> 12) & 3;
            let id = ObjectId::from_git(entry.id)?;
            if stage != 0 || staged.insert(entry.path, (entry.mode, id)).is_some() {
                return Ok(false);
            }
        }
        Ok(staged == wanted)
    }
}

/// Collects the leaves of a tree as an index lists them.
fn flatten(
    snapshot: &Snapshot<'_>,
    folder: &[u8],
    tree: ObjectId,
    leaves: &mut BTreeMap<Vec<u8>, (u32, ObjectId)>,
) -> Result<()> {
    for entry in snapshot.read_tree(tree)?.iter() {
        let path = below(folder, &entry.name);
        match entry.kind {
            EntryKind::Folder => flatten(snapshot, &path, entry.id, leaves)?,
            EntryKind::File => drop(leaves.insert(path, (0o100_644, entry.id))),
            EntryKind::Executable | EntryKind::Symlink | EntryKind::Submodule => {
                leaves.insert(path, (entry.mode, entry.id));
            }
        }
    }
    Ok(())
}

/// Compares a folder on the disk, if it is there, with a tree, if there is one.
///
/// What a symlink stands in place of is not there, whatever can be reached through it.
fn compare(
    snapshot: &Snapshot<'_>,
    root: &Path,
    folder: &[u8],
    (tree, there): (Option<ObjectId>, bool),
    found: &mut WorkTree,
) -> Result<()> {
    let mut entries: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    if let Some(tree) = tree {
        for entry in snapshot.read_tree(tree)?.iter() {
            entries.insert(entry.name.clone(), entry.clone());
        }
    }
    let mut names = if there {
        names(&on_disk(root, folder))?
    } else {
        BTreeSet::new()
    };
    if folder.is_empty() {
        names.remove(b".git".as_slice());
    }
    names.extend(entries.keys().cloned());
    for name in names {
        let path = below(folder, &name);
        let entry = entries.get(&name);
        let subtree = entry
            .filter(|entry| entry.kind == EntryKind::Folder)
            .map(|entry| entry.id);
        let (leaf, is_folder) = if there {
            read(&on_disk(root, &path), &path, found)?
        } else {
            (None, false)
        };
        let committed = entry.and_then(committed);
        let empty_submodule = is_folder
            && committed.is_some_and(|(kind, _)| kind == EntryKind::Submodule)
            && self::names(&on_disk(root, &path))?.is_empty();
        if leaf != committed && !empty_submodule {
            found.changed.push(path.clone());
        }
        if is_folder || subtree.is_some() {
            compare(snapshot, root, &path, (subtree, is_folder), found)?;
        }
    }
    Ok(())
}

/// What makes two leaves the same; nothing for a folder, and no id for what Git cannot hold.
type Leaf = (EntryKind, Option<ObjectId>);

fn committed(entry: &Entry) -> Option<Leaf> {
    (entry.kind != EntryKind::Folder).then_some((entry.kind, Some(entry.id)))
}

/// Reads what is at a path of the disk: a leaf, and whether it is a folder.
fn read(path: &Path, name: &[u8], found: &mut WorkTree) -> Result<(Option<Leaf>, bool)> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok((None, false));
        }
        Err(error) => return Err(Error::io(path)(error)),
    };
    if about.is_dir() {
        return Ok((None, true));
    }
    if about.is_symlink() {
        found.links.push(name.to_vec());
        let target = fs::read_link(path).map_err(Error::io(path))?;
        let id = Oid::hash_object(ObjectType::Blob, &bytes_of(target.as_os_str()))?;
        return Ok((
            Some((EntryKind::Symlink, Some(ObjectId::from_git(id)?))),
            false,
        ));
    }
    if !about.is_file() {
        // A socket or a pipe is nothing that a commit holds.
        return Ok((Some((EntryKind::File, None)), false));
    }
    let kind = if is_executable(&about) {
        EntryKind::Executable
    } else {
        EntryKind::File
    };
    let id = Oid::hash_file(ObjectType::Blob, path)?;
    Ok((Some((kind, Some(ObjectId::from_git(id)?))), false))
}

/// The names in a folder of the disk; none where there is no folder.
fn names(folder: &Path) -> Result<BTreeSet<Vec<u8>>> {
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir());
    if !is_folder {
        return Ok(BTreeSet::new());
    }
    fs::read_dir(folder)
        .map_err(Error::io(folder))?
        .map(|entry| {
            let entry = entry.map_err(Error::io(folder))?;
            Ok(bytes_of(&entry.file_name()))
        })
        .collect()
}

fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}

#[cfg(unix)]
fn on_disk(root: &Path, path: &[u8]) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    root.join(std::ffi::OsStr::from_bytes(path))
}

#[cfg(not(unix))]
fn on_disk(root: &Path, path: &[u8]) -> std::path::PathBuf {
    root.join(String::from_utf8_lossy(path).as_ref())
}

#[cfg(unix)]
fn bytes_of(name: &std::ffi::OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec()
}

#[cfg(not(unix))]
fn bytes_of(name: &std::ffi::OsStr) -> Vec<u8> {
    name.to_string_lossy().replace('\\', "/").into_bytes()
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_about: &fs::Metadata) -> bool {
    false
}
