//! Emergencies that nobody has looked back on yet.
//!
//! A review looks back on an emergency where its signed `reason` holds the emergency's id, it came in later, and it is a
//! decision that was validly taken: a file that anybody could write closes nothing.

use std::rc::Rc;

use serde::Serialize;

use super::coverage::Judge;
use super::push::Push;
use super::spent;
use crate::cli::session::{Governed, MAX_GOVERNED, Session};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::PolicyHash;
use crate::engine::enforce::EMERGENCY_ADDRESS;
use crate::engine::review::Artifact;
use crate::git::{CommitId, Introduction};

const FOLDER: &str = "governance/reviews";

/// How many commits before a review its policy is looked for: as far as one push reaches, in which the review may come
/// behind the change.
const BEHIND: usize = 1000;

/// An emergency that no later review has looked back on.
#[derive(Serialize)]
pub(super) struct Emergency {
    pub(super) review_id: String,
    pub(super) reviewer: String,
    pub(super) reason: String,
}

/// The emergencies of the governed tip that no valid later review names.
///
/// # Errors
/// Failures of the repository.
pub(super) fn open(session: &Session, tip: CommitId) -> Result<Vec<Emergency>, Refusal> {
    let reviews = read(session, tip)?;
    let (uses, others): (Vec<Artifact>, Vec<Artifact>) = reviews
        .into_iter()
        .partition(|review| review.document().scope_address == EMERGENCY_ADDRESS);
    let mut open = Vec::new();
    for emergency in &uses {
        let document = emergency.document();
        let review_id = document.review_id.to_string();
        let mut closed = false;
        for review in others
            .iter()
            .filter(|review| review.document().reason.contains(&review_id))
        {
            closed = closed || looks_back(session, tip, review, emergency)?;
        }
        if !closed {
            open.push(Emergency {
                review_id,
                reviewer: document.reviewer.principal.clone(),
                reason: document.reason.clone(),
            });
        }
    }
    Ok(open)
}

/// The reviews of a commit that can be read.
fn read(session: &Session, tip: CommitId) -> Result<Vec<Artifact>, Refusal> {
    let snapshot = session.repository.snapshot(tip)?;
    let mut reviews = Vec::new();
    for entry in snapshot.list(FOLDER)? {
        let path = format!("{FOLDER}/{}", String::from_utf8_lossy(&entry.name));
        if let Ok(Some(blob)) = snapshot.file(&path, MAX_GOVERNED)
            && let Ok(artifact) = Artifact::parse(&blob.bytes)
            && Artifact::path_of(artifact.document().review_id) == path
        {
            reviews.push(artifact);
        }
    }
    Ok(reviews)
}

/// Whether a review came in after an emergency, and was validly taken by the people of then.
fn looks_back(
    session: &Session,
    tip: CommitId,
    review: &Artifact,
    emergency: &Artifact,
) -> Result<bool, Refusal> {
    let came = |artifact: &Artifact| -> Result<Option<Introduction>, Refusal> {
        let path = Artifact::path_of(artifact.document().review_id);
        Ok(session.repository.introduction(tip, &path)?)
    };
    let (Some(came), Some(since)) = (came(review)?, came(emergency)?) else {
        return Ok(false);
    };
    let repository = &session.repository;
    let later = came.commit != since.commit
        && repository.is_on_first_parent_chain(came.commit, since.commit)?;
    let Some(parent) = came.parent.filter(|_| later) else {
        return Ok(false);
    };
    match holds(session, review, &came, parent) {
        Ok(held) => Ok(held),
        Err(refusal) if refusal.class() == Class::Failed => Err(refusal),
        Err(_) => Ok(false),
    }
}

/// Judges a review where it came in: by its policy, which the push may have found in force, with the people of then and of
/// the commit before it.
fn holds(
    session: &Session,
    review: &Artifact,
    came: &Introduction,
    parent: CommitId,
) -> Result<bool, Refusal> {
    let Some(agreed) = under(session, parent, review.document().policy_hash)? else {
        return Ok(false);
    };
    let present = Governed {
        policy: Rc::clone(&agreed.policy),
        ..session.govern_commit(parent)?
    };
    let snapshot = session.repository.snapshot(came.commit)?;
    let push = Push::landed(session, agreed.commit)?;
    let judge = Judge::new(&push, &[]);
    for state in [&agreed, &present] {
        judge
            .judge(state, review.clone(), &snapshot, None)?
            .into_record()?;
    }
    Ok(true)
}

/// The newest commit, from one back, whose policy has a hash.
fn under(
    session: &Session,
    from: CommitId,
    hash: PolicyHash,
) -> Result<Option<Governed<'_>>, Refusal> {
    let mut at = session.repository.snapshot(from)?;
    let mut look = true;
    for _ in 0..BEHIND {
        if look {
            match session.govern_commit(at.commit()) {
                Ok(governed) if governed.policy.hash() == hash => return Ok(Some(governed)),
                Ok(_) => {}
                Err(refusal) if refusal.code == Code::PolicyMissing => return Ok(None),
                Err(refusal) => return Err(refusal),
            }
        }
        let Some(parent) = at.first_parent() else {
            return Ok(None);
        };
        let before = session.repository.snapshot(parent)?;
        look = spent::touches(Some(&before), &at)?;
        at = before;
    }
    Ok(None)
}
