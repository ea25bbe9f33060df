//! `permit manifest new|check`: what a decision is about, down to the bytes. Writes work-tree files only.

use std::fs;
use std::path::{Component, Path};

use serde_json::json;

use super::fault;
use super::ledger::{ManifestAt, find};
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, paint, safe};
use super::review_args::{ManifestCheckArgs, ManifestNewArgs, ManifestVerb};
use super::session::Session;
use super::work_folder::WorkFolder;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{ManifestId, sha256};
use crate::engine::review::{Found, Listed, MAX_ARTIFACT, Manifest, artifact_path_fault};
use crate::git::Snapshot;

/// The command that lists the manifests that there are.
pub(crate) const MANIFESTS: &str = "git ls-files governance/manifests";

pub(crate) fn run(session: &Session, verb: &ManifestVerb) -> Result<Outcome, Refusal> {
    match verb {
        ManifestVerb::New(args) => new(session, args),
        ManifestVerb::Check(args) => check(session, args),
    }
}

fn new(session: &Session, args: &ManifestNewArgs) -> Result<Outcome, Refusal> {
    let root = session.work_tree()?;
    let snapshot = session
        .repository
        .snapshot(session.governed_at(args.at.as_deref())?)?;
    let mut warnings = Vec::new();
    let listed = args
        .paths
        .iter()
        .map(|path| list(session, &snapshot, root, path, &mut warnings))
        .collect::<Result<Vec<_>, _>>()?;
    let manifest = Manifest::new(args.purpose.as_str(), listed)?;
    let id = manifest.manifest_envelope_id;
    let path = Manifest::path_of(id);
    WorkFolder::open(session)?.write_document(&path, &manifest)?;
    let mut text = format!("{id}\n");
    for listed in &manifest.artifacts {
        text.push_str(&format!(
            "  {} {} {} bytes\n",
            paint(DIM, &listed.sha256.to_string()),
            safe(&listed.path),
            listed.size
        ));
    }
    let mut outcome = Outcome::ok("manifest.new")
        .field("manifest_envelope_id", id)
        .field("path", &path)
        .field("artifacts", &manifest.artifacts)
        .next(format!("git add {path}, and commit it with the review"))
        .text(text);
    outcome.warnings = warnings;
    Ok(outcome)
}

/// Lists one file: the governed commit's bytes, or those of a file that only the work tree holds yet.
fn list(
    session: &Session,
    snapshot: &Snapshot<'_>,
    root: &Path,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Listed, Refusal> {
    let refuse = |what: &str| {
        Err(Refusal::new(
            Code::InvalidManifest,
            format!("`{}` {what}", path.display()),
        ))
    };
    let Some(path) = in_tree(root, path) else {
        return refuse("is not the path of a file in the tree");
    };
    if let Some(what) = artifact_path_fault(&path) {
        return refuse(what);
    }
    let file = |bytes: &[u8]| Listed {
        path: path.clone(),
        sha256: sha256(bytes),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    };
    let on_disk = regular(&root.join(&path));
    match (find(session, snapshot, &path)?, on_disk) {
        (Found::NotAFile, _) => refuse("is not a regular file in the governed commit"),
        (Found::TooLarge, _) => refuse("is larger than 512 MiB"),
        (Found::File { sha256, size }, on_disk) => {
            let listed = Listed {
                path: path.clone(),
                sha256,
                size,
            };
            if on_disk.is_some_and(|bytes| file(&bytes) != listed) {
                warnings.push(format!(
                    "`{path}` in the work tree differs; the governed commit's bytes are listed"
                ));
            }
            Ok(listed)
        }
        (Found::Absent, Some(bytes)) => {
            warnings.push(format!(
                "`{path}` is not in the governed commit yet; commit it with the manifest"
            ));
            Ok(file(&bytes))
        }
        (Found::Absent, None) => refuse("is not a file in the governed commit"),
    }
}

/// The bytes of a regular file on disk that an artifact may be.
fn regular(path: &Path) -> Option<Vec<u8>> {
    let about = fs::symlink_metadata(path).ok()?;
    let small = about.is_file() && about.len() <= MAX_ARTIFACT;
    small.then(|| fs::read(path).ok()).flatten()
}

/// A path as the tree names it: from the root, its parts separated by `/`.
fn in_tree(root: &Path, path: &Path) -> Option<String> {
    let inside = if path.is_absolute() {
        path.strip_prefix(root).ok()?
    } else {
        path
    };
    let parts = inside
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_str())
        .collect::<Option<Vec<_>>>()?;
    Some(parts.join("/"))
}

fn check(session: &Session, args: &ManifestCheckArgs) -> Result<Outcome, Refusal> {
    let id: ManifestId = args
        .id
        .parse()
        .map_err(|error| fault::id("manifest", error, MANIFESTS))?;
    let commit = session.governed_at(args.at.as_deref())?;
    let snapshot = session.repository.snapshot(commit)?;
    let path = Manifest::path_of(id);
    let (manifest, found) = match ManifestAt::at(session, &snapshot, &path)? {
        ManifestAt::Missing => {
            return Err(Refusal::new(
                Code::ManifestMissing,
                "the governed commit does not hold the manifest",
            )
            .detail("path", path));
        }
        ManifestAt::Invalid(refusal) => return Err(refusal),
        ManifestAt::Present(manifest, found) => (manifest, found),
    };
    let mut text = String::new();
    let mut artifacts = Vec::new();
    for (listed, found) in manifest.artifacts.iter().zip(&found) {
        let difference = listed.difference(found);
        let (style, mark) = match difference {
            None => (GOOD, "ok"),
            Some(_) => (BAD, "no"),
        };
        text.push_str(&format!(
            "{}  {} {}\n",
            paint(style, mark),
            safe(&listed.path),
            paint(DIM, &safe(difference.as_deref().unwrap_or_default()))
        ));
        artifacts.push(json!({
            "path": listed.path,
            "ok": difference.is_none(),
            "detail": difference.unwrap_or_default(),
        }));
    }
    let mut outcome = Outcome::ok("manifest.check")
        .field("manifest_envelope_id", id)
        .field("purpose", &manifest.purpose)
        .field("artifacts", artifacts)
        .field("governed_commit", commit.to_string())
        .text(text);
    if let Err(refusal) = manifest.is_named(id).and_then(|()| manifest.verify(&found)) {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}
