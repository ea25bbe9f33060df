//! `permit review new`: an unsigned review of a request, written into the work tree.

use std::path::Path;

use super::super::hap::read_blob;
use super::super::manifest::MANIFESTS;
use super::super::outcome::Outcome;
use super::super::render::{DIM, paint, safe};
use super::super::review_args::ReviewNewArgs;
use super::super::session::{Governed, MAX_GOVERNED, Session};
use super::super::stream::Stream;
use super::super::work_folder::WorkFolder;
use super::super::{fault, files};
use crate::engine::canonical;
use crate::engine::code::{Code, Refusal};
use crate::engine::evaluate::{Decision, ReviewNeed, evaluate};
use crate::engine::policy::{AttestedTerms, ReviewType};
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::review::{
    Anchor, Artifact, Condition, Draft, Manifest, PRINCIPALS_PATH, PrincipalKind, Reviewer, Scope,
    scope_address,
};

pub(super) fn run(session: &Session, args: &ReviewNewArgs) -> Result<Outcome, Refusal> {
    let root = session.work_tree()?;
    let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
    let governed = session.govern_at(args.at.as_deref())?;
    let need = match evaluate(&request, &governed.policy)? {
        Decision::NeedsReview(need) => need,
        Decision::Granted(grant) => {
            let severity = grant.mapping().final_severity.word();
            return Err(Refusal::new(
                Code::ReviewNotRequired,
                format!("the policy maps the request to `{severity}`, not to `review`"),
            ));
        }
    };
    let attestations = attestations(args, &need)?;
    if !args.test_scope {
        refuse_programs(args)?;
    }
    let artifact = draft(session, args, &request, &need, attestations)?;
    let path = need.path();
    let folder = WorkFolder::open(session)?;
    refuse_to_lose(&folder, &path, &governed)?;
    folder.write(&path, &artifact.to_file()?)?;

    let document = artifact.document();
    let mut text = format!("{}\n{}\n", document.review_id, paint(DIM, &safe(&path)));
    for signer in &document.cross_signers {
        text.push_str(&format!("  to be signed by {}\n", safe(signer)));
    }
    for hash in artifact.attestation_hashes().iter().flatten() {
        text.push_str(&format!("  attested by {hash}\n"));
    }
    let next = match document.cross_signers.first() {
        Some(signer) => format!(
            "permit review sign {} --as {signer} --key FILE",
            document.review_id
        ),
        None => format!(
            "permit review check {} --draft --request FILE",
            document.review_id
        ),
    };
    let mut outcome = Outcome::ok("review.new")
        .field("review_id", document.review_id)
        .field("path", path)
        .field("cross_signers", &document.cross_signers)
        .field("anchor", &document.anchor)
        .next(next)
        .text(text);
    outcome.warnings = warnings(root, &governed, &artifact, need.asks)?;
    Ok(outcome)
}

/// Reads the attestations where the review type asks for them; refuses them, or their absence, where they do not fit it.
fn attestations(
    args: &ReviewNewArgs,
    need: &ReviewNeed<'_>,
) -> Result<Option<Vec<String>>, Refusal> {
    let given = !args.attestations.is_empty();
    match need.asks {
        ReviewType::Signers(_) if given => Err(fault::input(format!(
            "a review of type `{}` asks for signatures, not for attestations",
            need.review_type
        ))),
        ReviewType::Signers(_) => Ok(None),
        ReviewType::Attestations(AttestedTerms { attestations, .. }) if !given => Err(fault::input(format!(
            "a review of type `{}` asks for attestations of the profile `{}`, not for signatures",
            need.review_type, attestations.profile
        ))
        .next(
            "name one blob for each required domain with `--attestation`, in the profile's order",
        )),
        ReviewType::Attestations(_) => args
            .attestations
            .iter()
            .map(|path| read_blob(path))
            .collect::<Result<_, _>>()
            .map(Some),
    }
}

