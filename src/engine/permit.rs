//! Grant and tip to a permit, and a permit read back (core.md section 5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Fault, MAX_INTEGER, Value};
use super::chain::Tip;
use super::code::{Code, Refusal};
use super::digest::{
    CommitSha, Domain, EventHash, Fingerprint, PermitId, PolicyHash, ReviewId, domain_hash,
};
use super::evaluate::Grant;
use super::policy::{Effect, GrantMode, GrantTerms, SeverityToGating};
use super::request::{Capability, MAX_REQUEST};
use super::text::{stream_id_fault, text_fault};

/// A permit: exactly its fields, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit")]
pub struct Permit {
    /// For which capability.
    pub capability: Capability,
    /// What was decided; a `block` is the recorded denial.
    pub decision: Effect,
    /// Until when.
    pub expiry_condition: Expiry,
    /// The sequence of its `permit.issued` event.
    pub issued_at_sequence: u64,
    /// The policy's supervisor.
    pub issued_by: String,
    /// `domain_hash(execution_permit.v1, every other field)`.
    pub permit_id: PermitId,
    /// Once or as often as wanted, and for what.
    pub permit_scope: PermitScope,
    /// Under which policy it was decided.
    pub policy_hash: PolicyHash,
    /// The hash of the event before it.
    pub prev_event_hash: EventHash,
    /// For which request.
    pub request_fingerprint: Fingerprint,
    /// The review it rests on; when and only when the decision is `review`.
    #[serde(
        default,
        deserialize_with = "canonical::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub review_ref: Option<ReviewRef>,
    /// What each severity does.
    pub severity_to_gating: SeverityToGating,
    /// The stream that event is on.
    pub stream_id: String,
}

/// Once or as often as wanted, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitScope {
    /// Once or as often as wanted.
    pub mode: GrantMode,
    /// The capability's selector.
    pub selector: String,
}

/// Until when a permit is valid; never a matter of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expiry {
    /// While the stream's tip lies in the range, both ends included.
    ValidForSequenceRange {
        /// First and last sequence.
        sequence_range: [u64; 2],
    },
    /// While this is the governed commit.
    ValidForCommit {
        /// The commit.
        commit_sha: CommitSha,
    },
}

/// The review that a permit rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRef {
    /// The review.
    pub review_id: ReviewId,
    /// Its type.
    pub review_type: String,
}

impl Permit {
    /// Derives the permit of a grant for the event that will follow a tip.
    ///
    /// # Errors
    /// `INVALID_POLICY` where the span ends beyond 2^53−1.
    pub fn derive(grant: &Grant, tip: &Tip, governed_commit: CommitSha) -> Result<Self, Refusal> {
        let sequence = tip.next_sequence();
        let range = |span: u64| {
            sequence
                .checked_add(span)
                .filter(|end| i64::try_from(*end).is_ok_and(|end| end <= MAX_INTEGER))
                .map(|end| Expiry::ValidForSequenceRange {
                    sequence_range: [sequence, end],
                })
                .ok_or_else(|| {
                    Refusal::new(
                        Code::InvalidPolicy,
                        format!("a span of {span} from sequence {sequence} ends beyond 2^53−1"),
                    )
                })
        };
        let (mode, expiry_condition) = match grant.terms() {
            GrantTerms::OneShot { sequence_span } => (GrantMode::OneShot, range(sequence_span)?),
            GrantTerms::Bounded { sequence_span } => (GrantMode::Bounded, range(sequence_span)?),
            GrantTerms::Commit => (
                GrantMode::Bounded,
                Expiry::ValidForCommit {
                    commit_sha: governed_commit,
                },
            ),
        };
        let mapping = grant.mapping();
        let mut permit = Self {
            permit_id: PermitId::new([0; 32]),
            policy_hash: mapping.policy_hash,
            request_fingerprint: mapping.request_fingerprint,
            capability: mapping.capability_descriptor.clone(),
            decision: mapping.final_severity,
            severity_to_gating: grant.severity_to_gating(),
            issued_by: grant.issued_by().to_owned(),
            issued_at_sequence: sequence,
            stream_id: tip.stream_id.clone(),
            prev_event_hash: tip.event_hash,
            permit_scope: PermitScope {
                mode,
                selector: mapping.capability_descriptor.selector.clone(),
            },
            expiry_condition,
            review_ref: grant
                .review_ref()
                .map(|(review_id, review_type)| ReviewRef {
                    review_id,
                    review_type: review_type.to_owned(),
                }),
        };
        permit.permit_id = permit.computed_id()?;
        Ok(permit)
    }

    /// Reads a permit; its id is not compared yet, see [`Permit::computed_id`].
    ///
    /// # Errors
    /// `INVALID_PERMIT` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_REQUEST {
            return Err(refusal(&Fault::new("$", "larger than 1 MiB")));
        }
        canonical::parse(bytes)
            .and_then(|value| Self::read(&value))
            .map_err(|fault| refusal(&fault))
    }

    /// Reads a permit that stands inside another record.
    ///
    /// # Errors
    /// The [`Fault`] with the JSON path below that value.
    pub fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let permit: Self = canonical::from_value(value)?;
        for (path, fault) in [
            (
                "$.capability.selector",
                text_fault(&permit.capability.selector),
            ),
            ("$.issued_by", text_fault(&permit.issued_by)),
            ("$.stream_id", stream_id_fault(&permit.stream_id)),
            (
                "$.permit_scope.selector",
                text_fault(&permit.permit_scope.selector),
            ),
        ] {
            if let Some(what) = fault {
                return Err(Fault::new(path, what));
            }
        }
        match (permit.decision, &permit.review_ref) {
            (Effect::Review, Some(_)) | (Effect::Allow | Effect::Warn | Effect::Block, None) => {
                Ok(permit)
            }
            (Effect::Review, None) => Err(Fault::new("$.review_ref", "missing field")),
            (Effect::Allow | Effect::Warn | Effect::Block, Some(_)) => {
                Err(Fault::new("$.review_ref", "stands only on a `review`"))
            }
        }
    }

    /// The permit as a value.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn to_value(&self) -> Result<Value<'static>, Refusal> {
        canonical::value_of(self)
    }

    /// The permit's canonical bytes, as `permit issue` prints them.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        Ok(canonical::to_bytes(&self.to_value()?))
    }

    /// The id that the fields give: `domain_hash(execution_permit.v1, every field but permit_id)`.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn computed_id(&self) -> Result<PermitId, Refusal> {
        let mut body =
            canonical::to_object(self).map_err(|fault| canonical::unrepresentable(&fault))?;
        body.remove("permit_id");
        Ok(PermitId::new(domain_hash(Domain::ExecutionPermit, &body)))
    }
}

fn refusal(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidPermit,
        format!("the permit is malformed at {fault}"),
    )
}
