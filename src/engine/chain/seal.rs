//! Values to a sealed event: sequence, link, hash and bytes (core.md section 6).

use std::cell::OnceCell;
use std::ops::Range;

use super::super::canonical::{self, MAX_DEPTH, MAX_INTEGER, Object, Value, to_text};
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
    stream_id: String,
    subject: String,
    /// The artifact up to the event's last member.
    body: String,
    /// Where the payload stands in it.
    payload: Range<usize>,
    /// Computed when it is asked for: whoever only compares the event needs none.
    event_hash: OnceCell<EventHash>,
}

/// What stands in an artifact before the event's first member, and before its payload.
const HEAD: &str = r#"{"event":{"#;
const PAYLOAD: &str = r#","payload":"#;

/// The bytes of an artifact behind the event's last member: braces, names, version, writer, and 64 digits of the hash.
const TAIL: usize = 120;

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
            request_fingerprint: Fingerprint::new(domain_hash(Domain::StreamGenesis, &genesis)),
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
            ("governed_commit", Value::from(governed_commit)),
            ("mapping", canonical::to_value(mapping).map_err(unwritable)?),
            ("permit", permit.to_value()?),
            ("permit_id", Value::from(permit.permit_id)),
            ("policy_hash", Value::from(permit.policy_hash)),
            ("prev_event_hash", Value::from(permit.prev_event_hash)),
            ("request", canonical::to_value(request).map_err(unwritable)?),
            (
                "request_fingerprint",
                Value::from(permit.request_fingerprint),
            ),
            ("sequence", integer(permit.issued_at_sequence)?),
            ("stream_id", Value::from(permit.stream_id.as_str())),
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
        *self.event_hash.get_or_init(|| {
            let part = |range: Range<usize>| self.body.get(range).unwrap_or_default();
            let head = part(HEAD.len()..self.payload.start.saturating_sub(PAYLOAD.len()));
            let tail = part(self.payload.end..self.body.len());
            hash_parts(part(self.payload.clone()), [head, tail, "", "", "", ""])
        })
    }

    /// The tip that the stream has once this event is appended.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip {
            stream_id: self.stream_id.clone(),
            sequence: self.sequence,
            event_hash: self.event_hash(),
        }
    }

    /// The artifact: one line of JSON Lines, the content of one file.
    #[must_use]
    pub fn artifact(&self) -> String {
        let hash = self.event_hash();
        let body = &self.body;
        format!(r#"{body}}},"event_hash":"{hash}","version":1,"written_by":"supervisor"}}"#)
    }

    /// Tells whether an event that was read from its commit is this one to the last byte, subject included.
    ///
    /// A commit's form leaves room for nothing else: with the same commit before it, it is the same commit. Behind the
    /// event's last member stands the hash and nothing that differs, and an event of the same bytes has the same hash.
    #[must_use]
    pub fn is(&self, event: &Event<'_>) -> bool {
        let rest = event.artifact.strip_prefix(&self.body);
        let same = rest.is_some_and(|rest| rest.starts_with(r#"},"event_hash":"#));
        same && self.subject == event.subject && event.hash_fits()
    }

    /// The message of the event's commit: subject, an empty line, the artifact.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}\n\n{}", self.subject, self.artifact())
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
    // INVARIANT: what is appended can be read again; the payload stands in the event, and that in the artifact.
    if draft.payload.depth() > MAX_DEPTH.saturating_sub(2) {
        let what = "the request nests too deep to be recorded: its event could not be read again";
        return Err(Refusal::new(Code::InvalidRequest, what));
    }
    let payload = to_text(&draft.payload);
    let event_id = draft.event_id.unwrap_or_else(|| {
        let named = Object::of([
            ("event_type", Value::from(kind)),
            ("stream_id", Value::from(stream_id)),
            ("sequence", number),
            ("prev_event_hash", Value::from(prev)),
            ("payload", draft.payload),
        ]);
        domain_hash(Domain::EventId, &named)
    });
    // INVARIANT: kinds, hashes and stream ids hold nothing that JSON escapes.
    let head = format!(
        r#"{HEAD}"event_id":"{}","event_type":"{kind}"{PAYLOAD}"#,
        hex::encode(event_id)
    );
    let tail = format!(
        r#","policy_hash":"{}","prev_event_hash":"{prev}","request_fingerprint":"{}","sequence":{sequence},"stream_id":"{stream_id}""#,
        draft.policy_hash, draft.request_fingerprint
    );
    let body = [head.as_str(), &payload, &tail].concat();
    let payload = head.len()..body.len().saturating_sub(tail.len());
    if body.len() > MAX_EVENT.saturating_sub(TAIL) {
        return Err(Refusal::new(
            Code::InvalidRequest,
            "the event would be larger than 8 MiB",
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
    let sealed = SealedEvent {
        sequence,
        stream_id: stream_id.to_owned(),
        subject: Subject::new(kind, sequence, about).to_string(),
        body,
        payload,
        event_hash: OnceCell::new(),
    };
    debug_assert!(
        Event::read(sealed.artifact().as_bytes()).is_ok(),
        "what is appended can be read again"
    );
    Ok(sealed)
}
