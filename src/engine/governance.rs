//! What of a commit confers authority, and the one digest of it: two commits with the same digest govern alike.
//!
//! The digest is `domain_hash("secure_execution_layer.governance_digest.v1", {"blobs": [{"blob", "path"}, …]})`, by the
//! bytes of the paths. `blob` is a regular file's Git id. Whatever else stands where a file belongs counts with its mode
//! before its id (`120000 <id>`), so that a link never passes for the file whose bytes it has.

use std::collections::BTreeMap;

use super::canonical::{Object, Value};
use super::digest::{Domain, GovernanceDigest, domain_hash};

/// The files that count by name.
pub const FILES: [&str; 4] = [
    "governance/principals.json",
    "governance/enforcement.json",
    "governance/surfaces.json",
    ".hap/owners.json",
];

/// The folder whose policy documents count, and how their names end.
pub const POLICIES: (&str, &str) = ("governance/policy", ".policy.json");

/// The folder of which every file counts, however deep.
pub const HAP: &str = "governance/hap";

/// The most files that a digest covers.
pub const MOST_FILES: usize = 100_000;

/// Hashes what a commit holds at the paths that count, each with its blob.
#[must_use]
pub fn governance_digest(blobs: &BTreeMap<String, String>) -> GovernanceDigest {
    let blobs = blobs.iter().map(|(path, blob)| {
        Value::Object(Object::of([
            ("path", Value::from(path.as_str())),
            ("blob", Value::from(blob.as_str())),
        ]))
    });
    let object = Object::of([("blobs", Value::Array(blobs.collect()))]);
    GovernanceDigest::new(domain_hash(Domain::GovernanceDigest, &object))
}

#[cfg(test)]
mod tests {
    use super::super::digest::labelled_hash;
    use super::*;

    #[test]
    fn the_digest_is_of_every_path_with_its_blob() {
        let blobs = BTreeMap::from([
            ("governance/principals.json".to_owned(), "aa".to_owned()),
            (".hap/owners.json".to_owned(), "120000 bb".to_owned()),
        ]);
        let by_hand = labelled_hash(
            "secure_execution_layer.governance_digest.v1",
            &[br#"{"blobs":[{"blob":"120000 bb","path":".hap/owners.json"},{"blob":"aa","path":"governance/principals.json"}]}"#],
        );
        assert_eq!(governance_digest(&blobs), GovernanceDigest::new(by_hand));
        let moved = BTreeMap::from([("governance/principals.json".to_owned(), "bb".to_owned())]);
        assert_ne!(governance_digest(&moved), governance_digest(&blobs));
    }
}
