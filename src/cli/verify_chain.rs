//! `permit verify-chain`: one truthful verdict about a ref, a file of lines, a folder or a tree.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::args::VerifyChainArgs;
use super::lines::{self, show};
use super::outcome::Outcome;
use super::parts::{self, Chain};
use super::progress::Progress;
use super::render::{BAD, DIM, GOOD, paint, safe};
use super::session::Session;
use super::stream::{self, Stream};
use super::{checkpoint, fault, files};
use crate::engine::chain::{Event, Expectation, Fault, MAX_EVENT, Order, Verdict, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::EventHash;
use crate::git::CommitId;

/// What was found out about one chain.
#[derive(Debug, Serialize)]
struct Finding {
    stream_id: String,
    verdict: Verdict,
    events: u64,
    tip: Option<EventHash>,
    checked: Vec<&'static str>,
    unchecked: Vec<&'static str>,
    fault: Option<Fault>,
}

/// Where a chain is read from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Ref,
    Lines(&'a Path),
    Folder(&'a Path),
    Tree(&'a str),
}

pub(crate) fn run(session: Option<&Session>, args: &VerifyChainArgs) -> Result<Outcome, Refusal> {
    let (expectation, stream) = expectation(args)?;
    if args.all {
        let session = needed(session)?;
        let findings = verify_refs(session, None, None)?;
        let found: Vec<_> = findings.iter().map(|one| one.stream_id.clone()).collect();
        let lost = stream::lost(session, &found);
        if findings.is_empty() && lost.is_empty() && !args.allow_empty {
            return Err(stream::none(session));
        }
        let mut outcome = all(findings, lost);
        note_rewound(session, &found, &mut outcome);
        return Ok(outcome);
    }
    let source = match (&args.jsonl, &args.dir, &args.tree) {
        (Some(path), _, _) => Source::Lines(path),
        (_, Some(path), _) => Source::Folder(path),
        (_, _, Some(place)) => Source::Tree(place),
        (None, None, None) => Source::Ref,
    };
    let finding = match source {
        Source::Ref => {
            let stream_id = stream.as_deref().unwrap_or(&args.stream);
            if stream_id != args.stream && args.stream != "main" {
                return Err(fault::input(format!(
                    "the checkpoint is one of the stream `{stream_id}`"
                )));
            }
            let found = match verify_refs(needed(session)?, Some(stream_id), expectation) {
                Err(missing) if args.allow_empty && missing.code == Code::StreamMissing => {
                    return Ok(all(Vec::new(), Vec::new()));
                }
                found => found?,
            };
            let finding = found.into_iter().next();
            finding.ok_or_else(|| Refusal::new(Code::Internal, "a stream was lost"))?
        }
        Source::Lines(path) => finding(
            &[],
            lines::verify(
                path,
                Verifier::new(Order::Forward, stream.as_deref(), expectation),
            )?,
            expectation,
        ),
        Source::Folder(path) => {
            let verifier = Verifier::new(Order::Forward, stream.as_deref(), expectation);
            finding(&["file_names"], verify_folder(path, verifier)?, expectation)
        }
        Source::Tree(place) => {
            let verifier = Verifier::new(Order::Forward, stream.as_deref(), expectation);
            finding(
                &["file_names"],
                verify_tree(needed(session)?, place, verifier)?,
                expectation,
            )
        }
    };
    let mut outcome = one(&finding);
    if let (Source::Ref, Some(session)) = (source, session) {
        note_rewound(session, &[finding.stream_id], &mut outcome);
    }
    Ok(outcome)
}

/// Says which streams went back behind an event that was seen; a fault of a chain stands before that.
fn note_rewound(session: &Session, found: &[String], outcome: &mut Outcome) {
    let rewound = stream::rewound(session, found);
    let (names, reasons): (Vec<_>, Vec<_>) = rewound.into_iter().unzip();
    outcome.set("rewound", names);
    if let (None, Some(refusal)) = (&outcome.refusal, reasons.into_iter().next()) {
        outcome.refuse(refusal);
    }
}

/// Whether the arguments need a repository at all.
pub(crate) fn needs_repository(args: &VerifyChainArgs) -> bool {
    args.jsonl.is_none() && args.dir.is_none()
}

fn needed(session: Option<&Session>) -> Result<&Session, Refusal> {
    session.ok_or_else(|| fault::input("a repository is needed"))
}

/// The point that the chain must have had, and its stream where a checkpoint names it.
fn expectation(args: &VerifyChainArgs) -> Result<(Option<Expectation>, Option<String>), Refusal> {
    if let Some(path) = &args.checkpoint {
        let point = checkpoint::read(path)?;
        let expectation = Expectation {
            sequence: Some(point.sequence),
            event_hash: point.event_hash,
        };
        return Ok((Some(expectation), Some(point.stream_id)));
    }
    let Some(text) = &args.expect_tip else {
        return Ok((None, None));
    };
    let event_hash = text
        .parse()
        .map_err(|error| fault::input(format!("the expected tip {error}")))?;
    let expectation = Expectation {
        sequence: None,
        event_hash,
    };
    Ok((Some(expectation), None))
}

/// Verifies one stream, or all.
fn verify_refs(
    session: &Session,
    only: Option<&str>,
    expectation: Option<Expectation>,
) -> Result<Vec<Finding>, Refusal> {
    let mut chains: Vec<Chain<()>> = stream::tips(session, only)?
        .into_iter()
        .map(|(id, tip)| Chain::new(session, &id, tip, expectation))
        .collect();
    parts::survey(session, &mut chains, |session, walk, round| {
        let stream = Stream::new(session, walk.stream_id)?;
        let walked = walk.run(&stream, round, |_, _| Ok(ControlFlow::Continue(())))?;
        Ok((walked, ()))
    })?;
    let findings = chains.into_iter().map(|chain| {
        let stopped = chain.stopped;
        let mut finding = Finding {
            stream_id: chain.stream_id,
            ..finding(&["commit_form"], chain.verifier, expectation)
        };
        if let Some(stopped) = stopped
            && let Some(fault) = finding.fault.take()
        {
            let fault = look_behind(
                session,
                &finding.stream_id,
                stopped,
                (fault, finding.events),
            )?;
            finding.verdict = fault.verdict;
            finding.fault = Some(fault);
        }
        Ok(finding)
    });
    findings.collect()
}

/// What stands before a commit that is no event is verified by itself: a fault in it is earlier in the stream. Returns
/// the first fault in stream order; `events` were seen before the walk stopped.
fn look_behind(
    session: &Session,
    id: &str,
    mut stopped: CommitId,
    (mut first, events): (Fault, u64),
) -> Result<Fault, Refusal> {
    let stream = Stream::new(session, id)?;
    // At which sequence such a commit stands, an event beside it says.
    let mut known = events > 0;
    // Where what stands before cannot be read, the fault that was found stands.
    while let Ok(Some(before)) = stream.parent_of(stopped) {
        let mut verifier = Verifier::new(Order::Backward, Some(id), None);
        let (mut whole, mut oldest) = (false, None);
        let walked = stream.walk_on(before, &mut verifier, |event, commit| {
            whole = commit.parent().is_none();
            oldest = Some(event.sequence);
            Ok(ControlFlow::Continue(()))
        });
        let Ok(next) = walked else { break };
        if let (false, Some(newest)) = (known, verifier.tip()) {
            first.sequence = newest.next_sequence();
        }
        let after = oldest.unwrap_or(first.sequence);
        known |= oldest.is_some();
        let fault = verifier.finish_walk(whole).err();
        let Some(next) = next else {
            first = fault.unwrap_or(first);
            break;
        };
        if let Some(fault) = fault {
            let sequence = after.saturating_sub(1);
            first = Fault { sequence, ..fault };
        }
        stopped = next;
    }
    Ok(first)
}

fn verify_folder(path: &Path, mut verifier: Verifier) -> Result<Verifier, Refusal> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| fault::io(path, &error))? {
        let entry = entry.map_err(|error| fault::io(path, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let progress = Progress::new("verifying", None);
    let events = in_order(names);
    if events.is_empty() {
        return Err(no_events(&path.display().to_string()).next(exported_below(path)));
    }
    for (sequence, name) in events {
        progress.step();
        let file = path.join(&name);
        let plain = std::fs::symlink_metadata(&file).map_err(|error| fault::io(&file, &error))?;
        if plain.is_file() {
            let bytes = files::read(&file, MAX_EVENT)?;
            show_file(&mut verifier, sequence, &name, &bytes);
        } else {
            let what = format!("`{name}` is not a file");
            verifier.note(Verdict::Malformed, verifier.next_sequence(), what);
        }
        if verifier.is_decided() {
            break;
        }
    }
    Ok(verifier)
}

fn verify_tree(
    session: &Session,
    place: &str,
    mut verifier: Verifier,
) -> Result<Verifier, Refusal> {
    let (rev, path) = place
        .split_once(':')
        .ok_or_else(|| fault::input(format!("`{place}` is not `REV:PATH`")))?;
    let path = path.trim_matches('/');
    let snapshot = session
        .repository
        .snapshot(session.repository.resolve(rev)?)?;
    if !path.is_empty() && snapshot.entry(path)?.is_none() {
        return Err(fault::input(format!(
            "commit {} holds no `{path}`",
            snapshot.commit()
        )));
    }
    let names = snapshot
        .list(path)?
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect();
    let limit = u64::try_from(MAX_EVENT).unwrap_or(u64::MAX);
    let progress = Progress::new("verifying", None);
    let events = in_order(names);
    if events.is_empty() {
        return Err(
            no_events(place).next("name the folder of one stream: `--tree REV:audit/streams/ID`")
        );
    }
    for (sequence, name) in events {
        progress.step();
        let file = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}/{name}")
        };
        match snapshot.file(&file, limit) {
            Ok(Some(blob)) => show_file(&mut verifier, sequence, &name, &blob.bytes),
            Ok(None) => {}
            Err(
                error @ (crate::git::Error::NotRegular { .. } | crate::git::Error::TooLarge { .. }),
            ) => {
                verifier.note(
                    Verdict::Malformed,
                    verifier.next_sequence(),
                    error.to_string(),
                );
            }
            Err(error) => return Err(error.into()),
        }
        if verifier.is_decided() {
            break;
        }
    }
    Ok(verifier)
}

/// Says that a folder holds no event: nothing was verified.
fn no_events(place: &str) -> Refusal {
    fault::input(format!("`{place}` holds no `<sequence>.audit.json`"))
}

/// Where the streams lie that were exported into a folder, as far as it holds any.
fn exported_below(path: &Path) -> String {
    let streams = path.join("audit/streams");
    let entries = std::fs::read_dir(&streams).into_iter().flatten().flatten();
    let first = entries.map(|entry| entry.file_name()).min();
    match first {
        Some(id) => format!("permit verify-chain --dir {}", streams.join(id).display()),
        None => {
            "name the folder that `permit stream export ID --dir DIR` wrote: DIR/audit/streams/ID"
                .to_owned()
        }
    }
}

/// The event files of a folder by sequence; files of other names are not part of the stream.
fn in_order(names: Vec<String>) -> Vec<(Option<u64>, String)> {
    let mut files: Vec<_> = names
        .into_iter()
        .filter(|name| name.ends_with(".audit.json"))
        .map(|name| {
            let digits = name.strip_suffix(".audit.json").unwrap_or_default();
            // One name a sequence: `01` beside `1` would be two files of one event.
            let sequence: Option<u64> = digits.parse().ok();
            let sequence = sequence.filter(|number| number.to_string() == digits);
            (sequence, name)
        })
        .collect();
    files.sort();
    files
}

fn show_file(verifier: &mut Verifier, sequence: Option<u64>, name: &str, bytes: &[u8]) {
    let event = Event::read(bytes);
    if event
        .as_ref()
        .is_ok_and(|event| Some(event.sequence) != sequence)
    {
        let what = format!("`{name}` does not hold the event of its name");
        verifier.note(Verdict::Malformed, verifier.next_sequence(), what);
    } else {
        show(verifier, bytes);
    }
}

fn finding(more: &[&'static str], verifier: Verifier, expectation: Option<Expectation>) -> Finding {
    let mut checked = vec![
        "bytes",
        "canonical_form",
        "hashes",
        "links",
        "sequence",
        "stream_id",
    ];
    checked.extend(more);
    // A chain says nothing of whether its decisions are right: `permit replay` does.
    let mut unchecked = vec!["decisions"];
    if expectation.is_some() {
        checked.push("tip");
    } else {
        unchecked.push("tip");
    }
    let (stream_id, tip) = verifier
        .tip()
        .map(|tip| (tip.stream_id, tip.event_hash))
        .unzip();
    let events = verifier.events();
    let (verdict, fault) = match verifier.finish() {
        Ok(_) => (Verdict::Valid, None),
        Err(fault) => (fault.verdict, Some(fault)),
    };
    Finding {
        stream_id: stream_id.unwrap_or_default(),
        verdict,
        events,
        tip,
        checked,
        unchecked,
        fault,
    }
}

impl Finding {
    fn refusal(&self) -> Option<Refusal> {
        let fault = self.fault.as_ref()?;
        Some(Refusal::new(
            self.verdict.code(),
            format!("event {}: {}", fault.sequence, fault.detail),
        ))
    }

    fn text(&self) -> String {
        let style = if self.fault.is_none() { GOOD } else { BAD };
        let tip = self
            .tip
            .map_or_else(|| "none".to_owned(), |tip| tip.to_string());
        format!(
            "{} {} {} events, tip {tip}\n{}\n",
            paint(style, self.verdict.word()),
            safe(&self.stream_id),
            self.events,
            paint(
                DIM,
                &format!(
                    "  checked {}; not checked {}",
                    self.checked.join(", "),
                    self.unchecked.join(", ")
                )
            ),
        )
    }
}

fn one(finding: &Finding) -> Outcome {
    let mut outcome = Outcome::ok("verify-chain")
        .text(finding.text())
        .field("stream_id", &finding.stream_id)
        .field("verdict", finding.verdict)
        .field("events", finding.events)
        .field("tip", finding.tip)
        .field("checked", &finding.checked)
        .field("unchecked", &finding.unchecked)
        .field("fault", &finding.fault);
    if let Some(refusal) = finding.refusal() {
        outcome.refuse(refusal);
    }
    outcome
}

fn all(findings: Vec<Finding>, lost: Vec<(String, Refusal)>) -> Outcome {
    let first = findings.iter().find(|finding| finding.fault.is_some());
    let verdict = first.map_or(Verdict::Valid, |finding| finding.verdict);
    let events = findings
        .iter()
        .fold(0_u64, |sum, finding| sum.saturating_add(finding.events));
    let mut text: String = findings.iter().map(Finding::text).collect();
    for (id, _) in &lost {
        text.push_str(&format!("{} {id}\n", paint(BAD, "LOST")));
    }
    let (names, reasons): (Vec<_>, Vec<_>) = lost.into_iter().unzip();
    let mut outcome = Outcome::ok("verify-chain")
        .text(text)
        .field("lost", names)
        .field("verdict", verdict)
        .field("events", events);
    if let Some((finding, refusal)) = first.and_then(|f| Some((f, f.refusal()?))) {
        outcome.refuse(Refusal {
            message: format!("stream `{}`, {}", finding.stream_id, refusal.message),
            ..refusal
        });
    } else if let Some(refusal) = reasons.into_iter().next() {
        outcome.refuse(refusal);
    }
    outcome.field("streams", findings)
}
