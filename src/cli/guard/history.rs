//! What a stream holds of the permits that a push's events name.
//!
//! They are looked for once, going back from the old tip, and followed from event to event of the push after that: what
//! a push costs grows with its events, and not with the square of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::cli::stream::Stream;
use crate::cli::verify::Issuance;
use crate::engine::chain::{Event, EventType};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::CommitSha;
use crate::engine::permit::Permit;
use crate::engine::request::Request;
use crate::engine::validity;
use crate::git::CommitId;

/// Permits by id, each with what became of it so far.
pub(super) struct History(BTreeMap<String, Known>);

/// A permit of the stream.
pub(super) struct Known {
    /// Where it was issued, and why the event did not issue it as it is.
    issued: Result<(Issuance, String), Refusal>,
    permit: Permit,
    request: Request,
    last_use: Option<Use>,
}

/// A use of a permit.
#[derive(Clone)]
struct Use {
    commit: CommitId,
    policy_hash: String,
    request_fingerprint: String,
    governed: Option<CommitSha>,
}

impl History {
    /// Looks for permits on a stream, going back from a tip until each is found.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub(super) fn look(
        stream: &Stream<'_>,
        tip: Option<CommitId>,
        mut wanted: BTreeSet<String>,
    ) -> Result<Self, Refusal> {
        let mut found = Self(BTreeMap::new());
        let (Some(tip), false) = (tip, wanted.is_empty()) else {
            return Ok(found);
        };
        // Going back, the uses of a permit come before it, the last one first.
        let mut uses: BTreeMap<String, (u64, Option<Use>)> = BTreeMap::new();
        let verifier = stream.walk(tip, None, |event, commit| {
            if !wanted.contains(event.event_id) {
                return Ok(ControlFlow::Continue(()));
            }
            match event.kind() {
                Some(EventType::PermitUsed) => {
                    let (count, last) = uses.entry(event.event_id.to_owned()).or_default();
                    *count = count.saturating_add(1);
                    last.get_or_insert_with(|| Use::read(event, commit));
                }
                Some(EventType::PermitIssued) => {
                    wanted.remove(event.event_id);
                    let (count, last) = uses.remove(event.event_id).unwrap_or_default();
                    if let Some(mut known) = Known::read(event, commit, stream.parent_of(commit)?) {
                        if let Ok((issuance, _)) = &mut known.issued {
                            issuance.uses = count;
                        }
                        known.last_use = last;
                        found.0.insert(event.event_id.to_owned(), known);
                    }
                }
                _ => {}
            }
            Ok(if wanted.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        verifier
            .finish_part()
            .map_err(|fault| stream.broken(&fault))?;
        Ok(found)
    }

    /// Goes on by an event of the push.
    pub(super) fn pass(&mut self, event: &Event<'_>, commit: CommitId, parent: Option<CommitId>) {
        match event.kind() {
            Some(EventType::PermitIssued) => {
                if let Some(known) = Known::read(event, commit, parent) {
                    self.0.insert(event.event_id.to_owned(), known);
                }
            }
            Some(EventType::PermitUsed) => {
                if let Some(known) = self.0.get_mut(event.event_id) {
                    if let Ok((issuance, _)) = &mut known.issued {
                        issuance.uses = issuance.uses.saturating_add(1);
                    }
                    known.last_use = Some(Use::read(event, commit));
                }
            }
            _ => {}
        }
    }

    /// The permit of this id, where the stream issued it.
    pub(super) fn permit(&self, id: &str) -> Option<&Known> {
        self.0.get(id)
    }
}

impl Known {
    fn read(event: &Event<'_>, commit: CommitId, before: Option<CommitId>) -> Option<Self> {
        let payload = event.payload_value().ok()?;
        let permit = Permit::read(payload.at("permit")?).ok()?;
        let request = Request::read(payload.at("request")?).ok()?;
        let issued = if permit.issued_at_sequence == event.sequence {
            validity::is_issuance(&permit, event)
        } else {
            let nothing = "the permit names another event than the one that issued it";
            Err(Refusal::new(Code::NotIssued, nothing))
        };
        Some(Self {
            issued: issued.map(|detail| (Issuance::new(commit, before), detail)),
            permit,
            request,
            last_use: None,
        })
    }

    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// What the stream says of it up to now.
    pub(super) fn issuance(&self) -> Result<(Issuance, String), Refusal> {
        self.issued.clone()
    }

    /// The governed commit of its last use, where an event is about the same and, if asked, stands right behind it.
    pub(super) fn used_for(
        &self,
        event: &Event<'_>,
        right_behind: Option<CommitId>,
    ) -> Option<CommitSha> {
        let last = self.last_use.as_ref()?;
        let same = last.policy_hash == event.policy_hash
            && last.request_fingerprint == event.request_fingerprint
            && right_behind.is_none_or(|commit| commit == last.commit);
        last.governed.filter(|_| same)
    }
}

impl Use {
    fn read(event: &Event<'_>, commit: CommitId) -> Self {
        let governed = event.payload_text("governed_commit");
        Self {
            commit,
            policy_hash: event.policy_hash.to_owned(),
            request_fingerprint: event.request_fingerprint.to_owned(),
            governed: governed.and_then(|text| text.parse().ok()),
        }
    }
}
