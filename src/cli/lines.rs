//! JSON Lines on every core: the file is read in blocks of whole lines, each block is verified by itself, and the
//! blocks are joined in their order.
//!
//! Memory holds one block a core. Reading is one at a time, so that a pipe will do as well as a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::fault;
use super::progress::Progress;
use crate::engine::chain::{Event, MAX_EVENT, Verdict, Verifier};
use crate::engine::code::{Code, Refusal};

/// How many bytes are read at a time.
const BLOCK: usize = 1 << 20;

/// A file, or standard input, in blocks of whole lines.
struct Blocks {
    input: Box<dyn Read + Send>,
    /// What was read of the next block's first line.
    rest: Vec<u8>,
    /// How many blocks were read.
    count: u64,
}

/// The chain as far as blocks were joined, and the blocks after a gap.
struct Joined {
    verifier: Verifier,
    count: u64,
    waiting: BTreeMap<u64, Verifier>,
}

/// Verifies a file of events, or standard input for `-`; ends at the first fault.
///
/// # Errors
/// `IO_ERROR` where it cannot be read up to there.
pub(crate) fn verify(path: &Path, verifier: Verifier) -> Result<Verifier, Refusal> {
    let io_fault = |error: io::Error| fault::io(path, &error);
    let blocks = Mutex::new(Blocks::open(path).map_err(io_fault)?);
    let progress = Progress::new("verifying", None);
    let joined = Mutex::new(Joined {
        verifier,
        count: 0,
        waiting: BTreeMap::new(),
    });
    let work = || -> io::Result<()> {
        let mut block = Vec::new();
        loop {
            let mut part = {
                let joined = lock(&joined);
                if joined.verifier.is_decided() {
                    return Ok(());
                }
                joined.verifier.part()
            };
            let Some(place) = lock(&blocks).next(&mut block)? else {
                return Ok(());
            };
            show_lines(&mut part, &block);
            progress.advance(part.events());
            lock(&joined).take(place, part);
        }
    };
    let results = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work().map_err(io_fault)];
        for other in others {
            let lost = |_| Err(Refusal::new(Code::Internal, "a thread broke off"));
            results.push(
                other
                    .join()
                    .map_or_else(lost, |done| done.map_err(io_fault)),
            );
        }
        results
    });
    let joined = joined.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !joined.verifier.is_decided() {
        results.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(joined.verifier)
}

/// Shows the bytes of one event to the verifier; bytes that are no event are a fault at the place where one stands.
pub(super) fn show(verifier: &mut Verifier, bytes: &[u8]) {
    match Event::read(bytes) {
        Ok(event) => verifier.see(&event),
        Err(what) => verifier.note(Verdict::Malformed, verifier.next_sequence(), what),
    }
}

fn show_lines(part: &mut Verifier, mut block: &[u8]) {
    while !block.is_empty() && !part.is_decided() {
        let start = block;
        // Reading from memory does not fail.
        let length = block.skip_until(b'\n').unwrap_or(start.len());
        let line = start.get(..length).unwrap_or(start);
        show(part, line.strip_suffix(b"\n").unwrap_or(line));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Blocks {
    fn open(path: &Path) -> io::Result<Self> {
        let input: Box<dyn Read + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        Ok(Self {
            input,
            rest: Vec::new(),
            count: 0,
        })
    }

    /// Reads the next block into `block` and returns its place; nothing at the end.
    ///
    /// A line that is longer than any event ends its block early: it is a fault, and what follows is not looked at.
    fn next(&mut self, block: &mut Vec<u8>) -> io::Result<Option<u64>> {
        block.clear();
        block.append(&mut self.rest);
        let limit = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        loop {
            let seen = block.len();
            let read = self.input.by_ref().take(limit).read_to_end(block)?;
            let fresh = block.get(seen..).unwrap_or_default();
            if let Some(end) = fresh.iter().rposition(|byte| *byte == b'\n') {
                self.rest = block.split_off(seen.saturating_add(end).saturating_add(1));
                break;
            }
            if read == 0 || block.len() > MAX_EVENT {
                break;
            }
        }
        if block.is_empty() {
            return Ok(None);
        }
        let place = self.count;
        self.count = place.saturating_add(1);
        Ok(Some(place))
    }
}

impl Joined {
    fn take(&mut self, place: u64, part: Verifier) {
        self.waiting.insert(place, part);
        while let Some(part) = self.waiting.remove(&self.count) {
            self.count = self.count.saturating_add(1);
            if !self.verifier.is_decided() {
                self.verifier.join(part);
            }
        }
    }
}
