//! The execution request of section 8.1, as a client submits it with all its proofs.

use serde::Deserialize;

use super::context::ExecutionContext;
use super::profile::Profile;
use crate::engine::canonical::{from_slice, present};
use crate::engine::code::{Code, Refusal};

/// What an execution request says, for the frame and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    /// The action.
    pub action: ActionTemplate,
    /// The blobs.
    pub attestations: Vec<String>,
}

/// An action, as a template and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionTemplate {
    /// The template; where it is named, the profile must list it.
    #[serde(default, deserialize_with = "present")]
    pub template_id: Option<String>,
    /// The parameters.
    pub params: ActionParams,
}

/// The parameters of an action; `repo` and `sha` are what the protocol calls `action_id`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionParams {
    /// The forge's name of the repository.
    pub repo: String,
    /// The commit to be authorized.
    pub sha: String,
    /// The environment.
    pub env: String,
    /// The profile, which must be the declared one.
    pub profile_id: String,
    /// The path, which must be the declared one.
    pub execution_path: String,
}

impl ExecutionRequest {
    /// Parses the request.
    ///
    /// # Errors
    /// `INVALID_INPUT`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        from_slice(bytes).map_err(|fault| {
            Refusal::new(
                Code::InvalidInput,
                format!("the execution request is malformed: {fault}"),
            )
        })
    }

    /// Holds the parameters against what the commit declares and what the profile lists.
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`.
    pub fn check(&self, profile: &Profile, context: &ExecutionContext) -> Result<(), Refusal> {
        let violation = |what: &str| Err(Refusal::new(Code::ExecutionContextViolation, what));
        let params = &self.action.params;
        if context.text("profile") != Some(params.profile_id.as_str())
            || context.text("execution_path") != Some(params.execution_path.as_str())
        {
            return violation("the request names another profile or path than the commit declares");
        }
        match &self.action.template_id {
            Some(template) if !profile.template_ids.contains(template) => {
                violation("the request names a template that the profile does not list")
            }
            Some(_) | None => Ok(()),
        }
    }
}
