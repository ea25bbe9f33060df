//! A proposed action on record before anything runs: bytes to an [`ExecutionRequest`] (execution-requests.md).
//!
//! The record cannot express an approval: its three flags are `false` or it is refused, wherever it is read. Approval
//! lives in the review ledger, permission in a permit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Fault, Value};
use super::code::{Code, Refusal};
use super::digest::{CommitSha, Digest, Domain, ExecutionRequestId, domain_hash, sha256};
use super::enforce::{Globs, path_fault};
use super::policy::{Effect, Policy};
use super::request::{Capability, Kind, Request};
use super::review::{Found, PrincipalKind, Table};
use super::text::id_fault;

/// The member of a request's context that names the record it is issued for.
pub const CONTEXT_KEY: &str = "execution_request_id";

/// The flags that a record must deny.
const APPROVALS: [&str; 3] = [
    "approval_granted",
    "execution_allowed",
    "runtime_default_activation",
];

/// The most entries of a list in a record (core.md section 1).
const MAX_LIST: usize = 10_000;

/// A record that was read strictly: its id, its packet and its guardrails hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.execution_request.v1")]
pub struct ExecutionRequest {
    schema: Schema,
    /// `domain_hash(execution_request.v1, everything else)`.
    pub request_id: ExecutionRequestId,
    approval_granted: bool,
    execution_allowed: bool,
    runtime_default_activation: bool,
    /// What a permit would be issued for.
    pub request: Request,
    /// Where it would run.
    pub target_repository: TargetRepository,
    /// Globs of what it may change; an empty list allows nothing.
    pub allowed_paths: Vec<String>,
    /// What would run.
    pub harness: Harness,
    /// Exactly what the approvers are shown.
    pub approval_packet: Packet,
    /// What the proposal rests on.
    pub proof_pointers: Vec<ProofPointer>,
    /// What must not happen.
    pub blocked_actions: Vec<BlockedAction>,
    /// Who must have approved.
    pub required_approvers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.execution_request.v1")]
    V1,
}

/// A repository and the commit of it that a run begins at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetRepository {
    /// The name under which the policy admits it.
    pub name: String,
    /// Where it is found; never fetched.
    pub url: String,
    /// The commit.
    pub commit: CommitSha,
}

/// A program with its arguments, never a shell string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where in the target it runs, relative to its root.
    pub working_directory: String,
}

/// The document that the approvers decide about, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    /// Its media type.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes in standard base64 with padding.
    pub content_base64: String,
}

/// Something that the proposal rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofPointer {
    /// What it is; the digest of a `file` is checked in the governed commit.
    pub kind: String,
    /// Where it is.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// The closed vocabulary of what a record blocks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum BlockedAction {
    /// Pushing commits.
    #[serde(rename = "git.push")]
    GitPush,
    /// Making commits.
    #[serde(rename = "git.commit")]
    GitCommit,
    /// Connecting to the outside.
    #[serde(rename = "network.egress")]
    NetworkEgress,
    /// Using a secret.
    #[serde(rename = "secret.use")]
    SecretUse,
    /// Deploying.
    #[serde(rename = "deploy")]
    Deploy,
}

impl BlockedAction {
    /// The word that stands in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            BlockedAction::GitPush => "git.push",
            BlockedAction::GitCommit => "git.commit",
            BlockedAction::NetworkEgress => "network.egress",
            BlockedAction::SecretUse => "secret.use",
            BlockedAction::Deploy => "deploy",
        }
    }

    /// Tells whether a capability falls under the action: the selector equals it or begins with it and a dot, or the
    /// kind is the action's own.
    #[must_use]
    pub fn covers(self, capability: &Capability) -> bool {
        match (self, capability.kind) {
            (BlockedAction::NetworkEgress, Kind::NetEgress)
            | (BlockedAction::SecretUse, Kind::SecretUse) => true,
            (_, Kind::Tool) => {
                let rest = capability.selector.strip_prefix(self.word());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            (_, Kind::NetEgress | Kind::SecretUse) => false,
        }
    }
}

impl ExecutionRequest {
    /// The folder of records in the governed tree.
    pub const FOLDER: &'static str = "governance/requests";

