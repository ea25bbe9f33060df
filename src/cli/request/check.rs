//! `permit request check`: what CI asks of a record before people look at it.

use serde_json::json;

use super::super::ledger::{TableAt, find};
use super::super::outcome::Outcome;
use super::super::render::{BAD, GOOD, paint, safe};
use super::super::session::{Governed, Session};
use super::args::RequestCheckArgs;
use super::{load, paths, read};
use crate::engine::code::{Code, Refusal};
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::policy::Policy;
use crate::engine::review::Found;
use crate::git::Snapshot;

pub(super) fn run(session: &Session, args: &RequestCheckArgs) -> Result<Outcome, Refusal> {
    let governed = session.govern_at(args.at.as_deref())?;
    let found: Vec<(String, Result<(), Refusal>)> = match &args.id {
        Some(id) => vec![(id.clone(), check_id(session, &governed, id))],
        None => paths(&governed)?
            .into_iter()
            .map(|path| (path.clone(), check_path(session, &governed, &path)))
            .collect(),
    };
    let mut text = String::new();
    let mut checked = Vec::new();
    for (name, result) in &found {
        let (mark, reason, message) = match result {
            Ok(()) => (paint(GOOD, "ok"), Code::Ok, String::new()),
            Err(refusal) => (paint(BAD, "no"), refusal.code, refusal.message.clone()),
        };
        text.push_str(&format!("{mark}  {} {}\n", safe(name), safe(&message)));
        checked.push(json!({"record": name, "reason": reason, "message": message}));
    }
    let mut outcome = Outcome::ok("request.check")
        .field("checked", checked)
        .text(text);
    if let Some(refusal) = found.into_iter().find_map(|(_, result)| result.err()) {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

fn check_id(session: &Session, governed: &Governed<'_>, id: &str) -> Result<(), Refusal> {
    check_record(session, governed, &load(governed, id)?)
}

fn check_path(session: &Session, governed: &Governed<'_>, path: &str) -> Result<(), Refusal> {
    read(governed, path)?.map_or(Ok(()), |record| check_record(session, governed, &record))
}

/// Checks a record against a governed commit.
pub(crate) fn check_record(
    session: &Session,
    governed: &Governed<'_>,
    record: &ExecutionRequest,
) -> Result<(), Refusal> {
    let table = TableAt::load(session, &governed.snapshot)?;
    check_against(
        session,
        record,
        &governed.policy,
        &table,
        &governed.snapshot,
    )
}

/// Checks a record against a policy, a principals table and the commit that holds what its proofs point to.
pub(crate) fn check_against(
    session: &Session,
    record: &ExecutionRequest,
    policy: &Policy,
    table: &TableAt,
    snapshot: &Snapshot<'_>,
) -> Result<(), Refusal> {
    record.check_policy(policy)?;
    match table {
        TableAt::Sound(table) => record.check_approvers(table)?,
        TableAt::Invalid(refusal) => return Err(refusal.clone()),
        TableAt::Missing if record.document().required_approvers.is_empty() => {}
        TableAt::Missing => {
            return Err(Refusal::new(
                Code::PrincipalsMissing,
                "there is no principals table to find the approvers in",
            ));
        }
    }
    for pointer in &record.document().proof_pointers {
        if pointer.kind != "file" {
            continue;
        }
        let digest = match find(session, snapshot, &pointer.reference)? {
            Found::File { sha256, .. } => Some(sha256),
            Found::Absent | Found::NotAFile | Found::TooLarge => None,
        };
        ExecutionRequest::check_proof(pointer, digest)?;
    }
    Ok(())
}
