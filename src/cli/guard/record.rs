//! The receive boundary's record: JSON Lines under the Git directory, outside the quarantine.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::push::Push;
use crate::cli::fault;
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Decision, Effective, Enforcement, Gap, Line};

/// How many refs a line is searched for before it is read.
const FEW: usize = 4;

/// How much of the record is looked at in one step back.
const STEP: u64 = 1 << 16;

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
) -> Result<Vec<Gap>, Refusal> {
    let path = path(push.session, &push.enforcement);
    let failed = |error: io::Error| fault::io(&path, &error);
    let internal =
        |fault: crate::engine::canonical::Fault| Refusal::new(Code::Internal, fault.to_string());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    let gaps = gaps(push, &mut file).map_err(failed)?;
    let mut bytes = Vec::new();
    if !ends_whole(&mut file).map_err(failed)? {
        // What a crash cut off stays as it is, on a line of its own.
        bytes.push(b'\n');
    }
    for gap in &gaps {
        bytes.extend(gap.to_bytes().map_err(internal)?);
        bytes.push(b'\n');
    }
    for decision in decisions {
        bytes.extend(decision.to_bytes().map_err(internal)?);
        bytes.push(b'\n');
    }
    file.write_all(&bytes)
        .and_then(|()| file.sync_data())
        .map_err(failed)?;
    Ok(gaps)
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

/// Finds the refs that stand where no recorded decision left or found them.
fn gaps(push: &Push<'_>, file: &mut File) -> io::Result<Vec<Gap>> {
    // The old tip, and where the newest record of the ref left it.
    let mut open: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    for update in push.updates() {
        if let Some(old) = update.old {
            open.insert(update.name.clone(), (old.to_string(), None));
        }
    }
    backwards(file, |line| {
        // Reading a line costs far more than seeing that it is about none of a few refs.
        let few = open.len() <= FEW;
        if few && !open.keys().any(|name| names(line, name)) {
            return true;
        }
        let Some((subject, before, left)) = read(line) else {
            return true;
        };
        // Only the newest line of a ref counts: what stood there earlier may have been restored in `off`.
        if let Some((old, newest)) = open.get_mut(&subject)
            && newest.is_none()
        {
            if *old == before || *old == left {
                open.remove(&subject);
            } else {
                *newest = Some(left);
            }
        }
        open.values().any(|(_, newest)| newest.is_none())
    })?;
    Ok(open
        .into_iter()
        .filter_map(|(name, (old, newest))| Some(Gap::new(&name, &newest?, &old)))
        .collect())
}

/// Tells whether a line could be about a ref; one whose name JSON would escape always could.
fn names(line: &[u8], name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    !plain
        || line
            .windows(name.len())
            .any(|window| window == name.as_bytes())
}

/// A ref, where a line found it, and where it left it.
fn read(line: &[u8]) -> Option<(String, String, String)> {
    match Line::parse(line).ok()? {
        Line::Decision(decision) => {
            let intent = decision.intent;
            let left = match decision.effective {
                Effective::Allow => intent.after.clone(),
                Effective::Deny => intent.before.clone(),
            };
            Some((intent.subject, intent.before, left))
        }
        Line::Gap(gap) => Some((gap.reference, gap.from, gap.to)),
    }
}

/// Shows the whole lines of a file, the last first, until the visitor has enough.
fn backwards(file: &mut File, mut visit: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut end = file.metadata()?.len();
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut block = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        block.extend_from_slice(&rest);
        let mut lines: Vec<&[u8]> = block.split(|byte| *byte == b'\n').collect();
        // The first piece goes on in the block before, unless that is the beginning.
        let first = if start > 0 && !lines.is_empty() {
            lines.remove(0).to_vec()
        } else {
            Vec::new()
        };
        for line in lines.into_iter().rev() {
            if !line.is_empty() && !visit(line) {
                return Ok(());
            }
        }
        rest = first;
        end = start;
    }
    Ok(())
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
