//! One stream in several repositories: this one's copy, and the authority's, which alone decides (enforcement.md,
//! "Several repositories").
//!
//! An event goes its way in this order: its commit is durable here, the authority takes the push, the local ref
//! follows. A push that loses therefore leaves nothing to undo, and a crash leaves the local ref behind the authority,
//! where the next command finds it and moves it forward.

use std::ops::ControlFlow;

use super::super::remote::{Pushed, Remote};
use super::{Stream, TRIES};
use crate::engine::code::{Code, Refusal};
use crate::git::{self, CommitId, EventFault};

/// How this repository's copy of a stream stands to the authority's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Both are at the same event, or neither exists.
    Even,
    /// The authority goes on from here.
    Behind(CommitId),
    /// This copy goes on from the authority's newest event, or the authority has none.
    Ahead(Option<CommitId>),
    /// Both go on from this common event, or have none in common.
    Forked(Option<CommitId>),
}

/// What became of an event that was to be published.
pub(crate) enum Published {
    /// The authority took it from this very push.
    Taken,
    /// Another writer was faster.
    Raced,
    /// The authority is where it was, and refuses.
    Refused(Refusal),
}

impl Stream<'_> {
    /// Compares this repository's newest event with the authority's, whose events are fetched where they are not here.
    ///
    /// # Errors
    /// `STREAM_LOST` where the authority is known to have held the stream and no longer does; `GIT_ERROR`.
    pub(crate) fn standing(
        &self,
        remote: &Remote,
        ours: Option<CommitId>,
        theirs: Option<CommitId>,
    ) -> Result<Standing, Refusal> {
        let Some(theirs) = theirs else {
            if self.recalled(Some(remote.name())).is_some() {
                remote.refuse_empty()?;
                return Err(self.lost_at(remote));
            }
            return Ok(ours.map_or(Standing::Even, |_| Standing::Ahead(None)));
        };
        if !self.is_here(theirs) {
            remote.fetch(&[self.reference.name()])?;
        }
        self.check_seen_at(remote, theirs)?;
        let Some(ours) = ours else {
            return Ok(Standing::Behind(theirs));
        };
        Ok(match self.common(ours, theirs)? {
            Some(_) if ours == theirs => Standing::Even,
            Some(common) if common == ours => Standing::Behind(theirs),
            Some(common) if common == theirs => Standing::Ahead(Some(theirs)),
            common => Standing::Forked(common),
        })
    }

    /// Tells whether an event's commit is in this repository.
    pub(crate) fn is_here(&self, commit: CommitId) -> bool {
        !matches!(self.reference.read_event(commit), Err(EventFault::Missing))
    }

    /// Finds the newest event that two have in their past. Cost grows with what is after it.
    pub(crate) fn common(
        &self,
        one: CommitId,
        other: CommitId,
    ) -> Result<Option<CommitId>, Refusal> {
        let read = |commit: CommitId| {
            let found = self.reference.read_event(commit);
            found
                .map(|event| (event.time(), event.parent()))
                .map_err(|fault| self.unreadable(commit, &fault))
        };
        let (mut one, mut other) = (Some(one), Some(other));
        loop {
            let (Some(left), Some(right)) = (one, other) else {
                return Ok(None);
            };
            if left == right {
                return Ok(Some(left));
            }
            let ((left_time, left_parent), (right_time, right_parent)) =
                (read(left)?, read(right)?);
            if left_time >= right_time {
                one = left_parent;
            }
            if right_time >= left_time {
                other = right_parent;
            }
        }
    }

    /// Verifies the events from a newest one back to one that is known, or to the first; returns how many they are.
    pub(crate) fn verify_since(
        &self,
        newest: CommitId,
        known: Option<CommitId>,
    ) -> Result<u64, Refusal> {
        let mut events = 0_u64;
        let verifier = self.walk(newest, None, |_, commit| {
            if Some(commit) == known {
                return Ok(ControlFlow::Break(()));
            }
            events = events.saturating_add(1);
            Ok(ControlFlow::Continue(()))
        })?;
        let fault = match known {
            Some(_) => verifier.finish_part().err(),
            None => verifier.finish().err(),
        };
        fault.map_or(Ok(events), |fault| Err(self.broken(&fault)))
    }

    /// Moves the local ref forward to the authority's newest event, after its events were verified; returns how many
    /// they are, or nothing where another process moved the ref meanwhile.
    pub(crate) fn follow(
        &self,
        ours: Option<CommitId>,
        theirs: CommitId,
    ) -> Result<Option<u64>, Refusal> {
        let events = self.verify_since(theirs, ours)?;
        Ok(self.replace(ours, theirs)?.then_some(events))
    }

    /// Moves the local ref, durably; tells whether it was where it was expected.
    pub(crate) fn replace(&self, ours: Option<CommitId>, new: CommitId) -> Result<bool, Refusal> {
        match self.reference.swap(ours, new) {
            Ok(()) => Ok(true),
            Err(git::Error::Moved) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Brings the local ref to where an event can be derived that the authority may take; returns the authority's
    /// newest event.
    ///
    /// # Errors
    /// `CHAIN_FORKED` where the local events contradict the authority; those of [`Stream::standing`].
    pub(super) fn meet(&self, remote: &Remote) -> Result<Option<CommitId>, Refusal> {
        for _ in 0..TRIES {
            let theirs = self.session.ask(remote, self.reference.name())?;
            let ours = self.tip_commit()?;
            match self.standing(remote, ours, theirs)? {
                Standing::Even | Standing::Ahead(_) => return Ok(theirs),
                Standing::Behind(theirs) => {
                    if self.follow(ours, theirs)?.is_some() {
                        return Ok(Some(theirs));
                    }
                }
                Standing::Forked(_) => {
                    return Err(Refusal::new(
                        Code::ChainForked,
                        format!(
                            "the stream `{}` holds events that `{}` lacks, and lacks events that it holds",
                            self.id,
                            remote.name()
                        ),
                    )
                    .next(format!("permit sync --stream {}", self.id)));
                }
            }
        }
        Err(self.contention())
    }

    /// Pushes an event that is durable here, then moves the local ref; tells what became of it. The push goes onto `theirs`, its newest event as it was seen before.
    ///
    /// With `noted`, a push whose answer is lost on the way back leaves a note behind, by which the same command knows its
    /// event again at the next try, once. Only what this process derived just now is noted: what it did before was told.
    ///
    /// # Errors
    /// `GIT_ERROR` where the authority cannot be reached, or took the event without an answer.
    pub(crate) fn publish(
        &self,
        remote: &Remote,
        theirs: Option<CommitId>,
        ours: Option<CommitId>,
        new: CommitId,
        noted: bool,
    ) -> Result<Published, Refusal> {
        let name = self.reference.name();
        if let Some(theirs) = theirs
            && self.common(new, theirs)? != Some(theirs)
        {
            return Ok(Published::Raced);
        }
        let note = noted
            .then(|| self.repository.note_push(&self.id, ours, new))
            .transpose()?;
        let answered = || {
            if let Some(note) = note {
                note.answered();
            }
        };
        match remote.push(name, theirs, new) {
            Pushed::Accepted => answered(),
            Pushed::Refused(refusal) => {
                answered();
                return Ok(if remote.tip(name)? == theirs {
                    Published::Refused(refusal)
                } else {
                    Published::Raced
                });
            }
            Pushed::Raced => {
                answered();
                return Ok(Published::Raced);
            }
            Pushed::Unanswered(refusal) => {
                let Ok(tip) = remote.tip(name) else {
                    return Err(refusal);
                };
                if tip == theirs {
                    answered();
                    return Err(refusal);
                }
                if tip.is_some_and(|tip| self.holds(remote, tip, new)) {
                    return Err(refusal);
                }
                answered();
                return Ok(Published::Raced);
            }
        }
        self.settle(ours, new)?;
        self.remember(Some(remote.name()), ours, new);
        Ok(Published::Taken)
    }

    /// Tells whether what the authority is at contains an event.
    fn holds(&self, remote: &Remote, tip: CommitId, event: CommitId) -> bool {
        (self.is_here(tip) || remote.fetch(&[self.reference.name()]).is_ok())
            && self
                .common(tip, event)
                .is_ok_and(|common| common == Some(event))
    }

    /// Moves the local ref to an event that the authority took. What another process of this repository did to the
    /// ref meanwhile stays: the event is recorded, and a ref that contradicts it is the next command's to report.
    fn settle(&self, mut ours: Option<CommitId>, new: CommitId) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            if self.replace(ours, new)? {
                break;
            }
            ours = self.tip_commit()?;
            if let Some(ours) = ours
                && self.common(ours, new)? != Some(ours)
            {
                break;
            }
        }
        Ok(())
    }

    fn lost_at(&self, remote: &Remote) -> Refusal {
        Refusal::new(
            Code::StreamLost,
            format!(
                "the remote `{}` held the stream `{}` and no longer does",
                remote.name(),
                self.id
            ),
        )
        .next(format!(
            "find out who removed it; to restore it from here: git push {} {}",
            remote.name(),
            self.reference.name()
        ))
    }
}
