//! How one string of a request is compared: `exact`, `prefix`, `regex` or `any` (core.md section 3).

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::canonical::Fault;
use super::super::text::{text_fault, unseen_fault};
use super::pattern::Pattern;

/// A comparison of raw UTF-8, case-sensitive.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matcher {
    /// Equal bytes.
    Exact(String),
    /// The text begins with these bytes.
    Prefix(String),
    /// The whole text matches: written `^…$`, compiled as `\A(?:…)\z`.
    Regex(Pattern),
    /// Whatever the text is.
    Any(bool),
}

impl Matcher {
    /// Checks what the format cannot say.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            // What no id, actor, selector, operation or target can be is never matched, a `block` of it blocks nothing.
            Matcher::Exact(text) => literal("$.exact", text_fault(text)),
            Matcher::Prefix(text) if text.is_empty() => Ok(()),
            Matcher::Prefix(text) => literal("$.prefix", text_fault(text)),
            // All patterns of a policy are checked together: they share one budget.
            Matcher::Any(true) | Matcher::Regex(_) => Ok(()),
            Matcher::Any(false) => Err(Fault::new(
                "$.any",
                "is `false`, only `true` can stand here",
            )),
        }
    }

    /// Says that what stands literally in it holds a character that nobody sees.
    pub(super) fn unseen_fault(&self) -> Option<&'static str> {
        match self {
            Matcher::Exact(text) | Matcher::Prefix(text) => unseen_fault(text),
            Matcher::Regex(_) | Matcher::Any(_) => None,
        }
    }

    /// Tells whether a text matches.
    ///
    /// # Errors
    /// What the regex compiler said; never for a matcher that was checked.
    pub fn matches(&self, text: &str) -> Result<bool, String> {
        match self {
            Matcher::Exact(exact) => Ok(text == exact),
            Matcher::Prefix(prefix) => Ok(text.starts_with(prefix.as_str())),
            Matcher::Any(any) => Ok(*any),
            Matcher::Regex(pattern) => pattern.matches(text),
        }
    }

    /// The pattern, where the matcher is one.
    pub(super) fn pattern(&mut self) -> Option<&mut Pattern> {
        match self {
            Matcher::Regex(pattern) => Some(pattern),
            Matcher::Exact(_) | Matcher::Prefix(_) | Matcher::Any(_) => None,
        }
    }

    /// What this matcher adds to a rule's specificity: whether it is exact, and the bytes of its prefix.
    pub(super) fn specificity(&self) -> (usize, usize) {
        match self {
            Matcher::Exact(_) => (1, 0),
            Matcher::Prefix(prefix) => (0, prefix.len()),
            Matcher::Regex(_) | Matcher::Any(_) => (0, 0),
        }
    }
}

/// The fault of a literal, at its place.
fn literal(path: &str, what: Option<&str>) -> Result<(), Fault> {
    what.map_or(Ok(()), |what| Err(Fault::new(path, what)))
}
