//! `stream.*` and `hap.*`: only new events that fit the chain and can be derived again.

use std::collections::BTreeSet;

use super::history::History;
use super::push::{Push, Update};
use super::{closed, used};
use crate::cli::decide::{Derived, Place, lacks_message};
use crate::cli::hap::Received;
use crate::cli::replay::Replay;
use crate::cli::review::inquiry::judge_at;
use crate::cli::stream::Stream;
use crate::engine::canonical::{self, Value};
use crate::engine::chain::{Event, EventType, Order, SealedEvent, Tip, Verdict, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{CommitSha, ReviewId};
use crate::engine::enforce::{Class, Finding};
use crate::engine::rules::Rules;
use crate::git::{CommitId, EventBytes, StreamRef, event_commit_bytes, event_commit_id};

use crate::cli::ledger::Entry;

/// The commits that a push adds to a stream, oldest first, or that it does not only add.
enum Added {
    Appended(Vec<CommitId>),
    Rewritten,
}

/// Judges an audit stream.
pub(super) fn judge(push: &Push<'_>, update: &Update, id: &str) -> (Class, Finding) {
    let Some(new) = update.new else {
        let what = format!("the stream `{id}` must not be deleted");
        let refusal = Refusal::new(Code::StreamDelete, what);
        return (Class::StreamDelete, refusal.into());
    };
    let judged = || -> Result<(Class, Finding), Refusal> {
        let stream = Stream::new(push.session, id)
            .map_err(|refusal| Refusal::new(Code::EventNotAllowed, refusal.message))?;
        let reference = push.session.repository.stream(&update.name)?;
        let [old, new] =
            [update.old, Some(new)].map(|id| id.map(|id| CommitId::new(*id.as_bytes())));
        let new = new.ok_or_else(|| stream.missing())?;
        match added(push, &stream, &reference, old, new)? {
            Added::Rewritten => {
                let what = format!("the push rewrites the stream `{id}`");
                Ok((
                    Class::StreamRewrite,
                    Refusal::new(Code::StreamRewrite, what).into(),
                ))
            }
            Added::Appended(commits) => {
                let finding = closed(derive_all(push, &stream, &reference, (old, &commits)));
                Ok((Class::StreamAppend, finding))
            }
        }
    };
    judged().unwrap_or_else(|refusal| (Class::StreamAppend, refusal.into()))
}

/// Judges a tail that is kept aside: made once under its own event's hash, checked as a chain, never changed. It counts
/// for nothing, so that nothing in it is derived again.
pub(super) fn judge_orphan(
    push: &Push<'_>,
    update: &Update,
    id: &str,
    hash: &str,
) -> (Class, Finding) {
    let name = &update.name;
    let Some(new) = update.new else {
        let what = format!("`{name}` must not be deleted");
        return (
            Class::StreamDelete,
            Refusal::new(Code::StreamDelete, what).into(),
        );
    };
    if update.old.is_some() {
        let what = format!("`{name}` must not be changed");
        return (
            Class::StreamRewrite,
            Refusal::new(Code::StreamRewrite, what).into(),
        );
    }
    let new = CommitId::new(*new.as_bytes());
    let checked = || -> Result<Finding, Refusal> {
        let stream = Stream::new(push.session, id)
            .map_err(|refusal| Refusal::new(Code::EventNotAllowed, refusal.message))?;
        if stream.read_at(new)?.tip.event_hash.to_string() != hash {
            let what = format!("`{name}` is not named after the hash of its newest event");
            return Err(Refusal::new(Code::EventNotAllowed, what));
        }
        let landed = push.session.repository.ref_target(stream.reference())?;
        let common = landed.map_or(Ok(None), |landed| stream.common(new, landed))?;
        let events = stream.verify_since(new, common)?;
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        Ok(Finding::allowed()
            .with("events", events)
            .with("stream_id", id.to_owned()))
    };
    (Class::StreamAppend, closed(checked()))
}

/// Walks from the new tip back to the old one and verifies the chain on the way; reads the push, not the history.
fn added(
    push: &Push<'_>,
    stream: &Stream<'_>,
    reference: &StreamRef<'_>,
    old: Option<CommitId>,
    new: CommitId,
) -> Result<Added, Refusal> {
    let before = old.map(|old| stream.read_at(old)).transpose()?;
    let mut verifier = Verifier::new(Order::Backward, Some(&stream.id), None);
    let (mut commits, mut at) = (Vec::new(), Some(new));
    while let Some(commit) = at {
        let looked = read(reference, commit).and_then(|found| {
            parse(&found)
                .map(|event| verifier.see(&event))
                .map(|()| found)
        });
        let found = match (looked, old) {
            (Ok(found), _) => found,
            // What is no event says of no place in the stream; only its parents do.
            (Err(_), Some(old)) if !descends(stream, commit, old) => return Ok(Added::Rewritten),
            (Err(refusal), _) => return Err(refusal),
        };
        let event = parse(&found)?;
        if Some(commit) == old {
            break;
        }
        // What stands at or before the old tip's sequence and is not the old tip is another history.
        if before
            .as_ref()
            .is_some_and(|before| event.sequence <= before.tip.sequence)
        {
            return Ok(Added::Rewritten);
        }
        push.count_event(found.bytes().len())?;
        commits.push(commit);
        at = found.parent();
    }
    match (at, old) {
        (None, Some(_)) => return Ok(Added::Rewritten),
        (Some(_), Some(_)) => verifier.finish_part(),
        (_, None) => verifier.finish().map(|_| ()),
    }
    .map_err(|fault| stream.broken(&fault))?;
    commits.reverse();
    Ok(Added::Appended(commits))
}

/// Tells whether a commit goes back to another by first parents, whatever they hold.
fn descends(stream: &Stream<'_>, commit: CommitId, from: CommitId) -> bool {
    let mut at = Some(commit);
    while let Some(commit) = at.filter(|commit| *commit != from) {
        at = stream.parent_of(commit).ok().flatten();
    }
    at.is_some()
}

fn read<'s>(reference: &'s StreamRef<'_>, commit: CommitId) -> Result<EventBytes<'s>, Refusal> {
    reference.read_event(commit).map_err(|fault| {
        Refusal::new(
            Verdict::Malformed.code(),
            format!("commit {commit}: {fault}"),
        )
    })
}

fn parse<'e>(found: &'e EventBytes<'_>) -> Result<Event<'e>, Refusal> {
    Event::read_commit(found.message(), found.time(), found.parent().is_some()).map_err(|what| {
        let what = format!("commit {}: {what}", found.id());
        Refusal::new(Verdict::Malformed.code(), what)
    })
}

fn derive_all(
    push: &Push<'_>,
    stream: &Stream<'_>,
    reference: &StreamRef<'_>,
    (old, commits): (Option<CommitId>, &[CommitId]),
) -> Result<Finding, Refusal> {
    if push.base.is_none() {
        let refusal = push.nothing_governed();
        return Err(if push.touches(&push.governed) {
            Refusal {
                code: Code::GovernedStale,
                ..refusal
            }
        } else {
            refusal
        });
    }
    let mut replay = Replay::at_boundary(push.session, stream)?;
    let mut history = History::look(stream, old, named(reference, commits)?)?;
    let mut last = 0_u64;
    for &commit in commits {
        let found = read(reference, commit)?;
        let event = parse(&found)?;
        let new = NewEvent {
            push,
            stream,
            event: &event,
            commit,
            parent: found.parent(),
            history: &history,
        };
        let derived = if event.kind() == Some(EventType::PermitIssued) {
            replay.check(&event, found.parent())
        } else {
            new.derive()
        };
        derived.map_err(|refusal| new.until_landed(refusal))?;
        push.spend(stream, &event)?;
        history.pass(&event, commit, found.parent());
        last = event.sequence;
    }
    let count = i64::try_from(commits.len()).unwrap_or(i64::MAX);
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    Ok(Finding::allowed()
        .with("events", count)
        .with("sequence", last)
        .with("stream_id", stream.id.clone()))
}

/// The permits that events of a push name and that it does not issue itself.
fn named(reference: &StreamRef<'_>, commits: &[CommitId]) -> Result<BTreeSet<String>, Refusal> {
    let (mut named, mut own) = (BTreeSet::new(), BTreeSet::new());
    for &commit in commits {
        let found = read(reference, commit)?;
        let event = parse(&found)?;
        if event.kind() == Some(EventType::PermitIssued) {
            own.insert(event.event_id.to_owned());
        } else if let Some(id) = event.payload_text("permit_id")
            && !own.contains(&id)
        {
            named.insert(id);
        }
    }
    Ok(named)
}

/// An event that a push adds, with the place where it stands.
pub(super) struct NewEvent<'a> {
    pub(super) push: &'a Push<'a>,
    pub(super) stream: &'a Stream<'a>,
    pub(super) event: &'a Event<'a>,
    pub(super) commit: CommitId,
    pub(super) parent: Option<CommitId>,
    /// The permits that are named by it, up to the event before it.
    pub(super) history: &'a History,
}

