//! `permit hap attest`: the Service Provider verifies identity and authority, signs, logs, publishes and prints.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::json;

use super::args::AttestArgs;
use super::clock::Now;
use super::commits::{Case, Commits};
use super::context::shown;
use super::ledger::Ledger;
use super::request::heed;
use super::{key, stream};
use crate::cli::files;
use crate::cli::outcome::Outcome;
use crate::cli::render::{DIM, GOOD, WARN, note, paint, safe};
use crate::cli::session::{Act, Session};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::StreamLink;
use crate::engine::hap::authority::Registry;
use crate::engine::hap::guides::{Facts, Finding, examine};
use crate::engine::hap::identity::{self, AllowedSigners, Identity};
use crate::engine::hap::owners::Origin;
use crate::engine::hap::provider::{Clearance, Commitment, Inquiry, Issued, check_commitment};
use crate::engine::hap::record::{ATTESTATIONS, LOG, Record};
use crate::engine::hap::request::AttestRequest;
use crate::engine::request::MAX_REQUEST;
use crate::git::CommitId;

/// Tells whether somebody could be asked for the explicit trigger that the arguments lack.
pub(crate) fn can_be_triggered(args: &AttestArgs) -> bool {
    args.commit || (io::stdin().is_terminal() && io::stderr().is_terminal())
}

pub(super) fn run(session: &Session, args: &AttestArgs) -> Result<Outcome, Refusal> {
    issue(session, args).or_else(|refusal| {
        let error = json!({"code": refusal.code, "domain": null, "message": refusal.message});
        Ok(Outcome::refused("hap.attest", refusal).field("errors", [error]))
    })
}

fn issue(session: &Session, args: &AttestArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Supervise)?;
    session.decide()?;
    let now = Now::of(&args.clock)?;
    let bytes = files::read(&args.request, MAX_REQUEST)?;
    let request = AttestRequest::parse(&bytes)?;
    let action = &args.action;
    let commits = Commits::open(session, &action.commits.base, &action.commits.head)?;
    let repo = commits.repo(action.commits.repo.as_deref())?;
    let case = commits.case(&repo);
    if let Ok(case) = &case {
        note(shown(case).trim_end());
        note(&format!("{} {}", paint(DIM, "env"), safe(&action.env)));
        for warning in commits.warnings(case)? {
            note(&format!("{}: {}", paint(WARN, "warning"), safe(&warning)));
        }
    }
    let (clearance, findings) = clear(&commits, args, &request, &bytes, &repo, &case, now)?;
    heed(&findings)?;
    let tip = commits.at_tip()?;
    if let Some(tip) = &tip {
        let case = tip.case(&repo);
        clear(tip, args, &request, &bytes, &repo, &case, now)
            .map_err(|refusal| tip.of_tip(refusal))?;
    }
    let secret = key::read(&args.sp_key_file)?;
    confirm(args, &request)?;
    let link = match &args.project {
        Some(project) => Some(stream::next_link(&commits, project, &secret)?),
        None => None,
    };
    let issued = clearance.issue(&secret, link.as_ref())?;
    let recorded = record(session, commits.head, &issued)?;
    let trusted = std::iter::once(&commits).chain(&tip).all(|commits| {
        let trusted = commits.trusted(&[]);
        trusted.is_ok_and(|trusted| trusted.trusts(secret.public(), now.time))
    });
    Ok(now.show(show(&issued, &clearance, link, &recorded, trusted, args)))
}

/// Gathers what the provider has to know, applies the guides, and asks the engine.
fn clear(
    commits: &Commits<'_>,
    args: &AttestArgs,
    request: &AttestRequest,
    bytes: &[u8],
    repo: &str,
    case: &Result<Case, Refusal>,
    now: Now,
) -> Result<(Clearance, Vec<Finding>), Refusal> {
    let env = &args.action.env;
    let commitment = case.as_ref().map_err(Clone::clone).and_then(|case| {
        commits.check_profile_unchanged(&case.profile.id)?;
        Ok(Commitment {
            declaration: case.declaration.clone(),
            env: env.clone(),
            frame_hash: case.frame(env)?.hash(),
            execution_context_hash: case.context.hash(),
        })
    });
    let owners = commits.owners();
    let identity = identify(commits, args, request, bytes, now);
    let said = commitment
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|commitment| check_commitment(request, commitment));
    let inquiry = Inquiry {
        request,
        repo,
        now: now.time,
        registry: Registry::read(commits.registry()?.found()),
        profile: commits.profile(&request.profile_id),
        commitment,
        texts: None,
        identity,
        owners: owners.clone(),
    };
    let clearance = inquiry.clear();
    let findings = match case {
        Ok(case) => {
            let gates = request.gate_content_hashes.check_closed(&case.profile);
            examine(&Facts {
                did: Some(&request.did),
                owners: owners.as_ref().ok().map(|(owners, _)| owners),
                required_domains: case.required_domains()?,
                commitment: said.as_ref().copied(),
                gates: gates.as_ref().copied(),
                context: &case.context,
            })
        }
        Err(_) => Vec::new(),
    };
    let clearance = clearance.map_err(|refusal| {
        let same = |finding: &&Finding| finding.stop == Some(refusal.code);
        match findings.iter().find(same) {
            Some(finding) => refusal.detail("guide", finding.guide),
            None => refusal,
        }
    })?;
    Ok((clearance, findings))
}

