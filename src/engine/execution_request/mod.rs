//! The record of a proposed action, before anything runs (execution-requests.md).
//!
//! Its main risk is being taken for an approval, so the format cannot express one: the three fields that could must be
//! `false`, wherever a record is read. Approval lives in the review ledger, permission in a permit, and nowhere else.

mod document;

use super::canonical::{self, Fault, Value};
use super::code::{Code, Refusal};
use super::digest::{Digest, Domain, ExecutionRequestId, domain_hash};
use super::enforce::Globs;
use super::policy::Policy;
use super::request::Request;
use super::review::{PrincipalKind, Principals};

pub use document::{
    ApprovalPacket, BlockedAction, Document, Harness, ProofPointer, TargetRepository,
};

/// The folder of the records in the governed tree.
pub const FOLDER: &str = "governance/requests";

/// The end of a record's file name.
const SUFFIX: &str = ".request.json";

/// The key that binds a request to its record.
const BINDING: &str = "execution_request_id";

/// The fields that could be taken for an approval.
const GUARDRAILS: [&str; 3] = [
    "approval_granted",
    "execution_allowed",
    "runtime_default_activation",
];

/// A record that was read strictly: its guardrails, its id and its packet hold.
#[derive(Debug, Clone)]
pub struct ExecutionRequest {
    document: Document,
}

