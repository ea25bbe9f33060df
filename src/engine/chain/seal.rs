//! Values to a sealed event: sequence, link, hash and bytes (core.md section 6).

use super::super::canonical::{self, MAX_INTEGER, Object, Value, to_text};
use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, Domain, EventHash, Fingerprint, PolicyHash, domain_hash};
use super::super::evaluate::Mapping;
use super::super::permit::Permit;
use super::super::request::Request;
use super::form::{EventType, MAX_EVENT, Subject, hash_parts};
use super::{Event, Tip};

/// An event with its hash, ready to be appended after the tip that it was sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    sequence: u64,
    event_hash: EventHash,
    stream_id: String,
    subject: String,
    artifact: String,
}

/// What an event says of itself beside its payload; the sealing adds sequence, link and hash.
struct Draft<'a> {
    kind: EventType,
    event_id: Option<[u8; 32]>,
    policy_hash: PolicyHash,
    request_fingerprint: Fingerprint,
    payload: Value<'a>,
    about: Option<(&'a Permit, &'a str)>,
}

impl SealedEvent {
    /// Seals `stream.opened`, the first event of a stream.
    ///
    /// Its fingerprint is `domain_hash(stream_genesis.v1, {stream_id, policy_hash})`.
    ///
    /// # Errors
    /// `INTERNAL` where the event would be too large; it is not.
    pub fn open(
        stream_id: &str,
        policy_hash: PolicyHash,
        governed_commit: CommitSha,
    ) -> Result<Self, Refusal> {
        let genesis = Object::of([
            ("stream_id", Value::from(stream_id)),
            ("policy_hash", Value::from(policy_hash)),
        ]);
        let draft = Draft {
            kind: EventType::StreamOpened,
            event_id: None,
            policy_hash,
            request_fingerprint: Fingerprint::new(domain_hash(
                Domain::StreamGenesis,
                &genesis.into(),
            )),
            payload: Value::Object(Object::of([
                ("governed_commit", Value::from(governed_commit)),
                ("policy_hash", Value::from(policy_hash)),
            ])),
            about: None,
        };
        seal(stream_id, 0, "", draft)
    }

    /// Seals `permit.issued` of a permit, for the tip that the permit was derived from.
    ///
    /// # Errors
    /// `INVALID_REQUEST` where the event would be larger than 8 MiB.
    pub fn issue(
        permit: &Permit,
        request: &Request,
        mapping: &Mapping,
        governed_commit: CommitSha,
        review: Option<Value<'static>>,
    ) -> Result<Self, Refusal> {
        let unwritable = |fault: canonical::Fault| Refusal::new(Code::Internal, fault.to_string());
        let mut payload = Object::of([
            ("policy_hash", Value::from(permit.policy_hash)),
            (
                "request_fingerprint",
                Value::from(permit.request_fingerprint),
            ),
            ("permit_id", Value::from(permit.permit_id)),
            ("stream_id", Value::from(permit.stream_id.as_str())),
            ("sequence", integer(permit.issued_at_sequence)?),
            ("prev_event_hash", Value::from(permit.prev_event_hash)),
            ("permit", permit.to_value()),
            ("request", canonical::to_value(request).map_err(unwritable)?),
            ("mapping", canonical::to_value(mapping).map_err(unwritable)?),
            ("governed_commit", Value::from(governed_commit)),
        ]);
        if let Some(review) = review {
            payload.insert("review", review);
        }
        let draft = Draft {
            kind: EventType::PermitIssued,
            event_id: Some(*permit.permit_id.as_bytes()),
            policy_hash: permit.policy_hash,
            request_fingerprint: permit.request_fingerprint,
            payload: Value::Object(payload),
            about: Some((permit, &request.actor_id)),
        };
        let prev = permit.prev_event_hash.to_string();
        seal(&permit.stream_id, permit.issued_at_sequence, &prev, draft)
    }

    /// Seals `permit.used` of a permit that somebody is about to act on.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED` where the stream has reached its last sequence.
    pub fn used(
        permit: &Permit,
        actor_id: &str,
        tip: &Tip,
        governed_commit: CommitSha,
    ) -> Result<Self, Refusal> {
        let draft = Draft {
            kind: EventType::PermitUsed,
            event_id: Some(*permit.permit_id.as_bytes()),
            policy_hash: permit.policy_hash,
            request_fingerprint: permit.request_fingerprint,
            payload: Value::Object(Object::of([
                ("permit_id", Value::from(permit.permit_id)),
                ("governed_commit", Value::from(governed_commit)),
            ])),
            about: Some((permit, actor_id)),
        };
        let prev = tip.event_hash.to_string();
        seal(&tip.stream_id, tip.next_sequence(), &prev, draft)
    }

