//! `permit hap stream append|verify`: a project's decision stream.

use std::io::Read as _;
use std::path::Path;

use serde_json::json;

use super::args::{StreamAppendArgs, StreamVerifyArgs};
use super::clock::Now;
use super::commits::{Commits, held, read_blob, snapshot_at, trusted_keys};
use super::key;
use super::ledger::Ledger;
use crate::cli::outcome::Outcome;
use crate::cli::progress::Progress;
use crate::cli::render::{BAD, DIM, GOOD, paint, safe};
use crate::cli::session::{Act, Session};
use crate::cli::{fault, files};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::{MAX_BLOB, StreamLink};
use crate::engine::hap::key::ProviderSecret;
use crate::engine::hap::providers::{self, TrustedProviders};
use crate::engine::hap::record::{Record, STREAMS, read_registration};
use crate::engine::hap::stream::{Fault, Registration, Tip, Verifier, in_order};
use crate::engine::text::stream_id_fault;
use crate::git::CommitId;

/// The longest line of an exchanged stream, in bytes.
const MAX_LINE: usize = MAX_BLOB;

fn ledger<'s>(session: &'s Session, project: &str) -> Result<Ledger<'s>, Refusal> {
    if let Some(what) = stream_id_fault(project) {
        return Err(fault::input(format!(
            "the project id `{}` {what}",
            project.escape_debug()
        )));
    }
    Ledger::new(session, &format!("{STREAMS}{project}"))
}

/// Goes to where a stream stands: reads and verifies its last registration, and no other.
fn resume<'k>(
    ledger: &Ledger<'_>,
    tip: Option<CommitId>,
    project: &str,
    trusted: &'k TrustedProviders,
) -> Result<Verifier<'k>, Refusal> {
    let Some(tip) = tip else {
        return Ok(Verifier::new(project, trusted));
    };
    let commit = ledger.read(tip)?;
    let last = read_registration(commit.message(), commit.time())?;
    Verifier::after(project, trusted, &last).map_err(refusal)
}

/// The place that the next attestation of a project takes.
pub(super) fn next_link(
    commits: &Commits<'_>,
    project: &str,
    secret: &ProviderSecret,
) -> Result<StreamLink, Refusal> {
    let ledger = ledger(commits.session, project)?;
    let trusted = commits
        .trusted(&[])
        .or_else(none_if_missing)?
        .and_key(secret.public());
    Ok(resume(&ledger, ledger.tip()?, project, &trusted)?.next_link())
}

/// A file that is not there trusts nobody; one that is there and invalid is still an error.
fn none_if_missing(refusal: Refusal) -> Result<TrustedProviders, Refusal> {
    if refusal.code == Code::AuthorizationSourceMissing {
        Ok(TrustedProviders::default())
    } else {
        Err(refusal)
    }
}

/// The keys that count for a stream: those named, or else the file of a governed commit.
fn trusted(
    session: &Session,
    keys: &[String],
    at: Option<&str>,
) -> Result<TrustedProviders, Refusal> {
    if !keys.is_empty() {
        return trusted_keys(keys);
    }
    let snapshot = snapshot_at(session, at)?;
    TrustedProviders::read(held(&snapshot, providers::PATH)?.found())
}

pub(super) fn append(session: &Session, args: &StreamAppendArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Supervise)?;
    let ledger = ledger(session, &args.project)?;
    let signing = args.attestation.as_deref().zip(args.sp_key_file.as_deref());
    let (registration, trusted) = if let Some((attestation, key_file)) = signing {
        sign(session, args, attestation, key_file)?
    } else {
        let path = args.registration.as_deref().unwrap_or(Path::new("-"));
        let trusted = trusted(session, &args.trust.sp_key, args.at.as_deref())?;
        (read_record(path)?, trusted)
    };
    let (commit, at) = ledger.append(|tip| {
        let mut verifier = resume(&ledger, tip, &args.project, &trusted)?;
        verifier.push(&registration).map_err(refusal)?;
        let at = verifier.finish().map_err(refusal)?;
        Ok((Record::of_registration(&registration)?, at))
    })?;
    Ok(Outcome::ok("hap.stream.append")
        .field("project", &args.project)
        .field("sequence", at.sequence)
        .field("head", at.head)
        .field("registered_at", at.registered_at)
        .field("registration", &registration)
        .field("commit", commit.to_string())
        .text(format!(
            "{} {} #{} {}\n",
            paint(GOOD, "registered"),
            args.project,
            at.sequence,
            at.head
        )))
}

