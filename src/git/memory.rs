//! What a repository remembers of its streams: that they existed, here and at the authority. Never evidence for a yes
//! (core, section 10).
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{CommitId, Repository, durable};

/// The folder of the streams that existed in this repository.
const HERE: &str = "permit/streams";
/// The folder of the streams that the authority was seen to hold.
const AUTHORITY: &str = "permit/authority";

impl Repository {
    /// Remembers that a stream existed, at best effort: a repository that cannot be written to remembers nothing.
    ///
    /// The tip is written for people to read and never read again.
    pub fn remember(&self, stream_id: &str, tip: CommitId) {
        self.remember_in(HERE, stream_id, tip);
    }

    /// Remembers that the authority held a stream, at best effort.
    pub fn remember_at_authority(&self, stream_id: &str, tip: CommitId) {
        self.remember_in(AUTHORITY, stream_id, tip);
    }

    fn remember_in(&self, memory: &str, stream_id: &str, tip: CommitId) {
        let Some(path) = self.memory_path(memory, stream_id) else {
            return;
        };
        if path.symlink_metadata().is_ok() {
            return;
        }
        let Some(folder) = path.parent() else { return };
        if fs::create_dir_all(folder).is_ok()
            && let Ok(mut file) = durable::Temporary::create(folder, ".tmp_")
        {
            drop(
                file.write(format!("{tip}\n").as_bytes())
                    .and_then(|()| file.publish(&path)),
            );
        }
    }

    /// Tells whether the stream existed in this repository, as far as it remembers.
    #[must_use]
    pub fn known(&self, stream_id: &str) -> bool {
        self.remembers(HERE, stream_id)
    }

    /// Returns the names of what the repository remembers as streams, in order; whatever else lies there is among them.
    #[must_use]
    pub fn remembered_streams(&self) -> Vec<String> {
        let entries = fs::read_dir(self.common_dir().join(HERE));
        let names = entries.into_iter().flatten().flatten();
        let mut names: Vec<_> = names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Tells whether the authority held the stream, as far as this repository remembers.
    #[must_use]
    pub fn known_at_authority(&self, stream_id: &str) -> bool {
        self.remembers(AUTHORITY, stream_id)
    }

    fn remembers(&self, memory: &str, stream_id: &str) -> bool {
        self.memory_path(memory, stream_id)
            .is_some_and(|path| path.symlink_metadata().is_ok())
    }

    /// Returns the stream's file; `None` where the id is not one plain file name.
    pub(super) fn memory_path(&self, memory: &str, stream_id: &str) -> Option<PathBuf> {
        let mut parts = Path::new(stream_id).components();
        let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == stream_id);
        (plain && !stream_id.starts_with('.'))
            .then(|| self.common_dir().join(memory).join(stream_id))
    }
}
