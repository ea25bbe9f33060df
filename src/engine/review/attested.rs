//! Attestations beside signatures (hap.md, "Where HAP meets permits").
//!
//! The request names an action by its commits. The caller loads from them what an executor proxy computes (section 8.2);
//! here the proxy's decision is made on the artifact's blobs, with the clock stopped: nothing that is recorded may depend
//! on when somebody looked. Where something runs, the same decision is made again at a time.
//!
//! The reviewer signs such an artifact, an active human and not the request's actor: anchor, verdict, conditions, reason
//! and the payload of each attestation. The attestations decide, so that every one of them must hold, and none may be by
//! the request's actor.

use serde::Deserialize;

use super::super::canonical::{Fault, from_value};
use super::super::code::{Code, Refusal};
use super::super::digest::CommitSha;
use super::super::hap::attestation::{Attestation, Payload, ResolvedDomain};
use super::super::hap::authorize::{Clock, Question, authorize};
use super::super::hap::frame::{Frame, FrameKey};
use super::super::hap::hash::HashText;
use super::super::hap::profile::Profile;
use super::super::hap::providers::TrustedProviders;
use super::super::policy::AttestationTerms;
use super::super::request::Request;
use super::report::{Finding, NO_REQUEST};
use super::{ActionFact, Artifact};

/// The action that a request's context names: `{"hap": {"repo", "base", "head", "env"}}`.
///
/// Commits are named by their full ids, so that the same request is about the same commits for ever.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedAction {
    /// The forge's name of the repository, `owner/name`.
    pub repo: String,
    /// The commit that everything which confers trust is read from.
    pub base: CommitSha,
    /// The commit that is attested to.
    pub head: CommitSha,
    /// Where it is deployed to.
    pub env: String,
}

/// What the commits say that an action is.
#[derive(Debug, Clone)]
pub struct Action {
    /// The profile that the head declares, as the base defines it.
    pub profile: Profile,
    /// The action, for the environment that the request names.
    pub frame: Frame,
    /// The hash of its execution context.
    pub context_hash: HashText,
    /// The providers that the base trusts.
    pub trusted: TrustedProviders,
    /// Whether the commit that brings the artifact in comes after the head.
    pub landed_after_head: bool,
}

impl NamedAction {
    /// Reads the action that a request names.
    ///
    /// # Errors
    /// `INVALID_REQUEST` where its context names none, or not in exactly this form.
    pub fn of(request: &Request) -> Result<Self, Refusal> {
        let read = match request.context.get("hap") {
            None => Err(Fault::new("$", "missing field")),
            Some(named) => from_value(named),
        };
        read.map_err(|fault| {
            let fault = fault.within_member("hap").within_member("context");
            Refusal::new(
                Code::InvalidRequest,
                format!("the request does not name the action that is attested to: {fault}"),
            )
            .next("give its `context` a member `hap` of `repo`, `base`, `head` (full commit ids) and `env`")
        })
    }
}

