//! A chain is verified by a fold that holds one event at a time, in either direction (core.md section 7).
//!
//! A file is read from its first event on; a ref from its tip back. Either way the verdict is the first fault in
//! stream order, and memory does not grow with the stream. Parts of a chain can be verified apart and joined: nothing
//! is skipped, since the event at which a part begins is checked when the part is joined to what stands beside it.

use std::borrow::Cow;

use super::super::canonical::scan::unescape;
use super::super::digest::EventHash;
use super::uses::{Place, Uses};
use super::verdict::{Expectation, Fault, Verdict, VerifiedChain};
use super::{Event, Prev, Tip};

/// The direction in which events are shown to the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the first event on, as files are read.
    Forward,
    /// From the tip back, as a ref is walked.
    Backward,
}

/// The fold: what has been seen of a chain so far.
#[derive(Debug)]
pub struct Verifier {
    order: Order,
    stream_id: Option<String>,
    expectation: Option<Expectation>,
    met: bool,
    events: u64,
    /// The newest event: its sequence and hash.
    tip: Option<(u64, EventHash)>,
    neighbour: Option<Neighbour>,
    /// Whether the first event is only held, for a join to check it.
    is_part: bool,
    head: Option<Facts<'static>>,
    fault: Option<Fault>,
    /// The step at which the fault was marked, and the step at hand.
    marked: u64,
    step: u64,
    /// Going back: the subjects of uses.
    uses: Uses,
}

/// What is checked of an event.
#[derive(Debug, Clone)]
struct Facts<'a> {
    sequence: u64,
    hash: EventHash,
    recorded: EventHash,
    prev: Prev,
    /// As it is written.
    stream_id: Cow<'a, str>,
}

/// What the next event is compared with.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    sequence: u64,
    hash: EventHash,
    /// Whether that is the hash that it records.
    fits: bool,
    /// Its own link, where the walk goes back.
    prev: Option<EventHash>,
}

impl<'a> Facts<'a> {
    fn of(event: &Event<'a>) -> Self {
        Self {
            sequence: event.sequence,
            hash: event.computed_hash,
            recorded: event.recorded_hash,
            prev: event.prev,
            stream_id: Cow::Borrowed(event.stream_id),
        }
    }

    fn into_owned(self) -> Facts<'static> {
        Facts {
            stream_id: Cow::Owned(self.stream_id.into_owned()),
            ..self
        }
    }

    fn hash_fits(&self) -> bool {
        self.hash == self.recorded
    }
}

impl Verifier {
    /// Begins a chain; `stream_id` is known for a ref and read from the first event of a file.
    #[must_use]
    pub fn new(order: Order, stream_id: Option<&str>, expectation: Option<Expectation>) -> Self {
        Self {
            order,
            stream_id: stream_id.map(str::to_owned),
            expectation,
            met: false,
            events: 0,
            tip: None,
            neighbour: None,
            is_part: false,
            head: None,
            fault: None,
            marked: 0,
            step: 0,
            uses: Uses::default(),
        }
    }

    /// Begins a part of the chain that this verifier is for, somewhere further on in the walk's direction.
    ///
    /// Going back, the stream must be known: which one it is, a file's first event says.
    #[must_use]
    pub fn part(&self) -> Self {
        let stream_id = self.stream_id.as_deref();
        Self {
            is_part: true,
            uses: Uses::of_part(),
            ..Self::new(self.order, stream_id, self.expectation)
        }
    }

    /// Takes what was found in a part whose first event follows, in the walk's direction, the last that was seen here.
    ///
    /// What comes of it is what showing the part's events one by one would have come to.
    pub fn join(&mut self, part: Self) {
        let Some(head) = part.head else {
            if let Some(fault) = part.fault {
                self.note(fault.verdict, self.next_sequence(), fault.detail);
            }
            return;
        };
        self.take(&head);
        if self.is_decided() {
            return;
        }
        self.events = self.events.saturating_add(part.events.saturating_sub(1));
        self.met |= part.met;
        self.neighbour = part.neighbour;
        if self.order == Order::Forward {
            self.tip = part.tip;
        }
        let base = self.step;
        let wrong = self.uses.join(part.uses, base);
        self.mark_uses(wrong);
        if part.fault.is_some() {
            self.marked = base.saturating_add(part.marked);
            self.fault = part.fault;
        }
        self.step = base.saturating_add(part.step);
    }

