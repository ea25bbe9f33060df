//! `permit review list`: every review of the governed commit with its verdict, its signers and its state.

use serde::Serialize;

use super::super::fault;
use super::super::ledger::Entry;
use super::super::outcome::Outcome;
use super::super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::super::review_args::ReviewListArgs;
use super::super::session::{Governed, Session};
use super::inquiry::{State, judge, signed};
use crate::engine::code::{Code, Refusal};
use crate::engine::review::{Reviewer, Verdict};

const FOLDER: &str = "governance/reviews";

/// One review as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// What its file name says.
    pub(crate) review_id: String,
    path: String,
    pub(crate) state: State,
    /// Why it is not valid.
    reason: Option<Code>,
    #[serde(flatten)]
    says: Option<Says>,
}

/// What a well-formed artifact says.
#[derive(Debug, Serialize)]
struct Says {
    review_type: String,
    verdict: Verdict,
    reviewer: Reviewer,
    cross_signers: Vec<String>,
    signed: Vec<String>,
    attestations: usize,
    #[serde(skip)]
    stream_id: String,
}

impl Listed {
    /// The stream that it is anchored on.
    pub(crate) fn stream_id(&self) -> Option<&str> {
        self.says.as_ref().map(|says| says.stream_id.as_str())
    }
}

pub(super) fn run(session: &Session, args: &ReviewListArgs) -> Result<Outcome, Refusal> {
    let governed = session.govern_at(args.at.as_deref())?;
    let listed = entries(session, &governed)?;
    let mut text = String::new();
    for review in &listed {
        let style = match review.state {
            State::Valid => GOOD,
            State::Open => WARN,
            State::Consumed | State::Stale => DIM,
            State::Rejected | State::Invalid => BAD,
        };
        let state = paint(style, &format!("{:<8}", review.state.word()));
        let about = match &review.says {
            None => String::new(),
            Some(says) if says.attestations > 0 => format!(
                "{} {} attestations {}",
                says.verdict.word(),
                safe(&says.review_type),
                says.attestations
            ),
            Some(says) => format!(
                "{} {} signed {}/{}: {}",
                says.verdict.word(),
                safe(&says.review_type),
                says.signed.len(),
                says.cross_signers.len(),
                safe(&says.signed.join(", "))
            ),
        };
        let reason = review.reason.map_or("", Code::name);
        let line = format!(
            "{state} {} {about} {}",
            safe(&review.review_id),
            paint(DIM, reason)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let mut outcome = Outcome::ok("review.list")
        .field("reviews", listed)
        .field("governed_commit", governed.sha())
        .text(text);
    outcome.warnings = session.work_tree_warnings(&governed);
    Ok(outcome)
}

/// Every review of a governed commit, judged.
pub(crate) fn entries(session: &Session, governed: &Governed<'_>) -> Result<Vec<Listed>, Refusal> {
    let folder = governed
        .snapshot
        .list(FOLDER)
        .map_err(fault::governed(Code::InvalidReview))?;
    let mut listed = Vec::new();
    for file in folder {
        let name = String::from_utf8_lossy(&file.name).into_owned();
        let Some(review_id) = name.strip_suffix(".review.json") else {
            continue;
        };
        let Some(entry) = Entry::read(session, governed, &name)? else {
            continue;
        };
        let judgement = judge(session, governed, &entry, None)?;
        let state = State::of(&judgement);
        let reason = judgement.reason().filter(|_| state != State::Valid);
        listed.push(Listed {
            review_id: review_id.to_owned(),
            path: format!("{FOLDER}/{name}"),
            state,
            reason: reason.map(|refusal| refusal.code),
            says: match &entry {
                Entry::Malformed(_) => None,
                Entry::Case(case) => {
                    let document = case.artifact.document();
                    Some(Says {
                        review_type: document.review_type.clone(),
                        verdict: document.verdict,
                        reviewer: document.reviewer.clone(),
                        cross_signers: document.cross_signers.clone(),
                        signed: signed(document).into_iter().map(str::to_owned).collect(),
                        attestations: document.attestations.as_ref().map_or(0, Vec::len),
                        stream_id: document.anchor.stream_id.clone(),
                    })
                }
            },
        });
    }
    Ok(listed)
}