/// Registers an attestation now, with a key that is trusted at least for its own registrations.
fn sign(
    session: &Session,
    args: &StreamAppendArgs,
    attestation: &Path,
    key_file: &Path,
) -> Result<(Registration, TrustedProviders), Refusal> {
    let secret = key::read(key_file)?;
    let now = Now::of(&args.clock)?;
    let registration = Registration::sign(&read_blob(attestation)?, now.time, &secret)?;
    let trusted = trusted(session, &args.trust.sp_key, args.at.as_deref())
        .or_else(none_if_missing)?
        .and_key(secret.public());
    Ok((registration, trusted))
}

/// Reads a registration, bare or inside the result of `permit hap sp register`.
fn read_record(path: &Path) -> Result<Registration, Refusal> {
    let bytes = files::read(path, MAX_LINE)?;
    let value = crate::engine::canonical::parse(&bytes)
        .map_err(|fault| fault::input(format!("the registration is malformed: {fault}")))?;
    match value.at("registration") {
        Some(inner) => Registration::parse(&crate::engine::canonical::to_bytes(inner)),
        None => Registration::parse(&bytes),
    }
}

pub(super) fn verify_ref(session: &Session, args: &StreamVerifyArgs) -> Result<Outcome, Refusal> {
    let project = args.project.as_deref().unwrap_or_default();
    let ledger = ledger(session, project)?;
    let trusted = trusted(session, &args.trust.sp_key, args.at.as_deref())?;
    let mut verifier = Verifier::new(project, &trusted);
    let progress = Progress::new("verifying", None);
    for commit in ledger.commits()? {
        progress.step();
        let found = ledger.read(commit)?;
        let step = read_registration(found.message(), found.time())
            .map_err(|refusal| Fault {
                code: refusal.code,
                sequence: verifier.tip().map(|tip| tip.sequence.saturating_add(1)),
                detail: refusal.message,
            })
            .and_then(|registration| verifier.push(&registration));
        if let Err(fault) = step {
            return Ok(broken(project, verifier.tip(), &fault));
        }
    }
    Ok(finish(project, verifier))
}

pub(super) fn verify_lines(path: &Path, keys: &[String]) -> Result<Outcome, Refusal> {
    let trusted = trusted_keys(keys)?;
    let mut bytes = Vec::new();
    files::open(path)?
        .read_to_end(&mut bytes)
        .map_err(|error| fault::io(path, &error))?;
    let registrations = read_lines(&bytes);
    let project = match &registrations {
        Ok(list) => list
            .first()
            .and_then(|first| first.claimed_link().ok())
            .map(|link| link.project_id)
            .unwrap_or_default(),
        Err(_) => String::new(),
    };
    let mut verifier = Verifier::new(&project, &trusted);
    let walked = registrations
        .and_then(in_order)
        .and_then(|list| list.iter().try_for_each(|one| verifier.push(one)));
    Ok(match walked {
        Ok(()) => finish(&project, verifier),
        Err(fault) => broken(&project, verifier.tip(), &fault),
    })
}

/// Reads one registration a line; lines end at 0x0A only, and a blank one is malformed.
fn read_lines(bytes: &[u8]) -> Result<Vec<Registration>, Fault> {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    lines
        .split(|byte| *byte == b'\n')
        .map(|line| {
            Registration::parse(line).map_err(|refusal| Fault {
                code: refusal.code,
                sequence: None,
                detail: refusal.message,
            })
        })
        .collect()
}

fn finish(project: &str, verifier: Verifier<'_>) -> Outcome {
    match verifier.finish() {
        Ok(tip) => result(project, Some(tip))
            .field("verdict", "VALID")
            .field("fault", json!(null))
            .text(format!(
                "{} {} registrations of `{}`\n{} {}\n",
                paint(GOOD, "VALID"),
                tip.sequence,
                safe(project),
                paint(DIM, "head"),
                tip.head
            )),
        Err(fault) => broken(project, None, &fault),
    }
}

fn broken(project: &str, tip: Option<Tip>, fault: &Fault) -> Outcome {
    let shown = json!({"code": fault.code, "sequence": fault.sequence, "detail": fault.detail});
    let mut outcome = result(project, tip)
        .field("verdict", "BROKEN")
        .field("fault", shown)
        .text(format!("{} `{}`\n", paint(BAD, "BROKEN"), safe(project)));
    outcome.refuse(refusal(fault.clone()));
    outcome
}

fn result(project: &str, tip: Option<Tip>) -> Outcome {
    Outcome::ok("hap.stream.verify")
        .field("project", project)
        .field("length", tip.map_or(0, |tip| tip.sequence))
        .field("head", tip.map(|tip| tip.head))
}

fn refusal(fault: Fault) -> Refusal {
    let refusal = Refusal::new(fault.code, fault.detail);
    match fault.sequence {
        Some(sequence) => refusal.detail("sequence", sequence.to_string()),
        None => refusal,
    }
}
