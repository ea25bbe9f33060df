//! Regular expressions of a policy, and the one budget that all of them share (hardening.md section 3).

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{Compiler, Config};
use regex_syntax::hir::{Class, Hir, HirKind};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::code::{Code, Refusal};

/// The most states that one pattern may compile to.
const MAX_STATES: usize = 10_000;
/// The most bytes that the compiled patterns of one policy may take together.
const MAX_COMPILED: usize = 64 << 20;
/// The longest pattern as it is written: a longer one has too many states, or hides how few it has.
const MAX_WRITTEN: usize = MAX_STATES;
/// What a written byte costs at least, since reading a pattern takes time whatever becomes of it.
const WRITTEN_COST: usize = 32;
/// What one state takes, forward and reverse.
const STATE_COST: usize = 48;
/// Below this many states the automaton need not be built to know that it is small.
const SURELY_SMALL: usize = 2_000;
/// The most memory that one pattern may take while it is matched; all of a policy share [`MAX_COMPILED`] for it.
const MAX_SCRATCH: usize = 2 << 20;
/// The least that a pattern gets: with less it would be matched slowly in any case.
const MIN_SCRATCH: usize = 8 << 10;

/// A regular expression that was checked when the policy was compiled and is built when it is first needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern {
    written: String,
    #[serde(skip)]
    scratch: usize,
    #[serde(skip)]
    compiled: OnceLock<Regex>,
}

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(super) enum PatternFault {
    /// It is no regular expression of the form `^…$`.
    Malformed(String),
    /// It is larger than a pattern may be.
    TooLarge(String),
}

impl Pattern {
    fn inner(&self) -> Result<&str, PatternFault> {
        self.written
            .strip_prefix('^')
            .and_then(|rest| rest.strip_suffix('$'))
            .ok_or_else(|| {
                PatternFault::Malformed("is not anchored: it must be written `^…$`".to_owned())
            })
    }

    fn build(&self) -> Result<Regex, PatternFault> {
        RegexBuilder::new(&format!(r"\A(?:{})\z", self.inner()?))
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(self.scratch)
            .build()
            .map_err(|error| PatternFault::Malformed(one_line(&error)))
    }

    /// Checks the pattern and says how many bytes of the budget it takes.
    fn check(&self, left: usize) -> Result<usize, PatternFault> {
        let inner = self.inner()?;
        if self.written.len() > MAX_WRITTEN {
            return Err(PatternFault::TooLarge(format!(
                "is {} bytes long, at most {MAX_WRITTEN} are read",
                self.written.len()
            )));
        }
        // INVARIANT: the text between the anchors is a regex of its own, so that it cannot close the group around it.
        let hir = regex_syntax::parse(inner)
            .map_err(|error| PatternFault::Malformed(one_line(&error)))?;
        // A `#` may begin a comment that swallows the closing anchor; then only the whole can tell.
        if self.written.contains('#') {
            regex_syntax::parse(&format!(r"\A(?:{inner})\z"))
                .map_err(|error| PatternFault::Malformed(one_line(&error)))?;
        }
        let written = self.written.len().saturating_mul(WRITTEN_COST);
        let bound = states(&hir);
        let compiled = if bound <= SURELY_SMALL && bound.saturating_mul(STATE_COST) <= left {
            bound.saturating_mul(STATE_COST)
        } else {
            exact_size(&hir)?
        };
        Ok(compiled.max(written))
    }

    /// Tells whether a whole text matches.
    pub(super) fn matches(&self, text: &str) -> Result<bool, String> {
        let regex = if let Some(regex) = self.compiled.get() {
            regex
        } else {
            let compiled = self.build().map_err(PatternFault::into_text)?;
            self.compiled.get_or_init(|| compiled)
        };
        Ok(regex.is_match(text))
    }
}

impl PatternFault {
    fn into_text(self) -> String {
        match self {
            PatternFault::Malformed(what) | PatternFault::TooLarge(what) => what,
        }
    }

    fn at(self, place: &str) -> Refusal {
        match self {
            PatternFault::Malformed(what) => Refusal::new(
                Code::InvalidPolicy,
                format!("the governed policy is malformed at `{place}`: {what}"),
            ),
            PatternFault::TooLarge(what) => Refusal::new(
                Code::LimitExceeded,
                format!("the regex at `{place}` {what}"),
            ),
        }
    }
}

/// Checks the patterns of one policy, each with its place, and shares the budget among them.
///
/// # Errors
/// `INVALID_POLICY` for a pattern that is none, `LIMIT_EXCEEDED` for one that is too large or where all of them are.
pub(super) fn check_all(mut patterns: Vec<(String, &mut Pattern)>) -> Result<(), Refusal> {
    let share = MAX_COMPILED
        .checked_div(patterns.len())
        .unwrap_or(MAX_SCRATCH)
        .clamp(MIN_SCRATCH, MAX_SCRATCH);
    let mut left = MAX_COMPILED;
    for (place, pattern) in &mut patterns {
        pattern.scratch = share;
        let size = pattern.check(left).map_err(|fault| fault.at(place))?;
        left = left.checked_sub(size).ok_or_else(|| {
            PatternFault::TooLarge(format!(
                "and those before it compile to more than {} MiB, which all regexes of one policy share",
                MAX_COMPILED >> 20
            ))
            .at(place)
        })?;
    }
    Ok(())
}

/// Builds the automaton of a pattern, within a limit, to know its size.
fn exact_size(hir: &Hir) -> Result<usize, PatternFault> {
    let too_large = || PatternFault::TooLarge(format!("compiles to more than {MAX_STATES} states"));
    let limit = Config::new().nfa_size_limit(Some(MAX_COMPILED >> 2));
    let automaton = Compiler::new()
        .configure(limit)
        .build_from_hir(hir)
        .map_err(|_| too_large())?;
    if automaton.states().len() > MAX_STATES {
        return Err(too_large());
    }
    Ok(automaton.memory_usage().saturating_mul(2))
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
