//! `permit guard`: the receive boundary, one explicit place where a push is judged (enforcement.md, Boundary 1).
//!
//! [`push`] turns what Git says of a push into updates, [`governed`], [`streams`] and [`content`] judge each class,
//! [`record`] keeps every decision, and this module joins them: judge, decide under the mode, record, report.

mod adopt;
pub(crate) mod args;
mod check;
mod claims;
mod content;
mod coverage;
mod emergency;
mod gap;
mod gaps;
mod governed;
mod history;
mod install;
mod keep;
mod landed;
mod limits;
mod packed;
mod plan;
mod push;
mod pusher;
mod record;
mod report;
mod reviews;
mod spent;
mod status;
mod streams;
mod transaction;
mod used;
mod verdict;
mod worker;

pub(crate) use landed::check as check_landed;

use std::alloc::{Layout, handle_alloc_error};
use std::env;
use std::io::{self, Read};
use std::path::Path;

use args::{ClaimsVerb, GapVerb, GuardVerb, ModeArg, ReceiveArgs};
use push::{Judged, Push, Update};
use record::Moves;
use verdict::Verdicts;

use super::args::Global;
use super::fault;
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, WARN, note, paint, safe};
use super::session::Session;
use super::trust::Told;
use super::within;
use crate::engine::canonical::Value;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::enforce::{Decision, Finding, Intent, Mode};

/// The judgement of a push, as its result names it.
const RECEIVE: &str = "guard.receive";
/// The longest list of updates that is read, in bytes.
const MAX_UPDATES: u64 = 1 << 26;

pub(crate) fn run(global: &Global, verb: &GuardVerb) -> Result<Outcome, Refusal> {
    let within =
        |run: &dyn Fn(&Session) -> Result<Outcome, Refusal>| within(global, verb.name(), run);
    match verb {
        GuardVerb::Receive(args) => receive(global, args),
        GuardVerb::Check(args) => match mode(&args.mode)? {
            Mode::Off => Ok(off("guard.check")),
            mode @ (Mode::Shadow | Mode::Enforce) => {
                let trusted = args.trusted_commit;
                let session = Session::check(global, Told { trusted })?;
                let mut outcome = check::run(&session, args, mode)?;
                session.say(&mut outcome);
                Ok(outcome)
            }
        },
        GuardVerb::Plan(args) => within(&|session| plan::run(session, args)),
        GuardVerb::Adopt(args) => within(&|session| adopt::run(session, args)),
        GuardVerb::Transaction(args) => transaction::run(global, args),
        GuardVerb::Claims(ClaimsVerb::Reset(args)) => {
            within(&|session| claims::reset(session, args))
        }
        GuardVerb::Gap(GapVerb::Accept(args)) => within(&|session| gap::accept(session, args)),
        GuardVerb::Install => within(&install::run),
        GuardVerb::Status(args) => within(&|session| status::run(session, args)),
        GuardVerb::Report => within(&report::run),
    }
}

/// The mode that the environment and the arguments agree on.
pub(crate) fn mode(args: &ModeArg) -> Result<Mode, Refusal> {
    let environment = env::var_os("ENFORCEMENT_MODE");
    // Bytes that are not UTF-8 are no word, and are shown as such.
    let environment = environment.as_ref().map(|text| text.to_string_lossy());
    Mode::read(environment.as_deref(), args.mode.as_deref())
}

fn receive(global: &Global, args: &ReceiveArgs) -> Result<Outcome, Refusal> {
    let mode = mode(&args.mode)?;
    if mode == Mode::Off {
        return Ok(off(RECEIVE));
    }
    let Some(parent) = args.worker else {
        return Ok(worker::judge(mode));
    };
    let recording = !args.unanswered.is_empty();
    let session = match worker::begin(global, parent, recording) {
        Ok(session) => session,
        Err(refusal) if mode == Mode::Shadow => {
            let mut outcome = shadowed(RECEIVE, &refusal);
            outcome.warnings.push(unrecorded(&refusal));
            return Ok(outcome);
        }
        Err(refusal) => return Err(refusal),
    };
    let mut outcome = match args.unanswered.as_slice() {
        [message, step] => {
            let refusal = Refusal::new(Code::Internal, message).next(step);
            unjudged(RECEIVE, &session, &[], mode, refusal)
        }
        _ => judge_updates(&session, mode),
    };
    session.say(&mut outcome);
    Ok(outcome)
}

