//! `permit request`: records of proposed actions. No command here runs anything.

use crate::cli::ledger::find;
use crate::cli::session::Session;
use crate::engine::code::Refusal;
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::review::Found;
use crate::git::Snapshot;

/// What a commit holds for each `file` among a record's proof pointers.
pub(crate) fn proofs(
    session: &Session,
    snapshot: &Snapshot<'_>,
    record: &ExecutionRequest,
) -> Result<Vec<Found>, Refusal> {
    record
        .proof_pointers
        .iter()
        .filter(|proof| proof.kind == "file")
        .map(|proof| find(session, snapshot, &proof.reference))
        .collect()
}
