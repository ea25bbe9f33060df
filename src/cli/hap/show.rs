//! `permit hap show`, `gate verify|publish` and `dispute`: what one attestation proves by itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::args::{DisputeArgs, GateArgs, ShowArgs};
use super::commits::{Commits, read_blob, trusted_keys};
use super::request::read_text;
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, paint, safe};
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::Attestation;
use crate::engine::hap::authority::Registry;
use crate::engine::hap::authorize::gravest;
use crate::engine::hap::dispute::{Dispute, Outcome as Judgement};
use crate::engine::hap::hash::HashText;
use crate::engine::hap::profile::Gate;

pub(super) fn show(args: &ShowArgs) -> Result<Outcome, Refusal> {
    let attestation = Attestation::decode(&read_blob(&args.attestation)?)?;
    let payload = attestation.payload();
    let mut text = format!(
        "{} {}\n{} {}\n{} {}\n{} {}\n",
        paint(DIM, "attestation"),
        attestation.hash(),
        paint(DIM, "profile"),
        safe(&payload.profile_id),
        paint(DIM, "frame"),
        payload.frame_hash,
        paint(DIM, "context"),
        payload.execution_context_hash,
    );
    for resolved in &payload.resolved_domains {
        text.push_str(&format!(
            "{} {} by {} in {}\n",
            paint(DIM, "domain"),
            safe(&resolved.domain),
            safe(&resolved.did),
            safe(&resolved.env)
        ));
    }
    for gate in Gate::ALL {
        let hash = payload.gate_content_hashes.of(gate);
        text.push_str(&format!("{} {hash}\n", paint(DIM, gate.key())));
    }
    text.push_str(&format!(
        "{} {} until {}\n",
        paint(DIM, "issued"),
        payload.issued_at,
        payload.expires_at
    ));
    let mut outcome = Outcome::ok("hap.show")
        .field("payload", attestation.value())
        .field("attestation_hash", attestation.hash())
        .field("frame_hash", payload.frame_hash)
        .field("execution_context_hash", payload.execution_context_hash)
        .field("gate_content_hashes", payload.gate_content_hashes);
    if args.trust.sp_key.is_empty() {
        outcome.set("signature", "unchecked");
    } else {
        let trusted = trusted_keys(&args.trust.sp_key)?;
        match attestation.verify(&trusted, None) {
            Ok(verified) => {
                outcome.set("signature", "valid");
                text.push_str(&format!(
                    "{} by {}\n",
                    paint(GOOD, "signed"),
                    verified.key().did()
                ));
            }
            Err(refusal) => {
                outcome.set("signature", "invalid");
                outcome.refuse(refusal);
            }
        }
    }
    Ok(outcome.text(text))
}

/// The texts that were handed over, by gate.
fn read_texts(args: &GateArgs) -> Result<BTreeMap<Gate, Vec<u8>>, Refusal> {
    let files = [
        (Gate::Problem, &args.problem),
        (Gate::Objective, &args.objective),
        (Gate::Tradeoffs, &args.tradeoffs),
    ];
    let mut texts = BTreeMap::new();
    for (gate, path) in files {
        if let Some(path) = path {
            texts.insert(gate, read_text(path)?);
        }
    }
    Ok(texts)
}

pub(super) fn verify_gates(args: &GateArgs) -> Result<Outcome, Refusal> {
    let attestation = Attestation::decode(&read_blob(&args.attestation)?)?;
    let texts = read_texts(args)?;
    Ok(compare("hap.gate.verify", &attestation, &texts))
}

/// Prints the owner's texts because the owner asked for it; nothing is written into the repository.
pub(super) fn publish_gates(args: &GateArgs) -> Result<Outcome, Refusal> {
    let attestation = Attestation::decode(&read_blob(&args.attestation)?)?;
    let texts = read_texts(args)?;
    let outcome = compare("hap.gate.publish", &attestation, &texts);
    if outcome.refusal.is_some() {
        return Ok(outcome);
    }
    let (mut published, mut shown) = (Map::new(), String::new());
    for (gate, text) in &texts {
        let text = String::from_utf8_lossy(text);
        shown.push_str(&format!(
            "{}\n{}\n",
            paint(DIM, gate.key()),
            safe_lines(&text)
        ));
        published.insert(gate.key().to_owned(), text.into());
    }
    Ok(outcome.field("published", published).text(shown))
}

