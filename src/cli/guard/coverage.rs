//! `governance.change`: a review, judged by the old tip, covers exactly this change.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::adopt;
use super::governed::{Path, Step, utf8};
use super::push::{Push, enforcement};
use super::spent::{self, Asked};
use crate::cli::decide::{Derived, Place};
use crate::cli::fault;
use crate::cli::hap::check_documents;
use crate::cli::ledger::{Case, ManifestAt, TableAt};
use crate::cli::review::inquiry::judge_at;
use crate::cli::session::{Governed, MAX_GOVERNED, Session, sha};
use crate::cli::stream::{STREAMS, Stream};
use crate::engine::code::Class::Failed;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, ReviewId, sha256};
use crate::engine::enforce::{Changed, Class, Finding, GOVERNANCE_SELECTORS, governance_request};
use crate::engine::evaluate::{Decision, ReviewNeed, evaluate};
use crate::engine::policy::{Draft, ReviewType};
use crate::engine::request::Request;
use crate::engine::review::{Artifact, Condition, Judgement, NamedAction, permits};
use crate::engine::rules::Rules;
use crate::git::{Blob, CommitId, Entry, EntryKind, Snapshot};

/// The folder that first adoption brings in.
pub(super) const GOVERNANCE: &str = "governance";

/// A push of the governed ref before the state that judges it.
pub(super) struct Judge<'p, 's> {
    pub(super) push: &'p Push<'s>,
    pub(super) steps: &'p [Step<'s>],
    adopting: OnceCell<bool>,
    /// Whether a stream says how often a review was used, or a clone judges what has landed, anchor and consumption aside.
    counted: bool,
    /// How many changes of this push each approval has covered so far, by what was signed.
    uses: RefCell<BTreeMap<Digest, u64>>,
}