    /// Reads a record: its form, its guardrails, its id and its packet.
    ///
    /// # Errors
    /// `APPROVAL_IN_REQUEST`, `INVALID_EXECUTION_REQUEST`, `REQUEST_ID_MISMATCH`, `PACKET_MISMATCH`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let value = canonical::parse(bytes).map_err(|fault| malformed(&fault))?;
        Self::read(&value)
    }

    /// Completes a draft, which is a record without `request_id`.
    ///
    /// # Errors
    /// As [`ExecutionRequest::parse`]; `INVALID_EXECUTION_REQUEST` where the draft has an id.
    pub fn complete(draft: &[u8]) -> Result<Self, Refusal> {
        let mut value = canonical::parse(draft).map_err(|fault| malformed(&fault))?;
        let id = ExecutionRequestId::new(domain_hash(Domain::ExecutionRequest, &value));
        let Value::Object(members) = &mut value else {
            return Err(malformed(&Fault::new("$", "is not an object")));
        };
        if members.get("request_id").is_some() {
            let fault = Fault::new("$.request_id", "does not stand in a draft");
            return Err(malformed(&fault));
        }
        members.insert("request_id", Value::from(id));
        Self::read(&value)
    }

    fn read(value: &Value<'_>) -> Result<Self, Refusal> {
        for flag in APPROVALS {
            match value.at(flag) {
                None | Some(Value::Bool(false)) => {}
                Some(_) => {
                    return Err(Refusal::new(
                        Code::ApprovalInRequest,
                        format!("`{flag}` is not `false`; a record cannot approve itself"),
                    ));
                }
            }
        }
        let record: Self = canonical::from_value(value).map_err(|fault| malformed(&fault))?;
        record.check_form().map_err(|fault| malformed(&fault))?;
        let computed = computed_id(value);
        if computed != record.request_id {
            return Err(Refusal::new(
                Code::RequestIdMismatch,
                "the record's id is not the hash of its content",
            )
            .detail("recorded", record.request_id.to_string())
            .detail("computed", computed.to_string()));
        }
        record.check_packet()?;
        Ok(record)
    }

    fn check_form(&self) -> Result<(), Fault> {
        Request::read(&canonical::to_value(&self.request)?)
            .map_err(|fault| fault.within_member("request"))?;
        let ids = [
            ("$.target_repository.name", &self.target_repository.name),
            ("$.target_repository.url", &self.target_repository.url),
            (
                "$.approval_packet.media_type",
                &self.approval_packet.media_type,
            ),
        ];
        for (path, text) in ids {
            if let Some(what) = id_fault(text) {
                return Err(Fault::new(path, what));
            }
        }
        if self.request.context.get(CONTEXT_KEY).is_some() {
            let path = format!("$.request.context.{CONTEXT_KEY}");
            return Err(Fault::new(
                path,
                "stands only in what is issued for a record",
            ));
        }
        let lists = [
            ("$.allowed_paths", self.allowed_paths.len()),
            ("$.harness.argv", self.harness.argv.len()),
            ("$.proof_pointers", self.proof_pointers.len()),
            ("$.blocked_actions", self.blocked_actions.len()),
            ("$.required_approvers", self.required_approvers.len()),
        ];
        if let Some((path, _)) = lists.iter().find(|(_, length)| *length > MAX_LIST) {
            return Err(Fault::new(*path, "too many entries"));
        }
        Globs::new(&self.allowed_paths)
            .map_err(|fault| Fault::new("$.allowed_paths", fault.to_string()))?;
        let argv = &self.harness.argv;
        if argv.first().is_none_or(String::is_empty) {
            return Err(Fault::new("$.harness.argv", "names no program"));
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return Err(Fault::new("$.harness.argv", "holds a zero byte"));
        }
        let directory = &self.harness.working_directory;
        if let Some(what) = path_fault(directory) {
            return Err(Fault::new("$.harness.working_directory", what));
        }
        for (index, proof) in self.proof_pointers.iter().enumerate() {
            let fault = id_fault(&proof.kind)
                .or_else(|| id_fault(&proof.reference))
                .or_else(|| path_fault(&proof.reference).filter(|_| proof.kind == "file"));
            if let Some(what) = fault {
                return Err(Fault::new(format!("$.proof_pointers[{index}]"), what));
            }
        }
        for (index, approver) in self.required_approvers.iter().enumerate() {
            if let Some(what) = id_fault(approver) {
                return Err(Fault::new(format!("$.required_approvers[{index}]"), what));
            }
        }
        Ok(())
    }

    fn check_packet(&self) -> Result<(), Refusal> {
        let packet = &self.approval_packet;
        let bytes = STANDARD.decode(&packet.content_base64).map_err(|error| {
            let what = format!("is not standard base64: {error}");
            malformed(&Fault::new("$.approval_packet.content_base64", what))
        })?;
        let found = sha256(&bytes);
        if found == packet.sha256 {
            return Ok(());
        }
        Err(Refusal::new(
            Code::PacketMismatch,
            "the approval packet is not the one whose digest is recorded",
        )
        .detail("recorded", packet.sha256.to_string())
        .detail("computed", found.to_string()))
    }

    /// Checks that the record's file is named after its id.
    ///
    /// # Errors
    /// `REQUEST_ID_MISMATCH`.
    pub fn is_named(&self, file_name: &str) -> Result<(), Refusal> {
        let expected = Self::file_name_of(self.request_id);
        if file_name == expected {
            return Ok(());
        }
        Err(Refusal::new(
            Code::RequestIdMismatch,
            "the record's file is not named after its id",
        )
        .detail("found", file_name)
        .detail("expected", expected))
    }

    /// The name of the file of a record.
    #[must_use]
    pub fn file_name_of(id: ExecutionRequestId) -> String {
        format!("{id}.request.json")
    }

    /// Where a record stands in the governed tree.
    #[must_use]
    pub fn path_of(id: ExecutionRequestId) -> String {
        format!("{}/{}", Self::FOLDER, Self::file_name_of(id))
    }

    /// The request that a permit is issued for: the record's, bound to the record.
    #[must_use]
    pub fn bound_request(&self) -> Request {
        let mut request = self.request.clone();
        let id = Value::from(self.request_id.to_string());
        request.context.insert(CONTEXT_KEY, id);
        request
    }

    /// Checks the record against the governed state: repository, actions, approvers, proofs.
    ///
    /// `proofs` is what the governed commit holds for each `file` among the proof pointers, in their order.
    ///
    /// # Errors
    /// `REPOSITORY_NOT_ADMITTED`, `ACTION_BLOCKED`, `PRINCIPALS_MISSING`, `PRINCIPAL_UNKNOWN`, `APPROVER_NOT_HUMAN`,
    /// `PRINCIPAL_REVOKED`, `PACKET_MISMATCH`.
    pub fn check(
        &self,
        policy: &Policy,
        table: Table<'_>,
        proofs: &[Found],
    ) -> Result<(), Refusal> {
        let name = &self.target_repository.name;
        if !policy.admitted_repositories().contains(name) {
            return Err(Refusal::new(
                Code::RepositoryNotAdmitted,
                format!("the policy does not admit the repository `{name}`"),
            ));
        }
        let capability = &self.request.capability;
        if let Some(action) = self.blocked_actions.iter().find(|a| a.covers(capability)) {
            return Err(Refusal::new(
                Code::ActionBlocked,
                format!(
                    "the record asks for `{capability}` and blocks `{}`",
                    action.word()
                ),
            ));
        }
        for approver in &self.required_approvers {
            check_approver(table, approver)?;
        }
        let files = self
            .proof_pointers
            .iter()
            .filter(|proof| proof.kind == "file");
        for (proof, found) in files.zip(proofs) {
            let holds = matches!(found, Found::File { sha256, .. } if *sha256 == proof.sha256);
            if !holds {
                return Err(Refusal::new(
                    Code::PacketMismatch,
                    format!(
                        "`{}` is not the proof whose digest is recorded",
                        proof.reference
                    ),
                )
                .detail("recorded", proof.sha256.to_string()));
            }
        }
        Ok(())
    }

    /// Checks what the policy makes of the record: only a review can lead to a permit.
    ///
    /// # Errors
    /// `REVIEW_NOT_REQUIRED`.
    pub fn needs_review(severity: Effect) -> Result<(), Refusal> {
        if severity == Effect::Review {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ReviewNotRequired,
            format!(
                "the policy maps the record to `{}`, not to a review",
                severity.word()
            ),
        ))
    }

    /// Checks that everybody who must approve has validly signed.
    ///
    /// # Errors
    /// `APPROVER_MISSING` with the first who has not.
    pub fn is_approved_by(&self, signers: &[String]) -> Result<(), Refusal> {
        match self
            .required_approvers
            .iter()
            .find(|id| !signers.contains(id))
        {
            None => Ok(()),
            Some(missing) => Err(Refusal::new(
                Code::ApproverMissing,
                format!("`{missing}` must approve the record and has not signed its review"),
            )),
        }
    }
}

