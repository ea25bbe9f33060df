//! `governance.change`: a review, judged by the old tip, covers exactly this change.

use std::collections::BTreeMap;

use std::cell::OnceCell;

use super::governed::{Path, Step, utf8};
use super::push::{Push, enforcement};
use crate::cli::decide::Place;
use crate::cli::fault;
use crate::cli::ledger::{Case, ManifestAt, TableAt};
use crate::cli::review::inquiry::judge_at;
use crate::cli::session::{Governed, MAX_GOVERNED};
use crate::cli::stream::{STREAMS, Stream};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, ReviewId, sha256};
use crate::engine::enforce::{Changed, Class, Finding, governance_request};
use crate::engine::evaluate::{Decision, ReviewNeed, evaluate};
use crate::engine::request::Request;
use crate::engine::review::{Artifact, Judgement};
use crate::git::{Entry, EntryKind, Snapshot};

/// The folder that first adoption brings in.
const GOVERNANCE: &str = "governance";

/// A push of the governed ref before the state that judges it.
pub(super) struct Judge<'p, 's> {
    pub(super) push: &'p Push<'s>,
    steps: &'p [Step<'s>],
    adopting: OnceCell<bool>,
}

impl<'p, 's> Judge<'p, 's> {
    pub(super) fn new(push: &'p Push<'s>, steps: &'p [Step<'s>]) -> Self {
        Self {
            push,
            steps,
            adopting: OnceCell::new(),
        }
    }

    /// Whether no commit of the governed ref before this push ever had a governance folder.
    pub(super) fn is_adopting(&self) -> Result<bool, Refusal> {
        if let Some(known) = self.adopting.get() {
            return Ok(*known);
        }
        let adopting = match self.push.base {
            None => true,
            Some(base) => {
                let repository = &self.push.session.repository;
                // The old tip answers for almost every push; only its "no" needs the history.
                repository.snapshot(base)?.entry(GOVERNANCE)?.is_none()
                    && !repository.ever_held(base, GOVERNANCE)?
            }
        };
        Ok(*self.adopting.get_or_init(|| adopting))
    }

    /// The state that judges: the old tip's, at first adoption the commit's own.
    pub(super) fn state(&self, step: &Step<'_>) -> Result<Governed<'s>, Refusal> {
        let commit = match self.push.base {
            Some(base) if !self.is_adopting()? => base,
            _ => step.commit,
        };
        self.push.session.govern_commit(commit)
    }

    /// Judges what one commit changes in the governance folder.
    pub(super) fn governance(&self, step: &Step<'_>, paths: &[Path]) -> Result<Finding, Refusal> {
        let request = request(step, paths)?;
        let adopting = self.is_adopting()?;
        self.leaves_governable(step, &request, adopting)?;
        if adopting {
            return Ok(Finding::allowed().with("first_adoption", self.push.governed.clone()));
        }
        let state = self.state(step).map_err(|refusal| {
            unreviewed("the old tip has no policy that could say who reviews this")
                .detail("policy", refusal.message)
        })?;
        let Some(need) = need(&state, &request)? else {
            return Err(ungoverned(
                "the old tip's policy does not map this change to a review",
            ));
        };
        let review = self.find(step, need.review_id)?;
        let Some((artifact, snapshot)) = review else {
            return Err(unreviewed("no review covers exactly this change")
                .detail("review_id", need.review_id.to_string())
                .detail("expected at", need.path()));
        };
        let judgement = self.judge(&state, artifact, snapshot, Some(&request))?;
        judgement.into_judged()?;
        Ok(Finding::allowed().with("review_id", need.review_id.to_string()))
    }

    /// Refuses a commit whose governed files are malformed, or that nobody could ever change under review.
    fn leaves_governable(
        &self,
        step: &Step<'_>,
        request: &Request,
        adopting: bool,
    ) -> Result<(), Refusal> {
        let session = self.push.session;
        enforcement(session, step.commit)?;
        if let TableAt::Invalid(refusal) = TableAt::load(session, &step.after)? {
            return Err(refusal);
        }
        let governed = match session.govern_commit(step.commit) {
            Ok(governed) => governed,
            Err(refusal) if refusal.code == Code::PolicyMissing => {
                // Nothing is governed yet, and nothing that would have to be.
                if adopting && step.after.entry(GOVERNANCE)?.is_none() {
                    return Ok(());
                }
                return Err(ungoverned("the commit leaves governance without a policy"));
            }
            Err(refusal) => return Err(refusal),
        };
        match need(&governed, request)? {
            Some(_) => Ok(()),
            None => Err(ungoverned(
                "the commit's policy does not map a governance change to a review",
            )),
        }
    }

    /// Looks for an artifact in the commit, else where the push ends.
    fn find<'a>(
        &'a self,
        step: &'a Step<'s>,
        id: ReviewId,
    ) -> Result<Option<(Artifact, &'a Snapshot<'s>)>, Refusal> {
        let path = Artifact::path_of(id);
        let head = self.steps.last().map(|last| &last.after);
        for snapshot in [Some(&step.after), head].into_iter().flatten() {
            let found = snapshot
                .file(&path, MAX_GOVERNED)
                .map_err(fault::governed(Code::InvalidReview))?;
            if let Some(blob) = found {
                return Ok(Some((Artifact::parse(&blob.bytes)?, snapshot)));
            }
        }
        Ok(None)
    }

    /// Judges an artifact by the old tip's tables and policy, with the manifest of the commit that holds it.
    pub(super) fn judge(
        &self,
        state: &Governed<'_>,
        artifact: Artifact,
        snapshot: &Snapshot<'_>,
        request: Option<&Request>,
    ) -> Result<Judgement, Refusal> {
        let session = self.push.session;
        let (name, manifest_path) = {
            let needs = artifact.needs();
            (
                Artifact::file_name_of(artifact.document().review_id),
                needs.manifest_path,
            )
        };
        let stream = Stream::new(session, &artifact.document().anchor.stream_id)?;
        let from = self.push.pushed_tip(&format!("{STREAMS}{}", stream.id))?;
        let sequence = match from {
            Some(from) => stream.read_at(from)?.tip.next_sequence(),
            None => 0,
        };
        let manifest = ManifestAt::at(session, snapshot, &manifest_path)?;
        let case = Case::draft(session, state, artifact, name, manifest, snapshot.commit())?;
        let place = Place {
            stream: &stream,
            from,
            sequence,
            derived: &BTreeMap::new(),
        };
        judge_at(session, state, &case, request, &place)
    }

    /// The request of a governance change of this push that a review decides about.
    pub(super) fn change_for(
        &self,
        state: &Governed<'_>,
        id: ReviewId,
    ) -> Result<Option<Request>, Refusal> {
        for step in self.steps {
            let Some(paths) = step.changes.get(&Class::GovernanceChange) else {
                continue;
            };
            let request = request(step, paths)?;
            if need(state, &request)?.is_some_and(|need| need.review_id == id) {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }
}

/// The review that a policy asks for, if it maps the request to one.
pub(super) fn need<'g>(
    state: &'g Governed<'_>,
    request: &Request,
) -> Result<Option<ReviewNeed<'g>>, Refusal> {
    Ok(match evaluate(request, &state.policy)? {
        Decision::NeedsReview(need) => Some(need),
        Decision::Granted(_) => None,
    })
}

