//! An artifact, what is expected of it and the evidence around it to a judgement (reviews.md, Artifact).
//!
//! Every rule is looked at, in the order of the page; the first that does not hold gives the reason. A rule whose
//! evidence is not there does not hold either: it is reported as unchecked, and nothing is granted.

use serde::Serialize;

use super::super::canonical::{self, Value};
use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, EventHash, Fingerprint, ManifestId, PolicyHash, ReviewId};
use super::super::policy::{GrantTerms, ReviewType};
use super::super::request::Capability;
use super::report::{Check, Finding, NO_REQUEST, Rule};
use super::signers::{self, Tables};
use super::{
    Artifact, Condition, Found, Manifest, Principals, Reviewer, Scope, Verdict, narrow, permits,
    review_id, scope_address,
};

/// What an artifact is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The governed policy.
    pub policy_hash: PolicyHash,
    /// What that policy asks for in reviews of this type; nothing if it has no such type.
    pub asks: Option<&'a ReviewType>,
    /// The request at hand; where nobody could show it, every rule that needs it is unchecked.
    pub request: Option<Asked<'a>>,
    /// The stream that is issued to; where none is named, the artifact's own.
    pub stream_id: Option<&'a str>,
    /// The sequence that is being decided; the anchor lies before it.
    pub sequence: u64,
}

/// The request at hand, and what its rule would grant.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The review type of the rule that it fell under.
    pub review_type: &'a str,
    /// Who asks.
    pub actor_id: &'a str,
    /// For which capability.
    pub capability: &'a Capability,
    /// To what.
    pub target: &'a str,
    /// What the rule grants.
    pub terms: GrantTerms,
}

/// What was found around an artifact.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The name of the file that held the artifact, without its folder.
    pub file_name: &'a str,
    /// The table that judges: that before the artifact came in, see [`Table::judging`].
    pub before: Table<'a>,
    /// The governed commit's table.
    pub governed: Table<'a>,
    /// The manifest envelope that the artifact names.
    pub manifest: ManifestFact<'a>,
    /// What stands at the anchor.
    pub anchor: AnchorFact,
    /// How many `permit.issued` of this review stand after the anchor and before the sequence that is decided.
    pub issued: u64,
    /// Where the artifact came from.
    pub origin: Origin,
}

/// The principals table of one commit.
#[derive(Debug, Clone, Copy)]
pub enum Table<'a> {
    /// There is none.
    Missing,
    /// There is one that is malformed: never the same as none.
    Invalid(&'a Refusal),
    /// There is one.
    Sound(&'a Principals),
}

/// The manifest envelope that an artifact names.
#[derive(Debug, Clone, Copy)]
pub enum ManifestFact<'a> {
    /// The governed commit does not hold it.
    Missing,
    /// It is malformed.
    Invalid(&'a Refusal),
    /// It is there, and what the governed commit holds for each of its artifacts, in its order.
    Present(&'a Manifest, &'a [Found]),
}

/// What stands at an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorFact {
    /// The stream is not there, or does not reach so far.
    Missing,
    /// The event at the anchor's sequence has this hash.
    Event(EventHash),
}

/// The commit that introduced an artifact's present bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The commit.
    pub introduced_by: CommitSha,
    /// Its committer time, in Unix seconds.
    pub recorded_at: i64,
}

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
    /// Everybody who signed.
    pub cross_signers: Vec<String>,
    /// The bytes that the decision is about.
    pub manifest_envelope_id: ManifestId,
    /// The commit that introduced the artifact.
    pub introduced_by: CommitSha,
    /// That commit's committer time, in Unix seconds.
    pub recorded_at: i64,
}

