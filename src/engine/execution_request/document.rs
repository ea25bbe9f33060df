//! The record as it is written: its fields, and what their form must be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::Fault;
use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, Digest, ExecutionRequestId, sha256};
use super::super::enforce::Globs;
use super::super::policy::MAX_ENTRIES;
use super::super::request::{Capability, Kind, Request};
use super::super::text::id_fault;
use super::{BINDING, invalid};

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

impl Document {
    pub(super) fn check(&self) -> Result<(), Fault> {
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

    pub(super) fn check_packet(&self) -> Result<(), Refusal> {
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
