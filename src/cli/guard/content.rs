//! `content.change`: always allowed, unless `enforcement.json` demands a permit.

use std::ops::ControlFlow;
use std::rc::Rc;

use super::push::{Judged, Push, Update};
use crate::cli::session::sha;
use crate::cli::stream::{At, STREAMS, Stream};
use crate::cli::verify::Case;
use crate::engine::canonical::Value;
use crate::engine::chain::{Event, EventType};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Attachment, Class, Finding, Paths, Touched, content_request};
use crate::engine::evaluate::{Decision, evaluate};
use crate::engine::permit::Permit;
use crate::engine::policy::GrantTerms;
use crate::engine::request::Request;
use crate::git::{CommitId, ObjectId};

/// What an update does to a ref.
pub(super) enum Touch {
    /// Every path: a mark, and no list.
    Every,
    /// These paths, sorted by bytes.
    Paths(Rc<[Vec<u8>]>),
}

impl Touch {
    fn as_touched(&self) -> Touched<'_> {
        match self {
            Self::Every => Touched::Every,
            Self::Paths(paths) => Touched::Paths(paths),
        }
    }
}

/// Judges a ref that is no governed state.
pub(super) fn judge(push: &Push<'_>, update: &Update) -> Judged {
    let mut changed = None;
    demanded(push, update, |exactly| {
        if exactly && update.old.is_none() {
            return Ok(Touch::Every);
        }
        if changed.is_none() {
            changed = Some(touch(push, update)?);
        }
        Ok(match &changed {
            Some(Some(paths)) => Touch::Paths(Rc::clone(paths)),
            Some(None) | None => Touch::Every,
        })
    })
}

/// The paths that an update changes; nothing where every path counts: what a ref touches is never guessed as nothing.
fn touch(push: &Push<'_>, update: &Update) -> Result<Option<Rc<[Vec<u8>]>>, Refusal> {
    let repository = &push.session.repository;
    // What cannot be peeled, whatever the reason, may be anything.
    let commit =
        |id: Option<ObjectId>| id.and_then(|id| repository.peeled_commit(id).ok().flatten());
    let Some(new) = commit(update.new).filter(|_| !update.name.starts_with("refs/tags/")) else {
        return Ok(None);
    };
    let from = match (update.old, push.base) {
        (Some(old), _) => commit(Some(old)),
        (None, Some(tip)) if update.name.starts_with("refs/heads/") => {
            repository.are_related(tip, new)?.then_some(tip)
        }
        (None, _) => None,
    };
    let Some(from) = from else { return Ok(None) };
    let found = push.compare(Some(from), new, |_| true)?;
    Ok(Some(
        found.paths.into_iter().map(|found| found.path).collect(),
    ))
}

/// Looks for the permits that `enforcement.json` demands, and names them. What is touched is only asked for where an
/// attachment is about the ref, and for each whether it names the ref exactly.
pub(super) fn demanded(
    push: &Push<'_>,
    update: &Update,
    mut touch: impl FnMut(bool) -> Result<Touch, Refusal>,
) -> Judged {
    let (mut paths, mut permits) = (None, Vec::new());
    let mut look = || -> Result<Finding, Refusal> {
        let mut finding = Finding::allowed();
        let Some(enforcement) = push.enforcement.as_ref().map_err(Clone::clone)? else {
            return Ok(finding);
        };
        for attached in enforcement.about(&update.name) {
            let attachment = attached.attachment;
            let touched = touch(attachment.names(&update.name))?;
            match &touched {
                Touch::Every => finding = finding.with("touched", "every path"),
                Touch::Paths(list) => {
                    paths.get_or_insert_with(|| Paths::of(list.iter().map(Vec::as_slice)));
                }
            }
            if attached.demands(touched.as_touched()) {
                let permit = permit(push, update, attachment)?;
                finding = finding
                    .with("stream", attachment.stream.clone())
                    .with("permit_id", permit.permit_id.to_string());
                permits.push(permit);
            }
        }
        Ok(finding)
    };
    let finding = super::closed(look());
    Judged {
        intent: push.intent(Class::ContentChange, update, paths),
        finding,
        permits,
    }
}

/// Finds a usable permit for exactly this update on a stream.
fn permit(push: &Push<'_>, update: &Update, attachment: &Attachment) -> Result<Permit, Refusal> {
    let [before, after] = update.ids();
    let stream = attachment.stream.as_str();
    let pusher = match push.base {
        Some(base) if attachment.requires_pusher() => push.pusher.principal(push.session, base)?,
        _ => push.pusher.stated().to_owned(),
    };
    let request = content_request(&pusher, &update.name, &before, &after)?;
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
