//! Pushes whose answer has not arrived: a note each, so that the same command knows its own event at the next try.
//!
//! A note is held locked by the process that waits for the answer. One that nobody holds was left behind: its answer is
//! lost. Whoever takes it away has it alone.
//!
//! What a note cannot tell: equal events of two clones are one commit, and where this clone's push never arrived and
//! another clone brought the equal event before anybody asked, the event counts here as well.
use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{CommitId, Error, Repository, Result, durable};

/// The note of a push that is on its way; it stays behind where the answer does not come.
pub struct PendingPush {
    path: PathBuf,
    _held: File,
}

/// A push whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPush {
    /// What it was derived from; `None` where the stream was not there.
    pub base: Option<CommitId>,
    /// Its newest event.
    pub commit: CommitId,
    path: PathBuf,
}

impl Repository {
    /// Takes away every note of a push whose answer was lost; tells whether there was one. Of several who ask, one is told
    /// so.
    #[must_use]
    pub fn take_lost_push(&self, stream_id: &str, commit: CommitId) -> bool {
        let Some(_lock) = self.lock_memory() else {
            return false;
        };
        let lost = self.lost_pushes(stream_id);
        let mut taken = false;
        for push in lost.iter().filter(|push| push.commit == commit) {
            taken |= fs::remove_file(&push.path).is_ok();
        }
        taken
    }

    /// Notes a push before it goes its way, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn note_push(
        &self,
        stream_id: &str,
        base: Option<CommitId>,
        commit: CommitId,
    ) -> Result<PendingPush> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = self.pending_folder(stream_id);
        durable::create_folders(&folder)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{commit}.{}_{number}", process::id());
        let made = folder.join(format!(".tmp_{name}"));
        let path = folder.join(name);
        let base = base.map_or_else(|| "-".to_owned(), |base| base.to_string());
        let hold = || {
            let mut file = File::create(&made)?;
            // Held before it has its name: nobody ever sees it free.
            file.lock()?;
            writeln!(file, "{base}")?;
            file.sync_all()?;
            fs::rename(&made, &path)?;
            Ok(file)
        };
        let file = hold().map_err(Error::io(&path))?;
        durable::sync_folder(&folder)?;
        Ok(PendingPush { path, _held: file })
    }

    /// Returns the pushes of a stream whose answers were lost.
    #[must_use]
    pub fn lost_pushes(&self, stream_id: &str) -> Vec<LostPush> {
        let entries = fs::read_dir(self.pending_folder(stream_id));
        let mut lost: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| read(entry.path()))
            .collect();
        lost.sort_by_key(|push| push.commit);
        lost
    }

    fn pending_folder(&self, stream_id: &str) -> PathBuf {
        self.common_dir().join("permit/pending").join(stream_id)
    }
}

impl PendingPush {
    /// Takes the note away: the answer is there, whatever it says.
    pub fn answered(self) {
        drop(fs::remove_file(&self.path));
    }
}

/// Reads a note that nobody holds.
fn read(path: PathBuf) -> Option<LostPush> {
    const LONGEST: u64 = 64;
    let name = path.file_name()?.to_str()?;
    let commit = name.split_once('.')?.0.parse().ok()?;
    let found = path.symlink_metadata().ok()?;
    if !found.is_file() || found.len() > LONGEST {
        return None;
    }
    let file = File::open(&path).ok()?;
    file.try_lock_shared().ok()?;
    let text = fs::read_to_string(&path).ok()?;
    let base = match text.strip_suffix('\n')? {
        "-" => None,
        id => Some(id.parse().ok()?),
    };
    Some(LostPush { base, commit, path })
}
