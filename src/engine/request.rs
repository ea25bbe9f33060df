//! What somebody wants to do: bytes to a [`Request`] and its fingerprint (core.md section 4).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Fault, Object, Value};
use super::code::{Code, Refusal};
use super::digest::{Domain, Fingerprint, domain_hash};
use super::text::{text_fault, unseen_fault};

/// The largest request or permit, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// A request that was read strictly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.request.v1")]
pub struct Request {
    /// Who asks.
    pub actor_id: String,
    /// For which capability.
    pub capability: Capability,
    /// Anything else that the decision is bound to.
    pub context: Object<'static>,
    /// What it is to do; the method of a `net_egress`, the injection of a `secret_use`.
    pub operation: String,
    schema: RequestSchema,
    /// To what.
    pub target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum RequestSchema {
    #[serde(rename = "permit.request.v1")]
    V1,
}

/// A kind of thing that can be permitted, and which one of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The kind.
    pub kind: Kind,
    /// Which one.
    pub selector: String,
}

/// The kinds of capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Running a tool.
    Tool,
    /// Opening a connection to the outside.
    NetEgress,
    /// Using a secret.
    SecretUse,
}

impl Kind {
    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Tool => "tool",
            Kind::NetEgress => "net_egress",
            Kind::SecretUse => "secret_use",
        }
    }
}

impl fmt::Display for Capability {
    /// Writes `<kind>:<selector>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.word(), self.selector)
    }
}

impl Request {
    /// Makes a request from its parts.
    ///
    /// # Errors
    /// `INVALID_REQUEST` where a part is empty, too long or holds a control character.
    pub fn new(
        actor_id: impl Into<String>,
        capability: Capability,
        operation: impl Into<String>,
        target: impl Into<String>,
        context: Object<'static>,
    ) -> Result<Self, Refusal> {
        let request = Self {
            schema: RequestSchema::V1,
            actor_id: actor_id.into(),
            capability,
            operation: operation.into(),
            target: target.into(),
            context,
        };
        request.check().map_err(refusal)?;
        request.check_form()?;
        Ok(request)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_REQUEST {
            return Err(refusal(Fault::new("$", "larger than 1 MiB")));
        }
        let request = canonical::parse(bytes)
            .and_then(|value| Self::read(&value))
            .map_err(refusal)?;
        request.check_form()?;
        Ok(request)
    }

    /// Reads a request that stands inside another record, whatever [`Request::check_form`] would say of it.
    ///
    /// # Errors
    /// The [`Fault`] with the JSON path below that value.
    pub fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let request: Self = canonical::from_value(value)?;
        request.check()?;
        Ok(request)
    }

    /// Checks what the format cannot say.
    ///
    /// # Errors
    /// The part that is empty, too long or holds a control character.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let target = [("$.target", &self.target)];
        for (path, text) in self.ids().into_iter().chain(target) {
            if let Some(what) = text_fault(text) {
                return Err(Fault::new(path, what));
            }
        }
        Ok(())
    }

    /// Refuses an actor, a selector or an operation with characters that nobody sees: a rule of form.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with the JSON path of the first.
    pub fn check_form(&self) -> Result<(), Refusal> {
        for (path, text) in self.ids() {
            if let Some(what) = unseen_fault(text) {
                return Err(refusal(Fault::new(path, what)));
            }
        }
        Ok(())
    }

    fn ids(&self) -> [(&'static str, &String); 3] {
        [
            ("$.actor_id", &self.actor_id),
            ("$.capability.selector", &self.capability.selector),
            ("$.operation", &self.operation),
        ]
    }

    /// The request's fingerprint: `domain_hash(request_fingerprint.v1, {actor_id, capability: "<kind>:<selector>",
    /// operation, target, context_hash})` with `context_hash = domain_hash(request_context.v1, context)`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let context_hash = hex::encode(domain_hash(Domain::RequestContext, &self.context));
        let hashed = Object::of([
            ("actor_id", Value::from(self.actor_id.as_str())),
            ("capability", Value::from(self.capability.to_string())),
            ("context_hash", Value::from(context_hash)),
            ("operation", Value::from(self.operation.as_str())),
            ("target", Value::from(self.target.as_str())),
        ]);
        Fingerprint::new(domain_hash(Domain::RequestFingerprint, &hashed))
    }
}

fn refusal(fault: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Code::InvalidRequest,
        format!("the request is malformed at {fault}"),
    )
}
