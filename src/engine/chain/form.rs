//! What sealing and reading an event share: its kinds, its hash, the subject of its commit (core.md section 6).

use std::fmt::Write as _;

use super::super::digest::{Domain, EventHash, labelled_hash};

/// The largest event, in bytes of its artifact (section 1).
pub const MAX_EVENT: usize = 8 << 20;

/// The longest subject line of an event's commit, in bytes.
pub(super) const MAX_SUBJECT: usize = 200;

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

/// Hashes an event from its payload and the parts of its identity's canonical text:
/// `domain_hash(audit_event.v1, {"identity": <the event without payload>, "body": {"payload"}})`.
pub(super) fn hash_parts(payload: &str, identity: [&str; 6]) -> EventHash {
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
pub(super) fn subject(kind: &str, sequence: u64, about: Option<(&str, &str, &str)>) -> String {
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