fn identify(
    commits: &Commits<'_>,
    args: &AttestArgs,
    request: &AttestRequest,
    bytes: &[u8],
    now: Now,
) -> Result<Identity, Refusal> {
    if let Some(did) = &args.verified_did {
        return Identity::external(did);
    }
    let Some(path) = &args.signature else {
        return Err(Refusal::new(
            Code::IdentityUnverified,
            "neither an SSH signature nor an externally verified DID says who attests",
        ));
    };
    let signers = AllowedSigners::read(commits.at_base(identity::PATH)?.found())?;
    if request.to_bytes()? != bytes {
        return Err(Refusal::new(
            Code::IdentityUnverified,
            "the request is not in the canonical form that an owner signs",
        ));
    }
    let armored = files::read(path, MAX_REQUEST)?;
    let armored = String::from_utf8_lossy(&armored);
    signers.establish(&request.did, bytes, &armored, now.time)
}

/// Asks for the explicit trigger where the arguments do not hold it.
fn confirm(args: &AttestArgs, request: &AttestRequest) -> Result<(), Refusal> {
    if args.commit {
        return Ok(());
    }
    note(&format!(
        "{} attests for `{}` in `{}`. Type `commit` to sign:",
        safe(&request.did),
        safe(&request.domain),
        safe(&request.env)
    ));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim_end() == "commit" {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::GateUnresolved,
            "nobody committed, so nothing was signed",
        )
        .next("run it again and type `commit`, or pass `--commit`"))
    }
}

/// The commits that keep an attestation: in the log, and beside the commit that it is about.
struct Recorded {
    log: CommitId,
    attestation: CommitId,
}

/// Makes the issuance durable before anything is printed: first the log, which must hold everything that was signed.
fn record(session: &Session, head: CommitId, issued: &Issued) -> Result<Recorded, Refusal> {
    let (log, ()) = Ledger::new(session, LOG)?.append(|_| Ok((Record::of_issuance(issued), ())))?;
    let beside = Ledger::new(session, &format!("{ATTESTATIONS}{head}"))?;
    let of_attestation = Record::of_attestation(&issued.blob, &issued.attestation);
    let (attestation, ()) = beside.append(|_| Ok((of_attestation.clone(), ())))?;
    Ok(Recorded { log, attestation })
}

fn show(
    issued: &Issued,
    clearance: &Clearance,
    link: Option<StreamLink>,
    recorded: &Recorded,
    trusted: bool,
    args: &AttestArgs,
) -> Outcome {
    let hash = issued.attestation.hash();
    let payload = issued.attestation.payload();
    let evidence = if args.verified_did.is_some() {
        "external"
    } else {
        "ssh"
    };
    let mut outcome = Outcome::ok("hap.attest")
        .field("blob", &issued.blob)
        .field("attestation_hash", hash)
        .field("payload", issued.attestation.value())
        .field("identity", evidence)
        .field("expires_at", payload.expires_at)
        .field("stream", link)
        .field("log_commit", recorded.log.to_string())
        .field("attestation_commit", recorded.attestation.to_string())
        .field("errors", json!([]))
        .text(format!("{}\n", issued.blob))
        .summary(format!(
            "{} {hash}, valid until {}\n",
            paint(GOOD, "attested"),
            payload.expires_at
        ))
        .next("permit hap authorize --base REV --head REV --env ENV --attestation FILE");
    if clearance.origin() == Origin::FirstAdoption {
        outcome
            .warnings
            .push("first adoption: the owners were read from the head commit".to_owned());
    }
    if !trusted {
        outcome.warnings.push(
            "the base commit, or the governed tip, does not trust this provider's key: executors will refuse the attestation"
                .to_owned(),
        );
    }
    outcome
}
