//! `permit guard adopt`: the server's owner names the one commit that may bring in the first governance.
//!
//! Until a policy landed nothing can say who may bring one in, so that whoever pushes first would decide for everybody.

use super::args::AdoptArgs;
use super::coverage;
use super::push::governed_name;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{GOOD, paint};
use crate::cli::session::Session;
use crate::cli::trust::Granted;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{GOVERNANCE_SELECTORS, governance_request};
use crate::git::CommitId;

/// Where the server's configuration names the commit.
const KEY: &str = "permit.adopt";

/// The commit that the server's owner named, if any.
///
/// # Errors
/// `INVALID_INPUT` where the value is no commit id.
pub(super) fn named(session: &Session) -> Result<Option<CommitId>, Refusal> {
    let Some(text) = session.repository.config_string(KEY)? else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        fault::input(format!(
            "`{KEY}` is `{text}`, which is not the full id of a commit"
        ))
        .next("permit guard adopt COMMIT, on the server")
    })
}

pub(super) fn run(session: &Session, args: &AdoptArgs) -> Result<Outcome, Refusal> {
    let reference = governed_name(session)?;
    if let Some(tip) = session.repository.ref_target(&reference)?
        && session.repository.ever_held(tip, coverage::GOVERNANCE)?
    {
        let what = format!("`{reference}` has governance already, and adoption happens once");
        return Err(fault::input(what)
            .next("permit guard plan --base OLD --head NEW prints the request to review"));
    }
    let commit = session
        .repository
        .resolve(&args.commit)
        .map_err(|error| match Refusal::from(error) {
            refusal if refusal.code == Code::ObjectMissing => refusal.next(
                "bring its objects here from a clone that you trust, without moving a ref: git fetch CLONE COMMIT",
            ),
            refusal => refusal,
        })?;
    let governed = session.govern_commit(commit)?;
    let [change, _] = GOVERNANCE_SELECTORS;
    let asked = governance_request(change, &[], None)?;
    if coverage::need(&governed, &asked)?.is_none() {
        return Err(Refusal::new(
            Code::GovernanceUngoverned,
            "the commit's policy does not map a governance change to a review",
        ));
    }
    let granted = Granted::read(session, &governed.snapshot)?;
    let mut text = granted.text();
    session
        .repository
        .set_config_string(KEY, &commit.to_string())?;
    text.push_str(&format!("{} {KEY} {commit}\n", paint(GOOD, "named")));
    Ok(Outcome::ok("guard.adopt")
        .field("commit", commit.to_string())
        .field("governed_ref", &reference)
        .field("policy", granted.policy())
        .field("principals", granted.people())
        .next(format!("git push SERVER {commit}:{reference}"))
        .text(text))
}
