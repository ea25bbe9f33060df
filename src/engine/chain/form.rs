//! What sealing and reading an event share: its kinds, its hash, the subject of its commit (core.md section 6).

use std::fmt;

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

/// The subject of an event's commit: `<type> #<sequence>`, for `permit.*` also ` <decision> <kind>:<selector> <actor>`;
/// each character outside printable ASCII as `\u{hex}`, cut at [`MAX_SUBJECT`] bytes.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    kind: &'a str,
    sequence: u64,
    /// The decision, the capability's kind and selector, the actor.
    about: Option<[&'a str; 4]>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(kind: &'a str, sequence: u64, about: Option<[&'a str; 4]>) -> Self {
        Self {
            kind,
            sequence,
            about,
        }
    }

    /// Tells whether this is the subject that was found.
    pub(super) fn is(&self, found: &str) -> bool {
        self.rest_of(found) == Some("")
    }

    /// What follows this subject in the one that was found, if that begins with it.
    pub(super) fn rest_of<'f>(&self, found: &'f str) -> Option<&'f str> {
        let mut rest = Rest {
            found,
            left: MAX_SUBJECT,
        };
        self.write(&mut rest).ok().map(|()| rest.found)
    }

    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        put(out, self.kind)?;
        write!(out, " #{}", self.sequence)?;
        self.about.map_or(Ok(()), |about| {
            out.write_str(" ")?;
            put_about(out, about)
        })
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        text.truncate(MAX_SUBJECT);
        f.write_str(&text)
    }
}

/// What stands behind the type and sequence of a subject, as far as any has room for it.
pub(super) fn tail(about: [&str; 4]) -> String {
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = put_about(&mut text, about);
    text.truncate(MAX_SUBJECT);
    text
}

fn put_about(out: &mut impl fmt::Write, about: [&str; 4]) -> fmt::Result {
    for (text, after) in about.into_iter().zip([" ", ":", " ", ""]) {
        put(out, text)?;
        out.write_str(after)?;
    }
    Ok(())
}

fn put(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return out.write_str(text);
    }
    for character in text.chars() {
        match character {
            ' '..='~' => out.write_char(character)?,
            other => write!(out, "\\u{{{:x}}}", u32::from(other))?,
        }
    }
    Ok(())
}

/// Takes from the front of a text what is written, up to the bytes that are left; other text is an error.
struct Rest<'f> {
    found: &'f str,
    left: usize,
}

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // INVARIANT: a subject is ASCII, so that every cut is a character boundary.
        let text = text.get(..self.left).unwrap_or(text);
        self.found = self.found.strip_prefix(text).ok_or(fmt::Error)?;
        self.left = self.left.saturating_sub(text.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SUBJECT, Subject};

    #[test]
    fn a_subject_is_printable_ascii_and_is_cut_and_is_its_own_and_nothing_else() {
        let long = "x".repeat(300);
        for (actor, end) in [
            ("agent:a", "allow tool:fs.read agent:a"),
            ("é\n\u{1F600}~", r"tool:fs.read \u{e9}\u{a}\u{1f600}~"),
            (&long, "x"),
        ] {
            let subject = Subject::new(
                "permit.issued",
                7,
                Some(["allow", "tool", "fs.read", actor]),
            );
            let text = subject.to_string();
            assert!(text.starts_with("permit.issued #7 allow "), "{text}");
            assert!(text.ends_with(end), "{text}");
            assert!(text.len() <= MAX_SUBJECT && subject.is(&text));
            assert!(!subject.is(&format!("{text}x")));
            let shorter: String = text.chars().take(text.len().saturating_sub(1)).collect();
            assert!(!subject.is(&shorter));
            assert_eq!(subject.rest_of(&format!("{text} y")), Some(" y"));
        }
        assert_eq!(
            Subject::new("a\u{7f}b", 0, None).to_string(),
            r"a\u{7f}b #0"
        );
    }
}
