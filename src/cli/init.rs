//! `permit init`: a governance folder to begin with, and streams that a fetch brings. Never overwrites.

use super::args::InitArgs;
use super::outcome::Outcome;
use super::remote::Remote;
use super::render::{DIM, GOOD, paint, safe};
use super::session::Session;
use super::stream::{STREAMS, Stream};
use super::stream_command::open_at;
use super::work_folder::WorkFolder;
use crate::engine::code::{Code, Refusal};
use crate::git::Repository;

const POLICY: &str = include_str!("templates/permit.policy.json");
const README: &str = include_str!("templates/README.md");

pub(crate) fn run(session: &Session, args: &InitArgs) -> Result<Outcome, Refusal> {
    let folder = WorkFolder::open(session)?;
    let (mut created, mut kept) = (Vec::new(), Vec::new());
    let mut scaffold = |path: &str, content: &str| -> Result<(), Refusal> {
        if folder.holds(path)? {
            kept.push(path.to_owned());
        } else {
            folder.create(path, content.as_bytes())?;
            created.push(path.to_owned());
        }
        Ok(())
    };
    // A policy of another name is the one policy that there may be.
    let names = folder.list("governance/policy")?;
    let policy = names.iter().find(|name| name.ends_with(".policy.json"));
    let policy = policy.map_or("permit.policy.json", String::as_str);
    scaffold(&format!("governance/policy/{policy}"), POLICY)?;
    scaffold("governance/README.md", README)?;
    let stream = Stream::new(session, &args.stream)?;
    let repository = &session.repository;
    let configured = fetch_streams(repository, repository.remotes()?)?;
    let elsewhere = if stream.tip_commit()?.is_none() {
        held_by(session, &stream)
    } else {
        Elsewhere::default()
    };
    let branch = repository.stands_for("HEAD")?;
    let branch = branch.as_deref().unwrap_or("REF");
    let trust = format!("permit trust {branch} --commit \"$(git rev-parse {branch})\"");
    let issue = match session.governed_ref() {
        Some(_) => "permit issue --request FILE",
        None => &trust,
    };
    let next = match (session.govern("HEAD"), elsewhere.holder) {
        (Ok(_), Some(holder)) => format!("bring the stream from the remote: git fetch {holder}"),
        (Ok(governed), None) => match open_at(session, &stream, &governed) {
            Ok(at) => {
                created.push(format!("{STREAMS}{}", at.tip.stream_id));
                issue.to_owned()
            }
            Err(refusal) if refusal.code == Code::StreamExists => {
                kept.push(stream.reference().to_owned());
                issue.to_owned()
            }
            Err(refusal) => return Err(refusal),
        },
        (Err(_), _) => format!(
            "edit governance/policy/permit.policy.json, commit it, then run `{trust} && permit stream open {}`",
            stream.id
        ),
    };
    let mut text = String::new();
    for path in &created {
        text.push_str(&format!("{} {path}\n", paint(GOOD, "created")));
    }
    for path in &kept {
        text.push_str(&format!("{} {path}\n", paint(DIM, "kept   ")));
    }
    for line in &configured {
        text.push_str(&format!("{} {}\n", paint(GOOD, "set    "), safe(line)));
    }
    let mut outcome = Outcome::ok("init")
        .field("created", created)
        .field("kept", kept)
        .field("configured", configured)
        .next(next)
        .text(text);
    outcome.warnings = elsewhere.warnings;
    Ok(outcome)
}

/// Makes `git fetch` bring the streams of these remotes, forward only, and keep those that the remote lacks; returns
/// the lines that were added to the repository's own configuration.
///
/// A plain clone fetches branches and tags only. With `fetch.prune` a fetch would delete every stream that the remote
/// does not hold (yet), so that it is switched off where nothing is said of the remote itself.
pub(super) fn fetch_streams(
    repository: &Repository,
    remotes: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, Refusal> {
    let mut added = Vec::new();
    for name in remotes {
        let key = format!("remote.{name}.fetch");
        let covered = repository.config_strings(&key)?.iter().any(|spec| {
            let from = spec.trim_start_matches('+').split(':').next();
            matches!(
                from,
                Some("refs/*" | "refs/permit/*" | "refs/permit/streams/*")
            )
        });
        let prune = format!("remote.{name}.prune");
        let silent = repository.config_strings(&prune)?.is_empty();
        let lines = [
            (!covered).then(|| (key, format!("{STREAMS}*:{STREAMS}*"))),
            silent.then(|| (prune, "false".to_owned())),
        ];
        for (key, value) in lines.into_iter().flatten() {
            repository.add_config(&key, &value)?;
            added.push(format!("{key}={value}"));
        }
    }
    Ok(added)
}

/// Which remote holds a stream that is not here, as far as the remotes answer.
#[derive(Default)]
struct Elsewhere {
    holder: Option<String>,
    warnings: Vec<String>,
}

/// Asks the remotes for a stream, so that a fresh clone does not open a second one of the same name.
fn held_by(session: &Session, stream: &Stream<'_>) -> Elsewhere {
    let mut found = Elsewhere::default();
    for name in session.repository.remotes().unwrap_or_default() {
        let answer = Remote::named(&session.repository, &name)
            .and_then(|remote| remote.tip(stream.reference()));
        match answer {
            Ok(Some(_)) => {
                found.holder = Some(name);
                break;
            }
            Ok(None) => {}
            Err(_) => found.warnings.push(format!(
                "the remote `{name}` cannot be asked whether it holds the stream `{}`",
                stream.id
            )),
        }
    }
    found
}
