//! What `permit guard receive` allowed, for the `reference-transaction` hook: durable, of exact lines, valid once.
//!
//! One file for each update, named by it, so that looking one up costs the same however many wait. It holds the refs that
//! the judgement read, with the values that they may have when the update happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::install;
use super::keep::{self, Place};
use super::packed;
use super::push::{Honoured, Push};
use super::transaction::{Bound, Change};
use crate::cli::fault;
use crate::cli::session::Session;
use crate::cli::stream::STREAMS;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::Enforcement;
use crate::git::blob_id;

/// The folder, in the Git directory.
const FOLDER: &str = "permit-verdicts";
/// How many verdicts that wait one run looks at, to remove those that nothing can use any more.
const MOST_SWEPT: usize = 1000;

/// One update that was allowed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    change: Change,
    /// The permits that let it through.
    permits: Vec<Honoured>,
    /// Each ref that the judgement read, with the values that it may have: the one that was read, and for a ref of the
    /// same push the one that it goes to.
    read: BTreeMap<String, BTreeSet<String>>,
    /// Whether Git asked for the first half of a deletion.
    begun: bool,
}

/// The verdicts of a server.
pub(super) struct Verdicts<'s> {
    session: &'s Session,
    folder: PathBuf,
}

impl<'s> Verdicts<'s> {
    pub(super) fn of(session: &'s Session) -> Self {
        Self {
            session,
            folder: session.repository.common_dir().join(FOLDER),
        }
    }

    /// Finds the verdict of a change.
    pub(super) fn find(&self, change: &Change) -> Result<Option<Verdict>, Refusal> {
        let found: Option<Verdict> = keep::read(&self.path(change))?;
        Ok(found.filter(|verdict| verdict.change == *change))
    }

    /// Uses a verdict up. Git asks for a deletion twice where the ref is packed: for that file first, then for the ref.
    pub(super) fn consume(&self, verdict: Verdict) -> Result<(), Refusal> {
        let change = &verdict.change;
        let path = self.path(change);
        if change.after.is_empty()
            && !verdict.begun
            && packed::value(self.session, &change.reference)?.is_some()
        {
            let half = Verdict {
                begun: true,
                ..verdict
            };
            return keep::write(&path, &half, Place::Any).map(|_| ());
        }
        keep::remove(&path).map(|_| ())
    }

    /// Refuses a change where a ref that its judgement read has another value by now, or its permit went elsewhere.
    pub(super) fn check(&self, verdict: &Verdict) -> Result<(), Refusal> {
        for (name, allowed) in &verdict.read {
            let now = value(self.session, name);
            if !now.as_ref().is_ok_and(|now| allowed.contains(now)) {
                return Err(moved(&verdict.change, name, allowed, now.ok()));
            }
        }
        if verdict.permits.is_empty() {
            return Ok(());
        }
        let claims = Claims::open(self.session)?;
        for permit in &verdict.permits {
            claims.still_holds(permit)?;
        }
        Ok(())
    }

    /// Keeps the verdicts of a push that is allowed: for each update that the hook asks for.
    pub(super) fn keep(&self, push: &Push<'_>, honoured: &[Honoured]) -> Result<(), Refusal> {
        let hook = install::transaction_path(self.session)?;
        if !install::is_transaction_installed(&hook) {
            // Nobody asks.
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(|error| fault::io(&self.folder, &error))?;
        keep::sync_folder(self.session.repository.common_dir())?;
        let _lock = keep::lock(&self.folder)?;
        self.sweep()?;
        let bound = Bound::new(&push.governed, &push.enforcement);
        let read = self.read(push);
        // Under rules that land before it, an update may be asked for that these rules leave alone.
        let all = push.touches(&push.governed);
        for update in push.updates() {
            let change = Change::of(update);
            if !all && !bound.holds(&change.reference) {
                continue;
            }
            let permits = honoured
                .iter()
                .filter(|permit| permit.reference == change.reference);
            let verdict = Verdict {
                permits: permits.cloned().collect(),
                read: read.clone(),
                begun: false,
                change,
            };
            keep::write(&self.path(&verdict.change), &verdict, Place::Any)?;
        }
        Ok(())
    }

    /// The refs that a judgement of this push rests on: those that it read, but for the push's own, of which only the
    /// governed ref and the streams that permits are looked for on decide about others. Git compares each one itself.
    fn read(&self, push: &Push<'_>) -> BTreeMap<String, BTreeSet<String>> {
        let attached: BTreeSet<String> = match &push.enforcement {
            Ok(Some(enforcement)) => attached_streams(enforcement).collect(),
            Ok(None) | Err(_) => BTreeSet::new(),
        };
        let mut read = BTreeMap::new();
        for (name, value) in self.session.repository.held_refs() {
            let value = value.map_or_else(String::new, |id| id.to_string());
            let mut values = BTreeSet::from([value]);
            if let Some(own) = push.update(&name) {
                if name != push.governed && !attached.contains(&name) {
                    continue;
                }
                values.insert(Change::of(own).after);
            }
            read.insert(name, values);
        }
        read
    }

    /// Removes verdicts that nothing can use any more.
    fn sweep(&self) -> Result<(), Refusal> {
        for name in keep::names(&self.folder, MOST_SWEPT)? {
            if name == "lock" {
                continue;
            }
            let path = self.folder.join(&name);
            let waits = match keep::read::<Verdict>(&path) {
                Ok(Some(verdict)) => {
                    let now = value(self.session, &verdict.change.reference);
                    now.is_ok_and(|now| now == verdict.change.before)
                        && self.check(&verdict).is_ok()
                }
                Ok(None) => continue,
                // What a killed process left behind.
                Err(_) => false,
            };
            if !waits {
                keep::remove(&path)?;
            }
        }
        Ok(())
    }

    fn path(&self, change: &Change) -> PathBuf {
        let Change {
            reference,
            before,
            after,
        } = change;
        let name = blob_id(format!("{before} {after} {reference}\n").as_bytes());
        self.folder.join(format!("{name}.json"))
    }
}

fn attached_streams(enforcement: &Enforcement) -> impl Iterator<Item = String> {
    let boundaries = enforcement.boundaries().iter();
    boundaries.map(|attachment| format!("{STREAMS}{}", attachment.stream))
}

/// What a ref is at, through symbolic ones.
pub(super) fn value(session: &Session, name: &str) -> Result<String, Refusal> {
    let repository = &session.repository;
    let target = repository.stands_for(name)?;
    let value = repository.read_ref(target.as_deref().unwrap_or(name))?;
    Ok(value.map_or_else(String::new, |id| id.to_string()))
}

fn moved(change: &Change, name: &str, allowed: &BTreeSet<String>, now: Option<String>) -> Refusal {
    let what = format!(
        "`{}` was judged by `{name}`, which has another value by now",
        change.reference
    );
    let judged: Vec<&str> = allowed.iter().map(String::as_str).collect();
    Refusal::new(Code::Moved, what)
        .detail("judged", judged.join(" "))
        .detail("real", now.unwrap_or_default())
}
