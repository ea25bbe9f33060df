//! The execution context: the declared and resolved values that every owner sees and attests to (section 9).
//!
//! `execution_context_hash = sha256(JCS(context))`. Every value follows from the head commit, the base commit and the
//! configured repository name: no clock, user, host, branch name or locale. `env` is not part of it.

use super::declaration::Declaration;
use super::frame::{Frame, FrameKey};
use super::hash::HashText;
use super::names;
use super::profile::{ContextField, Profile};
use crate::engine::canonical::{Object, Value, parse, to_bytes};
use crate::engine::code::{Code, Refusal};

/// What an action gives, beside its declaration.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a> {
    /// The forge's name of the repository.
    pub repo: &'a str,
    /// The full id of the head commit.
    pub sha: &'a str,
    /// The full id of the base commit.
    pub base_sha: &'a str,
    /// The paths that differ between the merge base and the head, as raw bytes, in any order.
    pub changed_paths: &'a [Vec<u8>],
}

/// A context that fits its profile's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionContext(Object<'static>);

impl ExecutionContext {
    /// Resolves the context of an action (section 9.1).
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`: a name, id or path that cannot stand in a context (a path that is not UTF-8).
    /// `DECISION_RECORD_INVALID`: the declared path is none of the profile's.
    pub fn resolve(
        profile: &Profile,
        declaration: &Declaration,
        action: &Action<'_>,
    ) -> Result<Self, Refusal> {
        profile.path(&declaration.execution_path)?;
        let mut object = Object::new();
        object.insert("profile", Value::from(declaration.profile.clone()));
        object.insert(
            "execution_path",
            Value::from(declaration.execution_path.clone()),
        );
        for field in profile.context_fields.keys() {
            let value = match field {
                ContextField::Repo => Value::from(action.repo.to_owned()),
                ContextField::Sha => Value::from(action.sha.to_owned()),
                ContextField::BaseSha => Value::from(action.base_sha.to_owned()),
                ContextField::ChangedPaths => changed_paths(action.changed_paths)?,
                ContextField::DiffUrl => Value::from(diff_url(profile, action)),
            };
            object.insert(field.name(), value);
        }
        let context = Self(object);
        context.check_values()?;
        Ok(context)
    }

    /// Reads a context that somebody else resolved, and holds it against the profile's schema.
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`: a missing required field, an unknown one, or a value of another kind.
    pub fn parse(profile: &Profile, bytes: &[u8]) -> Result<Self, Refusal> {
        let value = parse(bytes)
            .map_err(|fault| violation(format!("the context is malformed: {fault}")))?;
        let Value::Object(object) = value.into_owned() else {
            return Err(violation("the context is no object"));
        };
        for required in ["profile", "execution_path"] {
            if object.get(required).is_none() {
                return Err(violation(format!("the context lacks `{required}`")));
            }
        }
        for (field, required) in &profile.context_fields {
            if *required && object.get(field.name()).is_none() {
                return Err(violation(format!("the context lacks `{}`", field.name())));
            }
        }
        for (name, _) in object.iter() {
            let known = matches!(name, "profile" | "execution_path")
                || profile
                    .context_fields
                    .keys()
                    .any(|field| field.name() == name);
            if !known {
                return Err(violation(format!(
                    "the profile's contexts have no field `{}`",
                    name.escape_debug()
                )));
            }
        }
        let context = Self(object);
        context.check_values()?;
        Ok(context)
    }

    /// Holds each value against what it may be, whoever resolved it.
    fn check_values(&self) -> Result<(), Refusal> {
        for (name, value) in self.0.iter() {
            let text = value.as_str();
            let sound = match name {
                "profile" => text.is_some_and(names::is_profile_id),
                "execution_path" => text.is_some_and(names::is_path),
                "repo" => text.is_some_and(names::is_repo),
                "sha" | "base_sha" => text.is_some_and(names::is_sha),
                "changed_paths" => value.as_array().is_some_and(are_sorted_paths),
                _ => text.is_some(),
            };
            if !sound {
                return Err(violation(format!(
                    "the context's `{name}` is not what such a field holds"
                )));
            }
        }
        Ok(())
    }

    /// Refuses a context that is not of the frame's action.
    ///
    /// # Errors
    /// `EXECUTION_CONTEXT_VIOLATION`.
    pub fn check_frame(&self, frame: &Frame) -> Result<(), Refusal> {
        for (field, key) in [
            ("profile", FrameKey::Profile),
            ("execution_path", FrameKey::Path),
            ("repo", FrameKey::Repo),
            ("sha", FrameKey::Sha),
        ] {
            let (own, framed) = (self.text(field), frame.get(key));
            if own.is_some() && framed.is_some() && own != framed {
                return Err(violation(format!(
                    "the context's `{field}` is not the frame's"
                )));
            }
        }
        Ok(())
    }

