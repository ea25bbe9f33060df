//! The file of a profile as it is written, and every rule that it must keep before it may authorize anything.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ContextField, ExecutionPath, Gate, Profile, invalid};
use crate::engine::canonical::present;
use crate::engine::code::Refusal;
use crate::engine::hap::frame::FrameKey;
use crate::engine::hap::names;

/// The template of `diff_url` where the profile gives none.
const DIFF_URL: &str = "https://github.com/{repo}/compare/{base}...{head}";

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

impl GateName {
    /// The gate that this text closes; the others are closed by what the program itself checks.
    const fn of(gate: Gate) -> Self {
        match gate {
            Gate::Problem => GateName::Problem,
            Gate::Objective => GateName::Objective,
            Gate::Tradeoffs => GateName::Tradeoff,
        }
    }
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

impl ProfileFile {
    /// Checks every rule that types do not say.
    pub(super) fn check(self) -> Result<Profile, Refusal> {
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
                    || self.required_gates.contains(&GateName::of(*gate))
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
    /// Checks that each field is one that can be resolved from what it claims as its source.
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