fn computed_id(record: &Value<'_>) -> ExecutionRequestId {
    let mut members = record.as_object().cloned().unwrap_or_default();
    members.remove("request_id");
    ExecutionRequestId::new(domain_hash(Domain::ExecutionRequest, &members.into()))
}

fn check_approver(table: Table<'_>, approver: &str) -> Result<(), Refusal> {
    let refused =
        |code, what: &str| Err(Refusal::new(code, format!("approver `{approver}` {what}")));
    let principals = match table {
        Table::Sound(principals) => principals,
        Table::Invalid(refusal) => return Err(refusal.clone()),
        Table::Missing => {
            return refused(Code::PrincipalsMissing, "stands in no table: there is none");
        }
    };
    match principals.get(approver) {
        None => refused(Code::PrincipalUnknown, "is not in the principals table"),
        Some(principal) if principal.kind != PrincipalKind::Human => {
            refused(Code::ApproverNotHuman, "is not a human")
        }
        Some(principal) if !principal.is_active() => refused(Code::PrincipalRevoked, "is revoked"),
        Some(_) => Ok(()),
    }
}

fn malformed(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidExecutionRequest,
        format!("the execution request is malformed at {fault}"),
    )
}

#[cfg(test)]
#[path = "execution_request_tests.rs"]
mod tests;
