//! The receive boundary's record: JSON Lines under the Git directory, outside the quarantine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::gaps;
use super::push::{Push, enforcement, governed_name};
use crate::cli::fault;
use crate::cli::session::Session;
use crate::engine::canonical::Fault;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Accepted, Decision, Enforcement, Gap, Line};

/// Whether what is judged is about to happen in this repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moves {
    /// Git asks before it moves refs.
    Refs,
    /// A range is judged, from wherever it begins; where a ref stands says nothing.
    Nothing,
}

/// Where the record lies: as `enforcement.json` of the base says, else the default.
pub(super) fn path(
    session: &Session,
    enforcement: &Result<Option<Enforcement>, Refusal>,
) -> PathBuf {
    let name = match enforcement {
        Ok(Some(enforcement)) => enforcement.record(),
        Ok(None) | Err(_) => Enforcement::DEFAULT_RECORD,
    };
    session.repository.common_dir().join(name)
}

/// Appends the decisions of a run, and before them the gaps that `off` left; returns those.
///
/// # Errors
/// `IO_ERROR`: the decisions are not, or not durably, recorded.
pub(super) fn append<'d>(
    push: &Push<'_>,
    decisions: impl Iterator<Item = &'d Decision>,
    moves: Moves,
) -> Result<Vec<Gap>, Refusal> {
    let path = path(push.session, &push.enforcement);
    match moves {
        Moves::Refs if !push.lies() => write(&path, decisions, |file| gaps::find(push, file)),
        Moves::Refs => write(&path, decisions, |_| Ok(Vec::new())),
        Moves::Nothing => {
            let marked: Vec<_> = decisions.cloned().map(Decision::uncompared).collect();
            write(&path, marked.iter(), |_| Ok(Vec::new()))
        }
    }
}

/// Appends the decisions about a push that could not be judged, where what landed says, else where a record lies by default.
///
/// # Errors
/// As [`append`].
pub(super) fn append_unjudged(session: &Session, decisions: &[Decision]) -> Result<(), Refusal> {
    let enforcement = governed_name(session).and_then(|name| {
        let tip = session.repository.ref_target(&name)?;
        tip.map_or(Ok(None), |tip| enforcement(session, tip))
    });
    let path = path(session, &enforcement);
    write(&path, decisions.iter(), |_| Ok(Vec::new())).map(|_| ())
}

/// Appends that a gap is accepted.
///
/// # Errors
/// As [`append`].
pub(super) fn append_accepted(path: &Path, accepted: &Accepted) -> Result<(), Refusal> {
    let mut file = open(path).map_err(|error| fault::io(path, &error))?;
    put(path, &mut file, std::iter::once(accepted.to_bytes()))
}

fn write<'d>(
    path: &Path,
    decisions: impl Iterator<Item = &'d Decision>,
    gaps: impl FnOnce(&mut File) -> io::Result<Vec<Gap>>,
) -> Result<Vec<Gap>, Refusal> {
    let failed = |error: io::Error| fault::io(path, &error);
    let mut file = open(path).map_err(failed)?;
    let gaps = gaps(&mut file).map_err(failed)?;
    let lines = gaps.iter().map(Gap::to_bytes);
    put(
        path,
        &mut file,
        lines.chain(decisions.map(Decision::to_bytes)),
    )?;
    Ok(gaps)
}

/// Appends lines, durably.
fn put(
    path: &Path,
    file: &mut File,
    lines: impl Iterator<Item = Result<Vec<u8>, Fault>>,
) -> Result<(), Refusal> {
    let failed = |error: io::Error| fault::io(path, &error);
    let mut bytes = Vec::new();
    if !ends_whole(file).map_err(failed)? {
        // What a crash cut off stays as it is, on a line of its own.
        bytes.push(b'\n');
    }
    for line in lines {
        let line = line.map_err(|fault| Refusal::new(Code::Internal, fault.to_string()))?;
        bytes.extend(line);
        bytes.push(b'\n');
    }
    file.write_all(&bytes)
        .and_then(|()| file.sync_data())
        .map_err(failed)
}

/// Opens the record for the only writer.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.create(true).read(true).append(true).open(path)?;
    file.lock()?;
    Ok(file)
}

fn ends_whole(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let Some(last) = length.checked_sub(1) else {
        return Ok(true);
    };
    file.seek(SeekFrom::Start(last))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

/// Reads the whole record, line by line.
///
/// # Errors
/// `IO_ERROR`; `INVALID_INPUT` with the number of a line that cannot be read: none is skipped.
pub(super) fn read_all(path: &Path, mut take: impl FnMut(Line)) -> Result<(), Refusal> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault::io(path, &error)),
    };
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let number = index.saturating_add(1);
        let line = Line::parse(line).map_err(|broken| {
            let place = path.display();
            fault::input(format!(
                "line {number} of `{place}` is malformed at {broken}"
            ))
        })?;
        take(line);
    }
    Ok(())
}
