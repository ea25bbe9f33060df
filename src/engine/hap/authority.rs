//! `governance/hap/registry.json` to [`Registry`]: which organizations exist, and who was granted what until when
//! (sections 19 and 20.4).
//!
//! The registry only narrows: a person attests for a domain where the project's owners *and* a live grant of the
//! repository's organization say so. `authority` is an append-only list; what holds at a time is a fold over the
//! events up to that time, so that authority at the time of an attestation can be judged for ever after.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::providers::nullable;
use super::{Found, names};
use crate::engine::canonical::from_slice;
use crate::engine::code::{Code, Refusal};

/// The file's path in the base commit.
pub const PATH: &str = "governance/hap/registry.json";

/// The file's `schema`.
pub const SCHEMA: &str = "permit.hap_registry.v1";

/// The registry of organizations and their grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    schema: String,
    /// The organizations that are registered.
    pub organizations: Vec<Organization>,
    /// The grants and revocations, oldest first.
    pub authority: Vec<AuthorityEvent>,
}

/// An organization, its repositories and the profiles that it declared to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The organization's id.
    pub id: String,
    /// The forge's names of its repositories.
    pub repos: Vec<String>,
    /// The ids of the profiles that it uses.
    pub profiles: Vec<String>,
}

/// One event in the life of a person's authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorityEvent {
    /// What happened.
    pub event: AuthorityChange,
    /// The organization whose authority it is.
    pub organization: String,
    /// Whose authority changes.
    pub did: String,
    /// For which domain.
    pub domain: String,
    /// For which environments.
    pub envs: Vec<String>,
    /// Who granted or revoked it.
    pub by: String,
    /// When, in Unix seconds.
    pub at: i64,
    /// The first second at which a grant no longer holds, in Unix seconds; `null` for no end.
    #[serde(deserialize_with = "nullable")]
    pub expires: Option<i64>,
}

/// A grant or a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityChange {
    /// Authority begins.
    Grant,
    /// Authority ends.
    Revoke,
}

/// What is asked of a person's authority.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The organization's id.
    pub organization: &'a str,
    /// The person.
    pub did: &'a str,
    /// The domain.
    pub domain: &'a str,
    /// The environment.
    pub env: &'a str,
}

