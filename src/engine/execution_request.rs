//! The record of a proposed action, before anything runs (execution-requests.md).
//!
//! Its main risk is being taken for an approval, so the format cannot express one: the three fields that could must be
//! `false`, wherever a record is read. Approval lives in the review ledger, permission in a permit, and nowhere else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Fault, Value};
use super::code::{Code, Refusal};
use super::digest::{CommitSha, Digest, Domain, ExecutionRequestId, domain_hash, sha256};
use super::enforce::Globs;
use super::policy::{MAX_ENTRIES, Policy};
use super::request::{Capability, Kind, Request};
use super::review::{PrincipalKind, Principals};
use super::text::id_fault;

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

/// The record as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.execution_request.v1")]
pub struct Document {
    schema: Schema,
    /// `domain_hash(execution_request.v1, everything but request_id)`.
    pub request_id: ExecutionRequestId,
    /// Always `false`.
    pub approval_granted: bool,
    /// Always `false`.
    pub execution_allowed: bool,
    /// Always `false`.
    pub runtime_default_activation: bool,
    /// What is asked for.
    pub request: Request,
    /// Where it would run.
    pub target_repository: TargetRepository,
    /// What it may change there; an empty list allows nothing.
    pub allowed_paths: Vec<String>,
    /// What would run, after approval only.
    pub harness: Harness,
    /// The exact packet that people approve.
    pub approval_packet: ApprovalPacket,
    /// What supports the proposal.
    pub proof_pointers: Vec<ProofPointer>,
    /// What the run must not do.
    pub blocked_actions: Vec<BlockedAction>,
    /// Who has to be among the signers of its review.
    pub required_approvers: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.execution_request.v1")]
    V1,
}

/// The repository that a run would change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetRepository {
    /// Its name, one of the policy's `admitted_repositories`.
    pub name: String,
    /// Where it can be had.
    pub url: String,
    /// The commit that the checkout must be at.
    pub commit: CommitSha,
}

/// What would run: a list of arguments, never a shell string.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Harness {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder in the target where it runs, relative.
    pub working_directory: String,
}

/// The packet, byte for byte.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalPacket {
    /// What kind of document it is.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes in base64 with padding.
    pub content_base64: String,
}

/// Something that supports the proposal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofPointer {
    /// What it is; a `file` is checked in the governed commit.
    pub kind: String,
    /// Where it is.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What a run must not do: a closed vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BlockedAction {
    /// Pushing with Git.
    #[serde(rename = "git.push")]
    GitPush,
    /// Committing with Git.
    #[serde(rename = "git.commit")]
    GitCommit,
    /// Opening a connection to the outside.
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
            Self::GitPush => "git.push",
            Self::GitCommit => "git.commit",
            Self::NetworkEgress => "network.egress",
            Self::SecretUse => "secret.use",
            Self::Deploy => "deploy",
        }
    }

    /// Tells whether a capability falls under the action: a tool of this name or below it, or the action's own kind.
    #[must_use]
    pub fn covers(self, capability: &Capability) -> bool {
        let named = capability
            .selector
            .strip_prefix(self.word())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        match capability.kind {
            Kind::Tool => named,
            Kind::NetEgress => self == Self::NetworkEgress,
            Kind::SecretUse => self == Self::SecretUse,
        }
    }
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
    #[must_use]
    pub fn to_value(&self) -> Value<'static> {
        // INVARIANT: the fields are strings, lists and integers within range, so the conversion cannot fail.
        canonical::to_value(&self.document).unwrap_or(Value::Null)
    }
}

/// The record that a request is bound to, if its context names one.
#[must_use]
pub fn binding(request: &Request) -> Option<&str> {
    request.context.get(BINDING).and_then(Value::as_str)
}

