//! `permit replay`: every recorded permit is derived again from the repository's objects, byte for byte.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use super::args::ReplayArgs;
use super::decide::{Place, decide};
use super::fault;
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::session::{Governed, Session, commit_id, not_governed};
use super::stream::Stream;
use crate::engine::canonical;
use crate::engine::chain::{Event, EventType, SealedEvent, Tip};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::{CommitSha, PermitId};
use crate::engine::replay::{Difference, Recorded, differences};
use crate::git::{CommitId, History, event_commit_bytes, event_commit_id};

/// How many divergences are kept and shown; all are counted.
const SHOWN: usize = 100;

/// A record that the same inputs do not give again.
#[derive(Debug, Serialize)]
struct Divergence {
    stream_id: String,
    sequence: u64,
    permit_id: String,
    reason: Code,
    detail: String,
    differences: Vec<Difference>,
}

/// A permit that was issued under an older commit than the permit before it.
#[derive(Debug, Serialize)]
struct Rollback {
    stream_id: String,
    sequence: u64,
    governed_commit: CommitSha,
    previous: CommitSha,
}

/// What replaying found so far.
#[derive(Default)]
struct Findings {
    replayed: u64,
    diverged: u64,
    divergences: Vec<Divergence>,
    rollbacks: Vec<Rollback>,
}

/// Which events are replayed.
struct Range {
    permit_id: Option<PermitId>,
    from: u64,
    to: u64,
}

pub(crate) fn run(session: &Session, args: &ReplayArgs) -> Result<Outcome, Refusal> {
    let permit_id = args
        .permit_id
        .as_deref()
        .map(|text| {
            text.parse()
                .map_err(|error| fault::input(format!("the permit id {error}")))
        })
        .transpose()?;
    let range = Range {
        permit_id,
        from: args.from.unwrap_or(0),
        to: args.to.unwrap_or(u64::MAX),
    };
    let streams = if args.all {
        Stream::all(session)?
    } else {
        vec![Stream::new(session, &args.stream)?]
    };
    let mut findings = Findings::default();
    let mut broken = None;
    for stream in &streams {
        let fault = Replay::new(session, stream)?.run(&range, &mut findings)?;
        broken = broken.or(fault);
    }
    if range.permit_id.is_some() && findings.replayed == 0 && broken.is_none() {
        broken = Some(Refusal::new(
            Code::NotIssued,
            "no such permit was issued on the stream",
        ));
    }
    Ok(outcome(session, findings, broken))
}

/// Derives recorded permits of a stream again.
pub(crate) struct Replay<'s> {
    session: &'s Session,
    stream: &'s Stream<'s>,
    history: Option<History<'s>>,
    governed: BTreeMap<CommitId, Governed<'s>>,
    /// The issuance that stands after the one at hand: its sequence, commit and place behind the governed tip.
    later: Option<(u64, CommitSha, u64)>,
}

impl<'s> Replay<'s> {
    pub(crate) fn new(session: &'s Session, stream: &'s Stream<'s>) -> Result<Self, Refusal> {
        Ok(Self {
            session,
            stream,
            history: session.governed_history()?,
            governed: BTreeMap::new(),
            later: None,
        })
    }

    /// Derives one recorded permit again, for a boundary that lets it in only then.
    ///
    /// # Errors
    /// `REPLAY_MISMATCH`, or what else speaks against the evidence.
    pub(crate) fn check(&mut self, event: &Event<'_>, commit: CommitId) -> Result<(), Refusal> {
        let diverged = self.replay(event, commit, &mut Findings::default())?;
        diverged.map_or(Ok(()), |found| {
            Err(Refusal::new(
                found.reason,
                format!("event {}: {}", found.sequence, found.detail),
            ))
        })
    }