fn judge_updates(session: &Session, mode: Mode) -> Outcome {
    let updates = read_updates().and_then(|input| Update::parse(&input, &namespace()));
    let named = updates.clone().unwrap_or_default();
    match updates.and_then(|updates| Push::received(session, updates)) {
        Ok(push) => judge(RECEIVE, &push, mode, Moves::Refs),
        Err(refusal) => unjudged(RECEIVE, session, &named, mode, refusal),
    }
}

/// Reads the lines that Git gives the hook.
fn read_updates() -> Result<Vec<u8>, Refusal> {
    let mut input = Vec::new();
    std::io::stdin()
        .take(MAX_UPDATES.saturating_add(1))
        .read_to_end(&mut input)
        .map_err(|error| {
            if error.kind() == io::ErrorKind::OutOfMemory {
                // As wherever else memory ends: the parent says which limit that was.
                handle_alloc_error(Layout::new::<u8>());
            }
            fault::io(Path::new("-"), &error)
        })?;
    if u64::try_from(input.len()).unwrap_or(u64::MAX) > MAX_UPDATES {
        return Err(
            fault::input(format!("standard input is longer than {MAX_UPDATES} bytes"))
                .next("push fewer refs at a time"),
        );
    }
    Ok(input)
}

/// What becomes of a push that nobody could judge: denied, or in `shadow` let through and said aloud; recorded in both.
fn unjudged(
    command: &'static str,
    session: &Session,
    updates: &[Update],
    mode: Mode,
    refusal: Refusal,
) -> Outcome {
    // What the lines say of the refs was compared with nothing.
    let finding = Finding::from(refusal.clone()).with(Decision::UNCOMPARED, Value::Bool(false));
    let mut decisions: Vec<Decision> = updates
        .iter()
        .map(|update| Decision::new(push::unjudged(update), &finding, mode))
        .collect();
    if decisions.is_empty() {
        // Not even the refs are known.
        decisions.push(Decision::new(Intent::of_push(), &finding, mode));
    }
    let recorded = record::append_unjudged(session, &decisions);
    let mut outcome = match mode {
        Mode::Shadow => shadowed(command, &refusal),
        Mode::Enforce | Mode::Off => Outcome::refused(command, refusal).field("mode", mode),
    };
    if let Err(refusal) = recorded {
        outcome.warnings.push(unrecorded(&refusal));
    }
    outcome.set("decisions", decisions);
    outcome
}

fn shadowed(command: &'static str, refusal: &Refusal) -> Outcome {
    let mut outcome = Outcome::ok(command)
        .field("mode", Mode::Shadow)
        .field("allow", false)
        .field("decisions", [(); 0])
        .text(format!(
            "{}  the push was not judged\n",
            paint(WARN, "would be denied")
        ));
    outcome.warnings.push(format!(
        "SHADOW: the push could not be judged and would have been blocked: [{}] {}",
        refusal.code.name(),
        refusal.message
    ));
    outcome
}

/// What becomes of a push that could be neither judged nor recorded.
fn unrecordable(mode: Mode, refusal: Refusal, also: &Refusal) -> Outcome {
    let mut outcome = match mode {
        Mode::Shadow => shadowed(RECEIVE, &refusal),
        Mode::Enforce | Mode::Off => Outcome::refused(RECEIVE, refusal).field("mode", mode),
    };
    outcome.warnings.push(unrecorded(also));
    outcome
}

fn unrecorded(refusal: &Refusal) -> String {
    format!("THE DECISIONS COULD NOT BE RECORDED: {}", refusal.message)
}

/// What Git leaves out of the names that it gives a hook of a namespaced repository: `refs/namespaces/a/refs/namespaces/b/`.
fn namespace() -> String {
    let name = env::var_os("GIT_NAMESPACE").unwrap_or_default();
    let name = name.to_string_lossy();
    let mut prefix = String::new();
    for part in name.split('/').filter(|part| !part.is_empty()) {
        prefix.push_str("refs/namespaces/");
        prefix.push_str(part);
        prefix.push('/');
    }
    prefix
}

