//! `permit hap authorize` and `frame-authorize`: the executor's decision, from proofs alone.

use std::path::Path;

use serde_json::{Value, json};

use super::args::{AuthorizeArgs, FrameAuthorizeArgs};
use super::clock::Now;
use super::commits::{Commits, Held, read_blob, trusted_keys};
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, WARN, paint, safe};
use crate::cli::session::Session;
use crate::cli::{fault, files};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::{Attestation, MAX_BLOB};
use crate::engine::hap::authorize::{Clock, Objection, Question, Verdict, authorize, frame_of};
use crate::engine::hap::context::ExecutionContext;
use crate::engine::hap::execution::ExecutionRequest;
use crate::engine::hap::hash::HashText;
use crate::engine::hap::owners;
use crate::engine::hap::profile::Profile;

/// The largest execution request, in bytes.
const MAX_EXECUTION_REQUEST: usize = 64 << 20;

/// What was computed on the way to a verdict, as far as it got.
#[derive(Default)]
struct Computed {
    profile: Option<String>,
    frame_hash: Option<HashText>,
    context_hash: Option<HashText>,
    warnings: Vec<String>,
}

pub(super) fn run(
    session: &Result<Session, Refusal>,
    args: &AuthorizeArgs,
) -> Result<Outcome, Refusal> {
    let now = Now::of(&args.clock)?;
    let mut computed = Computed::default();
    let verdict = session
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|session| decide(session, args, now, &mut computed))
        .unwrap_or_else(Verdict::refused);
    let mut outcome = show("hap.authorize", &verdict, &computed, now);
    if let Ok(session) = session {
        session.say(&mut outcome);
    }
    Ok(outcome)
}

fn decide(
    session: &Session,
    args: &AuthorizeArgs,
    now: Now,
    computed: &mut Computed,
) -> Result<Verdict, Refusal> {
    session.decide()?;
    let asked = match &args.head {
        Some(head) => Asked {
            head: head.clone(),
            repo: args.repo.clone(),
            env: args.env.clone().unwrap_or_default(),
            attestations: read_blobs(&args.attestation)?,
            request: None,
        },
        None => Asked::read()?,
    };
    let commits = Commits::open(session, &args.base, &asked.head)?;
    let repo = commits.repo(asked.repo.as_deref())?;
    let case = commits.case(&repo)?;
    computed.profile = Some(case.profile.id.clone());
    computed.context_hash = Some(case.context.hash());
    computed.warnings = commits.warnings(&case)?;
    if let Some(request) = &asked.request {
        request.check(&case.profile, &case.context)?;
    }
    let frame = case.frame(&asked.env)?;
    computed.frame_hash = Some(frame.hash());
    let verdict = authorize(&Question {
        profile: &case.profile,
        frame: &frame,
        context_hash: computed.context_hash,
        trusted: &commits.trusted(&args.trust.sp_key)?,
        attestations: &asked.attestations,
        clock: Clock::At(now.time),
    });
    match commits.at_tip()? {
        Some(tip) if verdict.is_approved() => {
            let withdrawn = of_tip(&commits, &tip, args, &asked, &repo, now)
                .map_err(|refusal| tip.of_tip(refusal))?;
            Ok(withdrawn.unwrap_or(verdict))
        }
        _ => Ok(verdict),
    }
}

/// What the governed tip makes of an action that the base authorizes: nothing, or why it no longer is authorized.
fn of_tip(
    base: &Commits<'_>,
    tip: &Commits<'_>,
    args: &AuthorizeArgs,
    asked: &Asked,
    repo: &str,
    now: Now,
) -> Result<Option<Verdict>, Refusal> {
    let case = tip.case(repo)?;
    let frame = case.frame(&asked.env)?;
    let (mut counted, mut withdrawn) = (asked.attestations.clone(), None);
    if matches!(base.at_base(owners::PATH)?, Held::File(_)) {
        let (owners, _) = tip.owners()?;
        let required = case.required_domains()?;
        counted.retain(|blob| {
            let gone = Attestation::decode(blob).ok().and_then(|attestation| {
                let resolved = &attestation.payload().resolved_domains;
                let gone = resolved.iter().find(|resolved| {
                    required.contains(&resolved.domain)
                        && !owners.owns(&resolved.did, &resolved.domain)
                });
                gone.cloned()
            });
            let stays = gone.is_none();
            withdrawn = withdrawn.take().or(gone);
            stays
        });
    }
    let verdict = authorize(&Question {
        profile: &case.profile,
        frame: &frame,
        context_hash: Some(case.context.hash()),
        trusted: &tip.trusted(&args.trust.sp_key)?,
        attestations: &counted,
        clock: Clock::At(now.time),
    });
    match withdrawn {
        _ if verdict.is_approved() => Ok(None),
        Some(gone) => Err(Refusal::new(
            Code::ScopeInsufficient,
            format!("`{}` no longer owns `{}`", gone.did, gone.domain),
        )),
        None => Ok(Some(verdict)),
    }
}

