//! What the stream says around a review: its anchor, and the permits that it has yielded since.
//!
//! A walk goes back from one commit of the stream to the anchor and costs the events between them. It is remembered, so
//! that many permits of one review (a batch, a replay) do not walk the same events again: every place on the walked
//! stretch is answered from it, and only a place that lies on it, commit id and all.

use std::ops::ControlFlow;

use super::decide::Place;
use super::session::Session;
use super::spending;
use super::stream::Stream;
use crate::engine::canonical::Value;
use crate::engine::chain::{Event, EventType};
use crate::engine::code::Refusal;
use crate::engine::request::Request;
use crate::engine::review::{AnchorFact, Artifact};
use crate::git::CommitId;

/// What the stream says around an artifact, seen from one event.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) anchor: AnchorFact,
    /// How many permits of the signed message stand after the anchor.
    pub(crate) issued: u64,
    /// Whether a permit before rests on one of the attestations.
    pub(crate) payload_spent: bool,
    /// The request of one of them.
    pub(crate) request: Option<Request>,
}

/// A verified stretch of a stream, from its newest event back to an anchor.
pub(crate) struct Walk {
    /// The sequence of the anchor, and what stands there.
    sequence: u64,
    anchor: AnchorFact,
    /// The commits from the newest event back, each with its event's sequence.
    commits: Vec<(u64, CommitId)>,
    /// The sequences of the permits of the review.
    issued: Vec<u64>,
    request: Option<Request>,
}

impl Facts {
    const NONE: Self = Self {
        anchor: AnchorFact::Missing,
        issued: 0,
        payload_spent: false,
        request: None,
    };

    /// Looks at the anchor of an artifact and counts the permits of its signed message after it, going back from a
    /// place of the stream; where it carries attestations, looks whether they are spent.
    ///
    /// # Errors
    /// `CHAIN_*` where the stream is broken on the way.
    pub(crate) fn around(
        session: &Session,
        place: &Place<'_>,
        artifact: &Artifact,
    ) -> Result<Self, Refusal> {
        let mut facts = Self::since(session, place.stream, artifact, place.from)?;
        // A blob that is no attestation is spent on nothing; its own rule refuses it.
        if let Ok(payloads) = artifact.payloads() {
            facts.payload_spent = spending::is_spent(session, place, &payloads)?;
        }
        Ok(facts)
    }

    fn since(
        session: &Session,
        stream: &Stream<'_>,
        artifact: &Artifact,
        from: Option<CommitId>,
    ) -> Result<Self, Refusal> {
        let anchor = &artifact.document().anchor;
        let Some(from) = from.filter(|_| anchor.stream_id == stream.id) else {
            return Ok(Self::NONE);
        };
        let key = (stream.id.clone(), artifact.message_sha256());
        let known = session.ledger.walks.with(&key, |walk| {
            let same = walk.sequence == anchor.sequence;
            same.then(|| walk.seen_from(from)).flatten()
        });
        if let Some(facts) = known.flatten() {
            return Ok(facts);
        }
        let walk = Walk::take(session, stream, artifact, from)?;
        let facts = walk.seen_from(from).unwrap_or(Self::NONE);
        let bytes = walk.commits.len().saturating_mul(32);
        session.ledger.walks.keep(key, walk, bytes);
        Ok(facts)
    }
}

impl Walk {
    fn take(
        session: &Session,
        stream: &Stream<'_>,
        artifact: &Artifact,
        from: CommitId,
    ) -> Result<Self, Refusal> {
        let document = artifact.document();
        let sequence = document.anchor.sequence;
        let review_id = document.review_id.to_string();
        let message = artifact.message_sha256();
        let mut walk = Self {
            sequence,
            anchor: AnchorFact::Missing,
            commits: Vec::new(),
            issued: Vec::new(),
            request: None,
        };
        let verifier = stream.walk(from, None, |event, commit| {
            walk.commits.push((event.sequence, commit));
            if event.sequence == sequence {
                walk.anchor = AnchorFact::Event(event.computed_hash);
            }
            if event.sequence <= sequence {
                return Ok(ControlFlow::Break(()));
            }
            // An approval is what was signed: another message about the same request is another approval. What was
            // signed for a permit and cannot be told counts as this one.
            if let Some(payload) = issued_for(event, &review_id)
                && spending::message_of(session, &payload)?.is_none_or(|signed| signed == message)
            {
                walk.issued.push(event.sequence);
                walk.request = payload
                    .at("request")
                    .and_then(|request| Request::read(request).ok());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        verifier
            .finish_part()
            .map_err(|fault| stream.broken(&fault))?;
        Ok(walk)
    }

    /// What the walk says, seen from one of its commits; nothing from any other.
    fn seen_from(&self, from: CommitId) -> Option<Facts> {
        let (sequence, _) = self.commits.iter().find(|(_, commit)| *commit == from)?;
        let before = |issued: &&u64| *issued <= sequence;
        let issued = self.issued.iter().filter(before).count();
        Some(Facts {
            anchor: if *sequence >= self.sequence {
                self.anchor
            } else {
                AnchorFact::Missing
            },
            payload_spent: false,
            issued: u64::try_from(issued).unwrap_or(u64::MAX),
            request: self.request.clone().filter(|_| issued > 0),
        })
    }
}

/// The payload of an event that issued a permit of a review.
fn issued_for<'e>(event: &Event<'e>, review_id: &str) -> Option<Value<'e>> {
    if event.kind() != Some(EventType::PermitIssued) || !event.payload.contains(review_id) {
        return None;
    }
    let payload = event.payload_value().ok()?;
    let named = payload.at("permit")?.at("review_ref")?.at("review_id")?;
    (named.as_str() == Some(review_id)).then_some(payload)
}
