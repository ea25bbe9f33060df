//! How often a review has covered a governance change: an approval of one change covers one change (reviews.md).
//!
//! A review stays in the ledger, so the change that it approved, taken back and made again, would find it there. What
//! it covered is looked for on the first-parent chain before the push, back to the commit that brought the artifact's
//! bytes in. There the search ends where everything still stood as it did before the change: what one push changes and
//! takes back before it brings the review is refused then ([`check_order`]). Where it stood otherwise, the change may
//! lie before its review, and the search goes on for [`BEHIND`] commits. A commit that leaves `governance` and `.hap` as
//! they are costs its own bytes and its root tree.

use super::governed::{Path, between, entry};
use super::push::Push;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::Class;
use crate::engine::request::Request;
use crate::git::{EntryKind, ObjectId, Snapshot};

/// The folders outside which no governance change lies.
const FOLDERS: [&str; 2] = ["governance", ".hap"];

/// How many commits after its change a review may come in, within one push; so far is looked behind the review later.
const BEHIND: usize = 1000;

/// A governance change: the request that stands for it, and the paths with what was there before.
pub(super) struct Asked<'c> {
    pub(super) request: &'c Request,
    pub(super) paths: &'c [Path],
}

/// Counts the commits before the push that made a change which the bytes of an artifact cover; stops at `enough`.
pub(super) fn uses(
    push: &Push<'_>,
    asked: &Asked<'_>,
    (path, bytes): (&str, ObjectId),
    enough: u64,
) -> Result<u64, Refusal> {
    let repository = &push.session.repository;
    let Some(base) = push.base else { return Ok(0) };
    let mut at = repository.snapshot(base)?;
    let mut holds = holds(&at, path, bytes)?;
    if !holds {
        return Ok(0);
    }
    let (mut used, mut behind) = (0_u64, 0_usize);
    loop {
        let before = at.first_parent().map(|parent| repository.snapshot(parent));
        let before = before.transpose()?;
        let touched = touches(before.as_ref(), &at)?;
        if touched && makes(push, asked.request, before.as_ref(), &at)? {
            used = used.saturating_add(1);
        }
        let Some(before) = before.filter(|_| used < enough) else {
            return Ok(used);
        };
        if touched && holds {
            holds = self::holds(&before, path, bytes)?;
            if !holds && stands_before(&at, asked.paths)? {
                return Ok(used);
            }
        }
        if !holds {
            behind = behind.saturating_add(1);
        }
        if behind > BEHIND {
            return Ok(used);
        }
        at = before;
    }
}

/// Refuses a change that is taken back before the commit that brings its review, or that lies too far before it: nobody
/// could tell later that it was made, and the review would cover it again.
pub(super) fn check_order(
    asked: &Asked<'_>,
    brings: &Snapshot<'_>,
    later: usize,
) -> Result<(), Refusal> {
    let what = if later > BEHIND {
        format!("the review comes more than {BEHIND} commits after the change")
    } else if stands_before(brings, asked.paths)? {
        "the push takes the change back before it brings the review of it".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::GovernanceUnreviewed, what)
        .next("bring the review together with the change that it covers, and go on afterwards"))
}

/// The reason for a change that a review has covered as often as it may.
pub(super) fn consumed() -> Refusal {
    let what = "the review has already covered this change, and an approval covers one change";
    Refusal::new(Code::ReviewConsumed, what).next(
        "have the change reviewed again with `permit review new`, and push the new artifact in place of the old one",
    )
}

fn holds(snapshot: &Snapshot<'_>, path: &str, bytes: ObjectId) -> Result<bool, Refusal> {
    let found = entry(snapshot, path.as_bytes())?;
    Ok(found.is_some_and(|found| {
        matches!(found.kind, EntryKind::File | EntryKind::Executable) && found.id == bytes
    }))
}

/// Whether a commit changes anything where governance lies.
fn touches(before: Option<&Snapshot<'_>>, after: &Snapshot<'_>) -> Result<bool, Refusal> {
    let Some(before) = before else {
        return Ok(true);
    };
    if before.tree_id() == after.tree_id() {
        return Ok(false);
    }
    for folder in FOLDERS {
        if before.entry(folder)? != after.entry(folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a commit makes exactly the change of a request.
fn makes(
    push: &Push<'_>,
    request: &Request,
    before: Option<&Snapshot<'_>>,
    after: &Snapshot<'_>,
) -> Result<bool, Refusal> {
    let parent = before.map(Snapshot::commit);
    let step = between(push, parent, after.commit())?;
    let Some(paths) = step.changes.get(&Class::GovernanceChange) else {
        return Ok(false);
    };
    // What has no request (a link that came in while nobody judged) is no change that was ever reviewed.
    let made = super::coverage::request(&step, paths).ok();
    Ok(made.is_some_and(|made| made.fingerprint() == request.fingerprint()))
}

/// Whether every path is as it was before the change.
fn stands_before(at: &Snapshot<'_>, paths: &[Path]) -> Result<bool, Refusal> {
    for path in paths {
        let kind = |entry: &crate::git::Entry| (entry.kind, entry.id);
        if entry(at, &path.name)?.as_ref().map(kind) != path.before.as_ref().map(kind) {
            return Ok(false);
        }
    }
    Ok(true)
}
