//! `permit guard status`: the boundaries, what is attached to each, and in which mode they would run.

use serde_json::json;

use super::args::ModeArg;
use super::{install, mode, push, record};
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, paint, safe};
use crate::cli::session::Session;
use crate::engine::code::Refusal;
use crate::engine::enforce::{Class, Enforcement};

/// The places where something is judged, and nowhere else.
const ENTRY_POINTS: [(&str, &str); 4] = [
    ("git.receive", "permit guard receive"),
    ("git.receive", "permit guard transaction"),
    ("git.receive", "permit guard check"),
    ("exec", "permit exec"),
];

pub(super) fn run(session: &Session, args: &ModeArg) -> Result<Outcome, Refusal> {
    let governed = push::governed_name(session)?;
    let tip = session.repository.ref_target(&governed)?;
    let enforcement = tip.map_or(Ok(None), |tip| push::enforcement(session, tip));
    let hook = install::hook_path(session)?;
    let installed = install::is_installed(&hook);
    let transaction = install::transaction_path(session)?;
    let transaction_installed = install::is_transaction_installed(&transaction);
    let record = record::path(session, &enforcement);
    let attached = enforcement?;
    let attached = attached
        .as_ref()
        .map(Enforcement::boundaries)
        .unwrap_or_default();
    let mode = mode(args);
    let mut text = match &mode {
        Ok(mode) => format!("mode      {}\n", paint(GOOD, mode.word())),
        Err(refusal) => format!(
            "mode      {} {}\n",
            paint(BAD, refusal.code.name()),
            paint(DIM, "(of this shell; the server's environment counts)")
        ),
    };
    for (path, installed) in [(&hook, installed), (&transaction, transaction_installed)] {
        let state = if installed {
            paint(GOOD, "installed")
        } else {
            paint(BAD, "not installed")
        };
        text.push_str(&format!("hook      {state} {}\n", path.display()));
    }
    text.push_str(&format!("governed  {}\n", safe(&governed)));
    text.push_str(&format!("record    {}\n", record.display()));
    for (boundary, command) in ENTRY_POINTS {
        text.push_str(&format!("entry     {boundary} {command}\n"));
    }
    for class in Class::ALL {
        text.push_str(&format!("class     git.receive {}\n", class.word()));
    }
    for attachment in attached {
        text.push_str(&format!(
            "permit    git.receive content.change on {} {} from stream {}\n",
            safe(&attachment.refs.join(" ")),
            safe(&attachment.paths.join(" ")),
            attachment.stream
        ));
    }
    let entry_points: Vec<_> = ENTRY_POINTS
        .iter()
        .map(|(boundary, command)| json!({"boundary": boundary, "command": command}))
        .collect();
    Ok(Outcome::ok("guard.status")
        .field("mode", mode.as_ref().ok())
        .field(
            "mode_reason",
            mode.as_ref().err().map(|refusal| refusal.code.name()),
        )
        .field("hook", hook.display().to_string())
        .field("installed", installed)
        .field("transaction_hook", transaction.display().to_string())
        .field("transaction_installed", transaction_installed)
        .field("record", record.display().to_string())
        .field("entry_points", entry_points)
        .field("classes", Class::ALL)
        .field("boundaries", attached)
        .text(text))
}
