//! What this repository has seen of a stream before: a tip that does not contain it is refused (hardening, section 2).
//!
//! Memory makes a no and never a yes. It moves forward only, after an append was accepted or a `sync`, to a tip whose
//! new events verify; commands that read write none.

use super::super::remote::Remote;
use super::super::render;
use super::super::tail::ORPHANS;
use super::{STREAMS, Stream, lost_stream};
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Recalled, Repository, Subject};

/// The newest tip that was seen, here or at a remote; what lies in its place and cannot be read is set aside aloud.
pub(crate) fn recall(
    repository: &Repository,
    remote: Option<&str>,
    subject: Subject<'_>,
) -> Option<CommitId> {
    match repository.recall(remote, subject) {
        Recalled::Nothing => None,
        Recalled::Newest(tip) => Some(tip),
        Recalled::SetAside(place) => {
            let name = match subject {
                Subject::Stream(id) => format!("the stream `{id}`"),
                Subject::Governed(name) => format!("`{name}`"),
            };
            render::note(&render::safe(&format!(
                "what was remembered of {name} could not be read and was set aside: `{}`; whether it went back is unknown",
                place.display()
            )));
            None
        }
    }
}

impl Stream<'_> {
    /// Whose memory holds here: that of the authority, where there is one.
    pub(super) fn whose(&self) -> Option<&str> {
        self.authority.map(Remote::name)
    }

    /// The newest tip that was seen.
    pub(super) fn recalled(&self, remote: Option<&str>) -> Option<CommitId> {
        recall(self.repository, remote, Subject::Stream(&self.id))
    }

    /// Says that the stream is gone, where it was seen before, and how it comes back.
    pub(super) fn lost(&self, newest: CommitId) -> Refusal {
        let lost = lost_stream(&self.id).detail("remembered", newest.to_string());
        if self.is_here(newest) {
            return lost.next(format!("git update-ref {} {newest}", self.reference.name()));
        }
        match self.authority {
            Some(_) => lost.next(format!("permit sync --stream {}", self.id)),
            None => lost,
        }
    }

    /// Refuses a tip, here or at a remote, that does not contain the newest that was seen.
    ///
    /// Costs the events since then; where it refuses, the whole stream.
    ///
    /// # Errors
    /// `CHAIN_*` where the stream does not hold by itself, else `STREAM_REWOUND`; where the way back cannot be read, the
    /// reason for that.
    pub(super) fn check_seen(&self, tip: CommitId, newest: CommitId) -> Result<(), Refusal> {
        if tip == newest || self.seen.get() == Some((tip, newest)) {
            return Ok(());
        }
        let contained = self.goes_back_to(tip, newest)? || self.is_kept_aside(newest)?;
        if !contained {
            // What does not even hold by itself is told first: that is the better evidence, and this is no way on.
            self.verify_since(tip, None)?;
            return Err(self.rewound(tip, newest));
        }
        self.seen.set(Some((tip, newest)));
        Ok(())
    }

    fn rewound(&self, tip: CommitId, newest: CommitId) -> Refusal {
        let what = format!(
            "the stream `{}` is at {tip}, which does not contain {newest}, the newest event that was seen",
            self.id
        );
        let next = if self.is_here(newest) {
            format!("git update-ref {} {newest}", self.reference.name())
        } else {
            format!(
                "find out who moved it; to give up what was seen: permit stream forget {} --reason TEXT",
                self.id
            )
        };
        Refusal::new(Code::StreamRewound, what)
            .detail("remembered", newest.to_string())
            .detail("found", tip.to_string())
            .next(next)
    }

    /// Tells whether a commit is another or follows it; one that is not here any more is followed by none.
    fn goes_back_to(&self, tip: CommitId, wanted: CommitId) -> Result<bool, Refusal> {
        let Ok(last) = self.reference.read_event(wanted).map(|event| event.time()) else {
            return Ok(false);
        };
        let mut at = Some(tip);
        while let Some(commit) = at {
            if commit == wanted {
                return Ok(true);
            }
            at = match self.reference.read_event(commit) {
                Ok(event) if event.time() > last => event.parent(),
                Ok(_) => None,
                Err(fault) => return Err(self.unreadable(commit, &fault)),
            };
        }
        Ok(false)
    }

    /// Tells whether a tail that was set aside contains a commit.
    fn is_kept_aside(&self, commit: CommitId) -> Result<bool, Refusal> {
        let kept = self
            .repository
            .refs_with_prefix(&format!("{ORPHANS}{}/", self.id))?;
        for (_, tip) in kept {
            if self.goes_back_to(tip, commit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remembers a tip that was accepted, here and, where one is named, at a remote that holds it. The events after
    /// `before` are this process's own; those up to it are verified.
    pub(crate) fn remember(&self, remote: Option<&str>, before: Option<CommitId>, tip: CommitId) {
        let _lock = self.repository.lock_memory();
        let places = [remote, None];
        let count = if remote.is_some() { 2 } else { 1 };
        for place in places.into_iter().take(count) {
            let newest = self.recalled(place);
            if newest != Some(tip) && self.may_remember(newest, before, tip) {
                let subject = Subject::Stream(&self.id);
                if let Err(error) = self.repository.remember(place, subject, tip) {
                    render::note(&render::safe(&format!(
                        "the newest event of `{}` could not be remembered: {error}",
                        self.id
                    )));
                }
            }
        }
    }

    /// Tells whether memory may move from what was seen to a tip: forward, over events that verify.
    fn may_remember(
        &self,
        newest: Option<CommitId>,
        before: Option<CommitId>,
        tip: CommitId,
    ) -> bool {
        let reaches = |from: CommitId, to: CommitId| self.goes_back_to(from, to).unwrap_or(false);
        let (known, before) = match (newest, before) {
            (Some(newest), Some(before)) if reaches(before, newest) => (Some(newest), Some(before)),
            (Some(newest), Some(_)) if reaches(tip, newest) => return true,
            (Some(newest), Some(_)) if !self.is_kept_aside(newest).unwrap_or(false) => {
                return false;
            }
            (_, before) => (None, before),
        };
        match (known, before) {
            (_, None) => newest.is_none_or(|newest| reaches(tip, newest)),
            (Some(known), Some(before)) if known == before => true,
            (known, Some(before)) => self.verify_since(before, known).is_ok(),
        }
    }

    /// Remembers a tip in place of another that a `sync` has derived again: the authority never had that one's events.
    pub(crate) fn remember_instead(&self, old: CommitId, new: CommitId) {
        let _lock = self.repository.lock_memory();
        let seen = self.recalled(None);
        if seen.is_some_and(|seen| self.goes_back_to(old, seen).unwrap_or(false)) {
            drop(
                self.repository
                    .remember(None, Subject::Stream(&self.id), new),
            );
        }
    }

    /// Refuses what an authority holds where it does not contain the newest that was seen there.
    pub(super) fn check_seen_at(&self, remote: &Remote, theirs: CommitId) -> Result<(), Refusal> {
        match self.recalled(Some(remote.name())) {
            Some(newest) => self.check_seen(theirs, newest).map_err(|refusal| {
                let refusal = refusal.detail("remote", remote.name());
                if refusal.code != Code::StreamRewound {
                    return refusal;
                }
                refusal.next(format!(
                    "find out who moved it; to restore it from here: git push {} {newest}:{STREAMS}{}",
                    remote.name(),
                    self.id
                ))
            }),
            None => Ok(()),
        }
    }
}
