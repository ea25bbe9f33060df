//! `permit verify` and `permit use`: the executor decides again and believes nothing that a permit says of itself.

use std::ops::ControlFlow;

use serde::Serialize;

use super::args::VerifyArgs;
use super::checkpoint::{self, Checkpoint};
use super::decide::{Derived, Place, check_actor, decide};
use super::in_force::InForce;
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::replay::Replay;
use super::session::{Act, Governed, Session};
use super::stream::{Appended, At, Stream};
use super::{fault, files};
use crate::engine::chain::{Expectation, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::permit::{Expiry, Permit};
use crate::engine::policy::Effect;
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::rules::Rules;
use crate::engine::validity::{self, Finding};
use crate::git::CommitId;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Every check in the order of core.md section 7, and the first reason against the permit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checks: Vec<Check>,
    pub(crate) refusal: Option<Refusal>,
    warning: Option<&'static str>,
}

impl Report {
    fn check(&mut self, name: &'static str, finding: Finding) {
        let (ok, detail) = match &finding {
            Ok(detail) => (true, detail.clone()),
            Err(refusal) => (false, format!("{}: {}", refusal.code, refusal.message)),
        };
        self.checks.push(Check { name, ok, detail });
        if let (Err(refusal), None) = (finding, &self.refusal) {
            self.refusal = Some(refusal);
        }
    }

    fn skip(&mut self, names: &[&'static str]) {
        self.checks.extend(names.iter().map(|name| Check {
            name,
            ok: false,
            detail: "not reached".to_owned(),
        }));
    }
}

/// What the stream says of a permit that it issued.
#[derive(Debug, Clone)]
pub(crate) struct Issuance {
    /// The commit of the event that issued it, and of the one before.
    commit: CommitId,
    before: Option<CommitId>,
    /// How often it was used since.
    pub(crate) uses: u64,
}

impl Issuance {
    /// A permit that was issued and not used since.
    pub(crate) fn new(commit: CommitId, before: Option<CommitId>) -> Self {
        Self {
            commit,
            before,
            uses: 0,
        }
    }
}

/// Walks from the tip back to the event that issued a permit (or to the checkpoint, if that is older); counts the uses on
/// the way. Cost grows with the events since then, not with the stream.
pub(crate) fn look(
    stream: &Stream<'_>,
    permit: &Permit,
    point: Option<&Checkpoint>,
    at: &At,
) -> Result<(Issuance, String), Refusal> {
    let wanted = permit.issued_at_sequence;
    if point.is_some_and(|point| point.sequence > at.tip.sequence) {
        let truncated = "the stream ends before the checkpoint";
        return Err(Refusal::new(Code::ChainTruncated, truncated));
    }
    let expectation = point.map(|point| Expectation {
        sequence: Some(point.sequence),
        event_hash: point.event_hash,
    });
    let last = point.map_or(wanted, |point| wanted.min(point.sequence));
    let (mut uses, mut reached) = (0_u64, false);
    let nothing = "the stream holds no event at the permit's sequence";
    let mut issued = Err(Refusal::new(Code::NotIssued, nothing));
    let verifier = stream.walk(at.commit, expectation, |event, commit| {
        uses = uses.saturating_add(u64::from(validity::is_use(permit, event)));
        if event.sequence == wanted {
            issued = validity::is_issuance(permit, event).map(|what| (commit, what));
        }
        // The event before is looked at too: only it shows that the link is true.
        reached = event.sequence < last || event.sequence == 0;
        Ok(if reached {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    verifier
        .finish_part()
        .map_err(|fault| stream.broken(&fault))?;
    if !reached {
        let cut = "the stream does not go back to its first event";
        return Err(Refusal::new(Code::ChainTruncated, cut));
    }
    let (commit, detail) = issued?;
    let before = stream.parent_of(commit)?;
    let issuance = Issuance {
        commit,
        before,
        uses,
    };
    Ok((issuance, detail))
}

/// A permit, the request that it is to be acted on for, and the state that judges them.
pub(crate) struct Case<'s> {
    session: &'s Session,
    pub(crate) permit: Permit,
    pub(crate) request: Request,
    governed: Result<Governed<'s>, Refusal>,
    in_force: Result<InForce<'s>, Refusal>,
    pub(crate) stream: Stream<'s>,
    checkpoint: Option<Checkpoint>,
    actor: Option<String>,
}

pub(crate) fn verify(session: &Session, args: &VerifyArgs) -> Outcome {
    match session
        .decide()
        .and_then(|()| Case::read(session, args, false))
    {
        Ok(case) => {
            let report = case.judge(case.stream.existing_tip());
            case.outcome("verify", session, report)
        }
        Err(refusal) => unread("verify", refusal),
    }
}

/// Verifies, then appends `permit.used`; where another writer was faster, verifies again on the new tip.
pub(crate) fn run_use(session: &Session, args: &VerifyArgs) -> Outcome {
    let case = match session
        .allow(Act::Execute)
        .and_then(|()| Case::read(session, args, true))
    {
        Ok(case) => case,
        Err(refusal) => return unread("use", refusal),
    };
    let (report, used) = case.claim(|case, at| {
        let governed = case.governed()?;
        let actor = &case.request.actor_id;
        SealedEvent::used(&case.permit, actor, &at.tip, governed.sha()).map(|event| vec![event])
    });
    let mut outcome = case.outcome("use", session, report);
    if let Some(at) = used {
        let see = format!(
            "permit show {} --stream {}",
            case.permit.permit_id, at.tip.stream_id
        );
        outcome = outcome.appended(&at.tip, see);
        outcome.text.push_str(&format!(
            "used, as event {} of {} records\n",
            at.tip.sequence, at.tip.stream_id
        ));
        outcome.set("sequence", at.tip.sequence);
        outcome.set("event_hash", at.tip.event_hash);
        outcome.set("commit", at.commit.to_string());
    }
    outcome
}

/// The result where there was nothing to judge.
fn unread(command: &'static str, refusal: Refusal) -> Outcome {
    let mut report = Report::default();
    if refusal.code == Code::InvalidPermit {
        report.check("structure", Err(refusal.clone()));
    }
    Outcome::refused(command, refusal)
        .field("executable", false)
        .field("checks", &report.checks)
}

impl<'s> Case<'s> {
    fn read(session: &'s Session, args: &VerifyArgs, asks: bool) -> Result<Self, Refusal> {
        let inputs = [
            Some(&args.permit),
            Some(&args.request),
            args.checkpoint.as_ref(),
        ];
        let piped = inputs
            .into_iter()
            .flatten()
            .filter(|path| path.as_os_str() == "-");
        if piped.count() > 1 {
            return Err(fault::input(
                "standard input can be read once, for one file",
            ));
        }
        let permit = Permit::parse(&files::read(&args.permit, MAX_REQUEST)?)?;
        let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
        let checkpoint = args
            .checkpoint
            .as_deref()
            .map(checkpoint::read)
            .transpose()?;
        if checkpoint
            .as_ref()
            .is_some_and(|point| point.stream_id != permit.stream_id)
        {
            return Err(fault::input("the checkpoint is one of another stream"));
        }
        if asks {
            session.refresh(&permit.stream_id)?;
            session.decide()?;
        }
        let mut case = Self::new(session, permit, request, args.at.as_deref())?;
        case.checkpoint = checkpoint;
        case.actor.clone_from(&args.actor);
        Ok(case)
    }

    /// Brings a permit and a request before the state at a revision.
    pub(crate) fn new(
        session: &'s Session,
        permit: Permit,
        request: Request,
        at: Option<&str>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            session,
            stream: Stream::new(session, &permit.stream_id)?,
            governed: session.govern_at(at),
            in_force: InForce::now(session),
            permit,
            request,
            checkpoint: None,
            actor: None,
        })
    }

    /// The governed state, or why there is none.
    pub(crate) fn governed(&self) -> Result<&Governed<'s>, Refusal> {
        self.governed.as_ref().map_err(Clone::clone)
    }

    /// The governed ref's tip, or why there is none.
    fn in_force(&self) -> Result<&InForce<'s>, Refusal> {
        self.in_force.as_ref().map_err(Clone::clone)
    }

