//! One event read back as slices of its bytes (core.md section 6).
//!
//! The artifact bytes are the canonical JSON of `{"event", "event_hash", "version": 1, "written_by": "supervisor"}`.
//! Canonical form puts every part where it is known to stand, so that neither a tree nor a copy is needed to hash an
//! event again.

use std::borrow::Cow;

use super::super::canonical::scan::{NotCanonical, Scanner, unescape};
use super::super::canonical::{self, Value};
use super::super::digest::EventHash;
use super::Tip;
use super::form::{EventType, MAX_EVENT, MAX_SUBJECT, Subject, hash_parts, tail};

/// The link to the event before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prev {
    /// `null`, which another implementation writes in a first event; it hashes as `""`.
    Null,
    /// `""`, which a first event has.
    None,
    /// The hash of the event before.
    Hash(EventHash),
}

impl Prev {
    /// The hash of the event before, where there is one.
    #[must_use]
    pub fn hash(self) -> Option<EventHash> {
        match self {
            Prev::Null | Prev::None => None,
            Prev::Hash(hash) => Some(hash),
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
    pub prev: Prev,
    /// The request's fingerprint.
    pub request_fingerprint: &'a str,
    /// The place in the stream.
    pub sequence: u64,
    /// The stream, as it is written.
    pub stream_id: &'a str,
    /// The hash that the artifact records.
    pub recorded_hash: EventHash,
    /// The hash that the event's bytes give.
    pub computed_hash: EventHash,
    /// The subject of its commit; empty where it was read from a file.
    pub subject: &'a str,
    /// The artifact as a whole.
    pub artifact: &'a str,
    permit: Option<&'a str>,
    /// The canonical JSON of three members of the payload, where it has them.
    pub(in crate::engine) request: Option<&'a str>,
    pub(in crate::engine) governed_commit: Option<&'a str>,
    pub(in crate::engine) mapping: Option<&'a str>,
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
        let (mut governed_commit, mut mapping) = (None, None);
        scanner.members(3, |key, member| match key {
            "governed_commit" => governed_commit = Some(member),
            "mapping" => mapping = Some(member),
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
        let at = scanner.at();
        let (prev, prev_text) = if scanner.skip("null") {
            (Prev::Null, "")
        } else {
            let text = scanner.string()?;
            let hash = text.parse().map(Prev::Hash);
            let none = text.is_empty().then_some(Prev::None);
            (hash.ok().or(none).ok_or(NotCanonical { at })?, text)
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
        let recorded_hash = scanner.string()?.parse();
        let recorded_hash = recorded_hash.map_err(|_| NotCanonical { at })?;
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
            computed_hash: hash_parts(payload, [head, between, "\"", prev_text, "\"", tail]),
            subject: "",
            artifact: text,
            permit,
            request,
            governed_commit,
            mapping,
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
        self.recorded_hash == self.computed_hash
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
    /// one; there only the form of the subject is compared, and the verifier compares the rest with the issuance.
    #[must_use]
    pub fn subject_fits(&self, found: &str) -> bool {
        let kind = unescape(self.event_type);
        let plain = Subject::new(&kind, self.sequence, None);
        match kind.as_ref() {
            "permit.issued" if self.permit.is_some() && self.request.is_some() => {
                self.about().is_some_and(|about| {
                    let about = about.each_ref().map(Cow::as_ref);
                    Subject::new(&kind, self.sequence, Some(about)).is(found)
                })
            }
            "permit.used" => {
                found.len() <= MAX_SUBJECT
                    && found.bytes().all(|b| matches!(b, b' '..=b'~'))
                    && plain
                        .rest_of(found)
                        .is_some_and(|rest| rest.starts_with(' '))
            }
            _ => plain.is(found),
        }
    }

    /// What stands behind the type and sequence in the subject of the event's commit.
    pub(super) fn tail_of_subject(&self) -> &'a str {
        let mut parts = self.subject.splitn(3, ' ');
        parts.nth(2).unwrap_or_default()
    }

    /// What must stand behind the type and sequence in the subjects of uses of the permit that this event issued, as far
    /// as any subject has room for it; nothing where it issued none.
    pub(super) fn tail_of_uses(&self) -> Option<Cow<'a, str>> {
        // A subject that was not cut holds all of it, and was compared when the event was read.
        if !self.subject.is_empty() && self.subject.len() < MAX_SUBJECT {
            let issued = self.permit.is_some() && self.request.is_some();
            return issued.then(|| self.tail_of_subject().into());
        }
        let about = self.about()?;
        Some(tail(about.each_ref().map(Cow::as_ref)).into())
    }

    /// What the subjects of a permit's events show: its decision, its capability's kind and selector, its request's
    /// actor, from the front of their canonical texts.
    fn about(&self) -> Option<[Cow<'a, str>; 4]> {
        let mut permit = Scanner::new(self.permit?);
        permit.expect(r#"{"capability":{"kind":"#).ok()?;
        let kind = permit.string().ok()?;
        permit.expect(r#","selector":"#).ok()?;
        let selector = permit.string().ok()?;
        permit.expect(r#"},"decision":"#).ok()?;
        let decision = permit.string().ok()?;
        let mut request = Scanner::new(self.request?);
        request.expect(r#"{"actor_id":"#).ok()?;
        let actor = request.string().ok()?;
        Some([
            decision.into(),
            kind.into(),
            unescape(selector),
            unescape(actor),
        ])
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
