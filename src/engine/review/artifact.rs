//! What the reviewers decided: a ledger artifact, read strictly (reviews.md, Artifact).
//!
//! Refuses what contradicts itself: conditions that do not fit the verdict, signers that are not sorted or listed
//! twice, a signature by somebody who is not listed. Whether what it says is true, [`judge`](super::judge) finds out.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault, Object, Value, to_bytes};
use super::super::code::{Code, Refusal};
use super::super::digest::{
    Digest, Domain, EventHash, Fingerprint, ManifestId, PolicyHash, ReviewId, domain_hash, sha256,
};
use super::super::hap::attestation::Attestation;
use super::super::hap::hash::HashText;
use super::super::policy::{MAX_ENTRIES, Role};
use super::super::request::Capability;
use super::super::text::{stream_id_fault, text_fault};
use super::{Condition, MAX_FILE, Manifest, PrincipalKind};

/// A review artifact whose form is sound, and the bytes that its signers sign.
#[derive(Debug, Clone)]
pub struct Artifact {
    document: Document,
    message: Vec<u8>,
    /// Whether it was read from its canonical bytes and one line feed.
    canonical: bool,
}

/// The artifact as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.review.v1")]
pub struct Document {
    schema: Schema,
    /// `domain_hash(review_id.v1, {policy_hash, request_fingerprint, review_type})`.
    pub review_id: ReviewId,
    /// The policy's name for this kind of review.
    pub review_type: String,
    /// Under which policy.
    pub policy_hash: PolicyHash,
    /// Of which request.
    pub request_fingerprint: Fingerprint,
    /// Whether it is meant.
    pub scope: Scope,
    /// `<kind>:<selector>/<target>` of the request.
    pub scope_address: String,
    /// The stream's tip that the reviewers saw.
    pub anchor: Anchor,
    /// The bytes that the decision is about.
    pub manifest_envelope_id: ManifestId,
    /// What was decided.
    pub verdict: Verdict,
    /// What an approval narrows.
    pub conditions: Vec<Condition>,
    /// Who decided, and in which role.
    pub reviewer: Reviewer,
    /// Everybody who signs, sorted.
    pub cross_signers: Vec<String>,
    /// Why.
    pub reason: String,
    /// The signatures of the cross-signers.
    #[serde(
        default,
        deserialize_with = "canonical::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub signatures: Option<Vec<Signed>>,
    /// Beside the signatures, for a review type that asks for them: one blob for each required domain.
    #[serde(
        default,
        deserialize_with = "canonical::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub attestations: Option<Vec<String>>,
    /// SHA-256 of the canonical payload of each attestation, in order: what the signers sign of them.
    #[serde(
        default,
        deserialize_with = "canonical::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub attestation_payloads: Option<Vec<Digest>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.review.v1")]
    V1,
}

/// Whether an artifact is meant as a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// It is.
    Production,
    /// It was made for tests and can never pass.
    TestScope,
}

/// A point on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The stream.
    pub stream_id: String,
    /// The sequence of an event on it.
    pub sequence: u64,
    /// That event's hash.
    pub event_hash: EventHash,
}

/// What the reviewers decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// Yes, narrowed.
    ApproveWithConditions,
    /// No.
    Reject,
    /// Not yet.
    Defer,
}

/// Who decided, and in which role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reviewer {
    /// The principal.
    pub principal: String,
    /// The role.
    pub role: Role,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Whose.
    pub principal: String,
    /// The armored SSH signature, in the namespace `permit.review.v1`.
    pub sshsig: String,
}

