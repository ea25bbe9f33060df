//! A disputed attestation, judged as of the time at which it was issued (section 20.5).
//!
//! Whether it has expired since does not matter. It stands when its signature and hashes hold, its provider was
//! trusted, and every person in it had authority for the domain, all at `issued_at`. Otherwise it is void.

use super::attestation::{Attestation, Payload};
use super::authority::{Registry, Scope};
use super::hash::HashText;
use super::owners::{Origin, Owners};
use super::profile::Profile;
use super::providers::TrustedProviders;
use crate::engine::code::{Code, Refusal};

/// An attestation and what the commits and registries say.
pub struct Dispute<'a> {
    /// The disputed blob.
    pub blob: &'a str,
    /// The time at which the dispute is judged, in Unix seconds: an attestation from after it cannot stand.
    pub at: i64,
    /// The forge's name of the repository.
    pub repo: &'a str,
    /// The profile of the base commit.
    pub profile: &'a Profile,
    /// The execution path that the head commit declares.
    pub execution_path: &'a str,
    /// The hash of the frame for an environment, from the commits.
    pub frame_hash: &'a dyn Fn(&str) -> Result<HashText, Refusal>,
    /// The hash of the execution context, from the commits.
    pub execution_context_hash: HashText,
    /// The providers of the base commit.
    pub trusted: &'a TrustedProviders,
    /// The owners that count.
    pub owners: &'a Result<(Owners, Origin), Refusal>,
    /// The registry of the base commit.
    pub registry: &'a Result<Registry, Refusal>,
}

/// Whether the attestation stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It stands; what was found to hold.
    Stands(Vec<String>),
    /// It is void; every reason.
    Void(Vec<Refusal>),
}

impl Dispute<'_> {
    /// Judges the dispute.
    #[must_use]
    pub fn judge(&self) -> Outcome {
        let verified = Attestation::decode(self.blob)
            .and_then(|attestation| attestation.verify(self.trusted, None));
        let verified = match verified {
            Ok(verified) => verified,
            Err(refusal) => return Outcome::Void(vec![refusal]),
        };
        let payload = verified.payload();
        let mut reasons = self.commitment(payload);
        reasons.extend(self.authority(payload));
        if !reasons.is_empty() {
            return Outcome::Void(reasons);
        }
        let time = payload.issued_at;
        let mut held = vec![
            format!(
                "the provider `{}` was trusted at {time} and signed it",
                verified.key().did()
            ),
            "its frame and execution context are those of the commits".to_owned(),
        ];
        held.extend(payload.resolved_domains.iter().map(|resolved| {
            format!(
                "`{}` had authority for `{}` in `{}` at {time}",
                resolved.did, resolved.domain, resolved.env
            )
        }));
        Outcome::Stands(held)
    }

    /// Hashes and times: is it about this action, and was it ever within its profile?
    fn commitment(&self, payload: &Payload) -> Vec<Refusal> {
        let mut reasons = Vec::new();
        let mut object = |code, what: &str| reasons.push(Refusal::new(code, what));
        if payload.profile_id != self.profile.id {
            object(Code::ProfileNotFound, "it is for another profile");
        }
        let same_frame = payload.resolved_domains.iter().all(|resolved| {
            (self.frame_hash)(&resolved.env).is_ok_and(|hash| hash == payload.frame_hash)
        });
        if !same_frame {
            object(Code::FrameHashMismatch, "it is for another frame");
        }
        if payload.execution_context_hash != self.execution_context_hash {
            object(
                Code::ExecutionContextViolation,
                "it is for another execution context",
            );
        }
        if payload.expires_at.saturating_sub(payload.issued_at) > self.profile.ttl_max {
            object(Code::TtlExpired, "it lasts longer than the profile allows");
        }
        if payload.issued_at > self.at {
            object(
                Code::TtlExpired,
                "it is dated after the time of the dispute",
            );
        }
        reasons
    }

    /// Was everybody in it entitled at the time? If not, the provider may be at fault too.
    fn authority(&self, payload: &Payload) -> Vec<Refusal> {
        let (owners, registry) = match (self.owners, self.registry) {
            (Ok((owners, _)), Ok(registry)) => (owners, registry),
            (owners, registry) => {
                let failed = [owners.as_ref().err(), registry.as_ref().err()];
                return failed.into_iter().flatten().cloned().collect();
            }
        };
        let organization = match registry.organization_of(self.repo) {
            Ok(organization) => organization,
            Err(refusal) => return vec![refusal],
        };
        let required = self.profile.path(self.execution_path);
        let mut reasons = Vec::new();
        for resolved in &payload.resolved_domains {
            let scope = Scope {
                organization: &organization.id,
                did: &resolved.did,
                domain: &resolved.domain,
                env: &resolved.env,
            };
            let who = format!(
                "`{}` for `{}` in `{}`",
                resolved.did,
                resolved.domain.escape_debug(),
                resolved.env.escape_debug()
            );
            if !owners.owns(&resolved.did, &resolved.domain) {
                let what = format!("{who}: was not one of the domain's owners");
                reasons.push(Refusal::new(Code::ScopeInsufficient, what));
            } else if !registry.is_granted(scope, payload.issued_at) {
                let what = format!("{who}: had no live grant at {}", payload.issued_at);
                reasons.push(Refusal::new(Code::ScopeInsufficient, what));
            }
            match &required {
                Ok(path) if path.required_domains.contains(&resolved.domain) => {}
                Ok(_) => reasons.push(Refusal::new(
                    Code::DomainScopeMismatch,
                    format!("{who}: the path does not require the domain"),
                )),
                Err(refusal) => reasons.push(refusal.clone()),
            }
        }
        reasons
    }
}