    /// A field's text; nothing for a field that is absent or no string.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// Tells whether the action changes this path.
    #[must_use]
    pub fn changes(&self, path: &str) -> bool {
        self.changed_paths()
            .iter()
            .any(|changed| changed.as_str() == Some(path))
    }

    /// Tells whether the action changes no path at all.
    #[must_use]
    pub fn is_empty_diff(&self) -> bool {
        self.0.get(ContextField::ChangedPaths.name()).is_some() && self.changed_paths().is_empty()
    }

    fn changed_paths(&self) -> &[Value<'static>] {
        self.0
            .get(ContextField::ChangedPaths.name())
            .and_then(Value::as_array)
            .unwrap_or_default()
    }

    /// The canonical bytes that are hashed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        to_bytes(&self.to_value())
    }

    /// `execution_context_hash = sha256(JCS(context))`.
    #[must_use]
    pub fn hash(&self) -> HashText {
        HashText::of(&self.canonical())
    }

    /// The context as a JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value<'static> {
        Value::Object(self.0.clone())
    }
}

/// Sorts by raw bytes and drops repetitions; bytes that are no UTF-8 have no JSON form, and are never replaced.
fn changed_paths(paths: &[Vec<u8>]) -> Result<Value<'static>, Refusal> {
    let mut sorted: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let texts = sorted.into_iter().map(|path| {
        std::str::from_utf8(path)
            .map(|text| Value::from(text.to_owned()))
            .map_err(|_| {
                violation(format!(
                    "changed path `{}` is not UTF-8",
                    path.escape_ascii()
                ))
            })
    });
    Ok(Value::Array(texts.collect::<Result<_, _>>()?))
}

/// Tells whether paths are strings in byte order, each once, as every resolver must write them.
fn are_sorted_paths(paths: &[Value<'_>]) -> bool {
    let texts: Option<Vec<&str>> = paths.iter().map(Value::as_str).collect();
    texts.is_some_and(|texts| {
        texts.is_sorted_by(|left, right| left.as_bytes() < right.as_bytes()) && !texts.contains(&"")
    })
}

fn diff_url(profile: &Profile, action: &Action<'_>) -> String {
    profile
        .diff_url
        .replace("{repo}", action.repo)
        .replace("{base}", action.base_sha)
        .replace("{head}", action.sha)
}

fn violation(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::ExecutionContextViolation, message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::engine::hap::profile::SHIPPED;

    fn resolve(paths: &[&[u8]]) -> Result<ExecutionContext, Refusal> {
        let profile = Profile::parse(SHIPPED).unwrap();
        let declaration = Declaration {
            profile: "deploy-gate@0.3".to_owned(),
            execution_path: "deploy-prod-canary".to_owned(),
        };
        let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.to_vec()).collect();
        let action = Action {
            repo: "owner/repo",
            sha: &"1".repeat(40),
            base_sha: &"2".repeat(40),
            changed_paths: &paths,
        };
        ExecutionContext::resolve(&profile, &declaration, &action)
    }

    #[test]
    fn paths_are_sorted_by_bytes_where_keys_are_sorted_by_utf16() {
        let context = resolve(&["\u{ffff}".as_bytes(), "😀".as_bytes(), b"a", b"a"]).unwrap();
        let canonical = String::from_utf8(context.canonical()).unwrap();
        assert!(
            canonical.contains("[\"a\",\"\u{ffff}\",\"😀\"]"),
            "{canonical}"
        );
        let again =
            ExecutionContext::parse(&Profile::parse(SHIPPED).unwrap(), canonical.as_bytes());
        assert_eq!(again, Ok(context));
    }

    #[test]
    fn a_path_that_is_not_utf8_is_refused_not_replaced() {
        let refusal = resolve(&[b"a\xff"]).unwrap_err();
        assert_eq!(refusal.code, Code::ExecutionContextViolation);
    }

    #[test]
    fn an_unsorted_context_of_another_resolver_is_refused() {
        let profile = Profile::parse(SHIPPED).unwrap();
        let good = String::from_utf8(resolve(&[b"a", b"b"]).unwrap().canonical()).unwrap();
        for bad in [r#"["b","a"]"#, r#"["a","a"]"#, r#"["a",""]"#, r#"["a",1]"#] {
            let text = good.replace(r#"["a","b"]"#, bad);
            assert!(
                ExecutionContext::parse(&profile, text.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_empty_difference_is_told_from_an_unknown_one() {
        assert!(resolve(&[]).unwrap().is_empty_diff());
        let context = resolve(&[b".hap/owners.json"]).unwrap();
        assert!(!context.is_empty_diff() && context.changes(".hap/owners.json"));
    }
}
