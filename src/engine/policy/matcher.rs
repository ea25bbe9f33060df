//! How one string of a request is compared: `exact`, `one_of`, `prefix`, `glob`, `regex` or `any` (core.md section 3,
//! policy.md section 2).

use std::collections::BTreeSet;

use schemars::JsonSchema;

use super::super::canonical::Value;
use super::super::text::{text_fault, unseen_fault};
use super::faults::{At, Reader, meant};
use super::glob;
use super::pattern::Pattern;

/// The most strings of a `one_of`.
const MAX_STRINGS: usize = 256;

/// A comparison of raw UTF-8, case-sensitive.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Matcher {
    /// Equal bytes.
    Exact(String),
    /// Equal to one of these: 1 to 256 distinct strings.
    OneOf(Vec<String>),
    /// The text begins with these bytes.
    Prefix(String),
    /// The whole text matches: written `^…$`, compiled as `\A(?:…)\z`.
    Regex(Pattern),
    /// The whole path matches, with `*`, `?`, `**`, `{a,b}` and `[..]`; only for a target.
    Glob(Pattern),
    /// Whatever the text is.
    Any(bool),
}

/// What a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// An actor, a selector, an operation, a key or an argument.
    Name,
    /// A target: a path, mostly.
    Target,
}

impl Matcher {
    /// Reads a matcher.
    pub(super) fn read(
        reader: &mut Reader,
        value: &Value<'_>,
        at: &At<'_>,
        about: About,
    ) -> Option<Self> {
        let known: &[&str] = match about {
            About::Name => &["exact", "one_of", "prefix", "regex", "any"],
            About::Target => &["exact", "one_of", "prefix", "glob", "regex", "any"],
        };
        let object = reader.map(value, at)?;
        let mut members = object.iter();
        let (Some((key, value)), None) = (members.next(), members.next()) else {
            let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            let what = format!(
                "must have exactly one member, {}; found {}",
                names.join(", "),
                object.len()
            );
            reader.wrong(at, what);
            return None;
        };
        let own = at.key(key);
        match key {
            "exact" => reader.checked(value, &own, text_fault).map(Matcher::Exact),
            "prefix" => reader.checked(value, &own, text_fault).map(Matcher::Prefix),
            "one_of" => strings(reader, value, &own).map(Matcher::OneOf),
            "regex" => reader
                .text(value, &own)
                .map(Pattern::regex)
                .map(Matcher::Regex),
            "glob" if about == About::Target => reader
                .checked(value, &own, glob::glob_fault)
                .map(Pattern::glob)
                .map(Matcher::Glob),
            "glob" => {
                reader.surplus(&own, "stands only on a target");
                None
            }
            "any" if reader.boolean(value, &own)? => Some(Matcher::Any(true)),
            "any" => {
                reader.wrong(&own, "is `false`, only `true` can stand here");
                None
            }
            other => {
                let what = format!("is not a matcher{}", meant(other, known));
                reader.surplus(&own, what);
                None
            }
        }
    }

    /// Says that what stands literally in it holds a character that nobody sees.
    pub(super) fn unseen_fault(&self) -> Option<&'static str> {
        match self {
            Matcher::Exact(text) | Matcher::Prefix(text) => unseen_fault(text),
            Matcher::OneOf(texts) => texts.iter().find_map(|text| unseen_fault(text)),
            Matcher::Glob(pattern) => unseen_fault(pattern.written()),
            Matcher::Regex(_) | Matcher::Any(_) => None,
        }
    }

    /// Tells whether a text matches.
    ///
    /// # Errors
    /// What the regex compiler said; never for a policy that was checked.
    pub fn matches(&self, text: &str) -> Result<bool, String> {
        match self {
            Matcher::Exact(exact) => Ok(text == exact),
            Matcher::OneOf(texts) => Ok(texts.iter().any(|own| own == text)),
            Matcher::Prefix(prefix) => Ok(text.starts_with(prefix.as_str())),
            Matcher::Any(any) => Ok(*any),
            Matcher::Regex(pattern) | Matcher::Glob(pattern) => pattern.matches(text),
        }
    }

    /// The pattern, where the matcher is one, and the member that holds it.
    pub(super) fn pattern(&mut self) -> Option<(&'static str, &mut Pattern)> {
        match self {
            Matcher::Regex(pattern) => Some(("regex", pattern)),
            Matcher::Glob(pattern) => Some(("glob", pattern)),
            Matcher::Exact(_) | Matcher::OneOf(_) | Matcher::Prefix(_) | Matcher::Any(_) => None,
        }
    }

    /// What this matcher adds to a rule's specificity: whether it is exact, and the bytes of its prefix.
    pub(super) fn specificity(&self) -> (usize, usize) {
        match self {
            Matcher::Exact(_) | Matcher::OneOf(_) => (1, 0),
            Matcher::Prefix(prefix) => (0, prefix.len()),
            Matcher::Glob(pattern) => (0, glob::literal_prefix(pattern.written()).len()),
            Matcher::Regex(_) | Matcher::Any(_) => (0, 0),
        }
    }
}

/// Reads the strings of a `one_of`.
fn strings(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let texts = reader.list(value, at, |reader, item, at| {
        reader.checked(item, at, text_fault)
    })?;
    if texts.is_empty() || texts.len() > MAX_STRINGS {
        reader.wrong(
            at,
            format!(
                "must hold 1 to {MAX_STRINGS} strings, found {}",
                texts.len()
            ),
        );
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut sound = true;
    for (index, text) in texts.iter().enumerate() {
        if !seen.insert(text) {
            reader.wrong(&at.item(index), "stands there twice");
            sound = false;
        }
    }
    sound.then_some(texts)
}