impl Document {
    fn check(&self) -> Result<(), Fault> {
        let Schema::V1 = self.schema;
        self.request
            .check()
            .map_err(|fault| fault.within_member("request"))?;
        for (path, text) in [
            ("$.target_repository.name", &self.target_repository.name),
            ("$.target_repository.url", &self.target_repository.url),
            (
                "$.approval_packet.media_type",
                &self.approval_packet.media_type,
            ),
            (
                "$.harness.working_directory",
                &self.harness.working_directory,
            ),
        ] {
            if let Some(what) = id_fault(text) {
                return Err(Fault::new(path, what));
            }
        }
        if self.request.context.get(BINDING).is_some() {
            let path = format!("$.request.context.{BINDING}");
            return Err(Fault::new(
                path,
                "is set where a permit is issued, never in a record",
            ));
        }
        for (path, length) in [
            ("$.allowed_paths", self.allowed_paths.len()),
            ("$.harness.argv", self.harness.argv.len()),
            ("$.proof_pointers", self.proof_pointers.len()),
            ("$.required_approvers", self.required_approvers.len()),
        ] {
            if length > MAX_ENTRIES {
                return Err(Fault::new(
                    path,
                    format!("{length} entries, at most {MAX_ENTRIES} are read"),
                ));
            }
        }
        Globs::new(&self.allowed_paths)
            .map_err(|error| Fault::new("$.allowed_paths", error.to_string()))?;
        self.check_harness()?;
        for (index, pointer) in self.proof_pointers.iter().enumerate() {
            for (field, text) in [("kind", &pointer.kind), ("ref", &pointer.reference)] {
                if let Some(what) = id_fault(text) {
                    return Err(Fault::new(
                        format!("$.proof_pointers[{index}].{field}"),
                        what,
                    ));
                }
            }
            if pointer.kind == "file" && leaves_tree(&pointer.reference) {
                let path = format!("$.proof_pointers[{index}].ref");
                return Err(Fault::new(path, "is not a relative path inside the tree"));
            }
        }
        for (index, approver) in self.required_approvers.iter().enumerate() {
            if let Some(what) = id_fault(approver) {
                return Err(Fault::new(format!("$.required_approvers[{index}]"), what));
            }
        }
        Ok(())
    }

    fn check_harness(&self) -> Result<(), Fault> {
        match self.harness.argv.first() {
            None => return Err(Fault::new("$.harness.argv", "is empty")),
            Some(program) if program.is_empty() => {
                return Err(Fault::new("$.harness.argv[0]", "is empty"));
            }
            Some(_) => {}
        }
        if let Some(index) = self
            .harness
            .argv
            .iter()
            .position(|text| text.contains('\0'))
        {
            return Err(Fault::new(
                format!("$.harness.argv[{index}]"),
                "holds a NUL",
            ));
        }
        if self.harness.working_directory != "." && leaves_tree(&self.harness.working_directory) {
            let path = "$.harness.working_directory";
            return Err(Fault::new(path, "is not a relative path inside the tree"));
        }
        Ok(())
    }

    fn check_packet(&self) -> Result<(), Refusal> {
        let packet = &self.approval_packet;
        let content = STANDARD.decode(&packet.content_base64).map_err(|error| {
            let what = format!("is not base64: {error}");
            invalid(&Fault::new("$.approval_packet.content_base64", what))
        })?;
        let found = sha256(&content);
        if found == packet.sha256 {
            return Ok(());
        }
        Err(Refusal::new(
            Code::PacketMismatch,
            "the approval packet is not the one that its digest names",
        )
        .detail("recorded", packet.sha256.to_string())
        .detail("computed", found.to_string()))
    }
}

