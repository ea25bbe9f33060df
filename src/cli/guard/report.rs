//! `permit guard report`: what was, or would have been, denied, summed by class and reason.

use std::ops::ControlFlow;

use serde_json::json;

use super::{emergency, push, record};
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, WARN, paint, safe};
use crate::cli::session::Session;
use crate::cli::stream::Stream;
use crate::engine::canonical::Value;
use crate::engine::chain::EventType;
use crate::engine::code::Refusal;
use crate::engine::enforce::Sums;

pub(super) fn run(session: &Session) -> Result<Outcome, Refusal> {
    let governed = push::governed_name(session)?;
    let tip = session.repository.ref_target(&governed)?;
    let enforcement = tip.map_or(Ok(None), |tip| push::enforcement(session, tip));
    let path = record::path(session, &enforcement);
    let mut sums = Sums::default();
    record::read_all(&path, |line| sums.take(line))?;
    for stream in Stream::all(session)? {
        runs(&stream, &mut sums)?;
    }
    let mut text = String::new();
    let mut rows = Vec::new();
    for ([class, reason, mode, effective], count) in sums.counts() {
        let style = match (reason, effective) {
            ("OK", _) => GOOD,
            (_, "deny") => BAD,
            _ => WARN,
        };
        let word = match (reason, effective) {
            ("OK", _) => "allowed",
            (_, "deny") => "denied",
            _ => "would be denied",
        };
        text.push_str(&format!(
            "{count:>8}  {}  {class} [{reason}] {}\n",
            paint(style, word),
            paint(DIM, mode)
        ));
        rows.push(json!({
            "class": class, "reason": reason, "mode": mode, "effective": effective, "count": count,
        }));
    }
    for gap in sums.gaps() {
        text.push_str(&format!(
            "{}  {} from {} to {}\n",
            paint(BAD, "     gap"),
            safe(&gap.reference),
            end(&gap.from),
            end(&gap.to)
        ));
    }
    for gap in sums.accepted() {
        text.push_str(&format!(
            "{}  {} from {} to {}: {}\n",
            paint(WARN, "accepted"),
            safe(&gap.reference),
            end(&gap.from),
            end(&gap.to),
            safe(&gap.reason)
        ));
    }
    let emergencies = match tip {
        Some(tip) => emergency::open(session, tip)?,
        None => Vec::new(),
    };
    for emergency in &emergencies {
        text.push_str(&format!(
            "{}  {} by {}: {}\n",
            paint(WARN, "emergency"),
            emergency.review_id,
            safe(&emergency.reviewer),
            safe(&emergency.reason)
        ));
    }
    if text.is_empty() {
        text.push_str("nothing is recorded\n");
    }
    Ok(Outcome::ok("guard.report")
        .field("record", path.display().to_string())
        .field("sums", rows)
        .field("gaps", sums.gaps())
        .field("accepted_gaps", sums.accepted())
        .field("emergencies", emergencies)
        .text(text))
}

/// Counts the results of the execution boundary on a stream.
fn runs(stream: &Stream<'_>, sums: &mut Sums) -> Result<(), Refusal> {
    let Some(at) = stream.tip()? else {
        return Ok(());
    };
    let verifier = stream.walk(at.commit, None, |event, _| {
        let result = matches!(
            event.kind(),
            Some(
                EventType::ToolExecAllowed | EventType::ToolExecWarned | EventType::ToolExecBlocked
            )
        );
        if result && let Ok(payload) = event.payload_value() {
            let text = |key: &str| payload.at(key).and_then(Value::as_str).unwrap_or_default();
            let (reason, mode) = (text("reason"), text("mode"));
            let denied = reason != "OK" && mode == "enforce";
            let effective = if denied { "deny" } else { "allow" };
            sums.count(event.event_type, reason, mode, effective);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    verifier
        .finish_part()
        .map_err(|fault| stream.broken(&fault))
}

/// One end of a gap, where there may have been no ref.
fn end(commit: &str) -> String {
    if commit.is_empty() {
        "nothing".to_owned()
    } else {
        safe(commit)
    }
}
