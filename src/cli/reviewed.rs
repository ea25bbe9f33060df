//! `permit.governance=reviewed`: governance is verified by whoever relies on it, not only by the server.

use super::guard;
use super::session::Session;
use crate::engine::code::Refusal;
use crate::git::CommitId;

/// Judges what changed governance on the governed ref after the pinned commit, up to its tip.
///
/// # Errors
/// `GOVERNANCE_UNREVIEWED` where no review covers a change; for it and all that follow.
pub(crate) fn check(session: &Session, pin: CommitId, tip: CommitId) -> Result<(), Refusal> {
    guard::check_landed(session, pin, tip)
}
