//! Request and policy to a decision (core.md sections 3 and 7).
//!
//! An `allow`, a `warn` and a `block` are decided by the policy alone; a `review` is decided by humans, and what they
//! have to decide about comes out as a [`ReviewNeed`]. Only here, and from a judged review, can a [`Grant`] be made.

use serde::{Deserialize, Serialize};

use super::code::{Code, Refusal};
use super::digest::{Fingerprint, PolicyHash, ReviewId};
use super::policy::{
    ConflictMode, Effect, GrantTerms, Policy, ReviewType, SeverityToGating, Subject,
};
use super::request::{Capability, Request};
use super::review::{Artifact, Asked, Judged, review_id};

/// What the policy says of a request: the record that an auditor reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The request's capability.
    pub capability_descriptor: Capability,
    /// How a conflict of rules was decided.
    pub conflict_resolution_mode: ConflictMode,
    /// `permit_<severity>`.
    pub final_gating: String,
    /// The effect that won.
    pub final_severity: Effect,
    /// By which rule; `default` where none matched.
    pub matched_rule_id: String,
    /// Under which policy.
    pub policy_hash: PolicyHash,
    /// Of which request.
    pub request_fingerprint: Fingerprint,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Decision<'p> {
    /// The policy alone decides: a permit can be derived; that of a `block` is the recorded denial.
    Granted(Grant),
    /// Humans decide.
    NeedsReview(ReviewNeed<'p>),
}

/// The right to derive one permit. Made only by [`evaluate`] and by [`ReviewNeed::granted_by`].
#[derive(Debug, Clone)]
pub struct Grant {
    mapping: Mapping,
    terms: GrantTerms,
    severity_to_gating: SeverityToGating,
    issued_by: String,
    review_type: Option<(ReviewId, String)>,
}

/// A decision that waits for humans, and what they decide about.
#[derive(Debug)]
pub struct ReviewNeed<'p> {
    /// `domain_hash(review_id.v1, {policy_hash, request_fingerprint, review_type})`.
    pub review_id: ReviewId,
    /// The name of the review type.
    pub review_type: &'p str,
    /// What that type asks for.
    pub asks: &'p ReviewType,
    /// The mapping that led here.
    pub mapping: Mapping,
    grant: Grant,
}

/// Decides about a request.
///
/// # Errors
/// `AMBIGUOUS_MAPPING` where the policy leaves rules of different effects and must not choose.
pub fn evaluate<'p>(request: &Request, policy: &'p Policy) -> Result<Decision<'p>, Refusal> {
    let resolution = policy.resolve(&Subject::new(request))?;
    let effect = resolution.rule.map_or(Effect::Block, |rule| rule.effect);
    let mapping = Mapping {
        policy_hash: policy.hash(),
        request_fingerprint: request.fingerprint(),
        matched_rule_id: resolution
            .rule
            .map_or("default", |rule| rule.id.as_str())
            .to_owned(),
        conflict_resolution_mode: policy.conflict_resolution().mode,
        final_severity: effect,
        final_gating: format!("permit_{}", effect.word()),
        capability_descriptor: request.capability.clone(),
    };
    let grant = Grant {
        mapping,
        terms: resolution
            .rule
            .and_then(|rule| rule.grant)
            .unwrap_or(GrantTerms::OneShot { sequence_span: 0 }),
        severity_to_gating: SeverityToGating::FIXED,
        issued_by: policy.supervisor_id().to_owned(),
        review_type: None,
    };
    if effect != Effect::Review {
        return Ok(Decision::Granted(grant));
    }
    // INVARIANT: a checked policy knows the review type of each of its `review` rules.
    let (name, asks) = resolution
        .rule
        .and_then(|rule| rule.review_type.as_deref())
        .and_then(|name| Some((name, policy.review_type(name)?)))
        .ok_or_else(|| Refusal::new(Code::InvalidPolicy, "a `review` rule has no review type"))?;
    let review_id = review_id(
        grant.mapping.policy_hash,
        grant.mapping.request_fingerprint,
        name,
    );
    Ok(Decision::NeedsReview(ReviewNeed {
        review_id,
        review_type: name,
        asks,
        mapping: grant.mapping.clone(),
        grant: Grant {
            review_type: Some((review_id, name.to_owned())),
            ..grant
        },
    }))
}

impl Decision<'_> {
    /// The mapping, whatever became of the request.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        match self {
            Decision::Granted(grant) => &grant.mapping,
            Decision::NeedsReview(need) => &need.mapping,
        }
    }
}

impl ReviewNeed<'_> {
    /// Where the ledger artifact of this review stands in the governed tree.
    #[must_use]
    pub fn path(&self) -> String {
        Artifact::path_of(self.review_id)
    }

    /// What a review of the request is held against.
    #[must_use]
    pub fn asked<'a>(&'a self, request: &'a Request) -> Asked<'a> {
        Asked {
            fingerprint: self.mapping.request_fingerprint,
            review_type: self.review_type,
            actor_id: &request.actor_id,
            capability: &request.capability,
            target: &request.target,
            terms: self.grant.terms,
        }
    }

    /// The grant that a valid review of exactly this need makes, narrowed by its conditions.
    ///
    /// # Errors
    /// `REVIEW_MISMATCH` for the review of another need.
    pub fn granted_by(&self, judged: &Judged) -> Result<Grant, Refusal> {
        if judged.record().review_id != self.review_id {
            return Err(Refusal::new(
                Code::ReviewMismatch,
                "the review that was judged is of another request",
            )
            .detail("stated", judged.record().review_id.to_string())
            .detail("expected", self.review_id.to_string()));
        }
        Ok(Grant {
            terms: judged.terms(),
            ..self.grant.clone()
        })
    }

    /// Says that nobody has decided yet.
    #[must_use]
    pub fn missing(&self) -> Refusal {
        Refusal::new(
            Code::ReviewMissing,
            format!(
                "a review of type `{}` is required and is not in the governed commit",
                self.review_type
            ),
        )
        .detail("review_id", self.review_id.to_string())
        .detail("path", self.path())
    }
}

impl Grant {
    /// The mapping that the grant rests on.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// How long the permit will last.
    #[must_use]
    pub fn terms(&self) -> GrantTerms {
        self.terms
    }

    /// What the permit will say that severities do.
    #[must_use]
    pub fn severity_to_gating(&self) -> SeverityToGating {
        self.severity_to_gating
    }

    /// Who issues.
    #[must_use]
    pub fn issued_by(&self) -> &str {
        &self.issued_by
    }

    /// The review that the permit will name.
    #[must_use]
    pub fn review_ref(&self) -> Option<(ReviewId, &str)> {
        self.review_type
            .as_ref()
            .map(|(review_id, name)| (*review_id, name.as_str()))
    }
}