/// The request that stands for what a commit changes in the governance folder.
pub(super) fn request(step: &Step<'_>, paths: &[Path]) -> Result<Request, Refusal> {
    let mut changes = Vec::with_capacity(paths.len());
    for path in paths {
        let name = utf8(&path.name)?.to_owned();
        let before = step.before.as_ref().zip(path.before.as_ref());
        changes.push(Changed {
            before: before
                .map(|(snapshot, entry)| digest(snapshot, entry, &name))
                .transpose()?,
            after: path
                .after
                .as_ref()
                .map(|entry| digest(&step.after, entry, &name))
                .transpose()?,
            path: name,
        });
    }
    governance_request(&changes)
}

fn digest(snapshot: &Snapshot<'_>, entry: &Entry, path: &str) -> Result<Digest, Refusal> {
    if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
        return Err(Refusal::new(
            Code::InvalidInput,
            format!("`{path}` is {}, not a file", entry.kind.describe()),
        ));
    }
    let blob = snapshot
        .blob(entry.id, path, MAX_GOVERNED)
        .map_err(fault::governed(Code::InvalidInput))?;
    Ok(sha256(&blob.bytes))
}

fn unreviewed(what: &str) -> Refusal {
    Refusal::new(Code::GovernanceUnreviewed, what)
        .next("permit guard plan --base OLD --head NEW prints the request to review")
}

fn ungoverned(what: &str) -> Refusal {
    Refusal::new(Code::GovernanceUngoverned, what)
}