/// What a new artifact says, before anybody has signed it.
#[derive(Debug)]
pub struct Draft {
    /// The policy's name for this kind of review.
    pub review_type: String,
    /// Under which policy.
    pub policy_hash: PolicyHash,
    /// Of which request.
    pub request_fingerprint: Fingerprint,
    /// Whether it is meant.
    pub scope: Scope,
    /// `<kind>:<selector>/<target>` of the request.
    pub scope_address: String,
    /// The stream's tip that the reviewers see.
    pub anchor: Anchor,
    /// The bytes that the decision is about.
    pub manifest_envelope_id: ManifestId,
    /// What is decided.
    pub verdict: Verdict,
    /// What an approval narrows.
    pub conditions: Vec<Condition>,
    /// Who decides, and in which role.
    pub reviewer: Reviewer,
    /// Everybody who will sign, in any order.
    pub cross_signers: Vec<String>,
    /// Why.
    pub reason: String,
    /// One attestation for each required domain, where the review type asks for them.
    pub attestations: Option<Vec<String>>,
}

/// What has to be loaded before an artifact can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs<'a> {
    /// The path of the manifest envelope in the governed commit.
    pub manifest_path: String,
    /// The event to look for, and the one after which the permits of this review are counted.
    pub anchor: &'a Anchor,
}

impl Verdict {
    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::ApproveWithConditions => "approve_with_conditions",
            Self::Reject => "reject",
            Self::Defer => "defer",
        }
    }
}

/// The id of a review: `domain_hash(review_id.v1, {policy_hash, request_fingerprint, review_type})`.
#[must_use]
pub fn review_id(
    policy_hash: PolicyHash,
    request_fingerprint: Fingerprint,
    review_type: &str,
) -> ReviewId {
    let inputs = Object::of([
        ("policy_hash", Value::from(policy_hash)),
        ("request_fingerprint", Value::from(request_fingerprint)),
        ("review_type", Value::from(review_type)),
    ]);
    ReviewId::new(domain_hash(Domain::ReviewId, &inputs))
}

/// The address that a review of a request states: `<kind>:<selector>/<target>`.
#[must_use]
pub fn scope_address(capability: &Capability, target: &str) -> String {
    format!("{capability}/{target}")
}

impl Artifact {
    /// Makes an artifact that nobody has signed.
    ///
    /// # Errors
    /// `INVALID_REVIEW` where it would contradict itself; `MALFORMED_ATTESTATION`.
    pub fn draft(draft: Draft) -> Result<Self, Refusal> {
        let mut cross_signers = draft.cross_signers;
        cross_signers.sort();
        let payload = |blob: &String| Attestation::decode(blob).map(|one| one.payload_sha256());
        let attestation_payloads = draft
            .attestations
            .as_ref()
            .map(|blobs| blobs.iter().map(payload).collect())
            .transpose()?;
        Self::of(Document {
            schema: Schema::V1,
            review_id: review_id(
                draft.policy_hash,
                draft.request_fingerprint,
                &draft.review_type,
            ),
            review_type: draft.review_type,
            policy_hash: draft.policy_hash,
            request_fingerprint: draft.request_fingerprint,
            scope: draft.scope,
            scope_address: draft.scope_address,
            anchor: draft.anchor,
            manifest_envelope_id: draft.manifest_envelope_id,
            verdict: draft.verdict,
            conditions: draft.conditions,
            reviewer: draft.reviewer,
            cross_signers,
            reason: draft.reason,
            signatures: Some(Vec::new()),
            attestations: draft.attestations,
            attestation_payloads,
        })
        .map_err(|fault| refusal(&fault))
    }

