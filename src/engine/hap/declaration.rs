//! `.hap/decision.json` of the head commit to [`Declaration`]: which governance the proposer declared.

use serde::{Deserialize, Serialize};

use super::{Found, names};
use crate::engine::canonical::from_slice;
use crate::engine::code::{Code, Refusal};

/// The declaration's path in the head commit.
pub const PATH: &str = ".hap/decision.json";

/// What the proposer declared: governance choices and nothing else, least of all reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The id of the profile.
    pub profile: String,
    /// The name of the execution path.
    pub execution_path: String,
}

impl Declaration {
    /// Reads the declaration from what its path holds in the head commit.
    ///
    /// # Errors
    /// `DECISION_RECORD_MISSING`: the commit has no such path. `DECISION_RECORD_INVALID`: it is no regular file, or
    /// not exactly the two fields in their patterns.
    pub fn read(at_head: Found<'_>) -> Result<Self, Refusal> {
        match at_head {
            Found::File(bytes) => Self::parse(bytes),
            Found::Absent => Err(Refusal::new(
                Code::DecisionRecordMissing,
                format!("the head commit has no `{PATH}`"),
            )),
            Found::Irregular => Err(invalid(format!("`{PATH}` is no regular file"))),
        }
    }

    /// Parses the declaration's bytes.
    ///
    /// # Errors
    /// `DECISION_RECORD_INVALID`, with the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let declaration: Self = from_slice(bytes)
            .map_err(|fault| invalid(format!("`{PATH}` is malformed: {fault}")))?;
        if !names::is_profile_id(&declaration.profile) {
            return Err(invalid(format!(
                "`{PATH}` names what is no profile id: `{}`",
                declaration.profile.escape_debug()
            )));
        }
        if !names::is_path(&declaration.execution_path) {
            return Err(invalid(format!(
                "`{PATH}` names what is no execution path: `{}`",
                declaration.execution_path.escape_debug()
            )));
        }
        Ok(declaration)
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::DecisionRecordInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_the_same_as_no_path() {
        let code = |found| Declaration::read(found).map_err(|refusal| refusal.code);
        assert_eq!(code(Found::Absent), Err(Code::DecisionRecordMissing));
        assert_eq!(code(Found::Irregular), Err(Code::DecisionRecordInvalid));
    }

    #[test]
    fn resolved_values_may_not_be_declared() {
        for extra in [
            r#""sha":"x""#,
            r#""changed_paths":[]"#,
            r#""disclosure":{}"#,
        ] {
            let text = format!(r#"{{"profile":"a@1.0","execution_path":"p",{extra}}}"#);
            let code = Declaration::parse(text.as_bytes()).map_err(|refusal| refusal.code);
            assert_eq!(code, Err(Code::DecisionRecordInvalid), "{extra}");
        }
    }

    #[test]
    fn one_key_twice_is_refused() {
        let text = br#"{"profile":"a@1.0","profile":"b@1.0","execution_path":"p"}"#;
        assert!(Declaration::parse(text).is_err());
    }
}
