//! `permit eval`: how the policy maps a request, and why each rule did or did not match. Records nothing.

use serde_json::{Value, json};

use super::args::EvalArgs;
use super::decide::{Derived, Place, Prepared, Waiting, prepare};
use super::files;
use super::outcome::{Outcome, details};
use super::render::{DIM, GOOD, WARN, paint, safe};
use super::session::Session;
use super::stream::Stream;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::policy::{Mismatch, Rule, Subject};
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::review::missing;
use crate::engine::rules::Rules;

pub(crate) fn run(session: &Session, args: &EvalArgs) -> Result<Outcome, Refusal> {
    let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
    let governed = session.govern_at(args.at.as_deref())?;
    let subject = Subject::new(&request);
    let mismatches = governed.policy.mismatches(&subject)?;
    let (mapping, missing, refusal) = match prepare(session, &governed, &request, Rules::New) {
        Ok(Prepared::Granted(decided)) => (Some(decided.grant.mapping().clone()), Vec::new(), None),
        Ok(Prepared::Review(waiting)) => {
            let missing = still_missing(session, &args.stream, &waiting)?;
            // A malformed document is no next step of a reviewer; a table that is still to be made is.
            let invalid = |refusal: &&Refusal| {
                refusal.class() == Class::Invalid && refusal.code != Code::PrincipalsMissing
            };
            let refusal = missing.iter().find(invalid).cloned();
            (Some(waiting.need.mapping.clone()), missing, refusal)
        }
        Err(undecided) => (undecided.mapping, Vec::new(), Some(undecided.refusal)),
    };
    let unmatched: Vec<Value> = mismatches.iter().map(not_matched).collect();
    let matched: Vec<&Rule> = governed
        .policy
        .rules()
        .iter()
        .filter(|rule| {
            !mismatches
                .iter()
                .any(|(other, _)| std::ptr::eq(*other, *rule))
        })
        .collect();
    let mut text = match &mapping {
        Some(mapping) => format!(
            "{} by rule {}, {}\n",
            paint(GOOD, mapping.final_severity.word()),
            safe(&mapping.matched_rule_id),
            mapping.final_gating
        ),
        None => String::new(),
    };
    if let Some(what) = subject.path_fault() {
        text.push_str(&format!(
            "{} the target has {what}: no rule that allows matches it, but an `exact` one; every rule that denies does\n",
            paint(WARN, "path fault")
        ));
    }
    for rule in &matched {
        text.push_str(&format!(
            "match  {} {}\n",
            safe(&rule.id),
            rule.effect.word()
        ));
    }
    for (rule, mismatch) in &mismatches {
        let because = paint(DIM, &format!("{} ({})", safe(&rule.id), word(*mismatch)));
        text.push_str(&format!("no     {because}\n"));
    }
    for refusal in &missing {
        text.push_str(&format!(
            "{} {}: {}\n",
            paint(WARN, "missing"),
            refusal.code,
            safe(&refusal.message)
        ));
        for (name, value) in &refusal.details {
            text.push_str(&format!("  {}: {}\n", safe(name), safe(value)));
        }
    }
    let matched: Vec<Value> = matched
        .iter()
        .map(|rule| json!({"rule_id": rule.id, "effect": rule.effect, "priority": rule.priority}))
        .collect();
    let mut outcome = Outcome::ok("eval")
        .field("mapping", mapping)
        .field("matched", matched)
        .field("not_matched", unmatched)
        .field("path_fault", subject.path_fault())
        .field("missing", missing.iter().map(named).collect::<Vec<_>>())
        .field("governed_commit", governed.sha())
        .text(text);
    outcome.warnings = session.work_tree_warnings(&governed);
    if let Some(refusal) = refusal {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

/// The smallest set of things that are missing before a request that needs a review gets its permit.
fn still_missing(
    session: &Session,
    stream: &str,
    waiting: &Waiting<'_>,
) -> Result<Vec<Refusal>, Refusal> {
    let stream = Stream::new(session, stream)?;
    let at = stream.tip()?;
    let place = Place {
        stream: &stream,
        from: at.as_ref().map(|at| at.commit),
        sequence: at.as_ref().map_or(0, |at| at.tip.next_sequence()),
        derived: &Derived::default(),
        rules: Rules::New,
    };
    let judgement = waiting.judge(&place)?;
    let need = &waiting.need;
    Ok(missing(&need.missing(), need.asks, judgement.as_ref()))
}

fn not_matched((rule, mismatch): &(&Rule, Mismatch)) -> Value {
    json!({"rule_id": rule.id, "effect": rule.effect, "because": mismatch})
}

fn word(mismatch: Mismatch) -> String {
    serde_json::to_value(mismatch)
        .ok()
        .and_then(|value| value.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

fn named(refusal: &Refusal) -> Value {
    json!({"reason": refusal.code, "message": refusal.message, "details": details(refusal), "next_step": refusal.next_step()})
}
