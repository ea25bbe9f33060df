//! `permit request new`: a record from a draft or from flags, written into the work tree.
//!
//! What `permit request check` would refuse against the governed commit is refused before anything is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::ledger::find;
use super::super::outcome::Outcome;
use super::super::session::{MAX_GOVERNED, Session};
use super::super::work_folder::WorkFolder;
use super::super::{fault, files};
use super::args::RequestNewArgs;
use super::check::check_record;
use crate::engine::canonical::{self, to_value};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::sha256;
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::review::Found;

pub(super) fn run(session: &Session, args: &RequestNewArgs) -> Result<Outcome, Refusal> {
    let folder = WorkFolder::open(session)?;
    let record = match &args.draft {
        Some(path) => {
            let bytes = files::read(path, usize::try_from(MAX_GOVERNED).unwrap_or(usize::MAX))?;
            let draft = canonical::parse(&bytes).map_err(|fault| {
                let message = format!("the draft is malformed at {fault}");
                Refusal::new(Code::InvalidExecutionRequest, message)
            })?;
            ExecutionRequest::from_draft(draft)?
        }
        None => from_flags(session, args)?,
    };
    check_record(session, &session.govern_at(args.at.as_deref())?, &record)?;
    let path = ExecutionRequest::path_of(record.id());
    if folder.holds(&path)? {
        return Err(fault::input(format!(
            "`{path}` exists: a record never changes"
        )));
    }
    folder.write_document(&path, record.document())?;
    Ok(Outcome::ok("request.new")
        .field("request_id", record.id())
        .field("path", &path)
        .field("record", record.document())
        .next(format!(
            "git add {path}, commit it, then run `permit request check {}`",
            record.id()
        ))
        .text(format!("{}\n", record.id())))
}

fn from_flags(session: &Session, args: &RequestNewArgs) -> Result<ExecutionRequest, Refusal> {
    let missing = |flag: &str| fault::input(format!("`--{flag}` is missing"));
    let request = args.request.as_deref().ok_or_else(|| missing("request"))?;
    let packet = args.packet.as_deref().ok_or_else(|| missing("packet"))?;
    let request = Request::parse(&files::read(request, MAX_REQUEST)?)?;
    let limit = usize::try_from(MAX_GOVERNED).unwrap_or(usize::MAX);
    let content = files::read(packet, limit)?;
    let snapshot = session
        .repository
        .snapshot(session.governed_at(args.at.as_deref())?)?;
    let mut proofs = Vec::new();
    for path in &args.proofs {
        let Found::File { sha256, .. } = find(session, &snapshot, path)? else {
            return Err(fault::input(format!(
                "the governed commit holds no file `{path}`"
            )));
        };
        proofs.push(json!({"kind": "file", "ref": path, "sha256": sha256}));
    }
    let draft = json!({
        "schema": "permit.execution_request.v1",
        "approval_granted": false,
        "execution_allowed": false,
        "runtime_default_activation": false,
        "request": request,
        "target_repository": {
            "name": args.repository_name,
            "url": args.repository_url,
            "commit": args.commit,
        },
        "allowed_paths": args.allow_paths,
        "harness": {"argv": args.argv, "working_directory": args.working_directory},
        "approval_packet": {
            "media_type": args.media_type,
            "sha256": sha256(&content),
            "content_base64": STANDARD.encode(&content),
        },
        "proof_pointers": proofs,
        "blocked_actions": args.blocks,
        "required_approvers": args.approvers,
    });
    let draft = to_value(&draft)
        .map_err(|fault| Refusal::new(Code::InvalidExecutionRequest, fault.to_string()))?;
    ExecutionRequest::from_draft(draft)
}
