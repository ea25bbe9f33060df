//! `content.change`: always allowed, unless `enforcement.json` demands a permit.

use std::ops::ControlFlow;

use super::push::{Judged, Push, Update};
use crate::cli::session::sha;
use crate::cli::stream::{At, STREAMS, Stream};
use crate::cli::verify::Case;
use crate::engine::canonical::Value;
use crate::engine::chain::{Event, EventType};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Class, Finding, content_request};
use crate::engine::evaluate::{Decision, evaluate};
use crate::engine::permit::Permit;
use crate::engine::policy::GrantTerms;
use crate::engine::request::Request;
use crate::git::{self, CommitId, ObjectId};

/// Judges a ref that is no governed state.
pub(super) fn judge(push: &Push<'_>, update: &Update) -> Judged {
    let paths = match paths(push, update) {
        Ok(paths) => paths,
        Err(refusal) => {
            return Judged {
                intent: push.intent(Class::ContentChange, update, Vec::new()),
                finding: refusal.into(),
                permits: Vec::new(),
            };
        }
    };
    let touched = update.new.is_some().then_some(paths.as_slice());
    let (finding, permits) = demanded(push, update, touched);
    Judged {
        intent: push.intent(Class::ContentChange, update, paths),
        finding,
        permits,
    }
}

/// What a ref touches: its difference from its old commit, or, where it is new, from the governed ref's tip.
fn paths(push: &Push<'_>, update: &Update) -> Result<Vec<Vec<u8>>, Refusal> {
    let commit = |id: Option<ObjectId>| -> Result<Option<CommitId>, Refusal> {
        let Some(id) = id else { return Ok(None) };
        match push.session.repository.resolve(&id.to_string()) {
            Ok(commit) => Ok(Some(commit)),
            // A tag of a tree or a file has no paths.
            Err(git::Error::Unresolved { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    };
    let Some(new) = commit(update.new)? else {
        return Ok(Vec::new());
    };
    let old = commit(update.old)?.or(push.base);
    if old == Some(new) {
        return Ok(Vec::new());
    }
    Ok(push.session.repository.changed_paths_since(old, new)?)
}

/// Looks for the permits that `enforcement.json` demands for the paths, and names them; a deletion touches every path.
pub(super) fn demanded(
    push: &Push<'_>,
    update: &Update,
    paths: Option<&[Vec<u8>]>,
) -> (Finding, Vec<Permit>) {
    let attached = match &push.enforcement {
        Ok(None) => return (Finding::allowed(), Vec::new()),
        Ok(Some(attached)) => attached,
        Err(refusal) => return (refusal.clone().into(), Vec::new()),
    };
    let (mut finding, mut permits) = (Finding::allowed(), Vec::new());
    for stream in attached.demands(&update.name, paths) {
        match permit(push, update, stream) {
            Ok(permit) => {
                let id = permit.permit_id.to_string();
                finding = finding
                    .with("stream", stream.to_owned())
                    .with("permit_id", id);
                permits.push(permit);
            }
            Err(refusal) => return (refusal.into(), Vec::new()),
        }
    }
    (finding, permits)
}

/// Finds a usable permit for exactly this update on a stream.
fn permit(push: &Push<'_>, update: &Update, stream: &str) -> Result<Permit, Refusal> {
    let [before, after] = update.ids();
    let request = content_request(&push.pusher, &update.name, &before, &after)?;
    let required = |what: String| {
        Refusal::new(Code::PermitRequired, what)
            .detail("stream", stream)
            .detail("request_fingerprint", request.fingerprint().to_string())
    };
    let stream = Stream::new(push.session, stream)?;
    let reference = format!("{STREAMS}{}", stream.id);
    let required = |what: String| {
        let refusal = required(what);
        if push.touches(&reference) {
            // Git may land this update and not that one, so that a permit in it is none yet.
            refusal.next(format!("push {reference} first, then this update again"))
        } else {
            refusal
        }
    };
    let tip = push
        .session
        .repository
        .ref_target(&reference)?
        .ok_or_else(|| required(format!("the stream `{}` does not exist", stream.id)))?;
    let reach = reach(push, &request)?;
    let tip = stream.read_at(tip)?;
    let mut found = Err(required(format!(
        "no usable permit on `{}` covers this push",
        stream.id
    )));
    let wanted = request.fingerprint().to_string();
    let verifier = stream.walk(tip.commit, None, |event, _| {
        let age = tip.tip.sequence.saturating_sub(event.sequence);
        if reach.ends_at(push, event, age) {
            return Ok(ControlFlow::Break(()));
        }
        if event.kind() != Some(EventType::PermitIssued) || event.request_fingerprint != wanted {
            return Ok(ControlFlow::Continue(()));
        }
        let payload = event.payload_value().ok();
        let permit = payload
            .as_ref()
            .and_then(|payload| payload.at("permit"))
            .and_then(|permit: &Value<'_>| Permit::read(permit).ok());
        let Some(permit) = permit else {
            return Ok(ControlFlow::Continue(()));
        };
        match usable(push, permit, &request, &tip) {
            Ok(permit) => {
                found = Ok(permit);
                Ok(ControlFlow::Break(()))
            }
            Err(refusal) => {
                if let Err(required) = &mut found
                    && required.details.len() < 3
                {
                    let what = format!("{}: {}", refusal.code.name(), refusal.message);
                    required.details.push(("newest".to_owned(), what));
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    })?;
    verifier
        .finish_part()
        .map_err(|fault| stream.broken(&fault))?;
    found
}

/// How far back a permit can lie and still be in force, so that looking for one costs no more.
#[derive(Clone, Copy)]
enum Reach {
    /// As many events behind the tip.
    Span(u64),
    /// Back to the first permit that was issued under an older commit than the base, to which alone it can be bound. A
    /// permit that somebody issued under an older commit after one for the base hides that one: it has to be issued anew.
    Base,
}

impl Reach {
    /// Whether no permit in force can stand at or before an event.
    fn ends_at(self, push: &Push<'_>, event: &Event<'_>, age: u64) -> bool {
        match self {
            Self::Span(span) => age > span,
            Self::Base => {
                let named = event.payload_text("governed_commit");
                let commit = named.and_then(|text| text.parse::<CommitId>().ok());
                event.kind() == Some(EventType::PermitIssued)
                    && commit.is_some()
                    && commit != push.base
            }
        }
    }
}

/// How far back a permit of this request can lie and still be in force.
fn reach(push: &Push<'_>, request: &Request) -> Result<Reach, Refusal> {
    let governed = match &push.state {
        Some(Ok(governed)) => governed,
        Some(Err(refusal)) => return Err(refusal.clone()),
        None => return Ok(Reach::Base),
    };
    let terms = match evaluate(request, &governed.policy)? {
        Decision::Granted(grant) => grant.terms(),
        Decision::NeedsReview(need) => need.asked(request).terms,
    };
    Ok(match terms {
        GrantTerms::OneShot { sequence_span } | GrantTerms::Bounded { sequence_span } => {
            Reach::Span(sequence_span)
        }
        GrantTerms::Commit => Reach::Base,
    })
}

fn usable(push: &Push<'_>, permit: Permit, request: &Request, tip: &At) -> Result<Permit, Refusal> {
    let base = push.base.map(|base| sha(base).to_string());
    let at = base.as_deref().unwrap_or_default();
    let case = Case::new(push.session, permit, request.clone(), Some(at))?;
    match case.judge(Ok(tip.clone())).refusal {
        Some(refusal) => Err(refusal),
        None => Ok(case.permit),
    }
}
