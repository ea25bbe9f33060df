//! `permit hap onboard`: an organization's files in the work tree, for a pull request; what is there only grows.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::OnboardArgs;
use super::authority::{WorkFile, YEAR};
use super::clock::Now;
use crate::cli::outcome::Outcome;
use crate::cli::render::{GOOD, paint};
use crate::cli::session::Session;
use crate::cli::{fault, files};
use crate::engine::code::Refusal;
use crate::engine::hap::authority::{
    self, AuthorityChange, AuthorityEvent, Organization, Registry,
};
use crate::engine::hap::identity::{self, AllowedSigners, NAMESPACE};
use crate::engine::hap::key::ProviderKey;
use crate::engine::hap::owners::{self, Owners};
use crate::engine::hap::profile::{Profile, SHIPPED, SHIPPED_ID, path_of};
use crate::engine::hap::providers::{self, ProviderEntry, ProvidersFile, TrustedProviders};
use crate::engine::request::MAX_REQUEST;

pub(super) fn run(session: &Session, args: &OnboardArgs) -> Result<Outcome, Refusal> {
    let now = Now::of(&args.clock)?;
    let owners = pairs("--owner", &args.owner)?;
    let mut written = Vec::new();
    let envs = write_profiles(session, &args.profile, &mut written)?;
    write_registry(session, args, &owners, &envs, now)?;
    written.push(authority::PATH.to_owned());
    if !owners.is_empty() {
        write_owners(session, &owners)?;
        written.push(owners::PATH.to_owned());
    }
    if !args.signer.is_empty() {
        write_signers(session, &pairs("--signer", &args.signer)?)?;
        written.push(identity::PATH.to_owned());
    }
    if let (Some(key), Some(about)) = (&args.sp_key, &args.sp_name) {
        write_provider(session, key, about, now)?;
        written.push(providers::PATH.to_owned());
    }
    let mut text = String::new();
    for path in &written {
        text.push_str(&format!("{} {path}\n", paint(GOOD, "written")));
    }
    let outcome = Outcome::ok("hap.onboard")
        .field("organization", &args.organization)
        .field("written", written)
        .text(text)
        .next("commit the files, have them reviewed, and land them on the governed ref");
    Ok(now.show(outcome))
}

fn pairs(option: &str, values: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    values
        .iter()
        .map(|value| {
            value
                .split_once('=')
                .map(|(left, right)| (left.to_owned(), right.to_owned()))
                .ok_or_else(|| {
                    fault::input(format!("`{option} {}` has no `=`", value.escape_debug()))
                })
        })
        .collect()
}

/// Writes the shipped profile where the work tree lacks it; returns the environments of all profiles.
fn write_profiles(
    session: &Session,
    ids: &[String],
    written: &mut Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let mut envs = Vec::new();
    for id in ids {
        let path = path_of(id);
        let file = WorkFile::open(session, &path)?;
        let profile = match &file.bytes {
            Some(bytes) => Profile::parse(bytes)?,
            None if id == SHIPPED_ID => {
                file.write_bytes(SHIPPED)?;
                written.push(path);
                Profile::parse(SHIPPED)?
            }
            None => {
                return Err(fault::input(format!("the work tree has no `{path}`"))
                    .next("write the profile first"));
            }
        };
        envs.extend(profile.envs);
    }
    envs.sort();
    envs.dedup();
    Ok(envs)
}

fn write_registry(
    session: &Session,
    args: &OnboardArgs,
    owners: &[(String, String)],
    envs: &[String],
    now: Now,
) -> Result<(), Refusal> {
    let file = WorkFile::open(session, authority::PATH)?;
    let registry = match &file.bytes {
        Some(bytes) => Registry::parse(bytes)?,
        None => Registry::empty(),
    };
    let mut registry = registry.with_organization(Organization {
        id: args.organization.clone(),
        repos: vec![args.repo.clone()],
        profiles: args.profile.clone(),
    })?;
    for (domain, did) in owners {
        registry = registry.with_event(AuthorityEvent {
            event: AuthorityChange::Grant,
            organization: args.organization.clone(),
            did: did.clone(),
            domain: domain.clone(),
            envs: envs.to_vec(),
            by: args.by.clone(),
            at: now.time,
            expires: Some(now.time.saturating_add(YEAR)),
        })?;
    }
    file.write(&registry)
}

fn write_owners(session: &Session, added: &[(String, String)]) -> Result<(), Refusal> {
    let file = WorkFile::open(session, owners::PATH)?;
    let mut domains: BTreeMap<String, Vec<String>> = match &file.bytes {
        Some(bytes) => Owners::parse(bytes)?
            .iter()
            .map(|(domain, dids)| (domain.to_owned(), dids.to_vec()))
            .collect(),
        None => BTreeMap::new(),
    };
    for (domain, did) in added {
        let dids = domains.entry(domain.clone()).or_default();
        if !dids.contains(did) {
            dids.push(did.clone());
        }
    }
    let record = serde_json::json!({"domains": domains});
    Owners::parse(record.to_string().as_bytes())?;
    file.write(&record)
}

fn write_signers(session: &Session, added: &[(String, String)]) -> Result<(), Refusal> {
    let file = WorkFile::open(session, identity::PATH)?;
    let mut text = String::from_utf8(file.bytes.clone().unwrap_or_default())
        .map_err(|_| fault::input(format!("`{}` is not UTF-8", identity::PATH)))?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (did, path) in added {
        let key = files::read(Path::new(path), MAX_REQUEST)?;
        let key = String::from_utf8_lossy(&key);
        text.push_str(&format!(
            "{did} namespaces=\"{NAMESPACE}\" {}\n",
            key.trim()
        ));
    }
    AllowedSigners::parse(text.as_bytes())?;
    file.write_bytes(text.as_bytes())
}

fn write_provider(session: &Session, key: &str, about: &str, now: Now) -> Result<(), Refusal> {
    let file = WorkFile::open(session, providers::PATH)?;
    let mut providers = match &file.bytes {
        Some(bytes) => ProvidersFile::parse(bytes)?,
        None => ProvidersFile::empty(),
    };
    let key: ProviderKey = key
        .parse()
        .map_err(|error| fault::input(format!("`--sp-key {}` {error}", key.escape_debug())))?;
    let mut words = about.splitn(4, ',').map(|word| word.trim().to_owned());
    let mut word = || words.next().unwrap_or_default();
    providers.providers.push(ProviderEntry {
        name: word(),
        operator: word(),
        jurisdiction: word(),
        contact: word(),
        public_key: key.to_string(),
        did: key.did(),
        trusted_from: Some(now.time),
        trusted_until: None,
    });
    let bytes = serde_json::to_vec(&providers).unwrap_or_default();
    TrustedProviders::parse(&bytes)?;
    file.write(&providers)
}
