//! Loose objects whose files a crash cut short are found out before libgit2 reads them: it would inflate without end.
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::read::ZlibDecoder;

use super::{Error, ObjectId, Result};

/// The folders that hold loose objects, each with the first bytes of the ids that it held when it was looked at.
///
/// What is stored later is stored whole: a file takes its name when it is complete.
pub(super) struct LooseFolders(Vec<(PathBuf, BTreeSet<u8>)>);

impl LooseFolders {
    /// Looks at a repository's own `objects`, at its alternates, and at other folders of objects.
    pub(super) fn of(objects: &Path, others: &[PathBuf]) -> Self {
        let alternates = fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
        let alternates = alternates.lines().map(|line| objects.join(line));
        let folders = std::iter::once(objects.to_owned())
            .chain(alternates)
            .chain(others.iter().cloned());
        Self(
            folders
                .map(|folder| {
                    let ids = first_bytes(&folder);
                    (folder, ids)
                })
                .collect(),
        )
    }

    /// Refuses an object whose file ends before the object does; one that is in no file here passes.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn check(&self, id: ObjectId) -> Result<()> {
        let [first, ..] = id.as_bytes();
        for (folder, _) in self.0.iter().filter(|(_, ids)| ids.contains(first)) {
            let hex = id.to_string();
            let (first, rest) = hex.split_at(2);
            // What cannot be opened, or is damaged otherwise, libgit2 tells.
            let Ok(file) = File::open(folder.join(first).join(rest)) else {
                continue;
            };
            let inflated = io::copy(&mut ZlibDecoder::new(file), &mut io::sink());
            if inflated.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
                return Err(Error::corrupt(&id, "its file is cut short"));
            }
        }
        Ok(())
    }
}

/// The first bytes of ids for which there is a folder.
fn first_bytes(folder: &Path) -> BTreeSet<u8> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| u8::from_str_radix(entry.file_name().to_str()?, 16).ok())
        .collect()
}
