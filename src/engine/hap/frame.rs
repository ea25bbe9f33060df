//! The frame: the five values that name an action, in the one text whose hash everybody attests to (section 13.3).
//!
//! `frame_hash = sha256(key=value ‖ 0x0A ‖ key=value ‖ …)` in the profile's key order, without a final line feed. Every
//! value matches a pattern that admits neither a line feed nor `=` or `%`, so that two frames never share a text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::declaration::Declaration;
use super::hash::HashText;
use super::names;
use super::profile::Profile;
use crate::engine::canonical::{Object, Value, parse};
use crate::engine::code::{Code, Refusal};

/// A key of a frame.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FrameKey {
    /// The forge's name of the repository.
    Repo,
    /// The commit that is authorized.
    Sha,
    /// The environment that it is deployed to.
    Env,
    /// The profile's id.
    Profile,
    /// The execution path.
    Path,
}

/// The order of section 13.3.
pub const DEPLOY_GATE_ORDER: [FrameKey; 5] = [
    FrameKey::Repo,
    FrameKey::Sha,
    FrameKey::Env,
    FrameKey::Profile,
    FrameKey::Path,
];

/// A frame whose values all match their patterns.
//
// INVARIANT: each key at most once, in the profile's order; each value passed `FrameKey::admits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<(FrameKey, String)>);

impl FrameKey {
    /// The key as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrameKey::Repo => "repo",
            FrameKey::Sha => "sha",
            FrameKey::Env => "env",
            FrameKey::Profile => "profile",
            FrameKey::Path => "path",
        }
    }

    fn of(name: &str) -> Option<Self> {
        DEPLOY_GATE_ORDER.into_iter().find(|key| key.name() == name)
    }

    fn admits(self, value: &str) -> bool {
        match self {
            FrameKey::Repo => names::is_repo(value),
            FrameKey::Sha => names::is_sha(value),
            FrameKey::Env => names::is_env(value),
            FrameKey::Profile => names::is_profile_id(value),
            FrameKey::Path => names::is_path(value),
        }
    }

    /// What is declared is the decision record's fault, what the action gives is the context's.
    const fn code(self) -> Code {
        match self {
            FrameKey::Repo | FrameKey::Sha | FrameKey::Env => Code::ExecutionContextViolation,
            FrameKey::Profile | FrameKey::Path => Code::DecisionRecordInvalid,
        }
    }
}

impl fmt::Display for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Frame {
    /// Derives the frame of an action from its declaration and the three values that the action gives.
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`, `DECISION_RECORD_INVALID`: a value that does not match its pattern, or an
    /// environment or path that the profile does not know.
    pub fn derive(
        profile: &Profile,
        declaration: &Declaration,
        repo: &str,
        sha: &str,
        env: &str,
    ) -> Result<Self, Refusal> {
        profile.path(&declaration.execution_path)?;
        let fields = [
            ("repo", repo),
            ("sha", sha),
            ("env", env),
            ("profile", &declaration.profile),
            ("path", &declaration.execution_path),
        ];
        let known = |(name, _): &(&str, &str)| {
            FrameKey::of(name).is_some_and(|key| profile.frame_order.contains(&key))
        };
        let frame = Self::of_fields(&profile.frame_order, fields.into_iter().filter(known))?;
        check_env(profile, env)?;
        Ok(frame)
    }

    /// Builds a frame from named values, in this order of keys; values are only held against their patterns.
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`: an unknown key, a key twice, a `repo`, `sha` or `env` that is missing or does
    /// not match. `DECISION_RECORD_INVALID`: the same of `profile` or `path`.
    pub fn of_fields<'f>(
        order: &[FrameKey],
        fields: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, Refusal> {
        let mut given: Vec<(FrameKey, &str)> = Vec::new();
        for (name, value) in fields {
            let key = FrameKey::of(name)
                .filter(|key| order.contains(key))
                .ok_or_else(|| {
                    violation(format!("`{}` is no key of the frame", name.escape_debug()))
                })?;
            if given.iter().any(|(other, _)| *other == key) {
                return Err(violation(format!("the frame holds `{key}` twice")));
            }
            given.push((key, value));
        }
        let mut records = Vec::with_capacity(order.len());
        for key in order {
            let Some((_, value)) = given.iter().find(|(own, _)| own == key) else {
                return Err(Refusal::new(key.code(), format!("the frame lacks `{key}`")));
            };
            if !key.admits(value) {
                return Err(Refusal::new(
                    key.code(),
                    format!(
                        "`{}` cannot stand as `{key}` in a frame",
                        value.escape_debug()
                    ),
                ));
            }
            records.push((*key, (*value).to_owned()));
        }
        Ok(Self(records))
    }

