//! How one string of a request is compared: `exact`, `prefix`, `regex` or `any` (core.md section 3).

use std::sync::OnceLock;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::canonical::Fault;
use super::super::text::{text_fault, unseen_fault};

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

/// A regular expression that was checked when it was loaded and is compiled when it is first needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern {
    written: String,
    #[serde(skip)]
    compiled: OnceLock<Regex>,
}

/// Below this many states a compiled regex is far from its size limit, so that loading need not compile it.
const SURELY_SMALL: usize = 2_000;

impl Matcher {
    /// Checks what the format cannot say.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            // What no id, actor, selector, operation or target can be is never matched, a `block` of it blocks nothing.
            Matcher::Exact(text) => literal("$.exact", text_fault(text)),
            Matcher::Prefix(text) if text.is_empty() => Ok(()),
            Matcher::Prefix(text) => literal("$.prefix", text_fault(text)),
            Matcher::Any(true) => Ok(()),
            Matcher::Any(false) => Err(Fault::new(
                "$.any",
                "is `false`, only `true` can stand here",
            )),
            Matcher::Regex(pattern) => pattern.check().map_err(|what| Fault::new("$.regex", what)),
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

impl Pattern {
    fn inner(&self) -> Result<&str, String> {
        self.written
            .strip_prefix('^')
            .and_then(|rest| rest.strip_suffix('$'))
            .ok_or_else(|| "is not anchored: it must be written `^…$`".to_owned())
    }

    fn compile(&self) -> Result<Regex, String> {
        Regex::new(&format!(r"\A(?:{})\z", self.inner()?)).map_err(|error| one_line(&error))
    }

    fn check(&self) -> Result<(), String> {
        // INVARIANT: the text between the anchors is a regex of its own, so that it cannot close the group around it.
        let hir = regex_syntax::parse(self.inner()?).map_err(|error| one_line(&error))?;
        // A `#` may begin a comment that swallows the closing anchor; then only the whole can tell.
        if states(&hir) > SURELY_SMALL || self.written.contains('#') {
            let compiled = self.compile()?;
            let _ = self.compiled.set(compiled);
        }
        Ok(())
    }

    fn matches(&self, text: &str) -> Result<bool, String> {
        let regex = if let Some(regex) = self.compiled.get() {
            regex
        } else {
            let compiled = self.compile()?;
            self.compiled.get_or_init(|| compiled)
        };
        Ok(regex.is_match(text))
    }
}

/// Bounds the states of the automaton from above, without building it.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len(),
        // A range of code points splits into at most 9 byte sequences of at most 4 bytes.
        HirKind::Class(Class::Unicode(class)) => {
            let wide = class
                .ranges()
                .iter()
                .filter(|range| !range.end().is_ascii())
                .count();
            wide.saturating_mul(36).saturating_add(class.ranges().len())
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            states(&repetition.sub)
                .saturating_add(2)
                .saturating_mul(usize::try_from(times).unwrap_or(usize::MAX).max(1))
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts
            .iter()
            .map(states)
            .fold(1, |sum, part| sum.saturating_add(part).saturating_add(1)),
    }
}

/// The last line of a regex error says what is wrong; the lines before it draw a picture.
fn one_line(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
