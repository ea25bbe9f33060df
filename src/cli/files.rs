//! Reading and writing the user's own files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use super::fault;
use crate::engine::code::Refusal;

/// A file, or standard input, that is read piece by piece.
pub(crate) type Input = BufReader<Box<dyn Read>>;

/// Reads a file, or standard input for `-`, up to a limit.
///
/// One byte more than the limit is read, so that the parser behind can say that it is too large.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Refusal> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    open(path)?
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| fault::io(path, &error))?;
    Ok(bytes)
}

/// Opens a file, or standard input for `-`, for reading piece by piece.
pub(crate) fn open(path: &Path) -> Result<Input, Refusal> {
    const BUFFER: usize = 1 << 18;
    if path.as_os_str() == "-" {
        return Ok(BufReader::with_capacity(BUFFER, Box::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| fault::io(path, &error))?;
    Ok(BufReader::with_capacity(BUFFER, Box::new(file)))
}

/// Writes a file that must not be there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| fault::io(folder, &error))?;
    }
    File::create_new(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| fault::io(path, &error))
}

/// Reads lines that end at 0x0A only, each without its end; a last line without it is a line too.
pub(crate) struct Lines {
    input: Input,
    limit: usize,
}

impl Lines {
    /// Begins to read lines of at most `limit` bytes.
    pub(crate) fn new(input: Input, limit: usize) -> Self {
        Self { input, limit }
    }

    /// Reads the next line into `line`; false at the end. A line over the limit is cut one byte past it.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let limit = u64::try_from(self.limit)
            .unwrap_or(u64::MAX)
            .saturating_add(2);
        let read = self.input.by_ref().take(limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > self.limit {
            self.skip_rest()?;
        }
        Ok(read > 0)
    }

    /// Tells whether the next line can be had without waiting for whoever writes it.
    pub(crate) fn is_ready(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let (step, found) = match buffer.iter().position(|b| *b == b'\n') {
                Some(end) => (end.saturating_add(1), true),
                None => (buffer.len(), false),
            };
            self.input.consume(step);
            if found {
                return Ok(());
            }
        }
    }
}
