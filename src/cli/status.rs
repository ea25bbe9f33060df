//! `permit status`, `permit show` and `permit log`: a stream as people read it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::Value;

use super::args::{Format, LogArgs, ShowArgs, StatusArgs};
use super::fault;
use super::outcome::Outcome;
use super::render::{self, BAD, DIM, GOOD, WARN, paint, safe};
use super::review::{State, entries};
use super::session::{Session, sha};
use super::stream::Stream;
use super::tail;
use crate::engine::chain::{Event, EventType, Projection, ReviewEntry};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::PermitId;
use crate::git::CommitId;

/// The projection: each permit and review with its state.
pub(crate) fn status(session: &Session, args: &StatusArgs) -> Result<Outcome, Refusal> {
    let commit = session.governed_at(args.at.as_deref())?;
    let stream = Stream::new(session, &args.stream)?;
    let at = stream.existing_tip()?;
    let mut projection = Projection::default();
    let verifier = stream.walk(at.commit, None, |event, _| {
        projection.take(event)?;
        Ok(ControlFlow::Continue(()))
    })?;
    verifier.finish().map_err(|fault| stream.broken(&fault))?;
    let tip = session.governed_tip()?.unwrap_or(commit);
    let permits: Vec<_> = projection.permits(sha(tip)).collect();
    let mut text = format!(
        "{} at event {}, governed by {commit}\n",
        paint(DIM, &stream.id),
        at.tip.sequence
    );
    for permit in &permits {
        let style = match permit.state {
            "usable" => GOOD,
            "blocked" => BAD,
            _ => WARN,
        };
        text.push_str(&format!(
            "#{:<6} {} {:<6} {} {} {}\n",
            permit.sequence,
            paint(style, &format!("{:<12}", permit.state)),
            permit.decision.word(),
            safe(&permit.capability),
            safe(&permit.actor_id),
            paint(DIM, &permit.permit_id.to_string()),
        ));
    }
    let reviews = reviews(session, commit, &stream.id, &projection)?;
    for (id, review) in &reviews {
        let state = review.state.map_or("", State::word);
        text.push_str(&format!(
            "review {} {:<8} {} permits {}\n",
            safe(id),
            state,
            review.recorded.permits,
            safe(&review.recorded.verdict)
        ));
    }
    let unaccepted = tail::unaccepted(session, &stream, at.commit)?;
    for kept in &unaccepted {
        let name = kept.get("ref").and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("{} {}\n", paint(WARN, "unaccepted"), safe(name)));
    }
    Ok(Outcome::ok("status")
        .field("stream_id", &stream.id)
        .field("sequence", at.tip.sequence)
        .field("event_hash", at.tip.event_hash)
        .field("governed_commit", sha(commit))
        .field("permits", permits)
        .field("reviews", reviews)
        .field("other_events", projection.others())
        .field("unaccepted", &unaccepted)
        .text(text))
}

/// What the stream and the ledger say of one review.
#[derive(Serialize)]
struct Review {
    #[serde(flatten)]
    recorded: ReviewEntry,
    /// Its state in the governed commit's ledger; absent where that holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// The reviews that the stream names and those of the governed commit that are anchored on it.
fn reviews(
    session: &Session,
    commit: CommitId,
    stream_id: &str,
    projection: &Projection,
) -> Result<BTreeMap<String, Review>, Refusal> {
    let mut reviews: BTreeMap<String, Review> = BTreeMap::new();
    for (id, recorded) in projection.reviews() {
        let recorded = recorded.clone();
        let state = None;
        reviews.insert(id.to_owned(), Review { recorded, state });
    }
    // A commit without a valid policy has no ledger to speak of, and its stream can be shown all the same.
    let Ok(governed) = session.govern_commit(commit) else {
        return Ok(reviews);
    };
    for listed in entries(session, &governed)? {
        let here = listed.stream_id() == Some(stream_id);
        if here || reviews.contains_key(&listed.review_id) {
            let review = reviews.entry(listed.review_id).or_insert_with(|| Review {
                recorded: ReviewEntry::default(),
                state: None,
            });
            review.state = Some(listed.state);
        }
    }
    Ok(reviews)
}

/// One event as it is listed.
#[derive(Serialize)]
struct Line {
    sequence: u64,
    event_type: String,
    event_id: String,
    event_hash: String,
    commit: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

impl Line {
    fn new(event: &Event<'_>, commit: CommitId) -> Self {
        Self {
            sequence: event.sequence,
            event_type: event.event_type.to_owned(),
            event_id: event.event_id.to_owned(),
            event_hash: event.computed_hash.to_string(),
            commit: commit.to_string(),
            subject: event.subject.to_owned(),
            payload: None,
        }
    }

