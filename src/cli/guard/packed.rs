//! What `packed-refs` says, apart from the loose files beside it.
//!
//! `git pack-refs` writes values there and then removes the loose files. To the `reference-transaction` hook the second
//! step looks like a deletion, though no value changes: the one that is packed is the same. A deletion holds the lock of
//! `packed-refs` meanwhile and asks for the packed half of itself first, so that it never passes for that.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::transaction::Change;
use crate::cli::fault;
use crate::cli::session::Session;
use crate::engine::code::Refusal;

/// Whether a change only removes what is packed with the same value.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn is_pruned(session: &Session, change: &Change) -> Result<bool, Refusal> {
    let locked = session.repository.common_dir().join("packed-refs.lock");
    Ok(change.after.is_empty()
        && !locked.exists()
        && value(session, &change.reference)?.is_some_and(|packed| packed == change.before))
}

/// The value that is packed for a ref; nothing where none is.
///
/// # Errors
/// `IO_ERROR`.
pub(super) fn value(session: &Session, name: &str) -> Result<Option<String>, Refusal> {
    let path = session.repository.common_dir().join("packed-refs");
    let failed = |error: io::Error| fault::io(&path, &error);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(failed)?;
        let Some((id, rest)) = line.split_at_checked(40) else {
            continue;
        };
        if rest.strip_prefix(b" ") == Some(name.as_bytes()) {
            return Ok(Some(String::from_utf8_lossy(id).into_owned()));
        }
    }
    Ok(None)
}
