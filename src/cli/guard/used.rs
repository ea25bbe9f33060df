//! `permit.used` and `tool.exec.*` in a push: each needs a permit that was usable there.

use std::ops::ControlFlow;

use super::is_failure;
use super::streams::NewEvent;
use crate::cli::exec::argv_of;
use crate::cli::request::load;
use crate::cli::stream::At;
use crate::cli::verify::Case;
use crate::engine::canonical::Value;
use crate::engine::chain::{Event, EventType, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::CommitSha;
use crate::engine::enforce::{ExecRecord, Mode, exec_kind, requested};
use crate::engine::execution_request::binding;
use crate::engine::permit::Permit;
use crate::engine::request::Request;

/// Judges a use: the permit is issued before it, and verified as of the event before it.
pub(super) fn used(new: &NewEvent<'_>) -> Result<(), Refusal> {
    let wanted = permit_id(new)?;
    let governed = new.governed_commit()?;
    let (permit, request) = issued(new, &wanted)?;
    let parent = new.parent.ok_or_else(|| new.not_allowed("uses nothing"))?;
    let at = At {
        commit: parent,
        tip: new.before()?,
    };
    let case = Case::new(
        new.push.session,
        permit,
        request,
        Some(&governed.to_string()),
    )?;
    // The reason why the commit does not count comes before what the permit says of it.
    case.governed()?;
    case.check_in_force(&[])?;
    if let Some(refusal) = case.judge(Ok(at.clone())).refusal {
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
    if record.mode == Mode::Enforce && record.ran {
        let id = record.permit_id.to_string();
        let governed = follows_use(new, &id, record.reason.is_none())?;
        let (permit, request) = issued(new, &id)?;
        match record.reason {
            None => return asked(new, &permit, &request, governed),
            Some(reason) if exec_kind(reason, permit.decision) != kind => {
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

/// Looks back for the use of a permit, right before or anywhere after it was issued; returns its governed commit.
fn follows_use(new: &NewEvent<'_>, permit_id: &str, next_to: bool) -> Result<CommitSha, Refusal> {
    let mut found = None;
    let from = new
        .parent
        .ok_or_else(|| new.not_allowed("follows nothing"))?;
    let verifier = new.stream.walk(from, None, |event, _| {
        let named = event.event_id == permit_id;
        let is_use = named
            && event.kind() == Some(EventType::PermitUsed)
            && event.policy_hash == new.event.policy_hash
            && event.request_fingerprint == new.event.request_fingerprint;
        if is_use {
            found = event
                .payload_text("governed_commit")
                .and_then(|commit| commit.parse().ok());
        }
        Ok(if named || next_to {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    verifier
        .finish_part()
        .map_err(|fault| new.stream.broken(&fault))?;
    found.ok_or_else(|| {
        new.not_allowed("has no `permit.used` of its permit before it")
            .detail("permit_id", permit_id)
    })
}

fn permit_id(new: &NewEvent<'_>) -> Result<String, Refusal> {
    new.event
        .payload_text("permit_id")
        .ok_or_else(|| new.not_allowed("names no permit"))
}

/// Finds the permit and the request of the event that issued it, going back from the event at hand.
fn issued(new: &NewEvent<'_>, permit_id: &str) -> Result<(Permit, Request), Refusal> {
    let from = new.parent.ok_or_else(|| new.not_allowed("uses nothing"))?;
    let mut found = None;
    let verifier = new.stream.walk(from, None, |event, _| {
        if event.event_id != permit_id || event.kind() != Some(EventType::PermitIssued) {
            return Ok(ControlFlow::Continue(()));
        }
        found = read(event);
        Ok(ControlFlow::Break(()))
    })?;
    verifier
        .finish_part()
        .map_err(|fault| new.stream.broken(&fault))?;
    found.ok_or_else(|| {
        let what = "uses a permit that was not issued before it";
        new.not_allowed(what)
            .detail("permit_id", permit_id)
            .detail("reason", Code::NotIssued.name())
    })
}

fn read(event: &Event<'_>) -> Option<(Permit, Request)> {
    let payload = event.payload_value().ok()?;
    let permit = Permit::read(payload.at("permit")?).ok()?;
    let request = Request::read(payload.at("request")?).ok()?;
    Some((permit, request))
}
