//! The local events of a stream that the authority lacks, where it holds others in their place.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::{Value, json};

use super::decide::{Decided, Derived, Place, decide, prepare};
use super::in_force::InForce;
use super::session::{Act, Governed, Session, commit_id};
use super::stream::Stream;
use crate::engine::chain::{Event, EventType, SealedEvent};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::{CommitSha, PermitId};
use crate::engine::replay::Recorded;
use crate::engine::request::Request;
use crate::engine::rules::Rules;
use crate::git::CommitId;

/// The refs under which tails are kept that cannot be derived again.
pub(crate) const ORPHANS: &str = "refs/permit/orphans/";

/// A permit that was derived again on another event.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rederived {
    pub(crate) old: String,
    pub(crate) new: PermitId,
    /// Where the new one stands.
    sequence: u64,
}

/// A tail that was set aside.
#[derive(Debug, Serialize)]
pub(crate) struct Orphan {
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    commit: String,
    /// How many events the authority lacks.
    pub(crate) events: u64,
    /// Why they were not derived again.
    pub(crate) why: String,
    /// What that is called.
    #[serde(skip)]
    pub(crate) code: Code,
    /// The permits that were used there, and those that were issued there.
    used: Vec<String>,
    issued: Vec<String>,
}

/// A tail, oldest event first.
pub(crate) struct Tail {
    /// Why it must be set aside as it is: what it holds beside unused permits.
    pub(crate) contested: Option<String>,
    permits: Vec<Issued>,
    used: Vec<String>,
    /// What the uses were governed by.
    used_under: BTreeSet<CommitSha>,
    events: u64,
}

/// What a permit of the tail was decided from.
struct Issued {
    permit_id: String,
    request: Request,
    governed_commit: CommitSha,
}

