//! One event: sealed from values, read back as slices of its bytes (core.md section 6).
//!
//! `event_hash = domain_hash(audit_event.v1, {"identity": <the event without payload>, "body": {"payload"}})`, and the
//! artifact bytes are the canonical JSON of `{"event", "event_hash", "version": 1, "written_by": "supervisor"}`. Both
//! are written and read in place: canonical form puts every part where it is known to stand, so that neither a tree
//! nor a copy is needed to hash an event again.

use std::fmt::Write as _;

use super::super::canonical::scan::{NotCanonical, Scanner, unescape};
use super::super::canonical::{self, MAX_INTEGER, Object, Value, to_bytes};
use super::super::code::{Code, Refusal};
use super::super::digest::{
    CommitSha, Domain, EventHash, Fingerprint, PolicyHash, domain_hash, labelled_hash,
};
use super::super::evaluate::Mapping;
use super::super::permit::Permit;
use super::super::request::Request;
use super::Tip;

/// The largest event, in bytes of its artifact (section 1).
pub const MAX_EVENT: usize = 8 << 20;

/// The longest subject line of an event's commit, in bytes.
const MAX_SUBJECT: usize = 200;

/// The kinds of event that the pages define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// The first event of a stream.
    StreamOpened,
    /// A permit was issued.
    PermitIssued,
    /// A permit was used.
    PermitUsed,
    /// A review's verdict was recorded (reviews.md).
    ReviewResolved,
    /// A run was asked for (enforcement.md).
    ToolExecRequested,
    /// A run ended within its bounds.
    ToolExecAllowed,
    /// A run ended within its bounds and the policy warns of it.
    ToolExecWarned,
    /// A run was refused, or broke its bounds.
    ToolExecBlocked,
}

impl EventType {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::StreamOpened,
        Self::PermitIssued,
        Self::PermitUsed,
        Self::ReviewResolved,
        Self::ToolExecRequested,
        Self::ToolExecAllowed,
        Self::ToolExecWarned,
        Self::ToolExecBlocked,
    ];

    /// The word that stands in events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            EventType::StreamOpened => "stream.opened",
            EventType::PermitIssued => "permit.issued",
            EventType::PermitUsed => "permit.used",
            EventType::ReviewResolved => "review.resolved",
            EventType::ToolExecRequested => "tool.exec.requested",
            EventType::ToolExecAllowed => "tool.exec.allowed",
            EventType::ToolExecWarned => "tool.exec.warned",
            EventType::ToolExecBlocked => "tool.exec.blocked",
        }
    }

    /// The kind of this word, if the pages define it.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

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
    let payload = to_bytes(&draft.payload);
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
    let payload = String::from_utf8_lossy(&payload);
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
    let about = draft
        .about
        .map(|(permit, actor)| (permit.decision.word(), permit.capability.to_string(), actor));
    let about = about
        .as_ref()
        .map(|(decision, capability, actor)| (*decision, capability.as_str(), *actor));
    Ok(SealedEvent {
        sequence,
        event_hash,
        stream_id: stream_id.to_owned(),
        subject: subject(kind, sequence, about),
        artifact,
    })
}

/// Hashes an event from its payload and the parts of its identity's canonical text.
fn hash_parts(payload: &str, identity: [&str; 6]) -> EventHash {
    let [first, second, third, fourth, fifth, sixth] = identity.map(str::as_bytes);
    let parts: [&[u8]; 10] = [
        br#"{"body":{"payload":"#,
        payload.as_bytes(),
        br#"},"identity":{"#,
        first,
        second,
        third,
        fourth,
        fifth,
        sixth,
        b"}}",
    ];
    EventHash::new(labelled_hash(Domain::AuditEvent.label(), &parts))
}

/// The subject of an event's commit: `<type> #<sequence>`, for `permit.*` also ` <decision> <capability> <actor>`.
fn subject(kind: &str, sequence: u64, about: Option<(&str, &str, &str)>) -> String {
    let mut text = format!("{kind} #{sequence}");
    if let Some((decision, capability, actor)) = about {
        let _ = write!(text, " {decision} {capability} {actor}");
    }
    let mut subject = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            subject.push(character);
        } else {
            let _ = write!(subject, "\\u{{{:x}}}", u32::from(character));
        }
    }
    subject.truncate(MAX_SUBJECT);
    subject
}

