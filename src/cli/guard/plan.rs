//! `permit guard plan`: what a review of each governance change in a range decides about.

use serde_json::json;

use super::args::RangeArgs;
use super::push::{Push, landing_name};
use super::{coverage, governed};
use crate::cli::outcome::Outcome;
use crate::cli::render::safe;
use crate::cli::session::Session;
use crate::engine::canonical::{self, to_bytes};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Class, GOVERNANCE_SELECTORS};
use crate::engine::review::Artifact;

pub(super) fn run(session: &Session, args: &RangeArgs) -> Result<Outcome, Refusal> {
    let name = landing_name(session)?;
    session.governed_tip()?;
    let base = session.repository.resolve(&args.base)?;
    let head = session.repository.resolve(&args.head)?;
    let push = Push::of_range(session, name, base, head)?;
    let steps = governed::steps(&push, head)?;
    let judge = coverage::Judge::new(&push, &steps);
    let (mut requests, mut text) = (Vec::new(), String::new());
    for step in &steps {
        let Some(paths) = step.changes.get(&Class::GovernanceChange) else {
            continue;
        };
        let state = judge.state(step).ok();
        let asked = |selector: &str| match &state {
            Some(state) => coverage::asks(session, state, step, paths, selector),
            None => Ok(None),
        };
        let [change, emergency] = GOVERNANCE_SELECTORS;
        let (change, emergency) = (asked(change)?, asked(emergency).unwrap_or(None));
        let request = match &change {
            Some((request, _)) => request.clone(),
            None => coverage::plain(step, paths)?,
        };
        let review = state
            .as_ref()
            .map(|state| coverage::need(state, &request))
            .transpose()?
            .flatten();
        let emergency = emergency.map(|(request, id)| {
            json!({"request": request, "review_id": id.to_string(), "path": Artifact::path_of(id)})
        });
        let unwritable = |fault: canonical::Fault| Refusal::new(Code::Internal, fault.to_string());
        let bytes = to_bytes(&canonical::to_value(&request).map_err(unwritable)?);
        text.push_str(&safe(&String::from_utf8_lossy(&bytes)));
        text.push('\n');
        requests.push(json!({
            "commit": step.commit.to_string(),
            "request": request,
            "first_adoption": judge.is_adopting()?,
            "review_id": review.as_ref().map(|need| need.review_id.to_string()),
            "review_type": review.as_ref().map(|need| need.review_type),
            "emergency": emergency,
            "path": review.as_ref().map(crate::engine::evaluate::ReviewNeed::path),
        }));
    }
    let outcome = Outcome::ok("guard.plan").field("requests", &requests);
    Ok(if requests.is_empty() {
        outcome.summary("no commit of the range changes governance")
    } else {
        outcome
            .next("save each request, then `permit review new --request FILE` on the old tip, sign, and push the artifact with the change")
            .text(text)
    })
}