impl NewEvent<'_> {
    /// Derives the event again from what it names and the repository holds.
    fn derive(&self) -> Result<(), Refusal> {
        match self.event.kind() {
            Some(EventType::StreamOpened) => self.opened(),
            Some(EventType::PermitUsed) => used::used(self),
            Some(EventType::ReviewResolved) => self.resolved(),
            Some(
                kind @ (EventType::ToolExecRequested
                | EventType::ToolExecAllowed
                | EventType::ToolExecWarned
                | EventType::ToolExecBlocked),
            ) => used::executed(self, kind),
            Some(EventType::PermitIssued) | None => Err(self.not_allowed(&format!(
                "is of the unknown type `{}`",
                self.event.event_type
            ))),
        }
    }

    fn opened(&self) -> Result<(), Refusal> {
        let commit = self.governed_commit()?;
        // An opening decides nothing, so that governance may have changed since.
        let governed = self.push.session.govern(&commit.to_string())?;
        self.is(&SealedEvent::open(
            &self.stream.id,
            governed.policy.hash(),
            commit,
        )?)
    }

    /// A verdict is derived from the artifact in the commit that introduced it.
    fn resolved(&self) -> Result<(), Refusal> {
        let payload = self.payload()?;
        let text = |key: &str| payload.at(key).and_then(Value::as_str).unwrap_or_default();
        let (Ok(id), Ok(introduced)) = (
            text("review_id").parse::<ReviewId>(),
            text("introduced_by").parse::<CommitSha>(),
        ) else {
            return Err(self.not_allowed("names no review"));
        };
        let session = self.push.session;
        let governed = session.govern(&introduced.to_string())?;
        let entry = Entry::load(session, &governed, id)?;
        let Some(Entry::Case(case)) = entry.as_deref() else {
            return Err(self.not_allowed("names a review that its commit does not hold"));
        };
        let place = Place {
            stream: self.stream,
            from: self.parent,
            sequence: self.event.sequence,
            derived: &Derived::default(),
            rules: Rules::New,
        };
        let judgement = judge_at(session, &governed, case, None, &place)?;
        let Value::Object(mut record) = judgement.into_record()?.to_value()? else {
            return Err(Refusal::new(Code::Internal, "a record is an object"));
        };
        if lacks_message(self.event) {
            record.remove("message_sha256");
        }
        let document = case.artifact.document();
        self.is(&SealedEvent::record(
            EventType::ReviewResolved,
            &self.before()?,
            document.policy_hash,
            document.request_fingerprint,
            record,
        )?)
    }

    /// Tells what to push first where a commit of the same push is all that is missing.
    fn until_landed(&self, refusal: Refusal) -> Refusal {
        let names = |key: &str| {
            let text = self.event.payload_text(key)?;
            text.parse::<CommitId>().ok()
        };
        let mut commits = ["governed_commit", "introduced_by"]
            .into_iter()
            .filter_map(names);
        if refusal.code != Code::CommitNotGoverned
            || !commits.any(|commit| self.push.brings(commit))
        {
            return refusal;
        }
        let what = format!(
            "event {} ({}) is governed by a commit of the same push, which Git may not land",
            self.event.sequence, self.event.event_type
        );
        let governed = &self.push.governed;
        Refusal::new(Code::GovernedStale, what)
            .next(format!("push {governed} first, then this stream again"))
    }

    pub(super) fn payload(&self) -> Result<Value<'_>, Refusal> {
        let malformed =
            |fault: canonical::Fault| Refusal::new(Code::ChainMalformed, fault.to_string());
        self.event.payload_value().map_err(malformed)
    }

    /// The governed commit that the payload names.
    pub(super) fn governed_commit(&self) -> Result<CommitSha, Refusal> {
        self.event
            .payload_text("governed_commit")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.not_allowed("names no governed commit"))
    }

    /// The tip that the event was derived from.
    pub(super) fn before(&self) -> Result<Tip, Refusal> {
        let event_hash = self.event.prev.hash();
        Ok(Tip {
            stream_id: self.stream.id.clone(),
            sequence: self.event.sequence.saturating_sub(1),
            event_hash: event_hash.ok_or_else(|| self.not_allowed("links to nothing"))?,
        })
    }

    /// Compares the commit with the one that a derived event gives.
    pub(super) fn is(&self, derived: &SealedEvent) -> Result<(), Refusal> {
        let message = derived.message();
        let bytes = event_commit_bytes(self.parent, derived.sequence(), message.as_bytes());
        if event_commit_id(&bytes) == self.commit {
            return Ok(());
        }
        let what = format!(
            "event {} ({}) is not what its evidence gives",
            self.event.sequence, self.event.event_type
        );
        Err(Refusal::new(Code::ReplayMismatch, what)
            .detail("recorded", self.event.computed_hash.to_string())
            .detail("derived", derived.event_hash().to_string()))
    }

    pub(super) fn not_allowed(&self, what: &str) -> Refusal {
        let what = format!(
            "event {} ({}) {what}",
            self.event.sequence, self.event.event_type
        );
        Refusal::new(Code::EventNotAllowed, what)
    }
}