impl Registry {
    /// Makes a registry without organizations.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            organizations: Vec::new(),
            authority: Vec::new(),
        }
    }

    /// Reads the registry from what its path holds in the base commit.
    ///
    /// # Errors
    /// `ORGANIZATION_NOT_REGISTERED`: no such file, hence no organization. `AUTHORIZATION_SOURCE_INVALID`: a file that
    /// breaks a rule.
    pub fn read(at_base: Found<'_>) -> Result<Self, Refusal> {
        match at_base {
            Found::File(bytes) => Self::parse(bytes),
            Found::Absent => Err(Refusal::new(
                Code::OrganizationNotRegistered,
                format!("the base commit has no `{PATH}`"),
            )),
            Found::Irregular => Err(invalid("is no regular file")),
        }
    }

    /// Parses the file.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`: malformed, an organization or a repository twice, an event of no known
    /// organization, or one that is dated before an earlier one of the same person and domain.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let registry: Self =
            from_slice(bytes).map_err(|fault| invalid(format!("is malformed: {fault}")))?;
        registry.check()?;
        Ok(registry)
    }

    /// Refuses a registry that took back what an older one recorded: the list of events only grows.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`: an event of the older registry is altered, moved or missing.
    pub fn check_extends(&self, older: &Self) -> Result<(), Refusal> {
        if self.authority.starts_with(&older.authority) {
            Ok(())
        } else {
            Err(invalid(
                "alters or drops a recorded event of `$.authority`, which only grows",
            ))
        }
    }

    /// Adds an event at the end.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`: the event does not fit the registry.
    pub fn with_event(mut self, event: AuthorityEvent) -> Result<Self, Refusal> {
        self.authority.push(event);
        self.check()?;
        Ok(self)
    }

    /// Adds an organization, or repositories and profiles to one that is there.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`: the organization does not fit the registry.
    pub fn with_organization(mut self, added: Organization) -> Result<Self, Refusal> {
        match self.organizations.iter_mut().find(|own| own.id == added.id) {
            Some(own) => {
                for repo in added.repos {
                    if !own.repos.contains(&repo) {
                        own.repos.push(repo);
                    }
                }
                for profile in added.profiles {
                    if !own.profiles.contains(&profile) {
                        own.profiles.push(profile);
                    }
                }
            }
            None => self.organizations.push(added),
        }
        self.check()?;
        Ok(self)
    }

    /// Finds the organization that holds a repository.
    ///
    /// # Errors
    /// `ORGANIZATION_NOT_REGISTERED`.
    pub fn organization_of(&self, repo: &str) -> Result<&Organization, Refusal> {
        self.organizations
            .iter()
            .find(|organization| organization.repos.iter().any(|own| own == repo))
            .ok_or_else(|| {
                Refusal::new(
                    Code::OrganizationNotRegistered,
                    format!(
                        "no registered organization holds the repository `{}`",
                        repo.escape_debug()
                    ),
                )
            })
    }

    /// Tells whether a person's authority is live at a time: granted, not revoked since, not expired.
    #[must_use]
    pub fn is_granted(&self, scope: Scope<'_>, time: i64) -> bool {
        let last = self.authority.iter().rfind(|event| {
            event.at <= time
                && event.organization == scope.organization
                && event.did == scope.did
                && event.domain == scope.domain
                && event.envs.iter().any(|env| env == scope.env)
        });
        last.is_some_and(|event| match event.event {
            AuthorityChange::Grant => event.expires.is_none_or(|expires| time < expires),
            AuthorityChange::Revoke => false,
        })
    }

    /// Walks the events of one person, oldest first.
    pub fn history<'r>(&'r self, did: &'r str) -> impl Iterator<Item = &'r AuthorityEvent> {
        self.authority.iter().filter(move |event| event.did == did)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.schema != SCHEMA {
            return Err(invalid(format!(
                "is malformed: `$.schema`: is not `{SCHEMA}`"
            )));
        }
        let mut ids = BTreeSet::new();
        let mut repos = BTreeSet::new();
        for (index, organization) in self.organizations.iter().enumerate() {
            let place = format!("`$.organizations[{index}]`");
            if !names::is_domain(&organization.id) || !ids.insert(&organization.id) {
                return Err(invalid(format!(
                    "is malformed: {place} has no id of its own"
                )));
            }
            if !organization.repos.iter().all(|repo| names::is_repo(repo)) {
                return Err(invalid(format!(
                    "is malformed: {place} holds what is no repository `<owner>/<name>`"
                )));
            }
            if !organization.repos.iter().all(|repo| repos.insert(repo)) {
                return Err(invalid(format!(
                    "is malformed: {place} holds a repository that is registered twice"
                )));
            }
            if !organization
                .profiles
                .iter()
                .all(|id| names::is_profile_id(id))
            {
                return Err(invalid(format!(
                    "is malformed: {place} holds what is no profile id"
                )));
            }
        }
        let mut latest: BTreeMap<[&str; 3], i64> = BTreeMap::new();
        for (index, event) in self.authority.iter().enumerate() {
            let fault =
                |what: &str| invalid(format!("is malformed: `$.authority[{index}]` {what}"));
            event.check(&ids).map_err(fault)?;
            let of = [&event.organization, &event.did, &event.domain].map(String::as_str);
            if latest.insert(of, event.at).is_some_and(|at| at > event.at) {
                return Err(fault(
                    "is dated before an earlier event of the same person and domain",
                ));
            }
        }
        Ok(())
    }
}

