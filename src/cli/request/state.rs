//! `permit request show|list`: the state of a record, derived from ledger and stream, never stored in it.

use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::json;

use super::super::decide::{Decided, Derived, Place, Prepared, Undecided, prepare};
use super::super::outcome::Outcome;
use super::super::render::{DIM, WARN, paint, safe};
use super::super::session::{Governed, Session, sha};
use super::super::stream::{At, Stream};
use super::args::{RequestListArgs, RequestShowArgs};
use super::check::check_record;
use super::{load, paths, read};
use crate::engine::canonical::Value;
use crate::engine::chain::{PermitState, Projection};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::rules::Rules;

/// How far a record has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Nobody has looked at it.
    Recorded,
    /// A review exists and is not valid yet, or lacks an approver.
    ReviewPending,
    /// A permit can be issued.
    Approved,
    /// A permit was issued and can be used.
    PermitIssued,
    /// Its permit was used.
    Used,
    /// Its permit expired unused.
    Expired,
    /// The reviewers said no.
    Rejected,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            State::Recorded => "recorded",
            State::ReviewPending => "review_pending",
            State::Approved => "approved",
            State::PermitIssued => "permit_issued",
            State::Used => "used",
            State::Expired => "expired",
            State::Rejected => "rejected",
        }
    }
}

/// The stream as far as states depend on it: read once for all records.
struct Issued<'s> {
    stream: Stream<'s>,
    at: Option<At>,
    permits: Vec<PermitState>,
}

impl<'s> Issued<'s> {
    fn read(session: &'s Session, governed: &Governed<'_>, id: &str) -> Result<Self, Refusal> {
        let stream = Stream::new(session, id)?;
        let at = stream.tip()?;
        let mut projection = Projection::default();
        if let Some(at) = &at {
            let verifier = stream.walk(at.commit, None, |event, _| {
                projection.take(event)?;
                Ok(ControlFlow::Continue(()))
            })?;
            verifier.finish().map_err(|fault| stream.broken(&fault))?;
        }
        let tip = session.governed_tip()?.unwrap_or(governed.commit);
        let permits = projection.permits(sha(tip)).collect();
        Ok(Self {
            stream,
            at,
            permits,
        })
    }

    /// The state of a record and, where it is not approved yet, what is missing.
    fn state(
        &self,
        session: &Session,
        governed: &Governed<'_>,
        record: &ExecutionRequest,
    ) -> Result<(State, Option<Refusal>), Refusal> {
        let request = record.bound_request();
        let fingerprint = request.fingerprint();
        let newest = self
            .permits
            .iter()
            .rfind(|permit| permit.request_fingerprint == fingerprint);
        if let Some(permit) = newest {
            return Ok(match (permit.state, permit.uses) {
                ("usable", 0) => (State::PermitIssued, None),
                (_, 1..) => (State::Used, None),
                _ => (State::Expired, None),
            });
        }
        match self.decide(session, governed, record) {
            Ok(decided) => Ok(match approved(record, &decided) {
                Ok(()) => (State::Approved, None),
                Err(refusal) => (State::ReviewPending, Some(refusal)),
            }),
            Err(undecided) if undecided.refusal.class() == Class::Failed => Err(undecided.refusal),
            // The policy, as it is now, asks for no review of it: nobody can have looked at it.
            Err(undecided) if undecided.review.is_none() => {
                Ok((State::Recorded, Some(undecided.refusal)))
            }
            Err(undecided) => {
                let state = if undecided.refusal.code == Code::ReviewMissing {
                    State::Recorded
                } else if undecided.refusal.code == Code::ReviewRejected {
                    State::Rejected
                } else {
                    State::ReviewPending
                };
                Ok((state, Some(undecided.refusal)))
            }
        }
    }

    fn decide(
        &self,
        session: &Session,
        governed: &Governed<'_>,
        record: &ExecutionRequest,
    ) -> Result<Decided, Undecided> {
        let request = record.bound_request();
        let prepared = prepare(session, governed, &request, Rules::New)?;
        match prepared {
            Prepared::Granted(_) => Err(not_required().into()),
            Prepared::Review(_) => prepared.decide(&Place {
                stream: &self.stream,
                from: self.at.as_ref().map(|at| at.commit),
                sequence: self.at.as_ref().map_or(1, |at| at.tip.next_sequence()),
                derived: &Derived::default(),
                rules: Rules::New,
            }),
        }
    }
}

/// Says that the policy decides about a record's request without humans, which a record never allows.
pub(crate) fn not_required() -> Refusal {
    Refusal::new(
        Code::ReviewNotRequired,
        "the policy does not map the record's request to a review",
    )
}

/// Checks that every required approver is among the valid signers of the review.
pub(crate) fn approved(record: &ExecutionRequest, decided: &Decided) -> Result<(), Refusal> {
    let signers: Vec<&str> = decided
        .review
        .as_ref()
        .and_then(|review| review.at("cross_signers"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    record.check_signers(&signers)
}

pub(super) fn show(session: &Session, args: &RequestShowArgs) -> Result<Outcome, Refusal> {
    let governed = session.govern_at(args.at.as_deref())?;
    let record = load(&governed, &args.id)?;
    let issued = Issued::read(session, &governed, &args.stream)?;
    let (state, missing) = issued.state(session, &governed, &record)?;
    let document = record.document();
    let list = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| safe(item)).collect();
        if items.is_empty() {
            "nothing".to_owned()
        } else {
            items.join(" ")
        }
    };
    let blocked: Vec<String> = document
        .blocked_actions
        .iter()
        .map(|action| action.word().to_owned())
        .collect();
    let mut text = format!(
        "{} {}\n  would run   {}\n  in          {} of {} at {}\n  may change  {}\n  must not    {}\n  approvers   {}\n",
        paint(WARN, state.word()),
        paint(DIM, &record.id().to_string()),
        list(&document.harness.argv),
        safe(&document.harness.working_directory),
        safe(&document.target_repository.name),
        document.target_repository.commit,
        list(&document.allowed_paths),
        list(&blocked),
        list(&document.required_approvers),
    );
    // What `issue` checks of the record before it looks at any review.
    let refused = match check_record(session, &governed, &record) {
        Err(refusal) if refusal.class() == Class::Failed => return Err(refusal),
        checked => checked.err(),
    };
    let missing: Vec<Refusal> = refused.into_iter().chain(missing).collect();
    for refusal in &missing {
        text.push_str(&format!(
            "  missing     {}: {}\n",
            refusal.code,
            safe(&refusal.message)
        ));
    }
    let missing: Vec<_> = missing
        .iter()
        .map(|refusal| {
            json!({"reason": refusal.code, "message": refusal.message, "next_step": refusal.next_step()})
        })
        .collect();
    Ok(Outcome::ok("request.show")
        .field("record", document)
        .field("state", state)
        .field("missing", missing)
        .text(text))
}

pub(super) fn list(session: &Session, args: &RequestListArgs) -> Result<Outcome, Refusal> {
    let governed = session.govern_at(args.at.as_deref())?;
    let issued = Issued::read(session, &governed, &args.stream)?;
    let (mut requests, mut text) = (Vec::new(), String::new());
    for path in paths(&governed)? {
        let Some(record) = read(&governed, &path)? else {
            continue;
        };
        let (state, _) = issued.state(session, &governed, &record)?;
        text.push_str(&format!("{:<14} {}\n", state.word(), record.id()));
        requests.push(json!({"request_id": record.id(), "state": state}));
    }
    Ok(Outcome::ok("request.list")
        .field("requests", requests)
        .text(text))
}
