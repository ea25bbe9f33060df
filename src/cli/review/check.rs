//! `permit review check ID`: every rule, one line each, and what is still missing.

use serde_json::{Value, json};

use super::super::files;
use super::super::ledger::{Case, Entry, ManifestAt};
use super::super::outcome::{Outcome, details};
use super::super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::super::review_args::ReviewCheckArgs;
use super::super::session::{Governed, Session};
use super::inquiry::{State, judge, judge_case};
use super::{missing, read_draft, review_id};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::ReviewId;
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::review::{Artifact, Check, Finding, Judgement, MAX_FILE, Manifest};

pub(super) fn run(session: &Session, args: &ReviewCheckArgs) -> Result<Outcome, Refusal> {
    let id = review_id(&args.id)?;
    let governed = session.govern_at(args.at.as_deref())?;
    let request = args
        .request
        .as_deref()
        .map(|path| Request::parse(&files::read(path, MAX_REQUEST)?))
        .transpose()?;
    let committed = if args.draft {
        None
    } else {
        Entry::load(session, &governed, id)?
    };
    let (judgement, draft) = match committed {
        Some(entry) => (judge(session, &governed, &entry, request.as_ref())?, false),
        None => match draft(session, &governed, id)? {
            Ok(case) => (
                judge_case(session, &governed, &case, request.as_ref())?,
                true,
            ),
            Err(refusal) => (Judgement::malformed(refusal), true),
        },
    };
    Ok(report(id, &governed, &judgement, draft))
}

/// The copy in the work tree, as if it were committed next; why not where it is malformed.
fn draft(
    session: &Session,
    governed: &Governed<'_>,
    id: ReviewId,
) -> Result<Result<Case, Refusal>, Refusal> {
    let nowhere = || missing(id, "the governed commit");
    let root = session.work_tree().map_err(|_| nowhere())?;
    let artifact = match read_draft(root, id) {
        Ok(artifact) => artifact,
        Err(refusal) if refusal.code == Code::ReviewMissing => return Err(nowhere()),
        Err(refusal) if refusal.code == Code::InvalidReview => return Ok(Err(refusal)),
        Err(refusal) => return Err(refusal),
    };
    let path = Manifest::path_of(artifact.document().manifest_envelope_id);
    let manifest = match ManifestAt::at(session, &governed.snapshot, &path)? {
        ManifestAt::Missing => match files::read(&root.join(&path), MAX_FILE) {
            Ok(bytes) => ManifestAt::of(session, &governed.snapshot, &bytes)?,
            Err(_) => ManifestAt::Missing,
        },
        committed @ (ManifestAt::Invalid(_) | ManifestAt::Present(..)) => committed,
    };
    Case::draft(
        session,
        governed,
        artifact,
        Artifact::file_name_of(id),
        manifest,
        governed.commit,
    )
    .map(Ok)
}

fn report(id: ReviewId, governed: &Governed<'_>, judgement: &Judgement, draft: bool) -> Outcome {
    let path = Artifact::path_of(id);
    let uncommitted = || {
        Refusal::new(
            Code::ReviewMissing,
            "the review is not in the governed commit yet: this is the copy in the work tree",
        )
        .detail("path", path.as_str())
        .next(format!("git add {path}, commit it through a pull request"))
    };
    let mut missing: Vec<Refusal> = judgement.reasons().into_iter().cloned().collect();
    if draft {
        missing.push(uncommitted());
    }
    let state = State::of(judgement);
    let mut text: String = judgement.checks().iter().map(line).collect();
    let style = match state {
        State::Valid => GOOD,
        State::Open => WARN,
        State::Consumed | State::Stale | State::Rejected | State::Invalid => BAD,
    };
    text.push_str(&paint(style, state.word()));
    text.push('\n');
    for refusal in &missing {
        text.push_str(&format!(
            "{} {}: {}\n  {}\n",
            paint(WARN, "missing"),
            refusal.code,
            safe(&refusal.message),
            paint(DIM, &safe(refusal.next_step()))
        ));
    }
    let mut outcome = Outcome::ok("review.check")
        .field("review_id", id)
        .field("path", &path)
        .field("source", if draft { "work_tree" } else { "commit" })
        .field("governed_commit", governed.sha())
        .field("state", state)
        .field(
            "checks",
            judgement.checks().iter().map(as_json).collect::<Vec<_>>(),
        )
        .field("missing", missing.iter().map(named).collect::<Vec<_>>())
        .text(text);
    if let Some(refusal) = missing.into_iter().next() {
        outcome.refuse(refusal);
    }
    outcome
}

fn line(check: &Check) -> String {
    let (style, mark) = match check.finding {
        Finding::Holds => (GOOD, "ok"),
        Finding::Fails(_) => (BAD, "no"),
        Finding::Unchecked(_) => (WARN, "--"),
    };
    let mut text = format!("{}  {:<16}", paint(style, mark), check.rule.word());
    if let Some(subject) = &check.subject {
        text.push_str(&format!(" {}", safe(subject)));
    }
    let detail = detail(check);
    if !detail.is_empty() {
        text.push_str(&format!(" {}", paint(DIM, &safe(&detail))));
    }
    text.push('\n');
    text
}

fn detail(check: &Check) -> String {
    match &check.finding {
        Finding::Holds => String::new(),
        Finding::Fails(refusal) => format!("{}: {}", refusal.code, refusal.message),
        Finding::Unchecked(why) => format!("not checked: {why}"),
    }
}

fn as_json(check: &Check) -> Value {
    let mut line = json!({
        "name": check.rule,
        "ok": check.finding.holds(),
        "checked": !matches!(check.finding, Finding::Unchecked(_)),
        "detail": detail(check),
    });
    if let (Some(subject), Some(line)) = (&check.subject, line.as_object_mut()) {
        line.insert("principal".to_owned(), subject.as_str().into());
    }
    line
}

/// A reason as it stands in a list of what is missing.
fn named(refusal: &Refusal) -> Value {
    json!({
        "reason": refusal.code,
        "message": refusal.message,
        "details": details(refusal),
        "next_step": refusal.next_step(),
    })
}