impl ExecutionRequest {
    /// Reads a record.
    ///
    /// # Errors
    /// `APPROVAL_IN_REQUEST`, `INVALID_EXECUTION_REQUEST`, `REQUEST_ID_MISMATCH`, `PACKET_MISMATCH`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let value = canonical::parse(bytes).map_err(|fault| invalid(&fault))?;
        let record = Self::read(&value)?;
        let computed = id_of(&value);
        if computed != record.document.request_id {
            return Err(Refusal::new(
                Code::RequestIdMismatch,
                "the record's id is not the hash of its other fields",
            )
            .detail("recorded", record.document.request_id.to_string())
            .detail("computed", computed.to_string()));
        }
        Ok(record)
    }

    /// Makes a record of a draft, which is a record without its id.
    ///
    /// # Errors
    /// Those of [`ExecutionRequest::parse`]; `INVALID_EXECUTION_REQUEST` where the draft names an id.
    pub fn from_draft(mut draft: Value<'_>) -> Result<Self, Refusal> {
        if draft.at("request_id").is_some() {
            let fault = Fault::new("$.request_id", "a draft has no id: it is computed");
            return Err(invalid(&fault));
        }
        let id = id_of(&draft);
        if let Value::Object(members) = &mut draft {
            members.insert("request_id", Value::from(id));
        }
        Self::read(&draft)
    }

    fn read(value: &Value<'_>) -> Result<Self, Refusal> {
        for guardrail in GUARDRAILS {
            if value
                .at(guardrail)
                .is_some_and(|v| *v != Value::Bool(false))
            {
                return Err(Refusal::new(
                    Code::ApprovalInRequest,
                    format!("`$.{guardrail}` is not `false`: a record is never an approval"),
                ));
            }
        }
        let document: Document = canonical::from_value(value).map_err(|fault| invalid(&fault))?;
        document.check().map_err(|fault| invalid(&fault))?;
        document.check_packet()?;
        Ok(Self { document })
    }

    /// The record's fields.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The record's id.
    #[must_use]
    pub fn id(&self) -> ExecutionRequestId {
        self.document.request_id
    }

    /// The name of the record's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}{SUFFIX}", self.id())
    }

    /// Refuses a file that is not named after the record that it holds.
    ///
    /// # Errors
    /// `REQUEST_ID_MISMATCH`.
    pub fn is_named(&self, file_name: &str) -> Result<(), Refusal> {
        if file_name == self.file_name() {
            return Ok(());
        }
        Err(Refusal::new(
            Code::RequestIdMismatch,
            format!("`{file_name}` is not named after the record that it holds"),
        ))
    }

    /// The path of a record's file in the governed tree.
    #[must_use]
    pub fn path_of(id: ExecutionRequestId) -> String {
        format!("{FOLDER}/{id}{SUFFIX}")
    }

    /// The request that a permit is issued for: the record's, bound to the record by its context.
    #[must_use]
    pub fn bound_request(&self) -> Request {
        let mut request = self.document.request.clone();
        request.context.insert(BINDING, Value::from(self.id()));
        request
    }

    /// The globs of what a run may change.
    ///
    /// # Errors
    /// Never: they were read before.
    pub fn allowed(&self) -> Result<Globs, Refusal> {
        Globs::new(&self.document.allowed_paths)
            .map_err(|error| invalid(&Fault::new("$.allowed_paths", error.to_string())))
    }

    /// Refuses a record whose own guardrails forbid what it asks for, or whose repository the policy does not admit.
    ///
    /// # Errors
    /// `REPOSITORY_NOT_ADMITTED`, `ACTION_BLOCKED`.
    pub fn check_policy(&self, policy: &Policy) -> Result<(), Refusal> {
        let name = &self.document.target_repository.name;
        if !policy.admitted_repositories().contains(name) {
            return Err(Refusal::new(
                Code::RepositoryNotAdmitted,
                format!("the policy does not admit the repository `{name}`"),
            ));
        }
        let capability = &self.document.request.capability;
        let covering = self
            .document
            .blocked_actions
            .iter()
            .find(|a| a.covers(capability));
        covering.map_or(Ok(()), |action| {
            Err(Refusal::new(
                Code::ActionBlocked,
                format!(
                    "the record blocks `{}` and asks for `{capability}`",
                    action.word()
                ),
            ))
        })
    }

    /// Refuses a record that asks for the approval of anybody but an active human of the table.
    ///
    /// # Errors
    /// `PRINCIPAL_UNKNOWN`, `PRINCIPAL_REVOKED`, `APPROVER_NOT_HUMAN`.
    pub fn check_approvers(&self, table: &Principals) -> Result<(), Refusal> {
        for approver in &self.document.required_approvers {
            let principal = table.get(approver).ok_or_else(|| {
                Refusal::new(
                    Code::PrincipalUnknown,
                    format!("the approver `{approver}` is not in the principals table"),
                )
            })?;
            if principal.kind != PrincipalKind::Human {
                return Err(Refusal::new(
                    Code::ApproverNotHuman,
                    format!("the approver `{approver}` is not a human"),
                ));
            }
            if !principal.is_active() {
                return Err(Refusal::new(
                    Code::PrincipalRevoked,
                    format!("the approver `{approver}` is revoked"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses an approval that lacks one of the required approvers.
    ///
    /// # Errors
    /// `APPROVER_MISSING`.
    pub fn check_signers(&self, signers: &[&str]) -> Result<(), Refusal> {
        let missing: Vec<&str> = self
            .document
            .required_approvers
            .iter()
            .map(String::as_str)
            .filter(|approver| !signers.contains(approver))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ApproverMissing,
            format!(
                "the review lacks the required approver `{}`",
                missing.join("`, `")
            ),
        ))
    }

    /// Compares the digest of a proof pointer with what was found at its place.
    ///
    /// # Errors
    /// `PACKET_MISMATCH`.
    pub fn check_proof(pointer: &ProofPointer, found: Option<Digest>) -> Result<(), Refusal> {
        if found == Some(pointer.sha256) {
            return Ok(());
        }
        let found = found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
        Err(Refusal::new(
            Code::PacketMismatch,
            format!(
                "the proof `{}` is not what the record names",
                pointer.reference
            ),
        )
        .detail("recorded", pointer.sha256.to_string())
        .detail("found", found))
    }

    /// The record as a value.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn to_value(&self) -> Result<Value<'static>, Refusal> {
        canonical::value_of(&self.document)
    }
}

/// The record that a request is bound to, if its context names one.
#[must_use]
pub fn binding(request: &Request) -> Option<&str> {
    request.context.get(BINDING).and_then(Value::as_str)
}

fn id_of(record: &Value<'_>) -> ExecutionRequestId {
    let mut content = record.as_object().cloned().unwrap_or_default();
    content.remove("request_id");
    ExecutionRequestId::new(domain_hash(Domain::ExecutionRequest, &content))
}

fn invalid(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidExecutionRequest,
        format!("the execution request is malformed at {fault}"),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
