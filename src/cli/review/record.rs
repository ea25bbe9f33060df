//! `permit review record ID`: a review's verdict on its stream, once a review and verdict, whatever the verdict is.

use std::ops::ControlFlow;

use super::super::decide::{Derived, Place};
use super::super::ledger::Entry;
use super::super::outcome::Outcome;
use super::super::render::{DIM, GOOD, paint};
use super::super::review_args::ReviewRecordArgs;
use super::super::session::{Act, Session};
use super::super::stream::{At, Stream};
use super::inquiry::judge_at;
use super::{missing, review_id};
use crate::engine::canonical::Value;
use crate::engine::chain::{EventType, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::EventHash;
use crate::engine::review::{Check, Finding, Judgement, Record, Rule};
use crate::engine::rules::Rules;

/// An earlier record of the same verdict.
struct Earlier {
    sequence: u64,
    event_hash: EventHash,
    commit: String,
}

pub(super) fn run(session: &Session, args: &ReviewRecordArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Supervise)?;
    let id = review_id(&args.id)?;
    let governed = session.govern_at(args.at.as_deref())?;
    let entry =
        Entry::load(session, &governed, id)?.ok_or_else(|| missing(id, "the governed commit"))?;
    let case = match &*entry {
        Entry::Malformed(refusal) => return Err(refusal.clone()),
        Entry::Case(case) => case,
    };
    let document = case.artifact.document();
    let stream = Stream::new(session, &document.anchor.stream_id)?;
    let appended = stream.append(|before| {
        let at = before.ok_or_else(|| stream.missing())?;
        let place = Place {
            stream: &stream,
            from: Some(at.commit),
            sequence: at.tip.next_sequence(),
            derived: &Derived::default(),
            rules: Rules::New,
        };
        let judgement = judge_at(session, &governed, case, None, &place)?;
        refuse_unproven(&judgement)?;
        let record = judgement.into_record()?;
        if let Some(earlier) = earlier(&stream, at, &record)? {
            return Ok((Vec::new(), (record, Some(earlier))));
        }
        let Value::Object(payload) = record.to_value()? else {
            return Err(Refusal::new(Code::Internal, "a record is an object"));
        };
        let event = SealedEvent::record(
            EventType::ReviewResolved,
            &at.tip,
            document.policy_hash,
            document.request_fingerprint,
            payload,
        )?;
        Ok((vec![event], (record, None)))
    })?;
    let (record, earlier) = appended.derived;
    let is_new = earlier.is_none();
    let at = earlier.unwrap_or_else(|| Earlier {
        sequence: appended.at.tip.sequence,
        event_hash: appended.at.tip.event_hash,
        commit: appended.at.commit.to_string(),
    });
    let word = if is_new {
        "recorded"
    } else {
        "recorded before"
    };
    let see = format!("permit log --stream {}", stream.id);
    let mut outcome = Outcome::ok("review.record");
    if is_new {
        outcome = outcome.appended(&appended.at.tip, see);
    }
    Ok(outcome
        .field("review_id", id)
        .field("recorded", is_new)
        .field("record", &record)
        .field("stream_id", &stream.id)
        .field("sequence", at.sequence)
        .field("event_hash", at.event_hash)
        .field("commit", at.commit)
        .text(format!(
            "{} {} as event {} of {}\n",
            paint(GOOD, word),
            record.verdict.word(),
            at.sequence,
            paint(DIM, &stream.id)
        )))
}

/// Refuses a review of which nothing is proven: signatures speak for themselves, attestations only beside the request.
fn refuse_unproven(judgement: &Judgement) -> Result<(), Refusal> {
    let unproven = |check: &Check| {
        check.rule == Rule::Attestations && matches!(check.finding, Finding::Unchecked(_))
    };
    if judgement.checks().iter().any(unproven) {
        return Err(Refusal::new(
            Code::ReviewMissing,
            "the attestations cannot be judged without the request, which nothing on record shows",
        )
        .next("issue a permit first, or keep the request in governance/requests"));
    }
    Ok(())
}

/// Looks for an event that records the same verdict of the same review.
fn earlier(stream: &Stream<'_>, at: &At, record: &Record) -> Result<Option<Earlier>, Refusal> {
    let id = record.review_id.to_string();
    let mut found = None;
    let verifier = stream.walk(at.commit, None, |event, commit| {
        let same = event.kind() == Some(EventType::ReviewResolved)
            && event.payload_text("review_id").as_deref() == Some(&id)
            && event.payload_text("verdict").as_deref() == Some(record.verdict.word());
        if same {
            found = Some(Earlier {
                sequence: event.sequence,
                event_hash: event.computed_hash,
                commit: commit.to_string(),
            });
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    verifier
        .finish_walk(found.is_none())
        .map_err(|fault| stream.broken(&fault))?;
    Ok(found)
}