    /// Reads an artifact.
    ///
    /// # Errors
    /// `INVALID_REVIEW` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let read = || {
            if bytes.len() > MAX_FILE {
                return Err(Fault::new("$", "larger than 8 MiB"));
            }
            let mut artifact = Self::of(canonical::from_slice(bytes)?)?;
            artifact.canonical = artifact.file_bytes()? == bytes;
            Ok(artifact)
        };
        read().map_err(|fault| refusal(&fault))
    }

    /// The one form of the file: canonical JSON and one line feed.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn to_file(&self) -> Result<Vec<u8>, Refusal> {
        self.file_bytes()
            .map_err(|fault| canonical::unrepresentable(&fault))
    }

    fn file_bytes(&self) -> Result<Vec<u8>, Fault> {
        let mut bytes = to_bytes(&canonical::to_value(&self.document)?);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Refuses a form that new decisions do not take: bytes that are not canonical, attestations that nobody signed.
    ///
    /// # Errors
    /// `INVALID_REVIEW`.
    pub fn check_form(&self) -> Result<(), Refusal> {
        let invalid = |what: &str| Err(Refusal::new(Code::InvalidReview, what));
        let Document {
            signatures,
            attestations,
            attestation_payloads,
            ..
        } = &self.document;
        if !self.canonical {
            return invalid("the review's file is not canonical JSON and one line feed")
                .map_err(|refusal: Refusal| refusal.next(REWRITE));
        }
        if attestations.is_some() && (signatures.is_none() || attestation_payloads.is_none()) {
            return invalid(
                "the review rests on attestations that its reviewer has not signed for",
            )
            .map_err(|refusal: Refusal| refusal.next(REWRITE));
        }
        Ok(())
    }

    fn of(document: Document) -> Result<Self, Fault> {
        document.check()?;
        let mut value = canonical::to_value(&document)?;
        if let Value::Object(members) = &mut value {
            members.remove("signatures");
            members.remove("attestations");
        }
        let mut message = format!("{}\n", Domain::ReviewDecision.label()).into_bytes();
        message.extend_from_slice(&to_bytes(&value));
        Ok(Self {
            document,
            message,
            canonical: true,
        })
    }

    /// The artifact with one more signature, in place of an earlier one of the same principal.
    ///
    /// # Errors
    /// `INVALID_REVIEW` where the principal is not among the cross-signers.
    pub fn signed_by(&self, principal: &str, sshsig: &str) -> Result<Self, Refusal> {
        let mut document = self.document.clone();
        let signatures = document.signatures.get_or_insert_default();
        signatures.retain(|signed| signed.principal != principal);
        signatures.push(Signed {
            principal: principal.to_owned(),
            sshsig: sshsig.to_owned(),
        });
        signatures.sort_by(|left, right| left.principal.cmp(&right.principal));
        Self::of(document).map_err(|fault| refusal(&fault))
    }

    /// Everything that it says.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The bytes that are signed: `secure_execution_layer.review_decision.v1 ‖ 0x0A ‖ canonical JSON of the artifact
    /// without signatures and attestations`.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// SHA-256 of the bytes that are signed: by this an approval is counted, whatever its file looks like.
    #[must_use]
    pub fn message_sha256(&self) -> Digest {
        sha256(&self.message)
    }

    /// SHA-256 of the canonical payload of each attestation: what is spent once, whatever its blob looks like.
    ///
    /// # Errors
    /// `MALFORMED_ATTESTATION`.
    pub fn payloads(&self) -> Result<Vec<Digest>, Refusal> {
        let blobs = self.document.attestations.iter().flatten();
        blobs
            .map(|blob| Attestation::decode(blob).map(|one| one.payload_sha256()))
            .collect()
    }

    /// The armored signature of a principal.
    #[must_use]
    pub fn signature_of(&self, principal: &str) -> Option<&str> {
        let signed = self.document.signatures.as_deref()?;
        let found = signed.iter().find(|signed| signed.principal == principal)?;
        Some(&found.sshsig)
    }

    /// Everybody who signs it: the cross-signers; nobody where attestations stand in place of signatures, an old form.
    #[must_use]
    pub fn signers(&self) -> &[String] {
        match self.document.signatures {
            Some(_) => &self.document.cross_signers,
            None => &[],
        }
    }

    /// The hash of each attestation that it carries, in its order; nothing where it carries none.
    #[must_use]
    pub fn attestation_hashes(&self) -> Option<Vec<HashText>> {
        let blobs = self.document.attestations.as_ref()?;
        Some(
            blobs
                .iter()
                .map(|blob| HashText::of(blob.as_bytes()))
                .collect(),
        )
    }

    /// What has to be loaded before it can be judged.
    #[must_use]
    pub fn needs(&self) -> Needs<'_> {
        Needs {
            manifest_path: Manifest::path_of(self.document.manifest_envelope_id),
            anchor: &self.document.anchor,
        }
    }

    /// Where the artifact of a review stands in the governed tree.
    #[must_use]
    pub fn path_of(id: ReviewId) -> String {
        format!("governance/reviews/{}", Self::file_name_of(id))
    }

    /// The name of the file of a review.
    #[must_use]
    pub fn file_name_of(id: ReviewId) -> String {
        format!("{id}.review.json")
    }
}

