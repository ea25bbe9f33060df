//! The rules of a review but those about people (see [`signers`](super::signers)): each a function that says why not.

use super::super::code::{Code, Refusal};
use super::super::policy::ReviewType;
use super::signers::Tables;
use super::{
    AnchorFact, Artifact, Asked, Condition, Evidence, Expected, Manifest, ManifestFact, Scope,
    Verdict, permits, review_id, scope_address,
};

pub(super) fn tables<'a>(evidence: &Evidence<'a>) -> Result<Tables<'a>, Refusal> {
    Ok(Tables {
        before: evidence
            .before
            .principals("the commit before the review came in")?,
        governed: evidence.governed.principals("the governed commit")?,
    })
}

/// Refuses a form that only old records have.
pub(super) fn form(artifact: &Artifact, expected: &Expected<'_>) -> Result<(), Refusal> {
    if expected.rules.bind_form() {
        artifact.check_form()
    } else {
        Ok(())
    }
}

/// Refuses a proof of another kind than the review type asks for.
pub(super) fn proof_fits(artifact: &Artifact, expected: &Expected<'_>) -> Result<(), Refusal> {
    let attested = artifact.document().attestations.is_some();
    let invalid = |message| Err(Refusal::new(Code::InvalidReview, message));
    match (expected.asks, attested) {
        (Some(ReviewType::Signers(_)), true) => {
            invalid("the review carries attestations, and its type asks for signatures alone")
        }
        (Some(ReviewType::Attestations(_)), false) => {
            invalid("the review carries no attestations, and its type asks for them")
        }
        (Some(ReviewType::Signers(_)), false)
        | (Some(ReviewType::Attestations(_)), true)
        | (None, _) => Ok(()),
    }
}

pub(super) fn scope(scope: Scope) -> Result<(), Refusal> {
    match scope {
        Scope::Production => Ok(()),
        Scope::TestScope => Err(Refusal::new(
            Code::ReviewTestScope,
            "the review is of scope `test_scope`",
        )),
    }
}

pub(super) fn inputs(
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

pub(super) fn address(stated: &str, asked: &Asked<'_>) -> Result<(), Refusal> {
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

pub(super) fn manifest(artifact: &Artifact, evidence: &Evidence<'_>) -> Result<(), Refusal> {
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

pub(super) fn anchor(
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

pub(super) fn consumption(
    conditions: &[Condition],
    evidence: &Evidence<'_>,
) -> Result<(), Refusal> {
    let (allowed, issued) = (permits(conditions), evidence.issued);
    if evidence.payload_spent {
        return Err(Refusal::new(
            Code::ReviewConsumed,
            "a permit has been issued on an attestation of this review, which is spent",
        )
        .next("have every required domain attest again, and make the review anew"));
    }
    if issued < allowed {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::ReviewConsumed,
            format!("the review has yielded {issued} of {allowed} permits"),
        ))
    }
}

pub(super) fn verdict(verdict: Verdict) -> Result<(), Refusal> {
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
