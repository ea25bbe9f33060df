//! The Service Provider's part: every check that stands before a signature, then the signature (sections 10.5, 19.3).
//!
//! [`Inquiry::clear`] returns a [`Clearance`] or the first refusal, in this order: organization, profile, path,
//! environment and domain, the commit, gates, identity, source of authority, membership. Only a clearance can be
//! turned into an attestation, and only with the time for which authority was checked.

use super::attestation::{Attestation, StreamLink, VERSION, seal};
use super::authority::{Registry, Scope};
use super::declaration::Declaration;
use super::gate::GateTexts;
use super::hash::HashText;
use super::identity::Identity;
use super::key::ProviderSecret;
use super::owners::{Origin, Owners};
use super::profile::Profile;
use super::request::AttestRequest;
use crate::engine::canonical::{Object, Value, to_bytes, to_value};
use crate::engine::code::{Code, Refusal};

/// The schema of a record in the issuance log.
pub const LOG_SCHEMA: &str = "permit.hap_issuance.v1";

/// What the head and base commits say about the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// What the head commit declares.
    pub declaration: Declaration,
    /// Where the action is deployed to.
    pub env: String,
    /// The hash of the frame.
    pub frame_hash: HashText,
    /// The hash of the execution context.
    pub execution_context_hash: HashText,
}

/// A request for an attestation, with everything that was read to decide about it.
///
/// What could not be read is the refusal that it leads to, when its turn comes.
pub struct Inquiry<'a> {
    /// What the owner asks to be signed.
    pub request: &'a AttestRequest,
    /// The forge's name of the repository.
    pub repo: &'a str,
    /// The provider's time, in Unix seconds.
    pub now: i64,
    /// The registry of the base commit.
    pub registry: Result<Registry, Refusal>,
    /// The profile of the base commit.
    pub profile: Result<Profile, Refusal>,
    /// What the commits say.
    pub commitment: Result<Commitment, Refusal>,
    /// The gate texts, where the owner's program is the provider's; else only hashes are judged.
    pub texts: Option<GateTexts<'a>>,
    /// Who asks.
    pub identity: Result<Identity, Refusal>,
    /// Who owns which domain.
    pub owners: Result<(Owners, Origin), Refusal>,
}

/// Leave to sign one attestation, at one time.
//
// INVARIANT: made only by `Inquiry::clear`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearance {
    request: AttestRequest,
    repo: String,
    organization: String,
    identity: Identity,
    origin: Origin,
    now: i64,
    lifetime: i64,
}

/// An attestation that was signed, and what the provider records about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The blob.
    pub blob: String,
    /// The attestation.
    pub attestation: Attestation,
    /// The record for the issuance log.
    pub record: Value<'static>,
}

impl Inquiry<'_> {
    /// Checks everything that must hold before the provider signs.
    ///
    /// # Errors
    /// The first refusal in the module's order.
    pub fn clear(self) -> Result<Clearance, Refusal> {
        let request = self.request;
        let registry = self.registry?;
        let organization = registry.organization_of(self.repo)?;
        let profile = self.profile?;
        if request.profile_id != profile.id {
            return Err(Refusal::new(
                Code::ProfileNotFound,
                format!(
                    "the request is for profile `{}`, the commit for another",
                    request.profile_id.escape_debug()
                ),
            ));
        }
        if !organization.profiles.contains(&profile.id) {
            return Err(Refusal::new(
                Code::OrganizationNotRegistered,
                format!(
                    "organization `{}` did not declare profile `{}`",
                    organization.id, profile.id
                ),
            ));
        }
        let path = &request.execution_path;
        check_scope(&profile, path, &request.env, &request.domain)?;
        check_commitment(request, &self.commitment?)?;
        check_gates(&profile, request, self.texts)?;
        let identity = self.identity?;
        if identity.did() != request.did {
            return Err(Refusal::new(
                Code::IdentityUnverified,
                "the DID in the request is not the one that was verified",
            ));
        }
        let (owners, origin) = self.owners?;
        if !owners.owns(&request.did, &request.domain) {
            return Err(insufficient(request, "is not one of its owners"));
        }
        let scope = Scope {
            organization: &organization.id,
            did: &request.did,
            domain: &request.domain,
            env: &request.env,
        };
        if !registry.is_granted(scope, self.now) {
            return Err(insufficient(request, "has no live grant for it"));
        }
        Ok(Clearance {
            request: request.clone(),
            repo: self.repo.to_owned(),
            organization: organization.id.clone(),
            identity,
            origin,
            now: self.now,
            lifetime: profile.ttl_default,
        })
    }
}

/// Holds a path, an environment and a domain against what the profile asks for.
///
/// # Errors
/// `DECISION_RECORD_INVALID`: the path is none of the profile's. `DOMAIN_SCOPE_MISMATCH`: the profile does not know the
/// environment, or the path does not require the domain.
pub fn check_scope(profile: &Profile, path: &str, env: &str, domain: &str) -> Result<(), Refusal> {
    let required = &profile.path(path)?.required_domains;
    let mismatch = |what: String| Err(Refusal::new(Code::DomainScopeMismatch, what));
    if !profile.envs.iter().any(|known| known == env) {
        return mismatch(format!(
            "profile `{}` knows no environment `{}`",
            profile.id,
            env.escape_debug()
        ));
    }
    if !required.iter().any(|known| known == domain) {
        return mismatch(format!(
            "path `{path}` does not require domain `{}`",
            domain.escape_debug()
        ));
    }
    Ok(())
}

