//! `permit replay`: every recorded permit is derived again from the repository's objects, byte for byte.

mod findings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use findings::{Divergence, Findings, Issuance, Superseded, outcome};

use super::args::ReplayArgs;
use super::decide::{Derived, Place, decide};
use super::fault;
use super::in_force::{Course, InForce};
use super::outcome::Outcome;
use super::parts::{self, Chain};
use super::session::{Governed, Session, commit_id, not_governed};
use super::stream::{self, Stream};
use super::tail;
use crate::engine::canonical;
use crate::engine::chain::{Event, EventType, SealedEvent, Tip};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::{CommitSha, PermitId};
use crate::engine::replay::{Difference, Recorded, differences};
use crate::engine::rules::Rules;
use crate::git::{CommitId, EventBytes, History};

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
                .map_err(|error| fault::id("permit", error, "permit status"))
        })
        .transpose()?;
    let range = Range {
        permit_id,
        from: args.from.unwrap_or(0),
        to: args.to.unwrap_or(u64::MAX),
    };
    fault::check_range(range.from, range.to)?;
    let bounded = args.from.is_some() || args.to.is_some();
    let only = (!args.all).then_some(args.stream.as_str());
    let tips = match stream::tips(session, only) {
        Err(missing) if args.allow_empty && missing.code == Code::StreamMissing => Vec::new(),
        tips => tips?,
    };
    let empty = tips.is_empty();
    let mut chains: Vec<Chain<Findings>> = tips
        .iter()
        .map(|(id, tip)| Chain::new(session, id, *tip, None))
        .collect();
    let history = share(session)?;
    parts::survey(session, &mut chains, |session, walk, round| {
        let stream = Stream::new(session, walk.stream_id)?;
        let mut replay = Replay::sharing(session, &stream, history.clone(), Rules::Recorded);
        let walked = walk.run(&stream, round, |event, found| {
            replay.visit(&range, event, found)
        })?;
        Ok((walked, replay.findings))
    })?;
    let in_force = InForce::now(session)?;
    let mut findings = Findings::default();
    let mut broken = None;
    let mut ids = Vec::with_capacity(chains.len());
    for chain in chains {
        ids.push(chain.stream_id.clone());
        // A walk that did not end at what it looked for came to the first event.
        let ended = range.permit_id.is_some() && chain.found.replayed > 0;
        let whole = range.from == 0 && !ended;
        findings.add(&in_force, &chain.stream_id, chain.found)?;
        let fault = chain.verifier.finish_walk(whole).err();
        broken = broken.or(fault.map(|fault| stream::broken(&chain.stream_id, &fault)));
    }
    let rewound = stream::rewound(session, &ids);
    let lost = if args.all {
        stream::lost(session, &ids)
    } else {
        Vec::new()
    };
    let (lost, reasons): (Vec<_>, Vec<_>) = lost.into_iter().unzip();
    broken = broken.or(reasons.into_iter().next());
    if empty && !args.allow_empty {
        broken = broken.or_else(|| Some(stream::none(session)));
    }
    if bounded && !empty {
        let holds = fault::check_range_holds(range.from, range.to, findings.seen);
        broken = broken.or(holds.err());
    }
    if range.permit_id.is_some() && findings.replayed == 0 && broken.is_none() {
        broken = Some(Refusal::new(
            Code::NotIssued,
            "no such permit was issued on the stream, or not in the range",
        ));
    }
    let mut unaccepted = Vec::new();
    for (id, tip) in &tips {
        let stream = Stream::new(session, id)?;
        unaccepted.extend(tail::unaccepted(session, &stream, *tip)?);
    }
    let mut outcome = outcome(findings, broken);
    outcome.set("unaccepted", unaccepted);
    if let (None, Some((_, refusal))) = (&outcome.refusal, rewound.into_iter().next()) {
        outcome.refuse(refusal);
    }
    if args.all {
        outcome.set("lost", lost);
    }
    Ok(outcome)
}

/// The governed ref's history, for several threads.
fn share(session: &Session) -> Result<Option<Arc<Mutex<History>>>, Refusal> {
    let history = session.governed_history()?;
    Ok(history.map(|history| Arc::new(Mutex::new(history))))
}

/// Derives recorded permits of a stream again.
pub(crate) struct Replay<'s> {
    session: &'s Session,
    stream: &'s Stream<'s>,
    history: Option<Arc<Mutex<History>>>,
    /// Whether what is replayed acts now, or is on record.
    rules: Rules,
    governed: BTreeMap<CommitId, Governed<'s>>,
    /// The governed commit that was looked for last, and its place.
    last: Option<(CommitSha, u64)>,
    /// What a boundary lets in must be in force; nothing where a record is only looked at.
    boundary: Option<(InForce<'s>, Course)>,
    findings: Findings,
}

impl<'s> Replay<'s> {
    pub(crate) fn new(session: &'s Session, stream: &'s Stream<'s>) -> Result<Self, Refusal> {
        Ok(Self::sharing(session, stream, share(session)?, Rules::New))
    }

