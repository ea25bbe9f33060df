//! Reading a document part by part, so that every fault is found and each is told with its place.

use std::fmt;

use super::super::canonical::{Fault, MAX_INTEGER, Object, Step, Value};
use super::super::code::Code;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFault {
    /// `INVALID_POLICY`, or `LIMIT_EXCEEDED` for what is too large.
    pub code: Code,
    /// The rule that it stands in, where that has an id.
    pub rule: Option<String>,
    /// The path into the document; of a missing field, the path that it should have.
    pub path: Vec<Step>,
    /// Which bytes at that path are at fault.
    pub anchor: Anchor,
    /// What is wrong, as the end of a sentence about what stands there.
    pub what: String,
}

/// Which bytes a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The value.
    Value,
    /// The key: the value should not be there at all.
    Key,
    /// The object around it: the value is missing.
    Around,
}

impl DocumentFault {
    /// The path as text: `$.rules[0].match`.
    #[must_use]
    pub fn json_path(&self) -> String {
        let fault = Fault::new("$", String::new());
        self.path
            .iter()
            .rev()
            .fold(fault, |fault, step| match step {
                Step::Key(key) => fault.within_member(key),
                Step::Item(index) => fault.within_item(*index),
            })
            .path
    }
}

impl fmt::Display for DocumentFault {
    /// Writes ``rule `ship`: `grant.sequence_span` must be an integer, found text``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.json_path();
        match (&self.rule, self.path.as_slice()) {
            (Some(rule), [Step::Key(_), Step::Item(_), rest @ ..]) if !rest.is_empty() => {
                let below = Self {
                    path: rest.to_vec(),
                    ..self.clone()
                };
                let path = below.json_path();
                let path = path.strip_prefix("$.").unwrap_or(&path);
                write!(f, "rule `{rule}`: `{path}` {}", self.what)
            }
            (Some(rule), _) => write!(f, "rule `{rule}`: {}", self.what),
            (None, [_, ..]) => {
                let path = path.strip_prefix("$.").unwrap_or(&path);
                write!(f, "`{path}` {}", self.what)
            }
            (None, []) => write!(f, "the document {}", self.what),
        }
    }
}

/// Where a reader stands in the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'p> {
    above: Option<&'p At<'p>>,
    step: Place<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Place<'p> {
    Top,
    Key(&'p str),
    Item(usize),
}

