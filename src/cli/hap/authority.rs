//! `permit hap owners`, `authority` and `profiles`: who may do what, at a commit; changes go to the work tree.

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{AtArgs, AuthorityArgs, HistoryArgs};
use super::clock::Now;
use super::commits::{held, snapshot_at};
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, DIM, GOOD, paint, safe};
use crate::cli::session::Session;
use crate::cli::work_folder::WorkFolder;
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::Found;
use crate::engine::hap::attestation::MAX_BLOB;
use crate::engine::hap::authority::{AuthorityChange, AuthorityEvent, PATH, Registry};
use crate::engine::hap::owners::{self, Owners};
use crate::engine::hap::profile::{FOLDER, Profile, SHIPPED, SHIPPED_ID, path_of};

/// A year, in seconds: how long a grant lasts where nothing else is said (section 20.4).
pub(super) const YEAR: i64 = 365 * 86_400;

pub(super) fn owners(session: &Session, args: &AtArgs) -> Result<Outcome, Refusal> {
    let snapshot = snapshot_at(session, args.at.as_deref())?;
    let found = held(&snapshot, owners::PATH)?;
    let owners = match found.found() {
        Found::File(bytes) => Owners::parse(bytes)?,
        Found::Absent => {
            return Err(Refusal::new(
                Code::AuthorizationSourceMissing,
                format!("commit {} has no `{}`", snapshot.commit(), owners::PATH),
            ));
        }
        Found::Irregular => {
            return Err(Refusal::new(
                Code::AuthorizationSourceInvalid,
                format!("`{}` is no regular file", owners::PATH),
            ));
        }
    };
    let mut text = String::new();
    for (domain, dids) in owners.iter() {
        text.push_str(&format!("{}\n", paint(DIM, &safe(domain))));
        for did in dids {
            text.push_str(&format!("  {}\n", safe(did)));
        }
    }
    let domains: serde_json::Map<String, Value> = owners
        .iter()
        .map(|(domain, dids)| (domain.to_owned(), json!(dids)))
        .collect();
    Ok(Outcome::ok("hap.owners")
        .field("commit", snapshot.commit().to_string())
        .field("domains", domains)
        .text(text))
}

pub(super) fn history(session: &Session, args: &HistoryArgs) -> Result<Outcome, Refusal> {
    let snapshot = snapshot_at(session, args.at.at.as_deref())?;
    let registry = Registry::read(held(&snapshot, PATH)?.found())?;
    let events: Vec<&AuthorityEvent> = registry.history(&args.did).collect();
    let mut text = String::new();
    for event in &events {
        let (word, expiry) = match (event.event, event.expires) {
            (AuthorityChange::Grant, Some(expires)) => ("grant", format!(" until {expires}")),
            (AuthorityChange::Grant, None) => ("grant", String::new()),
            (AuthorityChange::Revoke, _) => ("revoke", String::new()),
        };
        text.push_str(&format!(
            "{} {word} {} in {} of {} by {}{expiry}\n",
            paint(DIM, &event.at.to_string()),
            safe(&event.domain),
            safe(&event.envs.join(",")),
            safe(&event.organization),
            safe(&event.by),
        ));
    }
    Ok(Outcome::ok("hap.authority.history")
        .field("did", &args.did)
        .field("commit", snapshot.commit().to_string())
        .field("events", events)
        .text(text))
}

