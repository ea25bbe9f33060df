//! Appending: what is derived from the newest event becomes durable, then the ref moves in one compare-and-swap.

use std::thread;
use std::time::Duration;

use super::super::outcome::Durable;
use super::super::render::still;
use super::{At, Published, Stream};
use crate::engine::chain::{SealedEvent, Tip};
use crate::engine::code::{Code, Refusal};
use crate::git::{self, CommitId, event_commit_bytes};

/// How often an append is derived again on a tip that another writer moved, before `CONTENTION`.
pub(crate) const TRIES: u32 = 200;

/// Events on their way onto a stream, each after the one before it.
pub(crate) struct Sink<'s> {
    storing: git::Storing<'s>,
    newest: Option<Tip>,
    commits: Vec<CommitId>,
}

impl Sink<'_> {
    /// Adds an event and returns its commit, which counts once the append is through.
    pub(crate) fn push(&mut self, event: &SealedEvent) -> Result<CommitId, Refusal> {
        let message = event.message();
        let bytes = event_commit_bytes(self.storing.last(), event.sequence(), message.as_bytes());
        let commit = self.storing.push(bytes)?;
        self.commits.push(commit);
        self.newest = Some(event.tip());
        Ok(commit)
    }
}

/// What an append left behind.
pub(crate) struct Appended<T> {
    /// The newest event now.
    pub(crate) at: At,
    /// What the derivation returned beside the events.
    pub(crate) derived: T,
}

impl Stream<'_> {
    /// Appends what is derived from the newest event; derives again where another writer was faster. Where there is an
    /// authority, its newest event is the one, and it has accepted what was derived when this returns.
    ///
    /// # Errors
    /// Whatever the derivation refuses; `CONTENTION` where others won every try.
    pub(crate) fn append<T>(
        &self,
        mut derive: impl FnMut(Option<&At>) -> Result<(Vec<SealedEvent>, T), Refusal>,
    ) -> Result<Appended<T>, Refusal> {
        self.append_each(|before, sink| {
            let (events, derived) = derive(before)?;
            events
                .iter()
                .try_for_each(|event| sink.push(event).map(drop))?;
            Ok(derived)
        })
    }

    /// As [`Stream::append`], for many events: each goes its way as soon as it is derived.
    ///
    /// # Errors
    /// As [`Stream::append`].
    pub(crate) fn append_each<T>(
        &self,
        mut derive: impl FnMut(Option<&At>, &mut Sink<'_>) -> Result<T, Refusal>,
    ) -> Result<Appended<T>, Refusal> {
        for turn in 0..TRIES {
            let authority = match self.authority {
                Some(remote) if !self.session.offline => Some((remote, self.meet(remote)?)),
                Some(_) | None => None,
            };
            if let Some((_, Some(theirs))) = authority
                && let Some(found) = self.find_lost(theirs, &mut derive)?
            {
                return Ok(found);
            }
            let before = self.tip()?;
            let tip = before.as_ref().map(|at| at.commit);
            let mut sink = self.sink(tip);
            let derived = derive(before.as_ref(), &mut sink)?;
            let Sink {
                storing,
                newest,
                commits,
            } = sink;
            let Some(newest) = newest else {
                return Ok(Appended {
                    at: before.ok_or_else(|| self.missing())?,
                    derived,
                });
            };
            let placed = match authority {
                None => self.place(tip, storing, &newest)?,
                Some((remote, theirs)) => {
                    let new = storing.finish()?;
                    match self.publish(remote, theirs, tip, new, true)? {
                        Published::Taken => Some(new),
                        Published::Raced => None,
                        Published::Refused(refusal) => return Err(refusal),
                    }
                }
            };
            if let Some(commit) = placed {
                let count = u64::try_from(commits.len()).unwrap_or(u64::MAX);
                let first = newest.next_sequence().saturating_sub(count);
                if self.authority.is_none() {
                    self.remember(None, tip, commit);
                }
                self.session.remember_governed();
                self.repository.remember_appended(&self.id, first, &commits);
                return Ok(Appended {
                    at: At {
                        commit,
                        tip: newest,
                    },
                    derived,
                });
            }
            self.back_off(turn);
        }
        Err(self.contention())
    }

    /// Finds what an earlier try of the same command appended, whose answer from the authority was lost: what is derived
    /// from the same event again is the very commit that the authority holds.
    fn find_lost<T>(
        &self,
        theirs: CommitId,
        derive: &mut impl FnMut(Option<&At>, &mut Sink<'_>) -> Result<T, Refusal>,
    ) -> Result<Option<Appended<T>>, Refusal> {
        for push in self.repository.lost_pushes(&self.id) {
            if self.common(theirs, push.commit).ok().flatten() != Some(push.commit) {
                continue;
            }
            let before = push.base.map(|base| self.read_at(base)).transpose()?;
            let mut sink = self.sink(push.base);
            // Another command may not even be allowed there.
            let Ok(derived) = derive(before.as_ref(), &mut sink) else {
                continue;
            };
            let Sink {
                storing, newest, ..
            } = sink;
            let (Some(tip), Some(commit)) = (newest, storing.last()) else {
                continue;
            };
            if commit == push.commit && self.repository.take_lost_push(&self.id, commit) {
                let at = At { commit, tip };
                return Ok(Some(Appended { at, derived }));
            }
        }
        Ok(None)
    }

    /// Makes commits durable and moves the ref to the last in one compare-and-swap; nothing where another writer was
    /// faster.
    fn place(
        &self,
        tip: Option<CommitId>,
        storing: git::Storing<'_>,
        newest: &Tip,
    ) -> Result<Option<CommitId>, Refusal> {
        match self.reference.append(tip, storing) {
            Ok(new) => Ok(Some(new)),
            Err(git::Error::Moved) => Ok(None),
            Err(git::Error::Unflushed { source, .. }) => {
                let see = format!("permit log --stream {}", self.id);
                let durable = Durable::newest(newest, see);
                let what = format!("its ref cannot be flushed to the disk: {source}");
                Err(still(Refusal::new(Code::IoError, what), Some(&durable)))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Makes events durable on a commit, without moving the ref; returns the last one's commit.
    pub(crate) fn store(&self, tip: CommitId, events: &[SealedEvent]) -> Result<CommitId, Refusal> {
        let mut sink = self.sink(Some(tip));
        events
            .iter()
            .try_for_each(|event| sink.push(event).map(drop))?;
        Ok(sink.storing.finish()?)
    }

    fn sink(&self, tip: Option<CommitId>) -> Sink<'_> {
        Sink {
            storing: self.reference.begin(tip),
            newest: None,
            commits: Vec::new(),
        }
    }

    /// Waits a little longer with every lost try, and not as long as the neighbour does; longer where each try is a
    /// push.
    pub(crate) fn back_off(&self, turn: u32) {
        let spread = std::process::id().wrapping_mul(2_654_435_761) >> 22;
        let longest = 200_u32.saturating_mul(turn.min(20).saturating_add(1));
        let wait = longest.saturating_add(spread);
        let scale = if self.authority.is_some() { 16 } else { 1 };
        thread::sleep(Duration::from_micros(u64::from(wait.saturating_mul(scale))));
    }

    pub(crate) fn contention(&self) -> Refusal {
        Refusal::new(
            Code::Contention,
            format!(
                "other writers won every one of {TRIES} tries to append to `{}`",
                self.id
            ),
        )
    }
}
