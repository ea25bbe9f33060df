//! The one way from a governed commit and a request to a grant, for `issue`, `verify`, `use` and `replay` alike.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::ledger::{ActionAt, Entry};
use super::session::{Governed, Session};
use super::stream::Stream;
use super::walk::Facts;
use crate::engine::canonical::Value;
use crate::engine::chain::{Event, EventType, SealedEvent, Tip};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, ReviewId};
use crate::engine::evaluate::{Decision, Grant, Mapping, ReviewNeed, evaluate};
use crate::engine::permit::Permit;
use crate::engine::request::Request;
use crate::engine::review::{Expected, Judgement};
use crate::engine::rules::Rules;
use crate::git::CommitId;

/// What was decided: the right to one permit, and the review record of its event.
#[derive(Clone)]
pub(crate) struct Decided {
    pub(crate) grant: Grant,
    pub(crate) review: Option<Value<'static>>,
    /// The paths that the decision rests on beside the policy and the tables, at the governed commit.
    pub(crate) read: Rc<[String]>,
    /// The rule of form that a recorded decision does not meet, since it is older; a new one meets all.
    pub(crate) superseded: Option<Refusal>,
    /// The payloads of the attestations that it rests on.
    payloads: Vec<Digest>,
}

/// What an append has decided before, and no stream holds yet.
#[derive(Default)]
pub(crate) struct Derived {
    reviews: BTreeMap<ReviewId, u64>,
    payloads: BTreeSet<Digest>,
}

/// Why there is no grant.
#[derive(Debug)]
pub(crate) struct Undecided {
    pub(crate) refusal: Refusal,
    /// The mapping, where the policy got that far.
    pub(crate) mapping: Option<Mapping>,
    /// The review that is waited for: its id, type and path.
    pub(crate) review: Option<Pending>,
}

/// A review that is waited for.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) review_id: String,
    pub(crate) review_type: String,
    pub(crate) path: String,
}

impl From<Refusal> for Undecided {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            mapping: None,
            review: None,
        }
    }
}

/// Where on a stream something is decided.
pub(crate) struct Place<'a> {
    pub(crate) stream: &'a Stream<'a>,
    /// The commit of the newest event before the one that is decided; none where the stream does not exist.
    pub(crate) from: Option<CommitId>,
    /// The sequence of the event that is decided.
    pub(crate) sequence: u64,
    /// What the same append has derived already.
    pub(crate) derived: &'a Derived,
    /// Whether something new is decided here, or what is recorded is decided again.
    pub(crate) rules: Rules,
}

/// A request as far as the policy and the ledger alone can take it.
pub(crate) enum Prepared<'a> {
    Granted(Decided),
    Review(Box<Waiting<'a>>),
}

/// A request that waits for its review, and what the ledger holds of it.
pub(crate) struct Waiting<'a> {
    session: &'a Session,
    rules: Rules,
    superseded: Option<Refusal>,
    pub(crate) need: ReviewNeed<'a>,
    request: &'a Request,
    pub(crate) entry: Option<Rc<Entry>>,
    /// The action that the review's attestations are about.
    action: ActionAt,
}

/// Decides about a request at a governed commit, at a place of a stream.
///
/// # Errors
/// Why nothing is granted; a `block` is granted, as the recorded denial.
pub(crate) fn decide(
    session: &Session,
    governed: &Governed<'_>,
    request: &Request,
    place: &Place<'_>,
) -> Result<Decided, Undecided> {
    match prepare(session, governed, request, place.rules)? {
        Prepared::Granted(decided) => Ok(decided),
        Prepared::Review(waiting) => waiting.decide(place),
    }
}

/// Maps a request, and loads what the ledger holds where humans decide.
///
/// # Errors
/// Why nothing can be granted on any stream.
pub(crate) fn prepare<'a>(
    session: &'a Session,
    governed: &'a Governed<'_>,
    request: &'a Request,
    rules: Rules,
) -> Result<Prepared<'a>, Undecided> {
    let form = governed.policy.check_form();
    let form = form.and_then(|()| request.check_form());
    let superseded = rules.older(form)?;
    Ok(match evaluate(request, &governed.policy)? {
        Decision::Granted(grant) => Prepared::Granted(Decided {
            grant,
            review: None,
            payloads: Vec::new(),
            read: Rc::default(),
            superseded,
        }),
        Decision::NeedsReview(need) => {
            let entry = Entry::load(session, governed, need.review_id)
                .map_err(|refusal| pending(&need, refusal))?;
            let action = match entry.as_deref() {
                Some(Entry::Case(case)) => case
                    .action(session, governed, request, need.asks, rules)
                    .map_err(|refusal| pending(&need, refusal))?,
                Some(Entry::Malformed(_)) | None => None,
            };
            Prepared::Review(Box::new(Waiting {
                session,
                rules,
                superseded,
                need,
                request,
                entry,
                action,
            }))
        }
    })
}

impl Prepared<'_> {
    /// The paths that a decision rests on, wherever on a stream it is made.
    pub(crate) fn read(&self) -> Rc<[String]> {
        match self {
            Self::Granted(decided) => Rc::clone(&decided.read),
            Self::Review(waiting) => waiting.read(),
        }
    }

    /// Decides at a place of a stream.
    pub(crate) fn decide(&self, place: &Place<'_>) -> Result<Decided, Undecided> {
        match self {
            Self::Granted(decided) => Ok(decided.clone()),
            Self::Review(waiting) => waiting.decide(place),
        }
    }
}

