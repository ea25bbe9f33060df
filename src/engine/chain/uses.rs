//! What the commits of `permit.used` say in their subjects, against the event that issued the permit (core.md section 6).
//!
//! Only that event knows the decision, capability and actor. Going back, a use is met first: it is kept until its
//! permit's issuance is met.

use std::collections::BTreeMap;

use super::form::MAX_SUBJECT;
use super::{Event, EventType};

/// The uses that were met, going back, and whose permit's issuance was not.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// By permit id; uses that say the same are one.
    pending: BTreeMap<String, Vec<Use>>,
    /// In a part of a chain: the permits that it issued, for the uses that were met before the part.
    issued: Option<Issued>,
}

/// A use as the subject of its commit tells it.
#[derive(Debug)]
struct Use {
    place: Place,
    /// The subject behind its sequence, and how many bytes it has room for there.
    tail: String,
    room: usize,
}

/// Where a use was met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) sequence: u64,
    /// The verifier's step.
    pub(super) step: u64,
}

/// Permits in the order in which their issuances were met, each with what the subjects of its uses must say; in one text.
#[derive(Debug, Default)]
struct Issued {
    text: String,
    /// Where each id ends, and where what is said of it ends; nothing where nothing can be said.
    ends: Vec<(usize, Option<usize>)>,
}

impl Uses {
    /// Begins in a part of a chain.
    pub(super) fn of_part() -> Self {
        Self {
            pending: BTreeMap::new(),
            issued: Some(Issued::default()),
        }
    }

    /// Looks at the next event going back; returns the uses whose subject it shows to be another's.
    pub(super) fn see(&mut self, event: &Event<'_>, step: u64) -> Vec<Place> {
        let kind = event.kind();
        if kind == Some(EventType::PermitUsed) && !event.subject.is_empty() {
            let tail = event.tail_of_subject();
            let head = event.subject.len().saturating_sub(tail.len());
            let sequence = event.sequence;
            let found = Use {
                place: Place { sequence, step },
                tail: tail.to_owned(),
                room: MAX_SUBJECT.saturating_sub(head),
            };
            self.keep(event.event_id, found);
        } else if kind == Some(EventType::PermitIssued)
            && (self.issued.is_some() || self.pending.contains_key(event.event_id))
        {
            let tail = event.tail_of_uses();
            if let Some(issued) = &mut self.issued {
                issued.push(event.event_id, tail.as_deref());
            }
            return self.settle(event.event_id, tail.as_deref());
        }
        Vec::new()
    }

    /// Takes over what a part that follows, going back, has met; its steps count from `base` on.
    ///
    /// Returns the uses from before the part whose subject the part shows to be another's.
    pub(super) fn join(&mut self, part: Self, base: u64) -> Vec<Place> {
        let mut wrong = Vec::new();
        if let Some(issued) = part.issued.filter(|_| !self.pending.is_empty()) {
            issued.each(|id, tail| wrong.extend(self.settle(id, tail)));
        }
        for (id, uses) in part.pending {
            for mut found in uses {
                found.place.step = found.place.step.saturating_add(base);
                self.keep(&id, found);
            }
        }
        wrong
    }

    fn keep(&mut self, permit_id: &str, found: Use) {
        let uses = self.pending.entry(permit_id.to_owned()).or_default();
        uses.retain(|other| other.tail != found.tail);
        uses.push(found);
    }

    /// Compares the uses of a permit with what they must say.
    fn settle(&mut self, permit_id: &str, tail: Option<&str>) -> Vec<Place> {
        let uses = self.pending.remove(permit_id).unwrap_or_default();
        let wrong = uses.into_iter().filter(|found| {
            let expected = tail.map(|tail| tail.get(..found.room).unwrap_or(tail));
            expected != Some(&found.tail)
        });
        wrong.map(|found| found.place).collect()
    }
}

impl Issued {
    fn push(&mut self, id: &str, tail: Option<&str>) {
        self.text.push_str(id);
        let middle = self.text.len();
        self.text.push_str(tail.unwrap_or_default());
        self.ends.push((middle, tail.map(|_| self.text.len())));
    }

    fn each(&self, mut show: impl FnMut(&str, Option<&str>)) {
        let mut start = 0;
        for &(middle, end) in &self.ends {
            let id = self.text.get(start..middle).unwrap_or_default();
            show(id, end.and_then(|end| self.text.get(middle..end)));
            start = end.unwrap_or(middle);
        }
    }
}
