//! What a clone finds on the governed ref is judged again by the boundary's rules, anchor and consumption aside.
//!
//! A server may have been passed by, or belong to somebody else: a commit that changes governance counts for a clone only
//! where a review covers exactly this change, judged by the tables and the policy of the commit before it. One that none
//! covers is `GOVERNANCE_UNREVIEWED`, and so is all that follows.

use super::coverage::Judge;
use super::governed::{Step, between};
use super::push::Push;
use super::spent;
use crate::cli::session::Session;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::enforce;
use crate::git::CommitId;

/// Judges every first-parent commit after a pinned one, up to a tip, that changes governance.
///
/// # Errors
/// `GOVERNANCE_UNREVIEWED` with the first commit that no review covers; `COMMIT_NOT_GOVERNED` where the pinned commit is
/// not on the tip's first-parent chain.
pub(crate) fn check(session: &Session, pin: CommitId, tip: CommitId) -> Result<(), Refusal> {
    let whole = Push::landed(session, pin)?;
    let steps = steps(&whole, pin, tip)?;
    for (place, step) in steps.iter().enumerate() {
        let (Some(paths), Some(before)) = (
            step.changes.get(&enforce::Class::GovernanceChange),
            &step.before,
        ) else {
            continue;
        };
        let push = Push::landed(session, before.commit())?;
        let after = steps.get(place..).unwrap_or_default();
        match Judge::uncounted(&push, after).governance(step, paths) {
            Ok(found) if found.refusal.is_none() => {}
            Ok(found) => {
                if let Some(refusal) = found.refusal {
                    return Err(uncovered(step.commit, &refusal));
                }
            }
            Err(refusal) if refusal.class() == Class::Failed => return Err(refusal),
            Err(refusal) => return Err(uncovered(step.commit, &refusal)),
        }
    }
    Ok(())
}

/// The commits after the pinned one that touch governance, oldest first.
fn steps<'s>(push: &Push<'s>, pin: CommitId, tip: CommitId) -> Result<Vec<Step<'s>>, Refusal> {
    let repository = &push.session.repository;
    let mut touched = Vec::new();
    let mut at = repository.snapshot(tip)?;
    while at.commit() != pin {
        let Some(parent) = at.first_parent() else {
            return Err(Refusal::new(
                Code::CommitNotGoverned,
                format!("the pinned commit {pin} is not on the first-parent chain of {tip}"),
            ));
        };
        let before = repository.snapshot(parent)?;
        if spent::touches(Some(&before), &at)? {
            touched.push((parent, at.commit()));
        }
        at = before;
    }
    let oldest_first = touched.into_iter().rev();
    oldest_first
        .map(|(parent, commit)| between(push, Some(parent), commit))
        .collect()
}

fn uncovered(commit: CommitId, refusal: &Refusal) -> Refusal {
    Refusal::new(
        Code::GovernanceUnreviewed,
        format!("commit {commit} changes governance and no review covers it"),
    )
    .detail("commit", commit.to_string())
    .detail("reason", refusal.code.name())
    .detail("because", refusal.message.clone())
    .next("have the change reverted on the governed ref or reviewed; after looking at it yourself, `permit trust REF --commit OID --replace REF --reason TEXT` pins a later commit")
}