    /// Begins at a boundary, which lets in only what is in force.
    pub(crate) fn at_boundary(
        session: &'s Session,
        stream: &'s Stream<'s>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            boundary: Some((InForce::now(session)?, Course::default())),
            ..Self::new(session, stream)?
        })
    }

    fn sharing(
        session: &'s Session,
        stream: &'s Stream<'s>,
        history: Option<Arc<Mutex<History>>>,
        rules: Rules,
    ) -> Self {
        Self {
            session,
            stream,
            history,
            rules,
            governed: BTreeMap::new(),
            last: None,
            boundary: None,
            findings: Findings::default(),
        }
    }

    /// Derives one recorded permit again, for a boundary that lets it in only then.
    ///
    /// # Errors
    /// `REPLAY_MISMATCH`, or what else speaks against the evidence.
    pub(crate) fn check(
        &mut self,
        event: &Event<'_>,
        parent: Option<CommitId>,
    ) -> Result<(), Refusal> {
        let diverged = self.replay(event, parent)?;
        diverged.map_or(Ok(()), |found| {
            Err(Refusal::new(
                found.reason,
                format!("event {}: {}", found.sequence, found.detail),
            ))
        })
    }

    /// Replays an event of a walk where it is in the range.
    fn visit(
        &mut self,
        range: &Range,
        event: &Event<'_>,
        found: &EventBytes<'_>,
    ) -> Result<ControlFlow<()>, Refusal> {
        let named = range
            .permit_id
            .is_none_or(|id| event.event_id == id.to_string());
        let inside = (range.from..=range.to).contains(&event.sequence);
        if inside {
            self.findings.seen = self.findings.seen.saturating_add(1);
        }
        let wanted = named && inside;
        let wanted = wanted && event.kind() == Some(EventType::PermitIssued);
        if wanted {
            self.findings.replayed = self.findings.replayed.saturating_add(1);
            if let Some(divergence) = self.replay(event, found.parent())? {
                self.findings.note_divergence(divergence);
            }
        }
        let before_range = range.from > 0 && event.sequence <= range.from;
        let last = before_range || (wanted && range.permit_id.is_some());
        Ok(if last {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn replay(
        &mut self,
        event: &Event<'_>,
        parent: Option<CommitId>,
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
        match self.derive(event, parent, &recorded) {
            Ok((derived, superseded)) if derived.is(event) => {
                if let Some(refusal) = superseded {
                    self.findings.note_superseded(Superseded {
                        stream_id: self.stream.id.clone(),
                        sequence: event.sequence,
                        permit_id: event.event_id.to_owned(),
                        reason: refusal.code,
                        detail: refusal.message,
                    });
                }
                Ok(None)
            }
            Ok((derived, _)) => {
                let found = differing(event, &derived)?;
                let detail = if found.is_empty() {
                    "the commit is another one than the event gives".to_owned()
                } else {
                    "deciding again gives another event".to_owned()
                };
                Ok(Some(diverged(Code::ReplayMismatch, detail, found)))
            }
            Err(refusal)
                if refusal.class() == Class::Failed || refusal.code == Code::GovernedStale =>
            {
                Err(refusal)
            }
            // What is spent is no forgery: whoever pushes it learns that another permit came first.
            Err(refusal) if self.boundary.is_some() && refusal.code == Code::ReviewConsumed => {
                Err(refusal.detail("sequence", event.sequence.to_string()))
            }
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
    ) -> Result<(SealedEvent, Option<Refusal>), Refusal> {
        const REMEMBERED: usize = 64;
        let commit = commit_id(recorded.governed_commit);
        self.check_governed(event.sequence, recorded.governed_commit)?;
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
        if let Some((in_force, _)) = &self.boundary {
            in_force.check(&governed.snapshot, [])?;
        }
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
            derived: &Derived::default(),
            rules: self.rules,
        };
        let decided = decide(self.session, governed, &recorded.request, &place)
            .map_err(|undecided| undecided.refusal)?;
        if let Some((in_force, course)) = &mut self.boundary {
            in_force.check(&governed.snapshot, decided.read.iter())?;
            course.follow(in_force, self.stream, parent, &governed.snapshot)?;
        }
        let decided = decided.into_recorded(event);
        let (_, event) = decided.derive(&recorded.request, &tip, governed)?;
        Ok((event, decided.superseded))
    }

    /// Checks that the commit is on the governed ref, and notes it where the next permit went back behind it.
    fn check_governed(&mut self, sequence: u64, commit: CommitSha) -> Result<(), Refusal> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let place = match self.last {
            Some((last, place)) if last == commit => place,
            _ => {
                let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
                let wanted = commit_id(commit);
                let place = history.position(&self.session.repository, wanted)?;
                let name = self.session.governed_ref().unwrap_or_default();
                place.ok_or_else(|| not_governed(wanted, name))?
            }
        };
        self.last = Some((commit, place));
        self.findings.note_issuance(Issuance {
            sequence,
            commit,
            place,
        });
        Ok(())
    }
}

fn differing(event: &Event<'_>, derived: &SealedEvent) -> Result<Vec<Difference>, Refusal> {
    let artifact = derived.artifact();
    let again =
        Event::read(artifact.as_bytes()).map_err(|what| Refusal::new(Code::Internal, what))?;
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
