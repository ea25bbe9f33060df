//! `permit stream open|list|export`.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::json;

use super::args::{StreamExportArgs, StreamForgetArgs, StreamOpenArgs, StreamVerb};
use super::in_force::InForce;
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, paint, safe};
use super::session::{Act, Governed, Session};
use super::stream::{self, At, Stream};
use super::{fault, files};
use crate::engine::chain::SealedEvent;
use crate::engine::code::{Code, Refusal};
use crate::git::CommitId;

pub(crate) fn run(session: &Session, verb: &StreamVerb) -> Result<Outcome, Refusal> {
    match verb {
        StreamVerb::Open(args) => open(session, args),
        StreamVerb::List => list(session),
        StreamVerb::Export(args) => export(session, args),
        StreamVerb::Forget(args) => forget(session, args),
    }
}

fn open(session: &Session, args: &StreamOpenArgs) -> Result<Outcome, Refusal> {
    session.decide()?;
    let governed = session.govern_at(args.at.as_deref())?;
    InForce::now(session)?.check(&governed.snapshot, [])?;
    let stream = Stream::new(session, &args.stream)?;
    let at = open_at(session, &stream, &governed)?;
    let line = format!(
        "{} {} at {}\n",
        paint(GOOD, "opened"),
        stream.id,
        at.tip.event_hash
    );
    let see = format!("permit log --stream {}", stream.id);
    Ok(point(Outcome::ok("stream.open"), &at)
        .appended(&at.tip, see)
        .text(line))
}

/// Opens a stream under a governed commit's policy.
pub(crate) fn open_at(
    session: &Session,
    stream: &Stream<'_>,
    governed: &Governed<'_>,
) -> Result<At, Refusal> {
    session.allow(Act::Supervise)?;
    let appended = stream.append(|_| {
        stream.refuse_reopening()?;
        let opened = SealedEvent::open(&stream.id, governed.policy.hash(), governed.sha())?;
        Ok((vec![opened], ()))
    })?;
    Ok(appended.at)
}

fn point(outcome: Outcome, at: &At) -> Outcome {
    outcome
        .field("stream_id", &at.tip.stream_id)
        .field("sequence", at.tip.sequence)
        .field("event_hash", at.tip.event_hash)
        .field("commit", at.commit.to_string())
}

fn list(session: &Session) -> Result<Outcome, Refusal> {
    let (mut streams, mut text) = (Vec::new(), String::new());
    let mut refusal: Option<Refusal> = None;
    let mut found = Vec::new();
    for stream in Stream::all(session)? {
        found.push(stream.id.clone());
        let at = match stream.existing_tip() {
            Ok(at) => at,
            Err(bad) => {
                text.push_str(&line_of(&stream.id, &bad));
                streams.push(json!({"stream_id": stream.id, "reason": bad.code.name(), "message": bad.message}));
                refusal.get_or_insert(bad);
                continue;
            }
        };
        text.push_str(&format!(
            "{} event {} {}\n",
            stream.id,
            at.tip.sequence,
            paint(DIM, &at.tip.event_hash.to_string())
        ));
        streams.push(json!({
            "stream_id": stream.id,
            "sequence": at.tip.sequence,
            "event_hash": at.tip.event_hash,
            "commit": at.commit.to_string(),
            "reason": Code::Ok.name(),
        }));
    }
    for (id, lost) in stream::lost(session, &found) {
        text.push_str(&line_of(&id, &lost));
        streams.push(json!({"stream_id": id, "reason": lost.code.name(), "message": lost.message}));
    }
    let mut outcome = Outcome::ok("stream.list")
        .field("streams", streams)
        .text(text);
    if let Some(refusal) = refusal {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

/// A stream about which there is something else to say than where it is.
fn line_of(id: &str, refusal: &Refusal) -> String {
    let said = safe(&refusal.message);
    format!("{} {} {said}\n", safe(id), paint(BAD, refusal.code.name()))
}

/// Gives up what was seen of a stream, here and at every remote, and says what that was.
fn forget(session: &Session, args: &StreamForgetArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Supervise)?;
    if args.reason.trim().is_empty() {
        return Err(fault::input("the reason is empty"));
    }
    let stream = Stream::new(session, &args.stream)?;
    let forgotten = session
        .repository
        .forget_stream(&stream.id, args.reason.trim())?;
    let mut text = String::new();
    for (remote, commit) in &forgotten {
        let place = remote
            .as_deref()
            .map_or("here".to_owned(), |name| format!("at `{name}`"));
        text.push_str(&format!(
            "{} that `{}` was seen at {commit} {}\n",
            paint(GOOD, "forgotten"),
            stream.id,
            safe(&place)
        ));
    }
    let given_up = "what stands between that event and the ref is no longer missed: a permit that was used there may be used again";
    let forgotten: Vec<_> = forgotten
        .iter()
        .map(|(remote, commit)| json!({"remote": remote, "commit": commit.to_string()}))
        .collect();
    let mut outcome = Outcome::ok("stream.forget")
        .field("stream_id", &stream.id)
        .field("reason_given", args.reason.trim())
        .field("forgotten", &forgotten);
    if forgotten.is_empty() {
        text.push_str("nothing was remembered of the stream\n");
    } else {
        text.push_str(&format!("{given_up}\n"));
        outcome.set("gives_up", given_up);
    }
    Ok(outcome.text(text))
}

/// Verifies the stream, then writes its events; nothing is written of a stream that is broken.
fn export(session: &Session, args: &StreamExportArgs) -> Result<Outcome, Refusal> {
    let stream = Stream::new(session, &args.stream)?;
    let at = stream.existing_tip()?;
    let mut commits = Vec::new();
    let verifier = stream.walk(at.commit, None, |_, commit| {
        commits.push(commit);
        Ok(ControlFlow::Continue(()))
    })?;
    verifier.finish().map_err(|fault| stream.broken(&fault))?;
    commits.reverse();
    let outcome = point(Outcome::ok("stream.export"), &at);
    let count = commits.len();
    if let Some(path) = &args.to.jsonl {
        if path.as_os_str() == "-" {
            let mut lines = Vec::new();
            write_lines(&stream, &commits, &mut lines, path)?;
            return Ok(Outcome::raw("stream.export", lines));
        }
        let mut file = fs::File::create(path)
            .map(std::io::BufWriter::new)
            .map_err(|error| fault::io(path, &error))?;
        write_lines(&stream, &commits, &mut file, path)?;
        file.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| match file.sync_all() {
                // A pipe keeps nothing.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
                flushed => flushed,
            })
            .map_err(|error| fault::io(path, &error))?;
        return Ok(outcome.text(format!("{count} events written to {}\n", path.display())));
    }
    let root = args.to.dir.as_deref().unwrap_or(Path::new("."));
    let folder = root.join("audit/streams").join(&stream.id);
    for (sequence, commit) in commits.iter().enumerate() {
        let artifact = stream.artifact(*commit)?;
        let path = folder.join(format!("{sequence}.audit.json"));
        if fs::read(&path).ok().as_ref() != Some(&artifact) {
            files::create(&path, &artifact)?;
        }
    }
    Ok(outcome.text(format!("{count} events written to {}\n", folder.display())))
}

fn write_lines(
    stream: &Stream<'_>,
    commits: &[CommitId],
    out: &mut impl Write,
    path: &Path,
) -> Result<(), Refusal> {
    for commit in commits {
        let artifact = stream.artifact(*commit)?;
        out.write_all(&artifact)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|error| fault::io(path, &error))?;
    }
    out.flush().map_err(|error| fault::io(path, &error))
}
