//! The executor proxy's decision: from proofs alone, without state and without a network (section 8.2).
//!
//! Each blob is taken through structure, signature, profile, frame, context and time, and yields at most its first
//! fault. Then each domain that the path requires must be covered, for this environment, by a blob that passed; then
//! the people behind the domains must be different ones. A blob that failed and is not needed is a warning.

use std::collections::BTreeSet;

use super::attestation::{Attestation, Verified};
use super::frame::{Frame, FrameKey, check_env};
use super::hash::HashText;
use super::profile::Profile;
use super::providers::TrustedProviders;
use crate::engine::canonical::{Value, parse};
use crate::engine::code::{Class, Code, Refusal};

/// Whether time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The decision is made at this time, in Unix seconds.
    At(i64),
    /// A record is being judged: lifetimes count, but not whether they have passed.
    Stopped,
}

/// What is to be decided, and the proofs.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The profile that the frame names.
    pub profile: &'a Profile,
    /// The action.
    pub frame: &'a Frame,
    /// The context that was computed from the repository; without one the blobs must at least agree on theirs.
    pub context_hash: Option<HashText>,
    /// The providers whose signatures count.
    pub trusted: &'a TrustedProviders,
    /// The attestation blobs, in the order in which they were given.
    pub attestations: &'a [String],
    /// Whether time counts.
    pub clock: Clock,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The required domains that are covered, in the profile's order.
    pub verified_domains: Vec<String>,
    /// Why the action is not authorized; empty exactly when it is.
    pub errors: Vec<Objection>,
    /// What is wrong and does not matter.
    pub warnings: Vec<Objection>,
    /// The attestation hash that stands for each required domain, in the profile's order; empty unless approved.
    pub evidence: Vec<HashText>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The reason.
    pub code: Code,
    /// The required domain that it is about.
    pub domain: Option<String>,
    /// The position of the blob that it is about, from 0.
    pub attestation: Option<usize>,
    /// What happened, in one line.
    pub message: String,
}

impl Verdict {
    /// Tells whether the action is authorized.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.errors.is_empty()
    }

    /// The verdict where the question could not even be put: no profile, no declaration, no trusted key.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            errors: vec![Objection::from(refusal)],
            ..Self::default()
        }
    }

    /// The code of the command: the first error of the gravest class, or `OK`.
    #[must_use]
    pub fn reason(&self) -> Code {
        gravest(self.errors.iter().map(|error| error.code))
    }

    /// The error that gives the command its reason; nothing where the action is authorized.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let reason = self.reason();
        let error = self.errors.iter().find(|error| error.code == reason)?;
        Some(Refusal::new(reason, error.message.clone()))
    }
}

impl From<Refusal> for Objection {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code,
            domain: None,
            attestation: None,
            message: refusal.message,
        }
    }
}

/// The first code of the gravest class; classes in the order unverified, invalid, refused, stale, pending.
#[must_use]
pub fn gravest(codes: impl IntoIterator<Item = Code>) -> Code {
    let rank = |code: Code| match code.class() {
        Class::Failed | Class::Usage | Class::Moved => 0_u8,
        Class::Unverified => 1,
        Class::Invalid => 2,
        Class::Refused => 3,
        Class::Stale => 4,
        Class::Pending => 5,
        Class::Ok => 6,
    };
    codes
        .into_iter()
        .min_by_key(|code| rank(*code))
        .unwrap_or(Code::Ok)
}

/// Decides.
#[must_use]
pub fn authorize(question: &Question<'_>) -> Verdict {
    match question.required_domains() {
        Ok(required) => question.decide(required),
        Err(refusal) => Verdict::refused(refusal),
    }
}

/// A domain's answer: the blobs that cover it, or what is wrong.
struct Coverage<'q> {
    domain: &'q str,
    by: Vec<Candidate<'q>>,
    other_env: bool,
}

#[derive(Clone, Copy)]
struct Candidate<'q> {
    did: &'q str,
    verified: &'q Verified,
}

