//! Writing below the work tree: opened once, gone down folder by folder without following a symbolic link, written
//! beside and renamed, durable before anything is said of it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{Mode, OFlags, openat};
use serde::Serialize;

use super::fault;
use super::session::Session;
use crate::engine::code::{Code, Refusal};

/// The work tree's own folder; paths are from it, their parts separated by `/`.
pub(crate) struct WorkFolder {
    root: Dir,
    path: PathBuf,
}

impl WorkFolder {
    /// Opens the work tree of a repository.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the repository is bare.
    pub(crate) fn open(session: &Session) -> Result<Self, Refusal> {
        let path = session.work_tree()?.to_owned();
        let root = Dir::open_ambient_dir(&path, cap_std::ambient_authority())
            .map_err(|error| fault::io(&path, &error))?;
        Ok(Self { root, path })
    }

    /// Reads a file, cut one byte past the limit; nothing where there is none.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Refusal> {
        let (folders, name) = split(path);
        let Some(folder) = self.go_down(folders, false)? else {
            return Ok(None);
        };
        if !self.is_file(&folder, name, path)? {
            return Ok(None);
        }
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        open_at(&folder, name, OFlags::RDONLY | OFlags::NONBLOCK)
            .and_then(|file| File::from(file).take(limit).read_to_end(&mut bytes))
            .map_err(|error| self.io(path, &error))?;
        Ok(Some(bytes))
    }

    /// Tells whether a file is there.
    pub(crate) fn holds(&self, path: &str) -> Result<bool, Refusal> {
        let (folders, name) = split(path);
        match self.go_down(folders, false)? {
            Some(folder) => self.is_file(&folder, name, path),
            None => Ok(false),
        }
    }

    /// The names in a folder, in order; none where it is not there.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>, Refusal> {
        let Some(folder) = self.go_down(path, false)? else {
            return Ok(Vec::new());
        };
        let entries = folder.entries().map_err(|error| self.io(path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.io(path, &error))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Writes a file that must not be there yet.
    pub(crate) fn create(&self, path: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.place(path, bytes, |folder, aside, name| {
            folder.hard_link(aside, folder, name)?;
            folder.remove_file(aside)
        })
    }

    /// Writes a file in place of what is there, whole or not at all.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.place(path, bytes, |folder, aside, name| {
            folder.rename(aside, folder, name)
        })
    }

    /// Writes a document for people to read and commit, indented, in place of what is there.
    pub(crate) fn write_document(
        &self,
        path: &str,
        document: &impl Serialize,
    ) -> Result<(), Refusal> {
        let mut text = serde_json::to_string_pretty(document)
            .map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
        text.push('\n');
        self.write(path, text.as_bytes())
    }

    /// Writes a file beside its place, flushes it, gives it its name, and flushes that.
    fn place(
        &self,
        path: &str,
        bytes: &[u8],
        name_it: impl FnOnce(&Dir, &str, &str) -> io::Result<()>,
    ) -> Result<(), Refusal> {
        let (folders, name) = split(path);
        let folder = self
            .go_down(folders, true)?
            .ok_or_else(|| Refusal::new(Code::Internal, "a folder that was made is gone"))?;
        self.is_file(&folder, name, path)?;
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| self.io(path, &error.into()))?;
        let aside = format!(".{name}.{}.tmp", hex::encode(random));
        let placed = folder
            .open_with(&aside, OpenOptions::new().write(true).create_new(true))
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()?;
                name_it(&folder, &aside, name)
            });
        if placed.is_err() {
            // The error that led here is the one to report.
            drop(folder.remove_file(&aside));
        }
        placed
            .and_then(|()| flush(&folder))
            .map_err(|error| self.io(path, &error))
    }

    /// Opens the folder at a path, part by part; makes what is missing, or returns nothing.
    fn go_down(&self, path: &str, make: bool) -> Result<Option<Dir>, Refusal> {
        let mut at = self.root.try_clone().map_err(|error| self.io("", &error))?;
        let mut passed = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if !passed.is_empty() {
                passed.push('/');
            }
            passed.push_str(part);
            match at.symlink_metadata(part) {
                Ok(found) if found.is_symlink() => return Err(is_symlink(&passed)),
                Ok(found) if !found.is_dir() => {
                    return Err(fault::input(format!("`{passed}` is not a folder"))
                        .next(format!("move `{passed}` out of the way, then run it again")));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match at.create_dir(part) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                        result => result.and_then(|()| flush(&at)),
                    }
                    .map_err(|error| self.io(&passed, &error))?;
                }
                Err(error) => return Err(self.io(&passed, &error)),
            }
            // What was put in its place meanwhile is not followed either.
            let next = open_at(&at, part, OFlags::RDONLY | OFlags::DIRECTORY)
                .map_err(|error| self.io(&passed, &error))?;
            at = Dir::from_std_file(next.into());
        }
        Ok(Some(at))
    }

    /// Tells whether a folder holds a file of a name, and refuses whatever else has that name.
    fn is_file(&self, folder: &Dir, name: &str, path: &str) -> Result<bool, Refusal> {
        match folder.symlink_metadata(name) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_symlink() => Err(is_symlink(path)),
            Ok(_) => Err(fault::input(format!("`{path}` is no regular file"))
                .next(format!("move `{path}` out of the way, then run it again"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.io(path, &error)),
        }
    }

    fn io(&self, path: &str, error: &io::Error) -> Refusal {
        fault::io(&self.path.join(Path::new(path)), error)
    }
}

/// A path's folders and its last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn is_symlink(path: &str) -> Refusal {
    fault::input(format!(
        "`{path}` is a symbolic link, and nothing is written through it"
    ))
    .detail("symlink", path)
    .next(format!("rm {path}, then run it again"))
}

/// Opens what a folder holds under a name, and not what a link of that name points to.
fn open_at(folder: &Dir, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

fn flush(folder: &Dir) -> io::Result<()> {
    // The folder's own handle may be one that only leads on.
    File::from(open_at(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY)?).sync_all()
}
