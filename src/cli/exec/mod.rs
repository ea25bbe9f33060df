//! `permit exec`: verify, claim, run, record (enforcement.md, Boundary 2).
//!
//! The claim, one append of `permit.used` and `tool.exec.requested`, stands before the run; whatever the child does is
//! reported and never undone. The exit status is the child's, or 100 + class where the boundary says no.

pub(crate) mod args;
mod child;
mod ledger;
mod report;
mod target;

use args::ExecArgs;
use child::Program;
use ledger::Ledger;
use target::{Target, checkout, not_allowed};

use super::args::Global;
use super::guard::mode;
use super::hap::{self, Now};
use super::ledger::Entry;
use super::outcome::Outcome;
use super::render;
use super::request;
use super::session::{Act, Governed, Session};
use super::verify::Case;
use super::{fault, files};
use crate::engine::chain::{EventType, SealedEvent};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Mode, Ran, argv_of, check_covered, requested};
use crate::engine::execution_request::{BlockedAction, ExecutionRequest, binding};
use crate::engine::permit::Permit;
use crate::engine::request::{MAX_REQUEST, Request};

/// A run that nothing was said against yet.
struct Run<'s> {
    case: Case<'s>,
    record: Option<ExecutionRequest>,
    program: Program,
    argv: Vec<String>,
    target: Option<Target>,
}

/// What came of it all.
#[derive(Default)]
struct Ended {
    refusal: Option<Refusal>,
    ran: Option<Ran>,
    offending: Vec<String>,
    enforced: Vec<&'static str>,
    not_enforced: Vec<&'static str>,
    warnings: Vec<String>,
    permit_id: String,
    /// What the result says of the repository and its trust root.
    said: Option<Outcome>,
}

pub(crate) fn run(global: &Global, args: &ExecArgs) -> Outcome {
    let (mode, ended) = match mode(&args.mode) {
        Ok(Mode::Off) => (Mode::Off, off(global, args)),
        Ok(Mode::Enforce) if args.clock.now.is_some() => {
            let what = "in `enforce` the time is the system's, and `--now` is not taken";
            (
                Mode::Enforce,
                refused(fault::input(what).next("leave out `--now`")),
            )
        }
        Ok(mode) => (mode, guarded(global, args, mode)),
        Err(refusal) => (Mode::Enforce, refused(refusal)),
    };
    report::report(global, args, mode, ended)
}

fn refused(refusal: Refusal) -> Ended {
    Ended {
        refusal: Some(refusal),
        ..Ended::default()
    }
}

/// Runs the child and nothing else.
fn off(global: &Global, args: &ExecArgs) -> Ended {
    render::note("permit exec: the mode is `off`, nothing is verified or recorded");
    unguarded(global, args)
}

/// Runs what was named on the command line, in the record, or in the request's own `context.argv`.
fn unguarded(global: &Global, args: &ExecArgs) -> Ended {
    let (named, folder) = harness(global, args).unwrap_or_default();
    let wanted = if args.argv.is_empty() {
        named
    } else {
        args.argv.clone()
    };
    let folder = args.target.join(folder);
    match Program::find(&wanted, &folder).and_then(|program| program.run()) {
        Ok(ran) => Ended {
            ran: Some(ran),
            ..Ended::default()
        },
        Err(refusal) => refused(refusal),
    }
}

/// The program that the record or the request names, and the folder of the target where it runs.
fn harness(global: &Global, args: &ExecArgs) -> Option<(Vec<String>, String)> {
    let Some(id) = &args.execution_request else {
        let bytes = files::read(args.request.as_deref()?, MAX_REQUEST).ok()?;
        return Some((argv_of(&Request::parse(&bytes).ok()?)?, String::new()));
    };
    let session = Session::open(global).ok()?;
    let record = request::load(&session.govern_at(args.at.as_deref()).ok()?, id).ok()?;
    let harness = record.document().harness.clone();
    Some((harness.argv, harness.working_directory))
}