/// Judges a ref of the Human Agency Protocol: one commit a record of its kind, linked, only ever appended.
pub(super) fn judge_hap(push: &Push<'_>, update: &Update) -> (Class, Finding) {
    let rewritten = |what: &str| {
        let refusal = Refusal::new(Code::StreamRewrite, format!("`{}` {what}", update.name));
        (Class::HapRewrite, refusal.into())
    };
    let (Some(new), old) = (update.new, update.old) else {
        return rewritten("must not be deleted");
    };
    let walked = || -> Result<bool, Refusal> {
        let reference = push.session.repository.stream(&update.name)?;
        let old = old.map(|id| CommitId::new(*id.as_bytes()));
        let (mut added, mut at) = (Vec::new(), Some(CommitId::new(*new.as_bytes())));
        while let Some(commit) = at.filter(|commit| Some(*commit) != old) {
            let found = read(&reference, commit)?;
            push.count_event(found.bytes().len())?;
            added.push(commit);
            at = found.parent();
        }
        if at != old {
            return Ok(false);
        }
        let mut records = Received::at(push.session, push.base, &update.name)?;
        if let Some(old) = old {
            let last = read(&reference, old)?;
            records.resume(last.message(), last.time())?;
        }
        for &commit in added.iter().rev() {
            let found = read(&reference, commit)?;
            let record = records.take(found.message(), found.time());
            record.map_err(|refusal| refusal.detail("commit", commit.to_string()))?;
        }
        Ok(true)
    };
    match walked() {
        Ok(true) => (Class::HapAppend, Finding::allowed()),
        Ok(false) => rewritten("is rewritten"),
        Err(refusal) => (Class::HapAppend, refusal.into()),
    }
}
