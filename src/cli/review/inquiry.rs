//! Asks everything about one review that can be found out without being told more.
//!
//! An artifact names its request by a fingerprint only. The request itself may be given, or stand in a request record of
//! the governed commit, or in a permit that the review has already yielded; where none of these has it, the rules that
//! need it stay unchecked, and every other one is judged.

use serde::Serialize;

use super::super::decide::{Derived, Place};
use super::super::ledger::{Case, Entry};
use super::super::session::{Governed, MAX_GOVERNED, Session};
use super::super::stream::Stream;
use super::super::walk::Facts;
use crate::engine::canonical::{self, Value};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::Fingerprint;
use crate::engine::evaluate::{Decision, evaluate};
use crate::engine::request::Request;
use crate::engine::review::{Document, Expected, Judgement};
use crate::engine::rules::Rules;
use crate::git::Snapshot;

/// What became of a review, as a list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It waits for people.
    Open,
    /// It can yield a permit.
    Valid,
    /// It has yielded all its permits.
    Consumed,
    /// It was sound, and what it rests on has changed since.
    Stale,
    /// The reviewers said no.
    Rejected,
    /// It cannot be believed.
    Invalid,
}

/// Judges an entry of the ledger at the newest event of the stream that it is anchored on.
pub(super) fn judge(
    session: &Session,
    governed: &Governed<'_>,
    entry: &Entry,
    given: Option<&Request>,
) -> Result<Judgement, Refusal> {
    match entry {
        Entry::Malformed(refusal) => Ok(Judgement::malformed(refusal.clone())),
        Entry::Case(case) => judge_case(session, governed, case, given),
    }
}

/// Judges an artifact at the newest event of the stream that it is anchored on.
pub(super) fn judge_case(
    session: &Session,
    governed: &Governed<'_>,
    case: &Case,
    given: Option<&Request>,
) -> Result<Judgement, Refusal> {
    let stream = Stream::new(session, &case.artifact.document().anchor.stream_id)?;
    let at = stream.tip()?;
    let from = at.as_ref().map(|at| at.commit);
    let sequence = at.as_ref().map_or(0, |at| at.tip.next_sequence());
    let place = Place {
        stream: &stream,
        from,
        sequence,
        derived: &Derived::default(),
        rules: Rules::New,
    };
    judge_at(session, governed, case, given, &place)
}

/// Judges an artifact at a place of its stream.
pub(crate) fn judge_at(
    session: &Session,
    governed: &Governed<'_>,
    case: &Case,
    given: Option<&Request>,
    place: &Place<'_>,
) -> Result<Judgement, Refusal> {
    let document = case.artifact.document();
    let facts = Facts::around(session, place, &case.artifact)?;
    let request = match given {
        Some(request) => Some(request.clone()),
        None => facts
            .request
            .clone()
            .filter(|request| request.fingerprint() == document.request_fingerprint)
            .or_else(|| recorded(&governed.snapshot, document.request_fingerprint)),
    };
    let decision = request
        .as_ref()
        .map(|request| evaluate(request, &governed.policy))
        .transpose();
    let need = match &decision {
        Ok(Some(Decision::NeedsReview(need))) => Some(need),
        Ok(Some(Decision::Granted(_)) | None) | Err(_) => None,
    };
    if given.is_some() && need.is_none() {
        return Err(Refusal::new(
            Code::ReviewNotRequired,
            "the policy does not map the request to a review",
        ));
    }
    let expected = Expected {
        policy_hash: governed.policy.hash(),
        asks: match need {
            Some(need) => Some(need.asks),
            None => governed.policy.review_type(&document.review_type),
        },
        request: need.and_then(|need| Some(need.asked(request.as_ref()?))),
        stream_id: Some(&place.stream.id),
        sequence: place.sequence,
        rules: place.rules,
    };
    let action = match (need, &request) {
        (Some(need), Some(request)) => {
            case.action(session, governed, request, need.asks, Rules::New)?
        }
        (_, _) => None,
    };
    Ok(case.judge(&expected, &facts, &action))
}

/// Looks for a request among the request records of a commit; what cannot be read there is no request.
pub(crate) fn recorded(snapshot: &Snapshot<'_>, wanted: Fingerprint) -> Option<Request> {
    const FOLDER: &str = "governance/requests";
    let entries = snapshot.list(FOLDER).ok()?;
    let names = entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name));
    names
        .filter(|name| name.ends_with(".request.json"))
        .find_map(|name| {
            let path = format!("{FOLDER}/{name}");
            let blob = snapshot.file(&path, MAX_GOVERNED).ok().flatten()?;
            let (plain, bound) = requests_of(&blob.bytes)?;
            [bound, plain]
                .into_iter()
                .find(|request| request.fingerprint() == wanted)
        })
}

/// The request of a record, and the same bound to the record as a permit is issued for it (execution-requests.md).
fn requests_of(bytes: &[u8]) -> Option<(Request, Request)> {
    let record = canonical::parse(bytes).ok()?;
    let plain = Request::read(record.at("request")?).ok()?;
    let id = record.at("request_id").and_then(Value::as_str)?.to_owned();
    let mut bound = plain.clone();
    bound
        .context
        .insert("execution_request_id", Value::from(id));
    Some((plain, bound))
}

impl State {
    /// The state of a judged review.
    pub(crate) fn of(judgement: &Judgement) -> Self {
        let Some(reason) = judgement.reason().filter(|_| !judgement.is_sound()) else {
            return Self::Valid;
        };
        match (reason.code, reason.class()) {
            (Code::ReviewRejected, _) => Self::Rejected,
            (Code::ReviewConsumed, _) => Self::Consumed,
            (Code::ReviewReviewerUnsigned, _) | (_, Class::Pending) => Self::Open,
            (Code::ReviewMismatch | Code::ManifestMismatch | Code::PrincipalRevoked, _) => {
                Self::Stale
            }
            _ => Self::Invalid,
        }
    }

    /// The word that stands in lists.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Valid => "valid",
            Self::Consumed => "consumed",
            Self::Stale => "stale",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
        }
    }
}

/// Who has signed.
pub(super) fn signed(document: &Document) -> Vec<&str> {
    document
        .signatures
        .iter()
        .flatten()
        .map(|signed| signed.principal.as_str())
        .collect()
}
