//! The one way from a governed commit and a request to a grant, for `issue`, `verify`, `use` and `replay` alike.

use super::session::Governed;
use crate::engine::canonical::Value;
use crate::engine::chain::{SealedEvent, Tip};
use crate::engine::code::{Code, Refusal};
use crate::engine::evaluate::{Decision, Grant, Mapping, ReviewNeed, evaluate};
use crate::engine::permit::Permit;
use crate::engine::request::Request;

/// What was decided: the right to one permit, and the review record of its event.
pub(crate) struct Decided {
    pub(crate) grant: Grant,
    pub(crate) review: Option<Value<'static>>,
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

/// Decides about a request at a governed commit.
///
/// # Errors
/// Why nothing is granted; a `block` is granted, as the recorded denial.
pub(crate) fn decide(governed: &Governed<'_>, request: &Request) -> Result<Decided, Undecided> {
    match evaluate(request, &governed.policy)? {
        Decision::Granted(grant) => Ok(Decided {
            grant,
            review: None,
        }),
        Decision::NeedsReview(need) => Err(pending(&need, need.missing())),
    }
}

fn pending(need: &ReviewNeed<'_>, refusal: Refusal) -> Undecided {
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

impl Decided {
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