    /// Tells whether nothing that comes can change the verdict.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.order == Order::Forward && self.fault.is_some()
    }

    /// Tells whether no fault was found so far.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.fault.is_none()
    }

    /// How many events were seen.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The newest event that was seen, trusted or not.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        let (sequence, event_hash) = self.tip?;
        Some(Tip {
            stream_id: self.stream_id.clone().unwrap_or_default(),
            sequence,
            event_hash,
        })
    }

    /// The sequence at which the next event must stand.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        match (self.order, &self.neighbour) {
            (_, None) => 0,
            (Order::Forward, Some(before)) => before.sequence.saturating_add(1),
            (Order::Backward, Some(after)) => after.sequence.saturating_sub(1),
        }
    }

    /// Notes that the next event in the walk's direction cannot be read.
    pub fn note(&mut self, verdict: Verdict, sequence: u64, detail: impl Into<String>) {
        self.step = self.step.saturating_add(1);
        self.mark(verdict, sequence, detail);
    }

    /// Marks a fault at the step at hand.
    fn mark(&mut self, verdict: Verdict, sequence: u64, detail: impl Into<String>) {
        self.mark_at(self.step, verdict, sequence, detail);
    }

    /// Marks a fault; going back, one of a later step stands earlier in the stream and takes its place.
    fn mark_at(&mut self, step: u64, verdict: Verdict, sequence: u64, detail: impl Into<String>) {
        let first = match self.order {
            Order::Forward => self.fault.is_none(),
            Order::Backward => self.fault.is_none() || self.marked < step,
        };
        if first {
            self.marked = step;
            self.fault = Some(Fault {
                verdict,
                sequence,
                detail: detail.into(),
            });
        }
    }

    /// Looks at the next event in the walk's direction.
    pub fn see(&mut self, event: &Event<'_>) {
        self.take(&Facts::of(event));
        if self.order == Order::Backward {
            let wrong = self.uses.see(event, self.step);
            self.mark_uses(wrong);
        }
    }

    fn take(&mut self, event: &Facts<'_>) {
        self.events = self.events.saturating_add(1);
        if self.stream_id.is_none() {
            self.stream_id = Some(unescape(&event.stream_id).into_owned());
        }
        if self.is_part && self.head.is_none() {
            self.head = Some(event.clone().into_owned());
        } else {
            match self.order {
                Order::Forward => self.see_forward(event),
                Order::Backward => self.see_backward(event),
            }
        }
        if self.order == Order::Forward || self.tip.is_none() {
            self.tip = Some((event.sequence, event.hash));
        }
        self.neighbour = Some(Neighbour {
            sequence: event.sequence,
            hash: event.hash,
            fits: event.hash_fits(),
            prev: event.prev.hash(),
        });
    }

    fn see_forward(&mut self, event: &Facts<'_>) {
        let place = self.next_sequence();
        match self.neighbour {
            None if event.sequence != 0 && event.hash_fits() => {
                self.mark(
                    Verdict::Truncated,
                    0,
                    format!("the stream starts at sequence {}", event.sequence),
                );
            }
            None if event.prev.hash().is_some() => {
                self.mark(Verdict::Tampered, 0, "the first event links to another");
            }
            None => {}
            Some(before) if event.sequence <= before.sequence && event.hash_fits() => {
                let same = event.sequence == before.sequence && event.hash == before.hash;
                self.note_repeated(event.sequence, same);
            }
            Some(before) => {
                let link = event.prev == Prev::Hash(before.hash);
                self.check_link(event.sequence, event.sequence == place, link);
            }
        }
        self.check_event(event, place);
    }

    fn see_backward(&mut self, event: &Facts<'_>) {
        let place = if self.neighbour.is_some() {
            self.next_sequence()
        } else {
            event.sequence
        };
        self.step = self.step.saturating_add(1);
        if let Some(after) = self.neighbour {
            if event.sequence >= after.sequence && event.hash_fits() {
                let same = event.sequence == after.sequence && event.hash == after.hash;
                self.note_repeated(after.sequence, same);
            } else {
                let link = after.prev == Some(event.hash);
                let follows = event.sequence == place && after.sequence > 0;
                self.check_link(after.sequence, follows, link);
            }
        }
        self.step = self.step.saturating_add(1);
        if event.sequence == 0 && event.prev.hash().is_some() {
            self.mark(Verdict::Tampered, 0, "the first event links to another");
        }
        self.check_event(event, place);
    }

    fn mark_uses(&mut self, wrong: Vec<Place>) {
        let what = "the commit's subject is not that of a use of its permit";
        for Place { sequence, step } in wrong {
            self.mark_at(step, Verdict::Malformed, sequence, what);
        }
    }

    fn note_repeated(&mut self, sequence: u64, same: bool) {
        let (verdict, what) = if same {
            (Verdict::Tampered, "the same event stands twice")
        } else {
            (
                Verdict::Forked,
                "the sequence stands twice, with different events",
            )
        };
        self.mark(verdict, sequence, what);
    }

    fn check_link(&mut self, at: u64, in_sequence: bool, link: bool) {
        if !in_sequence {
            self.mark(
                Verdict::Tampered,
                at,
                format!("sequence {at} does not follow the event before it"),
            );
        } else if !link {
            self.mark(
                Verdict::Tampered,
                at,
                "the link is not the hash of the event before",
            );
        }
    }

    fn check_event(&mut self, event: &Facts<'_>, place: u64) {
        if !event.hash_fits() {
            self.mark(
                Verdict::Tampered,
                place,
                format!(
                    "the event does not match its recorded hash: recorded {}, computed {}",
                    event.recorded, event.hash
                ),
            );
        }
        if event.prev == Prev::Null && event.sequence != 0 {
            self.mark(
                Verdict::Malformed,
                place,
                "the link is null after the first event",
            );
        }
        if self.stream_id.as_deref() != Some(&event.stream_id) {
            let stream = unescape(&event.stream_id);
            if self.stream_id.as_deref() != Some(&stream) {
                let detail = format!("the event belongs to the stream `{stream}`");
                self.mark(Verdict::Tampered, place, detail);
            }
        }
        if let Some(point) = self.expectation {
            let here = point.event_hash == event.hash;
            if point
                .sequence
                .is_none_or(|sequence| sequence == event.sequence)
                && here
            {
                self.met = true;
            } else if point.sequence == Some(event.sequence) {
                self.mark(
                    Verdict::Forked,
                    event.sequence,
                    format!(
                        "the expected point has another event: expected {}, found {}",
                        point.event_hash, event.hash
                    ),
                );
            }
        }
    }

    /// Gives what was found in a part of a chain that need not reach its first event.
    ///
    /// # Errors
    /// The first fault in stream order.
    pub fn finish_part(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Gives the verdict of a walk: on the `whole` chain where it came to the first event, else on a part.
    ///
    /// # Errors
    /// The first fault in stream order.
    pub fn finish_walk(self, whole: bool) -> Result<(), Fault> {
        if whole {
            self.finish().map(drop)
        } else {
            self.finish_part()
        }
    }

    /// Gives the verdict.
    ///
    /// # Errors
    /// The first fault in stream order.
    pub fn finish(mut self) -> Result<VerifiedChain, Fault> {
        match (self.order, &self.neighbour) {
            (_, None) if self.fault.is_none() => {
                self.mark(Verdict::Truncated, 0, "the stream is empty");
            }
            (Order::Backward, Some(first))
                if first.sequence != 0 && first.fits && !self.stopped(first.sequence) =>
            {
                let detail = format!("the stream starts at sequence {}", first.sequence);
                self.mark(Verdict::Truncated, 0, detail);
            }
            _ => {}
        }
        let tip = self.tip();
        if let (Some(point), false, None) = (self.expectation, self.met, &self.fault) {
            let sequence = tip.as_ref().map_or(0, Tip::next_sequence);
            self.fault = Some(Fault {
                verdict: Verdict::Truncated,
                sequence,
                detail: format!(
                    "the expected point {} is not in the stream",
                    point.event_hash
                ),
            });
        }
        match (self.fault, tip) {
            (None, Some(tip)) => Ok(VerifiedChain {
                tip,
                events: self.events,
            }),
            (Some(fault), _) => Err(fault),
            (None, None) => Err(Fault {
                verdict: Verdict::Truncated,
                sequence: 0,
                detail: "the stream is empty".to_owned(),
            }),
        }
    }

    /// Tells whether the walk back was stopped below this sequence by a fault that was noted there.
    fn stopped(&self, sequence: u64) -> bool {
        self.fault
            .as_ref()
            .is_some_and(|fault| fault.verdict == Verdict::Malformed && fault.sequence < sequence)
    }
}

#[cfg(test)]
mod tests;
