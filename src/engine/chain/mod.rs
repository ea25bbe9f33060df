//! The audit stream: events, how they are sealed, and how a chain of them is verified (core.md section 6).

mod event;
mod form;
mod projection;
mod seal;
mod uses;
mod verdict;
mod verify;

pub use event::{Event, Prev};
pub use form::{EventType, MAX_EVENT};
pub use projection::{PermitState, Projection, ReviewEntry};
pub use seal::SealedEvent;
pub use verdict::{Expectation, Fault, Verdict, VerifiedChain};
pub use verify::{Order, Verifier};

use super::digest::EventHash;

/// The newest event of a stream: what the next one is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The stream.
    pub stream_id: String,
    /// The newest event's sequence.
    pub sequence: u64,
    /// The newest event's hash.
    pub event_hash: EventHash,
}

impl Tip {
    /// The sequence of the event that follows.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.sequence.saturating_add(1)
    }
}
