//! The one switch: `off`, `shadow` or `enforce` (enforcement.md, Modes).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::code::{Code, Refusal};

/// What a boundary does with its decisions.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Evaluates, records and blocks nothing.
    Off,
    /// Evaluates and records; blocks nothing.
    Shadow,
    /// Evaluates, records and blocks.
    Enforce,
}

impl Mode {
    /// The word that stands in the environment and in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Shadow => "shadow",
            Mode::Enforce => "enforce",
        }
    }

    /// Reads the mode from `ENFORCEMENT_MODE` and `--mode`; one of them is enough.
    ///
    /// # Errors
    /// `MODE_NOT_SET` where neither is given, `MODE_INVALID` for another word or a contradiction.
    pub fn read(environment: Option<&str>, argument: Option<&str>) -> Result<Self, Refusal> {
        let word = |source: &str, text: &str| {
            [Mode::Off, Mode::Shadow, Mode::Enforce]
                .into_iter()
                .find(|mode| mode.word() == text)
                .ok_or_else(|| {
                    Refusal::new(
                        Code::ModeInvalid,
                        format!("{source} is `{text}`, not `off`, `shadow` or `enforce`"),
                    )
                })
        };
        let environment = environment
            .map(|text| word("`ENFORCEMENT_MODE`", text))
            .transpose()?;
        let argument = argument.map(|text| word("`--mode`", text)).transpose()?;
        match (environment, argument) {
            (None, None) => Err(Refusal::new(
                Code::ModeNotSet,
                "neither `ENFORCEMENT_MODE` nor `--mode` is given",
            )),
            (Some(one), Some(other)) if one != other => Err(Refusal::new(
                Code::ModeInvalid,
                format!(
                    "`ENFORCEMENT_MODE` is `{}` and `--mode` is `{}`",
                    one.word(),
                    other.word()
                ),
            )),
            (Some(mode), _) | (None, Some(mode)) => Ok(mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_words_are_a_mode_and_two_of_them_must_agree() {
        let code = |environment, argument| Mode::read(environment, argument).map_err(|r| r.code);
        assert_eq!(code(Some("off"), None), Ok(Mode::Off));
        assert_eq!(code(None, Some("shadow")), Ok(Mode::Shadow));
        assert_eq!(code(Some("enforce"), Some("enforce")), Ok(Mode::Enforce));
        assert_eq!(code(None, None), Err(Code::ModeNotSet));
        for wrong in ["", "Off", "enforce ", "ENFORCE", "audit", "0"] {
            assert_eq!(code(Some(wrong), None), Err(Code::ModeInvalid), "{wrong}");
            assert_eq!(code(Some("off"), Some(wrong)), Err(Code::ModeInvalid));
        }
        assert_eq!(code(Some("off"), Some("enforce")), Err(Code::ModeInvalid));
    }
}
