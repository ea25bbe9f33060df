//! `permit policy check`: every rule of the form, and each fault with its place.

use std::ops::Range;

use serde_json::{Value, json};

use super::super::outcome::Outcome;
use super::super::render::{GOOD, paint, safe};
use super::paint::{Grave, snippet};
use super::source::Source;
use crate::engine::canonical::{Lines, Spans, Step, spans};
use crate::engine::code::{Code, Refusal};
use crate::engine::policy::{Anchor, DocumentFault, Policy};

/// A document's text with the places of its parts.
pub(crate) struct Placed<'s> {
    pub(crate) source: &'s Source,
    lines: Lines<'s>,
    spans: Option<Spans<'s>>,
}

/// A place in a document, as machines read it.
pub(crate) struct Place {
    pub(crate) range: Range<usize>,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
}

impl<'s> Placed<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        let text = std::str::from_utf8(&source.bytes).unwrap_or_else(|error| {
            let sound = source.bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(sound).unwrap_or_default()
        });
        Self {
            source,
            lines: Lines::new(text),
            spans: spans(&source.bytes).ok(),
        }
    }

    /// The bytes that a path and an anchor name.
    pub(crate) fn place(&self, path: &[Step], anchor: Anchor) -> Place {
        let spans = self.spans.as_ref();
        let range = spans.and_then(|spans| match anchor {
            Anchor::Value => spans.value_at(path),
            Anchor::Key => spans.key_at(path),
            Anchor::Around => {
                let (_, above) = path.split_last()?;
                let object = spans.value_at(above)?;
                Some(object.start..object.start.saturating_add(1))
            }
        });
        self.at(range.unwrap_or(0..0))
    }

    fn at(&self, range: Range<usize>) -> Place {
        let (line, column) = self.lines.position(range.start);
        let (end_line, end_column) = self.lines.position(range.end);
        Place {
            range,
            line,
            column,
            end_line,
            end_column,
        }
    }

    pub(crate) fn paint(&self, grave: Grave, code: &str, place: &Place, message: &str) -> String {
        snippet(
            grave,
            code,
            &self.source.name,
            &self.lines,
            &place.range,
            message,
        )
    }
}

/// The policy of a source; else the outcome that tells of all its faults.
pub(crate) fn sound(command: &'static str, source: &Source) -> Result<Policy, Outcome> {
    Policy::sound(&source.bytes).map_err(|faults| refused(command, source, &faults))
}

pub(crate) fn run(source: &Source) -> Outcome {
    let policy = match sound("policy-check", source) {
        Ok(policy) => policy,
        Err(outcome) => return outcome,
    };
    let rules = policy.rules().len();
    let text = format!(
        "{} {}: `{}` {} with {rules} rule{}\n",
        paint(GOOD, "sound"),
        safe(&source.name),
        safe(policy.policy_id()),
        safe(policy.policy_version()),
        if rules == 1 { "" } else { "s" }
    );
    Outcome::ok("policy-check")
        .field("file", &source.name)
        .field("policy_id", policy.policy_id())
        .field("policy_version", policy.policy_version())
        .field("policy_hash", policy.hash())
        .field("rules", rules)
        .field("faults", json!([]))
        .text(text)
}

/// The outcome that tells of every fault.
fn refused(command: &'static str, source: &Source, faults: &[DocumentFault]) -> Outcome {
    let placed = Placed::new(source);
    let (mut painted, mut told) = (String::new(), Vec::new());
    let malformed = spans(&source.bytes).err();
    for fault in faults {
        let (place, message) = match &malformed {
            // Bytes that are no JSON have one fault, and it hides all others.
            Some(misplaced) => {
                let what = misplaced.fault.what.split(", at byte ").next();
                let what = what.unwrap_or_default();
                let message = match misplaced.fault.path.as_str() {
                    "$" => what.to_owned(),
                    path => format!("{what}, in `{path}`"),
                };
                let end = misplaced.at.saturating_add(1);
                (placed.at(misplaced.at..end), message)
            }
            None => (placed.place(&fault.path, fault.anchor), fault.to_string()),
        };
        painted.push_str(&placed.paint(Grave::Error, fault.code.name(), &place, &message));
        told.push(tell(fault, &place, &message));
    }
    let code = faults
        .first()
        .map_or(Code::InvalidPolicy, |fault| fault.code);
    let count = match faults.len() {
        1 => "a fault".to_owned(),
        many => format!("{many} faults"),
    };
    let refusal = Refusal::new(code, format!("`{}` has {count}", source.name)).next(format!(
        "correct each place above, then run `permit policy check {}`",
        source.name
    ));
    let mut outcome = Outcome::refused(command, refusal)
        .field("file", &source.name)
        .field("faults", told);
    outcome.summary = painted;
    outcome
}

fn tell(fault: &DocumentFault, place: &Place, message: &str) -> Value {
    json!({
        "code": fault.code,
        "rule": fault.rule,
        "path": fault.json_path(),
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "message": message,
    })
}