    /// Refuses a governed commit that is not in force, or where one of the paths holds something else at the tip.
    ///
    /// # Errors
    /// Those of [`InForce::check`].
    pub(crate) fn check_in_force(&self, read: &[String]) -> Result<(), Refusal> {
        self.in_force()?.check(&self.governed()?.snapshot, read)
    }

    /// Judges the permit on the newest event and, where it stands, appends what is derived from that event; where
    /// another writer was faster, judges again. Returns the last report, and the newest event if one was appended.
    pub(crate) fn claim(
        &self,
        derive: impl Fn(&Self, &At) -> Result<Vec<SealedEvent>, Refusal>,
    ) -> (Report, Option<At>) {
        let mut report = Report::default();
        let appended = self.stream.append(|before| {
            let at = before.cloned().ok_or_else(|| self.stream.missing());
            report = self.judge(at.clone());
            match &report.refusal {
                Some(refusal) => Err(refusal.clone()),
                None => Ok((derive(self, &at?)?, ())),
            }
        });
        match appended {
            Ok(Appended { at, .. }) => (report, Some(at)),
            Err(refusal) => {
                report.refusal.get_or_insert(refusal);
                (report, None)
            }
        }
    }

    /// Runs every check on a newest event.
    pub(crate) fn judge(&self, at: Result<At, Refusal>) -> Report {
        self.judge_by(at, |at| self.look(at))
    }

