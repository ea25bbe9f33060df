//! `permit simulate`: which past decisions another commit's policy would change. Changes nothing itself.

use std::ops::ControlFlow;

use serde::Serialize;

use super::args::SimulateArgs;
use super::fault;
use super::outcome::Outcome;
use super::render::{GOOD, WARN, paint, safe};
use super::session::Session;
use super::stream::Stream;
use crate::engine::chain::{Event, EventType};
use crate::engine::code::{Code, Refusal};
use crate::engine::evaluate::evaluate;
use crate::engine::policy::Policy;
use crate::engine::replay::Recorded;

/// A decision that would differ.
#[derive(Debug, Serialize)]
struct Change {
    permit_id: String,
    sequence: u64,
    before: Side,
    after: Side,
}

/// What one policy says.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Side {
    severity: String,
    rule: String,
}

pub(crate) fn run(session: &Session, args: &SimulateArgs) -> Result<Outcome, Refusal> {
    let snapshot = session
        .repository
        .snapshot(session.repository.resolve(&args.policy_at)?)?;
    let policy = session.read_policy(&snapshot)?;
    let stream = Stream::new(session, &args.stream)?;
    let (from, to) = (args.from.unwrap_or(0), args.to.unwrap_or(u64::MAX));
    fault::check_range(from, to)?;
    let bounded = args.from.is_some() || args.to.is_some();
    let (mut seen, mut compared, mut changed) = (0_u64, 0_u64, Vec::new());
    let verifier = stream.walk(stream.existing_tip()?.commit, None, |event, _| {
        let inside = (from..=to).contains(&event.sequence);
        if inside {
            seen = seen.saturating_add(1);
        }
        if inside && event.kind() == Some(EventType::PermitIssued) {
            compared = compared.saturating_add(1);
            changed.extend(compare(event, &policy)?);
        }
        Ok(if event.sequence <= from {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    verifier
        .finish_walk(from == 0)
        .map_err(|fault| stream.broken(&fault))?;
    if bounded {
        fault::check_range_holds(from, to, seen)?;
    }
    changed.reverse();
    let mut outcome = Outcome::ok("simulate")
        .field("compared", compared)
        .field("policy_hash", policy.hash())
        .text(text(compared, &changed));
    if args.fail_on_change && !changed.is_empty() {
        outcome.refuse(
            Refusal::new(
                Code::PolicyMismatch,
                format!(
                    "{} of {compared} past decisions would differ",
                    changed.len()
                ),
            )
            .next("look at each change above; if all are meant, leave out `--fail-on-change`"),
        );
    }
    Ok(outcome.field("changed", changed))
}

fn compare(event: &Event<'_>, policy: &Policy) -> Result<Option<Change>, Refusal> {
    let recorded = Recorded::read_with_mapping(event).map_err(|fault| {
        let what = format!(
            "event {} has a malformed payload at {fault}",
            event.sequence
        );
        Refusal::new(Code::ChainMalformed, what)
    })?;
    let before = Side {
        severity: recorded.mapping_text("final_severity").to_owned(),
        rule: recorded.mapping_text("matched_rule_id").to_owned(),
    };
    let after = match evaluate(&recorded.request, policy) {
        Ok(decision) => Side {
            severity: decision.mapping().final_severity.word().to_owned(),
            rule: decision.mapping().matched_rule_id.clone(),
        },
        Err(refusal) => Side {
            severity: refusal.code.name().to_owned(),
            rule: String::new(),
        },
    };
    Ok((before.severity != after.severity).then(|| Change {
        permit_id: event.event_id.to_owned(),
        sequence: event.sequence,
        before,
        after,
    }))
}

fn text(compared: u64, changed: &[Change]) -> String {
    let style = if changed.is_empty() { GOOD } else { WARN };
    let mut text = format!(
        "{}\n",
        paint(
            style,
            &format!(
                "{} of {compared} past decisions would differ",
                changed.len()
            )
        )
    );
    for change in changed {
        text.push_str(&format!(
            "event {}: {} by {} would be {} by {}\n",
            change.sequence,
            safe(&change.before.severity),
            safe(&change.before.rule),
            safe(&change.after.severity),
            safe(&change.after.rule)
        ));
    }
    text
}
