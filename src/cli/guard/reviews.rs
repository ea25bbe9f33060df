//! `review.*`, `manifest.add` and `request.add`: records that come in must hold, as judged by the old tip.

use super::coverage::Judge;
use super::governed::{Path, Step, utf8};
use super::spent::{self, Asked};
use crate::cli::fault;
use crate::cli::ledger::{ManifestAt, TableAt};
use crate::cli::session::MAX_GOVERNED;
use crate::engine::code::{Code, Refusal};
use crate::engine::execution_request::ExecutionRequest;
use crate::engine::review::{Artifact, Judgement, Manifest};
use crate::git::Snapshot;

/// A review that comes in is a decision that was validly taken, whatever it was.
pub(super) fn add(judge: &Judge<'_, '_>, step: &Step<'_>, path: &Path) -> Result<(), Refusal> {
    judged(judge, step, &step.after, &path.name)?
        .into_record()
        .map(|_| ())
}

/// A review is altered only where the old one is worth nothing any longer, and the new one holds.
pub(super) fn change(judge: &Judge<'_, '_>, step: &Step<'_>, path: &Path) -> Result<(), Refusal> {
    let immutable = |what: &str| Refusal::new(Code::ReviewImmutable, what.to_owned());
    let old = step
        .before
        .as_ref()
        .map(|before| judged(judge, step, before, &path.name));
    match old {
        Some(Ok(old)) => {
            let rejected = old.reason().is_some_and(|r| r.code == Code::ReviewRejected);
            if rejected || (old.is_sound() && !is_spent(judge, step, &path.name)?) {
                return Err(immutable("the review is valid and must not be altered"));
            }
        }
        // What cannot even be read is no valid review; what could not be looked at may be one.
        Some(Err(refusal)) if super::is_failure(&refusal) => return Err(refusal),
        Some(Err(_)) | None => {}
    }
    refuse_same_message(judge, step, utf8(&path.name)?)?;
    judged(judge, step, &step.after, &path.name)
        .and_then(|new| new.into_record().map(|_| ()))
        .map_err(|refusal| {
            immutable("the review that would take the place of an old one is not valid")
                .detail("reason", refusal.code.name())
                .detail("because", refusal.message)
        })
}

/// Refuses a review whose signed message stood at its path before: another file is not another approval.
fn refuse_same_message(judge: &Judge<'_, '_>, step: &Step<'_>, path: &str) -> Result<(), Refusal> {
    let (Some(before), Some(signed)) = (&step.before, spent::signed_at(&step.after, path)?) else {
        return Ok(());
    };
    if !spent::ever_stood(judge.push, before.commit(), (path, signed))? {
        return Ok(());
    }
    let what = "the review says nothing that was not signed before: its message stood here already";
    Err(Refusal::new(Code::ReviewImmutable, what)
        .next("make the review anew with `permit review new`, and have it signed"))
}

/// Whether an artifact that is altered has covered the change that this push makes as often as it may.
fn is_spent(judge: &Judge<'_, '_>, step: &Step<'_>, path: &[u8]) -> Result<bool, Refusal> {
    let Some(before) = &step.before else {
        return Ok(false);
    };
    let path = utf8(path)?;
    let Some(blob) = before.file(path, MAX_GOVERNED)? else {
        return Ok(false);
    };
    let artifact = Artifact::parse(&blob.bytes)?;
    let document = artifact.document();
    let state = judge.state(step)?;
    let Some((_, paths)) = judge.change_for(&state, document.review_id)? else {
        return Ok(false);
    };
    let change = super::coverage::plain(step, paths)?;
    let asked = Asked {
        change: &change,
        paths,
    };
    judge.is_spent(
        &asked,
        path,
        artifact.message_sha256(),
        &document.conditions,
    )
}

fn judged(
    judge: &Judge<'_, '_>,
    step: &Step<'_>,
    snapshot: &Snapshot<'_>,
    path: &[u8],
) -> Result<Judgement, Refusal> {
    let bytes = read(snapshot, path, Code::InvalidReview)?;
    let artifact = Artifact::parse(&bytes)?;
    let id = artifact.document().review_id;
    if path != Artifact::path_of(id).as_bytes() {
        return Err(Refusal::new(
            Code::ReviewMismatch,
            "the file's name is not the review's id",
        ));
    }
    let state = judge.state(step)?;
    let change = judge.change_for(&state, id)?.map(|(request, _)| request);
    let request = change.or_else(|| {
        let wanted = artifact.document().request_fingerprint;
        crate::cli::review::inquiry::recorded(snapshot, wanted)
    });
    // A record whose request the old tip's policy does not map to a review is none that this review is about.
    let request = request.filter(|request| {
        matches!(super::coverage::need(&state, request), Ok(Some(need)) if need.review_id == id)
    });
    judge.judge(&state, artifact, snapshot, request.as_ref())
}

/// A manifest that comes in has the id of its content, and what it lists is there.
pub(super) fn manifest(judge: &Judge<'_, '_>, step: &Step<'_>, path: &Path) -> Result<(), Refusal> {
    let bytes = read(&step.after, &path.name, Code::InvalidManifest)?;
    match ManifestAt::of(judge.push.session, &step.after, &bytes)? {
        ManifestAt::Missing => Err(Refusal::new(Code::ManifestMissing, "there is no manifest")),
        ManifestAt::Invalid(refusal) => Err(refusal),
        ManifestAt::Present(manifest, found) => {
            manifest.verify(&found)?;
            let expected = Manifest::path_of(manifest.manifest_envelope_id);
            if path.name == expected.as_bytes() {
                return Ok(());
            }
            Err(Refusal::new(
                Code::ManifestMismatch,
                "the file's name is not the manifest's id",
            ))
        }
    }
}

/// An execution request that comes in passes `permit request check`.
pub(super) fn request(judge: &Judge<'_, '_>, step: &Step<'_>, path: &Path) -> Result<(), Refusal> {
    let bytes = read(&step.after, &path.name, Code::InvalidExecutionRequest)?;
    let record = ExecutionRequest::parse(&bytes)?;
    let name = utf8(&path.name)?.rsplit('/').next().unwrap_or_default();
    record.is_named(name)?;
    let state = judge.state(step)?;
    let table = TableAt::load(judge.push.session, &state.snapshot)?;
    crate::cli::request::check_against(
        judge.push.session,
        &record,
        &state.policy,
        &table,
        &step.after,
    )
}

fn read(snapshot: &Snapshot<'_>, path: &[u8], code: Code) -> Result<Vec<u8>, Refusal> {
    let path = utf8(path)?;
    let found = snapshot
        .file(path, MAX_GOVERNED)
        .map_err(fault::governed(code))?;
    let blob = found.ok_or_else(|| Refusal::new(code, format!("`{path}` is not there")))?;
    Ok(blob.bytes)
}
