//! An open gap: the governed ref's governance was changed while nobody judged, and no review has been found that covers it.
//!
//! Whoever may push in `off` could bring in a policy of their own, which would judge all that follows. So what is pushed
//! to the governed ref after a gap is judged together with the gap, as one push from where the last decision left the
//! ref: by the tables there. Each line about the ref names the gap until a run has let everything through, or until the
//! server's owner takes responsibility for it; the newest line alone tells whether one is open.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::args::AcceptArgs;
use super::governed::{self, Step};
use super::push::{Judged, Push, Update, enforcement, governed_name};
use super::{adopt, coverage, gaps, record, spent};
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{GOOD, paint, safe};
use crate::cli::session::Session;
use crate::engine::canonical::Value;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::enforce::{Accepted, Decision, Enforcement, Gap};
use crate::git::CommitId;

/// From where the last decision left the governed ref to where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenGap {
    reference: String,
    /// Empty where no decision was ever made about the ref.
    from: String,
    to: String,
}

/// Looks for the open gap of the governed ref, which stands at a tip.
///
/// # Errors
/// `IO_ERROR` where the record cannot be read; failures of the repository.
pub(super) fn open(
    session: &Session,
    enforcement: &Result<Option<Enforcement>, Refusal>,
    governed: &str,
    tip: Option<CommitId>,
) -> Result<Option<OpenGap>, Refusal> {
    let path = record::path(session, enforcement);
    let to = tip.map(|tip| tip.to_string()).unwrap_or_default();
    let is_here = |commit: &str| {
        let id = commit.parse::<CommitId>();
        id.is_ok_and(|id| session.repository.read_commit(id).is_ok())
    };
    let from = begins(&path, governed, &to, is_here).map_err(|error| fault::io(&path, &error))?;
    let Some(from) = from else { return Ok(None) };
    let gap = OpenGap {
        reference: governed.to_owned(),
        from,
        to,
    };
    Ok(gap.changes_governance(session, tip)?.then_some(gap))
}

/// Where the gap begins that a ref stands behind, as its newest line says.
fn begins(
    path: &Path,
    governed: &str,
    to: &str,
    is_here: impl Fn(&str) -> bool,
) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let newest = gaps::newest(&mut file, std::iter::once(governed.to_owned()))?;
    let Some(newest) = newest.into_values().next().flatten() else {
        return Ok((!to.is_empty()).then(String::new));
    };
    if newest.gap.is_some() && !(newest.allowed && newest.landed_at(to)) {
        return Ok(newest.gap);
    }
    if newest.left == to {
        return Ok(None);
    }
    // What was, or ought to have been, denied did not stay.
    if newest.before == to && gaps::may_be_denied(&mut file, &newest)? {
        return Ok(None);
    }
    // Nor did what never landed: another push was faster, or Git failed.
    if newest.may_wait() && !is_here(&newest.left) {
        return Ok((newest.before != to).then_some(newest.before));
    }
    Ok(Some(newest.left))
}

impl OpenGap {
    /// How decisions and commands name it.
    pub(super) fn range(&self) -> String {
        format!("{}..{}", self.from, self.to)
    }

    pub(super) fn to_gap(&self) -> Gap {
        Gap::new(&self.reference, &self.from, &self.to)
    }

    /// Whether governance differs; what cannot be compared may.
    fn changes_governance(
        &self,
        session: &Session,
        tip: Option<CommitId>,
    ) -> Result<bool, Refusal> {
        let repository = &session.repository;
        let Some(tip) = tip else {
            return Ok(!self.from.is_empty());
        };
        let tip = repository.snapshot(tip)?;
        let Ok(from) = self.from.parse() else {
            return Ok(tip.entry(coverage::GOVERNANCE)?.is_some());
        };
        match repository.snapshot(from) {
            Ok(from) => spent::touches(Some(&from), &tip),
            Err(_) => Ok(true),
        }
    }