fn guarded(global: &Global, args: &ExecArgs, mode: Mode) -> Ended {
    let opened = Session::open(global).and_then(|session| {
        let permit = Permit::parse(&files::read(&args.permit, MAX_REQUEST)?)?;
        session.refresh(&permit.stream_id)?;
        Ok((session, permit))
    });
    let (session, permit) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return unrecorded(global, args, mode, refusal),
    };
    let ledger = match Ledger::new(&session, &permit, mode) {
        Ok(ledger) => ledger,
        Err(refusal) => return unrecorded(global, args, mode, refusal),
    };
    let mut ended = match prepare(&session, args, permit) {
        Ok(run) => execute(global, run, &ledger, args),
        Err(refusal) => ledger.deny(global, args, refusal),
    };
    ended.permit_id = ledger.permit.permit_id.to_string();
    let mut said = Outcome::ok("exec");
    session.say(&mut said);
    session.say_freshness(&mut said);
    ended.said = Some(said);
    ended
}

/// The record, if one is carried out, and the request that the permit must have been issued for.
fn name(
    session: &Session,
    args: &ExecArgs,
    permit: &Permit,
) -> Result<(Option<ExecutionRequest>, Request), Refusal> {
    if let Some(id) = &args.execution_request {
        let governed = session.govern_at(args.at.as_deref())?;
        let record = request::load(&governed, id)?;
        request::check_record(session, &governed, &record)?;
        check_approved(session, &governed, &record, permit)?;
        let request = record.bound_request();
        return Ok((Some(record), request));
    }
    let path = args.request.as_deref().unwrap_or(std::path::Path::new("-"));
    let request = Request::parse(&files::read(path, MAX_REQUEST)?)?;
    if binding(&request).is_some() {
        let what = "a permit that was issued for an execution request runs only with it";
        return Err(
            Refusal::new(Code::UnboundRequest, what).next("run it with `--execution-request ID`")
        );
    }
    Ok((None, request))
}

/// Checks the approvers of a record again before it is carried out; the permit's own review is verified with it.
fn check_approved(
    session: &Session,
    governed: &Governed<'_>,
    record: &ExecutionRequest,
    permit: &Permit,
) -> Result<(), Refusal> {
    let review = permit
        .review_ref
        .as_ref()
        .ok_or_else(request::not_required)?;
    let entry = Entry::load(session, governed, review.review_id)?;
    let signers: Vec<&str> = match entry.as_deref() {
        Some(Entry::Case(case)) => case.artifact.signers().iter().map(String::as_str).collect(),
        Some(Entry::Malformed(refusal)) => return Err(refusal.clone()),
        None => Vec::new(),
    };
    record.check_signers(&signers)
}

/// Everything that is looked at before the claim; the permit itself comes first.
fn prepare<'s>(session: &'s Session, args: &ExecArgs, permit: Permit) -> Result<Run<'s>, Refusal> {
    session.allow(Act::Execute)?;
    session.decide()?;
    let (record, request) = name(session, args, &permit)?;
    let case = Case::new(session, permit, request, args.at.as_deref())?;
    case.check_in_force(&record.as_ref().map_or_else(Vec::new, request::read_by))?;
    if let Some(refusal) = case.judge(case.stream.existing_tip()).refusal {
        return Err(refusal);
    }
    let now = || Now::of(&args.clock);
    hap::ttl_in_force(session, case.governed()?, &case.request, &case.permit, now)?;
    let permitted = argv(&case, record.as_ref())?;
    if !args.argv.is_empty() && args.argv != permitted {
        return Err(mismatch(&permitted, &args.argv));
    }
    let target = record
        .as_ref()
        .map(|record| Target::open(session, &args.target, record))
        .transpose()?;
    let folder = match (&target, &record) {
        (Some(target), Some(record)) => {
            target.folder(&record.document().harness.working_directory)?
        }
        _ => checkout(session, &args.target)?,
    };
    Ok(Run {
        program: Program::find(&permitted, &folder)?,
        case,
        record,
        argv: permitted,
        target,
    })
}

