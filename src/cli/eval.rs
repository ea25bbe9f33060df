//! `permit eval`: how the policy maps a request, and why each rule did or did not match. Records nothing.

use std::path::Path;

use serde_json::{Value, json};

use super::args::EvalArgs;
use super::decide::{Derived, Place, Prepared, Waiting, prepare};
use super::files;
use super::outcome::{Outcome, details};
use super::policy::{Source, sound};
use super::render::{DIM, GOOD, WARN, paint, safe};
use super::session::Session;
use super::stream::Stream;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::evaluate::{Decision, Mapping, evaluate};
use crate::engine::policy::{Mismatch, Miss, Policy, Rule, Subject};
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::review::missing;
use crate::engine::rules::Rules;

pub(crate) fn run(session: &Session, args: &EvalArgs) -> Result<Outcome, Refusal> {
    let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
    let governed = session.govern_at(args.at.as_deref())?;
    let subject = Subject::new(&request);
    let looked = Looked::new(&governed.policy, &subject)?;
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
    let mut text = looked.text(mapping.as_ref(), &subject);
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
    let mut outcome = looked
        .outcome(mapping.as_ref(), &subject)
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

/// Evaluates a draft that no commit holds yet: no repository, no review ledger, no stream.
pub(crate) fn draft(path: &Path, args: &EvalArgs) -> Result<Outcome, Refusal> {
    let source = Source::file(path)?;
    let policy = match sound("eval", &source) {
        Ok(policy) => policy,
        Err(outcome) => return Ok(outcome),
    };
    let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
    let subject = Subject::new(&request);
    let looked = Looked::new(&policy, &subject)?;
    let decision = evaluate(&request, &policy);
    let mapping = decision.as_ref().ok().map(Decision::mapping);
    let mut text = looked.text(mapping, &subject);
    if let Ok(Decision::NeedsReview(need)) = &decision {
        text.push_str(&format!(
            "{} a review of type {}\n",
            paint(WARN, "asks  "),
            safe(need.review_type)
        ));
    }
    let mut outcome = looked
        .outcome(mapping, &subject)
        .field("missing", json!([]))
        .field("policy_file", &source.name)
        .field("governed_commit", Value::Null)
        .text(text);
    if let Err(refusal) = decision {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

/// What each rule says of a request; of those that do not match, the nearest first.
struct Looked<'p> {
    matched: Vec<&'p Rule>,
    unmatched: Vec<(&'p Rule, Mismatch, Vec<Miss>)>,
}

impl<'p> Looked<'p> {
    fn new(policy: &'p Policy, subject: &Subject<'_>) -> Result<Self, Refusal> {
        let (mut matched, mut unmatched) = (Vec::new(), Vec::new());
        let unmatchable = |what: String| Refusal::new(Code::InvalidPolicy, what);
        for rule in policy.rules() {
            match rule.mismatch(subject).map_err(unmatchable)? {
                None => matched.push(rule),
                Some(mismatch) => {
                    let misses = rule.misses(subject).map_err(unmatchable)?;
                    unmatched.push((rule, mismatch, misses));
                }
            }
        }
        // Another kind of capability is farther away than whatever differs within one.
        unmatched.sort_by_key(|(_, mismatch, misses)| (*mismatch == Mismatch::Kind, misses.len()));
        Ok(Self { matched, unmatched })
    }

    fn text(&self, mapping: Option<&Mapping>, subject: &Subject<'_>) -> String {
        let mut text = match mapping {
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
        for rule in &self.matched {
            text.push_str(&format!(
                "match  {} {}\n",
                safe(&rule.id),
                rule.effect.word()
            ));
            if let Some(description) = &rule.description {
                text.push_str(&format!("       {}\n", safe(description)));
            }
        }
        for (rule, mismatch, misses) in &self.unmatched {
            let because = paint(DIM, &format!("{} ({})", safe(&rule.id), word(*mismatch)));
            text.push_str(&format!("no     {because}\n"));
            for miss in misses {
                text.push_str(&format!("       {}\n", safe(&miss.to_string())));
            }
        }
        text
    }

    fn outcome(&self, mapping: Option<&Mapping>, subject: &Subject<'_>) -> Outcome {
        let matched: Vec<Value> = self
            .matched
            .iter()
            .map(|rule| {
                json!({
                    "rule_id": rule.id,
                    "effect": rule.effect,
                    "priority": rule.priority,
                    "description": rule.description,
                })
            })
            .collect();
        let unmatched: Vec<Value> = self
            .unmatched
            .iter()
            .map(|(rule, mismatch, misses)| {
                json!({
                    "rule_id": rule.id,
                    "effect": rule.effect,
                    "because": mismatch,
                    "misses": misses,
                })
            })
            .collect();
        Outcome::ok("eval")
            .field("mapping", mapping)
            .field("matched", matched)
            .field("not_matched", unmatched)
            .field("path_fault", subject.path_fault())
    }
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
