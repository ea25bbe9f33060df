//! Loose objects whose files a crash cut short are found out before libgit2 reads them: it would inflate without end.
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::read::ZlibDecoder;

use super::{Error, ObjectId, Result};

/// The folders that hold loose objects, and the names in them as far as they were looked at: one folder is listed when
/// the first object is read whose id begins as it is named, so that a long walk over packs does not ask for each.
///
/// What is stored later is stored whole: a file takes its name when it is complete.
pub(super) struct LooseFolders {
    folders: Vec<PathBuf>,
    /// By the first byte of the ids: the digits behind it, folder by folder.
    names: RefCell<Vec<Option<Vec<BTreeSet<String>>>>>,
}

impl LooseFolders {
    /// Looks at a repository's own `objects`, at its alternates, and at other folders of objects.
    pub(super) fn of(objects: &Path, others: &[PathBuf]) -> Self {
        let alternates = fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
        let alternates = alternates.lines().map(|line| objects.join(line));
        let folders = std::iter::once(objects.to_owned())
            .chain(alternates)
            .chain(others.iter().cloned());
        Self {
            folders: folders.collect(),
            names: RefCell::new(vec![None; 256]),
        }
    }

    /// Refuses an object whose file ends before the object does, or is none; one that is in no file here passes.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Git`]; [`Error::Io`] where it cannot be opened or read.
    pub(super) fn check(&self, id: ObjectId) -> Result<()> {
        let [byte, ..] = *id.as_bytes();
        let mut names = self.names.borrow_mut();
        let Some(slot) = names.get_mut(usize::from(byte)) else {
            return Ok(());
        };
        let listed = slot.get_or_insert_with(|| self.list(byte));
        for (folder, listed) in self.folders.iter().zip(listed) {
            if listed.is_empty() {
                continue;
            }
            let hex = id.to_string();
            let (first, rest) = hex.split_at(2);
            if !listed.contains(rest) {
                continue;
            }
            let path = folder.join(first).join(rest);
            // A pipe that is opened waits for a writer, and a device may never end: only a file is opened.
            match path.symlink_metadata() {
                Ok(found) if !found.is_file() => {
                    let what = format!("`{}` is not a regular file", path.display());
                    return Err(Error::Git(what));
                }
                Ok(_) => {}
                // `gc` put it into a pack and took the file away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(path)(error)),
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(path)(error)),
            };
            // What is damaged otherwise, libgit2 tells.
            let inflated = io::copy(&mut ZlibDecoder::new(file), &mut io::sink());
            match inflated {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Error::corrupt(&id, "its file is cut short"));
                }
                // Only the system's own errors have a number; what zlib finds has none.
                Err(error) if error.raw_os_error().is_some() => return Err(Error::io(path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The names of the objects whose ids begin with a byte.
    fn list(&self, byte: u8) -> Vec<BTreeSet<String>> {
        let name = hex::encode([byte]);
        let folders = self.folders.iter();
        folders
            .map(|folder| names_in(&folder.join(&name)))
            .collect()
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
