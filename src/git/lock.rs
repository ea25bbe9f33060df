//! Swaps a ref by Git's own protocol: a lock file beside it, the comparison under the lock, a rename.
//!
//! libgit2 can swap a ref too, but does not flush it to the disk.
use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use super::{CommitId, Error, Repository, Result, durable};

/// How often a lock that is there is tried again.
const TRIES: u32 = 400;
/// The shortest wait between two tries; the longest is four times as long, so that all tries last about 2.5 seconds.
const WAIT: Duration = Duration::from_micros(2_500);

/// Moves the ref `name` from `expected` (`None`: it is not there) to `new`, durably.
///
/// # Errors
/// [`Error::Moved`] where the ref is not at `expected`, or where other writers held its lock at every try;
/// [`Error::Locked`] where one and the same lock file was there; [`Error::Io`]. The ref is then as it was, and the
/// lock of nobody else was removed. [`Error::Unflushed`]: the ref is at `new`.
pub(super) fn swap(
    repository: &Repository,
    name: &str,
    expected: Option<CommitId>,
    new: CommitId,
) -> Result<()> {
    let path = repository.common_dir().join(name);
    let mut lock = Lock::acquire(&path)?;
    if repository.ref_target(name)? != expected {
        return Err(Error::Moved);
    }
    if expected.is_none()
        && let Some(other) = repository.ref_in_the_way(name)?
    {
        return Err(Error::Git(format!(
            "`{name}` cannot be made while `{other}` is there"
        )));
    }
    lock.write(new)?;
    lock.publish(&path)?;
    path.parent()
        .map_or(Ok(()), durable::sync_folder)
        .map_err(|source| Error::Unflushed {
            name: name.to_owned(),
            commit: new,
            source: Box::new(source),
        })
}

/// Waits one to four times [`WAIT`], by chance, so that waiting writers do not step on each other in turn.
fn pause() {
    let chance = RandomState::new().hash_one(()) % 4;
    thread::sleep(WAIT.saturating_mul(u32::try_from(chance).unwrap_or(0).saturating_add(1)));
}

/// A lock file of ours, removed again unless it became the ref.
struct Lock {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Lock {
    /// Creates the lock file of the ref at `target`, which must not be there.
    fn acquire(target: &Path) -> Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let mut seen: Option<SystemTime> = None;
        let mut unchanged = 0_u32;
        for _ in 0..TRIES {
            if let Some(folder) = path.parent() {
                durable::create_folders(folder)?;
            }
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        published: false,
                    });
                }
                // NotFound: somebody removed the folder while it was empty.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(Error::io(path)(error)),
            }
            let modified = fs::symlink_metadata(&path)
                .and_then(|metadata| metadata.modified())
                .ok();
            unchanged = if modified.is_some() && modified == seen {
                unchanged.saturating_add(1)
            } else {
                0
            };
            seen = modified;
            pause();
        }
        if unchanged > TRIES / 2 {
            Err(Error::Locked { path })
        } else {
            Err(Error::Moved)
        }
    }

    /// Writes the ref's new value and flushes it to the disk.
    fn write(&mut self, new: CommitId) -> Result<()> {
        writeln!(self.file, "{new}")
            .and_then(|()| self.file.sync_all())
            .map_err(Error::io(&self.path))
    }

    /// Renames the lock file to the ref.
    fn publish(mut self, target: &Path) -> Result<()> {
        if target.is_dir() {
            // Git leaves empty folders behind when it deletes or packs refs below; one that is not empty stays.
            drop(fs::remove_dir(target));
        }
        fs::rename(&self.path, target).map_err(Error::io(target))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to report.
            drop(fs::remove_file(&self.path));
        }
    }
}