impl<'q> Question<'q> {
    /// The domains that the path requires, in the profile's order.
    ///
    /// # Errors
    /// `PROFILE_NOT_FOUND`, `DECISION_RECORD_INVALID`: the frame names another profile, or a path that it lacks.
    pub fn required_domains(&self) -> Result<&'q [String], Refusal> {
        let declared = self.frame.get(FrameKey::Profile).unwrap_or_default();
        if declared != self.profile.id {
            return Err(not_found(declared));
        }
        let path = self.frame.get(FrameKey::Path).unwrap_or_default();
        self.profile
            .path(path)
            .map(|path| path.required_domains.as_slice())
    }

    fn decide(&self, required: &'q [String]) -> Verdict {
        let env = self.frame.get(FrameKey::Env).unwrap_or_default();
        let mut sound: Vec<Verified> = Vec::new();
        let mut diagnostics = Vec::new();
        for (index, blob) in self.attestations.iter().enumerate() {
            match self.examine(blob, required) {
                Ok((verified, None)) => sound.push(verified),
                Ok((_, Some(refusal))) | Err(refusal) => diagnostics.push(Objection {
                    attestation: Some(index),
                    ..Objection::from(refusal)
                }),
            }
        }
        let coverage: Vec<Coverage<'_>> = required
            .iter()
            .map(|domain| Coverage::of(domain, env, &sound))
            .collect();
        let mut errors: Vec<Objection> = coverage.iter().filter_map(Coverage::objection).collect();
        let verified_domains = coverage
            .iter()
            .filter(|coverage| !coverage.by.is_empty())
            .map(|coverage| coverage.domain.to_owned())
            .collect();
        let mut evidence = Vec::new();
        if errors.is_empty() {
            match self.choose(&coverage) {
                Ok(chosen) => evidence = chosen,
                Err(refusal) => errors.push(Objection::from(refusal)),
            }
        }
        let warnings = if errors.is_empty() {
            diagnostics
        } else {
            errors.extend(diagnostics);
            Vec::new()
        };
        Verdict {
            verified_domains,
            errors,
            warnings,
            evidence,
        }
    }

    /// Takes one blob through every check; a sound blob may still be for domains that nobody asked for.
    fn examine(
        &self,
        blob: &str,
        required: &[String],
    ) -> Result<(Verified, Option<Refusal>), Refusal> {
        let now = match self.clock {
            Clock::At(now) => Some(now),
            Clock::Stopped => None,
        };
        let verified = Attestation::decode(blob)?.verify(self.trusted, now)?;
        let payload = verified.payload();
        if payload.profile_id != self.profile.id {
            return Err(Refusal::new(
                Code::ProfileNotFound,
                "the attestation is for another profile",
            ));
        }
        if payload.frame_hash != self.frame.hash() {
            return Err(Refusal::new(
                Code::FrameHashMismatch,
                "the attestation is for another frame",
            ));
        }
        if self
            .context_hash
            .is_some_and(|hash| hash != payload.execution_context_hash)
        {
            return Err(Refusal::new(
                Code::ExecutionContextViolation,
                "the attestation is for another execution context",
            ));
        }
        self.check_time(payload.issued_at, payload.expires_at)?;
        let needed = payload
            .resolved_domains
            .iter()
            .any(|resolved| required.contains(&resolved.domain));
        let unneeded = (!needed).then(|| {
            Refusal::new(
                Code::DomainScopeMismatch,
                "the attestation is for a domain that the path does not require",
            )
        });
        Ok((verified, unneeded))
    }

    fn check_time(&self, issued_at: i64, expires_at: i64) -> Result<(), Refusal> {
        let expired = |what: &str| Err(Refusal::new(Code::TtlExpired, what));
        if expires_at.saturating_sub(issued_at) > self.profile.ttl_max {
            return expired("the attestation lasts longer than the profile allows");
        }
        match self.clock {
            Clock::At(now) if now < issued_at => expired("the attestation is dated in the future"),
            Clock::At(now) if expires_at <= now => expired("the attestation has expired"),
            Clock::At(_) | Clock::Stopped => Ok(()),
        }
    }

    /// Chooses one attestation for each domain, of different people where the profile asks for that.
    fn choose(&self, coverage: &[Coverage<'_>]) -> Result<Vec<HashText>, Refusal> {
        let contexts: BTreeSet<HashText> = coverage
            .iter()
            .flat_map(|coverage| &coverage.by)
            .map(|candidate| candidate.verified.payload().execution_context_hash)
            .collect();
        if contexts.len() > 1 {
            return Err(Refusal::new(
                Code::ExecutionContextViolation,
                "the attestations are for different execution contexts",
            ));
        }
        let by: Vec<&[Candidate<'_>]> = coverage
            .iter()
            .map(|coverage| coverage.by.as_slice())
            .collect();
        let chosen = if self.profile.distinct_owners {
            distinct(&by).ok_or_else(|| {
                Refusal::new(
                    Code::DomainScopeMismatch,
                    "the required domains are not attested by different people",
                )
            })?
        } else {
            by.iter()
                .filter_map(|candidates| candidates.first().copied())
                .collect()
        };
        Ok(chosen
            .into_iter()
            .map(|candidate| candidate.verified.attestation().hash())
            .collect())
    }
}

impl<'q> Coverage<'q> {
    fn of(domain: &'q str, env: &str, sound: &'q [Verified]) -> Self {
        let mut coverage = Self {
            domain,
            by: Vec::new(),
            other_env: false,
        };
        for verified in sound {
            for resolved in &verified.payload().resolved_domains {
                if resolved.domain != domain {
                    continue;
                }
                if resolved.env == env {
                    let did = resolved.did.as_str();
                    coverage.by.push(Candidate { did, verified });
                } else {
                    coverage.other_env = true;
                }
            }
        }
        coverage
    }

    fn objection(&self) -> Option<Objection> {
        if !self.by.is_empty() {
            return None;
        }
        let domain = self.domain;
        let (code, message) = if self.other_env {
            (
                Code::DomainScopeMismatch,
                format!("domain `{domain}` is attested for another environment"),
            )
        } else {
            (
                Code::MissingRequiredDomain,
                format!("domain `{domain}` has no valid attestation"),
            )
        };
        Some(Objection {
            code,
            domain: Some(domain.to_owned()),
            attestation: None,
            message,
        })
    }
}

/// Gives each domain another person, if that can be done: a maximum bipartite matching by augmenting paths.
fn distinct<'q>(domains: &[&[Candidate<'q>]]) -> Option<Vec<Candidate<'q>>> {
    let mut taken: Vec<Option<Candidate<'q>>> = vec![None; domains.len()];
    for domain in 0..domains.len() {
        if !seat(domain, domains, &mut taken, &mut BTreeSet::new()) {
            return None;
        }
    }
    taken.into_iter().collect()
}