impl Tail {
    /// Reads and verifies the local events after the common one.
    ///
    /// # Errors
    /// `CHAIN_*` where they are broken.
    pub(crate) fn read(
        stream: &Stream<'_>,
        newest: CommitId,
        common: Option<CommitId>,
    ) -> Result<Self, Refusal> {
        let mut tail = Self {
            contested: None,
            permits: Vec::new(),
            used: Vec::new(),
            used_under: BTreeSet::new(),
            events: 0,
        };
        let verifier = stream.walk(newest, None, |event, commit| {
            if Some(commit) == common {
                return Ok(ControlFlow::Break(()));
            }
            tail.see(event)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let fault = match common {
            Some(_) => verifier.finish_part().err(),
            None => verifier.finish().err(),
        };
        if let Some(fault) = fault {
            return Err(stream.broken(&fault));
        }
        tail.permits.reverse();
        tail.used.reverse();
        Ok(tail)
    }

    fn see(&mut self, event: &Event<'_>) -> Result<(), Refusal> {
        self.events = self.events.saturating_add(1);
        match event.kind() {
            Some(EventType::PermitIssued) => {
                let recorded = Recorded::read(event).map_err(|fault| {
                    let what = format!("event {} is malformed at {fault}", event.sequence);
                    Refusal::new(Code::ChainMalformed, what)
                })?;
                self.permits.push(Issued {
                    permit_id: event.event_id.to_owned(),
                    request: recorded.request,
                    governed_commit: recorded.governed_commit,
                });
                return Ok(());
            }
            Some(EventType::PermitUsed) => {
                self.used.push(event.event_id.to_owned());
                let governed = event.payload_text("governed_commit");
                self.used_under
                    .extend(governed.and_then(|commit| commit.parse::<CommitSha>().ok()));
            }
            Some(
                EventType::StreamOpened
                | EventType::ReviewResolved
                | EventType::ToolExecRequested
                | EventType::ToolExecAllowed
                | EventType::ToolExecWarned
                | EventType::ToolExecBlocked,
            )
            | None => {}
        }
        // The walk goes back, so that the oldest such event gives the reason.
        let what = format!("event {} is `{}`", event.sequence, event.event_type);
        self.contested = Some(what);
        Ok(())
    }

    /// Keeps the tail under a ref of its own, durably; one that is kept already stays.
    pub(crate) fn keep(
        &self,
        session: &Session,
        stream: &Stream<'_>,
        newest: CommitId,
        code: Code,
        why: String,
    ) -> Result<Orphan, Refusal> {
        let event_hash = stream.read_at(newest)?.tip.event_hash;
        let name = format!("{ORPHANS}{}/{event_hash}", stream.id);
        let kept = session.repository.stream(&name)?;
        if kept.tip()? != Some(newest) {
            kept.swap(None, newest)?;
        }
        Ok(self.described(name, newest, code, why))
    }

    fn described(&self, reference: String, newest: CommitId, code: Code, why: String) -> Orphan {
        Orphan {
            reference,
            commit: newest.to_string(),
            events: self.events,
            why,
            code,
            used: self.used.clone(),
            issued: self
                .permits
                .iter()
                .map(|permit| permit.permit_id.clone())
                .collect(),
        }
    }
}

/// What a tail gives on another event: its events, and old and new ids.
pub(crate) type Again = (Vec<SealedEvent>, Vec<Rederived>);

/// Tells whether something in a tail was issued or used under what is no longer in force.
///
/// # Errors
/// Failures of the repository.
pub(crate) fn is_withdrawn(session: &Session, tail: &Tail) -> Result<bool, Refusal> {
    let in_force = InForce::now(session)?;
    for issued in &tail.permits {
        if in_force.is_tip(commit_id(issued.governed_commit)) {
            continue;
        }
        let judged = session
            .govern(&issued.governed_commit.to_string())
            .and_then(|governed| {
                in_force.check(&governed.snapshot, [])?;
                let prepared = prepare(session, &governed, &issued.request, Rules::New)
                    .map_err(|undecided| undecided.refusal)?;
                in_force.check(&governed.snapshot, prepared.read().iter())
            });
        match judged {
            Err(refusal) if refusal.code == Code::GovernedStale => return Ok(true),
            Err(refusal) if refusal.class() == Class::Failed => return Err(refusal),
            // What else speaks against it, the authority says.
            Ok(()) | Err(_) => {}
        }
    }
    for &commit in &tail.used_under {
        let judged = session
            .govern(&commit.to_string())
            .and_then(|governed| in_force.check(&governed.snapshot, []));
        match judged {
            Err(refusal) if refusal.code == Code::GovernedStale => return Ok(true),
            Err(refusal) if refusal.class() == Class::Failed => return Err(refusal),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(false)
}

/// Decides about a request under the governed commit of its permit, or under the tip where that is no longer in force.
fn decide_in_force<'s>(
    session: &'s Session,
    in_force: &InForce<'_>,
    issued: &Issued,
    place: &Place<'_>,
) -> Result<(Governed<'s>, Decided), Refusal> {
    let under = |commit: CommitSha| {
        let governed = session.govern(&commit.to_string())?;
        in_force.check(&governed.snapshot, [])?;
        let decided = decide(session, &governed, &issued.request, place)
            .map_err(|undecided| undecided.refusal)?;
        in_force.check(&governed.snapshot, decided.read.iter())?;
        Ok((governed, decided))
    };
    let commit = issued.governed_commit;
    under(commit).or_else(|refusal: Refusal| {
        if refusal.code == Code::GovernedStale {
            under(in_force.tip_or(commit_id(commit)))
        } else {
            Err(refusal)
        }
    })
}

/// Decides about every request of a tail again, under what is in force, on the authority's newest event. The inner error says why one of them is no longer granted; then none is.
///
/// # Errors
/// `ROLE_FORBIDDEN`, since this issues; failures of the repository.
pub(crate) fn derive_again(
    session: &Session,
    stream: &Stream<'_>,
    tail: &Tail,
    onto: CommitId,
) -> Result<Result<Again, String>, Refusal> {
    session.allow(Act::Supervise)?;
    let mut tip = stream.read_at(onto)?.tip;
    let (mut events, mut permits) = (Vec::new(), Vec::new());
    let mut derived = Derived::default();
    let in_force = InForce::now(session)?;
    for issued in &tail.permits {
        let place = Place {
            stream,
            from: Some(onto),
            sequence: tip.next_sequence(),
            derived: &derived,
            rules: Rules::New,
        };
        let again =
            decide_in_force(session, &in_force, issued, &place).and_then(|(governed, decided)| {
                let (permit, event) = decided.derive(&issued.request, &tip, &governed)?;
                Ok((permit, event, decided))
            });
        let (permit, event, decided) = match again {
            Ok(again) => again,
            Err(refusal) if refusal.class() == Class::Failed => return Err(refusal),
            Err(refusal) => {
                return Ok(Err(format!(
                    "permit {} is no longer granted: {}: {}",
                    issued.permit_id, refusal.code, refusal.message
                )));
            }
        };
        derived.note(&decided);
        tip = event.tip();
        events.push(event);
        permits.push(Rederived {
            old: issued.permit_id.clone(),
            new: permit.permit_id,
            sequence: permit.issued_at_sequence,
        });
    }
    Ok(Ok((events, permits)))
}

/// Adds what was derived again to what was before: a permit that moved twice keeps its first id as the old one.
pub(crate) fn note(before: &mut Vec<Rederived>, now: Vec<Rederived>) {
    for permit in now {
        let earlier = before
            .iter_mut()
            .find(|earlier| earlier.new.to_string() == permit.old);
        match earlier {
            Some(earlier) => {
                earlier.new = permit.new;
                earlier.sequence = permit.sequence;
            }
            None => before.push(permit),
        }
    }
}

/// What the tails of a stream hold that were kept aside, as the stream never accepted it; it confers nothing.
///
/// # Errors
/// Failures of the repository; of a tail that is broken, its place says so.
pub(crate) fn unaccepted(
    session: &Session,
    stream: &Stream<'_>,
    tip: CommitId,
) -> Result<Vec<Value>, Refusal> {
    let kept = session
        .repository
        .refs_with_prefix(&format!("{ORPHANS}{}/", stream.id))?;
    let describe = |(name, newest): (String, CommitId)| {
        let read = stream
            .common(newest, tip)
            .and_then(|common| Tail::read(stream, newest, common));
        match read {
            Ok(tail) => Ok(json!(tail.described(
                name,
                newest,
                Code::ChainForked,
                "it was never accepted".to_owned()
            ))),
            Err(refusal) if refusal.class() == Class::Failed => Err(refusal),
            Err(refusal) => Ok(json!({
                "ref": name, "commit": newest.to_string(), "reason": refusal.code.name(), "message": refusal.message,
            })),
        }
    };
    kept.into_iter().map(describe).collect()
}

/// Every tail that is kept, by the name of its ref.
pub(crate) fn orphans(session: &Session) -> Result<Vec<(String, CommitId)>, Refusal> {
    Ok(session.repository.refs_with_prefix(ORPHANS)?)
}
