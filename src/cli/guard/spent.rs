//! How often a review has covered a governance change: an approval of one change covers one change (reviews.md).
//!
//! A review stays in the ledger, so the change that it approved, taken back and made again, would find it there. What
//! it covered is looked for on the first-parent chain before the push, back to the commit that brought the signed
//! message in, whatever its file looked like since. There the search ends where everything still stood as it did before the change: what one push changes and
//! takes back before it brings the review is refused then ([`check_order`]). Where it stood otherwise, the change may
//! lie before its review, and the search goes on for [`BEHIND`] commits. A commit that leaves `governance` and `.hap` as
//! they are costs its own bytes and its root tree.

use super::governed::{Path, between, entry};
use super::push::Push;
use crate::cli::session::MAX_GOVERNED;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::Digest;
use crate::engine::enforce::Class;
use crate::engine::request::Request;
use crate::engine::review::Artifact;
use crate::git::{CommitId, EntryKind, Error, Snapshot};

/// The folders outside which no governance change lies.
const FOLDERS: [&str; 2] = ["governance", ".hap"];

/// How many commits after its change a review may come in, within one push; so far is looked behind the review later.
const BEHIND: usize = 1000;

/// A governance change: the request that stands for it, whatever it is attested by, and the paths with what was there
/// before.
pub(super) struct Asked<'c> {
    pub(super) change: &'c Request,
    pub(super) paths: &'c [Path],
}

/// Counts the commits before the push that made a change which a signed message covers; stops at `enough`.
pub(super) fn uses(
    push: &Push<'_>,
    asked: &Asked<'_>,
    (path, message): (&str, Digest),
    enough: u64,
) -> Result<u64, Refusal> {
    let repository = &push.session.repository;
    let Some(base) = push.base else { return Ok(0) };
    let mut at = repository.snapshot(base)?;
    let mut holds = holds(&at, path, message)?;
    if !holds {
        return Ok(0);
    }
    let (mut used, mut behind) = (0_u64, 0_usize);
    loop {
        let before = at.first_parent().map(|parent| repository.snapshot(parent));
        let before = before.transpose()?;
        let touched = touches(before.as_ref(), &at)?;
        if touched && makes(push, asked.change, before.as_ref(), &at)? {
            used = used.saturating_add(1);
        }
        let Some(before) = before.filter(|_| used < enough) else {
            return Ok(used);
        };
        if touched && holds {
            holds = self::holds(&before, path, message)?;
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

/// What was signed for the artifact at a path; nothing where none can be read there.
pub(super) fn signed_at(snapshot: &Snapshot<'_>, path: &str) -> Result<Option<Digest>, Refusal> {
    let found = entry(snapshot, path.as_bytes())?;
    let regular = |kind| matches!(kind, EntryKind::File | EntryKind::Executable);
    let Some(found) = found.filter(|found| regular(found.kind)) else {
        return Ok(None);
    };
    let blob = match snapshot.blob(found.id, path, MAX_GOVERNED) {
        Ok(blob) => blob,
        Err(Error::TooLarge { .. }) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let artifact = Artifact::parse(&blob.bytes).ok();
    Ok(artifact.map(|artifact| artifact.message_sha256()))
}

fn holds(snapshot: &Snapshot<'_>, path: &str, message: Digest) -> Result<bool, Refusal> {
    Ok(signed_at(snapshot, path)? == Some(message))
}

/// Tells whether a signed message ever stood at a path, at a commit or before it on its first-parent chain.
///
/// An approval that another one took the place of does not come back: nobody could tell how often it was used.
pub(super) fn ever_stood(
    push: &Push<'_>,
    from: CommitId,
    (path, message): (&str, Digest),
) -> Result<bool, Refusal> {
    let repository = &push.session.repository;
    let mut at = repository.snapshot(from)?;
    let mut look = true;
    loop {
        if look && holds(&at, path, message)? {
            return Ok(true);
        }
        let Some(parent) = at.first_parent() else {
            return Ok(false);
        };
        let before = repository.snapshot(parent)?;
        look = touches(Some(&before), &at)?;
        at = before;
    }
}

/// Whether a commit changes anything where governance lies.
pub(super) fn touches(
    before: Option<&Snapshot<'_>>,
    after: &Snapshot<'_>,
) -> Result<bool, Refusal> {
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
    let made = super::coverage::plain(&step, paths).ok();
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