fn draft(
    session: &Session,
    args: &ReviewNewArgs,
    request: &Request,
    need: &ReviewNeed<'_>,
    attestations: Option<Vec<String>>,
) -> Result<Artifact, Refusal> {
    let at = Stream::new(session, &args.stream)?.existing_tip()?;
    let conditions = args
        .conditions
        .iter()
        .map(|text| {
            canonical::from_slice::<Condition>(text.as_bytes()).map_err(|fault| {
                Refusal::new(
                    Code::InvalidReview,
                    format!("the condition `{text}` is malformed at {fault}"),
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let mut cross_signers = args.cross_signers.clone();
    if !args.test_scope {
        // The reviewer is one of the signers, always.
        cross_signers.push(args.reviewer.clone());
    }
    cross_signers.sort();
    cross_signers.dedup();
    Artifact::draft(Draft {
        review_type: need.review_type.to_owned(),
        policy_hash: need.mapping.policy_hash,
        request_fingerprint: need.mapping.request_fingerprint,
        scope: if args.test_scope {
            Scope::TestScope
        } else {
            Scope::Production
        },
        scope_address: scope_address(&request.capability, &request.target),
        anchor: Anchor {
            stream_id: at.tip.stream_id,
            sequence: at.tip.sequence,
            event_hash: at.tip.event_hash,
        },
        manifest_envelope_id: args
            .manifest
            .parse()
            .map_err(|error| fault::id("manifest", error, MANIFESTS))?,
        verdict: args.verdict.into(),
        conditions,
        reviewer: Reviewer {
            principal: args.reviewer.clone(),
            role: args.role.into(),
        },
        cross_signers,
        reason: args.reason.clone(),
        attestations,
    })
}

/// Refuses a review that no human stands behind; only for tests one can be made.
fn refuse_programs(args: &ReviewNewArgs) -> Result<(), Refusal> {
    let is_program = |id: &&String| {
        matches!(
            PrincipalKind::of_id(id),
            Some(PrincipalKind::AutomatedAgent | PrincipalKind::Service)
        )
    };
    match [&args.reviewer]
        .into_iter()
        .chain(&args.cross_signers)
        .find(is_program)
    {
        None => Ok(()),
        Some(id) => Err(Refusal::new(
            Code::ReviewAgentForbidden,
            format!("`{id}` is neither a human nor an organization"),
        )),
    }
}

/// Refuses to overwrite a file that no commit holds.
fn refuse_to_lose(folder: &WorkFolder, path: &str, governed: &Governed<'_>) -> Result<(), Refusal> {
    let limit = usize::try_from(MAX_GOVERNED).unwrap_or(usize::MAX);
    let Some(present) = folder.read(path, limit)? else {
        return Ok(());
    };
    let committed = governed.snapshot.file(path, MAX_GOVERNED).ok().flatten();
    if committed.is_some_and(|blob| blob.bytes == present) {
        return Ok(());
    }
    Err(fault::input(format!(
        "`{path}` is in the work tree and not in the governed commit"
    ))
    .next(format!("finish that review, or remove {path}")))
}

fn warnings(
    root: &Path,
    governed: &Governed<'_>,
    artifact: &Artifact,
    asks: &ReviewType,
) -> Result<Vec<String>, Refusal> {
    let document = artifact.document();
    let mut warnings = Vec::new();
    let humans = document
        .cross_signers
        .iter()
        .filter(|id| PrincipalKind::of_id(id) == Some(PrincipalKind::Human))
        .count();
    let asks_people = matches!(asks, ReviewType::Signers(_));
    if let ReviewType::Signers(terms) = asks {
        let asked = terms.min_cross_signers.max(2);
        if u32::try_from(humans).is_ok_and(|humans| humans < asked) {
            warnings.push(format!(
                "{asked} distinct humans have to sign, and {humans} are listed"
            ));
        }
    }
    let manifest = Manifest::path_of(document.manifest_envelope_id);
    let committed = governed.snapshot.file(&manifest, MAX_GOVERNED);
    let committed = committed.map_err(fault::governed(Code::InvalidManifest))?;
    if committed.is_none() && !root.join(&manifest).is_file() {
        warnings.push(format!(
            "`{manifest}` is neither in the governed commit nor in the work tree"
        ));
    }
    if asks_people && governed.snapshot.entry(PRINCIPALS_PATH)?.is_none() {
        warnings.push(format!(
            "the governed commit holds no `{PRINCIPALS_PATH}`, so that nobody's signature counts: commit the table first, in a change of its own"
        ));
    }
    if document.scope == Scope::TestScope {
        warnings.push("a review of scope `test_scope` never passes".to_owned());
    }
    Ok(warnings)
}
