//! What replaying found, part by part, and how it is told.

use serde::Serialize;

use super::super::outcome::Outcome;
use super::super::parts::Find;
use super::super::render::{BAD, DIM, GOOD, WARN, paint, safe};
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

/// A permit that was issued under an older commit than the permit before it.
#[derive(Debug, Serialize)]
struct Rollback {
    stream_id: String,
    sequence: u64,
    governed_commit: CommitSha,
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
    pub(super) replayed: u64,
    diverged: u64,
    divergences: Vec<Divergence>,
    rollbacks: Vec<Rollback>,
    newest: Option<Issuance>,
    oldest: Option<Issuance>,
}

impl Find for Findings {
    fn join(&mut self, mut earlier: Self) {
        if let Some(newest) = earlier.newest {
            self.note_issuance(newest);
            self.oldest = earlier.oldest;
        }
        self.replayed = self.replayed.saturating_add(earlier.replayed);
        self.diverged = self.diverged.saturating_add(earlier.diverged);
        self.divergences.append(&mut earlier.divergences);
        self.rollbacks.append(&mut earlier.rollbacks);
        self.cut();
    }
}

impl Findings {
    pub(super) fn note_divergence(&mut self, divergence: Divergence) {
        self.diverged = self.diverged.saturating_add(1);
        self.divergences.push(divergence);
        self.cut();
    }

    /// Notes a permit that stands before those noted so far, and whether the one after it went back behind its commit.
    pub(super) fn note_issuance(&mut self, issuance: Issuance) {
        if let Some(after) = self.oldest.filter(|after| after.place > issuance.place) {
            self.rollbacks.push(Rollback {
                stream_id: String::new(),
                sequence: after.sequence,
                governed_commit: after.commit,
                previous: issuance.commit,
            });
        }
        self.newest = self.newest.or(Some(issuance));
        self.oldest = Some(issuance);
        self.cut();
    }

    /// Keeps what is shown: the first of each in stream order, which are the last that were found.
    fn cut(&mut self) {
        let (divergences, rollbacks) = (self.divergences.len(), self.rollbacks.len());
        self.divergences.drain(..divergences.saturating_sub(SHOWN));
        self.rollbacks.drain(..rollbacks.saturating_sub(SHOWN));
    }

    /// Adds what was found in a whole stream, in stream order.
    pub(super) fn add(&mut self, stream_id: &str, stream: Self) {
        self.replayed = self.replayed.saturating_add(stream.replayed);
        self.diverged = self.diverged.saturating_add(stream.diverged);
        self.divergences
            .extend(stream.divergences.into_iter().rev());
        let rollbacks = stream.rollbacks.into_iter().rev();
        self.rollbacks.extend(rollbacks.map(|rollback| Rollback {
            stream_id: stream_id.to_owned(),
            ..rollback
        }));
    }
}

/// The result of the command.
pub(super) fn outcome(findings: Findings, broken: Option<Refusal>) -> Outcome {
    let mut outcome = Outcome::ok("replay")
        .field("replayed", findings.replayed)
        .field("diverged", findings.diverged)
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