    /// The same, with what the stream says of the permit at that event from wherever it is known.
    pub(crate) fn judge_by(
        &self,
        at: Result<At, Refusal>,
        look: impl FnOnce(&At) -> Result<(Issuance, String), Refusal>,
    ) -> Report {
        let mut report = Report::default();
        report.check("structure", Ok("exactly the fields of a permit".to_owned()));
        report.check("permit_id", validity::id_fits(&self.permit));
        let at = match at {
            Ok(at) => at,
            Err(refusal) => {
                report.check("stream", Err(refusal));
                report.skip(&[
                    "issued", "request", "policy", "replay", "decision", "unused", "expiry",
                ]);
                return report;
            }
        };
        let place = format!("`{}` is at event {}", self.stream.id, at.tip.sequence);
        report.check("stream", Ok(place));
        let found = match look(&at) {
            Ok((found, detail)) => {
                report.check("issued", Ok(detail));
                Some(found)
            }
            Err(refusal) => {
                report.check("issued", Err(refusal));
                None
            }
        };
        report.check("request", validity::is_bound(&self.permit, &self.request));
        if let Some(actor) = &self.actor {
            let same = check_actor(&self.request, Some(actor));
            report.check(
                "actor",
                same.map(|()| format!("authenticated as `{actor}`")),
            );
        }
        report.check(
            "policy",
            self.check_in_force(&[])
                .and_then(|()| self.governed())
                .and_then(|governed| validity::is_under(&self.permit, governed.policy.hash())),
        );
        match &found {
            // A review is judged at the place where the permit was issued, and there is none.
            None if self.permit.review_ref.is_some() => report.skip(&["replay"]),
            found => report.check("replay", self.derive_again(found.as_ref())),
        }
        report.check("decision", validity::permits(&self.permit));
        match found {
            Some(found) => report.check("unused", validity::is_unused(&self.permit, found.uses)),
            None => report.skip(&["unused"]),
        }
        report.check(
            "expiry",
            self.governed().and_then(|governed| {
                let tip = self.in_force()?.tip_or(governed.commit);
                validity::is_in_force(&self.permit, at.tip.sequence, tip)
            }),
        );
        if self.permit.decision == Effect::Warn {
            report.warning = Some("the policy permits this with a warning");
        }
        report
    }

    /// Finds the event that issued the permit, and its uses since.
    fn look(&self, at: &At) -> Result<(Issuance, String), Refusal> {
        look(&self.stream, &self.permit, self.checkpoint.as_ref(), at)
    }

    /// Decides again and derives the permit from its own place, then the event that issued it as `replay` does: under
    /// the commit that it names.
    fn derive_again(&self, issued: Option<&Issuance>) -> Finding {
        let governed = self.governed()?;
        let place = Place {
            stream: &self.stream,
            from: issued.and_then(|issued| issued.before),
            sequence: self.permit.issued_at_sequence,
            derived: &Derived::default(),
            rules: Rules::New,
        };
        let decided = decide(self.session, governed, &self.request, &place)
            .map_err(|undecided| undecided.refusal)?;
        self.check_in_force(&decided.read)?;
        let commit = match &self.permit.expiry_condition {
            Expiry::ValidForCommit { commit_sha } => *commit_sha,
            Expiry::ValidForSequenceRange { .. } => governed.sha(),
        };
        let tip = validity::derived_from(&self.permit);
        let derived = Permit::derive(&decided.grant, &tip, commit)?;
        let detail = validity::is_derivable(&self.permit, &derived)?;
        if let Some(issued) = issued {
            let mut replay = Replay::new(self.session, &self.stream)?;
            self.stream
                .look_at(issued.commit, |event, before| replay.check(event, before))?;
        }
        Ok(detail)
    }

    fn outcome(&self, command: &'static str, session: &Session, report: Report) -> Outcome {
        let mut outcome = Outcome::ok(command)
            .field("executable", report.refusal.is_none())
            .field("checks", &report.checks)
            .field("permit_id", self.permit.permit_id)
            .field("actor", self.actor.as_deref().unwrap_or("unauthenticated"))
            .field("freshness", "local")
            .text(text(&report));
        if let Ok(governed) = &self.governed {
            outcome.set("governed_commit", governed.sha());
            outcome.warnings = session.work_tree_warnings(governed);
        }
        outcome.warnings.extend(report.warning.map(str::to_owned));
        if let Some(refusal) = report.refusal {
            outcome.refuse(refusal);
        }
        outcome
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let (style, mark) = if check.ok { (GOOD, "ok") } else { (BAD, "no") };
        let detail = paint(DIM, &safe(&check.detail));
        text.push_str(&format!(
            "{}  {:<10} {detail}\n",
            paint(style, mark),
            check.name
        ));
    }
    let verdict = match (&report.refusal, &report.warning) {
        (Some(_), _) => paint(BAD, "not executable"),
        (None, Some(_)) => paint(WARN, "executable, with a warning"),
        (None, None) => paint(GOOD, "executable"),
    };
    text.push_str(&verdict);
    text.push('\n');
    text
}
