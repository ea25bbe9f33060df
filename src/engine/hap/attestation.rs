//! An attestation blob to a [`Verified`] attestation, and a payload to a blob (section 7; hap.md section 1).
//!
//! ```text
//! blob      = base64url without padding of the UTF-8 JSON {"header", "payload", "signature"}
//! signature = Ed25519 over JCS(payload)        attestation hash = sha256(ASCII bytes of the blob)
//! ```
//!
//! The header is not signed: its `typ` and `alg` are compared literally, its `kid` only says which trusted key to try
//! first. The JSON may have any layout but the base64url has one form, so that one text has one attestation hash.
//! Unknown members of the payload are kept, since they are signed; unknown members elsewhere are refused, since they
//! are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::gate::GateHashes;
use super::hash::HashText;
use super::key::{ProviderKey, ProviderSecret};
use super::names;
use super::providers::{TrustedProviders, nullable};
use crate::engine::canonical::{Object, Value, from_value, parse, present, to_bytes};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, sha256};
use crate::engine::text::id_fault;

/// The only version that is read and written.
pub const VERSION: &str = "0.3";

/// The longest blob that is read, in bytes: that of a governed file.
pub const MAX_BLOB: usize = 8 * 1024 * 1024;

/// What a provider signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Payload {
    /// A UUID. It is not the attestation hash.
    pub attestation_id: String,
    /// `0.3`.
    pub version: String,
    /// The profile's exact id.
    pub profile_id: String,
    /// The hash of the frame: which action.
    pub frame_hash: HashText,
    /// The hash of the context: under which constraints.
    pub execution_context_hash: HashText,
    /// Who attests for which domain and environment; at least one.
    pub resolved_domains: Vec<ResolvedDomain>,
    /// What the owner articulated.
    pub gate_content_hashes: GateHashes,
    /// When the provider signed, in Unix seconds.
    pub issued_at: i64,
    /// The first second at which the attestation no longer holds, in Unix seconds.
    pub expires_at: i64,
    /// The place in a decision stream.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub stream: Option<StreamLink>,
    /// The provider's own identity, as `did:key:…`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub issuer: Option<String>,
}

/// One domain that an attestation covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ResolvedDomain {
    /// The domain.
    pub domain: String,
    /// The person who attests for it.
    pub did: String,
    /// The environment that the person attests for.
    pub env: String,
}

/// A place in a decision stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StreamLink {
    /// The project.
    pub project_id: String,
    /// The position, from 1.
    pub sequence: u64,
    /// The attestation hash of the one before; `null` for the first.
    #[serde(deserialize_with = "nullable")]
    pub previous_attestation_hash: Option<HashText>,
}

/// A decoded attestation whose structure is sound; nothing is known yet about its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    hash: HashText,
    payload: Payload,
    value: Value<'static>,
    kid: Option<String>,
    signature: String,
}

/// An attestation whose signature a trusted key made at a time when it was trusted.
//
// INVARIANT: made only by `Attestation::verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    attestation: Attestation,
    key: ProviderKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    header: Header,
    payload: Value<'static>,
    signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
}

impl Attestation {
    /// Decodes a blob and checks its structure, version and header.
    ///
    /// # Errors
    /// `MALFORMED_ATTESTATION`: anything but strict base64url of one JSON object of the known shape; another version,
    /// `typ` or `alg`; a lifetime that does not end after it begins.
    pub fn decode(blob: &str) -> Result<Self, Refusal> {
        if blob.len() > MAX_BLOB {
            return Err(malformed("the blob is longer than 8 MiB"));
        }
        let json = URL_SAFE_NO_PAD
            .decode(blob)
            .map_err(|_| malformed("the blob is not base64url without padding"))?;
        let value = parse(&json).map_err(|fault| malformed(format!("the blob's {fault}")))?;
        if let Some(version) = value
            .at("payload")
            .and_then(|payload| payload.at("version"))
            && version.as_str() != Some(VERSION)
        {
            return Err(
                malformed("the attestation is of another version than `0.3`")
                    .detail("problem", "unsupported_version"),
            );
        }
        let envelope: Envelope =
            from_value(&value).map_err(|fault| malformed(format!("the attestation's {fault}")))?;
        if envelope.header.typ != "HAP-attestation" || envelope.header.alg != "EdDSA" {
            return Err(malformed(
                "the header is not of `typ` `HAP-attestation` and `alg` `EdDSA`",
            ));
        }
        let payload: Payload = from_value(&envelope.payload)
            .map_err(|fault| malformed(format!("the payload's {fault}")))?;
        payload.check()?;
        Ok(Self {
            hash: HashText::of(blob.as_bytes()),
            payload,
            value: envelope.payload,
            kid: envelope.header.kid,
            signature: envelope.signature,
        })
    }