/// The request must say what the commits say; no message repeats a hash.
///
/// # Errors
/// `EXECUTION_CONTEXT_VIOLATION`, `FRAME_HASH_MISMATCH`.
pub fn check_commitment(request: &AttestRequest, commitment: &Commitment) -> Result<(), Refusal> {
    let declared = &commitment.declaration;
    if request.execution_path != declared.execution_path || request.profile_id != declared.profile {
        return Err(Refusal::new(
            Code::ExecutionContextViolation,
            "the request names another profile or path than the head commit declares",
        ));
    }
    if request.env != commitment.env || request.frame_hash != commitment.frame_hash {
        return Err(Refusal::new(
            Code::FrameHashMismatch,
            "the request's frame is not that of this commit, repository and environment",
        ));
    }
    if request.execution_context_hash != commitment.execution_context_hash {
        return Err(Refusal::new(
            Code::ExecutionContextViolation,
            "the request's execution context is not that of this base and head",
        ));
    }
    Ok(())
}

fn check_gates(
    profile: &Profile,
    request: &AttestRequest,
    texts: Option<GateTexts<'_>>,
) -> Result<(), Refusal> {
    let Some(texts) = texts else {
        return request.gate_content_hashes.check_closed(profile);
    };
    if texts.close(profile)? == request.gate_content_hashes {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::GateMismatch,
            "the gate texts are not those that the request was made of",
        ))
    }
}

fn insufficient(request: &AttestRequest, why: &str) -> Refusal {
    Refusal::new(
        Code::ScopeInsufficient,
        format!(
            "`{}` may not attest for domain `{}` in `{}`: {why}",
            request.did, request.domain, request.env
        ),
    )
}

impl Clearance {
    /// The first second at which the attestation will no longer hold, in Unix seconds.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.now.saturating_add(self.lifetime)
    }

    /// Whose owners file authorized it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Signs the attestation; `stream` is its place in a decision stream.
    ///
    /// The same clearance, key and place always give the same blob: `attestation_id` is the first 16 bytes of
    /// `sha256(JCS(payload without attestation_id))` in the shape of a UUID.
    ///
    /// # Errors
    /// `INTERNAL`: what was signed would not be read again.
    pub fn issue(
        &self,
        secret: &ProviderSecret,
        stream: Option<&StreamLink>,
    ) -> Result<Issued, Refusal> {
        let request = &self.request;
        let domain = Object::of([
            ("domain", Value::from(request.domain.clone())),
            ("did", Value::from(self.identity.did().to_owned())),
            ("env", Value::from(request.env.clone())),
        ]);
        let mut payload = Object::of([
            ("version", Value::from(VERSION)),
            ("profile_id", Value::from(request.profile_id.clone())),
            ("frame_hash", Value::from(request.frame_hash.to_string())),
            (
                "execution_context_hash",
                Value::from(request.execution_context_hash.to_string()),
            ),
            ("resolved_domains", Value::Array(vec![Value::from(domain)])),
            (
                "gate_content_hashes",
                value_of(&request.gate_content_hashes)?,
            ),
            ("issued_at", Value::from(self.now)),
            ("expires_at", Value::from(self.expires_at())),
            ("issuer", Value::from(secret.public().did())),
            ("identity", Value::from(self.identity.evidence().name())),
        ]);
        if let Some(link) = stream {
            payload.insert("stream", value_of(link)?);
        }
        let id = uuid_of(&to_bytes(&Value::Object(payload.clone())));
        payload.insert("attestation_id", Value::from(id));
        let payload = Value::Object(payload);
        let blob = seal(&payload, secret);
        let attestation = Attestation::decode(&blob)
            .map_err(|refusal| Refusal::new(Code::Internal, refusal.message))?;
        let record = self.record(&blob, &attestation);
        Ok(Issued {
            blob,
            attestation,
            record,
        })
    }

    /// The log record: who was attested for what, on whose authority, and the attestation itself (section 20.1).
    fn record(&self, blob: &str, attestation: &Attestation) -> Value<'static> {
        let request = &self.request;
        let text = |text: &str| Value::from(text.to_owned());
        Value::Object(Object::of([
            ("schema", Value::from(LOG_SCHEMA)),
            ("attestation", text(blob)),
            ("attestation_hash", text(&attestation.hash().to_string())),
            ("organization", text(&self.organization)),
            ("repo", text(&self.repo)),
            ("profile", text(&request.profile_id)),
            ("execution_path", text(&request.execution_path)),
            ("domain", text(&request.domain)),
            ("did", text(&request.did)),
            ("env", text(&request.env)),
            ("identity", Value::from(self.identity.evidence().name())),
            (
                "owners",
                Value::from(match self.origin {
                    Origin::Base => "base",
                    Origin::FirstAdoption => "first_adoption",
                }),
            ),
            ("issued_at", Value::from(self.now)),
        ]))
    }
}

fn value_of<T: serde::Serialize>(record: &T) -> Result<Value<'static>, Refusal> {
    to_value(record).map_err(|fault| Refusal::new(Code::Internal, fault.to_string()))
}

/// Shapes the first 16 bytes of a hash like a version 4 UUID, the version that every reader of UUIDs knows.
fn uuid_of(bytes: &[u8]) -> String {
    let digits = crate::engine::digest::sha256(bytes).to_string();
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
