//! `permit verify` and `permit use`: the executor decides again and believes nothing that a permit says of itself.

use std::ops::ControlFlow;

use serde::Serialize;

use super::args::VerifyArgs;
use super::checkpoint::{self, Checkpoint};
use super::decide::{check_actor, decide};
use super::files;
use super::outcome::Outcome;
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::session::{Act, Governed, Session, commit_id};
use super::stream::{Appended, At, Stream};
use crate::engine::canonical::{Value, to_bytes};
use crate::engine::chain::{Event, EventType, Expectation, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::permit::{Expiry, Permit};
use crate::engine::policy::{Effect, GrantMode};
use crate::engine::request::{MAX_REQUEST, Request};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Every check in the order of core.md section 7, and the first reason against the permit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checks: Vec<Check>,
    refusal: Option<Refusal>,
    warning: Option<String>,
}

impl Report {
    fn check(&mut self, name: &'static str, result: Result<String, Refusal>) {
        let (ok, detail) = match &result {
            Ok(detail) => (true, detail.clone()),
            Err(refusal) => (false, format!("{}: {}", refusal.code, refusal.message)),
        };
        self.checks.push(Check { name, ok, detail });
        if let (Err(refusal), None) = (result, &self.refusal) {
            self.refusal = Some(refusal);
        }
    }

    fn skip(&mut self, names: &[&'static str]) {
        for name in names {
            self.checks.push(Check {
                name,
                ok: false,
                detail: "not reached".to_owned(),
            });
        }
    }

    fn is_executable(&self) -> bool {
        self.refusal.is_none()
    }
}

/// What stays the same however often the stream moves.
struct Case<'s> {
    permit: Permit,
    request: Request,
    governed: Governed<'s>,
    checkpoint: Option<Checkpoint>,
}

pub(crate) fn verify(session: &Session, args: &VerifyArgs) -> Result<Outcome, Refusal> {
    let case = Case::read(session, args)?;
    let mut report = Report::default();
    if let Some(stream) = case.begin(session, &mut report)? {
        case.judge(&stream, None, &mut report);
    }
    Ok(case.outcome("verify", session, args, report))
}

/// Verifies, then appends `permit.used`; where another writer was faster, verifies again on the new tip.
pub(crate) fn run_use(session: &Session, args: &VerifyArgs) -> Result<Outcome, Refusal> {
    session.allow(Act::Execute)?;
    let case = Case::read(session, args)?;
    let mut first = Report::default();
    let Some(stream) = case.begin(session, &mut first)? else {
        return Ok(case.outcome("use", session, args, first));
    };
    let mut report = Report::default();
    let appended = stream.append(|before| {
        report = Report::default();
        case.begin(session, &mut report)?;
        case.judge(&stream, before, &mut report);
        match (&report.refusal, before) {
            (Some(refusal), _) => Err(refusal.clone()),
            (None, None) => stream.existing_tip().map(|_| (Vec::new(), ())),
            (None, Some(at)) => {
                let actor = &case.request.actor_id;
                let used = SealedEvent::used(&case.permit, actor, &at.tip, case.governed.sha())?;
                Ok((vec![used], ()))
            }
        }
    });
    match appended {
        Ok(Appended { at, .. }) => Ok(case
            .outcome("use", session, args, report)
            .field("sequence", at.tip.sequence)
            .field("event_hash", at.tip.event_hash)
            .field("commit", at.commit.to_string())),
        Err(refusal) => {
            if report.refusal.is_none() {
                report.refusal = Some(refusal);
            }
            Ok(case.outcome("use", session, args, report))
        }
    }
}

impl<'s> Case<'s> {
    fn read(session: &'s Session, args: &VerifyArgs) -> Result<Self, Refusal> {
        let permit = Permit::parse(&files::read(&args.permit, MAX_REQUEST)?)?;
        let request = Request::parse(&files::read(&args.request, MAX_REQUEST)?)?;
        let checkpoint = args
            .checkpoint
            .as_deref()
            .map(checkpoint::read)
            .transpose()?;
        check_actor(&request, args.actor.as_deref())?;
        Ok(Self {
            permit,
            request,
            governed: session.govern(&args.at)?,
            checkpoint,
        })
    }

