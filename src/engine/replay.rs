//! What was recorded against what the same inputs give again, field by field (core.md section 7).

use serde::Serialize;

use super::canonical::{Fault, Value, parse};
use super::chain::Event;
use super::digest::CommitSha;
use super::request::Request;

/// What a `permit.issued` event says was decided about, read from its payload.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// The governed commit of the decision.
    pub governed_commit: CommitSha,
    /// The request.
    pub request: Request,
    mapping: Option<Value<'a>>,
}

impl<'a> Recorded<'a> {
    /// Reads the inputs of the decision that an event records.
    ///
    /// # Errors
    /// The JSON path in the payload that is missing or malformed.
    pub fn read(event: &Event<'a>) -> Result<Self, Fault> {
        let missing = |key: &str| Fault::new(format!("$.{key}"), "missing field");
        let commit = event.governed_commit;
        let governed_commit = commit.ok_or_else(|| missing("governed_commit"))?;
        let governed_commit = governed_commit.trim_matches('"').parse().ok();
        // Git's null id is the name of no object.
        let governed_commit = governed_commit.filter(|id| *id != CommitSha::new([0; 20]));
        let request = event.request.ok_or_else(|| missing("request"))?;
        let request = parse(request.as_bytes())
            .and_then(|request| Request::read(&request))
            .map_err(|fault| fault.within_member("request"))?;
        Ok(Self {
            governed_commit: governed_commit
                .ok_or_else(|| Fault::new("$.governed_commit", "is not a commit id"))?,
            request,
            mapping: None,
        })
    }

    /// Reads the mapping too.
    ///
    /// # Errors
    /// The JSON path in the payload that is missing or malformed.
    pub fn read_with_mapping(event: &Event<'a>) -> Result<Self, Fault> {
        let mapping = event.mapping.map(|mapping| parse(mapping.as_bytes()));
        let mapping = mapping.transpose();
        Ok(Self {
            mapping: mapping.map_err(|fault| fault.within_member("mapping"))?,
            ..Self::read(event)?
        })
    }

    /// The text of a member of the recorded mapping.
    #[must_use]
    pub fn mapping_text(&self, key: &str) -> &str {
        self.mapping
            .as_ref()
            .and_then(|mapping| mapping.at(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// One place where a record and its derivation differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The JSON path in the artifact.
    pub path: String,
    /// What is recorded; absent where nothing is.
    pub recorded: Option<Value<'static>>,
    /// What is derived; absent where nothing is.
    pub derived: Option<Value<'static>>,
}

/// Lists where two values differ, leaf by leaf in canonical order.
#[must_use]
pub fn differences(recorded: &Value<'_>, derived: &Value<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("$", Some(recorded), Some(derived), &mut found);
    found
}

fn compare(
    path: &str,
    recorded: Option<&Value<'_>>,
    derived: Option<&Value<'_>>,
    found: &mut Vec<Difference>,
) {
    match (recorded, derived) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            for (key, member) in left.iter() {
                compare(
                    &format!("{path}.{key}"),
                    Some(member),
                    right.get(key),
                    found,
                );
            }
            for (key, member) in right.iter().filter(|(key, _)| left.get(key).is_none()) {
                compare(&format!("{path}.{key}"), None, Some(member), found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push(Difference {
            path: path.to_owned(),
            recorded: left.cloned().map(Value::into_owned),
            derived: right.cloned().map(Value::into_owned),
        }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::canonical::parse;
    use super::*;

    #[test]
    fn only_the_leaves_that_differ_are_listed() {
        let left = parse(br#"{"a":{"b":1,"c":[1,2]},"d":"x"}"#).unwrap();
        let right = parse(br#"{"a":{"b":2,"c":[1,2],"e":null},"d":"x"}"#).unwrap();
        let paths: Vec<_> = differences(&left, &right)
            .into_iter()
            .map(|d| d.path)
            .collect();
        assert_eq!(paths, ["$.a.b", "$.a.e"]);
        assert!(differences(&left, &left).is_empty());
    }
}
