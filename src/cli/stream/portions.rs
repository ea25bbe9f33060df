//! How much of a stream one push brings: a receive boundary takes so many events at a time, and so many bytes.

use std::ops::ControlFlow;

use super::Stream;
use crate::engine::chain::{Order, Verifier};
use crate::engine::code::Refusal;
use crate::git::CommitId;

/// How much one push may append: the boundary counts by it, and `sync` divides by it.
pub(crate) mod push_limit {
    use super::super::super::fault;
    use crate::engine::code::Refusal;
    use crate::git::Repository;

    /// The key that says how many events.
    pub(crate) const KEY: &str = "permit.maxEventsPerPush";

    /// How many that is where nobody says.
    const EVENTS: u64 = 100_000;

    /// How many bytes of events.
    pub(crate) const BYTES: u64 = 64 << 20;

    /// How many events, as the repository's configuration says.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it says no number.
    pub(crate) fn events(repository: &Repository) -> Result<u64, Refusal> {
        let Some(text) = repository.config_string(KEY)? else {
            return Ok(EVENTS);
        };
        text.parse().map_err(|_| {
            fault::input(format!("`{KEY}` is `{text}`, which is no number"))
                .next(format!("git config {KEY} {EVENTS}"))
        })
    }
}

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
        let most = push_limit::events(self.repository)?;
        let mut verifier = Verifier::new(Order::Backward, Some(&self.id), None);
        let mut found = Vec::new();
        self.walk_on(newest, &mut verifier, |_, event| {
            if Some(event.id()) == known {
                return Ok(ControlFlow::Break(()));
            }
            let bytes = u64::try_from(event.bytes().len()).unwrap_or(u64::MAX);
            found.push((event.id(), bytes));
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
}

/// Divides events with their sizes, oldest first.
fn divide(events: impl Iterator<Item = (CommitId, u64)>, most: u64) -> Vec<Portion> {
    let mut portions: Vec<Portion> = Vec::new();
    let mut bytes = 0_u64;
    for (commit, size) in events {
        bytes = bytes.saturating_add(size);
        match portions.last_mut() {
            Some(portion) if portion.events < most && bytes <= push_limit::BYTES => {
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
        assert_eq!(
            counts(&[push_limit::BYTES, 1, push_limit::BYTES - 1, 1], 9),
            [1, 2, 1]
        );
        // One event that is too large goes alone: the boundary says so.
        assert_eq!(counts(&[1, push_limit::BYTES + 1, 1], 9), [1, 1, 1]);
        let newest = divide((0_u8..4).map(|number| (commit(number), 1)), 3);
        assert_eq!(
            newest.first().map(|portion| portion.newest),
            Some(commit(2))
        );
    }
}
