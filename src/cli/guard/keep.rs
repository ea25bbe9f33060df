//! Evidence on the disk of the server: small files that are whole or absent, and durable before anybody is answered.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::fault;
use crate::engine::canonical;
use crate::engine::code::{Code, Refusal};

/// The longest file that is read, in bytes.
const MAX: u64 = 1 << 20;

/// Whether a file may stand in place of another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing may be there yet.
    Free,
    /// Whatever is there is replaced.
    Any,
}

/// Writes a document; false where nothing may be there yet and something is.
///
/// # Errors
/// `IO_ERROR`: it is not, or not durably, there.
pub(super) fn write(path: &Path, document: &impl Serialize, place: Place) -> Result<bool, Refusal> {
    let mut text = serde_json::to_vec(document)
        .map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    text.push(b'\n');
    write_bytes(path, &text, place)
}

/// Writes bytes, as [`write`] does.
///
/// # Errors
/// As [`write`].
pub(super) fn write_bytes(path: &Path, bytes: &[u8], place: Place) -> Result<bool, Refusal> {
    let failed = |error: io::Error| fault::io(path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Whoever may push may read it, as Git's own files: the process' mask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    let kept = match place {
        Place::Free => file.persist_noclobber(path),
        Place::Any => file.persist(path),
    };
    match kept {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error.error)),
    }
    sync_folder(folder)?;
    Ok(true)
}

/// Reads a document; nothing where there is none.
///
/// # Errors
/// `IO_ERROR`; `INVALID_INPUT` where it is malformed or too large.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Refusal> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    canonical::from_slice(&bytes).map(Some).map_err(|broken| {
        let place = path.display();
        fault::input(format!("`{place}` is malformed at {broken}"))
    })
}

/// Reads a file; nothing where there is none.
///
/// # Errors
/// `IO_ERROR`; `INVALID_INPUT` where it is too large.
pub(super) fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MAX) => Ok(Some(bytes)),
        Ok(_) => Err(fault::input(format!(
            "`{}` is longer than {MAX} bytes",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault::io(path, &error)),
    }
}

/// Removes a file durably; false where there was none.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn remove(path: &Path) -> Result<bool, Refusal> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("."))).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(fault::io(path, &error)),
    }
}

/// The names in a folder, at most so many; none where there is no folder.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn names(folder: &Path, most: usize) -> Result<Vec<String>, Refusal> {
    let failed = |error: io::Error| fault::io(folder, &error);
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in listed.take(most) {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

/// Waits until no other process writes in a folder, and keeps it so until the file is dropped.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn lock(folder: &Path) -> Result<File, Refusal> {
    let path = folder.join("lock");
    let mut options = fs::OpenOptions::new();
    let opened = options.create(true).append(true).open(&path);
    opened
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| fault::io(&path, &error))
}

/// Flushes a folder's list of names to the disk.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Refusal> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|file| file.sync_all())
            .map_err(|error| fault::io(folder, &error))?;
    }
    Ok(())
}