    /// Walks the stream back through the range; returns the fault of its chain, if it has one.
    fn run(mut self, range: &Range, findings: &mut Findings) -> Result<Option<Refusal>, Refusal> {
        let tip = self.stream.existing_tip()?;
        let (divergences, rollbacks) = (findings.divergences.len(), findings.rollbacks.len());
        let stream = self.stream;
        let verifier = stream.walk(tip.commit, None, |event, commit| {
            let wanted = match range.permit_id {
                Some(id) => event.event_id == id.to_string(),
                None => (range.from..=range.to).contains(&event.sequence),
            };
            if wanted && event.kind() == Some(EventType::PermitIssued) {
                findings.replayed = findings.replayed.saturating_add(1);
                let diverged = self.replay(event, commit, findings)?;
                if let Some(divergence) = diverged {
                    findings.diverged = findings.diverged.saturating_add(1);
                    // Going back, the first in stream order is the last one found: it is kept.
                    if findings.divergences.len() >= divergences.saturating_add(SHOWN) {
                        findings.divergences.remove(divergences);
                    }
                    findings.divergences.push(divergence);
                }
                if range.permit_id.is_some() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(if event.sequence <= range.from {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if let Some(found) = findings.divergences.get_mut(divergences..) {
            found.reverse();
        }
        if let Some(found) = findings.rollbacks.get_mut(rollbacks..) {
            found.reverse();
        }
        let whole = range.permit_id.is_none() && range.from == 0;
        let fault = if whole {
            verifier.finish().err()
        } else {
            verifier.finish_part().err()
        };
        Ok(fault.map(|fault| stream.broken(&fault)))
    }

    fn replay(
        &mut self,
        event: &Event<'_>,
        commit: CommitId,
        findings: &mut Findings,
    ) -> Result<Option<Divergence>, Refusal> {
        let diverged = |reason: Code, detail: String, differences: Vec<Difference>| Divergence {
            stream_id: self.stream.id.clone(),
            sequence: event.sequence,
            permit_id: event.event_id.to_owned(),
            reason,
            detail,
            differences,
        };
        let recorded = match Recorded::read(event) {
            Ok(recorded) => recorded,
            Err(fault) => {
                let detail = format!("the payload is malformed at {fault}");
                return Ok(Some(diverged(Code::ReplayMismatch, detail, Vec::new())));
            }
        };
        let parent = self.stream.parent_of(commit)?;
        match self.derive(event, parent, &recorded, findings) {
            Ok(derived) => {
                let bytes =
                    event_commit_bytes(parent, event.sequence, derived.message().as_bytes());
                let found = differing(event, &derived)?;
                if found.is_empty() && event_commit_id(&bytes) == commit {
                    return Ok(None);
                }
                let detail = if found.is_empty() {
                    "the commit is another one than the event gives".to_owned()
                } else {
                    "deciding again gives another event".to_owned()
                };
                Ok(Some(diverged(Code::ReplayMismatch, detail, found)))
            }
            Err(refusal) if refusal.class() == Class::Failed => Err(refusal),
            Err(refusal) => {
                let reason = if refusal.class() == Class::Unverified {
                    refusal.code
                } else {
                    Code::ReplayMismatch
                };
                let detail = format!("{}: {}", refusal.code, refusal.message);
                Ok(Some(diverged(reason, detail, Vec::new())))
            }
        }
    }

    /// Decides again from what the event names and the repository holds.
    fn derive(
        &mut self,
        event: &Event<'_>,
        parent: Option<CommitId>,
        recorded: &Recorded<'_>,
        findings: &mut Findings,
    ) -> Result<SealedEvent, Refusal> {
        const REMEMBERED: usize = 64;
        let commit = commit_id(recorded.governed_commit);
        self.check_governed(event.sequence, recorded.governed_commit, findings)?;
        if !self.governed.contains_key(&commit) {
            if self.governed.len() >= REMEMBERED {
                self.governed.clear();
            }
            let governed = self.session.govern_commit(commit)?;
            self.governed.insert(commit, governed);
        }
        let governed = self
            .governed
            .get(&commit)
            .ok_or_else(|| Refusal::new(Code::Internal, "a governed commit was forgotten"))?;
        let tip = Tip {
            stream_id: self.stream.id.clone(),
            sequence: event.sequence.saturating_sub(1),
            event_hash: event
                .prev
                .hash()
                .ok_or_else(|| Refusal::new(Code::ReplayMismatch, "the event links to nothing"))?,
        };
        let place = Place {
            stream: self.stream,
            from: parent,
            sequence: event.sequence,
            derived: &BTreeMap::new(),
        };
        let decided = decide(self.session, governed, &recorded.request, &place)
            .map_err(|undecided| undecided.refusal)?;
        let (_, event) = decided.derive(&recorded.request, &tip, governed)?;
        Ok(event)
    }

    /// Checks that the commit is on the governed ref, and notes it where the next permit went back behind it.
    fn check_governed(
        &mut self,
        sequence: u64,
        commit: CommitSha,
        findings: &mut Findings,
    ) -> Result<(), Refusal> {
        let Some(history) = &mut self.history else {
            return Ok(());
        };
        let name = self.session.governed_ref().unwrap_or_default();
        let place = history
            .position(commit_id(commit))?
            .ok_or_else(|| not_governed(commit_id(commit), name))?;
        if let Some((later, governed_commit, later_place)) = self.later
            && later_place > place
            && findings.rollbacks.len() < SHOWN
        {
            findings.rollbacks.push(Rollback {
                stream_id: self.stream.id.clone(),
                sequence: later,
                governed_commit,
                previous: commit,
            });
        }
        self.later = Some((sequence, commit, place));
        Ok(())
    }
}

fn differing(event: &Event<'_>, derived: &SealedEvent) -> Result<Vec<Difference>, Refusal> {
    let again = Event::read(derived.artifact().as_bytes())
        .map_err(|what| Refusal::new(Code::Internal, what))?;
    if again.computed_hash == event.computed_hash {
        return Ok(Vec::new());
    }
    let malformed = |fault: canonical::Fault| Refusal::new(Code::Internal, fault.to_string());
    let payloads = differences(
        &event.payload_value().map_err(malformed)?,
        &again.payload_value().map_err(malformed)?,
    );
    let mut found: Vec<_> = payloads
        .into_iter()
        .map(|difference| Difference {
            path: difference.path.replacen('$', "$.event.payload", 1),
            ..difference
        })
        .collect();
    for (path, recorded, derived) in [
        ("$.event.event_id", event.event_id, again.event_id),
        ("$.event.policy_hash", event.policy_hash, again.policy_hash),
        (
            "$.event.request_fingerprint",
            event.request_fingerprint,
            again.request_fingerprint,
        ),
    ] {
        if recorded != derived {
            found.push(Difference {
                path: path.to_owned(),
                recorded: Some(recorded.to_owned().into()),
                derived: Some(derived.to_owned().into()),
            });
        }
    }
    Ok(found)
}

fn outcome(session: &Session, findings: Findings, broken: Option<Refusal>) -> Outcome {
    let mut outcome = Outcome::ok("replay")
        .field("replayed", findings.replayed)
        .field("diverged", findings.diverged)
        .field("governed_ref", session.governed_ref())
        .text(text(&findings, broken.is_some()));
    outcome.warnings = findings
        .rollbacks
        .iter()
        .map(|rollback| {
            format!(
                "event {} was decided under {}, which is older than {} of the permit before it",
                rollback.sequence, rollback.governed_commit, rollback.previous
            )
        })
        .collect();
    let diverged = findings.divergences.first().map(|first| {
        Refusal::new(
            first.reason,
            format!(
                "event {} of `{}`: {}",
                first.sequence, first.stream_id, first.detail
            ),
        )
        .detail("permit_id", first.permit_id.as_str())
    });
    if let Some(refusal) = broken.or(diverged) {
        outcome.refuse(refusal);
    }
    outcome
        .field("divergences", findings.divergences)
        .field("rollbacks", findings.rollbacks)
}

fn text(findings: &Findings, broken: bool) -> String {
    let word = match (findings.diverged, findings.rollbacks.is_empty()) {
        (0, _) if broken => paint(BAD, "incomplete"),
        (0, true) => paint(GOOD, "identical"),
        (0, false) => paint(WARN, "identical, with rollbacks"),
        _ => paint(BAD, "diverged"),
    };
    let mut text = format!(
        "{word}: {} permits derived again, {} differ\n",
        findings.replayed, findings.diverged
    );
    for divergence in &findings.divergences {
        text.push_str(&format!(
            "event {} {}\n",
            divergence.sequence,
            paint(DIM, &safe(&divergence.detail))
        ));
        for difference in &divergence.differences {
            text.push_str(&format!(
                "  {}\n    recorded {}\n    derived  {}\n",
                safe(&difference.path),
                value(difference.recorded.as_ref()),
                value(difference.derived.as_ref())
            ));
        }
    }
    text
}

fn value(value: Option<&canonical::Value<'static>>) -> String {
    value.map_or_else(
        || "nothing".to_owned(),
        |value| safe(&String::from_utf8_lossy(&canonical::to_bytes(value))),
    )
}
