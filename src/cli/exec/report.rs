//! What came of a run: JSON in a file, or one line on standard error; and the exit status.

use std::fs;

use super::Ended;
use super::args::ExecArgs;
use crate::cli::args::{Format, Global};
use crate::cli::outcome::Outcome;
use crate::cli::render::{self, BAD, GOOD, WARN, paint, safe};
use crate::engine::code::Code;
use crate::engine::enforce::{Mode, Ran};

/// What the boundary adds to the class of a reason to make its exit status.
const OWN_EXIT: u8 = 100;

/// Says what came of it: JSON in a file, or one line on standard error; and the exit status.
pub(super) fn report(global: &Global, args: &ExecArgs, mode: Mode, mut ended: Ended) -> Outcome {
    let child = ended.ran.as_ref().map(child_exit);
    let reason = ended
        .refusal
        .as_ref()
        .map_or(Code::Ok, |refusal| refusal.code);
    let own = OWN_EXIT.saturating_add(reason.class().exit_code());
    let exit = match (child, reason, mode) {
        (Some(child), Code::Ok, _) | (Some(child), _, Mode::Shadow | Mode::Off) => child,
        (Some(_), _, Mode::Enforce) | (None, _, _) => own,
    };
    let ran = ended.ran.clone().unwrap_or_default();
    let mut outcome = ended
        .said
        .take()
        .unwrap_or_else(|| unasked(global))
        .field("mode", mode)
        .field("permit_id", &ended.permit_id)
        .field("executed", ended.ran.is_some())
        .field("exit_status", ran.exit_status.unwrap_or(-1))
        .field("signal", ran.signal.unwrap_or(-1))
        .field("changed_paths", &ran.changed_paths)
        .field("not_allowed", &ended.offending)
        .field("enforced", &ended.enforced)
        .field("not_enforced", &ended.not_enforced)
        .field("exit", exit);
    if let Some(now) = args.clock.now {
        outcome.set("now", now);
        outcome.set("clock", "given");
    }
    outcome.warnings.clone_from(&ended.warnings);
    if let Some(refusal) = &ended.refusal {
        outcome.refuse(refusal.clone());
    }
    let json = format!("{}\n", outcome.to_json());
    let written = args
        .report
        .as_deref()
        .map(|path| fs::write(path, &json).map_err(|error| crate::cli::fault::io(path, &error)));
    if let Some(Err(refusal)) = &written {
        render::note(&format!("permit exec: {}", safe(&refusal.message)));
    }
    if !matches!(written, Some(Ok(()))) {
        match global.format {
            Format::Json => render::note(json.trim_end()),
            Format::Text => render::note(&line(&ended, mode, exit, args.clock.now)),
        }
    }
    let mut quiet = Outcome::raw("exec", "");
    quiet.warnings = if args.report.is_none() && global.format == Format::Json {
        Vec::new()
    } else {
        ended.warnings
    };
    quiet.remarks = outcome.remarks;
    quiet.exit = Some(exit);
    quiet
}

/// What is said where no repository could be asked.
fn unasked(global: &Global) -> Outcome {
    let outcome = Outcome::ok("exec").field("freshness", "local");
    if global.offline {
        outcome.field("offline", true)
    } else {
        outcome
    }
}

fn child_exit(ran: &Ran) -> u8 {
    let status = ran
        .exit_status
        .map(|status| u8::try_from(status & 0xff).unwrap_or(u8::MAX));
    let killed = ran
        .signal
        .map(|signal| u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128)));
    status.or(killed).unwrap_or(u8::MAX)
}

fn line(ended: &Ended, mode: Mode, exit: u8, now: Option<i64>) -> String {
    let (style, word) = match (&ended.refusal, mode, &ended.ran) {
        (None, _, _) => (GOOD, "ran"),
        (Some(_), Mode::Shadow, Some(_)) => (WARN, "ran, and would be blocked"),
        (Some(_), _, Some(_)) => (BAD, "ran, and broke its bounds"),
        (Some(_), _, None) => (BAD, "blocked"),
    };
    let mut text = format!("permit exec: {} (exit {exit})", paint(style, word));
    if let Some(refusal) = &ended.refusal {
        text.push_str(&format!(
            " [{}] {}",
            refusal.code.name(),
            safe(&refusal.message)
        ));
        let shown: Vec<String> = refusal
            .details
            .iter()
            .map(|(name, value)| format!("{}: {}", safe(name), safe(value)))
            .collect();
        if !shown.is_empty() {
            text.push_str(&format!(" ({})", shown.join(", ")));
        }
        text.push_str(&format!("; {}", safe(refusal.next_step())));
    }
    if let Some(now) = now {
        text.push_str(&format!("; time: {now}, as given with `--now`"));
    }
    if !ended.not_enforced.is_empty() {
        text.push_str(&format!(
            "; not enforced: {}",
            ended.not_enforced.join(", ")
        ));
    }
    text
}
