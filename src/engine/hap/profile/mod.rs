//! Profile file to [`Profile`]: which paths exist, whose attestation each requires, what a frame and a context hold.
//!
//! A profile is read from the base commit, never from the head or the work tree. Where base's history never had a
//! file for `deploy-gate@0.3`, the copy that ships with the program counts. A profile that breaks a rule authorizes
//! nothing: there is no field whose absence is repaired.

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use file::ProfileFile;

use super::Found;
use super::frame::FrameKey;
use crate::engine::canonical::{from_slice, present};
use crate::engine::code::{Code, Refusal};

/// The profile that ships with the program.
pub const SHIPPED_ID: &str = "deploy-gate@0.3";

/// The bytes of the profile that ships with the program.
pub const SHIPPED: &[u8] = include_bytes!("deploy-gate-0.3.profile.json");

/// The folder that holds profiles.
pub const FOLDER: &str = "governance/hap/profiles";

/// A valid profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The exact id, such as `deploy-gate@0.3`.
    pub id: String,
    /// The keys of a frame, in their order.
    pub frame_order: Vec<FrameKey>,
    /// The environments that an action may name.
    pub envs: Vec<String>,
    /// The fields of an execution context beside `profile` and `execution_path`, and whether each is required.
    pub context_fields: BTreeMap<ContextField, bool>,
    /// The execution paths, each with the domains that it requires, in the profile's order.
    pub paths: BTreeMap<String, ExecutionPath>,
    /// The gates that must be closed before an attestation.
    pub required_gates: BTreeSet<Gate>,
    /// How long an attestation lasts where nothing else is said, in seconds.
    pub ttl_default: i64,
    /// How long an attestation may last at most, in seconds.
    pub ttl_max: i64,
    /// How long attestations must be kept, in seconds.
    pub retention_minimum: i64,
    /// Whether each required domain needs another person; true unless the profile opts out.
    pub distinct_owners: bool,
    /// The action templates that an execution request may name.
    pub template_ids: Vec<String>,
    /// The template of `diff_url`, with `{repo}`, `{base}` and `{head}`.
    pub diff_url: String,
    /// Whether another version should be used.
    pub deprecated: bool,
    /// When the profile stops being offered, as a text for people.
    pub sunset: Option<String>,
    /// The question of each gate, shown beside the place where an owner answers.
    pub questions: BTreeMap<Gate, String>,
}

/// An execution path: a level of governance that a proposer chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionPath {
    /// For people.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub description: Option<String>,
    /// The domains that must attest, at least one, each once.
    #[serde(rename = "requiredDomains")]
    pub required_domains: Vec<String>,
}

/// A field of an execution context that is resolved, not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextField {
    /// The forge's name of the repository.
    Repo,
    /// The attested commit.
    Sha,
    /// The base commit.
    BaseSha,
    /// The paths that the action changes.
    ChangedPaths,
    /// A link to the difference; text only.
    DiffUrl,
}

/// A gate that an owner closes with a text of their own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// What problem is being solved.
    Problem,
    /// What outcome is wanted.
    Objective,
    /// What is given up for it.
    Tradeoffs,
}

/// The path of a profile's file: `/` in the id is written `%2F`.
#[must_use]
pub fn path_of(id: &str) -> String {
    format!("{FOLDER}/{}.profile.json", id.replace('/', "%2F"))
}

impl Profile {
    /// Reads a profile from what its path holds in the base commit.
    ///
    /// `had_before` says whether any commit on base's first-parent chain ever had the file: only where none did, the
    /// profile that ships with the program counts.
    ///
    /// # Errors
    /// `PROFILE_NOT_FOUND`: no such file, and the shipped profile does not stand in. `PROFILE_INVALID`: the file is
    /// none that authorizes, or is the file of another id.
    pub fn resolve(id: &str, at_base: Found<'_>, had_before: bool) -> Result<Self, Refusal> {
        let bytes = match at_base {
            Found::File(bytes) => bytes,
            Found::Absent if id == SHIPPED_ID && !had_before => SHIPPED,
            Found::Absent => {
                return Err(Refusal::new(
                    Code::ProfileNotFound,
                    format!("profile `{id}` is not in the base commit"),
                )
                .detail("path", path_of(id)));
            }
            Found::Irregular => return Err(invalid("the profile is no regular file")),
        };
        let profile = Self::parse(bytes)?;
        if profile.id == id {
            Ok(profile)
        } else {
            Err(invalid("the file's `id` is not the one that its name says")
                .detail("id", profile.id))
        }
    }

    /// Parses and checks a profile's file.
    ///
    /// # Errors
    /// `PROFILE_INVALID`, with the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let file: ProfileFile = from_slice(bytes)
            .map_err(|fault| invalid(format!("the profile is malformed: {fault}")))?;
        file.check()
    }

    /// Looks an execution path up by its exact name.
    ///
    /// # Errors
    /// `DECISION_RECORD_INVALID`: the profile has no such path.
    pub fn path(&self, name: &str) -> Result<&ExecutionPath, Refusal> {
        self.paths.get(name).ok_or_else(|| {
            Refusal::new(
                Code::DecisionRecordInvalid,
                format!("profile `{}` has no execution path `{name}`", self.id),
            )
        })
    }

    /// Refuses a change of a profile that exists already: what an id means never changes.
    ///
    /// # Errors
    /// `PROFILE_INVALID`: base and head hold different bytes for one id, or head no longer holds it as a file.
    pub fn check_unchanged(id: &str, base: Found<'_>, head: Found<'_>) -> Result<(), Refusal> {
        match (base, head) {
            (Found::File(before), Found::File(after)) if before != after => Err(invalid(format!(
                "the action changes profile `{id}`; a change is a new version"
            ))),
            (Found::File(_), Found::Irregular) => Err(invalid(format!(
                "the action replaces profile `{id}` by what is no regular file"
            ))),
            (Found::File(_), Found::File(_) | Found::Absent)
            | (Found::Absent | Found::Irregular, _) => Ok(()),
        }
    }
}

impl ContextField {
    /// The field's name in a context.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ContextField::Repo => "repo",
            ContextField::Sha => "sha",
            ContextField::BaseSha => "base_sha",
            ContextField::ChangedPaths => "changed_paths",
            ContextField::DiffUrl => "diff_url",
        }
    }
}

impl Gate {
    /// All gates, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Gate::Problem, Gate::Objective, Gate::Tradeoffs];

    /// The gate's key in `gate_content_hashes`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Gate::Problem => "problem",
            Gate::Objective => "objective",
            Gate::Tradeoffs => "tradeoffs",
        }
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::ProfileInvalid, message)
}