/// Judges an artifact. Pure: the same values give the same judgement.
#[must_use]
pub fn judge(artifact: &Artifact, expected: &Expected<'_>, evidence: &Evidence<'_>) -> Judgement {
    let document = artifact.document();
    let mut checks = Vec::with_capacity(32);
    let mut push = |rule, finding: Finding| checks.push(Check::new(rule, finding));

    push(Rule::Structure, proof_fits(artifact, expected).into());
    push(Rule::Scope, scope(document.scope).into());
    push(Rule::Inputs, inputs(artifact, expected, evidence).into());
    push(
        Rule::Address,
        match &expected.request {
            None => Finding::Unchecked(NO_REQUEST),
            Some(asked) => address(&document.scope_address, asked).into(),
        },
    );
    let tables = tables(evidence);
    push(
        Rule::Principals,
        tables.as_ref().map(|_| ()).map_err(Clone::clone).into(),
    );
    let tables = tables.ok();
    match expected.asks {
        Some(ReviewType::Signers(terms)) => {
            let actor = expected.request.map(|asked| asked.actor_id);
            signers::reviewer(artifact, tables, terms, &mut checks);
            signers::signers(artifact, tables, terms, actor, &mut checks);
        }
        Some(ReviewType::Attestations { .. }) => checks.push(Check::new(
            Rule::Attestations,
            Finding::Unchecked("attestations are not judged here"),
        )),
        None => checks.push(Check::new(
            Rule::Reviewer,
            Finding::Unchecked("the policy has no review of this type"),
        )),
    }
    let mut push = |rule, finding: Finding| checks.push(Check::new(rule, finding));
    push(Rule::Manifest, manifest(artifact, evidence).into());
    let anchor = anchor(artifact, expected, evidence);
    let consumption = if anchor.is_ok() {
        consumption(&document.conditions, evidence.issued).into()
    } else {
        Finding::Unchecked("the anchor does not hold")
    };
    push(Rule::Anchor, anchor.into());
    push(Rule::Consumption, consumption);
    push(Rule::Verdict, verdict(document.verdict).into());
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
            cross_signers: document.cross_signers.clone(),
            manifest_envelope_id: document.manifest_envelope_id,
            introduced_by: origin.introduced_by,
            recorded_at: origin.recorded_at,
        }
    }

    /// The record as a value.
    #[must_use]
    pub fn to_value(&self) -> Value<'static> {
        // INVARIANT: strings and integers within range, so the conversion cannot fail.
        canonical::to_value(self).unwrap_or(Value::Null)
    }
}

impl<'a> Table<'a> {
    /// The table that judges an artifact.
    ///
    /// It is that of the first parent of the commit that introduced the artifact. Only where that has none, and no
    /// earlier commit on the first-parent chain ever held one either (first adoption), the introducing commit's own counts.
    #[must_use]
    pub fn judging(parent: Table<'a>, ever_held_before: bool, introducing: Table<'a>) -> Self {
        match parent {
            Table::Missing if !ever_held_before => introducing,
            Table::Missing | Table::Invalid(_) | Table::Sound(_) => parent,
        }
    }

    fn principals(self, place: &str) -> Result<&'a Principals, Refusal> {
        match self {
            Table::Sound(principals) => Ok(principals),
            Table::Invalid(refusal) => Err(refusal.clone().detail("table of", place)),
            Table::Missing => Err(Refusal::new(
                Code::PrincipalsMissing,
                format!("{place} holds no principals table"),
            )),
        }
    }
}

fn tables<'a>(evidence: &Evidence<'a>) -> Result<Tables<'a>, Refusal> {
    Ok(Tables {
        before: evidence
            .before
            .principals("the commit before the review came in")?,
        governed: evidence.governed.principals("the governed commit")?,
    })
}

/// Refuses a proof of another kind than the review type asks for.
fn proof_fits(artifact: &Artifact, expected: &Expected<'_>) -> Result<(), Refusal> {
    let signatures = artifact.document().signatures.is_some();
    let invalid = |message| Err(Refusal::new(Code::InvalidReview, message));
    match (expected.asks, signatures) {
        (Some(ReviewType::Signers(_)), false) => {
            invalid("the review carries attestations, and its type asks for signatures")
        }
        (Some(ReviewType::Attestations { .. }), true) => {
            invalid("the review carries signatures, and its type asks for attestations")
        }
        (Some(ReviewType::Signers(_)), true)
        | (Some(ReviewType::Attestations { .. }), false)
        | (None, _) => Ok(()),
    }
}

fn scope(scope: Scope) -> Result<(), Refusal> {
    match scope {
        Scope::Production => Ok(()),
        Scope::TestScope => Err(Refusal::new(
            Code::ReviewTestScope,
            "the review is of scope `test_scope`",
        )),
    }
}

