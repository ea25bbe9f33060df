//! The receive boundary's record: JSON Lines of decisions and gaps, read back and summed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault, Value, to_bytes};
use super::decision::Decision;

/// A stretch of a ref's history that no decision was made about, because the mode was `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    schema: GapSchema,
    /// The ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where the last decision left it.
    pub from: String,
    /// Where it was found.
    pub to: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum GapSchema {
    #[serde(rename = "permit.enforcement_gap.v1")]
    V1,
}

impl Gap {
    /// Notes a gap.
    #[must_use]
    pub fn new(reference: &str, from: &str, to: &str) -> Self {
        Self {
            schema: GapSchema::V1,
            reference: reference.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    /// The canonical bytes, without a line end.
    ///
    /// # Errors
    /// Never: the fields are strings.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        canonical::to_value(self).map(|value| to_bytes(&value))
    }
}

/// An open gap that the server's owner took responsibility for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    schema: AcceptedSchema,
    /// The ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where the last decision left it.
    pub from: String,
    /// Where it was found.
    pub to: String,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum AcceptedSchema {
    #[serde(rename = "permit.enforcement_gap_accepted.v1")]
    V1,
}

impl Accepted {
    /// Accepts a gap for a reason.
    #[must_use]
    pub fn new(gap: Gap, reason: &str) -> Self {
        Self {
            schema: AcceptedSchema::V1,
            reference: gap.reference,
            from: gap.from,
            to: gap.to,
            reason: reason.to_owned(),
        }
    }

    /// The canonical bytes, without a line end.
    ///
    /// # Errors
    /// Never: the fields are strings.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        canonical::to_value(self).map(|value| to_bytes(&value))
    }
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A decision.
    Decision(Box<Decision>),
    /// A gap before the decisions that follow.
    Gap(Gap),
    /// A gap that was accepted as it is.
    Accepted(Accepted),
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// What is malformed about it, with the JSON path.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let value = canonical::parse(bytes)?;
        match value.at("schema").and_then(Value::as_str) {
            Some("permit.enforcement_gap.v1") => canonical::from_value(&value).map(Self::Gap),
            Some("permit.enforcement_gap_accepted.v1") => {
                canonical::from_value(&value).map(Self::Accepted)
            }
            _ => canonical::from_value(&value).map(|decision| Self::Decision(Box::new(decision))),
        }
    }
}

/// How often each outcome was recorded: class, reason, mode and effect to a count.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    counts: BTreeMap<(String, String, String, String), u64>,
    gaps: Vec<Gap>,
    accepted: Vec<Accepted>,
}

impl Sums {
    /// Counts a line.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Decision(decision) => self.count(
                decision.intent.class.word(),
                &decision.reason,
                decision.mode.word(),
                decision.effective.word(),
            ),
            Line::Gap(gap) => self.gaps.push(gap),
            Line::Accepted(accepted) => self.accepted.push(accepted),
        }
    }

    /// Counts one outcome.
    pub fn count(&mut self, class: &str, reason: &str, mode: &str, effective: &str) {
        let key = [class, reason, mode, effective].map(str::to_owned);
        let count = self.counts.entry(key.into()).or_default();
        *count = count.saturating_add(1);
    }

    /// Every outcome with its count, in the order of class, reason, mode, effect.
    pub fn counts(&self) -> impl Iterator<Item = ([&str; 4], u64)> {
        self.counts
            .iter()
            .map(|((class, reason, mode, effective), count)| {
                ([class.as_str(), reason, mode, effective], *count)
            })
    }

    /// The gaps in the order in which they were recorded.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The gaps that were accepted, in the order in which they were.
    #[must_use]
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }
}
