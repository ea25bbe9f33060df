//! Where a long stream's walk can be begun in several places: the commits of some of its events (core, section 10).
//!
//! One file a stream, `permit/commits/<stream_id>` beside `permit/streams/`: line `k`, counted from 1, is the commit id
//! of the event at sequence `k · STRIDE`. Never evidence: a walk that begins at such a commit counts for nothing until
//! another walk, which came from the stream's tip, has arrived at it. So the file may be missing, stale, torn, somebody
//! else's or a lie; that costs time and nothing else. It is neither flushed nor locked, and no error of it is reported.
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    iter,
    path::PathBuf,
};

use super::{CommitId, Repository};

/// How many events lie between two that the index names.
pub const STRIDE: u64 = 512;

/// A line: forty hex digits and a line feed.
const LINE: u64 = 41;

/// The most bytes of an index that are read: enough for some two hundred million events.
const MOST: u64 = 16 << 20;

impl Repository {
    /// Returns the commits that the repository remembers of a stream: the events at `STRIDE`, `2 · STRIDE`, ….
    #[must_use]
    pub fn remembered_commits(&self, stream_id: &str) -> Vec<CommitId> {
        let mut text = String::new();
        let read = self
            .index_path(stream_id)
            .and_then(|path| File::open(path).ok())
            .and_then(|file| file.take(MOST).read_to_string(&mut text).ok());
        match read {
            Some(_) => text.lines().map_while(|line| line.parse().ok()).collect(),
            None => Vec::new(),
        }
    }

    /// Remembers events that were appended, the first of them at sequence `first`, where the index reaches up to them.
    pub fn remember_appended(&self, stream_id: &str, first: u64, commits: &[CommitId]) {
        let mut named = (first..).zip(commits).filter(|(at, _)| is_named(*at));
        let Some((at, commit)) = named.next() else {
            return;
        };
        let line = (at / STRIDE).saturating_sub(1);
        let commits = iter::once(commit).chain(named.map(|(_, commit)| commit));
        self.put_lines(stream_id, line, commits, false);
    }

    /// Remembers the commits of the events at `STRIDE`, `2 · STRIDE`, … in place of what was remembered.
    pub fn remember_commits(&self, stream_id: &str, commits: &[CommitId]) {
        self.put_lines(stream_id, 0, commits.iter(), true);
    }

    /// Writes lines at their place, unless there is a gap before it; `cut` ends the file with them.
    fn put_lines<'a>(
        &self,
        stream_id: &str,
        line: u64,
        commits: impl Iterator<Item = &'a CommitId>,
        cut: bool,
    ) {
        let Some(path) = self.index_path(stream_id) else {
            return;
        };
        if let Some(folder) = path.parent() {
            drop(fs::create_dir_all(folder));
        }
        let offset = line.saturating_mul(LINE);
        let mut lines = String::new();
        for commit in commits {
            lines.push_str(&commit.to_string());
            lines.push('\n');
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        drop(file.and_then(|mut file| {
            if file.metadata()?.len() < offset {
                return Ok(());
            }
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(lines.as_bytes())?;
            let end = file.stream_position()?;
            if cut { file.set_len(end) } else { Ok(()) }
        }));
    }

    /// Returns the stream's file; `None` where the id is no plain name, or something else is there.
    fn index_path(&self, stream_id: &str) -> Option<PathBuf> {
        let path = self.memory_path("permit/commits", stream_id)?;
        // A device, a pipe or a link that somebody put there is neither read nor written.
        match path.symlink_metadata() {
            Ok(found) => found.is_file().then_some(path),
            Err(_) => Some(path),
        }
    }
}

/// Tells whether the index names the event at a sequence.
#[must_use]
pub fn is_named(sequence: u64) -> bool {
    sequence > 0 && sequence.is_multiple_of(STRIDE)
}