    /// Reads a frame from a JSON object of strings.
    ///
    /// # Errors
    /// Those of [`Frame::of_fields`]; `EXECUTION_CONTEXT_VIOLATION` for what is no such object.
    pub fn parse(order: &[FrameKey], bytes: &[u8]) -> Result<Self, Refusal> {
        let value =
            parse(bytes).map_err(|fault| violation(format!("the frame is malformed: {fault}")))?;
        let mut fields = Vec::new();
        for (name, member) in value.as_object().into_iter().flat_map(Object::iter) {
            let text = member.as_str().ok_or_else(|| {
                violation(format!(
                    "the frame's `{}` is no string",
                    name.escape_debug()
                ))
            })?;
            fields.push((name, text));
        }
        Self::of_fields(order, fields)
    }

    /// The value of a key, if the profile's frames hold it.
    #[must_use]
    pub fn get(&self, key: FrameKey) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| *own == key)
            .map(|(_, value)| value.as_str())
    }

    /// The text that is hashed: `key=value` records joined by one line feed, no final one.
    #[must_use]
    pub fn canonical(&self) -> String {
        let records: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        records.join("\n")
    }

    /// `frame_hash = sha256(canonical text)`.
    #[must_use]
    pub fn hash(&self) -> HashText {
        HashText::of(self.canonical().as_bytes())
    }

    /// The frame as a JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value<'static> {
        let mut object = Object::new();
        for (key, value) in &self.0 {
            object.insert(key.name(), Value::from(value.clone()));
        }
        Value::Object(object)
    }
}

/// Refuses an environment that the profile does not list.
///
/// # Errors
/// `EXECUTION_CONTEXT_VIOLATION`.
pub fn check_env(profile: &Profile, env: &str) -> Result<(), Refusal> {
    if profile.envs.iter().any(|known| known == env) {
        Ok(())
    } else {
        Err(violation(format!(
            "profile `{}` knows no environment `{}`",
            profile.id,
            env.escape_debug()
        )))
    }
}

fn violation(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::ExecutionContextViolation, message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::engine::hap::profile::SHIPPED;

    #[test]
    fn the_key_order_is_the_profiles() {
        let order = [
            FrameKey::Sha,
            FrameKey::Repo,
            FrameKey::Profile,
            FrameKey::Path,
        ];
        let sha = "a".repeat(40);
        let fields = [
            ("path", "p"),
            ("profile", "x@1.0"),
            ("repo", "o/r"),
            ("sha", &sha),
        ];
        let frame = Frame::of_fields(&order, fields).unwrap();
        assert_eq!(
            frame.canonical(),
            format!("sha={sha}\nrepo=o/r\nprofile=x@1.0\npath=p")
        );
        let with_env = fields.into_iter().chain([("env", "prod")]);
        assert!(Frame::of_fields(&order, with_env).is_err());
    }

    #[test]
    fn an_environment_or_path_outside_the_profile_is_refused() {
        let profile = Profile::parse(SHIPPED).unwrap();
        let declaration = |path: &str| Declaration {
            profile: "deploy-gate@0.3".to_owned(),
            execution_path: path.to_owned(),
        };
        let sha = "a".repeat(40);
        let code = |path, env| {
            Frame::derive(&profile, &declaration(path), "o/r", &sha, env)
                .map(|_| ())
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(code("deploy-prod-canary", "prod"), Ok(()));
        assert_eq!(
            code("deploy-prod-canary", "moon"),
            Err(Code::ExecutionContextViolation)
        );
        assert_eq!(
            code("constructor", "prod"),
            Err(Code::DecisionRecordInvalid)
        );
    }

    #[test]
    fn a_frame_in_json_holds_strings_only() {
        let text = br#"{"repo":1}"#;
        assert_eq!(
            Frame::parse(&DEPLOY_GATE_ORDER, text).unwrap_err().code,
            Code::ExecutionContextViolation
        );
    }
}