/// Finds somebody for a domain, moving those who already stand for another where they can stand elsewhere.
fn seat<'q>(
    domain: usize,
    domains: &[&[Candidate<'q>]],
    taken: &mut [Option<Candidate<'q>>],
    tried: &mut BTreeSet<&'q str>,
) -> bool {
    for candidate in domains.get(domain).copied().unwrap_or_default() {
        if !tried.insert(candidate.did) {
            continue;
        }
        let holder = taken
            .iter()
            .position(|other| other.is_some_and(|other| other.did == candidate.did));
        if holder.is_none_or(|holder| seat(holder, domains, taken, tried)) {
            if let Some(place) = taken.get_mut(domain) {
                *place = Some(*candidate);
            }
            return true;
        }
    }
    false
}

/// Reads a frame that a connector hands over, for a profile: profile first, then path, then every value.
///
/// # Errors
/// `PROFILE_NOT_FOUND`: the frame names another profile. `DECISION_RECORD_INVALID`, `EXECUTION_CONTEXT_VIOLATION`: those
/// of [`Frame::parse`], an unknown path or environment.
pub fn frame_of(profile: &Profile, bytes: &[u8]) -> Result<Frame, Refusal> {
    if let Ok(value) = parse(bytes)
        && let Some(named) = value.at("profile").and_then(Value::as_str)
    {
        if named != profile.id {
            return Err(not_found(named));
        }
        if let Some(path) = value.at("path").and_then(Value::as_str) {
            profile.path(path)?;
        }
    }
    let frame = Frame::parse(&profile.frame_order, bytes)?;
    if let Some(env) = frame.get(FrameKey::Env) {
        check_env(profile, env)?;
    }
    Ok(frame)
}

fn not_found(profile: &str) -> Refusal {
    Refusal::new(
        Code::ProfileNotFound,
        format!("profile `{}` is not known here", profile.escape_debug()),
    )
}
