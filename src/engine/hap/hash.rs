//! A SHA-256 in the protocol's text form.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::engine::canonical::{Value, to_bytes};
use crate::engine::digest::{Digest, sha256};

/// A hash as the protocol writes it: `sha256:` and 64 lower-case hexadecimal digits, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashText(Digest);

/// Text that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not `sha256:` and 64 lower-case hexadecimal digits")]
pub struct NotAHashText;

impl HashText {
    /// Hashes raw bytes: `sha256(bytes)`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }

    /// Hashes a value's canonical bytes: `sha256(JCS(value))`.
    #[must_use]
    pub fn of_value(value: &Value<'_>) -> Self {
        Self::of(&to_bytes(value))
    }
}

impl fmt::Display for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl FromStr for HashText {
    type Err = NotAHashText;

    fn from_str(text: &str) -> Result<Self, NotAHashText> {
        text.strip_prefix("sha256:")
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or(NotAHashText)
    }
}

impl Serialize for HashText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HashText {
    fn schema_name() -> Cow<'static, str> {
        "HashText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_text_form_is_read() {
        let good = HashText::of(b"").to_string();
        assert_eq!(good.parse::<HashText>(), Ok(HashText::of(b"")));
        let digits = good.strip_prefix("sha256:").unwrap_or_default();
        for bad in [
            digits.to_owned(),
            good.to_uppercase(),
            format!("{good} "),
            format!("sha512:{digits}"),
            format!("sha256:{}", digits.to_uppercase()),
        ] {
            assert!(bad.parse::<HashText>().is_err(), "{bad}");
        }
    }
}
