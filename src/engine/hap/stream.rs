//! Decision streams: registrations of attestations, linked into a history of a project (section 18).
//!
//! ```text
//! registration = {"attestation": blob, "registered_at": Unix seconds, "sp_signature"}
//! sp_signature = Ed25519 over JCS(registration without sp_signature)
//! ```
//!
//! The link to the one before is inside the signed payload: `sequence` counts from 1, `previous_attestation_hash` is
//! the attestation hash of the one before. [`Verifier`] is a fold: it keeps the last record's facts and nothing else.

use serde::{Deserialize, Serialize};

use super::attestation::{Attestation, StreamLink};
use super::hash::HashText;
use super::key::ProviderSecret;
use super::providers::TrustedProviders;
use crate::engine::canonical::{Object, Value, from_slice, to_bytes};
use crate::engine::code::{Code, Refusal};

/// A registration as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The attestation's blob, which pins the bytes that are hashed.
    pub attestation: String,
    /// When the provider received it, in Unix seconds; signers never set it.
    pub registered_at: i64,
    /// The provider's signature over the rest.
    pub sp_signature: String,
}

/// Where a stream stands: the last registration's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The sequence of the last registration.
    pub sequence: u64,
    /// The attestation hash of the last registration.
    pub head: HashText,
    /// The time of the last registration, in Unix seconds.
    pub registered_at: i64,
}

/// The first thing that is wrong with a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// The reason.
    pub code: Code,
    /// The sequence that the record claims, as far as it could be read.
    pub sequence: Option<u64>,
    /// What happened, in one line.
    pub detail: String,
}

/// Verifies the registrations of one project, one after the other, in constant memory.
#[derive(Debug)]
pub struct Verifier<'k> {
    project: String,
    /// Whose signatures count; nothing where only form and links are judged.
    trusted: Option<&'k TrustedProviders>,
    tip: Option<Tip>,
}

impl Registration {
    /// Registers an attestation at a time.
    ///
    /// # Errors
    /// `MALFORMED_ATTESTATION`, `STREAM_MALFORMED`: the blob is none, or belongs to no stream.
    /// `STREAM_TIME_REGRESSION`: it was issued after this time.
    pub fn sign(blob: &str, now: i64, secret: &ProviderSecret) -> Result<Self, Refusal> {
        let attestation = Attestation::decode(blob)?;
        if attestation.payload().stream.is_none() {
            return Err(Refusal::new(
                Code::StreamMalformed,
                "the attestation belongs to no decision stream",
            )
            .next("attest with `permit hap attest --project ID`"));
        }
        if now < attestation.payload().issued_at {
            return Err(Refusal::new(
                Code::StreamTimeRegression,
                "the attestation was issued after the time of its registration",
            ));
        }
        let unsigned = signed_bytes(blob, now);
        Ok(Self {
            attestation: blob.to_owned(),
            registered_at: now,
            sp_signature: secret.sign(&unsigned),
        })
    }

    /// Parses a registration in any layout.
    ///
    /// # Errors
    /// `STREAM_MALFORMED`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let registration: Self = from_slice(bytes).map_err(|fault| {
            Refusal::new(
                Code::StreamMalformed,
                format!("the registration is malformed: {fault}"),
            )
        })?;
        if registration.registered_at < 0 {
            return Err(Refusal::new(
                Code::StreamMalformed,
                "the registration is malformed: `$.registered_at`: is negative",
            ));
        }
        Ok(registration)
    }

    /// The place that the attestation claims in its stream, before anything is verified.
    ///
    /// # Errors
    /// `STREAM_MALFORMED`: the attestation cannot be read, or belongs to no stream.
    pub fn claimed_link(&self) -> Result<StreamLink, Refusal> {
        self.decode().map(|(_, link)| link)
    }

    /// The canonical bytes that a commit of the stream holds.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut object = object_of(&self.attestation, self.registered_at);
        object.insert("sp_signature", Value::from(self.sp_signature.as_str()));
        to_bytes(&Value::Object(object))
    }

    fn decode(&self) -> Result<(Attestation, StreamLink), Refusal> {
        let malformed = |what: String| Refusal::new(Code::StreamMalformed, what);
        let attestation =
            Attestation::decode(&self.attestation).map_err(|refusal| malformed(refusal.message))?;
        match attestation.payload().stream.clone() {
            Some(link) => Ok((attestation, link)),
            None => Err(malformed(
                "the attestation belongs to no decision stream".to_owned(),
            )),
        }
    }
}

impl<'k> Verifier<'k> {
    /// Begins before the first registration of a project.
    #[must_use]
    pub fn new(project: &str, trusted: &'k TrustedProviders) -> Self {
        Self {
            project: project.to_owned(),
            trusted: Some(trusted),
            tip: None,
        }
    }

    /// Begins before the first registration of a project, and judges form, links and times, but no signature.
    #[must_use]
    pub fn linking(project: &str) -> Self {
        Self {
            project: project.to_owned(),
            trusted: None,
            tip: None,
        }
    }

    /// Begins after a registration that is itself verified but whose predecessors are not: what appending needs.
    ///
    /// # Errors
    /// A [`Fault`] of that registration.
    pub fn after(
        project: &str,
        trusted: &'k TrustedProviders,
        last: &Registration,
    ) -> Result<Self, Fault> {
        Self::new(project, trusted).resume(last)
    }