impl Document {
    fn check(&self) -> Result<(), Fault> {
        for (path, fault) in [
            ("$.review_type", text_fault(&self.review_type)),
            (
                "$.anchor.stream_id",
                stream_id_fault(&self.anchor.stream_id),
            ),
        ] {
            if let Some(what) = fault {
                return Err(Fault::new(path, what));
            }
        }
        if PrincipalKind::of_id(&self.reviewer.principal).is_none() {
            return Err(Fault::new("$.reviewer.principal", NO_PRINCIPAL));
        }
        self.check_signers()?;
        self.check_conditions()
    }

    fn check_signers(&self) -> Result<(), Fault> {
        if self.cross_signers.len() > MAX_ENTRIES {
            return Err(Fault::new(
                "$.cross_signers",
                "holds more than 10000 signers",
            ));
        }
        let mut before: Option<&str> = None;
        for (index, signer) in self.cross_signers.iter().enumerate() {
            let fault = |what| {
                Err(Fault::new("$", what)
                    .within_item(index)
                    .within_member("cross_signers"))
            };
            if PrincipalKind::of_id(signer).is_none() {
                return fault(NO_PRINCIPAL);
            }
            if before.is_some_and(|before| before >= signer.as_str()) {
                return fault("is there twice, or not sorted");
            }
            before = Some(signer);
        }
        self.check_attestations()?;
        let signatures = match (&self.signatures, &self.attestations) {
            (Some(signatures), _) => signatures,
            // The form of old, which new decisions refuse.
            (None, Some(_)) => return Ok(()),
            (None, None) => return Err(Fault::new("$.signatures", "missing field")),
        };
        let mut signed = BTreeSet::new();
        for (index, Signed { principal, .. }) in signatures.iter().enumerate() {
            let fault = |what| {
                Err(Fault::new("$.principal", what)
                    .within_item(index)
                    .within_member("signatures"))
            };
            if self.cross_signers.binary_search(principal).is_err() {
                return fault("is not among the cross-signers");
            }
            if !signed.insert(principal) {
                return fault("signed twice");
            }
        }
        Ok(())
    }

    fn check_attestations(&self) -> Result<(), Fault> {
        let fault = |what| Err(Fault::new("$.attestation_payloads", what));
        match (&self.attestations, &self.attestation_payloads) {
            (Some(blobs), _) if blobs.len() > MAX_ENTRIES => {
                Err(Fault::new("$.attestations", "holds more than 10000 blobs"))
            }
            (None, Some(_)) => fault("stands without `attestations`"),
            (Some(blobs), Some(payloads)) if blobs.len() != payloads.len() => {
                fault("does not name one payload for each attestation")
            }
            (_, _) => Ok(()),
        }
    }

    fn check_conditions(&self) -> Result<(), Fault> {
        match (self.verdict, self.conditions.is_empty()) {
            (Verdict::Approve, false) => {
                return Err(Fault::new(
                    "$.conditions",
                    "stand only beside the verdict `approve_with_conditions`",
                ));
            }
            (Verdict::ApproveWithConditions, true) => {
                return Err(Fault::new(
                    "$.conditions",
                    "is empty, beside the verdict `approve_with_conditions`",
                ));
            }
            (Verdict::Approve, true)
            | (Verdict::ApproveWithConditions, false)
            | (Verdict::Reject | Verdict::Defer, _) => {}
        }
        for (index, condition) in self.conditions.iter().enumerate() {
            if let Some(fault) = condition.fault() {
                return Err(fault.within_item(index).within_member("conditions"));
            }
        }
        Ok(())
    }
}

const REWRITE: &str = "make the review again with `permit review new`, and sign it";

const NO_PRINCIPAL: &str = "is not the id of a principal";

fn refusal(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidReview,
        format!("the review is malformed at {fault}"),
    )
}
