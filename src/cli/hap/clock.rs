//! The one look at a clock, for what depends on an attestation's lifetime.

use std::time::{SystemTime, UNIX_EPOCH};

use super::args::ClockArgs;
use crate::cli::outcome::Outcome;
use crate::engine::code::{Code, Refusal};

/// A time in Unix seconds, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(super) time: i64,
    given: bool,
}

impl Now {
    /// The time that the caller gives, or else the system's.
    pub(crate) fn of(args: &ClockArgs) -> Result<Self, Refusal> {
        let system = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(since.as_secs()).ok()
        };
        match args.now {
            Some(time) => Ok(Self { time, given: true }),
            None => system()
                .map(|time| Self { time, given: false })
                .ok_or_else(|| Refusal::new(Code::IoError, "the system's clock cannot be read")),
        }
    }

    /// Says in the result which time counted.
    pub(super) fn show(self, outcome: Outcome) -> Outcome {
        let source = if self.given { "given" } else { "system" };
        outcome.field("now", self.time).field("clock", source)
    }

    /// The same for people.
    pub(super) fn line(self) -> String {
        let source = if self.given {
            "as given with `--now`"
        } else {
            "by the system's clock"
        };
        format!("time: {}, {source}\n", self.time)
    }
}