fn inputs(
    artifact: &Artifact,
    expected: &Expected<'_>,
    evidence: &Evidence<'_>,
) -> Result<(), Refusal> {
    let document = artifact.document();
    let differ = |what: &str, stated: &str, expected: &str| {
        Err(Refusal::new(
            Code::ReviewMismatch,
            format!("the review's {what} is not the one that is expected"),
        )
        .detail("stated", stated)
        .detail("expected", expected))
    };
    let compare = |what: &str, stated: &str, expected: &str| {
        if stated == expected {
            Ok(())
        } else {
            differ(what, stated, expected)
        }
    };
    compare(
        "file name",
        evidence.file_name,
        &Artifact::file_name_of(document.review_id),
    )?;
    let computed = review_id(
        document.policy_hash,
        document.request_fingerprint,
        &document.review_type,
    );
    compare(
        "`review_id`",
        &document.review_id.to_string(),
        &computed.to_string(),
    )?;
    compare(
        "`policy_hash`",
        &document.policy_hash.to_string(),
        &expected.policy_hash.to_string(),
    )?;
    if let Some(asked) = &expected.request {
        compare(
            "`request_fingerprint`",
            &document.request_fingerprint.to_string(),
            &asked.fingerprint.to_string(),
        )?;
        compare("`review_type`", &document.review_type, asked.review_type)?;
    }
    match expected.asks {
        Some(_) => Ok(()),
        None => differ(
            "`review_type`",
            &document.review_type,
            "a type of the policy",
        ),
    }
}

fn address(stated: &str, asked: &Asked<'_>) -> Result<(), Refusal> {
    let expected = scope_address(asked.capability, asked.target);
    if stated == expected {
        return Ok(());
    }
    Err(Refusal::new(
        Code::ReviewScopeMismatch,
        "the review addresses something else than the request",
    )
    .detail("stated", stated)
    .detail("expected", expected))
}

fn manifest(artifact: &Artifact, evidence: &Evidence<'_>) -> Result<(), Refusal> {
    let id = artifact.document().manifest_envelope_id;
    match evidence.manifest {
        ManifestFact::Missing => Err(Refusal::new(
            Code::ManifestMissing,
            "the governed commit does not hold the manifest that the review names",
        )
        .detail("path", Manifest::path_of(id))),
        ManifestFact::Invalid(refusal) => Err(refusal.clone()),
        ManifestFact::Present(manifest, found) => {
            manifest.is_named(id)?;
            manifest.verify(found)
        }
    }
}

fn anchor(
    artifact: &Artifact,
    expected: &Expected<'_>,
    evidence: &Evidence<'_>,
) -> Result<(), Refusal> {
    let anchor = &artifact.document().anchor;
    let mismatch = |message: String| Err(Refusal::new(Code::ReviewAnchorMismatch, message));
    if let Some(stream_id) = expected.stream_id
        && stream_id != anchor.stream_id
    {
        return mismatch(format!(
            "the review is anchored on the stream `{}`, not on `{stream_id}`",
            anchor.stream_id
        ));
    }
    let sequence = anchor.sequence;
    match evidence.anchor {
        AnchorFact::Missing => mismatch(format!("the stream has no event {sequence}")),
        AnchorFact::Event(_) if sequence >= expected.sequence => mismatch(format!(
            "the anchor, event {sequence}, does not lie before event {}",
            expected.sequence
        )),
        AnchorFact::Event(found) if found != anchor.event_hash => mismatch(format!(
            "event {sequence} is not the one that the reviewers saw"
        ))
        .map_err(|refusal: Refusal| {
            refusal
                .detail("stated", anchor.event_hash.to_string())
                .detail("found", found.to_string())
        }),
        AnchorFact::Event(_) => Ok(()),
    }
}

fn consumption(conditions: &[Condition], issued: u64) -> Result<(), Refusal> {
    let allowed = permits(conditions);
    if issued < allowed {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::ReviewConsumed,
            format!("the review has yielded {issued} of {allowed} permits"),
        ))
    }
}

fn verdict(verdict: Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Approve | Verdict::ApproveWithConditions => Ok(()),
        Verdict::Reject => Err(Refusal::new(
            Code::ReviewRejected,
            "the reviewers rejected the request",
        )),
        Verdict::Defer => Err(Refusal::new(
            Code::ReviewDeferred,
            "the reviewers deferred the decision",
        )),
    }
}
