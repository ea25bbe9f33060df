//! `permit request check`: what CI asks of a record before people look at it.

use serde_json::json;

use super::super::ledger::find;
use super::super::outcome::Outcome;
use super::super::render::{BAD, GOOD, paint, safe};
use super::super::session::{Governed, Session};
use super::args::RequestCheckArgs;
use super::{check_approvers, load, paths, read};
use crate::engine::code::{Code, Refusal};
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::review::Found;

pub(super) fn run(session: &Session, args: &RequestCheckArgs) -> Result<Outcome, Refusal> {
    let governed = session.govern(&args.at)?;
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

/// Checks a record against the governed state: policy, approvers, files that it points to.
pub(crate) fn check_record(
    session: &Session,
    governed: &Governed<'_>,
    record: &ExecutionRequest,
) -> Result<(), Refusal> {
    record.check_policy(&governed.policy)?;
    check_approvers(session, governed, record)?;
    for pointer in &record.document().proof_pointers {
        if pointer.kind != "file" {
            continue;
        }
        let digest = match find(session, &governed.snapshot, &pointer.reference)? {
            Found::File { sha256, .. } => Some(sha256),
            Found::Absent | Found::NotAFile | Found::TooLarge => None,
        };
        ExecutionRequest::check_proof(pointer, digest)?;
    }
    Ok(())
}
