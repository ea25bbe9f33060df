//! Regular expressions of a policy, and the one budget that all of them share (hardening.md section 3).

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{Compiler, Config};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use schemars::JsonSchema;

use super::super::canonical::Step;
use super::super::code::Code;
use super::faults::{Anchor, At, DocumentFault, Reader};
use super::glob;

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

/// A regular expression or a glob that was checked when the policy was compiled and is built when it is first needed.
#[derive(Debug, JsonSchema)]
#[schemars(transparent)]
pub struct Pattern {
    written: String,
    #[schemars(skip)]
    syntax: Syntax,
    #[schemars(skip)]
    scratch: usize,
    #[schemars(skip)]
    compiled: OnceLock<Regex>,
}

/// How a pattern is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Regex,
    Glob,
}

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(super) enum PatternFault {
    /// It is no regular expression of the form `^…$`, or no glob.
    Malformed(String),
    /// It is larger than a pattern may be.
    TooLarge(String),
}

impl Pattern {
    pub(super) const fn regex(written: String) -> Self {
        Self::of(written, Syntax::Regex)
    }

    pub(super) const fn glob(written: String) -> Self {
        Self::of(written, Syntax::Glob)
    }

    const fn of(written: String, syntax: Syntax) -> Self {
        Self {
            written,
            syntax,
            scratch: MAX_SCRATCH,
            compiled: OnceLock::new(),
        }
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The regular expression without its anchors.
    fn inner(&self) -> Result<String, PatternFault> {
        if self.syntax == Syntax::Glob {
            return glob::regex_of(&self.written).map_err(PatternFault::Malformed);
        }
        self.written
            .strip_prefix('^')
            .and_then(|rest| rest.strip_suffix('$'))
            .map(ToOwned::to_owned)
            .ok_or_else(|| PatternFault::Malformed("must be anchored: written `^…$`".to_owned()))
    }

    fn build(&self) -> Result<Regex, PatternFault> {
        RegexBuilder::new(&format!(r"\A(?:{})\z", self.inner()?))
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(self.scratch)
            .build()
            .map_err(|error| PatternFault::Malformed(one_line(&error)))
    }

    /// The syntax tree of what matches, anchored at neither end.
    ///
    /// # Errors
    /// Why the pattern cannot be used.
    pub(super) fn tree(&self) -> Result<Hir, PatternFault> {
        let inner = self.inner()?;
        if self.written.len() > MAX_WRITTEN {
            return Err(PatternFault::TooLarge(format!(
                "is {} bytes long, at most {MAX_WRITTEN} are read",
                self.written.len()
            )));
        }
        let parse = |text: &str| {
            ParserBuilder::new()
                .utf8(self.syntax == Syntax::Regex)
                .build()
                .parse(text)
                .map_err(|error| PatternFault::Malformed(one_line(&error)))
        };
        // INVARIANT: the text between the anchors is a regex of its own, so that it cannot close the group around it.
        let tree = parse(&inner)?;
        // A `#` may begin a comment that swallows the closing anchor; then only the whole can tell.
        if self.written.contains('#') {
            parse(&format!(r"\A(?:{inner})\z"))?;
        }
        Ok(tree)
    }

    /// Checks the pattern and says how many bytes of the budget it takes.
    fn check(&self, left: usize) -> Result<usize, PatternFault> {
        let tree = self.tree()?;
        let written = self.written.len().saturating_mul(WRITTEN_COST);
        let bound = states(&tree);
        let compiled = if bound <= SURELY_SMALL && bound.saturating_mul(STATE_COST) <= left {
            bound.saturating_mul(STATE_COST)
        } else {
            exact_size(&tree)?
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
        Ok(regex.is_match(text.as_bytes()))
    }
}

impl PatternFault {
    fn into_text(self) -> String {
        match self {
            PatternFault::Malformed(what) | PatternFault::TooLarge(what) => what,
        }
    }
}

/// A pattern with the rule and the path where it stands.
pub(super) struct Placed<'p> {
    pub(super) rule: &'p str,
    pub(super) index: usize,
    /// The path below the rule: keys, and the numbers of items.
    pub(super) below: Vec<Result<&'static str, usize>>,
    pub(super) pattern: &'p mut Pattern,
}

/// Says what is wrong with a pattern that stands in a document which cannot be read as a whole.
pub(super) fn fault_of(key: &str, written: &str) -> Option<(Code, String)> {
    let pattern = match key {
        "regex" => Pattern::regex(written.to_owned()),
        _ => Pattern::glob(written.to_owned()),
    };
    Some(match pattern.check(MAX_COMPILED).err()? {
        PatternFault::Malformed(what) => (Code::InvalidPolicy, what),
        PatternFault::TooLarge(what) => (Code::LimitExceeded, what),
    })
}

/// Checks the patterns of one policy and shares the budget among them; finds every fault, up to the end of the budget.
pub(super) fn check_all(mut patterns: Vec<Placed<'_>>, reader: &mut Reader) {
    let share = MAX_COMPILED
        .checked_div(patterns.len())
        .unwrap_or(MAX_SCRATCH)
        .clamp(MIN_SCRATCH, MAX_SCRATCH);
    let mut left = MAX_COMPILED;
    for placed in &mut patterns {
        placed.pattern.scratch = share;
        match placed.pattern.check(left) {
            Ok(size) => {
                let Some(rest) = left.checked_sub(size) else {
                    let what = format!(
                        "and those before it compile to more than {} MiB, which all regexes of one policy share",
                        MAX_COMPILED >> 20
                    );
                    placed.tell(reader, PatternFault::TooLarge(what));
                    return;
                };
                left = rest;
            }
            Err(fault) => placed.tell(reader, fault),
        }
    }
}

impl Placed<'_> {
    fn tell(&self, reader: &mut Reader, fault: PatternFault) {
        let (code, what) = match fault {
            PatternFault::Malformed(what) => (Code::InvalidPolicy, what),
            PatternFault::TooLarge(what) => (Code::LimitExceeded, what),
        };
        reader.rule = Some(self.rule.to_owned());
        let top = At::TOP;
        let (rules, mut path) = (top.key("rules"), Vec::new());
        path.extend(rules.item(self.index).path());
        path.extend(self.below.iter().map(|step| match step {
            Ok(key) => Step::Key((*key).to_owned()),
            Err(index) => Step::Item(*index),
        }));
        reader.faults.push(DocumentFault {
            code,
            rule: reader.rule.take(),
            path,
            anchor: Anchor::Value,
            what,
        });
    }
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