impl Waiting<'_> {
    /// Judges the review at a place of a stream; nothing where the ledger holds none.
    pub(crate) fn judge(&self, place: &Place<'_>) -> Result<Option<Judgement>, Refusal> {
        let Some(entry) = &self.entry else {
            return Ok(None);
        };
        let case = match &**entry {
            Entry::Malformed(refusal) => return Ok(Some(Judgement::malformed(refusal.clone()))),
            Entry::Case(case) => case,
        };
        let mut facts = Facts::around(self.session, place, &case.artifact)?;
        let derived = place.derived.reviews.get(&self.need.review_id);
        facts.issued = facts.issued.saturating_add(derived.copied().unwrap_or(0));
        let spent = |payload: &Digest| place.derived.payloads.contains(payload);
        facts.payload_spent |= case
            .artifact
            .payloads()
            .is_ok_and(|all| all.iter().any(spent));
        let expected = Expected {
            policy_hash: self.need.mapping.policy_hash,
            asks: Some(self.need.asks),
            request: Some(self.need.asked(self.request)),
            stream_id: Some(&place.stream.id),
            sequence: place.sequence,
            rules: self.rules,
        };
        Ok(Some(case.judge(&expected, &facts, &self.action)))
    }

    fn payloads(&self) -> Result<Vec<Digest>, Refusal> {
        match self.entry.as_deref() {
            Some(Entry::Case(case)) => case.artifact.payloads(),
            Some(Entry::Malformed(_)) | None => Ok(Vec::new()),
        }
    }

    fn superseded(&self) -> Option<Refusal> {
        let of_artifact = || match self.entry.as_deref() {
            Some(Entry::Case(case)) => case.artifact.check_form().err(),
            Some(Entry::Malformed(_)) | None => None,
        };
        self.superseded.clone().or_else(of_artifact)
    }

    /// The artifact, its manifest and the files that this lists.
    fn read(&self) -> Rc<[String]> {
        let mut read = vec![self.need.path()];
        if let Some(Entry::Case(case)) = self.entry.as_deref() {
            read.extend(case.listed());
        }
        read.into()
    }

    fn decide(&self, place: &Place<'_>) -> Result<Decided, Undecided> {
        let judged = self
            .judge(place)
            .and_then(|judgement| judgement.ok_or_else(|| self.need.missing()))
            .and_then(Judgement::into_judged);
        let granted = judged.and_then(|judged| {
            Ok(Decided {
                grant: self.need.granted_by(&judged)?,
                review: Some(judged.record().to_value()?),
                payloads: self.payloads()?,
                read: self.read(),
                superseded: self.superseded(),
            })
        });
        granted.map_err(|refusal| pending(&self.need, refusal))
    }
}

fn pending(need: &ReviewNeed<'_>, refusal: Refusal) -> Undecided {
    let refusal = if refusal.code == Code::ReviewMissing {
        refusal
    } else {
        refusal.detail("review", need.path())
    };
    Undecided {
        refusal,
        mapping: Some(need.mapping.clone()),
        review: Some(Pending {
            review_id: need.review_id.to_string(),
            review_type: need.review_type.to_owned(),
            path: need.path(),
        }),
    }
}

impl Derived {
    /// Takes note of what was decided for the events that come next.
    pub(crate) fn note(&mut self, decided: &Decided) {
        if let Some((review_id, _)) = decided.grant.review_ref() {
            let count: &mut u64 = self.reviews.entry(review_id).or_default();
            *count = count.saturating_add(1);
        }
        self.payloads.extend(decided.payloads.iter().copied());
    }
}

impl Decided {
    /// The same, as an event of before `message_sha256` recorded it, where such an event is derived again.
    pub(crate) fn into_recorded(mut self, event: &Event<'_>) -> Self {
        if let Some(Value::Object(review)) = &mut self.review
            && lacks_message(event)
        {
            review.remove("message_sha256");
        }
        self
    }

    /// Derives the permit and its event for the event that will follow a tip.
    ///
    /// # Errors
    /// Those of [`Permit::derive`] and [`SealedEvent::issue`].
    pub(crate) fn derive(
        &self,
        request: &Request,
        tip: &Tip,
        governed: &Governed<'_>,
    ) -> Result<(Permit, SealedEvent), Refusal> {
        let permit = Permit::derive(&self.grant, tip, governed.sha())?;
        let event = SealedEvent::issue(
            &permit,
            request,
            self.grant.mapping(),
            governed.sha(),
            self.review.clone(),
        )?;
        Ok((permit, event))
    }
}

/// Tells whether the review of an event is recorded without what was signed, as it was before that was kept.
pub(crate) fn lacks_message(event: &Event<'_>) -> bool {
    if event.payload.contains("message_sha256") {
        let recorded = event.payload_value().ok();
        let review = recorded.as_ref().and_then(|payload| match event.kind() {
            Some(EventType::PermitIssued) => payload.at("review"),
            _ => Some(payload),
        });
        return review.is_some_and(|review| review.at("message_sha256").is_none());
    }
    true
}

/// Refuses a request whose actor is not the one that the caller authenticated.
pub(crate) fn check_actor(request: &Request, actor: Option<&str>) -> Result<(), Refusal> {
    match actor {
        Some(actor) if actor != request.actor_id => Err(Refusal::new(
            Code::ActorMismatch,
            "the request's actor is not the one that the caller authenticated",
        )
        .detail("authenticated", actor)
        .detail("actor_id", request.actor_id.as_str())),
        _ => Ok(()),
    }
}
