//! What is said of a chain: the verdict, the fault that gave it, the point that was expected (core.md section 7).

use serde::Serialize;

use super::super::code::Code;
use super::super::digest::EventHash;
use super::Tip;

/// The one truthful answer about a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every event is where and what it must be.
    Valid,
    /// Bytes, canonical form or commit form are broken.
    Malformed,
    /// A hash or a link does not fit.
    Tampered,
    /// A sequence stands there with another event than is known or than stands before it.
    Forked,
    /// It does not start at 0, is empty, or ends before the expected point.
    Truncated,
}

impl Verdict {
    /// The reason code of the verdict.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Verdict::Valid => Code::Ok,
            Verdict::Malformed => Code::ChainMalformed,
            Verdict::Tampered => Code::ChainTampered,
            Verdict::Forked => Code::ChainForked,
            Verdict::Truncated => Code::ChainTruncated,
        }
    }

    /// The word that is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "VALID",
            Verdict::Malformed => "MALFORMED",
            Verdict::Tampered => "TAMPERED",
            Verdict::Forked => "FORKED",
            Verdict::Truncated => "TRUNCATED",
        }
    }
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which kind of wrong.
    #[serde(skip)]
    pub verdict: Verdict,
    /// The sequence at which it shows.
    pub sequence: u64,
    /// What was found there.
    pub detail: String,
}

/// A point that the chain is known to have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Its sequence, where it is known.
    pub sequence: Option<u64>,
    /// The hash of the event there.
    pub event_hash: EventHash,
}

/// A chain in which no fault was found. Made only by [`Verifier::finish`](super::Verifier::finish).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChain {
    pub(super) tip: Tip,
    pub(super) events: u64,
}

impl VerifiedChain {
    /// The newest event.
    #[must_use]
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}
