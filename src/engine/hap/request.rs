//! The bytes that an owner signs: what they are asked to attest to, in one canonical form.

use serde::{Deserialize, Serialize};

use super::gate::GateHashes;
use super::hash::HashText;
use super::names;
use crate::engine::canonical::{from_slice, to_bytes, to_value};
use crate::engine::code::{Code, Refusal};

/// What an owner attests to, for one domain (the protocol's request to a Service Provider).
///
/// It holds hashes only: what an owner signs says nothing about what they wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestRequest {
    /// The profile's exact id.
    pub profile_id: String,
    /// The declared execution path.
    pub execution_path: String,
    /// The hash of the frame.
    pub frame_hash: HashText,
    /// The hash of the execution context.
    pub execution_context_hash: HashText,
    /// The domain that is attested for.
    pub domain: String,
    /// Who attests.
    pub did: String,
    /// The environment that is attested for.
    pub env: String,
    /// What the owner articulated.
    pub gate_content_hashes: GateHashes,
}

impl AttestRequest {
    /// Parses a request in any layout.
    ///
    /// # Errors
    /// `INVALID_INPUT`: malformed, or a DID that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let request: Self = from_slice(bytes)
            .map_err(|fault| invalid(format!("the request is malformed: {fault}")))?;
        if names::is_did(&request.did) {
            Ok(request)
        } else {
            Err(invalid(format!(
                "the request names what is no DID: `{}`",
                request.did.escape_debug()
            )))
        }
    }

    /// The bytes that are signed: `JCS(request)`, no final line feed.
    ///
    /// # Errors
    /// `INTERNAL`: never, since a request holds only text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        to_value(self)
            .map(|value| to_bytes(&value))
            .map_err(|fault| Refusal::new(Code::Internal, fault.to_string()))
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidInput, message)
}
