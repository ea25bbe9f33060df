//! One audit stream as commands use it: its tip, a walk back from it, and appending what was derived from the tip.

mod authority;

use std::fmt::Display;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use super::fault;
use super::progress::Progress;
use super::remote::Remote;
use super::session::Session;
use crate::engine::chain::{Event, Expectation, Fault, Order, SealedEvent, Tip, Verdict, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::engine::text::stream_id_fault;
use crate::git::{
    self, CommitId, EventBytes, EventFault, Repository, StreamRef, event_commit_bytes,
};

pub(crate) use authority::Standing;

/// The refs under which streams stand.
pub(crate) const STREAMS: &str = "refs/permit/streams/";

/// How often an append is derived again on a tip that another writer moved, before `CONTENTION`.
pub(crate) const TRIES: u32 = 200;

/// A stream of a repository.
pub(crate) struct Stream<'r> {
    pub(crate) id: String,
    repository: &'r Repository,
    reference: StreamRef<'r>,
    /// Who has to accept an event before it counts, where that is not this repository.
    authority: Option<&'r Remote>,
}

/// The newest commits of the streams of a repository, by id; of one only, which has to exist, where `only` names it.
///
/// Reads refs and no objects.
pub(crate) fn tips(
    session: &Session,
    only: Option<&str>,
) -> Result<Vec<(String, CommitId)>, Refusal> {
    let repository = &session.repository;
    let found = match only {
        Some(id) => {
            check_id(id)?;
            let tip = repository.ref_target(&format!("{STREAMS}{id}"))?;
            vec![(id.to_owned(), tip.ok_or_else(|| missing(id))?)]
        }
        None => repository
            .refs_with_prefix(STREAMS)?
            .into_iter()
            .map(|(name, tip)| (name.replacen(STREAMS, "", 1), tip))
            .collect(),
    };
    for (id, tip) in &found {
        check_id(id)?;
        repository.remember(id, *tip);
    }
    Ok(found)
}

/// The streams that this repository remembers and whose refs are gone: the reason for each.
///
/// Memory is never evidence for a yes; where it was deleted, nothing is known to be gone (core.md section 10).
pub(crate) fn lost(session: &Session, found: &[String]) -> Vec<(String, Refusal)> {
    let remembered = session.repository.remembered_streams();
    let gone = remembered
        .into_iter()
        .filter(|id| stream_id_fault(id).is_none() && !found.contains(id));
    gone.map(|id| {
        let refusal = lost_stream(&id);
        (id, refusal)
    })
    .collect()
}

fn lost_stream(id: &str) -> Refusal {
    Refusal::new(
        Code::StreamLost,
        format!("the stream `{id}` existed in this repository and its ref is gone"),
    )
}

fn check_id(id: &str) -> Result<(), Refusal> {
    stream_id_fault(id).map_or(Ok(()), |what| {
        Err(fault::input(format!("the stream id `{id}` {what}")))
    })
}

/// Says that a stream does not exist.
fn missing(id: &str) -> Refusal {
    Refusal::new(
        Code::StreamMissing,
        format!("the stream `{id}` does not exist"),
    )
    .next(format!(
        "open it with `permit stream open {id}`, or fetch it: git fetch origin '{STREAMS}*:{STREAMS}*'"
    ))
}

/// Says where a stream's chain is broken.
pub(crate) fn broken(id: &str, fault: &Fault) -> Refusal {
    Refusal::new(
        fault.verdict.code(),
        format!(
            "the stream `{id}` is broken at event {}: {}",
            fault.sequence, fault.detail
        ),
    )
}

/// The newest event of a stream and the commit that holds it.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) commit: CommitId,
    pub(crate) tip: Tip,
}

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

impl<'r> Stream<'r> {
    /// Names a stream, whether it exists or not.
    pub(crate) fn new(session: &'r Session, id: &str) -> Result<Self, Refusal> {
        check_id(id)?;
        let repository = &session.repository;
        Ok(Self {
            id: id.to_owned(),
            repository,
            reference: repository.stream(&format!("{STREAMS}{id}"))?,
            authority: session.authority.as_ref(),
        })
    }

    /// Every stream of the repository, by id.
    pub(crate) fn all(session: &'r Session) -> Result<Vec<Self>, Refusal> {
        session
            .repository
            .refs_with_prefix(STREAMS)?
            .into_iter()
            .map(|(name, _)| Self::new(session, name.strip_prefix(STREAMS).unwrap_or(&name)))
            .collect()
    }

