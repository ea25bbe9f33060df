//! The domains, the one hash function over objects, and a type for each kind of id.
//!
//! `domain_hash(domain, object) = sha256(label ‖ 0x0A ‖ canonical_json(object))`, printed as lower hex
//! (core.md section 1). A hash without a domain is only ever one of raw bytes that another format fixes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::canonical::{Object, Value};

/// What is being hashed, so that a hash of one kind can never pass for one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A permit's body: its `permit_id`.
    ExecutionPermit,
    /// An event: its `event_hash`.
    AuditEvent,
    /// An event that carries no permit's id: its `event_id`.
    EventId,
    /// A request: its `request_fingerprint`.
    RequestFingerprint,
    /// A request's context: its `context_hash`.
    RequestContext,
    /// A policy's rules: its `rules_hash`.
    PolicyRules,
    /// A policy: its `policy_hash`.
    Policy,
    /// What a review decides about: its `review_id`.
    ReviewId,
    /// What reviewers sign.
    ReviewDecision,
    /// A manifest: its `manifest_envelope_id`.
    ManifestEnvelope,
    /// An execution request: its `request_id`.
    ExecutionRequest,
    /// The opening of a stream, in place of a request.
    StreamGenesis,
    /// What of a commit confers authority: its `GovernanceDigest`.
    GovernanceDigest,
}

impl Domain {
    /// The label that is hashed before the object.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Domain::ExecutionPermit => "secure_execution_layer.execution_permit.v1",
            Domain::AuditEvent => "secure_execution_layer.audit_event.v1",
            Domain::EventId => "secure_execution_layer.event_id.v1",
            Domain::RequestFingerprint => "secure_execution_layer.request_fingerprint.v1",
            Domain::RequestContext => "secure_execution_layer.request_context.v1",
            Domain::PolicyRules => "secure_execution_layer.policy_rules.v1",
            Domain::Policy => "secure_execution_layer.policy.v1",
            Domain::ReviewId => "secure_execution_layer.review_id.v1",
            Domain::ReviewDecision => "secure_execution_layer.review_decision.v1",
            Domain::ManifestEnvelope => "secure_execution_layer.manifest_envelope.v1",
            Domain::ExecutionRequest => "secure_execution_layer.execution_request.v1",
            Domain::StreamGenesis => "secure_execution_layer.stream_genesis.v1",
            Domain::GovernanceDigest => "secure_execution_layer.governance_digest.v1",
        }
    }
}

/// Hashes an object under a domain: `sha256(label ‖ 0x0A ‖ canonical_json(object))`.
#[must_use]
pub fn domain_hash(domain: Domain, object: &Object<'_>) -> [u8; 32] {
    labelled_hash(domain.label(), &[object.to_text().as_bytes()])
}

/// Hashes parts of canonical bytes under a label: `sha256(label ‖ 0x0A ‖ part₁ ‖ part₂ ‖ …)`.
///
/// For a label that a user names (`permit hash --domain`) and for bytes that are already canonical.
#[must_use]
pub fn labelled_hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(label.as_bytes());
    hasher.update(b"\n");
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Hashes raw bytes whose format another specification fixes (files, blobs, frames): plain SHA-256.
#[expect(
    clippy::disallowed_methods,
    reason = "the one hash without a domain: of a file's bytes"
)]
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// SHA-256 of a list that is too long to hold: each item with a zero byte behind it.
#[derive(Debug, Clone, Default)]
pub struct ListHash(Sha256);

impl ListHash {
    /// Adds an item, which holds no zero byte itself.
    pub fn add(&mut self, item: &[u8]) {
        self.0.update(item);
        self.0.update([0]);
    }

    /// The hash of all items so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Text that is not exactly as many lower-case hexadecimal digits as the id has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not {0} lower-case hexadecimal digits")]
pub struct NotAHash(usize);

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], NotAHash> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; N];
    let mut wrong = u8::from(pairs.len() != N || !odd.is_empty());
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digit(*high), digit(*low));
        wrong |= (high | low) & 0xF0;
        *byte = (high << 4) | low;
    }
    if wrong == 0 {
        Ok(bytes)
    } else {
        Err(NotAHash(N.saturating_mul(2)))
    }
}

/// The value of a lower-case hexadecimal digit; 0xFF for any other byte.
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte.wrapping_sub(b'0'),
        b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
        _ => 0xFF,
    }
}

macro_rules! hash_types {
    ($($(#[$doc:meta])* $name:ident = $size:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $size]);

        impl $name {
            /// Wraps the bytes of a hash.
            #[must_use]
            pub const fn new(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }

            /// The bytes of the hash.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; $size * 2];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAHash;

            fn from_str(text: &str) -> Result<Self, NotAHash> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let pattern = format!("^[0-9a-f]{{{}}}$", $size * 2);
                schemars::json_schema!({"type": "string", "pattern": pattern})
            }
        }

        impl From<$name> for Value<'_> {
            fn from(hash: $name) -> Self {
                Value::from(hash.to_string())
            }
        }
    )+};
}

hash_types! {
    /// `domain_hash(execution_permit.v1, permit body without permit_id)`.
    PermitId = 32;
    /// `domain_hash(audit_event.v1, {"identity": event without payload, "body": {"payload"}})`.
    EventHash = 32;
    /// `domain_hash(event_id.v1, …)`, or the permit's id for `permit.issued` and `permit.used`.
    EventId = 32;
    /// `domain_hash(policy.v1, …)`: what the governed policy says, whatever its layout.
    PolicyHash = 32;
    /// `domain_hash(request_fingerprint.v1, …)`: what was asked for, by whom, in which context.
    Fingerprint = 32;
    /// `domain_hash(review_id.v1, {policy_hash, request_fingerprint, review_type})`.
    ReviewId = 32;
    /// `domain_hash(manifest_envelope.v1, {purpose, artifacts})`.
    ManifestId = 32;
    /// `domain_hash(execution_request.v1, everything but request_id)`.
    ExecutionRequestId = 32;
    /// `domain_hash(governance_digest.v1, {blobs: [{path, blob}, …]})`: what of a commit confers authority.
    GovernanceDigest = 32;
    /// A plain SHA-256 of bytes.
    Digest = 32;
    /// The id of a Git commit: SHA-1.
    CommitSha = 20;
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::engine::canonical::parse;

    #[test]
    fn a_hash_is_parsed_strictly_and_printed_as_lower_hex() {
        let text = "05".repeat(32);
        assert_eq!(text.parse::<PermitId>().unwrap().to_string(), text);
        assert_eq!("0A".repeat(32).parse::<PermitId>(), Err(NotAHash(64)));
        assert_eq!("05".repeat(31).parse::<PermitId>(), Err(NotAHash(64)));
        assert_eq!("".parse::<PermitId>(), Err(NotAHash(64)));
    }

    #[test]
    fn the_domain_stands_before_the_object() {
        let object = parse(br#"{"b":1,"a":2}"#).unwrap();
        let by_hand: [u8; 32] = sha256(b"secure_execution_layer.policy.v1\n{\"a\":2,\"b\":1}").0;
        let object = object.as_object().unwrap();
        assert_eq!(domain_hash(Domain::Policy, object), by_hand);
    }
}