impl Action {
    /// Decides whether blobs authorize the action; returns their hashes, in the order of the profile's domains.
    ///
    /// # Errors
    /// The reason of [`authorize`]; `PROFILE_NOT_FOUND`, `DOMAIN_SCOPE_MISMATCH`: the review type asks for another
    /// profile or environment; `EXECUTION_CONTEXT_VIOLATION`: the artifact landed before the head; `INVALID_REVIEW`:
    /// not one blob for each domain in the profile's order; `REVIEW_SELF_APPROVAL`: one is by the actor.
    pub fn assess(
        &self,
        blobs: &[String],
        terms: &AttestationTerms,
        actor: &str,
        clock: Clock,
    ) -> Result<Vec<HashText>, Refusal> {
        check_terms(&self.profile.id, self.frame.get(FrameKey::Env), terms)?;
        if !self.landed_after_head {
            return Err(Refusal::new(
                Code::ExecutionContextViolation,
                "the commit that brings the review in does not come after the head that is attested to",
            )
            .next("merge the head without squashing or rebasing it, then commit the review"));
        }
        let question = Question {
            profile: &self.profile,
            frame: &self.frame,
            context_hash: Some(self.context_hash),
            trusted: &self.trusted,
            attestations: blobs,
            clock,
        };
        let verdict = authorize(&question);
        if let Some(refusal) = verdict.refusal() {
            return Err(refusal);
        }
        if let Some(warning) = verdict.warnings.into_iter().next() {
            return Err(Refusal::new(warning.code, warning.message));
        }
        let required = question.required_domains()?;
        if blobs.len() != required.len() {
            return Err(out_of_order());
        }
        let mut hashes = Vec::with_capacity(blobs.len());
        for (blob, domain) in blobs.iter().zip(required) {
            let attestation = Attestation::decode(blob)?;
            let resolved = &attestation.payload().resolved_domains;
            let covers = |to: &ResolvedDomain| to.domain == *domain && to.env == terms.env;
            if !resolved.iter().any(covers) {
                return Err(out_of_order());
            }
            if resolved.iter().any(|resolved| resolved.did == actor) {
                return Err(Refusal::new(
                    Code::ReviewSelfApproval,
                    "the actor of the request attested to it",
                ));
            }
            hashes.push(attestation.hash());
        }
        Ok(hashes)
    }
}

/// Judges the attestations of an artifact; without the request, only what does not need it.
pub(super) fn judge(
    artifact: &Artifact,
    terms: &AttestationTerms,
    actor: Option<&str>,
    action: ActionFact<'_>,
) -> Finding {
    let blobs = artifact.document().attestations.as_deref();
    let blobs = blobs.unwrap_or_default();
    if let Err(refusal) = payloads_fit(artifact) {
        return Finding::Fails(refusal);
    }
    match (actor, action) {
        (None, _) => match forms(blobs, terms) {
            Ok(()) => Finding::Unchecked(NO_REQUEST),
            Err(refusal) => Finding::Fails(refusal),
        },
        (Some(_), ActionFact::Unknown) => Finding::Unchecked("the action was not looked for"),
        (Some(_), ActionFact::Invalid(refusal)) => Finding::Fails(refusal.clone()),
        (Some(actor), ActionFact::Known(action)) => action
            .assess(blobs, terms, actor, Clock::Stopped)
            .map(|_| ())
            .into(),
    }
}

/// Refuses a review whose signers signed for other payloads than those of its attestations.
fn payloads_fit(artifact: &Artifact) -> Result<(), Refusal> {
    let Some(signed) = &artifact.document().attestation_payloads else {
        return Ok(());
    };
    if artifact.payloads()? == *signed {
        return Ok(());
    }
    Err(Refusal::new(
        Code::InvalidReview,
        "`attestation_payloads` does not name the canonical payloads of the attestations, in their order",
    ))
}

/// Checks the form of each blob, and the profile and environment that it is for.
fn forms(blobs: &[String], terms: &AttestationTerms) -> Result<(), Refusal> {
    for blob in blobs {
        let attestation = Attestation::decode(blob)?;
        let Payload {
            profile_id,
            resolved_domains,
            ..
        } = attestation.payload();
        for resolved in resolved_domains {
            check_terms(profile_id, Some(&resolved.env), terms)?;
        }
    }
    Ok(())
}

fn check_terms(profile: &str, env: Option<&str>, terms: &AttestationTerms) -> Result<(), Refusal> {
    let other = |code, what: &str, asked: &str| {
        Err(Refusal::new(
            code,
            format!("the review type asks for another {what}: `{asked}`"),
        ))
    };
    if profile != terms.profile {
        return other(Code::ProfileNotFound, "profile", &terms.profile);
    }
    if env != Some(terms.env.as_str()) {
        return other(Code::DomainScopeMismatch, "environment", &terms.env);
    }
    Ok(())
}

fn out_of_order() -> Refusal {
    Refusal::new(
        Code::InvalidReview,
        "the review does not carry one attestation for each required domain, in the profile's order",
    )
}
