//! The four structural guides that stand before an attestation (section 17.3).
//!
//! A guide compares ids, hashes and presence. None reads meaning into a text, and none can be switched off.

use super::context::ExecutionContext;
use super::owners::Owners;
use crate::engine::code::{Code, Refusal};

/// What a guide found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The guide's id.
    pub guide: &'static str,
    /// The reason to stop; nothing for a mere warning.
    pub stop: Option<Code>,
    /// What was found, in one line.
    pub message: String,
}

/// What the guides look at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Who wants to attest, if that is known.
    pub did: Option<&'a str>,
    /// The owners that count, if they could be read.
    pub owners: Option<&'a Owners>,
    /// The domains that the path requires.
    pub required_domains: &'a [String],
    /// Whether the request says what the commit says.
    pub commitment: Result<(), &'a Refusal>,
    /// Whether each gate that the profile requires is closed.
    pub gates: Result<(), &'a Refusal>,
    /// The context that is attested to.
    pub context: &'a ExecutionContext,
}

/// Applies all guides, in their order.
#[must_use]
pub fn examine(facts: &Facts<'_>) -> Vec<Finding> {
    [
        missing_decision_owner(facts),
        stop("deploy/commitment_mismatch@1.0", facts.commitment),
        stop("deploy/tradeoff_execution_mismatch@1.0", facts.gates),
        objective_diff_mismatch(facts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn missing_decision_owner(facts: &Facts<'_>) -> Option<Finding> {
    let guide = "deploy/missing_decision_owner@1.0";
    let Some(did) = facts.did else {
        return Some(Finding {
            guide,
            stop: Some(Code::IdentityUnverified),
            message: "nobody is named who decides".to_owned(),
        });
    };
    let owners = facts.owners?;
    let owns_one = facts
        .required_domains
        .iter()
        .any(|domain| owners.owns(did, domain));
    (!owns_one).then(|| Finding {
        guide,
        stop: Some(Code::ScopeInsufficient),
        message: format!("`{did}` owns none of the domains that the path requires"),
    })
}

fn objective_diff_mismatch(facts: &Facts<'_>) -> Option<Finding> {
    facts.context.is_empty_diff().then(|| Finding {
        guide: "deploy/objective_diff_mismatch@1.0",
        stop: None,
        message: "an objective is stated, but the action changes no path".to_owned(),
    })
}

fn stop(guide: &'static str, result: Result<(), &Refusal>) -> Option<Finding> {
    result.err().map(|refusal| Finding {
        guide,
        stop: Some(refusal.code),
        message: refusal.message.clone(),
    })
}
