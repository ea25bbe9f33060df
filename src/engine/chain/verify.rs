//! A chain is verified by a fold that holds one event at a time, in either direction (core.md section 7).
//!
//! A file is read from its first event on; a ref from its tip back. Either way the verdict is the first fault in
//! stream order, and memory does not grow with the stream.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::canonical::scan::unescape;
use super::super::code::Code;
use super::super::digest::EventHash;
use super::{Event, EventType, Prev, Tip};

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

/// The direction in which events are shown to the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the first event on, as files are read.
    Forward,
    /// From the tip back, as a ref is walked.
    Backward,
}

/// A chain in which no fault was found. Made only by [`Verifier::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChain {
    tip: Tip,
    events: u64,
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

/// The fold: what has been seen of a chain so far.
#[derive(Debug)]
pub struct Verifier {
    order: Order,
    stream_id: Option<String>,
    expectation: Option<Expectation>,
    met: bool,
    events: u64,
    tip: Option<Tip>,
    neighbour: Option<Neighbour>,
    fault: Option<Fault>,
    /// The step at which the fault was marked, and the step at hand.
    marked: u64,
    step: u64,
    /// Going back: the uses whose permit's issuance is still to come, by permit id. Uses that say the same are one.
    uses: BTreeMap<String, Vec<Use>>,
}

/// A use as the subject of its commit tells it; whether that is true shows only where the permit was issued.
#[derive(Debug)]
struct Use {
    sequence: u64,
    step: u64,
    subject: String,
    /// The subject behind its sequence.
    tail: String,
}

