//! `.hap/owners.json` to [`Owners`]: who may attest for which domain, according to the project (section 10.3).
//!
//! The file of the base commit counts, so that nobody appoints themselves in the change that they attest to
//! (section 10.4). Only where no commit on base's first-parent chain ever had the file may the head introduce it. A
//! file that is there and cannot be read is never treated as absent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Found, names};
use crate::engine::canonical::from_slice;
use crate::engine::code::{Code, Refusal};

/// The file's path.
pub const PATH: &str = ".hap/owners.json";

/// The owners of each domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owners {
    domains: BTreeMap<String, Vec<String>>,
}

/// Which commit's file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The base commit's, as always after the first.
    Base,
    /// The head commit's: nobody owned anything before.
    FirstAdoption,
}

/// What the caller found out about the file.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What the path holds in the base commit.
    pub base: Found<'a>,
    /// What the path holds in the head commit.
    pub head: Found<'a>,
    /// Whether any commit on base's first-parent chain ever had the path.
    pub base_history_had_it: bool,
    /// Whether base is the governed ref's tip, or no governed ref is configured.
    pub base_may_adopt: bool,
}

impl Sources<'_> {
    /// Says whose file counts, and reads it.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_MISSING`: base has none, and the head may not introduce or does not hold one.
    /// `AUTHORIZATION_SOURCE_INVALID`: the file that counts breaks a rule.
    pub fn resolve(&self) -> Result<(Owners, Origin), Refusal> {
        let (found, origin) = match self.base {
            Found::Absent => (self.introduced()?, Origin::FirstAdoption),
            Found::File(_) | Found::Irregular => (self.base, Origin::Base),
        };
        match found {
            Found::File(bytes) => Ok((Owners::parse(bytes)?, origin)),
            Found::Irregular => Err(invalid("is no regular file")),
            Found::Absent => Err(missing("is neither in the base nor in the head commit")),
        }
    }

    fn introduced(&self) -> Result<Found<'_>, Refusal> {
        if self.base_history_had_it {
            Err(missing(
                "was removed before the base commit, and can be adopted only once",
            ))
        } else if !self.base_may_adopt {
            Err(missing(
                "is not in the base commit, which is not the governed ref's tip",
            ))
        } else {
            Ok(self.head)
        }
    }

    /// The domains whose owners the action changes: for a warning, since it should be attested by their owners.
    #[must_use]
    pub fn changed_domains(&self) -> BTreeSet<String> {
        let read = |found| match found {
            Found::File(bytes) => Owners::parse(bytes).map(|owners| owners.domains),
            Found::Absent | Found::Irregular => Ok(BTreeMap::new()),
        };
        let before = read(self.base).unwrap_or_default();
        let after = read(self.head).unwrap_or_default();
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name))
            .cloned()
            .collect()
    }
}

impl Owners {
    /// Parses the file: `{"domains": {name: [did, …]}}`.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`, with the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let owners: Self =
            from_slice(bytes).map_err(|fault| invalid(format!("is malformed: {fault}")))?;
        for (domain, dids) in &owners.domains {
            let place = format!("`$.domains[{domain:?}]`");
            if !names::is_domain(domain) {
                return Err(invalid(format!(
                    "is malformed: {place} is no domain's name"
                )));
            }
            if !dids.iter().all(|did| names::is_did(did)) {
                return Err(invalid(format!(
                    "is malformed: {place} holds what is no DID"
                )));
            }
        }
        Ok(owners)
    }

    /// Tells whether a person owns a domain; DIDs are compared byte by byte.
    #[must_use]
    pub fn owns(&self, did: &str, domain: &str) -> bool {
        self.domains
            .get(domain)
            .is_some_and(|dids| dids.iter().any(|owner| owner == did))
    }

    /// Walks the domains with their owners, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.domains
            .iter()
            .map(|(domain, dids)| (domain.as_str(), dids.as_slice()))
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::new(Code::AuthorizationSourceMissing, format!("`{PATH}` {what}"))
}

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::AuthorizationSourceInvalid, format!("`{PATH}` {what}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const ALICE: &[u8] = br#"{"domains":{"engineering":["did:github:alice"]}}"#;
    const MALLORY: &[u8] = br#"{"domains":{"engineering":["did:github:mallory"]}}"#;

    fn sources<'a>(base: Found<'a>, head: Found<'a>) -> Sources<'a> {
        Sources {
            base,
            head,
            base_history_had_it: false,
            base_may_adopt: true,
        }
    }

    fn code(sources: Sources<'_>) -> Result<Origin, Code> {
        sources
            .resolve()
            .map(|(_, origin)| origin)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_base_decides_wherever_it_has_the_path() {
        let (owners, origin) = sources(Found::File(ALICE), Found::File(MALLORY))
            .resolve()
            .unwrap();
        assert_eq!(origin, Origin::Base);
        assert!(owners.owns("did:github:alice", "engineering"));
        assert!(!owners.owns("did:github:mallory", "engineering"));
        assert!(!owners.owns("did:github:Alice", "engineering"));
        let bad = Err(Code::AuthorizationSourceInvalid);
        assert_eq!(code(sources(Found::Irregular, Found::File(ALICE))), bad);
        assert_eq!(code(sources(Found::File(b"{"), Found::File(ALICE))), bad);
    }

    #[test]
    fn adoption_happens_once_and_at_the_governed_tip() {
        let head = Found::File(ALICE);
        assert_eq!(
            code(sources(Found::Absent, head)),
            Ok(Origin::FirstAdoption)
        );
        let missing = Err(Code::AuthorizationSourceMissing);
        let again = Sources {
            base_history_had_it: true,
            ..sources(Found::Absent, head)
        };
        assert_eq!(code(again), missing);
        let behind = Sources {
            base_may_adopt: false,
            ..sources(Found::Absent, head)
        };
        assert_eq!(code(behind), missing);
        assert_eq!(code(sources(Found::Absent, Found::Absent)), missing);
        assert_eq!(
            code(sources(Found::Absent, Found::Irregular)),
            Err(Code::AuthorizationSourceInvalid)
        );
    }

    #[test]
    fn lists_hold_dids_and_nothing_else() {
        for bad in [
            r#"{"domains":{"a":"did:github:x"}}"#,
            r#"{"domains":{"a":["alice"]}}"#,
            r#"{"domains":{"a":[["did:github:x"]]}}"#,
            r#"{"domains":{"":[]}}"#,
            r#"{"domains":{},"extra":1}"#,
            r#"{"domains":[]}"#,
            r"{}",
        ] {
            let code = Owners::parse(bad.as_bytes()).map_err(|refusal| refusal.code);
            assert_eq!(code, Err(Code::AuthorizationSourceInvalid), "{bad}");
        }
    }

    #[test]
    fn a_change_of_owners_names_its_domains() {
        let changed = sources(Found::File(ALICE), Found::File(MALLORY)).changed_domains();
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["engineering"]);
        assert!(
            sources(Found::File(ALICE), Found::File(ALICE))
                .changed_domains()
                .is_empty()
        );
    }
}
