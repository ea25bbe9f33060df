//! `permit.used` and `tool.exec.*` in a push: each needs a permit that was usable there.

use super::history::Known;
use super::is_failure;
use super::streams::NewEvent;
use crate::cli::request::load;
use crate::cli::stream::At;
use crate::cli::verify::Case;
use crate::engine::canonical::Value;
use crate::engine::chain::{EventType, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::CommitSha;
use crate::engine::enforce::{ExecRecord, Mode, argv_of, exec_kind, requested};
use crate::engine::execution_request::binding;
use crate::engine::permit::Permit;
use crate::engine::request::Request;

/// Judges a use: the permit is issued before it, and verified as of the event before it.
pub(super) fn used(new: &NewEvent<'_>) -> Result<(), Refusal> {
    let wanted = permit_id(new)?;
    let governed = new.governed_commit()?;
    let known = issued(new, &wanted)?;
    let parent = new.parent.ok_or_else(|| new.not_allowed("uses nothing"))?;
    let at = At {
        commit: parent,
        tip: new.before()?,
    };
    let case = Case::new(
        new.push.session,
        known.permit().clone(),
        known.request().clone(),
        Some(&governed.to_string()),
    )?;
    // The reason why the commit does not count comes before what the permit says of it.
    case.governed()?;
    case.check_in_force(&[])?;
    let report = case.judge_by(Ok(at.clone()), |_| known.issuance());
    if let Some(refusal) = report.refusal {
        if is_failure(&refusal) || refusal.code == Code::GovernedStale {
            return Err(refusal);
        }
        let what = format!(
            "uses a permit that was not usable there: {}",
            refusal.message
        );
        return Err(new
            .not_allowed(&what)
            .detail("permit_id", wanted)
            .detail("reason", refusal.code.name()));
    }
    let actor = &case.request.actor_id;
    new.is(&SealedEvent::used(&case.permit, actor, &at.tip, governed)?)
}

/// Judges a record of the execution boundary: it follows a use of its permit, or says that nothing ran.
pub(super) fn executed(new: &NewEvent<'_>, kind: EventType) -> Result<(), Refusal> {
    let payload = new.payload()?;
    let record = ExecRecord::read(kind, &payload)
        .map_err(|fault| new.not_allowed(&format!("has a malformed payload at {fault}")))?
        .ok_or_else(|| new.not_allowed("is no record of a run"))?;
    let id = record.permit_id.to_string();
    let known = issued(new, &id)?;
    if record.mode == Mode::Enforce && record.ran {
        // What was asked for stands right behind the use, what came of it anywhere after.
        let behind = record.reason.is_none().then_some(new.parent).flatten();
        let governed = known.used_for(new.event, behind).ok_or_else(|| {
            new.not_allowed("has no `permit.used` of its permit before it")
                .detail("permit_id", id)
        })?;
        match record.reason {
            None => return asked(new, known.permit(), known.request(), governed),
            Some(reason) if exec_kind(reason, known.permit().decision) != kind => {
                return Err(new.not_allowed("is not what its permit's decision gives"));
            }
            Some(_) => {}
        }
    }
    let hashes = (
        new.event.policy_hash.parse(),
        new.event.request_fingerprint.parse(),
    );
    let (Ok(policy_hash), Ok(fingerprint), Value::Object(payload)) = (hashes.0, hashes.1, payload)
    else {
        return Err(new.not_allowed("names no policy or request"));
    };
    new.is(&SealedEvent::record(
        kind,
        &new.before()?,
        policy_hash,
        fingerprint,
        payload,
    )?)
}

/// Derives what was asked for again: the harness of the record that the permit is for, or the request's own argv.
fn asked(
    new: &NewEvent<'_>,
    permit: &Permit,
    request: &Request,
    governed: CommitSha,
) -> Result<(), Refusal> {
    let (argv, commit) = if let Some(id) = binding(request) {
        let governed = new.push.session.govern(&governed.to_string())?;
        let record = load(&governed, id)?;
        let document = record.document();
        let commit = document.target_repository.commit.to_string();
        (document.harness.argv.clone(), commit)
    } else {
        let argv = argv_of(request);
        let argv = argv.ok_or_else(|| new.not_allowed("runs what its permit does not name"))?;
        (argv, String::new())
    };
    new.is(&SealedEvent::record(
        EventType::ToolExecRequested,
        &new.before()?,
        permit.policy_hash,
        permit.request_fingerprint,
        requested(permit.permit_id, Mode::Enforce, &argv, &commit),
    )?)
}

fn permit_id(new: &NewEvent<'_>) -> Result<String, Refusal> {
    new.event
        .payload_text("permit_id")
        .ok_or_else(|| new.not_allowed("names no permit"))
}

/// The permit that an event names, which has to stand on the stream before it.
fn issued<'a>(new: &NewEvent<'a>, permit_id: &str) -> Result<&'a Known, Refusal> {
    new.history.permit(permit_id).ok_or_else(|| {
        let what = "names a permit that was not issued on the stream before it";
        new.not_allowed(what)
            .detail("permit_id", permit_id)
            .detail("reason", Code::NotIssued.name())
    })
}