    /// The newest event, or nothing where the stream does not exist. Checks that event and no other.
    pub(crate) fn tip(&self) -> Result<Option<At>, Refusal> {
        let Some(commit) = self.tip_commit()? else {
            return Ok(None);
        };
        self.read_at(commit).map(Some)
    }

    /// The event of a commit as a tip, whether the ref is there or not. Checks that event, the one that it links to, and
    /// no other.
    pub(crate) fn read_at(&self, commit: CommitId) -> Result<At, Refusal> {
        let mut verifier = Verifier::new(Order::Backward, Some(&self.id), None);
        let mut goes_back = false;
        self.walk_on(commit, &mut verifier, |event, found| {
            goes_back = event.sequence == 0 || found.id() != commit;
            Ok(if goes_back {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        let tip = verifier.tip();
        verifier
            .finish_part()
            .map_err(|fault| self.broken(&fault))?;
        match tip {
            Some(tip) if goes_back => Ok(At { commit, tip }),
            Some(Tip { sequence, .. }) => {
                let what = format!("it starts at sequence {sequence}");
                Err(self.chain(Verdict::Truncated, &what))
            }
            None => Err(self.chain(Verdict::Truncated, "it is empty")),
        }
    }

    /// Reads the event of a commit and shows it with the commit before it; checks their form and nothing else.
    ///
    /// # Errors
    /// `OBJECT_MISSING`, `CHAIN_MALFORMED`, and whatever the visitor refuses.
    pub(crate) fn look_at<T>(
        &self,
        commit: CommitId,
        visit: impl FnOnce(&Event<'_>, Option<CommitId>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let found = self
            .reference
            .read_event(commit)
            .map_err(|f| self.unreadable(commit, &f))?;
        let event = Event::read_commit(found.message(), found.time(), found.parent().is_some())
            .map_err(|what| self.chain(Verdict::Malformed, &what))?;
        visit(&event, found.parent())
    }

    /// The full name of the ref.
    pub(crate) fn reference(&self) -> &str {
        self.reference.name()
    }

    /// The newest event's commit, unread.
    pub(crate) fn tip_commit(&self) -> Result<Option<CommitId>, Refusal> {
        let commit = self.reference.tip()?;
        if let Some(commit) = commit {
            self.repository.remember(&self.id, commit);
        }
        Ok(commit)
    }

    /// The newest event of a stream that has to exist.
    pub(crate) fn existing_tip(&self) -> Result<At, Refusal> {
        self.tip()?.ok_or_else(|| self.missing())
    }

    /// Says that the stream does not exist.
    pub(crate) fn missing(&self) -> Refusal {
        missing(&self.id)
    }

    /// Walks from a commit back to the first event or until the visitor breaks off; verifies what it passes.
    ///
    /// # Errors
    /// `OBJECT_MISSING` where an event's commit is not in the repository, and whatever the visitor refuses.
    pub(crate) fn walk(
        &self,
        from: CommitId,
        expectation: Option<Expectation>,
        mut visit: impl FnMut(&Event<'_>, CommitId) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<Verifier, Refusal> {
        let mut verifier = Verifier::new(Order::Backward, Some(&self.id), expectation);
        let progress = Progress::new("verifying", None);
        self.walk_on(from, &mut verifier, |event, found| {
            progress.step();
            visit(event, found.id())
        })?;
        Ok(verifier)
    }

    /// Walks on from a commit and shows each event to the verifier, then to the visitor.
    ///
    /// # Errors
    /// As [`Stream::walk`].
    pub(super) fn walk_on(
        &self,
        from: CommitId,
        verifier: &mut Verifier,
        mut visit: impl FnMut(&Event<'_>, &EventBytes<'_>) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<(), Refusal> {
        for found in self.reference.walk(from) {
            let found = match found {
                Ok(found) => found,
                Err((commit, EventFault::Missing)) => {
                    return Err(self.unreadable(commit, &EventFault::Missing));
                }
                Err((commit, fault)) => {
                    // What a broken event says of itself counts for nothing; what it hides behind it is not looked at.
                    note_malformed(verifier, commit, &fault);
                    break;
                }
            };
            let read = Event::read_commit(found.message(), found.time(), found.parent().is_some());
            match read {
                Ok(event) => {
                    verifier.see(&event);
                    if visit(&event, &found)?.is_break() {
                        break;
                    }
                }
                Err(what) => {
                    note_malformed(verifier, found.id(), &what);
                    break;
                }
            }
        }
        Ok(())
    }

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
                Some(remote) => Some((remote, self.meet(remote)?)),
                None => None,
            };
            let before = self.tip()?;
            let tip = before.as_ref().map(|at| at.commit);
            let mut sink = Sink {
                storing: self.reference.begin(tip),
                newest: None,
                commits: Vec::new(),
            };
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
                None => self.place(tip, storing)?,
                Some((remote, theirs)) => {
                    let new = storing.finish()?;
                    self.publish(remote, theirs, tip, new)?.then_some(new)
                }
            };
            if let Some(commit) = placed {
                let count = u64::try_from(commits.len()).unwrap_or(u64::MAX);
                let first = newest.next_sequence().saturating_sub(count);
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

    /// Makes commits durable and moves the ref to the last in one compare-and-swap; nothing where another writer was
    /// faster.
    fn place(
        &self,
        tip: Option<CommitId>,
        storing: git::Storing<'_>,
    ) -> Result<Option<CommitId>, Refusal> {
        if self.reference.tip()? != tip {
            return Ok(None);
        }
        let new = storing.finish()?;
        match self.reference.swap(tip, new) {
            Ok(()) => {
                if tip.is_none() {
                    self.repository.remember(&self.id, new);
                }
                Ok(Some(new))
            }
            Err(git::Error::Moved) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Makes events durable on a commit, without moving the ref; returns the last one's commit.
    pub(crate) fn store(&self, tip: CommitId, events: &[SealedEvent]) -> Result<CommitId, Refusal> {
        Ok(self
            .reference
            .store(Some(tip), &commits_of(Some(tip), events).0)?)
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

    /// The artifact bytes of an event whose commit is known.
    pub(crate) fn artifact(&self, commit: CommitId) -> Result<Vec<u8>, Refusal> {
        let found = self
            .reference
            .read_event(commit)
            .map_err(|f| self.unreadable(commit, &f))?;
        Ok(Event::artifact_of(found.message())
            .unwrap_or_default()
            .to_vec())
    }

    /// The commit of the event before the one that a commit holds.
    pub(crate) fn parent_of(&self, commit: CommitId) -> Result<Option<CommitId>, Refusal> {
        let commit = self.repository.read_commit(commit)?;
        Ok(commit.parents.first().copied())
    }

    /// Refuses to open a stream that exists, or that existed here and is gone.
    pub(crate) fn refuse_reopening(&self) -> Result<(), Refusal> {
        if self.reference.tip()?.is_some() {
            return Err(Refusal::new(
                Code::StreamExists,
                format!("the stream `{}` exists", self.id),
            ));
        }
        if self.repository.known(&self.id) {
            return Err(lost_stream(&self.id));
        }
        Ok(())
    }

    fn unreadable(&self, commit: CommitId, fault: &EventFault) -> Refusal {
        match fault {
            EventFault::Missing => Refusal::new(
                Code::ObjectMissing,
                format!(
                    "commit {commit} of the stream `{}` is not in the repository",
                    self.id
                ),
            ),
            EventFault::Unreadable(_) | EventFault::Form(_) => {
                self.chain(Verdict::Malformed, &format!("commit {commit}: {fault}"))
            }
        }
    }

    fn chain(&self, verdict: Verdict, what: &str) -> Refusal {
        Refusal::new(
            verdict.code(),
            format!("the stream `{}` is broken: {what}", self.id),
        )
    }

    /// The reason for a fault in the chain.
    pub(crate) fn broken(&self, fault: &Fault) -> Refusal {
        broken(&self.id, fault)
    }
}

/// The commits of events on a tip: their bytes and their ids.
fn commits_of(tip: Option<CommitId>, events: &[SealedEvent]) -> (Vec<Vec<u8>>, Vec<CommitId>) {
    let mut parent = tip;
    let mut commits = Vec::with_capacity(events.len());
    for event in events {
        let bytes = event_commit_bytes(parent, event.sequence(), event.message().as_bytes());
        let id = git::event_commit_id(&bytes);
        parent = Some(id);
        commits.push((bytes, id));
    }
    commits.into_iter().unzip()
}

fn note_malformed(verifier: &mut Verifier, commit: CommitId, what: &impl Display) {
    let detail = format!("commit {commit}: {what}");
    verifier.note(Verdict::Malformed, verifier.next_sequence(), detail);
}