/// What the caller asks, by options or as the request of section 8.1.
struct Asked {
    head: String,
    repo: Option<String>,
    env: String,
    attestations: Vec<String>,
    request: Option<ExecutionRequest>,
}

impl Asked {
    fn read() -> Result<Self, Refusal> {
        let bytes = files::read(Path::new("-"), MAX_EXECUTION_REQUEST)?;
        let request = ExecutionRequest::parse(&bytes)?;
        let params = request.action.params.clone();
        if !crate::engine::hap::names::is_sha(&params.sha) {
            return Err(Refusal::new(
                Code::ExecutionContextViolation,
                "the request's `sha` is no full commit id",
            ));
        }
        Ok(Self {
            head: params.sha,
            repo: Some(params.repo),
            env: params.env,
            attestations: request.attestations.clone(),
            request: Some(request),
        })
    }
}

pub(super) fn frame(args: &FrameAuthorizeArgs) -> Result<Outcome, Refusal> {
    let now = Now::of(&args.clock)?;
    let mut computed = Computed::default();
    let verdict = decide_frame(args, now, &mut computed).unwrap_or_else(Verdict::refused);
    Ok(show("hap.frame-authorize", &verdict, &computed, now))
}

fn decide_frame(
    args: &FrameAuthorizeArgs,
    now: Now,
    computed: &mut Computed,
) -> Result<Verdict, Refusal> {
    let profile = Profile::parse(&files::read(&args.profile, MAX_BLOB)?)?;
    computed.profile = Some(profile.id.clone());
    let text = if args.frame.trim_start().starts_with('{') {
        args.frame.clone().into_bytes()
    } else {
        files::read(Path::new(&args.frame), MAX_BLOB)?
    };
    let frame = frame_of(&profile, &text)?;
    computed.frame_hash = Some(frame.hash());
    if let Some(path) = &args.context {
        let context = ExecutionContext::parse(&profile, &files::read(path, MAX_BLOB)?)?;
        context.check_frame(&frame)?;
        computed.context_hash = Some(context.hash());
    }
    Ok(authorize(&Question {
        profile: &profile,
        frame: &frame,
        context_hash: computed.context_hash,
        trusted: &trusted_keys(&args.sp_key)?,
        attestations: &read_blobs(&args.attestation)?,
        clock: Clock::At(now.time),
    }))
}

fn read_blobs(paths: &[std::path::PathBuf]) -> Result<Vec<String>, Refusal> {
    if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(fault::input("standard input can be read only once"));
    }
    paths.iter().map(|path| read_blob(path)).collect()
}

fn show(command: &'static str, verdict: &Verdict, computed: &Computed, now: Now) -> Outcome {
    let notes = computed.warnings.iter().map(
        |warning| json!({"code": null, "domain": null, "attestation": null, "message": warning}),
    );
    let warnings: Vec<Value> = verdict
        .warnings
        .iter()
        .map(objection)
        .chain(notes)
        .collect();
    let mut text = String::new();
    if verdict.is_approved() {
        text.push_str(&format!("{}\n", paint(GOOD, "authorized")));
    } else {
        text.push_str(&format!("{}\n", paint(BAD, "not authorized")));
    }
    for (name, hash) in [
        ("frame_hash", computed.frame_hash),
        ("execution_context_hash", computed.context_hash),
    ] {
        if let Some(hash) = hash {
            text.push_str(&format!("{} {hash}\n", paint(DIM, name)));
        }
    }
    for domain in &verdict.verified_domains {
        text.push_str(&format!("{} {}\n", paint(GOOD, "verified"), safe(domain)));
    }
    for error in &verdict.errors {
        text.push_str(&line(&paint(BAD, error.code.name()), error));
    }
    for warning in &verdict.warnings {
        text.push_str(&line(&paint(WARN, warning.code.name()), warning));
    }
    for warning in &computed.warnings {
        text.push_str(&format!("{} {}\n", paint(WARN, "warning"), safe(warning)));
    }
    text.push_str(&now.line());
    let errors: Vec<Value> = verdict.errors.iter().map(objection).collect();
    let mut outcome = Outcome::ok(command)
        .field("approved", verdict.is_approved())
        .field("frame_hash", computed.frame_hash)
        .field("execution_context_hash", computed.context_hash)
        .field("verified_domains", &verdict.verified_domains)
        .field("profile", &computed.profile)
        .field("attestation_hashes", &verdict.evidence)
        .field("errors", errors)
        .field("warnings", warnings)
        .text(text);
    if let Some(refusal) = verdict.refusal() {
        outcome.refuse(refusal);
    }
    now.show(outcome)
}

fn objection(objection: &Objection) -> Value {
    json!({
        "code": objection.code,
        "domain": objection.domain,
        "attestation": objection.attestation,
        "message": objection.message,
    })
}

fn line(word: &str, objection: &Objection) -> String {
    let place = objection
        .attestation
        .map(|index| format!(" (attestation {index})"))
        .unwrap_or_default();
    format!("{word} {}{place}\n", safe(&objection.message))
}
