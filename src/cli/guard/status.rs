//! `permit guard status`: the boundaries, what is attached to each, and in which mode they would run.

use serde::Serialize;
use serde_json::json;

use super::args::ModeArg;
use super::claims::Claims;
use super::gap::{self, OpenGap};
use super::install::{HOOKS, HookState, folder};
use super::limits::Limits;
use super::{mode, push, record};
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, WARN, paint, safe};
use crate::cli::session::Session;
use crate::engine::code::Refusal;
use crate::engine::enforce::{Accepted, Class, Enforcement, Sums};

/// The places where something is judged, and nowhere else.
const ENTRY_POINTS: [(&str, &str); 4] = [
    ("git.receive", "permit guard receive"),
    ("git.receive", "permit guard transaction"),
    ("git.receive", "permit guard check"),
    ("exec", "permit exec"),
];

/// Who can go around every hook, whatever is installed.
const UNBOUND: [&str; 4] = [
    "shell accounts on the server: who may run a program there moves refs without Git's hooks",
    "core.hooksPath: whoever sets it, in any file of Git's configuration, names other hooks",
    "writers of the file system: who may write to the repository's folder changes refs, hooks and records",
    "forges that move refs without hooks: merge buttons, mirrors and administration",
];

pub(super) fn run(session: &Session, args: &ModeArg) -> Result<Outcome, Refusal> {
    let governed = push::governed_name(session)?;
    let tip = session.repository.ref_target(&governed)?;
    let enforcement = tip.map_or(Ok(None), |tip| push::enforcement(session, tip));
    let hooks = hooks(session)?;
    let hooks_path = session.repository.hooks_path()?;
    let limits = Limits::of(&session.repository)?;
    let claims = Claims::open(session).err();
    let record = record::path(session, &enforcement);
    let open = gap::open(session, &enforcement, &governed, tip)?;
    let mut sums = Sums::default();
    record::read_all(&record, |line| sums.take(line))?;
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
    for hook in &hooks {
        let style = if hook.state.calls_guard() { GOOD } else { BAD };
        let state = paint(style, hook.state.words());
        text.push_str(&format!("hook      {state} {}\n", hook.path));
    }
    if let Some(path) = &hooks_path {
        let path = safe(&path.to_string_lossy());
        text.push_str(&format!("hooks in  {path} (core.hooksPath)\n"));
    }
    text.push_str(&match &claims {
        None => format!("claims    {}\n", paint(GOOD, "kept")),
        Some(refusal) => format!(
            "claims    {} {}\n",
            paint(BAD, refusal.code.name()),
            safe(&refusal.message)
        ),
    });
    text.push_str(&format!("governed  {}\n", safe(&governed)));
    text.push_str(&format!("record    {}\n", record.display()));
    text.push_str(&format!(
        "limits    {} bytes of memory, {} s of processor time, {} s of wall clock\n",
        limits.memory, limits.cpu, limits.wall
    ));
    text.push_str(&gaps(open.as_ref(), sums.accepted()));
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
    for what in UNBOUND {
        text.push_str(&format!("unbound   {what}\n"));
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
        .field("hook", hooks.first().map(|hook| &hook.path))
        .field(
            "installed",
            hooks.first().is_some_and(|hook| hook.state.calls_guard()),
        )
        .field("hooks", &hooks)
        .field(
            "hooks_path",
            hooks_path.map(|path| path.to_string_lossy().into_owned()),
        )
        .field("limits", limits)
        .field(
            "claims",
            claims.map_or("kept", |refusal| refusal.code.name()),
        )
        .field("unbound", UNBOUND)
        .field("record", record.display().to_string())
        .field("open_gap", open.map(|open| open.to_gap()))
        .field("accepted_gaps", sums.accepted())
        .field("entry_points", entry_points)
        .field("classes", Class::ALL)
        .field("boundaries", attached)
        .text(text))
}

/// A hook as it stands in the result.
#[derive(Debug, Serialize)]
struct Hook {
    name: &'static str,
    path: String,
    state: HookState,
}

fn hooks(session: &Session) -> Result<Vec<Hook>, Refusal> {
    let folder = folder(session)?;
    let hooks = HOOKS.iter().map(|hook| {
        let path = folder.join(hook.name);
        Ok(Hook {
            name: hook.name,
            state: hook.state(&path)?,
            path: path.display().to_string(),
        })
    });
    hooks.collect()
}

fn gaps(open: Option<&OpenGap>, accepted: &[Accepted]) -> String {
    let mut text = String::new();
    if let Some(open) = open {
        text.push_str(&format!(
            "gap       {} {}\n",
            paint(BAD, "open"),
            open.range()
        ));
    }
    for gap in accepted {
        text.push_str(&format!(
            "gap       {} {} {}..{}: {}\n",
            paint(WARN, "accepted"),
            safe(&gap.reference),
            gap.from,
            gap.to,
            safe(&gap.reason)
        ));
    }
    text
}