/// The link to the event before, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prev<'a> {
    /// `null`, which another implementation writes in a first event; it hashes as `""`.
    Null,
    /// `""`, or the hash of the event before.
    Hash(&'a str),
}

impl<'a> Prev<'a> {
    /// The link as it is hashed.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Prev::Null => "",
            Prev::Hash(text) => text,
        }
    }
}

/// An event read from its artifact bytes: slices of them, and the hash that they give.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The event's own id.
    pub event_id: &'a str,
    /// The event's kind, as it is written.
    pub event_type: &'a str,
    /// The payload's canonical JSON.
    pub payload: &'a str,
    /// The policy's hash.
    pub policy_hash: &'a str,
    /// The link to the event before.
    pub prev: Prev<'a>,
    /// The request's fingerprint.
    pub request_fingerprint: &'a str,
    /// The place in the stream.
    pub sequence: u64,
    /// The stream, as it is written.
    pub stream_id: &'a str,
    /// The hash that the artifact records.
    pub recorded_hash: &'a str,
    /// The hash that the event's bytes give.
    pub computed_hash: EventHash,
    /// The subject of its commit; empty where it was read from a file.
    pub subject: &'a str,
    permit: Option<&'a str>,
    request: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// Reads the artifact bytes of one event in one pass: their canonical form, their parts, their hash.
    ///
    /// # Errors
    /// What is malformed about them; a hash that does not fit is not a matter of form.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.len() > MAX_EVENT {
            return Err("larger than 8 MiB".to_owned());
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8, at byte {}", error.valid_up_to()))?;
        Self::scan(text)
            .map_err(|broken| format!("not the canonical form of an event, at byte {}", broken.at))
    }

    fn scan(text: &'a str) -> Result<Self, NotCanonical> {
        let mut scanner = Scanner::new(text);
        scanner.expect(r#"{"event":{"#)?;
        let head = scanner.at();
        scanner.expect(r#""event_id":"#)?;
        let event_id = scanner.string()?;
        scanner.expect(r#","event_type":"#)?;
        let event_type = scanner.string()?;
        let head = scanner.slice(head, scanner.at());
        scanner.expect(r#","payload":"#)?;
        let from = scanner.at();
        let (mut permit, mut request) = (None, None);
        scanner.members(3, |key, member| match key {
            "permit" => permit = Some(member),
            "request" => request = Some(member),
            _ => {}
        })?;
        let payload = scanner.slice(from, scanner.at());
        let between = scanner.at();
        scanner.expect(r#","policy_hash":"#)?;
        let policy_hash = scanner.string()?;
        scanner.expect(r#","prev_event_hash":"#)?;
        let between = scanner.slice(between, scanner.at());
        let prev = if scanner.skip("null") {
            Prev::Null
        } else {
            Prev::Hash(link(&mut scanner)?)
        };
        let tail = scanner.at();
        scanner.expect(r#","request_fingerprint":"#)?;
        let request_fingerprint = scanner.string()?;
        scanner.expect(r#","sequence":"#)?;
        let at = scanner.at();
        let sequence = u64::try_from(scanner.integer()?).map_err(|_| NotCanonical { at })?;
        scanner.expect(r#","stream_id":"#)?;
        let stream_id = scanner.string()?;
        let tail = scanner.slice(tail, scanner.at());
        scanner.expect(r#"},"event_hash":"#)?;
        let at = scanner.at();
        let recorded_hash = link(&mut scanner)?;
        if recorded_hash.is_empty() {
            return Err(NotCanonical { at });
        }
        scanner.expect(r#","version":1,"written_by":"supervisor"}"#)?;
        if !scanner.is_done() {
            return Err(NotCanonical { at: scanner.at() });
        }
        Ok(Self {
            event_id,
            event_type,
            payload,
            policy_hash,
            prev,
            request_fingerprint,
            sequence,
            stream_id,
            recorded_hash,
            computed_hash: hash_parts(payload, [head, between, "\"", prev.text(), "\"", tail]),
            subject: "",
            permit,
            request,
        })
    }

    /// Reads an event from its commit: the message, the time and whether there is a parent.
    ///
    /// # Errors
    /// What is malformed about the artifact or about the form of the commit (section 6).
    pub fn read_commit(message: &'a [u8], time: u64, has_parent: bool) -> Result<Self, String> {
        let broken = || "the message is not a subject, an empty line and an artifact".to_owned();
        let (subject, artifact) = split(message).ok_or_else(broken)?;
        let mut event = Self::read(artifact)?;
        event.subject = std::str::from_utf8(subject).map_err(|_| broken())?;
        let form = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        form(
            time == event.sequence,
            "the commit's time is not the event's sequence",
        )?;
        form(
            event.subject_fits(event.subject),
            "the commit's subject is not the event's",
        )?;
        form(
            !has_parent || event.sequence > 0,
            "the commit of the first event has a parent",
        )?;
        let opened = event.kind() == Some(EventType::StreamOpened);
        form(
            opened == (event.sequence == 0),
            "a stream begins with `stream.opened`, which stands nowhere else",
        )?;
        form(event.prev != Prev::Null, "the link is null")?;
        Ok(event)
    }

    /// The artifact bytes in the message of an event's commit.
    #[must_use]
    pub fn artifact_of(message: &[u8]) -> Option<&[u8]> {
        split(message).map(|(_, artifact)| artifact)
    }

    /// The kind of the event, if the pages define it.
    #[must_use]
    pub fn kind(&self) -> Option<EventType> {
        EventType::of_word(self.event_type)
    }

    /// Tells whether the recorded hash is the one that the bytes give.
    #[must_use]
    pub fn hash_fits(&self) -> bool {
        self.recorded_hash.parse() == Ok(self.computed_hash)
    }

    /// The payload as a value.
    ///
    /// # Errors
    /// Never for an event that was read: its payload is a canonical object.
    pub fn payload_value(&self) -> Result<Value<'a>, canonical::Fault> {
        canonical::parse(self.payload.as_bytes())
    }

    /// The text of a member of the payload that is a string.
    #[must_use]
    pub fn payload_text(&self, key: &str) -> Option<String> {
        let payload = self.payload_value().ok()?;
        payload.at(key)?.as_str().map(str::to_owned)
    }

    /// Tells whether a commit's subject is the one that the event gives.
    ///
    /// The decision, capability and actor of a `permit.used` stand in the event that issued the permit, not in this
    /// one; there only the form of the subject is compared.
    #[must_use]
    pub fn subject_fits(&self, found: &str) -> bool {
        let kind = unescape(self.event_type);
        if let ("permit.issued", Some(permit), Some(request)) =
            (kind.as_ref(), self.permit, self.request)
        {
            let Ok((decision, capability)) = decision_and_capability(permit) else {
                return false;
            };
            let mut scanner = Scanner::new(request);
            let actor = scanner
                .expect(r#"{"actor_id":"#)
                .and_then(|()| scanner.string());
            return actor.is_ok_and(|actor| {
                let about = (decision, capability.as_str(), unescape(actor));
                found == subject(&kind, self.sequence, Some((about.0, about.1, &about.2)))
            });
        }
        let plain = subject(&kind, self.sequence, None);
        if kind == "permit.used" {
            found.len() <= MAX_SUBJECT
                && found.bytes().all(|b| matches!(b, b' '..=b'~'))
                && found
                    .strip_prefix(&plain)
                    .is_some_and(|rest| rest.starts_with(' '))
        } else {
            found == plain
        }
    }

    /// The tip that the stream has at this event.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip {
            stream_id: unescape(self.stream_id).into_owned(),
            sequence: self.sequence,
            event_hash: self.computed_hash,
        }
    }
}

/// Splits a message into its subject and its artifact.
fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = message.iter().position(|b| *b == b'\n')?;
    let (subject, rest) = message.split_at_checked(end)?;
    Some((subject, rest.strip_prefix(b"\n\n")?))
}

/// Steps over `""` or a hash.
fn link<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, NotCanonical> {
    let at = scanner.at();
    let text = scanner.string()?;
    let hash = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.is_empty() || hash {
        Ok(text)
    } else {
        Err(NotCanonical { at })
    }
}

/// Reads what a subject shows of a permit, from the front of the permit's canonical text.
fn decision_and_capability(permit: &str) -> Result<(&str, String), NotCanonical> {
    let mut scanner = Scanner::new(permit);
    scanner.expect(r#"{"capability":{"kind":"#)?;
    let kind = scanner.string()?;
    scanner.expect(r#","selector":"#)?;
    let selector = unescape(scanner.string()?);
    scanner.expect(r#"},"decision":"#)?;
    let decision = scanner.string()?;
    Ok((decision, format!("{kind}:{selector}")))
}
