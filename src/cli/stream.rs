//! One audit stream as commands use it: its tip, a walk back from it, and appending what was derived from the tip.

mod append;
mod authority;
mod memory;
mod portions;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::ControlFlow;

use super::fault;
use super::progress::Progress;
use super::remote::Remote;
use super::session::Session;
use crate::engine::chain::{Event, Expectation, Fault, Order, Tip, Verdict, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::engine::text::stream_id_fault;
use crate::git::{CommitId, EventBytes, EventFault, Repository, StreamRef, Subject};

pub(crate) use append::{Appended, Sink, TRIES};
pub(crate) use authority::{Published, Standing};
pub(crate) use memory::recall;
pub(crate) use portions::push_limit;

/// The refs under which streams stand.
pub(crate) const STREAMS: &str = "refs/permit/streams/";

/// A stream of a repository.
pub(crate) struct Stream<'r> {
    pub(crate) id: String,
    repository: &'r Repository,
    reference: StreamRef<'r>,
    /// Who has to accept an event before it counts, where that is not this repository.
    authority: Option<&'r Remote>,
    session: &'r Session,
    /// A tip that was found to contain the newest that was seen.
    seen: Cell<Option<(CommitId, CommitId)>>,
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
            let stream = Stream::new(session, id)?;
            // That it went back, or is broken, is told after its walk.
            let tip = match stream.reference.tip()? {
                None => stream.tip_commit()?,
                tip => tip,
            };
            vec![(id.to_owned(), tip.ok_or_else(|| missing(repository, id))?)]
        }
        None => repository
            .refs_with_prefix(STREAMS)?
            .into_iter()
            .map(|(name, tip)| (name.replacen(STREAMS, "", 1), tip))
            .collect(),
    };
    for (id, _) in &found {
        check_id(id)?;
    }
    Ok(found)
}

/// The streams that this repository remembers and whose refs are gone: the reason for each.
///
/// Memory is never evidence for a yes; where it was deleted, nothing is known to be gone (core.md section 10).
pub(crate) fn lost(session: &Session, found: &[String]) -> Vec<(String, Refusal)> {
    let gone = remembered(session)
        .into_iter()
        .filter(|id| stream_id_fault(id).is_none() && !found.contains(id));
    gone.map(|id| {
        let refusal = lost_stream(&id);
        (id, refusal)
    })
    .collect()
}

/// The streams of a repository that went back behind an event that was seen: the reason for each.
pub(crate) fn rewound(session: &Session, found: &[String]) -> Vec<(String, Refusal)> {
    let went_back = |id: &String| {
        let stream = Stream::new(session, id).ok()?;
        let refusal = stream.tip_commit().err()?;
        (refusal.code == Code::StreamRewound).then(|| (id.clone(), refusal))
    };
    found.iter().filter_map(went_back).collect()
}

/// The ids of the streams that were seen, here or at the authority.
fn remembered(session: &Session) -> BTreeSet<String> {
    let repository = &session.repository;
    let mut ids: BTreeSet<String> = repository.remembered_streams(None).into_iter().collect();
    if let Some(remote) = &session.authority {
        ids.extend(repository.remembered_streams(Some(remote.name())));
    }
    // What cannot be read is no memory of a stream.
    let is_seen = |id: &String| {
        let of = |remote| recall(repository, remote, Subject::Stream(id)).is_some();
        of(None)
            || session
                .authority
                .as_ref()
                .is_some_and(|remote| of(Some(remote.name())))
    };
    ids.into_iter().filter(is_seen).collect()
}

fn lost_stream(id: &str) -> Refusal {
    Refusal::new(
        Code::StreamLost,
        format!("the stream `{id}` existed in this repository and its ref is gone"),
    )
}

fn check_id(id: &str) -> Result<(), Refusal> {
    stream_id_fault(id).map_or(Ok(()), |what| {
        Err(fault::input(format!("the stream id `{id}` {what}"))
            .next("take lower-case letters, digits and `.`, `_`, `-` in it, such as `main`; `permit stream list` names those that exist"))
    })
}