    /// The checks that need no stream.
    fn begin(
        &self,
        session: &'s Session,
        report: &mut Report,
    ) -> Result<Option<Stream<'s>>, Refusal> {
        report.check("structure", Ok("exactly the fields of a permit".to_owned()));
        let computed = self.permit.computed_id();
        let id = if computed == self.permit.permit_id {
            Ok("the id is the hash of the other fields".to_owned())
        } else {
            Err(Refusal::new(
                Code::PermitIdMismatch,
                "the permit's id is not the hash of its other fields",
            )
            .detail("recorded", self.permit.permit_id.to_string())
            .detail("computed", computed.to_string()))
        };
        report.check("permit_id", id);
        Stream::new(session, &self.permit.stream_id).map(Some)
    }

    /// The checks that need the stream, at its newest event or at the one that is given.
    fn judge(&self, stream: &Stream<'_>, at: Option<&At>, report: &mut Report) {
        let at = match at.map_or_else(|| stream.existing_tip(), |at| Ok(at.clone())) {
            Ok(at) => at,
            Err(refusal) => {
                report.check("stream", Err(refusal));
                report.skip(&[
                    "issued", "request", "policy", "replay", "decision", "unused", "expiry",
                ]);
                return;
            }
        };
        report.check(
            "stream",
            Ok(format!("`{}` is at event {}", stream.id, at.tip.sequence)),
        );
        let found = self.look(stream, &at);
        let uses = match found {
            Ok(uses) => {
                let detail = format!("event {} issued it", self.permit.issued_at_sequence);
                report.check("issued", Ok(detail));
                Some(uses)
            }
            Err(refusal) => {
                report.check("issued", Err(refusal));
                None
            }
        };
        report.check("request", self.check_request());
        report.check("policy", self.check_policy());
        report.check("replay", self.check_replay());
        if self.permit.decision == Effect::Warn {
            report.warning = Some("the policy permits this with a warning".to_owned());
        }
        report.check(
            "decision",
            match self.permit.decision {
                Effect::Block => Err(Refusal::new(
                    Code::DecisionBlock,
                    "the permit is the record of a denial and is never executable",
                )),
                Effect::Allow | Effect::Warn | Effect::Review => {
                    Ok(self.permit.decision.word().to_owned())
                }
            },
        );
        match uses {
            Some(uses) => report.check("unused", self.check_unused(uses)),
            None => report.skip(&["unused"]),
        }
        report.check("expiry", self.check_expiry(&at));
    }

    /// Walks from the tip back to the event that issued the permit (or to the checkpoint, if that is older), and counts
    /// the uses on the way.
    fn look(&self, stream: &Stream<'_>, at: &At) -> Result<u64, Refusal> {
        let wanted = self.permit.issued_at_sequence;
        let checkpoint = self.checkpoint.as_ref();
        if let Some(point) = checkpoint.filter(|point| point.stream_id != self.permit.stream_id) {
            return Err(super::fault::input(format!(
                "the checkpoint is one of the stream `{}`",
                point.stream_id
            )));
        }
        let expectation = checkpoint.map(|point| Expectation {
            sequence: Some(point.sequence),
            event_hash: point.event_hash,
        });
        let last = checkpoint.map_or(wanted, |point| wanted.min(point.sequence));
        let not_issued = |what: &str| Refusal::new(Code::NotIssued, what);
        let mut uses = 0_u64;
        let mut issued = Err(not_issued(
            "the stream holds no event at the permit's sequence",
        ));
        let verifier = stream.walk(at.commit, expectation, |event, _| {
            if self.is_use(event) {
                uses = uses.saturating_add(1);
            }
            if event.sequence == wanted {
                issued = self.is_issuance(event).map_err(|what| not_issued(&what));
            }
            Ok(if event.sequence <= last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if checkpoint.is_some_and(|point| point.sequence > at.tip.sequence) {
            return Err(Refusal::new(
                Code::ChainTruncated,
                "the stream ends before the checkpoint",
            ));
        }
        verifier
            .finish_part()
            .map_err(|fault| stream.broken(&fault))?;
        issued.map(|()| uses)
    }

    fn is_use(&self, event: &Event<'_>) -> bool {
        event.kind() == Some(EventType::PermitUsed)
            && event.event_id == self.permit.permit_id.to_string()
    }

    /// Compares the event at the permit's sequence with the permit.
    fn is_issuance(&self, event: &Event<'_>) -> Result<(), String> {
        if event.kind() != Some(EventType::PermitIssued) {
            return Err(format!("event {} issued no permit", event.sequence));
        }
        let payload = event.payload_value().map_err(|fault| fault.to_string())?;
        let recorded = payload.at("permit").map(to_bytes);
        let same = event.event_id == self.permit.permit_id.to_string()
            && event.prev.text() == self.permit.prev_event_hash.to_string()
            && event.policy_hash == self.permit.policy_hash.to_string()
            && event.request_fingerprint == self.permit.request_fingerprint.to_string()
            && payload.at("permit_id").and_then(Value::as_str) == Some(event.event_id)
            && recorded.as_deref() == Some(&self.permit.to_bytes());
        if same {
            Ok(())
        } else {
            Err(format!("event {} issued another permit", event.sequence))
        }
    }

    fn check_request(&self) -> Result<String, Refusal> {
        let found = self.request.fingerprint();
        if found == self.permit.request_fingerprint {
            return Ok("the request is the one that was permitted".to_owned());
        }
        Err(Refusal::new(
            Code::UnboundRequest,
            "the request is not the one that was permitted",
        )
        .detail("permitted", self.permit.request_fingerprint.to_string())
        .detail("found", found.to_string()))
    }

    fn check_policy(&self) -> Result<String, Refusal> {
        let found = self.governed.policy.hash();
        if found == self.permit.policy_hash {
            return Ok(format!("governed by {}", self.governed.commit));
        }
        Err(Refusal::new(
            Code::PolicyMismatch,
            "the governed policy is no longer the one that the permit was issued under",
        )
        .detail("issued under", self.permit.policy_hash.to_string())
        .detail("governed", found.to_string()))
    }

    /// Decides again and derives the permit from its own place; any byte that differs is a mismatch.
    fn check_replay(&self) -> Result<String, Refusal> {
        let decided =
            decide(&self.governed, &self.request).map_err(|undecided| undecided.refusal)?;
        let tip = crate::engine::chain::Tip {
            stream_id: self.permit.stream_id.clone(),
            sequence: self.permit.issued_at_sequence.saturating_sub(1),
            event_hash: self.permit.prev_event_hash,
        };
        let commit = match &self.permit.expiry_condition {
            Expiry::ValidForCommit { commit_sha } => *commit_sha,
            Expiry::ValidForSequenceRange { .. } => self.governed.sha(),
        };
        let derived = Permit::derive(&decided.grant, &tip, commit)?;
        if derived.to_bytes() == self.permit.to_bytes() {
            return Ok("deciding again gives the same permit, byte for byte".to_owned());
        }
        Err(
            Refusal::new(Code::ReplayMismatch, "deciding again gives another permit")
                .detail("recorded", self.permit.permit_id.to_string())
                .detail("derived", derived.permit_id.to_string()),
        )
    }

    fn check_unused(&self, uses: u64) -> Result<String, Refusal> {
        if self.permit.permit_scope.mode == GrantMode::OneShot && uses > 0 {
            return Err(Refusal::new(
                Code::AlreadyUsed,
                "the permit was for one use and has been used",
            ));
        }
        Ok(format!("used {uses} times"))
    }

    fn check_expiry(&self, at: &At) -> Result<String, Refusal> {
        match &self.permit.expiry_condition {
            Expiry::ValidForSequenceRange {
                sequence_range: [from, to],
            } => {
                if (*from..=*to).contains(&at.tip.sequence) {
                    return Ok(format!(
                        "the stream is at {} of {from} to {to}",
                        at.tip.sequence
                    ));
                }
                Err(Refusal::new(
                    Code::Expired,
                    format!(
                        "the stream is at {} and the permit was valid from {from} to {to}",
                        at.tip.sequence
                    ),
                ))
            }
            Expiry::ValidForCommit { commit_sha } => {
                if commit_id(*commit_sha) == self.governed.commit {
                    return Ok(format!("the governed commit is {commit_sha}"));
                }
                Err(Refusal::new(
                    Code::CommitMismatch,
                    "the governed commit is no longer the one that the permit is bound to",
                )
                .detail("bound to", commit_sha.to_string())
                .detail("governed", self.governed.commit.to_string()))
            }
        }
    }

    fn outcome(
        &self,
        command: &'static str,
        session: &Session,
        args: &VerifyArgs,
        report: Report,
    ) -> Outcome {
        let mut outcome = Outcome::ok(command)
            .field("executable", report.is_executable())
            .field("checks", &report.checks)
            .field("permit_id", self.permit.permit_id)
            .field("actor", args.actor.as_deref().unwrap_or("unauthenticated"))
            .field("governed_ref", session.governed_ref())
            .field("governed_commit", self.governed.sha())
            .text(text(&report));
        outcome.warnings = session.work_tree_warnings(&self.governed);
        outcome.warnings.extend(report.warning);
        if let Some(refusal) = report.refusal {
            outcome.refuse(refusal);
        }
        outcome
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let mark = if check.ok {
            paint(GOOD, "ok")
        } else {
            paint(BAD, "no")
        };
        text.push_str(&format!(
            "{mark}  {:<10} {}\n",
            check.name,
            paint(DIM, &safe(&check.detail))
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