/// Tells whether a path is absolute, goes up or is not written plainly.
fn leaves_tree(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\')
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
mod tests {
    use super::*;
    use crate::engine::canonical::to_bytes;

    /// A draft whose packet is `hello`.
    const DRAFT: &str = r#"{"schema":"permit.execution_request.v1",
        "approval_granted":false,"execution_allowed":false,"runtime_default_activation":false,
        "request":{"schema":"permit.request.v1","actor_id":"agent:codex","capability":{"kind":"tool","selector":"case.run"},
                   "operation":"execute","target":"acme/web","context":{}},
        "target_repository":{"name":"acme/web","url":"https://example.com/acme/web","commit":"4b825dc642cb6eb9a060e54bf8d69288fbee4904"},
        "allowed_paths":["src/**"],"harness":{"argv":["cargo","test"],"working_directory":"."},
        "approval_packet":{"media_type":"text/markdown","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","content_base64":"aGVsbG8="},
        "proof_pointers":[],"blocked_actions":["git.push","network.egress"],"required_approvers":["human:jp"]}"#;

    fn draft(from: &str, to: &str) -> Result<ExecutionRequest, Refusal> {
        assert!(DRAFT.contains(from), "{from}");
        ExecutionRequest::from_draft(canonical::parse(DRAFT.replace(from, to).as_bytes()).unwrap())
    }

    #[test]
    fn a_draft_gets_its_id_and_reads_back() {
        let record = draft("{}", "{}").unwrap();
        let bytes = to_bytes(&record.to_value());
        assert_eq!(ExecutionRequest::parse(&bytes).unwrap().id(), record.id());
        let other = String::from_utf8(bytes).unwrap().replace("cargo", "cargp");
        let refusal = ExecutionRequest::parse(other.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, Code::RequestIdMismatch);
        assert_eq!(
            binding(&record.bound_request()),
            Some(record.id().to_string().as_str())
        );
        assert_ne!(
            record.bound_request().fingerprint(),
            record.document().request.fingerprint()
        );
    }

    #[test]
    fn no_record_can_say_that_it_is_approved() {
        for guardrail in GUARDRAILS {
            for value in ["true", "null", "\"false\"", "0"] {
                let from = format!("\"{guardrail}\":false");
                let refusal = draft(&from, &format!("\"{guardrail}\":{value}")).unwrap_err();
                assert_eq!(refusal.code, Code::ApprovalInRequest, "{guardrail} {value}");
            }
            let refusal = draft(&format!("\"{guardrail}\":false,"), "").unwrap_err();
            assert_eq!(refusal.code, Code::InvalidExecutionRequest, "{guardrail}");
        }
    }

    #[test]
    fn each_fault_is_refused_with_its_code() {
        for (from, to, code) in [
            ("\"src/**\"", "\"/src/**\"", Code::InvalidExecutionRequest),
            ("\"src/**\"", "\"src/../**\"", Code::InvalidExecutionRequest),
            (
                "[\"cargo\",\"test\"]",
                "\"cargo test\"",
                Code::InvalidExecutionRequest,
            ),
            ("[\"cargo\",\"test\"]", "[]", Code::InvalidExecutionRequest),
            (
                "\"working_directory\":\".\"",
                "\"working_directory\":\"..\"",
                Code::InvalidExecutionRequest,
            ),
            (
                "\"working_directory\":\".\"",
                "\"working_directory\":\"/tmp\"",
                Code::InvalidExecutionRequest,
            ),
            ("git.push", "git.pull", Code::InvalidExecutionRequest),
            ("aGVsbG8=", "aGVsbG8", Code::InvalidExecutionRequest),
            ("aGVsbG8=", "aGVsbG9=", Code::InvalidExecutionRequest),
            ("aGVsbG8=", "aGVsbG9v", Code::PacketMismatch),
            (
                "\"context\":{}",
                "\"context\":{\"execution_request_id\":\"x\"}",
                Code::InvalidExecutionRequest,
            ),
            (
                "\"schema\":\"permit.execution_request.v1\"",
                "\"request_id\":\"x\"",
                Code::InvalidExecutionRequest,
            ),
        ] {
            assert_eq!(draft(from, to).unwrap_err().code, code, "{to}");
        }
    }

    #[test]
    fn a_blocked_action_covers_its_own_capabilities() {
        let capability = |kind, selector: &str| Capability {
            kind,
            selector: selector.to_owned(),
        };
        for (action, kind, selector, covered) in [
            (BlockedAction::GitPush, Kind::Tool, "git.push", true),
            (BlockedAction::GitPush, Kind::Tool, "git.push.force", true),
            (BlockedAction::GitPush, Kind::Tool, "git.pushing", false),
            (BlockedAction::Deploy, Kind::Tool, "deploy.prod", true),
            (BlockedAction::NetworkEgress, Kind::NetEgress, "https", true),
            (BlockedAction::SecretUse, Kind::SecretUse, "x", true),
            (
                BlockedAction::SecretUse,
                Kind::NetEgress,
                "secret.use",
                false,
            ),
        ] {
            assert_eq!(
                action.covers(&capability(kind, selector)),
                covered,
                "{selector}"
            );
        }
    }
}