impl AuthorityEvent {
    fn check(&self, organizations: &BTreeSet<&String>) -> Result<(), &'static str> {
        if !organizations.contains(&self.organization) {
            return Err("is of no registered organization");
        }
        if !names::is_did(&self.did) {
            return Err("is about what is no DID");
        }
        if !names::is_domain(&self.domain) {
            return Err("is about what is no domain");
        }
        if self.envs.is_empty() || !self.envs.iter().all(|env| names::is_env(env)) {
            return Err("names no environments");
        }
        if crate::engine::text::id_fault(&self.by).is_some() {
            return Err("does not say by whom");
        }
        if self.at < 0 || self.expires.is_some_and(|expires| expires <= self.at) {
            return Err("ends before it begins");
        }
        Ok(())
    }
}

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::AuthorizationSourceInvalid, format!("`{PATH}` {what}"))
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(event: &str, at: i64, envs: &[&str], expires: Option<i64>) -> Value {
        json!({"event": event, "organization": "acme", "did": "did:github:alice", "domain": "engineering",
               "envs": envs, "by": "did:github:root", "at": at, "expires": expires})
    }

    fn file(authority: &[Value]) -> Value {
        json!({"schema": SCHEMA, "authority": authority, "organizations":
              [{"id": "acme", "repos": ["owner/repo"], "profiles": ["deploy-gate@0.3"]}]})
    }

    fn parse(file: &Value) -> Result<Registry, Code> {
        Registry::parse(&serde_json::to_vec(file).unwrap()).map_err(|refusal| refusal.code)
    }

    fn live(registry: &Registry, env: &str, time: i64) -> bool {
        let scope = Scope {
            organization: "acme",
            did: "did:github:alice",
            domain: "engineering",
            env,
        };
        registry.is_granted(scope, time)
    }

    #[test]
    fn authority_is_a_fold_over_time() {
        let registry = parse(&file(&[
            event("grant", 100, &["prod", "staging"], Some(200)),
            event("revoke", 150, &["prod"], None),
            event("grant", 180, &["prod"], None),
        ]))
        .unwrap();
        let prod: Vec<bool> = [99, 100, 149, 150, 180, 999]
            .map(|time| live(&registry, "prod", time))
            .into();
        assert_eq!(prod, [false, true, true, false, true, true]);
        assert!(live(&registry, "staging", 199) && !live(&registry, "staging", 200));
        assert!(!live(&registry, "moon", 150));
        assert_eq!(registry.history("did:github:alice").count(), 3);
    }

    #[test]
    fn a_registry_that_could_be_read_two_ways_is_invalid() {
        let refused = |file: &Value| {
            assert_eq!(parse(file), Err(Code::AuthorizationSourceInvalid), "{file}");
        };
        refused(&file(&[
            event("revoke", 150, &["prod"], None),
            event("grant", 100, &["prod"], None),
        ]));
        refused(&file(&[event("grant", 100, &["prod"], Some(100))]));
        refused(&file(&[event("grant", 100, &[], None)]));
        refused(&file(&[event("lend", 100, &["prod"], None)]));
        let mut other = file(&[event("grant", 100, &["prod"], None)]);
        other["authority"][0]["organization"] = json!("other");
        refused(&other);
        let mut twice = file(&[]);
        let again = json!({"id": "b", "repos": ["owner/repo"], "profiles": []});
        twice["organizations"].as_array_mut().unwrap().push(again);
        refused(&twice);
        let mut open = file(&[event("grant", 100, &["prod"], None)]);
        open["authority"][0]
            .as_object_mut()
            .unwrap()
            .remove("expires");
        refused(&open);
    }

    #[test]
    fn no_registry_means_no_organization() {
        let read = |found| Registry::read(found).map_err(|refusal| refusal.code);
        assert_eq!(read(Found::Absent), Err(Code::OrganizationNotRegistered));
        assert_eq!(
            read(Found::Irregular),
            Err(Code::AuthorizationSourceInvalid)
        );
        let registry = parse(&file(&[])).unwrap();
        assert!(registry.organization_of("owner/repo").is_ok());
        let other = registry.organization_of("owner/Repo").unwrap_err();
        assert_eq!(other.code, Code::OrganizationNotRegistered);
    }

    #[test]
    fn an_organization_grows_and_keeps_what_it_had() {
        let added = Organization {
            id: "acme".to_owned(),
            repos: vec!["owner/repo".to_owned(), "owner/two".to_owned()],
            profiles: vec!["x@1.0".to_owned()],
        };
        let registry = parse(&file(&[])).unwrap().with_organization(added).unwrap();
        let acme = registry.organization_of("owner/two").unwrap();
        assert_eq!(acme.repos.len(), 2);
        assert_eq!(acme.profiles, ["deploy-gate@0.3", "x@1.0"]);
    }
}
