//! What replaying found, part by part, and how it is told.

use serde::Serialize;

use super::super::in_force::InForce;
use super::super::outcome::Outcome;
use super::super::parts::Find;
use super::super::render::{BAD, DIM, GOOD, paint, safe};
use crate::engine::canonical;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::CommitSha;
use crate::engine::replay::Difference;

/// How many divergences are kept and shown; all are counted.
const SHOWN: usize = 100;

/// A record that the same inputs do not give again.
#[derive(Debug, Serialize)]
pub(super) struct Divergence {
    pub(super) stream_id: String,
    pub(super) sequence: u64,
    pub(super) permit_id: String,
    pub(super) reason: Code,
    pub(super) detail: String,
    pub(super) differences: Vec<Difference>,
}

/// A permit whose only fault is a rule that binds newer decisions.
#[derive(Debug, Serialize)]
pub(super) struct Superseded {
    pub(super) stream_id: String,
    pub(super) sequence: u64,
    pub(super) permit_id: String,
    pub(super) reason: Code,
    pub(super) detail: String,
}

/// A permit that was issued under an older commit than an earlier one, which governs otherwise.
#[derive(Debug, Serialize)]
struct Rollback {
    stream_id: String,
    sequence: u64,
    governed_commit: CommitSha,
    /// The newest governed commit of the permits before it.
    previous: CommitSha,
}

/// A permit with the commit that governed it, and how many steps that is behind the governed ref's tip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Issuance {
    pub(super) sequence: u64,
    pub(super) commit: CommitSha,
    pub(super) place: u64,
}

/// What replaying a stream, or a part of it, found; lists are in the order of the walk, newest first.
#[derive(Default)]
pub(super) struct Findings {
    /// The events of the range, permits or not.
    pub(super) seen: u64,
    pub(super) replayed: u64,
    diverged: u64,
    divergences: Vec<Divergence>,
    rollbacks: Vec<Rollback>,
    superseded: Vec<Superseded>,
    /// Each permit under another commit than the permit before it, and the last of the walk.
    issuances: Vec<Issuance>,
}

impl Find for Findings {
    fn join(&mut self, mut earlier: Self) {
        for issuance in earlier.issuances {
            self.note_issuance(issuance);
        }
        self.seen = self.seen.saturating_add(earlier.seen);
        self.replayed = self.replayed.saturating_add(earlier.replayed);
        self.diverged = self.diverged.saturating_add(earlier.diverged);
        self.divergences.append(&mut earlier.divergences);
        self.superseded.append(&mut earlier.superseded);
        self.cut();
    }
}

impl Findings {
    pub(super) fn note_divergence(&mut self, divergence: Divergence) {
        self.diverged = self.diverged.saturating_add(1);
        self.divergences.push(divergence);
        self.cut();
    }

    pub(super) fn note_superseded(&mut self, superseded: Superseded) {
        self.superseded.push(superseded);
        self.cut();
    }

    /// Notes a permit that stands before those noted so far; of those in a row under one commit the first is kept.
    pub(super) fn note_issuance(&mut self, issuance: Issuance) {
        match self.issuances.last_mut() {
            Some(after) if after.commit == issuance.commit => *after = issuance,
            _ => self.issuances.push(issuance),
        }
    }

    /// Keeps what is shown: the first in stream order, which are the last that were found.
    fn cut(&mut self) {
        let (divergences, superseded) = (self.divergences.len(), self.superseded.len());
        self.divergences.drain(..divergences.saturating_sub(SHOWN));
        self.superseded.drain(..superseded.saturating_sub(SHOWN));
    }

    /// Adds what was found in a whole stream, in stream order.
    pub(super) fn add(
        &mut self,
        in_force: &InForce<'_>,
        stream_id: &str,
        stream: Self,
    ) -> Result<(), Refusal> {
        self.seen = self.seen.saturating_add(stream.seen);
        self.replayed = self.replayed.saturating_add(stream.replayed);
        self.diverged = self.diverged.saturating_add(stream.diverged);
        self.divergences
            .extend(stream.divergences.into_iter().rev());
        self.superseded.extend(stream.superseded.into_iter().rev());
        let mut newest: Option<Issuance> = None;
        for issuance in stream.issuances.into_iter().rev() {
            let Some(previous) = newest.filter(|newest| newest.place < issuance.place) else {
                newest = Some(issuance);
                continue;
            };
            if in_force.is_same_governance(issuance.commit, previous.commit)? {
                continue;
            }
            if self.rollbacks.len() < SHOWN {
                self.rollbacks.push(Rollback {
                    stream_id: stream_id.to_owned(),
                    sequence: issuance.sequence,
                    governed_commit: issuance.commit,
                    previous: previous.commit,
                });
            }
        }
        Ok(())
    }
}

/// The result of the command.
pub(super) fn outcome(findings: Findings, broken: Option<Refusal>) -> Outcome {
    let mut outcome = Outcome::ok("replay")
        .field("replayed", findings.replayed)
        .field("diverged", findings.diverged)
        .text(text(&findings, broken.is_some()));
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
    let went_back = findings.rollbacks.first().map(|first| {
        Refusal::new(
            Code::GovernedStale,
            format!(
                "event {} of `{}` went back to {}, after an earlier permit under {}, which governs otherwise",
                first.sequence, first.stream_id, first.governed_commit, first.previous
            ),
        )
        .next("ask who issued it, and treat what it permitted as not governed")
    });
    if let Some(refusal) = broken.or(diverged).or(went_back) {
        outcome.refuse(refusal);
    }
    outcome
        .field("divergences", findings.divergences)
        .field("rollbacks", findings.rollbacks)
        .field("superseded", findings.superseded)
}

fn text(findings: &Findings, broken: bool) -> String {
    let word = match (findings.diverged, findings.rollbacks.is_empty()) {
        (0, _) if broken => paint(BAD, "incomplete"),
        (0, true) => paint(GOOD, "identical"),
        (0, false) => paint(BAD, "identical, with rollbacks"),
        _ => paint(BAD, "diverged"),
    };
    let mut text = format!(
        "{word}: {} permits derived again, {} differ\n",
        findings.replayed, findings.diverged
    );
    for rollback in &findings.rollbacks {
        let what = format!(
            "was decided under {}, older than {} of an earlier permit, which governs otherwise",
            rollback.governed_commit, rollback.previous
        );
        text.push_str(&format!(
            "event {} {}\n",
            rollback.sequence,
            paint(DIM, &what)
        ));
    }
    for superseded in &findings.superseded {
        let what = format!(
            "stands, and would not be decided so today: {}",
            safe(&superseded.detail)
        );
        text.push_str(&format!(
            "event {} {}\n",
            superseded.sequence,
            paint(DIM, &what)
        ));
    }
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