    /// Goes on after a registration whose predecessors are not looked at.
    ///
    /// # Errors
    /// A [`Fault`] of that registration.
    pub fn resume(mut self, last: &Registration) -> Result<Self, Fault> {
        let (attestation, link) = last.decode().map_err(|refusal| fault(None, refusal))?;
        let sequence = Some(link.sequence);
        self.check_project(&link)
            .and_then(|()| self.check_evidence(last, &attestation))
            .map_err(|refusal| fault(sequence, refusal))?;
        self.tip = Some(Tip {
            sequence: link.sequence,
            head: attestation.hash(),
            registered_at: last.registered_at,
        });
        Ok(self)
    }

    /// Verifies the next registration.
    ///
    /// # Errors
    /// The registration's first [`Fault`], in this order: form, project, sequence, link, signatures, time.
    pub fn push(&mut self, registration: &Registration) -> Result<(), Fault> {
        let (attestation, link) = registration
            .decode()
            .map_err(|refusal| fault(None, refusal))?;
        let sequence = Some(link.sequence);
        self.check_project(&link)
            .and_then(|()| self.check_link(&link))
            .and_then(|()| self.check_evidence(registration, &attestation))
            .and_then(|()| self.check_time(registration))
            .map_err(|refusal| fault(sequence, refusal))?;
        self.tip = Some(Tip {
            sequence: link.sequence,
            head: attestation.hash(),
            registered_at: registration.registered_at,
        });
        Ok(())
    }

    /// Where the stream stands; nothing before the first registration.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.tip
    }

    /// The place of the attestation that would come next.
    #[must_use]
    pub fn next_link(&self) -> StreamLink {
        StreamLink {
            project_id: self.project.clone(),
            sequence: self.next_sequence(),
            previous_attestation_hash: self.tip.map(|tip| tip.head),
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `STREAM_EMPTY`: nothing was registered, and nothing proves nothing.
    pub fn finish(self) -> Result<Tip, Fault> {
        self.tip.ok_or_else(|| Fault {
            code: Code::StreamEmpty,
            sequence: None,
            detail: "the stream holds no registration".to_owned(),
        })
    }

    fn next_sequence(&self) -> u64 {
        self.tip.map_or(1, |tip| tip.sequence.saturating_add(1))
    }

    fn check_project(&self, link: &StreamLink) -> Result<(), Refusal> {
        if link.project_id == self.project {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::StreamProjectMismatch,
                format!(
                    "the registration is of project `{}`",
                    link.project_id.escape_debug()
                ),
            ))
        }
    }

    fn check_link(&self, link: &StreamLink) -> Result<(), Refusal> {
        let expected = self.next_sequence();
        if self.tip.is_some_and(|tip| link.sequence <= tip.sequence) {
            return Err(Refusal::new(
                Code::StreamSequenceBroken,
                format!(
                    "sequence {} is registered already: the stream keeps its blob, and another blob of it is a repetition",
                    link.sequence
                ),
            ));
        }
        if link.sequence != expected {
            return Err(Refusal::new(
                Code::StreamSequenceBroken,
                format!("sequence {} stands where {expected} must", link.sequence),
            ));
        }
        let previous = self.tip.map(|tip| tip.head);
        if link.previous_attestation_hash == previous {
            Ok(())
        } else if previous.is_none() {
            Err(Refusal::new(
                Code::StreamGenesisInvalid,
                "the first registration names a previous one",
            ))
        } else {
            Err(Refusal::new(
                Code::StreamHashMismatch,
                "the registration does not link to the one before",
            ))
        }
    }

    fn check_evidence(
        &self,
        registration: &Registration,
        attestation: &Attestation,
    ) -> Result<(), Refusal> {
        if let Some(trusted) = self.trusted {
            attestation.clone().verify(trusted, None)?;
            let bytes = signed_bytes(&registration.attestation, registration.registered_at);
            let signed = trusted.ordered_by(None).any(|provider| {
                provider.is_trusted_at(registration.registered_at)
                    && provider.key.verifies(&bytes, &registration.sp_signature)
            });
            if !signed {
                return Err(Refusal::new(
                    Code::RegistrationInvalid,
                    "no trusted provider signed the registration",
                ));
            }
        }
        if registration.registered_at < attestation.payload().issued_at {
            return Err(regression(
                "the registration is dated before its attestation was issued",
            ));
        }
        Ok(())
    }

    fn check_time(&self, registration: &Registration) -> Result<(), Refusal> {
        match self.tip {
            Some(tip) if registration.registered_at < tip.registered_at => Err(regression(
                "the registration is dated before the one that it follows",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Puts registrations in the order of their sequence, as an exchange format may hold them in any.
///
/// # Errors
/// `STREAM_MALFORMED`: one that claims no place.
pub fn in_order(registrations: Vec<Registration>) -> Result<Vec<Registration>, Fault> {
    let mut placed = Vec::with_capacity(registrations.len());
    for registration in registrations {
        let link = registration
            .claimed_link()
            .map_err(|refusal| fault(None, refusal))?;
        placed.push((link.sequence, registration));
    }
    placed.sort_by_key(|(sequence, _)| *sequence);
    Ok(placed
        .into_iter()
        .map(|(_, registration)| registration)
        .collect())
}

fn object_of(blob: &str, registered_at: i64) -> Object<'_> {
    Object::of([
        ("attestation", Value::from(blob)),
        ("registered_at", Value::from(registered_at)),
    ])
}

fn signed_bytes(blob: &str, registered_at: i64) -> Vec<u8> {
    to_bytes(&Value::Object(object_of(blob, registered_at)))
}

fn regression(what: &str) -> Refusal {
    Refusal::new(Code::StreamTimeRegression, what)
}

fn fault(sequence: Option<u64>, refusal: Refusal) -> Fault {
    Fault {
        code: refusal.code,
        sequence,
        detail: refusal.message,
    }
}