    /// Seals an event of another kind after a tip.
    ///
    /// Its `event_id` is `domain_hash(event_id.v1, {event_type, stream_id, sequence, prev_event_hash, payload})`.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED` where the stream has reached its last sequence.
    pub fn record(
        kind: EventType,
        tip: &Tip,
        policy_hash: PolicyHash,
        request_fingerprint: Fingerprint,
        payload: Object<'_>,
    ) -> Result<Self, Refusal> {
        let draft = Draft {
            kind,
            event_id: None,
            policy_hash,
            request_fingerprint,
            payload: Value::Object(payload),
            about: None,
        };
        let prev = tip.event_hash.to_string();
        seal(&tip.stream_id, tip.next_sequence(), &prev, draft)
    }

    /// The event's sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The event's hash.
    #[must_use]
    pub fn event_hash(&self) -> EventHash {
        self.event_hash
    }

    /// The tip that the stream has once this event is appended.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip {
            stream_id: self.stream_id.clone(),
            sequence: self.sequence,
            event_hash: self.event_hash,
        }
    }

    /// The artifact: one line of JSON Lines, the content of one file.
    #[must_use]
    pub fn artifact(&self) -> &str {
        &self.artifact
    }

    /// Tells whether an event that was read from its commit is this one to the last byte, subject included.
    ///
    /// A commit's form leaves room for nothing else: with the same commit before it, it is the same commit.
    #[must_use]
    pub fn is(&self, event: &Event<'_>) -> bool {
        self.subject == event.subject && self.artifact == event.artifact
    }

    /// The message of the event's commit: subject, an empty line, the artifact.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}\n\n{}", self.subject, self.artifact)
    }
}

fn integer(number: u64) -> Result<Value<'static>, Refusal> {
    i64::try_from(number)
        .ok()
        .filter(|number| *number <= MAX_INTEGER)
        .map(Value::Int)
        .ok_or_else(|| {
            Refusal::new(
                Code::ChainMalformed,
                "the stream has reached its last sequence",
            )
        })
}

fn seal(
    stream_id: &str,
    sequence: u64,
    prev: &str,
    draft: Draft<'_>,
) -> Result<SealedEvent, Refusal> {
    let kind = draft.kind.word();
    let number = integer(sequence)?;
    let payload = to_text(&draft.payload);
    let event_id = draft.event_id.unwrap_or_else(|| {
        let named = Object::of([
            ("event_type", Value::from(kind)),
            ("stream_id", Value::from(stream_id)),
            ("sequence", number),
            ("prev_event_hash", Value::from(prev)),
            ("payload", draft.payload),
        ]);
        domain_hash(Domain::EventId, &named.into())
    });
    let head = format!(
        r#""event_id":"{}","event_type":"{kind}""#,
        hex::encode(event_id)
    );
    // INVARIANT: kinds, hashes and stream ids hold nothing that JSON escapes.
    let tail = format!(
        r#""policy_hash":"{}","prev_event_hash":"{prev}","request_fingerprint":"{}","sequence":{sequence},"stream_id":"{stream_id}""#,
        draft.policy_hash, draft.request_fingerprint
    );
    let event_hash = hash_parts(&payload, [&head, ",", &tail, "", "", ""]);
    let artifact = format!(
        r#"{{"event":{{{head},"payload":{payload},{tail}}},"event_hash":"{event_hash}","version":1,"written_by":"supervisor"}}"#
    );
    if artifact.len() > MAX_EVENT {
        return Err(Refusal::new(
            Code::InvalidRequest,
            "the event would be larger than 8 MiB",
        ));
    }
    // INVARIANT: what is appended can be read again; a request that nests deeply does not inside its event.
    if let Err(what) = Event::read(artifact.as_bytes()) {
        return Err(Refusal::new(
            Code::InvalidRequest,
            format!(
                "the request cannot be recorded, since its event could not be read again: {what}"
            ),
        ));
    }
    let about = draft.about.map(|(permit, actor)| {
        let capability = &permit.capability;
        [
            permit.decision.word(),
            capability.kind.word(),
            &capability.selector,
            actor,
        ]
    });
    Ok(SealedEvent {
        sequence,
        event_hash,
        stream_id: stream_id.to_owned(),
        subject: Subject::new(kind, sequence, about).to_string(),
        artifact,
    })
}
