//! Files and folders that survive a crash: written aside, flushed to the disk, then renamed into place.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Error, Result};

/// Makes a folder and its parents, each flushed into the folder that holds it.
pub(super) fn create_folders(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else {
        return Ok(());
    };
    create_folders(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(folder)(error)),
    }
}

/// Flushes a folder's list of names to the disk.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(Error::io(folder))
}

/// Does nothing: only Unix opens folders as files.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> Result<()> {
    Ok(())
}

/// A file under a name of its own, removed again unless it is published.
pub(super) struct Temporary {
    path: PathBuf,
    file: BufWriter<File>,
    published: bool,
}

impl Temporary {
    /// Creates a read-only file in `folder` whose name begins with `prefix`.
    pub(super) fn create(folder: &Path, prefix: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{prefix}{}_{number}", process::id()));
            match options.open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file: BufWriter::new(file),
                        published: false,
                    });
                }
                // INVARIANT: the number grows on every turn, so that names left behind by a killed process run out.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(path)(error)),
            }
        }
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.path))
    }

    /// Hands out the file with all bytes that were added.
    pub(super) fn edit<T>(&mut self, change: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
        self.file
            .flush()
            .and_then(|()| change(self.file.get_mut()))
            .map_err(Error::io(&self.path))
    }

    /// Flushes the bytes to the disk and renames the file to `path`, in place of what is there.
    ///
    /// The caller flushes the folder.
    pub(super) fn publish(mut self, path: &Path) -> Result<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(Error::io(&self.path))?;
        fs::rename(&self.path, path).map_err(Error::io(path))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // The error that led here is the one to report.
            drop(fs::remove_file(&self.path));
        }
    }
}