/// What the next event is compared with.
#[derive(Debug, Clone)]
struct Neighbour {
    sequence: u64,
    hash: EventHash,
    /// Whether that is the hash that it records.
    fits: bool,
    /// Its own link, where the walk goes back.
    prev: Option<EventHash>,
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
            fault: None,
            marked: 0,
            step: 0,
            uses: BTreeMap::new(),
        }
    }

    /// Tells whether nothing that comes can change the verdict.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.order == Order::Forward && self.fault.is_some()
    }

    /// How many events were seen.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The newest event that was seen, trusted or not.
    #[must_use]
    pub fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
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
        self.events = self.events.saturating_add(1);
        match self.order {
            Order::Forward => self.see_forward(event),
            Order::Backward => self.see_backward(event),
        }
        if self.order == Order::Forward || self.tip.is_none() {
            self.tip = Some(event.tip());
        }
        self.neighbour = Some(Neighbour {
            sequence: event.sequence,
            hash: event.computed_hash,
            fits: event.hash_fits(),
            prev: event.prev.text().parse().ok(),
        });
    }

    fn see_forward(&mut self, event: &Event<'_>) {
        let place = self.next_sequence();
        match &self.neighbour {
            None if event.sequence != 0 && event.hash_fits() => {
                self.mark(
                    Verdict::Truncated,
                    0,
                    format!("the stream starts at sequence {}", event.sequence),
                );
            }
            None if !event.prev.text().is_empty() => {
                self.mark(Verdict::Tampered, 0, "the first event links to another");
            }
            None => {}
            Some(before) if event.sequence <= before.sequence && event.hash_fits() => {
                let same = event.sequence == before.sequence && event.computed_hash == before.hash;
                self.note_repeated(event.sequence, same);
            }
            Some(before) => {
                let link = event.prev.text().parse() == Ok(before.hash);
                self.check_link(event.sequence, event.sequence == place, link);
            }
        }
        self.check_event(event, place);
    }

    fn see_backward(&mut self, event: &Event<'_>) {
        let place = if self.neighbour.is_some() {
            self.next_sequence()
        } else {
            event.sequence
        };
        self.step = self.step.saturating_add(1);
        if let Some(after) = self.neighbour.clone() {
            if event.sequence >= after.sequence && event.hash_fits() {
                let same = event.sequence == after.sequence && event.computed_hash == after.hash;
                self.note_repeated(after.sequence, same);
            } else {
                let link = after.prev == Some(event.computed_hash);
                let follows = event.sequence == place && after.sequence > 0;
                self.check_link(after.sequence, follows, link);
            }
        }
        self.step = self.step.saturating_add(1);
        if event.sequence == 0 && !event.prev.text().is_empty() {
            self.mark(Verdict::Tampered, 0, "the first event links to another");
        }
        self.check_event(event, place);
        self.check_uses(event);
    }

    /// Compares the subjects of uses with the event that issued their permit, which alone knows what they must say.
    fn check_uses(&mut self, event: &Event<'_>) {
        let kind = event.kind();
        if kind == Some(EventType::PermitUsed) && !event.subject.is_empty() {
            let tail = event.tail_of_subject();
            let uses = self.uses.entry(event.event_id.to_owned()).or_default();
            uses.retain(|other| other.tail != tail);
            uses.push(Use {
                sequence: event.sequence,
                step: self.step,
                subject: event.subject.to_owned(),
                tail: tail.to_owned(),
            });
        } else if kind == Some(EventType::PermitIssued) {
            let what = "the commit's subject is not that of a use of its permit";
            for found in self.uses.remove(event.event_id).unwrap_or_default() {
                if event.subject_of_use(found.sequence).as_ref() != Some(&found.subject) {
                    self.mark_at(found.step, Verdict::Malformed, found.sequence, what);
                }
            }
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

    fn check_event(&mut self, event: &Event<'_>, place: u64) {
        if !event.hash_fits() {
            self.mark(
                Verdict::Tampered,
                place,
                format!(
                    "the event does not match its recorded hash: recorded {}, computed {}",
                    event.recorded_hash, event.computed_hash
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
        let stream = unescape(event.stream_id);
        match &self.stream_id {
            None => self.stream_id = Some(stream.into_owned()),
            Some(own) if *own != stream => {
                let detail = format!("the event belongs to the stream `{stream}`");
                self.mark(Verdict::Tampered, place, detail);
            }
            Some(_) => {}
        }
        if let Some(point) = self.expectation {
            let here = point.event_hash == event.computed_hash;
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
                        point.event_hash, event.computed_hash
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
        let tip = self.tip;
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
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::super::canonical::{Object, Value};
    use super::super::super::digest::{Fingerprint, PolicyHash};
    use super::super::{EventType, SealedEvent};
    use super::*;

    /// A chain whose events record their numbers; events from `fork` on record other ones.
    fn chain(length: u64, fork: u64) -> Vec<String> {
        let policy = PolicyHash::new([1; 32]);
        let mut events = vec![
            SealedEvent::open(
                "main",
                policy,
                crate::engine::digest::CommitSha::new([2; 20]),
            )
            .unwrap(),
        ];
        for number in 1..length {
            let tip = events.last().unwrap().tip();
            let note = if number >= fork {
                -1
            } else {
                i64::try_from(number).unwrap()
            };
            let payload = Object::of([("note", Value::Int(note))]);
            let print = Fingerprint::new([3; 32]);
            let kind = EventType::ToolExecAllowed;
            events.push(SealedEvent::record(kind, &tip, policy, print, payload).unwrap());
        }
        events
            .iter()
            .map(|event| event.artifact().to_owned())
            .collect()
    }

    fn verdicts(lines: &[String], point: Option<Expectation>) -> (Verdict, Option<u64>) {
        let run = |order: Order| {
            let mut verifier = Verifier::new(order, None, point);
            let mut show = |line: &String| match Event::read(line.as_bytes()) {
                Ok(event) => verifier.see(&event),
                Err(what) => verifier.note(Verdict::Malformed, verifier.next_sequence(), what),
            };
            match order {
                Order::Forward => lines.iter().for_each(&mut show),
                Order::Backward => lines.iter().rev().for_each(&mut show),
            }
            verifier.finish().map_or_else(
                |fault| (fault.verdict, Some(fault.sequence)),
                |_| (Verdict::Valid, None),
            )
        };
        let forward = run(Order::Forward);
        let malformed = forward.0 == Verdict::Malformed;
        if !malformed {
            assert_eq!(forward, run(Order::Backward), "both directions agree");
        }
        forward
    }

    fn point(lines: &[String], sequence: usize) -> Expectation {
        let line = lines.get(sequence).unwrap();
        Expectation {
            sequence: u64::try_from(sequence).ok(),
            event_hash: Event::read(line.as_bytes()).unwrap().computed_hash,
        }
    }

    #[test]
    fn a_good_chain_is_valid_and_extends_each_of_its_points() {
        let good = chain(6, 9);
        assert_eq!(verdicts(&good, None), (Verdict::Valid, None));
        for sequence in 0..6 {
            assert_eq!(
                verdicts(&good, Some(point(&good, sequence))),
                (Verdict::Valid, None)
            );
        }
    }

    #[test]
    fn the_first_fault_in_stream_order_gives_the_verdict_in_both_directions() {
        let good = chain(6, 9);
        let edit = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = good.clone();
            change(&mut lines);
            verdicts(&lines, None)
        };
        assert_eq!(verdicts(&[], None), (Verdict::Truncated, Some(0)));
        assert_eq!(edit(&|lines| drop(lines.remove(0))).0, Verdict::Truncated);
        assert_eq!(
            edit(&|lines| drop(lines.remove(3))),
            (Verdict::Tampered, Some(4))
        );
        assert_eq!(edit(&|lines| lines.swap(2, 3)).0, Verdict::Tampered);
        assert_eq!(
            edit(&|lines| lines.insert(3, lines.get(2).unwrap().clone())),
            (Verdict::Tampered, Some(2))
        );
        let other = chain(6, 2);
        let forked = edit(&|lines| lines.insert(3, other.get(2).unwrap().clone()));
        assert_eq!(forked, (Verdict::Forked, Some(2)));
        let tampered = edit(&|lines| {
            let line = lines.get_mut(4).unwrap();
            *line = line.replace("\"note\":4", "\"note\":5");
        });
        assert_eq!(tampered, (Verdict::Tampered, Some(4)));
    }

    #[test]
    fn a_known_point_shows_a_cut_tail_and_another_history() {
        let good = chain(6, 9);
        let cut: Vec<_> = good.iter().take(4).cloned().collect();
        assert_eq!(verdicts(&cut, None), (Verdict::Valid, None));
        assert_eq!(
            verdicts(&cut, Some(point(&good, 5))),
            (Verdict::Truncated, Some(4))
        );
        assert_eq!(
            verdicts(&chain(6, 3), Some(point(&good, 5))),
            (Verdict::Forked, Some(5))
        );
        let unplaced = Some(Expectation {
            sequence: None,
            ..point(&good, 5)
        });
        assert_eq!(verdicts(&good, unplaced), (Verdict::Valid, None));
        assert_eq!(verdicts(&cut, unplaced).0, Verdict::Truncated);
    }
}
