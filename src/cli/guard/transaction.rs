//! `permit guard transaction`: Git's `reference-transaction` hook, which also hears of what never met `pre-receive`.
//!
//! ```text
//!   prepared   each change of a bound ref needs a verdict of `permit guard receive` that still holds: it is used up
//!   committed  the claims of what landed are `committed`
//!   aborted    the claims of what was given up are `aborted`
//! ```
//!
//! What Git says of the old value is not asked, since it is all zeros where nobody named one: the refs are locked, and
//! each one's real value is read. A line that only verifies a ref looks like its deletion, and is taken for that; what
//! `git pack-refs` removes looks so too, and is told apart by what is packed.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::args::TransactionArgs;
use super::claims::Claims;
use super::packed;
use super::push::{Update, enforcement, governed_name};
use super::verdict::{Verdicts, value};
use super::{MAX_UPDATES, mode};
use crate::cli::args::Global;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Enforcement, Mode, RefPlace, ref_place};

/// One ref that goes from one value to another; nothing stands for an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) before: String,
    pub(super) after: String,
}

impl Change {
    pub(super) fn of(update: &Update) -> Self {
        let [before, after] = update.ids();
        Self {
            reference: update.name.clone(),
            before,
            after,
        }
    }
}

/// The refs that move only as a judgement allowed: the governed ref, streams and what the classes name beside them, and
/// those that `enforcement.json` attaches something to.
pub(super) struct Bound<'a> {
    governed: &'a str,
    enforcement: &'a Result<Option<Enforcement>, Refusal>,
}

impl<'a> Bound<'a> {
    pub(super) fn new(
        governed: &'a str,
        enforcement: &'a Result<Option<Enforcement>, Refusal>,
    ) -> Self {
        Self {
            governed,
            enforcement,
        }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        match (ref_place(name, self.governed), self.enforcement) {
            (RefPlace::Content, Ok(Some(enforcement))) => enforcement.about(name).next().is_some(),
            (RefPlace::Content, Ok(None)) => false,
            // Also where it is not known what is attached.
            _ => true,
        }
    }
}

pub(super) fn run(global: &Global, args: &TransactionArgs) -> Result<Outcome, Refusal> {
    let done = || Ok(Outcome::ok("guard.transaction"));
    if !["prepared", "committed", "aborted"].contains(&args.state.as_str()) {
        // Newer versions of Git tell of more, and ask at `prepared` all the same.
        return done();
    }
    let mode = match mode(&args.mode) {
        Err(refusal) if refusal.code == Code::ModeNotSet => Mode::Enforce,
        other => other?,
    };
    let asked = args.state == "prepared";
    if mode == Mode::Off || (asked && mode == Mode::Shadow) {
        return done();
    }
    let lines = lines()?;
    if lines.is_empty() {
        return done();
    }
    let session = Session::open(global)?;
    if asked {
        prepared(&session, &lines)?;
        return done();
    }
    let claims = match Claims::open(&session) {
        Ok(claims) => claims,
        // There are none to settle; whoever needs one is told.
        Err(refusal) if refusal.code == Code::ClaimsLost => return done(),
        Err(refusal) => return Err(refusal),
    };
    if args.state == "committed" {
        claims.settle()?;
    } else {
        claims.abort(&lines)?;
    }
    done()
}

/// Refuses what no judgement allowed, or what it allowed by a state that is no more; uses up the verdicts of the rest.
fn prepared(session: &Session, lines: &[Change]) -> Result<(), Refusal> {
    let read = |line: &Change| (value(session, &line.reference), line.clone());
    let changes: Vec<(Result<String, Refusal>, Change)> = lines
        .iter()
        .map(read)
        .filter(|(before, line)| !before.as_ref().is_ok_and(|before| *before == line.after))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let governed = governed_name(session)?;
    let attached = session.repository.ref_target(&governed);
    let attached = attached
        .map_err(Refusal::from)
        .and_then(|tip| tip.map_or(Ok(None), |tip| enforcement(session, tip)));
    let bound = Bound::new(&governed, &attached);
    let verdicts = Verdicts::of(session);
    let mut used = Vec::new();
    for (before, line) in changes {
        let must = bound.holds(&line.reference);
        let named = line.before.clone();
        let change = match before {
            Ok(before) => Change { before, ..line },
            Err(refusal) if must => return Err(refusal),
            Err(_) => continue,
        };
        if must && named == change.before && packed::is_pruned(session, &change)? {
            continue;
        }
        let verdict = verdicts.find(&change)?;
        if must {
            let verdict = verdict.as_ref().ok_or_else(|| unjudged(&change))?;
            verdicts.check(verdict)?;
        }
        used.extend(verdict);
    }
    used.into_iter()
        .try_for_each(|verdict| verdicts.consume(verdict))
}

fn unjudged(change: &Change) -> Refusal {
    let what = format!(
        "`{}` moves only as a judgement allowed, and none allowed this",
        change.reference
    );
    Refusal::new(Code::Moved, what)
        .detail("before", change.before.clone())
        .detail("after", change.after.clone())
        .next("run `git push` from a clone, with the hook `permit guard install` installed on the server")
}

/// Reads the `<old> <new> <ref>` lines that Git gives, as far as they are about refs below `refs/`.
fn lines() -> Result<Vec<Change>, Refusal> {
    let mut input = Vec::new();
    std::io::stdin()
        .take(MAX_UPDATES.saturating_add(1))
        .read_to_end(&mut input)
        .map_err(|error| fault::io(std::path::Path::new("-"), &error))?;
    if u64::try_from(input.len()).unwrap_or(u64::MAX) > MAX_UPDATES {
        let what = format!("standard input is longer than {MAX_UPDATES} bytes");
        return Err(fault::input(what).next("move fewer refs at a time"));
    }
    let mut changes = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        // A name of any bytes stays one that no rule names; it is shown as it can be.
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            let what = format!("`{line}` is not `<old> <new> <ref>`");
            return Err(fault::input(what)
                .next("call `permit guard transaction` with the standard input that Git gives the hook, unchanged"));
        };
        if name.starts_with("refs/") {
            changes.push(Change {
                reference: name.to_owned(),
                before: value_of(old),
                after: value_of(new),
            });
        }
    }
    Ok(changes)
}

/// An object id as it is, nothing for zeros; where a symbolic ref leads stays as Git writes it.
fn value_of(word: &str) -> String {
    if word.bytes().all(|byte| byte == b'0') {
        String::new()
    } else {
        word.to_owned()
    }
}
