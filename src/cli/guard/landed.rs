//! What a clone finds on the governed ref is judged again by the boundary's rules, anchor and consumption aside.
//!
//! A server may have been passed by, or belong to somebody else: a commit that changes governance counts for a clone only
//! where a review covers exactly this change. One that none covers is `GOVERNANCE_UNREVIEWED`, and so is all that follows.
//!
//! The boundary judges a whole push by the tip before it, and a clone cannot see where a push began. It accepts what some
//! sequence of pushes could have brought past the boundary: a commit is judged by the state of its first parent, and by
//! that of an earlier commit from which on the same state covers every change up to this one. That an older state counts
//! brings nothing back that was withdrawn since: the people and the terms of the first parent bind as well
//! (`Judge::still_holds`), here and at the boundary alike.

use super::coverage::Judge;
use super::governed::{Step, between};
use super::push::Push;
use super::spent;
use crate::cli::session::Session;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::enforce;
use crate::git::CommitId;

/// From how many commits one push may have begun, at most: the oldest, and the first parent.
const MOST_OPEN: usize = 16;

/// Judges every first-parent commit after a pinned one, up to a tip, that changes governance.
///
/// # Errors
/// `GOVERNANCE_UNREVIEWED` with the first commit that no review covers; `COMMIT_NOT_GOVERNED` where the pinned commit is
/// not on the tip's first-parent chain.
pub(crate) fn check(session: &Session, pin: CommitId, tip: CommitId) -> Result<(), Refusal> {
    let whole = Push::landed(session, pin)?;
    let steps = steps(&whole, pin, tip)?;
    // Where the push that brought the commit may have begun, oldest first: everything since is covered from there.
    let mut open: Vec<CommitId> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let (Some(paths), Some(before)) = (
            step.changes.get(&enforce::Class::GovernanceChange),
            &step.before,
        ) else {
            continue;
        };
        open.truncate(MOST_OPEN.saturating_sub(1));
        open.push(before.commit());
        let after = steps.get(place..).unwrap_or_default();
        let mut refused = None;
        let mut covering = Vec::with_capacity(open.len());
        // The first parent first: what it says is why not.
        for base in open.into_iter().rev() {
            let push = Push::landed(session, base)?;
            let found = match Judge::uncounted(&push, after).governance(step, paths) {
                Ok(found) => found.refusal,
                Err(refusal) => Some(refusal),
            };
            match found {
                None => covering.push(base),
                Some(refusal) if refusal.class() == Class::Failed => return Err(refusal),
                Some(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        if let Some(refusal) = refused.filter(|_| covering.is_empty()) {
            return Err(uncovered(step.commit, &refusal));
        }
        covering.reverse();
        open = covering;
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