/// What runs: the record's harness, which people signed, or the request's `context.argv`, where something covers that.
fn argv(case: &Case<'_>, record: Option<&ExecutionRequest>) -> Result<Vec<String>, Refusal> {
    if let Some(record) = record {
        return Ok(record.document().harness.argv.clone());
    }
    let argv = argv_of(&case.request).ok_or_else(|| {
        let what = "the request has no `context.argv` that is a list of strings";
        Refusal::new(Code::ArgvMismatch, what)
    })?;
    check_covered(case.permit.decision, &case.request, &argv)?;
    Ok(argv)
}

/// Says that the command line names another command than was permitted.
fn mismatch(permitted: &[String], found: &[String]) -> Refusal {
    let shown = |argv: &[String]| serde_json::to_string(argv).unwrap_or_default();
    let what = "the arguments are not those that were permitted";
    Refusal::new(Code::ArgvMismatch, what)
        .detail("permitted", shown(permitted))
        .detail("found", shown(found))
}

/// Claims, runs and records.
fn execute(global: &Global, mut run: Run<'_>, ledger: &Ledger<'_>, args: &ExecArgs) -> Ended {
    let (mut enforced, mut not_enforced) = (Vec::new(), Vec::new());
    let blocked = run
        .record
        .iter()
        .flat_map(|record| &record.document().blocked_actions);
    for action in blocked {
        if *action == BlockedAction::NetworkEgress && run.program.cut_off() {
            enforced.push(action.word());
        } else {
            not_enforced.push(action.word());
        }
    }
    let commit = match &run.record {
        Some(record) => record.document().target_repository.commit.to_string(),
        None => String::new(),
    };
    let (report, claimed) = run.case.claim(|case, at| {
        let governed = case.governed()?;
        let actor = &case.request.actor_id;
        let used = SealedEvent::used(&case.permit, actor, &at.tip, governed.sha())?;
        let payload = requested(case.permit.permit_id, ledger.mode, &run.argv, &commit);
        let asked = SealedEvent::record(
            EventType::ToolExecRequested,
            &used.tip(),
            case.permit.policy_hash,
            case.permit.request_fingerprint,
            payload,
        )?;
        Ok(vec![used, asked])
    });
    if claimed.is_none() {
        let refusal = report.refusal.unwrap_or_else(|| run.case.stream.missing());
        return ledger.deny(global, args, refusal);
    }
    let watched = run.target.as_mut().map_or(Ok(()), Target::watch);
    let mut ended = match watched.and_then(|()| run.program.run()) {
        Ok(ran) => Ended {
            ran: Some(ran),
            ..Ended::default()
        },
        Err(refusal) => refused(refusal),
    };
    if let (Some(target), Some(ran)) = (&run.target, &mut ended.ran) {
        match target.changes() {
            Ok((changed, offending)) => {
                ran.changed_paths = changed;
                if !offending.is_empty() {
                    ended.refusal = Some(not_allowed(&offending));
                }
                ended.offending = offending;
            }
            Err(refusal) => ended.refusal = Some(refusal),
        }
    }
    let reason = ended
        .refusal
        .as_ref()
        .map_or(Code::Ok, |refusal| refusal.code);
    let ran = ended.ran.clone().unwrap_or_default();
    if let Err(refusal) = ledger.append(reason, &ran) {
        unrecordable(&mut ended, ledger.mode, refusal);
    }
    ended.enforced = enforced;
    ended.not_enforced = not_enforced;
    ended
}

/// A "no" that no stream can hold, because nothing names one.
fn unrecorded(global: &Global, args: &ExecArgs, mode: Mode, refusal: Refusal) -> Ended {
    if mode == Mode::Enforce {
        return refused(refusal);
    }
    let mut ended = unguarded(global, args);
    ended.warnings.push(format!(
        "SHADOW: THE DECISION COULD NOT BE RECORDED: {}: {}",
        refusal.code.name(),
        refusal.message
    ));
    ended.refusal.get_or_insert(refusal);
    ended
}

fn unrecordable(ended: &mut Ended, mode: Mode, refusal: Refusal) {
    if mode == Mode::Enforce {
        ended.refusal.get_or_insert(refusal);
        return;
    }
    ended.warnings.push(format!(
        "SHADOW: THE DECISION COULD NOT BE RECORDED: {}",
        refusal.message
    ));
}