/// Writes a grant or a revocation into the work tree's registry.
pub(super) fn change(
    session: &Session,
    args: &AuthorityArgs,
    event: AuthorityChange,
) -> Result<Outcome, Refusal> {
    let now = Now::of(&args.clock)?;
    let expires = match (event, args.expires.as_deref()) {
        (AuthorityChange::Revoke, None) | (AuthorityChange::Grant, Some("never")) => None,
        (AuthorityChange::Grant, None) => Some(now.time.saturating_add(YEAR)),
        (AuthorityChange::Grant, Some(text)) => Some(text.parse().map_err(|_| {
            fault::input(format!(
                "`--expires {}` is neither Unix seconds nor `never`",
                text.escape_debug()
            ))
        })?),
        (AuthorityChange::Revoke, Some(_)) => {
            return Err(fault::input("a revocation does not expire"));
        }
    };
    let event = AuthorityEvent {
        event,
        organization: args.organization.clone(),
        did: args.did.clone(),
        domain: args.domain.clone(),
        envs: args.env.clone(),
        by: args.by.clone(),
        at: now.time,
        expires,
    };
    let file = WorkFile::open(session, PATH)?;
    let registry = match &file.bytes {
        Some(bytes) => Registry::parse(bytes)?,
        None => {
            return Err(Refusal::new(
                Code::OrganizationNotRegistered,
                format!("the work tree has no `{PATH}`"),
            ));
        }
    };
    file.write(&registry.with_event(event.clone())?)?;
    let outcome = Outcome::ok("hap.authority")
        .field("event", &event)
        .field("written", [PATH])
        .text(format!("{} {PATH}\n", paint(GOOD, "written")))
        .next("commit it, have it reviewed, and land it on the governed ref");
    Ok(now.show(outcome))
}

pub(super) fn profiles(session: &Session, args: &AtArgs) -> Result<Outcome, Refusal> {
    let snapshot = snapshot_at(session, args.at.as_deref())?;
    let (mut listed, mut text, mut ids) = (Vec::new(), String::new(), Vec::new());
    for entry in snapshot
        .list(FOLDER)
        .map_err(fault::governed(Code::ProfileInvalid))?
    {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let Some(id) = name.strip_suffix(".profile.json") else {
            continue;
        };
        let id = id.replace("%2F", "/");
        let found = held(&snapshot, &path_of(&id))?;
        let profile = Profile::resolve(&id, found.found(), true);
        list(&id, "commit", profile, &mut listed, &mut text);
        ids.push(id);
    }
    if !ids.iter().any(|id| id == SHIPPED_ID) {
        list(
            SHIPPED_ID,
            "shipped",
            Profile::parse(SHIPPED),
            &mut listed,
            &mut text,
        );
    }
    Ok(Outcome::ok("hap.profiles")
        .field("commit", snapshot.commit().to_string())
        .field("profiles", listed)
        .text(text))
}

fn list(
    id: &str,
    source: &str,
    profile: Result<Profile, Refusal>,
    listed: &mut Vec<Value>,
    text: &mut String,
) {
    match profile {
        Ok(profile) => {
            let state = if profile.deprecated {
                " (deprecated)"
            } else {
                ""
            };
            text.push_str(&format!("{}{state} {}\n", safe(id), paint(DIM, source)));
            for (name, path) in &profile.paths {
                let domains = safe(&path.required_domains.join(", "));
                text.push_str(&format!("  {name}: {domains}\n"));
            }
            listed.push(json!({
                "id": id,
                "source": source,
                "valid": true,
                "envs": profile.envs,
                "paths": profile.paths,
                "deprecated": profile.deprecated,
                "sunset": profile.sunset,
                "ttl": {"default": profile.ttl_default, "max": profile.ttl_max},
                "retention_minimum": profile.retention_minimum,
            }));
        }
        Err(refusal) => {
            text.push_str(&format!(
                "{} {} {}\n",
                safe(id),
                paint(BAD, refusal.code.name()),
                safe(&refusal.message)
            ));
            let message = refusal.message;
            listed.push(json!({"id": id, "source": source, "valid": false, "message": message}));
        }
    }
}

/// A file of the work tree that is changed for a pull request, and never committed here.
pub(super) struct WorkFile {
    folder: WorkFolder,
    path: String,
    pub(super) bytes: Option<Vec<u8>>,
}

impl WorkFile {
    pub(super) fn open(session: &Session, path: &str) -> Result<Self, Refusal> {
        let folder = WorkFolder::open(session)?;
        let bytes = folder.read(path, MAX_BLOB)?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            bytes,
        })
    }

    /// Writes a record, indented for a reviewer, in place of what was there.
    pub(super) fn write(&self, record: &impl Serialize) -> Result<(), Refusal> {
        self.folder.write_document(&self.path, record)
    }

    pub(super) fn write_bytes(&self, bytes: &[u8]) -> Result<(), Refusal> {
        self.folder.write(&self.path, bytes)
    }
}
