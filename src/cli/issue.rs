//! `permit issue`: governed commit → policy → mapping → review gate → permit → event → append → print.

use std::path::Path;

use super::args::IssueArgs;
use super::decide::{Derived, Place, Prepared, Undecided, check_actor, prepare};
use super::in_force::{Course, InForce};
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::session::{Act, Governed, Session};
use super::stream::{At, Stream};
use super::{files, request};
use crate::engine::chain::{SealedEvent, Tip};
use crate::engine::code::{Code, Refusal};
use crate::engine::evaluate::Mapping;
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::permit::{Expiry, Permit};
use crate::engine::policy::{Effect, GrantMode};
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::rules::Rules;

pub(crate) const COMMAND: &str = "issue";

pub(crate) fn run(session: &Session, args: &IssueArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Supervise)?;
    session.refresh(&args.stream)?;
    session.decide()?;
    if args.batch.is_some() {
        return Ok(super::batch::run(session, args));
    }
    let case = Case::read(session, args)?;
    let (governed, request) = (&case.governed, &case.request);
    check_actor(request, args.actor.as_deref())?;
    let stream = Stream::new(session, &args.stream)?;
    let issued = prepare(session, governed, request, Rules::New)
        .and_then(|prepared| issue(&stream, &case, &prepared, args.open_stream));
    let mut outcome = match issued {
        Ok(outcome) => outcome,
        Err(undecided) if undecided.mapping.is_none() => return Err(undecided.refusal),
        Err(undecided) => pending(undecided),
    };
    outcome.set("actor", args.actor.as_deref().unwrap_or("unauthenticated"));
    outcome.set("governed_commit", governed.sha());
    outcome.warnings = session.work_tree_warnings(governed);
    Ok(outcome)
}

/// What is to be permitted, and the state that it is governed by.
struct Case<'s> {
    governed: Governed<'s>,
    request: Request,
    /// The record that it is permitted for, if it is.
    record: Option<ExecutionRequest>,
    in_force: InForce<'s>,
}

impl<'s> Case<'s> {
    fn read(session: &'s Session, args: &IssueArgs) -> Result<Self, Refusal> {
        let Some(id) = &args.execution_request else {
            let path = args.request.as_deref().unwrap_or(Path::new("-"));
            let request = Request::parse(&files::read(path, MAX_REQUEST)?)?;
            let governed = session.govern_at(args.at.as_deref())?;
            let in_force = InForce::now(session)?;
            in_force.check(&governed.snapshot, [])?;
            return Ok(Self {
                governed,
                request,
                record: None,
                in_force,
            });
        };
        let governed = session.govern_at(args.at.as_deref())?;
        let in_force = InForce::now(session)?;
        in_force.check(&governed.snapshot, [])?;
        let record = request::load(&governed, id)?;
        in_force.check(&governed.snapshot, &request::read_by(&record))?;
        request::check_record(session, &governed, &record)?;
        Ok(Self {
            governed,
            request: record.bound_request(),
            record: Some(record),
            in_force,
        })
    }
}

fn issue(
    stream: &Stream<'_>,
    case: &Case<'_>,
    prepared: &Prepared<'_>,
    open_stream: bool,
) -> Result<Outcome, Undecided> {
    let (governed, request) = (&case.governed, &case.request);
    if case.record.is_some() && matches!(prepared, Prepared::Granted(_)) {
        return Err(request::not_required().into());
    }
    let mut undecided = None;
    let appended = stream.append(|before| {
        let (mut events, tip) = begin(stream, governed, before, open_stream)?;
        let place = Place {
            stream,
            from: before.map(|at| at.commit),
            sequence: tip.next_sequence(),
            derived: &Derived::default(),
            rules: Rules::New,
        };
        let decided = prepared.decide(&place).map_err(|why| {
            let refusal = why.refusal.clone();
            undecided = Some(why);
            refusal
        })?;
        if let Some(record) = &case.record {
            request::approved(record, &decided)?;
        }
        let snapshot = &governed.snapshot;
        case.in_force.check(snapshot, decided.read.iter())?;
        Course::default().follow(&case.in_force, stream, place.from, snapshot)?;
        let (permit, event) = decided.derive(request, &tip, governed)?;
        events.push(event);
        Ok((events, (permit, decided.grant.mapping().clone())))
    });
    match (appended, undecided) {
        (Ok(appended), _) => {
            let (permit, mapping) = &appended.derived;
            let mut line = String::from_utf8_lossy(&permit.to_bytes()?).into_owned();
            line.push('\n');
            Ok(issued(permit, mapping, &appended.at)
                .text(line)
                .summary(summary(permit, mapping, request)))
        }
        (Err(_), Some(undecided)) => Err(undecided),
        (Err(refusal), None) => Err(refusal.into()),
    }
}