impl<'p> At<'p> {
    pub(super) const TOP: At<'static> = At {
        above: None,
        step: Place::Top,
    };

    pub(super) const fn key(&'p self, key: &'p str) -> At<'p> {
        At {
            above: Some(self),
            step: Place::Key(key),
        }
    }

    pub(super) const fn item(&'p self, index: usize) -> At<'p> {
        At {
            above: Some(self),
            step: Place::Item(index),
        }
    }

    pub(super) fn path(&self) -> Vec<Step> {
        let mut path = self.above.map(At::path).unwrap_or_default();
        match self.step {
            Place::Top => {}
            Place::Key(key) => path.push(Step::Key(key.to_owned())),
            Place::Item(index) => path.push(Step::Item(index)),
        }
        path
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<DocumentFault>,
    /// The rule that is being read.
    pub(super) rule: Option<String>,
}

impl Reader {
    pub(super) fn fault(&mut self, at: &At<'_>, anchor: Anchor, what: impl Into<String>) {
        self.faults.push(DocumentFault {
            code: Code::InvalidPolicy,
            rule: self.rule.clone(),
            path: at.path(),
            anchor,
            what: what.into(),
        });
    }

    /// A value that is wrong.
    pub(super) fn wrong(&mut self, at: &At<'_>, what: impl Into<String>) {
        self.fault(at, Anchor::Value, what);
    }

    /// A member that should not be there.
    pub(super) fn surplus(&mut self, at: &At<'_>, what: impl Into<String>) {
        self.fault(at, Anchor::Key, what);
    }

    /// A member that is missing.
    pub(super) fn missing(&mut self, at: &At<'_>) {
        self.fault(at, Anchor::Around, "is missing");
    }

    fn mistyped(&mut self, at: &At<'_>, wanted: &str, value: &Value<'_>) {
        self.wrong(at, format!("must be {wanted}, found {}", found(value)));
    }

    /// Reads an object, and tells of members that it cannot have.
    pub(super) fn object<'v, 'a>(
        &mut self,
        value: &'v Value<'a>,
        at: &At<'_>,
        known: &[&str],
    ) -> Option<&'v Object<'a>> {
        let object = self.map(value, at)?;
        for (key, _) in object.iter() {
            if !known.contains(&key) {
                let what = format!("is not a field{}", meant(key, known));
                self.surplus(&at.key(key), what);
            }
        }
        Some(object)
    }

    /// Reads an object of any members.
    pub(super) fn map<'v, 'a>(
        &mut self,
        value: &'v Value<'a>,
        at: &At<'_>,
    ) -> Option<&'v Object<'a>> {
        let object = value.as_object();
        if object.is_none() {
            self.mistyped(at, "an object", value);
        }
        object
    }

    /// Finds a member that must be there, and reads it.
    pub(super) fn need<T>(
        &mut self,
        object: &Object<'_>,
        at: &At<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Value<'_>, &At<'_>) -> Option<T>,
    ) -> Option<T> {
        let at = at.key(key);
        if let Some(value) = object.get(key) {
            return read(self, value, &at);
        }
        self.missing(&at);
        None
    }

    /// Reads a member that may be left out; nothing where it cannot be read.
    #[expect(
        clippy::option_option,
        reason = "the outer says whether it can be read, the inner whether it is there"
    )]
    pub(super) fn may<T>(
        &mut self,
        object: &Object<'_>,
        at: &At<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Value<'_>, &At<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match object.get(key) {
            Some(value) => read(self, value, &at.key(key)).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn text(&mut self, value: &Value<'_>, at: &At<'_>) -> Option<String> {
        let text = value.as_str();
        if text.is_none() {
            self.mistyped(at, "text", value);
        }
        text.map(ToOwned::to_owned)
    }

    /// Reads text that a check accepts.
    pub(super) fn checked(
        &mut self,
        value: &Value<'_>,
        at: &At<'_>,
        check: impl Fn(&str) -> Option<&'static str>,
    ) -> Option<String> {
        let text = self.text(value, at)?;
        if let Some(what) = check(&text) {
            self.wrong(at, what);
            return None;
        }
        Some(text)
    }

    /// Reads an integer of a range.
    pub(super) fn integer(
        &mut self,
        value: &Value<'_>,
        at: &At<'_>,
        (least, most): (i64, i64),
    ) -> Option<u64> {
        let Some(number) = value.as_int() else {
            self.mistyped(at, "an integer", value);
            return None;
        };
        if number < least {
            self.wrong(at, format!("must be at least {least}, found {number}"));
        } else if number > most {
            let most = if most == MAX_INTEGER {
                "2^53−1".to_owned()
            } else {
                most.to_string()
            };
            self.wrong(at, format!("must be at most {most}, found {number}"));
        } else {
            return u64::try_from(number).ok();
        }
        None
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>, at: &At<'_>) -> Option<bool> {
        if let Value::Bool(flag) = value {
            return Some(*flag);
        }
        self.mistyped(at, "`true` or `false`", value);
        None
    }

    /// Reads a list; nothing where one of its items cannot be read.
    pub(super) fn list<T>(
        &mut self,
        value: &Value<'_>,
        at: &At<'_>,
        mut read: impl FnMut(&mut Self, &Value<'_>, &At<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.as_array() else {
            self.mistyped(at, "a list", value);
            return None;
        };
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| read(self, item, &at.item(index)))
            .collect();
        read.into_iter().collect()
    }

    /// Reads one of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        value: &Value<'_>,
        at: &At<'_>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let wanted = if let [only] = names.as_slice() {
            format!("must be `{only}`")
        } else {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("must be one of {}", names.join(", "))
        };
        let Some(text) = value.as_str() else {
            self.wrong(at, format!("{wanted}, found {}", found(value)));
            return None;
        };
        let word = words.iter().find(|(name, _)| *name == text);
        if word.is_none() {
            let what = format!("{wanted}, found `{}`{}", short(text), meant(text, &names));
            self.wrong(at, what);
        }
        word.map(|(_, word)| *word)
    }
}

/// What stands there instead, in plain words.
pub(super) const fn found(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "`true` or `false`",
        Value::Int(_) => "an integer",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Text that a message can hold.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// Offers the nearest of the known words, where one is near.
pub(super) fn meant(word: &str, known: &[&str]) -> String {
    const LONGEST: usize = 60;
    if word.len() > LONGEST {
        return String::new();
    }
    known
        .iter()
        .filter_map(|known| {
            let distance = strsim::damerau_levenshtein(word, known);
            let most = known.chars().count().div_euclid(3).max(1);
            (distance <= most).then_some((distance, *known))
        })
        .min()
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}
