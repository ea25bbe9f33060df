//! An artifact, what is expected of it and the evidence around it to a judgement (reviews.md, Artifact).
//!
//! Every rule is looked at, in the order of the page; the first that does not hold gives the reason. A rule whose
//! evidence is not there does not hold either: it is reported as unchecked, and nothing is granted.

use serde::Serialize;

use super::super::canonical::{self, Value};
use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, Digest, ManifestId, ReviewId};
use super::super::hap::hash::HashText;
use super::super::policy::{AttestedTerms, GrantTerms, ReviewType};
use super::report::{Check, Finding, NO_REQUEST, Rule};
use super::signers::Demand;
use super::{
    Artifact, Condition, Evidence, Expected, Origin, Reviewer, Verdict, attested, narrow, rules,
    signers,
};

/// The report on a review, and the review itself if every rule holds.
#[derive(Debug)]
pub struct Judgement {
    checks: Vec<Check>,
    record: Option<Record>,
    judged: Option<Judged>,
}

/// A review that is valid, approves, and has a permit left: the only thing from which the grant of a `review` is made.
#[derive(Debug, Clone)]
pub struct Judged {
    record: Record,
    terms: GrantTerms,
}

/// What the stream keeps of a review: the `review` of `permit.issued`, the payload of `review.resolved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The review.
    pub review_id: ReviewId,
    /// Its type.
    pub review_type: String,
    /// Who decided, and in which role.
    pub reviewer: Reviewer,
    /// What was decided.
    pub verdict: Verdict,
    /// What an approval narrows.
    pub conditions: Vec<Condition>,
    /// Everybody who signed; nobody where attestations stand in place of signatures, an old form.
    pub cross_signers: Vec<String>,
    /// The bytes that the decision is about.
    pub manifest_envelope_id: ManifestId,
    /// The commit that introduced the artifact.
    pub introduced_by: CommitSha,
    /// That commit's committer time, in Unix seconds.
    pub recorded_at: i64,
    /// The hash of each attestation, in the order of the profile's domains; absent where people alone decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_hashes: Option<Vec<HashText>>,
    /// SHA-256 of the bytes that were signed, by which the approval is counted.
    pub message_sha256: Digest,
}

/// Judges an artifact. Pure: the same values give the same judgement.
#[must_use]
pub fn judge(artifact: &Artifact, expected: &Expected<'_>, evidence: &Evidence<'_>) -> Judgement {
    let document = artifact.document();
    let mut checks = Vec::with_capacity(32);
    let mut push = |rule, finding: Finding| checks.push(Check::new(rule, finding));

    push(
        Rule::Structure,
        rules::form(artifact, expected)
            .and_then(|()| rules::proof_fits(artifact, expected))
            .into(),
    );
    push(Rule::Scope, rules::scope(document.scope).into());
    push(
        Rule::Inputs,
        rules::inputs(artifact, expected, evidence).into(),
    );
    push(
        Rule::Address,
        match &expected.request {
            None => Finding::Unchecked(NO_REQUEST),
            Some(asked) => rules::address(&document.scope_address, asked).into(),
        },
    );
    let tables = rules::tables(evidence);
    push(
        Rule::Principals,
        tables.as_ref().map(|_| ()).map_err(Clone::clone).into(),
    );
    let tables = tables.ok();
    match expected.asks {
        Some(ReviewType::Signers(terms)) => {
            let actor = expected.request.map(|asked| asked.actor_id);
            let admitted = Some(terms.reviewer_roles.as_slice());
            signers::reviewer(artifact, tables, admitted, &mut checks);
            signers::signers(artifact, tables, &Demand::of(terms), actor, &mut checks);
        }
        Some(ReviewType::Attestations(AttestedTerms {
            attestations,
            signers,
        })) => {
            let actor = expected.request.map(|asked| asked.actor_id);
            let admitted = signers.reviewer_roles.as_deref();
            let people = Demand::beside_attestations(signers);
            signers::human_reviewer(artifact, tables, admitted, &mut checks);
            if artifact.document().signatures.is_some() {
                signers::signers(artifact, tables, &people, actor, &mut checks);
            } else {
                signers::named(artifact, tables, actor, &mut checks);
            }
            checks.push(Check::new(
                Rule::Attestations,
                attested::judge(artifact, attestations, actor, evidence.action),
            ));
        }
        None => checks.push(Check::new(
            Rule::Reviewer,
            Finding::Unchecked("the policy has no review of this type"),
        )),
    }
    let mut push = |rule, finding: Finding| checks.push(Check::new(rule, finding));
    push(Rule::Manifest, rules::manifest(artifact, evidence).into());
    let anchor = rules::anchor(artifact, expected, evidence);
    let consumption = if anchor.is_ok() {
        rules::consumption(&document.conditions, evidence).into()
    } else {
        Finding::Unchecked("the anchor does not hold")
    };
    push(Rule::Anchor, anchor.into());
    push(Rule::Consumption, consumption);
    push(Rule::Verdict, rules::verdict(document.verdict).into());
    let terms = expected
        .request
        .map(|asked| narrow(asked.terms, &document.conditions, asked.target));
    push(
        Rule::Conditions,
        match &terms {
            None => Finding::Unchecked(NO_REQUEST),
            Some(Ok(_)) => Finding::Holds,
            Some(Err(refusal)) => Finding::Fails(refusal.clone()),
        },
    );

    let record = Record::of(artifact, evidence.origin);
    let judged = match terms {
        Some(Ok(terms)) if checks.iter().all(|check| check.finding.holds()) => Some(Judged {
            record: record.clone(),
            terms,
        }),
        Some(Ok(_) | Err(_)) | None => None,
    };
    Judgement {
        checks,
        record: Some(record),
        judged,
    }
}