/// Text for a terminal, with its lines kept.
fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

fn compare(
    command: &'static str,
    attestation: &Attestation,
    texts: &BTreeMap<Gate, Vec<u8>>,
) -> Outcome {
    let borrowed = texts
        .iter()
        .map(|(gate, text)| (*gate, text.as_slice()))
        .collect();
    let matches = attestation.payload().gate_content_hashes.matches(&borrowed);
    let (mut text, mut object) = (String::new(), Map::new());
    for (gate, fits) in &matches {
        let word = if *fits {
            paint(GOOD, "matches")
        } else {
            paint(BAD, "differs")
        };
        text.push_str(&format!("{word} {}\n", gate.key()));
        object.insert(gate.key().to_owned(), Value::Bool(*fits));
    }
    let mut outcome = Outcome::ok(command)
        .field("attestation_hash", attestation.hash())
        .field("match", object)
        .text(text);
    if let Some((gate, _)) = matches.iter().find(|(_, fits)| !**fits) {
        outcome.refuse(Refusal::new(
            Code::GateMismatch,
            format!(
                "the text of gate `{}` is not the one that was attested to",
                gate.key()
            ),
        ));
    }
    outcome
}

pub(super) fn dispute(session: &Session, args: &DisputeArgs) -> Result<Outcome, Refusal> {
    let commits = Commits::open(session, &args.commits.base, &args.commits.head)?;
    let repo = commits.repo(args.commits.repo.as_deref())?;
    let case = commits.case(&repo)?;
    let blob = read_blob(Path::new(&args.attestation))?;
    let frame_hash = |env: &str| -> Result<HashText, Refusal> { Ok(case.frame(env)?.hash()) };
    let judgement = Dispute {
        blob: &blob,
        at: args.at,
        repo: &repo,
        profile: &case.profile,
        execution_path: &case.declaration.execution_path,
        frame_hash: &frame_hash,
        execution_context_hash: case.context.hash(),
        trusted: &commits.trusted(&args.trust.sp_key)?,
        owners: &commits.owners(),
        registry: &Registry::read(commits.registry()?.found()),
    }
    .judge();
    let outcome = Outcome::ok("hap.dispute")
        .field("attestation_hash", HashText::of(blob.as_bytes()))
        .field("at", args.at);
    Ok(match judgement {
        Judgement::Stands(held) => {
            let why: Vec<Value> = held
                .iter()
                .map(|held| json!({"code": Code::Ok, "message": held}))
                .collect();
            let mut lines = String::new();
            for held in &held {
                lines.push_str(&format!("  {}\n", safe(held)));
            }
            outcome
                .field("outcome", "stands")
                .field("why", why)
                .text(format!("{}\n{lines}", paint(GOOD, "stands")))
        }
        Judgement::Void(reasons) => void(outcome, &reasons),
    })
}

fn void(outcome: Outcome, reasons: &[Refusal]) -> Outcome {
    let why: Vec<Value> = reasons
        .iter()
        .map(|reason| json!({"code": reason.code, "message": reason.message}))
        .collect();
    let mut lines = String::new();
    for reason in reasons {
        let message = safe(&reason.message);
        lines.push_str(&format!("  {} {message}\n", reason.code.name()));
    }
    let mut outcome = outcome
        .field("outcome", "void")
        .field("why", why)
        .text(format!("{}\n{lines}", paint(BAD, "void")));
    let gravest = gravest(reasons.iter().map(|reason| reason.code));
    if let Some(reason) = reasons.iter().find(|reason| reason.code == gravest) {
        outcome.refuse(reason.clone());
    }
    outcome
}
