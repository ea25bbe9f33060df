//! Where HAP meets permits: the action that a request names, loaded for a review that rests on attestations.
//!
//! Head and base are those of the request. The base lies on the first-parent chain of the commit that governs the
//! decision, and so on the governed ref's: nobody brings the keys along by which their own attestations are believed.
//! A provider counts only where the governing commit trusts it as well; what is recorded was decided by the base alone, and is
//! decided again as it was.
//! The head lies behind the commit that brings the artifact in, by parents of any kind, so that what was attested to is
//! what was merged. Neither depends on a clock, on a ref or on when somebody looks.

use super::clock::Now;
use super::commits::Commits;
use crate::cli::ledger::Entry;
use crate::cli::session::{Governed, Session, commit_id};
use crate::engine::code::{Code, Refusal};
use crate::engine::evaluate::{Decision, evaluate};
use crate::engine::hap::authorize::Clock;
use crate::engine::permit::Permit;
use crate::engine::policy::{AttestedTerms, ReviewType};
use crate::engine::request::Request;
use crate::engine::review::{Action, NamedAction};
use crate::engine::rules::Rules;
use crate::git::CommitId;

/// Loads the action that a request names, for an artifact that a commit brings in.
///
/// # Errors
/// `INVALID_REQUEST`: the request names none. `COMMIT_NOT_GOVERNED`: its base is not governed. Those of declaration,
/// profile, context, frame and providers, as in `permit hap authorize`.
pub(crate) fn load_action(
    session: &Session,
    governed: &Governed<'_>,
    request: &Request,
    lands: CommitId,
    rules: Rules,
) -> Result<Action, Refusal> {
    let named = NamedAction::of(request)?;
    let (base, head) = (commit_id(named.base), commit_id(named.head));
    let repository = &session.repository;
    if !repository.is_on_first_parent_chain(governed.commit, base)? {
        return Err(Refusal::new(
            Code::CommitNotGoverned,
            format!(
                "the base {base} is not on the first-parent chain of the governed commit {}",
                governed.commit
            ),
        ));
    }
    let commits = Commits::at(session, base, head)?;
    let repo = commits.repo(Some(&named.repo))?;
    let case = commits.case(&repo)?;
    let mut trusted = commits.trusted(&[])?;
    if rules == Rules::New && governed.commit != base {
        let now = commits.trusting(governed.commit)?;
        let still = now.trusted(&[]).map_err(|refusal| now.of_tip(refusal))?;
        trusted = trusted.and_by(&still);
    }
    Ok(Action {
        frame: case.frame(&named.env)?,
        context_hash: case.context.hash(),
        trusted,
        landed_after_head: repository.merge_base(head, lands)? == Some(head),
        profile: case.profile,
    })
}

/// Refuses to run what a permit permits once an attestation that it rests on has expired.
///
/// Asks for the time only where the permit rests on attestations: nothing else that is decided about a permit knows one.
/// Makes the decision of `issue` again with the clock running: a provider that is no longer trusted, or an attestation
/// that is dated in the future, does not count either.
///
/// # Errors
/// `TTL_EXPIRED`, or whatever else no longer holds; `REVIEW_MISSING` where the governed commit lacks the review.
pub(crate) fn ttl_in_force(
    session: &Session,
    governed: &Governed<'_>,
    request: &Request,
    permit: &Permit,
    now: impl FnOnce() -> Result<Now, Refusal>,
) -> Result<(), Refusal> {
    let Some(review) = &permit.review_ref else {
        return Ok(());
    };
    let other = |what: &str| Err(Refusal::new(Code::ReviewMismatch, what.to_owned()));
    let Decision::NeedsReview(need) = evaluate(request, &governed.policy)? else {
        return other("the policy does not map the request to a review");
    };
    let ReviewType::Attestations(AttestedTerms { attestations, .. }) = need.asks else {
        return Ok(());
    };
    if review.review_id != need.review_id {
        return other("the permit rests on the review of another request");
    }
    let entry = Entry::load(session, governed, need.review_id)?.ok_or_else(|| need.missing())?;
    let case = match &*entry {
        Entry::Malformed(refusal) => return Err(refusal.clone()),
        Entry::Case(case) => case,
    };
    let blobs = case.artifact.document().attestations.as_deref();
    let Some(action) = case.action(session, governed, request, need.asks, Rules::New)? else {
        return Err(need.missing());
    };
    let (action, blobs, now) = (action?, blobs.unwrap_or_default(), now()?);
    let decided = action.assess(blobs, attestations, &request.actor_id, Clock::At(now.time));
    decided
        .map(|_| ())
        .map_err(|refusal| refusal.detail("now", now.time.to_string()))
}
