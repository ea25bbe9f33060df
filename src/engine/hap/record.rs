//! What a commit of `refs/hap/*` says: a subject that people read in `git log`, an empty line, and the record.
//!
//! | ref | subject | record | time |
//! |---|---|---|---|
//! | `refs/hap/attestations/<head>` | `<profile> <domain> <did>` | the blob | `issued_at` |
//! | `refs/hap/streams/<project>` | `registration #<sequence> <profile> <domain> <did>` | the registration | `registered_at` |
//! | `refs/hap/log` | `issued <profile> <domain> <did>` | the issuance record | `issued_at` |
//!
//! A record has one message and one time, so that the same records give the same commits.

use std::fmt::Write as _;

use super::attestation::{Attestation, Payload};
use super::provider::{Issued, LOG_SCHEMA};
use super::stream::Registration;
use crate::engine::canonical::{Value, parse, to_bytes};
use crate::engine::code::{Code, Refusal};

/// The ref of the provider's issuance log.
pub const LOG: &str = "refs/hap/log";

/// The refs of decision streams.
pub const STREAMS: &str = "refs/hap/streams/";

/// The refs of published attestations.
pub const ATTESTATIONS: &str = "refs/hap/attestations/";

const MAX_SUBJECT: usize = 200;

/// A commit's message and time, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The message.
    pub message: Vec<u8>,
    /// The time.
    pub time: u64,
}

impl Record {
    /// The record of an issuance in the provider's log.
    #[must_use]
    pub fn of_issuance(issued: &Issued) -> Self {
        let payload = issued.attestation.payload();
        let subject = format!("issued {}", about(payload));
        Self::new(&subject, &to_bytes(&issued.record), payload.issued_at)
    }

    /// The record of an attestation beside the commit that it is about.
    #[must_use]
    pub fn of_attestation(blob: &str, attestation: &Attestation) -> Self {
        let payload = attestation.payload();
        Self::new(&about(payload), blob.as_bytes(), payload.issued_at)
    }

    /// The record of a registration in its decision stream.
    ///
    /// # Errors
    /// `STREAM_MALFORMED`: the registration's attestation cannot be read.
    pub fn of_registration(registration: &Registration) -> Result<Self, Refusal> {
        let link = registration.claimed_link()?;
        let attestation = Attestation::decode(&registration.attestation)?;
        let subject = format!(
            "registration #{} {}",
            link.sequence,
            about(attestation.payload())
        );
        Ok(Self::new(
            &subject,
            &registration.to_bytes(),
            registration.registered_at,
        ))
    }

    fn new(subject: &str, body: &[u8], time: i64) -> Self {
        let message = [printable(subject).as_bytes(), b"\n\n", body].concat();
        Self {
            message,
            time: u64::try_from(time).unwrap_or(0),
        }
    }
}

/// Reads a registration from the message and time of its commit.
///
/// # Errors
/// `STREAM_MALFORMED`: anything but the one message that such a registration has.
pub fn read_registration(message: &[u8], time: u64) -> Result<Registration, Refusal> {
    let registration = Registration::parse(body(message).unwrap_or_default())?;
    let expected = Record::of_registration(&registration).map_err(|refusal| Refusal {
        code: Code::StreamMalformed,
        ..refusal
    })?;
    if expected.message == message && expected.time == time {
        Ok(registration)
    } else {
        Err(Refusal::new(
            Code::StreamMalformed,
            "the commit is not in the form of its registration",
        ))
    }
}

/// Reads an issuance record from the message of its commit.
///
/// # Errors
/// `INVALID_INPUT`: no canonical record stands there.
pub fn read_issuance(message: &[u8]) -> Result<Value<'_>, Refusal> {
    let bytes = body(message).unwrap_or_default();
    parse(bytes)
        .ok()
        .filter(|value| to_bytes(value) == bytes)
        .ok_or_else(|| {
            Refusal::new(
                Code::InvalidInput,
                "the issuance log holds what is no record",
            )
        })
}

/// Checks a commit of the issuance log: a record of an issuance, in the one form that it has.
///
/// # Errors
/// `INVALID_INPUT`: no record of this schema, or not its commit. `MALFORMED_ATTESTATION`: what was issued is none.
pub fn check_issuance(message: &[u8], time: u64) -> Result<(), Refusal> {
    let record = read_issuance(message)?;
    let text = |member: &str| record.at(member).and_then(Value::as_str);
    let other = || {
        Refusal::new(
            Code::InvalidInput,
            "the commit is not in the form of an issuance",
        )
    };
    let blob = text("attestation").ok_or_else(other)?;
    let attestation = Attestation::decode(blob)?;
    let payload = attestation.payload();
    let subject = format!("issued {}", about(payload));
    let expected = Record::new(&subject, &to_bytes(&record), payload.issued_at);
    let fits = text("schema") == Some(LOG_SCHEMA)
        && text("attestation_hash") == Some(&attestation.hash().to_string())
        && record.at("issued_at").and_then(Value::as_int) == Some(payload.issued_at)
        && expected.message == message
        && expected.time == time;
    if fits { Ok(()) } else { Err(other()) }
}

/// What stands after the first empty line.
fn body(message: &[u8]) -> Option<&[u8]> {
    let place = message.windows(2).position(|pair| pair == b"\n\n")?;
    message.get(place.checked_add(2)?..)
}

fn about(payload: &Payload) -> String {
    let mut text = payload.profile_id.clone();
    for resolved in &payload.resolved_domains {
        let _ = write!(text, " {} {}", resolved.domain, resolved.did);
    }
    text
}

/// Writes each character outside printable ASCII as `\u{hex}`, and cuts at 200 bytes.
fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            line.push(character);
        } else {
            let _ = write!(line, "\\u{{{:x}}}", u32::from(character));
        }
    }
    line.truncate(MAX_SUBJECT);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_printable_line() {
        assert_eq!(printable("a é\n"), "a \\u{e9}\\u{a}");
        assert_eq!(printable(&"x".repeat(300)).len(), MAX_SUBJECT);
        assert_eq!(
            body(b"subject\n\nbody\n\nmore"),
            Some(b"body\n\nmore".as_slice())
        );
        assert_eq!(body(b"subject"), None);
    }
}
