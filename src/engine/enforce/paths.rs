//! The paths of an intent, as a record keeps them: how many, a digest of all, and the first ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::digest::ListHash;

/// Paths that were computed, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, from = "Written")]
pub struct Paths {
    /// How many there are.
    pub count: u64,
    /// SHA-256 of all, each with a zero byte behind it, in hex.
    pub digest: String,
    /// The first hundred of them, fewer where they are long.
    pub first: Vec<String>,
}

/// How they stand in a record; before there was a bound, as a list of all.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Sum {
        count: u64,
        digest: String,
        first: Vec<String>,
    },
    All(Vec<String>),
}

impl From<Written> for Paths {
    fn from(written: Written) -> Self {
        match written {
            Written::Sum {
                count,
                digest,
                first,
            } => Self {
                count,
                digest,
                first,
            },
            Written::All(paths) => Self::of(paths.iter().map(String::as_bytes)),
        }
    }
}

impl Paths {
    /// Sums up paths that are sorted by bytes.
    ///
    /// A path that is not UTF-8 is shown with `\x` and two hex digits for each byte that is not.
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p [u8]>) -> Self {
        const SHOWN: usize = 100;
        const BYTES: usize = 16 << 10;
        let (mut count, mut hash) = (0_u64, ListHash::default());
        let (mut first, mut left) = (Vec::new(), Some(BYTES));
        for path in paths {
            count = count.saturating_add(1);
            hash.add(path);
            left = left.and_then(|left| left.checked_sub(path.len()));
            if first.len() < SHOWN && left.is_some() {
                first.push(shown(path));
            }
        }
        Self {
            count,
            digest: hash.finish().to_string(),
            first,
        }
    }
}

/// Shows a path: UTF-8 as it is, any other byte as `\xhh`.
fn shown(path: &[u8]) -> String {
    path.utf8_chunks()
        .flat_map(|chunk| {
            let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
            std::iter::once(chunk.valid().to_owned()).chain(invalid)
        })
        .collect()
}
