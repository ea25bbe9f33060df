//! Which attestations a stream has spent: an attestation is good for one permit, whatever review it stands in.
//!
//! An attestation is its canonical payload. It is spent by the first `permit.issued` that rests on it and never by an
//! artifact alone, so that whatever becomes of the file, the same payload yields nothing more. A review that is made anew
//! has another anchor, which may be on another stream, so that every stream of the repository is walked to its beginning:
//! once, growing with the streams, and only for a review that carries attestations. What is recorded is judged by its own
//! stream alone, so that no replay depends on which of two streams went on first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::decide::Place;
use super::session::{MAX_GOVERNED, Session, commit_id};
use super::stream::Stream;
use crate::engine::canonical::{Object, Value};
use crate::engine::chain::{Event, EventType};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{CommitSha, Digest, ReviewId};
use crate::engine::review::Artifact;
use crate::git::CommitId;

/// The payloads that the permits of one stream rest on.
#[derive(Default)]
pub(crate) struct Spending {
    /// The sequence of each commit that was walked.
    walked: BTreeMap<CommitId, u64>,
    /// By each sequence that issued on attestations, their payloads.
    spent: BTreeMap<u64, Vec<Digest>>,
}

/// Tells whether a permit rests on one of some payloads: at a commit of a stream or before it, and, where something new is
/// decided, on any other stream.
///
/// # Errors
/// `CHAIN_*` where a stream is broken on the way; objects that the repository lacks.
pub(crate) fn is_spent(
    session: &Session,
    place: &Place<'_>,
    payloads: &[Digest],
) -> Result<bool, Refusal> {
    if payloads.is_empty() {
        return Ok(false);
    }
    if let Some(from) = place.from
        && is_spent_at(session, place.stream, from, payloads)?
    {
        return Ok(true);
    }
    if !place.rules.bind_form() {
        return Ok(false);
    }
    for other in Stream::all(session)? {
        if other.id != place.stream.id
            && let Some(at) = other.tip()?
            && is_spent_at(session, &other, at.commit, payloads)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_spent_at(
    session: &Session,
    stream: &Stream<'_>,
    from: CommitId,
    payloads: &[Digest],
) -> Result<bool, Refusal> {
    let mut all = session.ledger.spending.borrow_mut();
    let spending = all.entry(stream.id.clone()).or_default();
    if !spending.walked.contains_key(&from) {
        spending.take(session, stream, from)?;
    }
    let Some(last) = spending.walked.get(&from) else {
        return Err(Refusal::new(Code::Internal, "a walk without its beginning"));
    };
    let spent = spending.spent.range(..=*last);
    Ok(spent
        .flat_map(|(_, spent)| spent)
        .any(|one| payloads.contains(one)))
}

impl Spending {
    /// Walks back from a commit to one that is known, or to the stream's beginning.
    fn take(
        &mut self,
        session: &Session,
        stream: &Stream<'_>,
        from: CommitId,
    ) -> Result<(), Refusal> {
        let mut new = Self::default();
        let mut met = None;
        let verifier = stream.walk(from, None, |event, commit| {
            if self.walked.contains_key(&commit) {
                met = Some(event.sequence);
                return Ok(ControlFlow::Break(()));
            }
            new.walked.insert(commit, event.sequence);
            let payloads = rests_on(session, event)?;
            if !payloads.is_empty() {
                new.spent.insert(event.sequence, payloads);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        verifier
            .finish_walk(met.is_none())
            .map_err(|fault| stream.broken(&fault))?;
        // Behind the commit that is known lies what is known; what followed it before is another history now.
        self.walked
            .retain(|_, sequence| met.is_some_and(|met| *sequence <= met));
        self.spent
            .retain(|sequence, _| met.is_some_and(|met| *sequence <= met));
        self.walked.append(&mut new.walked);
        self.spent.append(&mut new.spent);
        Ok(())
    }
}

/// The payloads that the permit of an event rests on: those of the artifact in its governed commit.
///
/// # Errors
/// `REVIEW_MISSING` where the commit holds no such artifact; objects that the repository lacks.
pub(crate) fn rests_on(session: &Session, event: &Event<'_>) -> Result<Vec<Digest>, Refusal> {
    if event.kind() != Some(EventType::PermitIssued)
        || !event.payload.contains("attestation_hashes")
    {
        return Ok(Vec::new());
    }
    let Ok(payload) = event.payload_value() else {
        return Ok(Vec::new());
    };
    let attested = payload.at("review").and_then(Value::as_object);
    let Some(review) = attested.filter(|review| review.get("attestation_hashes").is_some()) else {
        return Ok(Vec::new());
    };
    match artifact_of(session, &payload, review)? {
        Some(artifact) => artifact.payloads(),
        None => Err(Refusal::new(
            Code::ReviewMissing,
            format!(
                "event {} rests on attestations that its governed commit does not hold",
                event.sequence
            ),
        )),
    }
}

/// SHA-256 of the message that was signed for the review of an event: as recorded, and for an older event that of the
/// artifact in its governed commit; nothing where that cannot be told.
pub(crate) fn message_of(
    session: &Session,
    payload: &Value<'_>,
) -> Result<Option<Digest>, Refusal> {
    let Some(review) = payload.at("review").and_then(Value::as_object) else {
        return Ok(None);
    };
    if let Some(recorded) = review.get("message_sha256") {
        return Ok(recorded.as_str().and_then(|text| text.parse().ok()));
    }
    Ok(artifact_of(session, payload, review)?.map(|artifact| artifact.message_sha256()))
}

fn artifact_of(
    session: &Session,
    payload: &Value<'_>,
    review: &Object<'_>,
) -> Result<Option<Artifact>, Refusal> {
    let id = review.get("review_id").and_then(Value::as_str);
    let commit = payload.at("governed_commit").and_then(Value::as_str);
    let (Some(Ok(id)), Some(Ok(commit))) = (
        id.map(str::parse::<ReviewId>),
        commit.map(str::parse::<CommitSha>),
    ) else {
        return Ok(None);
    };
    let snapshot = session.repository.snapshot(commit_id(commit))?;
    let Some(blob) = snapshot.file(&Artifact::path_of(id), MAX_GOVERNED)? else {
        return Ok(None);
    };
    Ok(Artifact::parse(&blob.bytes).ok())
}