/// The tip to derive from; where the stream is missing and may be opened, the event that opens it.
pub(super) fn begin(
    stream: &Stream<'_>,
    governed: &Governed<'_>,
    before: Option<&At>,
    open_stream: bool,
) -> Result<(Vec<SealedEvent>, Tip), Refusal> {
    if let Some(at) = before {
        return Ok((Vec::new(), at.tip.clone()));
    }
    if !open_stream {
        return stream.existing_tip().map(|at| (Vec::new(), at.tip));
    }
    stream.refuse_reopening()?;
    let opened = SealedEvent::open(&stream.id, governed.policy.hash(), governed.sha())?;
    let tip = opened.tip();
    Ok((vec![opened], tip))
}

/// The result for a permit whose event is durable.
pub(super) fn issued(permit: &Permit, mapping: &Mapping, at: &At) -> Outcome {
    let mut outcome = Outcome::ok(COMMAND)
        .field("permit", permit)
        .field("mapping", mapping)
        .field("sequence", permit.issued_at_sequence)
        .field("event_hash", at.tip.event_hash)
        .field("commit", at.commit.to_string())
        .appended(
            &at.tip,
            format!(
                "permit show {} --stream {}",
                permit.permit_id, permit.stream_id
            ),
        );
    if permit.decision == Effect::Block {
        outcome.refuse(denied(mapping));
    }
    outcome
}

fn denied(mapping: &Mapping) -> Refusal {
    let message = if mapping.matched_rule_id == "default" {
        "no rule of the policy matches, and the default is to block".to_owned()
    } else {
        format!(
            "the policy blocks this by rule `{}`",
            mapping.matched_rule_id
        )
    };
    Refusal::new(Code::DecisionBlock, message)
}

fn summary(permit: &Permit, mapping: &Mapping, request: &Request) -> String {
    let (style, word) = match permit.decision {
        Effect::Allow => (GOOD, "allow"),
        Effect::Warn => (WARN, "warn"),
        Effect::Review => (GOOD, "review"),
        Effect::Block => (BAD, "block"),
    };
    let once = match permit.permit_scope.mode {
        GrantMode::OneShot => "once, ",
        GrantMode::Bounded => "",
    };
    let validity = match &permit.expiry_condition {
        _ if permit.decision == Effect::Block => "never valid, the record of a denial".to_owned(),
        Expiry::ValidForSequenceRange {
            sequence_range: [from, to],
        } => format!("valid {once}while the stream is at {from} to {to}"),
        Expiry::ValidForCommit { commit_sha } => {
            format!("valid while the governed commit is {commit_sha}")
        }
    };
    format!(
        "{} {} {} for {}\n{}\n{}",
        paint(style, word),
        safe(&permit.capability.to_string()),
        safe(&request.target),
        safe(&request.actor_id),
        paint(
            DIM,
            &format!(
                "  rule {}, event {} of {}",
                safe(&mapping.matched_rule_id),
                permit.issued_at_sequence,
                permit.stream_id
            )
        ),
        paint(DIM, &format!("  {validity}")),
    )
}

/// The result where nothing is issued.
pub(super) fn pending(undecided: Undecided) -> Outcome {
    let mut outcome = Outcome::refused(COMMAND, undecided.refusal);
    if let Some(mapping) = undecided.mapping {
        outcome.set("mapping", mapping);
    }
    if let Some(review) = undecided.review {
        outcome.set("review_id", review.review_id);
        outcome.set("review_type", review.review_type);
        outcome.set("path", review.path);
    }
    outcome
}
