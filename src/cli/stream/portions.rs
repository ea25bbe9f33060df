//! How much of a stream one push brings: a receive boundary takes so many events at a time, and so many bytes.

use std::ops::ControlFlow;

use super::super::fault;
use super::Stream;
use crate::engine::chain::{Order, Verifier};
use crate::engine::code::Refusal;
use crate::git::CommitId;

/// The key that says how many events one push may append.
const KEY: &str = "permit.maxEventsPerPush";

/// How many events that is where nobody says.
const MOST_EVENTS: u64 = 100_000;

/// The most bytes of the events of one push.
const MOST_BYTES: u64 = 64 << 20;

/// What a commit takes beside its event, at most.
const HEAD: u64 = 512;

/// One push of a stream: its newest event, and how many events it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) newest: CommitId,
    pub(crate) events: u64,
}

impl Stream<'_> {
    /// Verifies the events from a newest one back to one that is known, or to the first, and divides them into pushes,
    /// oldest first.
    ///
    /// # Errors
    /// `CHAIN_*` where they are broken; `INVALID_INPUT` where `permit.maxEventsPerPush` is no number.
    pub(crate) fn portions(
        &self,
        newest: CommitId,
        known: Option<CommitId>,
    ) -> Result<Vec<Portion>, Refusal> {
        let most = self.most_events()?;
        let mut verifier = Verifier::new(Order::Backward, Some(&self.id), None);
        let mut found = Vec::new();
        self.walk_on(newest, &mut verifier, |_, event| {
            if Some(event.id()) == known {
                return Ok(ControlFlow::Break(()));
            }
            let bytes = u64::try_from(event.message().len()).unwrap_or(u64::MAX);
            found.push((event.id(), bytes.saturating_add(HEAD)));
            Ok(ControlFlow::Continue(()))
        })?;
        let fault = match known {
            Some(_) => verifier.finish_part().err(),
            None => verifier.finish().err(),
        };
        if let Some(fault) = fault {
            return Err(self.broken(&fault));
        }
        Ok(divide(found.into_iter().rev(), most))
    }

    fn most_events(&self) -> Result<u64, Refusal> {
        let Some(text) = self.repository.config_string(KEY)? else {
            return Ok(MOST_EVENTS);
        };
        let most = text.parse().ok().filter(|most| *most > 0);
        most.ok_or_else(|| {
            fault::input(format!("`{KEY}` is `{text}`, not a number of events"))
                .next(format!("git config {KEY} {MOST_EVENTS}"))
        })
    }
}

/// Divides events with their sizes, oldest first.
fn divide(events: impl Iterator<Item = (CommitId, u64)>, most: u64) -> Vec<Portion> {
    let mut portions: Vec<Portion> = Vec::new();
    let mut bytes = 0_u64;
    for (commit, size) in events {
        bytes = bytes.saturating_add(size);
        match portions.last_mut() {
            Some(portion) if portion.events < most && bytes <= MOST_BYTES => {
                portion.newest = commit;
                portion.events = portion.events.saturating_add(1);
            }
            Some(_) | None => {
                bytes = size;
                portions.push(Portion {
                    newest: commit,
                    events: 1,
                });
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_has_neither_too_many_events_nor_too_many_bytes() {
        let commit = |number: u8| CommitId::new([number; 20]);
        let counts = |sizes: &[u64], most| {
            let events = (0_u8..).map(commit).zip(sizes.iter().copied());
            let portions = divide(events, most);
            portions
                .iter()
                .map(|portion| portion.events)
                .collect::<Vec<_>>()
        };
        assert_eq!(counts(&[], 3), [0; 0]);
        assert_eq!(counts(&[1; 7], 3), [3, 3, 1]);
        assert_eq!(counts(&[MOST_BYTES, 1, MOST_BYTES - 1, 1], 9), [1, 2, 1]);
        // One event that is too large goes alone: the boundary says so.
        assert_eq!(counts(&[1, MOST_BYTES + 1, 1], 9), [1, 1, 1]);
        let newest = divide((0_u8..4).map(|number| (commit(number), 1)), 3);
        assert_eq!(
            newest.first().map(|portion| portion.newest),
            Some(commit(2))
        );
    }
}
