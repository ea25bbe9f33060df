//! What a stream says of each of its permits: a fold over its events (core.md section 7, `permit status`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::canonical::Value;
use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, Fingerprint, PermitId};
use super::super::permit::{Expiry, Permit};
use super::super::policy::{Effect, GrantMode};
use super::{Event, EventType};

/// Every permit and review of a stream with its state, whichever way the stream is walked.
#[derive(Debug, Default)]
pub struct Projection {
    permits: BTreeMap<u64, (Permit, String)>,
    uses: BTreeMap<String, u64>,
    reviews: BTreeMap<String, ReviewEntry>,
    others: BTreeMap<String, u64>,
    tip: u64,
}

/// What a stream says of one review.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReviewEntry {
    /// How many permits it has yielded.
    pub permits: u64,
    /// The verdict that was recorded last, with a permit or by itself; `""` if none was.
    pub verdict: String,
    #[serde(skip)]
    recorded_at: u64,
}

/// One permit as the projection shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PermitState {
    /// The permit.
    pub permit_id: PermitId,
    /// Where it was issued.
    pub sequence: u64,
    /// What was decided.
    pub decision: Effect,
    /// For which request.
    pub request_fingerprint: Fingerprint,
    /// For what.
    pub capability: String,
    /// For whom, as the request says.
    pub actor_id: String,
    /// How often it was used.
    pub uses: u64,
    /// `blocked`, `used`, `expired`, `commit_moved` or `usable`.
    pub state: &'static str,
}

impl Projection {
    /// Takes an event.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED` where a known kind of event lacks what it must hold.
    pub fn take(&mut self, event: &Event<'_>) -> Result<(), Refusal> {
        self.tip = self.tip.max(event.sequence);
        let malformed = |what: &str| {
            Refusal::new(
                Code::ChainMalformed,
                format!("event {} ({}) {what}", event.sequence, event.event_type),
            )
        };
        let payload = event
            .payload_value()
            .map_err(|fault| malformed(&format!("has a malformed payload at {fault}")))?;
        let text = |key: &str| payload.at(key).and_then(Value::as_str);
        match event.kind() {
            Some(EventType::PermitIssued) => {
                let permit = payload
                    .at("permit")
                    .ok_or_else(|| malformed("holds no permit"))?;
                let permit = Permit::read(permit)
                    .map_err(|fault| malformed(&format!("holds a malformed permit at {fault}")))?;
                let actor_id = payload
                    .at("request")
                    .and_then(|request| request.at("actor_id"))
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if let Some(review) = &permit.review_ref {
                    let entry = self.reviews.entry(review.review_id.to_string());
                    let entry = entry.or_default();
                    count(&mut entry.permits);
                    let record = payload.at("review");
                    let verdict = record.and_then(|record| record.at("verdict")?.as_str());
                    entry.note(event.sequence, verdict);
                }
                self.permits
                    .insert(event.sequence, (permit, actor_id.to_owned()));
            }
            Some(EventType::PermitUsed) => {
                let id = text("permit_id").ok_or_else(|| malformed("names no permit"))?;
                count(self.uses.entry(id.to_owned()).or_default());
            }
            Some(EventType::ReviewResolved) => {
                let id = text("review_id").ok_or_else(|| malformed("names no review"))?;
                let entry = self.reviews.entry(id.to_owned()).or_default();
                entry.note(event.sequence, text("verdict"));
            }
            Some(
                EventType::StreamOpened
                | EventType::ToolExecRequested
                | EventType::ToolExecAllowed
                | EventType::ToolExecWarned
                | EventType::ToolExecBlocked,
            )
            | None => count(self.others.entry(event.event_type.to_owned()).or_default()),
        }
        Ok(())
    }

    /// Every permit in the order of its issuance, judged against the tip and the governed commit.
    pub fn permits(&self, governed_commit: CommitSha) -> impl Iterator<Item = PermitState> {
        self.permits
            .iter()
            .map(move |(sequence, (permit, actor_id))| {
                let uses = self
                    .uses
                    .get(&permit.permit_id.to_string())
                    .copied()
                    .unwrap_or_default();
                PermitState {
                    permit_id: permit.permit_id,
                    sequence: *sequence,
                    decision: permit.decision,
                    request_fingerprint: permit.request_fingerprint,
                    capability: permit.capability.to_string(),
                    actor_id: actor_id.clone(),
                    uses,
                    state: state(permit, uses, self.tip, governed_commit),
                }
            })
    }

    /// Every review that a permit rests on or that was recorded, by its id.
    #[must_use]
    pub fn reviews(&self) -> &BTreeMap<String, ReviewEntry> {
        &self.reviews
    }

    /// How many events of every other kind there are.
    #[must_use]
    pub fn others(&self) -> &BTreeMap<String, u64> {
        &self.others
    }
}

impl ReviewEntry {
    /// Notes the verdict that an event records, unless one of a later event is known.
    fn note(&mut self, sequence: u64, verdict: Option<&str>) {
        if self.verdict.is_empty() || self.recorded_at < sequence {
            verdict.unwrap_or_default().clone_into(&mut self.verdict);
            self.recorded_at = sequence;
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// The state of a permit at a tip: what `verify` would say of it without looking at its request again.
fn state(permit: &Permit, uses: u64, tip: u64, governed_commit: CommitSha) -> &'static str {
    if permit.decision == Effect::Block {
        return "blocked";
    }
    if permit.permit_scope.mode == GrantMode::OneShot && uses > 0 {
        return "used";
    }
    match &permit.expiry_condition {
        Expiry::ValidForSequenceRange {
            sequence_range: [from, to],
        } if !(*from..=*to).contains(&tip) => "expired",
        Expiry::ValidForCommit { commit_sha } if *commit_sha != governed_commit => "commit_moved",
        Expiry::ValidForSequenceRange { .. } | Expiry::ValidForCommit { .. } => "usable",
    }
}
