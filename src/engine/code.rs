//! Every stable reason code, and "no" as a value.
//!
//! A [`Code`] says why a command ended as it did; its [`Class`] is the exit code (core.md, section 8). The table of
//! all codes is in `code/table.rs`, one entry a code, and every accessor is an exhaustive lookup in it: a code
//! without a class, a cause or a hint does not compile. A code is never renamed and never reused.
//!
//! This module imports nothing of the engine, so that every other module may name a code.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use class::Class;
pub use markdown::{class_table, markdown_table};
pub use refusal::Refusal;
pub use table::Code;

mod class;
mod markdown;
mod refusal;
mod table;

/// Refuses a word that names no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason code")]
pub struct UnknownCode(
    /// The word as it was given.
    pub String,
);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    /// Reads a code from its exact name.
    ///
    /// # Errors
    ///
    /// [`UnknownCode`] for any other word, another letter case included.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or_else(|| UnknownCode(name.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|code| code.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests;