/// Says that a stream does not exist, and which do.
fn missing(repository: &Repository, id: &str) -> Refusal {
    const SHOWN: usize = 8;
    let refusal = Refusal::new(
        Code::StreamMissing,
        format!("the stream `{id}` does not exist"),
    );
    // Where the refs cannot be listed, what is missing is missing all the same.
    let there = repository.refs_with_prefix(STREAMS).unwrap_or_default();
    let names = there
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(STREAMS));
    let refusal = names
        .take(SHOWN)
        .fold(refusal, |refusal, name| refusal.detail("exists", name));
    let opening = format!("permit stream open {id}");
    refusal.next(match fetching(repository) {
        Some(fetch) => format!("{fetch}; or begin it: {opening}"),
        None => opening,
    })
}

/// Says that a repository holds no stream at all.
pub(crate) fn none(session: &Session) -> Refusal {
    Refusal::new(
        Code::StreamMissing,
        "this repository holds no stream, so that nothing was looked at",
    )
    .next(match fetching(&session.repository) {
        Some(fetch) => format!("{fetch}; where there may be none: `--allow-empty`"),
        None => "permit stream open main; where there may be none: `--allow-empty`".to_owned(),
    })
}

/// The command that brings the streams of the first remote, `origin` before others; nothing where there is no remote.
fn fetching(repository: &Repository) -> Option<String> {
    let remotes = repository.remotes().unwrap_or_default();
    let origin = remotes.iter().find(|name| *name == "origin");
    let remote = origin.or(remotes.first())?;
    Some(format!("git fetch {remote} '{STREAMS}*:{STREAMS}*'"))
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
            session,
            seen: Cell::new(None),
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

    /// The newest event's commit, unread, which contains the newest that was seen.
    ///
    /// # Errors
    /// `STREAM_REWOUND` where it does not, `STREAM_LOST` where the ref is gone.
    pub(crate) fn tip_commit(&self) -> Result<Option<CommitId>, Refusal> {
        let tip = self.present_tip()?;
        if tip.is_none() {
            self.refuse_lost()?;
        }
        Ok(tip)
    }

    /// As [`Stream::tip_commit`], for the one command that brings a stream back whose ref is gone.
    pub(crate) fn present_tip(&self) -> Result<Option<CommitId>, Refusal> {
        // Memory first: what is remembered by now is in the ref that is read after it.
        let newest = self.recalled(self.whose());
        let tip = self.reference.tip()?;
        if let (Some(tip), Some(newest)) = (tip, newest) {
            self.check_seen(tip, newest)?;
        }
        Ok(tip)
    }

    /// Refuses where the ref is gone of a stream that was seen here or at the authority.
    fn refuse_lost(&self) -> Result<(), Refusal> {
        let newest = self.recalled(self.whose()).or_else(|| self.recalled(None));
        newest.map_or(Ok(()), |newest| Err(self.lost(newest)))
    }

    /// The newest event of a stream that has to exist.
    pub(crate) fn existing_tip(&self) -> Result<At, Refusal> {
        self.tip()?.ok_or_else(|| self.missing())
    }

    /// Says that the stream does not exist.
    pub(crate) fn missing(&self) -> Refusal {
        missing(self.repository, &self.id)
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

    /// Walks on from a commit and shows each event to the verifier, then to the visitor; returns the commit at which it
    /// stopped because that is no event.
    ///
    /// # Errors
    /// As [`Stream::walk`].
    pub(super) fn walk_on(
        &self,
        from: CommitId,
        verifier: &mut Verifier,
        mut visit: impl FnMut(&Event<'_>, &EventBytes<'_>) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<Option<CommitId>, Refusal> {
        for found in self.reference.walk(from) {
            let found = match found {
                Ok(found) => found,
                Err((commit, fault @ (EventFault::Missing | EventFault::Failed(_)))) => {
                    return Err(self.unreadable(commit, &fault));
                }
                Err((commit, fault)) => {
                    // What a broken event says of itself counts for nothing; what stands before it is another matter.
                    note_malformed(verifier, commit, &fault);
                    return Ok(Some(commit));
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
                    return Ok(Some(found.id()));
                }
            }
        }
        Ok(None)
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
        self.refuse_lost()
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
            EventFault::Failed(what) => Refusal::new(
                Code::GitError,
                format!(
                    "commit {commit} of the stream `{}` cannot be opened: {what}",
                    self.id
                ),
            )
            .next("see to it that this user may read the repository's objects, then run it again"),
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

fn note_malformed(verifier: &mut Verifier, commit: CommitId, what: &impl Display) {
    let detail = format!("commit {commit}: {what}");
    verifier.note(Verdict::Malformed, verifier.next_sequence(), detail);
}