impl<'p, 's> Judge<'p, 's> {
    pub(super) fn new(push: &'p Push<'s>, steps: &'p [Step<'s>]) -> Self {
        Self {
            push,
            steps,
            adopting: OnceCell::new(),
            counted: true,
            uses: RefCell::default(),
        }
    }

    /// The same, for a clone that judges again what has landed: anchor and consumption aside.
    ///
    /// A clone knows of no first adoption: its pinned commit is where it begins to trust.
    pub(super) fn uncounted(push: &'p Push<'s>, steps: &'p [Step<'s>]) -> Self {
        Self {
            counted: false,
            adopting: OnceCell::from(false),
            ..Self::new(push, steps)
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
            _ => {
                self.adopts(step)?;
                step.commit
            }
        };
        self.push.session.govern_commit(commit)
    }

    /// Judges what one commit changes in the governance folder.
    pub(super) fn governance(&self, step: &Step<'_>, paths: &[Path]) -> Result<Finding, Refusal> {
        let adopting = self.is_adopting()?;
        let governs = self.well_formed(step, adopting)?;
        let change = plain(step, paths)?;
        // Whoever may push could bring in expressions that take long: a policy is compiled once somebody agreed to it.
        let agreed = if adopting {
            self.adopts(step)?
        } else {
            self.reviewed(step, paths, &change)?
        };
        if governs && need(&self.push.session.govern_commit(step.commit)?, &change)?.is_none() {
            return Err(ungoverned(
                "the commit's policy does not map a governance change to a review",
            ));
        }
        Ok(agreed)
    }

    /// Looks for a review that covers what one commit changes.
    fn reviewed(
        &self,
        step: &Step<'s>,
        paths: &[Path],
        change: &Request,
    ) -> Result<Finding, Refusal> {
        let state = self.state(step).map_err(|refusal| {
            unreviewed("the old tip has no policy that could say who reviews this")
                .detail("policy", refusal.message)
        })?;
        if need(&state, change)?.is_none() {
            return Err(ungoverned(
                "the old tip's policy does not map this change to a review",
            ));
        }
        let asked = Asked { change, paths };
        let mut refused = None;
        for selector in GOVERNANCE_SELECTORS {
            match self.covered(&state, step, &asked, selector) {
                Ok(Some(finding)) => return Ok(finding),
                // What was asked for first says why not; an emergency has to be asked for.
                Ok(None) => {}
                Err(refusal) if refusal.class() == Failed => return Err(refusal),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        Err(refused.unwrap_or_else(|| unreviewed("no review covers exactly this change")))
    }

    /// Looks for a review that covers a change under a selector; nothing where the policy does not know it.
    fn covered(
        &self,
        state: &Governed<'_>,
        step: &Step<'s>,
        asked: &Asked<'_>,
        selector: &str,
    ) -> Result<Option<Finding>, Refusal> {
        let session = self.push.session;
        let Some((request, id)) = asks(session, state, step, asked.paths, selector)? else {
            return Ok(None);
        };
        let mut refused = unreviewed("no review covers exactly this change")
            .detail("review_id", id.to_string())
            .detail("path", Artifact::path_of(id));
        for found in self.find(step, id)? {
            let holds = self.still_holds(state, step, &request, &found);
            match holds.and_then(|()| self.covers(state, &request, asked, &found)) {
                Ok(()) => {
                    return Ok(Some(
                        Finding::allowed()
                            .with("review_id", id.to_string())
                            .with("selector", selector.to_owned()),
                    ));
                }
                Err(refusal) => refused = refusal,
            }
        }
        Err(refused)
    }

    /// First adoption is for the commit that the server's owner named after seeing its policy and people, and for what
    /// that commit stands on.
    fn adopts(&self, step: &Step<'_>) -> Result<Finding, Refusal> {
        let named = adopt::named(self.push.session)?;
        let refused = |what: &str| {
            let next = format!("permit guard adopt {}", step.commit);
            Refusal::new(Code::GovernanceUnreviewed, what.to_owned()).next(format!(
                "{next}, on the server, by its owner, after reading what it prints"
            ))
        };
        let Some(named) = named else {
            return Err(refused(
                "no commit was named for the first adoption of governance",
            ));
        };
        let mut ahead = self.steps.iter().skip_while(|at| at.commit != step.commit);
        // The line that makes the governed ref makes it as exactly that commit.
        let lands =
            self.push.base.is_some() || self.steps.last().is_some_and(|last| last.commit == named);
        if lands && ahead.any(|at| at.commit == named) {
            return Ok(Finding::allowed().with("first_adoption", named.to_string()));
        }
        Err(
            refused("the first adoption of governance was agreed for another commit")
                .detail("permit.adopt", named.to_string()),
        )
    }

    /// Refuses a review that rests on what an earlier commit of the same push has withdrawn.
    ///
    /// A push is judged by the old tip. Where a clone judges it again nobody can tell any longer where it began, so that a
    /// review under an older policy counts only with the people of the commit that it changes, and under the same terms.
    fn still_holds(
        &self,
        state: &Governed<'_>,
        step: &Step<'s>,
        request: &Request,
        found: &Found<'_, 's>,
    ) -> Result<(), Refusal> {
        let own = step.before.as_ref().map(Snapshot::commit);
        let Some(own) = own.filter(|own| *own != state.commit && Some(*own) != self.push.base)
        else {
            return Ok(());
        };
        let own = self.push.session.govern_commit(own)?;
        let [before, now] = [need(state, request)?, need(&own, request)?];
        if before.map(|need| need.asks) != now.map(|need| need.asks) {
            return Err(withdrawn("who has to agree to a change"));
        }
        let people = Governed {
            policy: Rc::clone(&state.policy),
            ..own
        };
        let artifact = Artifact::parse(&found.blob.bytes)?;
        self.judge(&people, artifact, found.snapshot, Some(request))?
            .into_approval()
            .map(|_| ())
            .map_err(|refusal| {
                withdrawn("the people who may agree to it")
                    .detail("reason", refusal.code.name())
                    .detail("because", refusal.message)
            })
    }

    /// Takes one use of a review for a change.
    fn covers(
        &self,
        state: &Governed<'_>,
        request: &Request,
        asked: &Asked<'_>,
        found: &Found<'_, 's>,
    ) -> Result<(), Refusal> {
        let artifact = Artifact::parse(&found.blob.bytes)?;
        let (id, path) = (artifact.document().review_id, found.path.as_str());
        if Artifact::path_of(id) != path {
            return Err(Refusal::new(
                Code::ReviewMismatch,
                "the file's name is not the review's id",
            ));
        }
        let conditions = artifact.document().conditions.clone();
        let message = artifact.message_sha256();
        let judgement = self.judge(state, artifact, found.snapshot, Some(request))?;
        if !self.counted {
            return judgement.into_approval().map(|_| ());
        }
        judgement.into_judged()?;
        if self.is_spent(asked, path, message, &conditions)? {
            return Err(spent::consumed().detail("review_id", id.to_string()));
        }
        if found.later > 0 {
            spent::check_order(asked, found.snapshot, found.later)?;
        }
        let mut uses = self.uses.borrow_mut();
        let count = uses.entry(message).or_default();
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Whether a review has covered a change as often as it may, in this push or before it.
    pub(super) fn is_spent(
        &self,
        asked: &Asked<'_>,
        path: &str,
        message: Digest,
        conditions: &[Condition],
    ) -> Result<bool, Refusal> {
        let here = self.uses.borrow().get(&message).copied().unwrap_or(0);
        let left = permits(conditions).saturating_sub(here);
        Ok(left == 0 || spent::uses(self.push, asked, (path, message), left)? >= left)
    }

    /// Refuses a commit whose governed files are malformed; tells whether what it leaves behind is governed yet.
    fn well_formed(&self, step: &Step<'_>, adopting: bool) -> Result<bool, Refusal> {
        let session = self.push.session;
        enforcement(session, step.commit)?;
        if let TableAt::Invalid(refusal) = TableAt::load(session, &step.after)? {
            return Err(refusal);
        }
        let policy = Session::policy_bytes(&step.after);
        let governed = match policy.and_then(|(_, bytes)| Draft::parse(&bytes)) {
            Ok(_) => true,
            // Nothing is governed yet, and nothing that would have to be.
            Err(refusal)
                if refusal.code == Code::PolicyMissing
                    && adopting
                    && step.after.entry(GOVERNANCE)?.is_none() =>
            {
                false
            }
            Err(refusal) if refusal.code == Code::PolicyMissing => {
                return Err(ungoverned("the commit leaves governance without a policy"));
            }
            Err(refusal) => return Err(refusal),
        };
        check_documents(step.before.as_ref(), &step.after)?;
        Ok(governed)
    }

    /// Looks for a review's artifact in the commit, and in each later one of the push that brings its bytes in.
    fn find<'a>(&'a self, step: &'a Step<'s>, id: ReviewId) -> Result<Vec<Found<'a, 's>>, Refusal> {
        let path = Artifact::path_of(id);
        let brings = |later: &Step<'s>| {
            [Class::ReviewAdd, Class::ReviewChange]
                .iter()
                .filter_map(|class| later.changes.get(class))
                .flatten()
                .any(|changed| changed.name == path.as_bytes())
        };
        let after = self.steps.iter().skip_while(|at| at.commit != step.commit);
        let later = after.enumerate().skip(1).filter(|(_, at)| brings(at));
        let mut found: Vec<Found<'a, 's>> = Vec::new();
        for (later, at) in std::iter::once((0, step)).chain(later) {
            let blob = at
                .after
                .file(&path, MAX_GOVERNED)
                .map_err(fault::governed(Code::InvalidReview))?;
            let Some(blob) = blob else { continue };
            if found.iter().all(|found| found.blob.id != blob.id) {
                found.push(Found {
                    path: path.clone(),
                    blob,
                    snapshot: &at.after,
                    later,
                });
            }
        }
        Ok(found)
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
        let from = if self.counted {
            self.tip_of(&stream)?
        } else {
            None
        };
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
            derived: &Derived::default(),
            rules: Rules::New,
        };
        judge_at(session, state, &case, request, &place)
    }

    fn tip_of(&self, stream: &Stream<'_>) -> Result<Option<CommitId>, Refusal> {
        let name = format!("{STREAMS}{}", stream.id);
        Ok(self.push.session.repository.ref_target(&name)?)
    }

    /// The governance change of this push that a review decides about, with its request.
    pub(super) fn change_for(
        &self,
        state: &Governed<'_>,
        id: ReviewId,
    ) -> Result<Option<(Request, &[Path])>, Refusal> {
        for step in self.steps {
            let Some(paths) = step.changes.get(&Class::GovernanceChange) else {
                continue;
            };
            for selector in GOVERNANCE_SELECTORS {
                match asks(self.push.session, state, step, paths, selector) {
                    Ok(Some((request, asked))) if asked == id => {
                        return Ok(Some((request, paths)));
                    }
                    Err(refusal) if super::is_failure(&refusal) => return Err(refusal),
                    // Another change, or one that this selector cannot cover.
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(None)
    }
}

/// An artifact that a push holds, or that was there before it.
struct Found<'a, 's> {
    path: String,
    blob: Blob,
    snapshot: &'a Snapshot<'s>,
    /// How many commits after the one that it is looked for it comes in.
    later: usize,
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

/// The request that a review of a change decides about under a selector, and the review's id; nothing where the policy
/// maps the selector to no review.
pub(super) fn asks(
    session: &Session,
    state: &Governed<'_>,
    step: &Step<'_>,
    paths: &[Path],
    selector: &str,
) -> Result<Option<(Request, ReviewId)>, Refusal> {
    let changes = changes(step, paths)?;
    let request = governance_request(selector, &changes, None)?;
    // A matcher does not see the context, so that the same rule decides whatever is named in it.
    let env = match need(state, &request)? {
        None => return Ok(None),
        Some(need) => match need.asks {
            ReviewType::Signers(_) => return Ok(Some((request, need.review_id))),
            ReviewType::Attestations(terms) => terms.attestations.env.clone(),
        },
    };
    let hap = merged(session, state, step, env)?;
    let request = governance_request(selector, &changes, Some(&hap))?;
    Ok(need(state, &request)?.map(|need| (request, need.review_id)))
}

/// The action that a merge commit stands for: what its second parent brings onto its first.
fn merged(
    session: &Session,
    state: &Governed<'_>,
    step: &Step<'_>,
    env: String,
) -> Result<NamedAction, Refusal> {
    let [repo] = state.policy.admitted_repositories() else {
        return Err(ungoverned(
            "a change is attested to in the one admitted repository, and the policy does not name exactly one",
        ));
    };
    let parents = session.repository.read_commit(step.commit)?.parents;
    let [base, head] = parents.as_slice() else {
        return Err(unreviewed(
            "the policy asks for attestations, which only a merge commit of two parents can be covered by",
        )
        .next("merge the attested head with `git merge --no-ff`, and push the merge commit"));
    };
    Ok(NamedAction {
        repo: repo.clone(),
        base: sha(*base),
        head: sha(*head),
        env,
    })
}

/// The request that stands for what a commit changes in the governance folder, whatever it is attested by.
pub(super) fn plain(step: &Step<'_>, paths: &[Path]) -> Result<Request, Refusal> {
    let [selector, _] = GOVERNANCE_SELECTORS;
    governance_request(selector, &changes(step, paths)?, None)
}

fn changes(step: &Step<'_>, paths: &[Path]) -> Result<Vec<Changed>, Refusal> {
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
    Ok(changes)
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

fn withdrawn(what: &str) -> Refusal {
    let what = format!(
        "an earlier commit of the push changes {what}, and the review does not hold under that"
    );
    Refusal::new(Code::GovernanceUnreviewed, what)
        .next("push the earlier change first, and have this one reviewed under it")
}

fn ungoverned(what: &str) -> Refusal {
    Refusal::new(Code::GovernanceUngoverned, what)
}