impl Judgement {
    /// The judgement of bytes that are no artifact: the first rule fails, and no other can be looked at.
    #[must_use]
    pub fn malformed(refusal: Refusal) -> Self {
        let unchecked = |rule: &Rule| {
            Check::new(
                *rule,
                Finding::Unchecked("the artifact does not have its form"),
            )
        };
        let mut checks = vec![Check::new(Rule::Structure, Finding::Fails(refusal))];
        checks.extend(Rule::ALL.iter().skip(1).map(unchecked));
        Self {
            checks,
            record: None,
            judged: None,
        }
    }

    /// Every rule, in the order of the page.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The valid review.
    ///
    /// # Errors
    /// The reason of the first rule that fails; `REVIEW_MISSING` where none fails and one could not be looked at.
    pub fn into_judged(self) -> Result<Judged, Refusal> {
        match self.judged {
            Some(judged) => Ok(judged),
            None => Err(self.reason().unwrap_or_else(incomplete)),
        }
    }

    /// The reason why this review yields no permit; nothing if it yields one.
    #[must_use]
    pub fn reason(&self) -> Option<Refusal> {
        if self.judged.is_some() {
            return None;
        }
        let failed = self.checks.iter().find_map(|check| check.finding.refusal());
        Some(failed.cloned().unwrap_or_else(incomplete))
    }

    /// Every reason against the review, in the order of the page, without repetition.
    #[must_use]
    pub fn reasons(&self) -> Vec<&Refusal> {
        let mut reasons: Vec<&Refusal> = Vec::new();
        for refusal in self
            .checks
            .iter()
            .filter_map(|check| check.finding.refusal())
        {
            if !reasons.contains(&refusal) {
                reasons.push(refusal);
            }
        }
        reasons
    }

    /// Whether nothing speaks against the review: what could not be looked at waits for the request alone.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.finding.holds() || check.finding == Finding::Unchecked(NO_REQUEST))
    }

    /// The approval itself, whatever a stream says of its anchor and of the permits that it has yielded: what a clone that
    /// judges governance again needs of it, and no right to a permit.
    ///
    /// # Errors
    /// The reason of the first other rule that does not hold.
    pub fn into_approval(self) -> Result<Record, Refusal> {
        let decisive = |check: &&Check| !matches!(check.rule, Rule::Consumption | Rule::Anchor);
        let mut decisive = self.checks.iter().filter(decisive);
        match decisive.find(|check| !check.finding.holds()) {
            None => self.record.ok_or_else(incomplete),
            Some(check) => Err(check.finding.refusal().cloned().unwrap_or_else(incomplete)),
        }
    }

    /// The record of a decision that was validly taken, whatever it was and however often it was used.
    ///
    /// Consumption, verdict and conditions are no part of that; what needs a request that nobody could show is passed over.
    ///
    /// # Errors
    /// The reason of the first other rule that does not hold.
    pub fn into_record(self) -> Result<Record, Refusal> {
        let decisive = |check: &&Check| {
            !matches!(
                check.rule,
                Rule::Consumption | Rule::Verdict | Rule::Conditions
            )
        };
        let decisive: Vec<&Check> = self.checks.iter().filter(decisive).collect();
        if let Some(refusal) = decisive.iter().find_map(|check| check.finding.refusal()) {
            return Err(refusal.clone());
        }
        let looked_at = decisive
            .iter()
            .all(|check| check.finding.holds() || check.finding == Finding::Unchecked(NO_REQUEST));
        self.record.filter(|_| looked_at).ok_or_else(incomplete)
    }
}

fn incomplete() -> Refusal {
    Refusal::new(
        Code::ReviewMissing,
        "a rule of the review could not be looked at",
    )
}

impl Judged {
    /// What the stream keeps of it.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the rule grants, narrowed by the conditions.
    #[must_use]
    pub fn terms(&self) -> GrantTerms {
        self.terms
    }
}

impl Record {
    fn of(artifact: &Artifact, origin: Origin) -> Self {
        let document = artifact.document();
        Self {
            review_id: document.review_id,
            review_type: document.review_type.clone(),
            reviewer: document.reviewer.clone(),
            verdict: document.verdict,
            conditions: document.conditions.clone(),
            cross_signers: artifact.signers().to_vec(),
            manifest_envelope_id: document.manifest_envelope_id,
            introduced_by: origin.introduced_by,
            recorded_at: origin.recorded_at,
            attestation_hashes: artifact.attestation_hashes(),
            message_sha256: artifact.message_sha256(),
        }
    }

    /// The record as a value.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented: a commit time that no record holds.
    pub fn to_value(&self) -> Result<Value<'static>, Refusal> {
        canonical::value_of(self)
    }
}
