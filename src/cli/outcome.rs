//! What a command ended with, before anything is printed.

use std::mem;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::engine::chain::Tip;
use crate::engine::code::{Code, Refusal};

/// The result of a command: one reason, named fields for machines, text for people.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The command, as it stands in `schema`.
    pub(crate) command: &'static str,
    /// The reason; its class is the exit code.
    pub(crate) code: Code,
    /// Why not, where the reason is not `OK`.
    pub(crate) refusal: Option<Refusal>,
    /// What to do next where all is well and there is something to do.
    pub(crate) next_step: Option<String>,
    /// The fields of the JSON object.
    pub(crate) fields: Map<String, Value>,
    /// Standard output in text format.
    pub(crate) text: String,
    /// Standard error in text format and beside `raw`, a summary for people.
    pub(crate) summary: String,
    /// Standard output in both formats, instead of all that (`permit canonicalize`, `permit schema`).
    pub(crate) raw: Option<Vec<u8>>,
    /// What the caller should know beside the result.
    pub(crate) warnings: Vec<String>,
    /// What JSON says by a field, for people on standard error.
    pub(crate) remarks: Vec<String>,
    /// The exit status where it is not the reason's class (`permit exec`).
    pub(crate) exit: Option<u8>,
    /// What stands, whether this result reaches its reader or not.
    pub(crate) durable: Option<Durable>,
}

/// What a command made durable before its result is printed.
#[derive(Debug)]
pub(crate) struct Durable {
    /// What was done, as a sentence.
    pub(crate) what: String,
    /// The command that shows it.
    pub(crate) see: String,
}

impl Durable {
    /// The newest event of a stream, and the command that shows it.
    pub(crate) fn newest(tip: &Tip, see: impl Into<String>) -> Self {
        Self {
            what: format!("event {} of `{}` is appended", tip.sequence, tip.stream_id),
            see: see.into(),
        }
    }
}

/// A refusal's details as JSON: a name that came more than once has a list of its values.
pub(crate) fn details(refusal: &Refusal) -> Value {
    let object: Map<String, Value> = refusal
        .grouped()
        .into_iter()
        .map(|(name, values)| match values.as_slice() {
            [value] => (name.to_owned(), Value::from(*value)),
            values => (name.to_owned(), Value::from(values)),
        })
        .collect();
    object.into()
}

impl Outcome {
    /// Begins a result that is well.
    pub(crate) fn ok(command: &'static str) -> Self {
        Self {
            command,
            code: Code::Ok,
            refusal: None,
            next_step: None,
            fields: Map::new(),
            text: String::new(),
            summary: String::new(),
            raw: None,
            warnings: Vec::new(),
            remarks: Vec::new(),
            exit: None,
            durable: None,
        }
    }

    /// Begins a result that is a "no".
    pub(crate) fn refused(command: &'static str, refusal: Refusal) -> Self {
        let mut outcome = Self::ok(command);
        outcome.refuse(refusal);
        outcome
    }

    /// Turns the result into a "no"; what was found stays in its fields. A defect of the program stays one.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if self.code == Code::Internal {
            return;
        }
        self.code = refusal.code;
        self.refusal = Some(refusal);
    }

    /// Makes a result that is exactly these bytes on standard output, in both formats.
    pub(crate) fn raw(command: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            raw: Some(bytes.into()),
            ..Self::ok(command)
        }
    }

    /// Sets a field of the JSON object.
    pub(crate) fn field(mut self, name: &str, value: impl Serialize) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a field of the JSON object; one that JSON cannot say makes the whole result `INTERNAL`.
    pub(crate) fn set(&mut self, name: &str, value: impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.fields.insert(name.to_owned(), value);
            }
            // What cannot be said is a refusal, and never `null`.
            Err(error) => self.refuse(Refusal::new(
                Code::Internal,
                format!("`{name}` of the result cannot be represented: {error}"),
            )),
        }
    }

    /// Sets standard output in text format.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Sets the summary for people on standard error.
    pub(crate) fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Sets what to do next.
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// Sets what is durable before the result is printed: the newest event of a stream, and the command that shows it.
    pub(crate) fn appended(mut self, tip: &Tip, see: impl Into<String>) -> Self {
        self.durable = Some(Durable::newest(tip, see));
        self
    }

    /// What to do next: the refusal's step, else the result's own.
    pub(crate) fn next_step(&self) -> Option<&str> {
        match &self.refusal {
            Some(refusal) => Some(refusal.next_step()),
            None => self.next_step.as_deref(),
        }
    }

    /// The one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        self.finish(self.fields.clone())
    }

    /// Turns the result into the one JSON object.
    pub(crate) fn into_json(mut self) -> Value {
        let fields = mem::take(&mut self.fields);
        self.finish(fields)
    }

    fn finish(&self, mut object: Map<String, Value>) -> Value {
        let schema = format!("permit.result.{}.v1", self.command);
        object.insert("schema".to_owned(), schema.into());
        object.insert("reason".to_owned(), self.code.name().into());
        object.insert("next_step".to_owned(), self.next_step().into());
        if let Some(refusal) = &self.refusal {
            object.insert("message".to_owned(), refusal.message.as_str().into());
            object.insert("details".to_owned(), details(refusal));
        }
        if !self.warnings.is_empty() {
            object.insert("warnings".to_owned(), self.warnings.clone().into());
        }
        object.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_result_that_cannot_be_serialised_is_internal_and_never_null() {
        // A key that is no text has no form in JSON.
        let unsayable = BTreeMap::from([(vec![1_u8], "value")]);
        let mut outcome = Outcome::ok("status")
            .field("good", 1)
            .field("bad", unsayable);
        outcome.refuse(Refusal::new(Code::StreamMissing, "told later"));
        let json = outcome.to_json();
        assert_eq!(json.get("reason"), Some(&"INTERNAL".into()));
        assert_eq!(json.get("good"), Some(&1.into()));
        assert!(json.get("bad").is_none());
    }

    #[test]
    fn details_that_repeat_a_name_are_a_list() {
        let refusal = Refusal::new(Code::PermitRequired, "two paths")
            .detail("path", "a")
            .detail("rule", "r")
            .detail("path", "b");
        let json = Outcome::refused("guard.check", refusal).to_json();
        assert_eq!(
            json.get("details"),
            Some(&serde_json::json!({"path": ["a", "b"], "rule": "r"}))
        );
    }
}
