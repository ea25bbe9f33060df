//! Profile file to [`Profile`]: which paths exist, whose attestation each requires, what a frame and a context hold.
//!
//! A profile is read from the base commit, never from the head or the work tree. Where base's history never had a
//! file for `deploy-gate@0.3`, the copy that ships with the program counts. A profile that breaks a rule authorizes
//! nothing: there is no field whose absence is repaired.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::frame::FrameKey;
use super::{Found, names};
use crate::engine::canonical::{from_slice, present};
use crate::engine::code::{Code, Refusal};

/// The profile that ships with the program.
pub const SHIPPED_ID: &str = "deploy-gate@0.3";

/// The bytes of the profile that ships with the program.
pub const SHIPPED: &[u8] = include_bytes!("deploy-gate-0.3.profile.json");

/// The folder that holds profiles.
pub const FOLDER: &str = "governance/hap/profiles";

/// The template of `diff_url` where the profile gives none.
const DIFF_URL: &str = "https://github.com/{repo}/compare/{base}...{head}";

/// A valid profile (section 4).
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
    /// Whether each required domain needs another person (section 7.1.4); true unless the profile opts out.
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

/// An execution path: a level of governance that a proposer chooses (section 4.1).
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

/// A field of an execution context that is resolved, not declared (section 9.3).
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

/// A gate that an owner closes with a text of their own (section 16).
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

/// The file of a profile, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    id: String,
    version: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    description: Option<String>,
    #[serde(rename = "requiredGates")]
    required_gates: Vec<GateName>,
    #[serde(rename = "gateQuestions")]
    gate_questions: BTreeMap<Gate, Question>,
    #[serde(rename = "frameSchema")]
    frame_schema: FrameSchema,
    envs: Vec<String>,
    #[serde(rename = "executionContextSchema")]
    context_schema: ContextSchema,
    #[serde(rename = "executionPaths")]
    execution_paths: BTreeMap<String, ExecutionPath>,
    ttl: Ttl,
    retention_minimum: i64,
    #[serde(
        default,
        rename = "distinctOwners",
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    distinct_owners: Option<bool>,
    #[serde(
        default,
        rename = "templateIds",
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    template_ids: Option<Vec<String>>,
    #[serde(
        default,
        rename = "diffUrl",
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    diff_url: Option<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    deprecated: Option<bool>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    sunset: Option<String>,
}

