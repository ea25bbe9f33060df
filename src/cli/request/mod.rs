//! `permit request`: records of proposed actions. Nothing here runs a harness or touches a target repository.

mod args;
mod check;
mod new;
mod state;

pub(crate) use args::RequestVerb;
pub(crate) use check::{check_against, check_record};
pub(crate) use state::{approved, not_required};

use super::fault;
use super::outcome::Outcome;
use super::session::{Governed, MAX_GOVERNED, Session};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::ExecutionRequestId;
use crate::engine::execution_request::{ExecutionRequest, FOLDER};

pub(crate) fn run(session: &Session, verb: &RequestVerb) -> Result<Outcome, Refusal> {
    match verb {
        RequestVerb::New(args) => new::run(session, args),
        RequestVerb::Check(args) => check::run(session, args),
        RequestVerb::Show(args) => state::show(session, args),
        RequestVerb::List(args) => state::list(session, args),
    }
}

/// Reads the record of an id from a governed commit.
///
/// # Errors
/// `INVALID_INPUT` for an id that is none, `INVALID_EXECUTION_REQUEST` where the commit holds no such record, and
/// whatever is wrong with the record itself.
pub(crate) fn load(governed: &Governed<'_>, id: &str) -> Result<ExecutionRequest, Refusal> {
    let id: ExecutionRequestId = id
        .parse()
        .map_err(|error| fault::id("execution request", error, "permit request list"))?;
    let path = ExecutionRequest::path_of(id);
    read(governed, &path)?.ok_or_else(|| {
        Refusal::new(
            Code::InvalidExecutionRequest,
            format!("commit {} holds no `{path}`", governed.commit),
        )
    })
}

/// The paths that a record rests on at a governed commit: its own, and those of the files that its proofs point to.
pub(crate) fn read_by(record: &ExecutionRequest) -> Vec<String> {
    let document = record.document();
    let files = document.proof_pointers.iter();
    let files = files.filter(|pointer| pointer.kind == "file");
    let own = ExecutionRequest::path_of(record.id());
    std::iter::once(own)
        .chain(files.map(|pointer| pointer.reference.clone()))
        .collect()
}

/// Reads the record at a path; its file is named after it.
fn read(governed: &Governed<'_>, path: &str) -> Result<Option<ExecutionRequest>, Refusal> {
    let file = governed
        .snapshot
        .file(path, MAX_GOVERNED)
        .map_err(fault::governed(Code::InvalidExecutionRequest))?;
    let Some(blob) = file else {
        return Ok(None);
    };
    let record = ExecutionRequest::parse(&blob.bytes)?;
    record.is_named(path.rsplit('/').next().unwrap_or_default())?;
    Ok(Some(record))
}

/// The paths of the records of a governed commit.
fn paths(governed: &Governed<'_>) -> Result<Vec<String>, Refusal> {
    let entries = governed
        .snapshot
        .list(FOLDER)
        .map_err(fault::governed(Code::InvalidExecutionRequest))?;
    Ok(entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name))
        .filter(|name| name.ends_with(".request.json"))
        .map(|name| format!("{FOLDER}/{name}"))
        .collect())
}