    /// Checks the signature against the keys that are trusted.
    ///
    /// `now` is the time of the decision; without it only the time of issuance is held against a key's period of trust.
    ///
    /// # Errors
    /// `INVALID_SIGNATURE`: no trusted key made it, the key was not trusted at the time, or the payload names another
    /// key as its issuer.
    pub fn verify(self, trusted: &TrustedProviders, now: Option<i64>) -> Result<Verified, Refusal> {
        let bytes = to_bytes(&self.value);
        let provider = trusted
            .ordered_by(self.kid.as_deref())
            .find(|provider| provider.key.verifies(&bytes, &self.signature))
            .ok_or_else(|| unsigned("no trusted provider signed the attestation"))?;
        let times = [Some(self.payload.issued_at), now];
        if times
            .into_iter()
            .flatten()
            .any(|time| !provider.is_trusted_at(time))
        {
            return Err(unsigned(
                "the provider that signed the attestation was not trusted at the time",
            ));
        }
        if let Some(issuer) = &self.payload.issuer
            && issuer.starts_with("did:key:")
            && *issuer != provider.key.did()
        {
            return Err(unsigned(
                "the attestation names another issuer than the provider that signed it",
            ));
        }
        let key = provider.key;
        Ok(Verified {
            attestation: self,
            key,
        })
    }

    /// The attestation hash: `sha256(ASCII bytes of the blob)`.
    #[must_use]
    pub fn hash(&self) -> HashText {
        self.hash
    }

    /// SHA-256 of the canonical payload: the same for every blob of one attestation, whatever white space, `kid` or
    /// padding it has.
    #[must_use]
    pub fn payload_sha256(&self) -> Digest {
        sha256(&to_bytes(&self.value))
    }

    /// The known members of the payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The whole payload, members that this program does not know included.
    #[must_use]
    pub fn value(&self) -> &Value<'static> {
        &self.value
    }
}

impl Verified {
    /// The attestation.
    #[must_use]
    pub fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// The known members of the payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.attestation.payload
    }

    /// The key that signed it.
    #[must_use]
    pub fn key(&self) -> ProviderKey {
        self.key
    }
}

impl Payload {
    /// Checks what types do not say.
    fn check(&self) -> Result<(), Refusal> {
        if !names::is_uuid(&self.attestation_id) {
            return Err(malformed("the payload's `attestation_id` is no UUID"));
        }
        if self.resolved_domains.is_empty() {
            return Err(malformed("the payload's `resolved_domains` is empty"));
        }
        for resolved in &self.resolved_domains {
            if !names::is_domain(&resolved.domain)
                || !names::is_did(&resolved.did)
                || id_fault(&resolved.env).is_some()
            {
                return Err(malformed(
                    "the payload's `resolved_domains` holds what is no domain, DID and environment",
                ));
            }
        }
        if self.issued_at < 0 || self.expires_at <= self.issued_at {
            return Err(malformed("the payload does not expire after it was issued"));
        }
        if let Some(link) = &self.stream
            && id_fault(&link.project_id).is_some()
        {
            return Err(malformed("the payload's `stream` names no project"));
        }
        Ok(())
    }
}

/// Signs a payload and writes the blob: base64url of `JCS({"header", "payload", "signature"})`.
#[must_use]
pub fn seal(payload: &Value<'static>, secret: &ProviderSecret) -> String {
    let signature = secret.sign(&to_bytes(payload));
    let header = Object::of([
        ("typ", Value::from("HAP-attestation")),
        ("alg", Value::from("EdDSA")),
    ]);
    let envelope = Object::of([
        ("header", Value::from(header)),
        ("payload", payload.clone()),
        ("signature", Value::from(signature)),
    ]);
    URL_SAFE_NO_PAD.encode(to_bytes(&Value::from(envelope)))
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::MalformedAttestation, message)
}

fn unsigned(message: &str) -> Refusal {
    Refusal::new(Code::InvalidSignature, message)
}
