//! What a repository remembers: the newest tip that it saw of each stream and of the governed ref, here and at each
//! remote. It never makes a yes, only a no (hardening, section 2). Linked work trees share it.
//!
//! One small file each, `permit/streams/<id>` and `permit/governed/<ref>`, for a remote below
//! `permit/remotes/<name>/`: a commit id and a line feed. What is there and is no such file is set aside.
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Component, Path, PathBuf},
};

use super::{CommitId, Error, Repository, Result, blob_id, durable};

/// The folder of all that is remembered.
const FOLDER: &str = "permit";

/// What a memory is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A stream, by its id.
    Stream(&'a str),
    /// The governed ref, by its full name.
    Governed(&'a str),
}

/// What is remembered of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// Nothing was seen.
    Nothing,
    /// The newest tip that was seen.
    Newest(CommitId),
    /// What lies there cannot be read; it was moved to this place, or is still in its own where that failed.
    SetAside(PathBuf),
}

impl Repository {
    /// Recalls the newest tip that was seen, here or at a remote.
    #[must_use]
    pub fn recall(&self, remote: Option<&str>, subject: Subject<'_>) -> Recalled {
        let Some(path) = self.place_of(remote, subject) else {
            return Recalled::Nothing;
        };
        let Ok(found) = path.symlink_metadata() else {
            return Recalled::Nothing;
        };
        if found.is_file()
            && let Some(tip) = read_tip(&path)
        {
            return Recalled::Newest(tip);
        }
        Recalled::SetAside(self.set_aside(path))
    }

    /// Remembers the newest tip, durably, in place of what was remembered.
    ///
    /// # Errors
    /// [`Error::Io`]; a repository that cannot be written to remembers nothing.
    pub fn remember(
        &self,
        remote: Option<&str>,
        subject: Subject<'_>,
        tip: CommitId,
    ) -> Result<()> {
        let Some(path) = self.place_of(remote, subject) else {
            return Ok(());
        };
        let Some(folder) = path.parent() else {
            return Ok(());
        };
        durable::create_folders(folder)?;
        let mut file = durable::Temporary::create(folder, ".tmp_")?;
        file.write(format!("{tip}\n").as_bytes())?;
        file.publish(&path)?;
        durable::sync_folder(folder)
    }

    /// Forgets a stream, here and at every remote; returns what was remembered, each with the remote's folder. The reason
    /// is kept in `permit/forgotten`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn forget_stream(
        &self,
        stream_id: &str,
        reason: &str,
    ) -> Result<Vec<(Option<String>, CommitId)>> {
        let _lock = self.lock_memory();
        let line = format!("{stream_id}\t{}\n", reason.escape_default());
        self.note("forgotten", &line)?;
        let mut forgotten = Vec::new();
        let remotes = names_in(&self.memory_folder(None).join("remotes"));
        let folders = remotes.into_iter().map(Some);
        for remote in std::iter::once(None).chain(folders) {
            let folder = match &remote {
                None => self.memory_folder(None),
                Some(name) => self.memory_folder(None).join("remotes").join(name),
            };
            let Some(path) = plain(stream_id).map(|id| folder.join("streams").join(id)) else {
                continue;
            };
            let tip = read_tip(&path);
            match fs::remove_file(&path) {
                Ok(()) => forgotten.extend(tip.map(|tip| (remote, tip))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(path)(error)),
            }
        }
        Ok(forgotten)
    }

    /// Adds a line to a file of the memory that only grows, durably; returns where it is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn note(&self, name: &str, line: &str) -> Result<PathBuf> {
        let folder = self.memory_folder(None);
        durable::create_folders(&folder)?;
        let path = folder.join(name);
        let mut options = fs::OpenOptions::new();
        options
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(line.as_bytes())?;
                file.sync_all()
            })
            .map_err(Error::io(&path))?;
        durable::sync_folder(&folder)?;
        Ok(path)
    }

    /// Waits until no other process writes the memory, and keeps the others waiting until the file is dropped; nothing
    /// where that cannot be had: memory is then written all the same.
    #[must_use]
    pub fn lock_memory(&self) -> Option<File> {
        let folder = self.common_dir().join(FOLDER);
        durable::create_folders(&folder).ok()?;
        let mut options = fs::OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))
            .ok()?;
        file.lock().ok()?;
        Some(file)
    }

    /// Returns the ids of the streams that were seen, here or at a remote, in order; whatever else lies there is among
    /// them.
    #[must_use]
    pub fn remembered_streams(&self, remote: Option<&str>) -> Vec<String> {
        names_in(&self.memory_folder(remote).join("streams"))
    }

    /// Returns the stream's file below a folder of the memory; `None` where the id is not one plain file name.
    pub(super) fn memory_path(&self, memory: &str, stream_id: &str) -> Option<PathBuf> {
        plain(stream_id).map(|id| self.common_dir().join(memory).join(id))
    }

    fn memory_folder(&self, remote: Option<&str>) -> PathBuf {
        let folder = self.common_dir().join(FOLDER);
        match remote {
            None => folder,
            Some(name) => folder.join("remotes").join(file_name(name)),
        }
    }

    fn place_of(&self, remote: Option<&str>, subject: Subject<'_>) -> Option<PathBuf> {
        let folder = self.memory_folder(remote);
        match subject {
            Subject::Stream(id) => plain(id).map(|id| folder.join("streams").join(id)),
            Subject::Governed(name) => Some(folder.join("governed").join(file_name(name))),
        }
    }

    /// Moves what cannot be read out of the way; returns where it is then.
    fn set_aside(&self, path: PathBuf) -> PathBuf {
        let folder = self.common_dir().join(FOLDER).join("aside");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for number in 0..1_000_u32 {
            let place = folder.join(format!("{name}.{number}"));
            if place.symlink_metadata().is_ok() {
                continue;
            }
            let moved =
                durable::create_folders(&folder).is_ok() && fs::rename(&path, &place).is_ok();
            return if moved { place } else { path };
        }
        path
    }
}

/// Reads a file of the memory; nothing where it is not exactly one commit id and a line feed.
fn read_tip(path: &Path) -> Option<CommitId> {
    const LENGTH: u64 = 41;
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = File::open(path).ok()?;
    let read = file
        .take(LENGTH.saturating_add(1))
        .read_to_string(&mut text);
    read.ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

/// A stream id that is one plain file name.
fn plain(stream_id: &str) -> Option<&str> {
    let mut parts = Path::new(stream_id).components();
    let is_plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == stream_id);
    (is_plain && !stream_id.starts_with('.')).then_some(stream_id)
}

/// A name of a ref or of a remote, a URL perhaps, as one file name.
fn file_name(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut written = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02x}"));
        }
    }
    if written.len() > LONGEST {
        blob_id(name.as_bytes()).to_string()
    } else {
        written
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