    /// Judges a push of the governed ref together with the gap.
    ///
    /// # Errors
    /// `GOVERNANCE_UNREVIEWED` where no review covers what the gap changed.
    pub(super) fn judge(
        &self,
        push: &Push<'_>,
        update: &Update,
        new: CommitId,
        steps: &[Step<'_>],
    ) -> Result<Vec<Judged>, Refusal> {
        let base = self.base(push.session, new)?;
        let since = Push::landed(push.session, base)?;
        let all = governed::steps(&since, new).map_err(|refusal| self.refuse(&refusal))?;
        let judge = coverage::Judge::new(&since, &all);
        let mut judged = governed::sum(push, update, steps, &judge);
        self.mark(&mut judged, steps)?;
        if all.len() < steps.len() {
            // The ref was led back: what leads to where it was judged last is judged like every push.
            let judge = coverage::Judge::new(push, steps);
            judged = governed::sum(push, update, steps, &judge);
            self.mark(&mut judged, steps)?;
        }
        Ok(judged)
    }

    /// Names the gap on every decision.
    ///
    /// # Errors
    /// `GOVERNANCE_UNREVIEWED` where a commit is refused that the push did not bring.
    fn mark(&self, judged: &mut [Judged], steps: &[Step<'_>]) -> Result<(), Refusal> {
        for one in judged {
            let finding = &mut one.finding;
            if let Some(refusal) = &finding.refusal {
                let commit = finding.context.get("commit").and_then(Value::as_str);
                let own = |step: &Step<'_>| commit == Some(step.commit.to_string().as_str());
                if commit.is_some() && !steps.iter().any(own) {
                    return Err(self.refuse(refusal));
                }
            }
            let range = Value::from(self.range());
            finding.context.insert(Decision::GAP, range);
        }
        Ok(())
    }

    /// By which commit's tables the gap is judged: where the last decision left the ref, before it the commit that was
    /// named for adoption. Where the ref was led another way, it is the commit that both ways begin at, as long as
    /// nothing is lost of what the one that was judged said.
    fn base(&self, session: &Session, new: CommitId) -> Result<CommitId, Refusal> {
        let repository = &session.repository;
        let from = match self.from.parse() {
            Ok(from) => from,
            Err(_) => adopt::named(session)?.ok_or_else(|| {
                self.unreviewed("no commit was named for the first adoption of governance")
            })?,
        };
        let chain: Result<BTreeSet<_>, _> = repository.first_parents(new).collect();
        let chain = chain?;
        for commit in repository.first_parents(from) {
            let Ok(commit) = commit else { break };
            if !chain.contains(&commit) {
                continue;
            }
            let [from, shared] = [repository.snapshot(from)?, repository.snapshot(commit)?];
            if spent::touches(Some(&from), &shared)? {
                break;
            }
            return Ok(commit);
        }
        Err(self.unreviewed("the new tip does not go on from the governance that was judged last"))
    }

    fn refuse(&self, because: &Refusal) -> Refusal {
        if because.class() == Class::Failed {
            return because.clone().detail(Decision::GAP, self.range());
        }
        self.unreviewed(&because.message)
            .detail("reason", because.code.name())
    }

    fn unreviewed(&self, because: &str) -> Refusal {
        let what = "governance was changed while nothing was judged, and no review covers it";
        Refusal::new(Code::GovernanceUnreviewed, what)
            .detail(Decision::GAP, self.range())
            .detail("because", because.to_owned())
            .next(format!(
                "push a review of it; or, on the server: permit guard gap accept {} --reason TEXT",
                self.range()
            ))
    }
}

/// `permit guard gap accept`: the server's owner takes responsibility for the open gap.
pub(super) fn accept(session: &Session, args: &AcceptArgs) -> Result<Outcome, Refusal> {
    let governed = governed_name(session)?;
    let reason = args.reason.trim();
    if reason.is_empty() {
        return Err(fault::input("the reason is empty"));
    }
    let tip = session.repository.ref_target(&governed)?;
    let enforcement = tip.map_or(Ok(None), |tip| enforcement(session, tip));
    let Some(gap) = open(session, &enforcement, &governed, tip)? else {
        return Err(fault::input(format!("no gap of `{governed}` is open"))
            .next("permit guard status shows where the governed ref stands"));
    };
    if gap.range() != args.range {
        let what = format!("the open gap of `{governed}` is another one");
        return Err(fault::input(what)
            .detail(Decision::GAP, gap.range())
            .next(format!(
                "permit guard gap accept {} --reason TEXT",
                gap.range()
            )));
    }
    let accepted = Accepted::new(gap.to_gap(), reason);
    let path = record::path(session, &enforcement);
    record::append_accepted(&path, &accepted)?;
    Ok(Outcome::ok("guard.gap.accept")
        .field("accepted", &accepted)
        .text(format!(
            "{} {} {}\n",
            paint(GOOD, "accepted"),
            safe(&governed),
            gap.range()
        )))
}