    fn text(&self) -> String {
        format!("{} {}", paint(DIM, &self.event_hash), safe(&self.subject))
    }
}

/// One permit with the events that name it.
pub(crate) fn show(session: &Session, args: &ShowArgs) -> Result<Outcome, Refusal> {
    let permit_id: PermitId = args
        .permit_id
        .parse()
        .map_err(|error| fault::id("permit", error, "permit status"))?;
    let wanted = permit_id.to_string();
    let stream = Stream::new(session, &args.stream)?;
    let mut events = Vec::new();
    let mut permit = None;
    let verifier = stream.walk(stream.existing_tip()?.commit, None, |event, commit| {
        let named = event.payload.contains(&wanted)
            && event.payload_text("permit_id").as_deref() == Some(&wanted);
        if !named {
            return Ok(ControlFlow::Continue(()));
        }
        let payload: Value = serde_json::from_str(event.payload).map_err(|error| {
            Refusal::new(
                Code::ChainMalformed,
                format!(
                    "the payload of event {} is malformed: {error}",
                    event.sequence
                ),
            )
        })?;
        let issued = event.kind() == Some(EventType::PermitIssued);
        if issued {
            permit = payload.get("permit").cloned();
        }
        events.push(Line {
            payload: Some(payload),
            ..Line::new(event, commit)
        });
        Ok(if issued {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    // What was not found may have been cut off.
    verifier
        .finish_walk(permit.is_none())
        .map_err(|fault| stream.broken(&fault))?;
    let Some(permit) = permit else {
        return Err(Refusal::new(
            Code::NotIssued,
            format!("the stream `{}` issued no such permit", stream.id),
        ));
    };
    events.reverse();
    let mut text = serde_json::to_string_pretty(&permit).unwrap_or_default();
    text.push('\n');
    for line in &events {
        text.push_str(&line.text());
        text.push('\n');
    }
    Ok(Outcome::ok("show")
        .field("stream_id", &stream.id)
        .field("permit", permit)
        .field("events", events)
        .text(text))
}

/// The events, newest first; in text each is printed as it is met.
pub(crate) fn log(session: &Session, args: &LogArgs) -> Result<Outcome, Refusal> {
    let stream = Stream::new(session, &args.stream)?;
    let at = stream.existing_tip()?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut events = Vec::new();
    let mut whole = true;
    let verifier = stream.walk(at.commit, None, |event, commit| {
        if left == 0 {
            whole = false;
            return Ok(ControlFlow::Break(()));
        }
        left = left.saturating_sub(1);
        let line = Line::new(event, commit);
        let goes_on = match session.format {
            Format::Text => render::print_text(&format!("{}\n", line.text()))?,
            Format::Json => {
                events.push(line);
                true
            }
        };
        whole = goes_on && left > 0;
        Ok(if whole {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    let mut outcome = Outcome::ok("log")
        .field("stream_id", &stream.id)
        .field("events", events);
    if let Err(fault) = verifier.finish_walk(whole) {
        outcome.refuse(stream.broken(&fault));
    }
    Ok(outcome)
}
