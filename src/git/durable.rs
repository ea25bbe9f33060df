//! Files and folders that survive a crash: written aside, flushed to the disk, then renamed into place.
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::{Builder, TempPath};

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

/// A file without a name where the system has such files, else under a name of its own; gone unless it is published,
/// and, without a name, also where the program is killed.
pub(super) struct Temporary {
    folder: PathBuf,
    prefix: &'static str,
    file: BufWriter<File>,
    name: Option<TempPath>,
}

impl Temporary {
    /// Creates a read-only file in `folder`; a name of its own begins with `prefix`.
    pub(super) fn create(folder: &Path, prefix: &'static str) -> Result<Self> {
        let (file, name) = if let Some(file) = nameless(folder) {
            (file, None)
        } else {
            let named = builder(prefix).tempfile_in(folder);
            let (file, name) = named.map_err(Error::io(folder))?.into_parts();
            (file, Some(name))
        };
        Ok(Self {
            folder: folder.to_owned(),
            prefix,
            file: BufWriter::new(file),
            name,
        })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.folder))
    }

    /// Hands out the file with all bytes that were added.
    pub(super) fn edit<T>(&mut self, change: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
        self.file
            .flush()
            .and_then(|()| change(self.file.get_mut()))
            .map_err(Error::io(&self.folder))
    }

    /// Flushes the bytes to the disk and gives the file the name `path`, in place of what is there.
    ///
    /// The caller flushes the folder.
    pub(super) fn publish(mut self, path: &Path) -> Result<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(Error::io(&self.folder))?;
        let published = match self.name {
            Some(name) => name.persist(path).map_err(|refused| refused.error),
            None => match link(self.file.get_ref(), path) {
                // A link replaces nothing, a rename does.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => builder(self.prefix)
                    .make_in(&self.folder, |aside| link(self.file.get_ref(), aside))
                    .and_then(|aside| Ok(aside.persist(path)?))
                    .map(drop),
                linked => linked,
            },
        };
        published.map_err(Error::io(path))
    }
}

/// Names that nobody else takes, and files that only reading opens once more.
fn builder(prefix: &'static str) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444));
    builder
}

/// Opens a file without a name; nothing where the file system has no such files, or could not name it later.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(open(folder, flags, Mode::from_raw_mode(0o444)).ok()?);
    descriptor(&file).exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &Path) -> Option<File> {
    None
}

/// Gives a file without a name the name `path`, which must not be there.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    Ok(linkat(
        CWD,
        descriptor(file),
        CWD,
        path,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The path under which the kernel shows an open file.
#[cfg(target_os = "linux")]
fn descriptor(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