/// The six gates of a decision; three of them are closed by a text.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
enum GateName {
    Frame,
    Problem,
    Objective,
    Tradeoff,
    Commitment,
    DecisionOwner,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    question: String,
    required: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct FrameSchema {
    #[serde(rename = "keyOrder")]
    key_order: Vec<FrameKey>,
    fields: BTreeMap<FrameKey, FrameField>,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct FrameField {
    #[serde(rename = "type")]
    kind: FrameFieldType,
    required: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FrameFieldType {
    String,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContextSchema {
    fields: BTreeMap<String, ContextFieldSpec>,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContextFieldSpec {
    source: Source,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    method: Option<Method>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    description: Option<String>,
    /// Absent means that a context may lack the field; one that this program resolves never does.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    required: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    Declared,
    Action,
    Computed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    GitDiff,
    Constructed,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ttl {
    default: i64,
    max: i64,
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

    /// Refuses a change of a profile that exists already: what an id means never changes (section 20.3).
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

impl ProfileFile {
    fn check(self) -> Result<Profile, Refusal> {
        if !names::is_profile_id(&self.id) {
            return Err(at("$.id", "is not `<name>@<major>.<minor>`"));
        }
        if self.version != "0.3" {
            return Err(at("$.version", "is not `0.3`"));
        }
        unique("$.requiredGates", &self.required_gates)?;
        self.check_frame()?;
        unique("$.envs", &self.envs)?;
        if self.envs.is_empty() || !self.envs.iter().all(|env| names::is_env(env)) {
            return Err(at("$.envs", "is not a list of names `[a-z0-9_-]+`"));
        }
        let context_fields = self.context_schema.check()?;
        check_paths(&self.execution_paths)?;
        if !(1..=self.ttl.max).contains(&self.ttl.default) {
            return Err(at("$.ttl", "does not hold 1 ≤ `default` ≤ `max`"));
        }
        if self.retention_minimum < 0 {
            return Err(at("$.retention_minimum", "is negative"));
        }
        let questions = &self.gate_questions;
        let required_gates = [Gate::Problem, Gate::Objective, Gate::Tradeoffs]
            .into_iter()
            .filter(|gate| {
                questions.get(gate).is_some_and(|asked| asked.required)
                    || self.required_gates.contains(&gate.name())
            })
            .collect();
        Ok(Profile {
            id: self.id,
            frame_order: self.frame_schema.key_order,
            envs: self.envs,
            context_fields,
            paths: self.execution_paths,
            required_gates,
            ttl_default: self.ttl.default,
            ttl_max: self.ttl.max,
            retention_minimum: self.retention_minimum,
            distinct_owners: self.distinct_owners.unwrap_or(true),
            template_ids: self.template_ids.unwrap_or_default(),
            diff_url: check_template(self.diff_url)?,
            deprecated: self.deprecated.unwrap_or(false),
            sunset: self.sunset,
            questions: self
                .gate_questions
                .into_iter()
                .map(|(gate, asked)| (gate, asked.question))
                .collect(),
        })
    }

    fn check_frame(&self) -> Result<(), Refusal> {
        let schema = &self.frame_schema;
        unique("$.frameSchema.keyOrder", &schema.key_order)?;
        for (index, key) in schema.key_order.iter().enumerate() {
            if !schema.fields.contains_key(key) {
                return Err(at(
                    &format!("$.frameSchema.keyOrder[{index}]"),
                    "is not in `fields`",
                ));
            }
        }
        if schema.fields.len() != schema.key_order.len() {
            return Err(at(
                "$.frameSchema.fields",
                "holds a key that `keyOrder` lacks",
            ));
        }
        if !schema.fields.values().all(|field| field.required) {
            return Err(at(
                "$.frameSchema.fields",
                "holds a field that is not required",
            ));
        }
        for key in [
            FrameKey::Repo,
            FrameKey::Sha,
            FrameKey::Profile,
            FrameKey::Path,
        ] {
            if !schema.fields.contains_key(&key) {
                return Err(at(
                    "$.frameSchema.fields",
                    format!("lacks `{key}`, without which the frame does not name the action"),
                ));
            }
        }
        Ok(())
    }
}

impl ContextSchema {
    /// Checks that each field is one that can be resolved from what it claims as its source (section 4.2).
    fn check(&self) -> Result<BTreeMap<ContextField, bool>, Refusal> {
        let mut resolved = BTreeMap::new();
        for (name, spec) in &self.fields {
            let (field, source, method) = match name.as_str() {
                "profile" | "execution_path" => (None, Source::Declared, None),
                "repo" => (Some(ContextField::Repo), Source::Action, None),
                "sha" => (Some(ContextField::Sha), Source::Action, None),
                "base_sha" => (Some(ContextField::BaseSha), Source::Action, None),
                "changed_paths" => (
                    Some(ContextField::ChangedPaths),
                    Source::Computed,
                    Some(Method::GitDiff),
                ),
                "diff_url" => (
                    Some(ContextField::DiffUrl),
                    Source::Computed,
                    Some(Method::Constructed),
                ),
                _ => return Err(at_field(name, "is no field that can be resolved")),
            };
            if spec.source != source {
                return Err(at_field(name, "does not come from this source"));
            }
            if spec.method.is_some() && spec.method != method {
                return Err(at_field(name, "is not resolved by this method"));
            }
            if let Some(field) = field {
                resolved.insert(field, spec.required.unwrap_or(false));
            }
        }
        if !resolved.contains_key(&ContextField::Sha) {
            return Err(at(
                "$.executionContextSchema.fields",
                "lacks `sha`, without which the context is bound to no action",
            ));
        }
        Ok(resolved)
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

    const fn name(self) -> GateName {
        match self {
            Gate::Problem => GateName::Problem,
            Gate::Objective => GateName::Objective,
            Gate::Tradeoffs => GateName::Tradeoff,
        }
    }

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

fn check_paths(paths: &BTreeMap<String, ExecutionPath>) -> Result<(), Refusal> {
    if paths.is_empty() {
        return Err(at("$.executionPaths", "is empty"));
    }
    for (name, path) in paths {
        let place = format!("$.executionPaths[{name:?}]");
        if !names::is_path(name) {
            return Err(at(&place, "is not named `[a-z0-9_-]+`"));
        }
        let place = format!("{place}.requiredDomains");
        if path.required_domains.is_empty() {
            return Err(at(
                &place,
                "is empty, which would authorize without any attestation",
            ));
        }
        if !path
            .required_domains
            .iter()
            .all(|name| names::is_domain(name))
        {
            return Err(at(&place, "holds what is no domain"));
        }
        unique(&place, &path.required_domains)?;
    }
    Ok(())
}

/// A link's template must hold both full ids, so that no two differences share a link.
fn check_template(template: Option<String>) -> Result<String, Refusal> {
    let template = template.map_or(Cow::Borrowed(DIFF_URL), Cow::Owned);
    let sound = ["{repo}", "{base}", "{head}"]
        .iter()
        .all(|part| template.matches(part).count() == 1)
        && template.bytes().all(|b| b.is_ascii_graphic());
    if sound {
        Ok(template.into_owned())
    } else {
        Err(at(
            "$.diffUrl",
            "is not printable text with `{repo}`, `{base}` and `{head}` once each",
        ))
    }
}

fn unique<T: Ord>(place: &str, items: &[T]) -> Result<(), Refusal> {
    let distinct: BTreeSet<&T> = items.iter().collect();
    if distinct.len() == items.len() {
        Ok(())
    } else {
        Err(at(place, "holds something twice"))
    }
}

fn at_field(name: &str, what: &str) -> Refusal {
    at(&format!("$.executionContextSchema.fields[{name:?}]"), what)
}

fn at(place: &str, what: impl std::fmt::Display) -> Refusal {
    invalid(format!("the profile is malformed: `{place}`: {what}"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::ProfileInvalid, message)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shipped() -> Value {
        serde_json::from_slice(SHIPPED).unwrap()
    }

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut file = shipped();
        change(&mut file);
        let refusal = Profile::parse(&serde_json::to_vec(&file).unwrap()).unwrap_err();
        assert_eq!(refusal.code, Code::ProfileInvalid);
        refusal.message
    }

    #[test]
    fn the_shipped_profile_is_valid_and_requires_what_the_sample_requires() {
        let profile = Profile::parse(SHIPPED).unwrap();
        assert_eq!(profile.id, SHIPPED_ID);
        assert_eq!(
            profile
                .path("deploy-prod-user-facing")
                .unwrap()
                .required_domains,
            ["engineering", "marketing"]
        );
        assert_eq!(profile.required_gates.len(), 3);
        assert_eq!((profile.ttl_default, profile.ttl_max), (3600, 86400));
        let sample = include_bytes!("../../../fixtures/vectors/hap/profile_deploy-gate-0.3.json");
        assert_eq!(Profile::parse(sample).unwrap(), profile);
    }

    #[test]
    fn names_of_prototypes_are_no_paths() {
        let profile = Profile::parse(SHIPPED).unwrap();
        for name in ["constructor", "__proto__", "toString", ""] {
            let refusal = profile.path(name).unwrap_err();
            assert_eq!(refusal.code, Code::DecisionRecordInvalid);
        }
    }

    #[test]
    fn a_path_that_would_authorize_without_attestations_is_refused() {
        let canary = "/executionPaths/deploy-prod-canary";
        for domains in [
            json!([]),
            json!([""]),
            json!(["a", "a"]),
            json!("a"),
            json!([1]),
        ] {
            refused(|file| {
                *file
                    .pointer_mut(&format!("{canary}/requiredDomains"))
                    .unwrap() = domains;
            });
        }
        refused(|file| {
            let path = file.pointer_mut(canary).unwrap().as_object_mut().unwrap();
            path.remove("requiredDomains");
        });
        refused(|file| file["executionPaths"] = json!({}));
    }

    #[test]
    fn sources_that_cannot_be_computed_again_are_refused() {
        refused(|file| {
            file["executionContextSchema"]["fields"]["sha"]["source"] = json!("cumulative");
        });
        refused(|file| {
            file["executionContextSchema"]["fields"]["sha"]["source"] = json!("declared");
        });
        let message = refused(|file| {
            file["executionContextSchema"]["fields"]["problem"] =
                json!({"source": "declared", "required": true});
        });
        assert!(
            message.contains("no field that can be resolved"),
            "{message}"
        );
    }

    #[test]
    fn a_frame_must_name_the_action_with_every_key_once() {
        refused(|file| file["frameSchema"]["keyOrder"] = json!(["repo", "sha", "env", "profile"]));
        refused(|file| {
            file["frameSchema"]["keyOrder"] =
                json!(["repo", "sha", "env", "profile", "path", "path"]);
        });
        refused(|file| file["frameSchema"]["fields"]["env"]["required"] = json!(false));
        refused(|file| {
            file["frameSchema"]["fields"]["execution_context_hash"] =
                json!({"type": "string", "required": true});
        });
    }

    #[test]
    fn lifetimes_versions_and_unknown_fields_are_strict() {
        refused(|file| file["ttl"]["default"] = json!(0));
        refused(|file| file["ttl"]["default"] = json!(86401));
        refused(|file| file["version"] = json!("0.2"));
        refused(|file| file["conditions"] = json!([]));
        refused(|file| file["id"] = json!("constructor"));
        refused(|file| file["diffUrl"] = json!("https://forge/{repo}"));
    }

    #[test]
    fn the_shipped_profile_stands_in_only_where_history_never_had_one() {
        let found = |at, before| Profile::resolve(SHIPPED_ID, at, before).map_err(|r| r.code);
        assert!(found(Found::Absent, false).is_ok());
        assert_eq!(found(Found::Absent, true), Err(Code::ProfileNotFound));
        assert_eq!(found(Found::Irregular, false), Err(Code::ProfileInvalid));
        assert_eq!(found(Found::File(b"{}"), false), Err(Code::ProfileInvalid));
        let other = Profile::resolve("other@1.0", Found::File(SHIPPED), false).unwrap_err();
        assert_eq!(other.code, Code::ProfileInvalid);
        assert_eq!(
            path_of("a/b@1.0"),
            "governance/hap/profiles/a%2Fb@1.0.profile.json"
        );
    }

    #[test]
    fn what_an_id_means_never_changes() {
        let check = |head| Profile::check_unchanged(SHIPPED_ID, Found::File(SHIPPED), head);
        assert!(check(Found::File(SHIPPED)).is_ok());
        assert!(check(Found::Absent).is_ok());
        assert_eq!(
            check(Found::File(b"{}")).unwrap_err().code,
            Code::ProfileInvalid
        );
    }
}