fn off(command: &'static str) -> Outcome {
    note("permit guard: the mode is `off`, nothing is evaluated, recorded or blocked");
    Outcome::ok(command)
        .field("mode", Mode::Off)
        .field("decisions", [(); 0])
}

/// Judges a push, records every decision, and says what the mode makes of them.
fn judge(command: &'static str, push: &Push<'_>, mode: Mode, moves: Moves) -> Outcome {
    let mut judged = push.judge();
    let mut warnings = Vec::new();
    if moves == Moves::Refs {
        warnings.extend(
            claims::check(push.session, &mut judged)
                .err()
                .as_ref()
                .map(unsettled),
        );
    }
    let lets_through = |judged: &[Judged]| judged.iter().all(|one| one.finding.refusal.is_none());
    let claims = moves == Moves::Refs && mode == Mode::Enforce;
    if claims && lets_through(&judged) {
        claims::take(push.session, &mut judged);
    }
    let honoured: Vec<_> = judged.iter().flat_map(Judged::honoured).collect();
    let decisions: Vec<(Decision, Option<Refusal>)> = judged
        .into_iter()
        .map(|judged| {
            let decision = Decision::new(judged.intent, &judged.finding, mode);
            (decision, judged.finding.refusal)
        })
        .collect();
    let recorded = record::append(push, decisions.iter().map(|(decision, _)| decision), moves);
    let mut outcome = Outcome::ok(command)
        .field("mode", mode)
        .field("permits", &honoured)
        .text(text(&decisions, mode));
    outcome.set(
        "decisions",
        decisions
            .iter()
            .map(|(decision, _)| decision)
            .collect::<Vec<_>>(),
    );
    match (recorded, mode) {
        (Ok(gaps), _) => outcome.set("gaps", gaps),
        (Err(refusal), Mode::Shadow | Mode::Off) => outcome.warnings.push(unrecorded(&refusal)),
        (Err(refusal), Mode::Enforce) => outcome.refuse(refusal),
    }
    outcome.warnings.extend(warnings);
    let denied = decisions.into_iter().find_map(|(_, refusal)| refusal);
    outcome.set("allow", denied.is_none());
    if let (Mode::Enforce, Some(refusal)) = (mode, denied) {
        outcome.refuse(refusal);
    }
    if claims
        && outcome.refusal.is_none()
        && let Err(refusal) = Verdicts::of(push.session).keep(push, &honoured)
    {
        // Nothing lands without a verdict.
        outcome.refuse(refusal);
    }
    outcome
}

fn unsettled(refusal: &Refusal) -> String {
    format!(
        "the claims of permits could not be settled: {}",
        refusal.message
    )
}

fn text(decisions: &[(Decision, Option<Refusal>)], mode: Mode) -> String {
    let (style, word) = match mode {
        Mode::Enforce => (BAD, "denied"),
        Mode::Shadow | Mode::Off => (WARN, "would be denied"),
    };
    let mut text = String::new();
    let mut denied = 0_usize;
    for (decision, refusal) in decisions {
        let Some(refusal) = refusal else { continue };
        denied = denied.saturating_add(1);
        text.push_str(&format!(
            "{}  {} {} [{}]\n  {}\n",
            paint(style, word),
            decision.intent.class.word(),
            safe(&decision.intent.subject),
            refusal.code.name(),
            paint(DIM, &safe(&refusal.message)),
        ));
    }
    let allowed = decisions.len().saturating_sub(denied);
    text.push_str(&format!(
        "{} {allowed}, {} {denied} ({})\n",
        paint(GOOD, "allowed"),
        paint(style, word),
        mode.word()
    ));
    text
}

/// Makes a finding of whatever could not be found out: fail closed.
fn closed(found: Result<Finding, Refusal>) -> Finding {
    found.unwrap_or_else(Finding::from)
}

/// Tells a reason about the environment from one about the evidence.
fn is_failure(refusal: &Refusal) -> bool {
    refusal.class() == Class::Failed || refusal.code == Code::CommitNotGoverned
}
