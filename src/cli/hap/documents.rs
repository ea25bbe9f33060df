//! What a commit holds of the Human Agency Protocol's files, read whole, for a boundary that lets in nothing malformed.

use super::commits::{Held, held};
use crate::cli::fault;
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::Found;
use crate::engine::hap::authority::{self, Registry};
use crate::engine::hap::identity::{self, AllowedSigners};
use crate::engine::hap::owners::{self, Owners};
use crate::engine::hap::profile::{self, Profile};
use crate::engine::hap::providers::{self, TrustedProviders};
use crate::git::Snapshot;

/// Refuses a commit that holds a malformed file, drops what only grows, or changes what a profile's id means.
///
/// # Errors
/// `AUTHORIZATION_SOURCE_INVALID`: owners, registry, providers or allowed signers. `PROFILE_INVALID`.
pub(crate) fn check(before: Option<&Snapshot<'_>>, after: &Snapshot<'_>) -> Result<(), Refusal> {
    let at = |path: &str| held(after, path);
    let older = |path: &str| before.map_or(Ok(Held::Absent), |before| held(before, path));
    whole(owners::PATH, &at(owners::PATH)?, Owners::parse)?;
    whole(
        providers::PATH,
        &at(providers::PATH)?,
        TrustedProviders::parse,
    )?;
    whole(identity::PATH, &at(identity::PATH)?, AllowedSigners::parse)?;
    let registry = whole(authority::PATH, &at(authority::PATH)?, Registry::parse)?;
    // What was malformed before has nothing that could be kept.
    if let Ok(Some(older)) = whole(authority::PATH, &older(authority::PATH)?, Registry::parse) {
        registry
            .unwrap_or_else(Registry::empty)
            .check_extends(&older)?;
    }
    let listed = after
        .list(profile::FOLDER)
        .map_err(fault::governed(Code::ProfileInvalid))?;
    for entry in listed {
        let name = String::from_utf8_lossy(&entry.name);
        let Some(id) = name.strip_suffix(".profile.json") else {
            continue;
        };
        let id = id.replace("%2F", "/");
        let path = format!("{}/{name}", profile::FOLDER);
        let present = at(&path)?;
        let refused = |refusal: Refusal| refusal.detail("path", path.as_str());
        Profile::resolve(&id, present.found(), true).map_err(refused)?;
        Profile::check_unchanged(&id, older(&path)?.found(), present.found()).map_err(refused)?;
    }
    Ok(())
}

/// Reads a file that may be absent, and nothing else in its place.
fn whole<T>(
    path: &str,
    held: &Held,
    parse: impl Fn(&[u8]) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    match held.found() {
        Found::Absent => Ok(None),
        Found::File(bytes) => parse(bytes).map(Some),
        Found::Irregular => Err(Refusal::new(
            Code::AuthorizationSourceInvalid,
            format!("`{path}` is no regular file"),
        )),
    }
}
