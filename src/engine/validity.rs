//! Whether a permit still says the truth and may be acted on: one function a check (core.md section 7).
//!
//! Nothing here believes what a permit or an event says of itself; every answer compares it with something that was
//! found or derived again.

use super::canonical::{Value, to_bytes};
use super::chain::{Event, EventType, Prev, Tip};
use super::code::{Code, Refusal};
use super::digest::{CommitSha, PolicyHash};
use super::permit::{Expiry, Permit};
use super::policy::{Effect, GrantMode};
use super::request::Request;

/// What a check found, or why it speaks against the permit.
pub type Finding = Result<String, Refusal>;

/// The permit's id is the hash of its other fields, else `PERMIT_ID_MISMATCH`.
///
/// # Errors
/// The refusal of this check.
pub fn id_fits(permit: &Permit) -> Finding {
    let computed = permit.computed_id()?;
    if computed == permit.permit_id {
        return Ok("the id is the hash of the other fields".to_owned());
    }
    Err(Refusal::new(
        Code::PermitIdMismatch,
        "the permit's id is not the hash of its other fields",
    )
    .detail("recorded", permit.permit_id.to_string())
    .detail("computed", computed.to_string()))
}

/// The event issued exactly this permit and links as the permit says, else `NOT_ISSUED`.
///
/// # Errors
/// The refusal of this check.
pub fn is_issuance(permit: &Permit, event: &Event<'_>) -> Finding {
    let other =
        |what: &str| Refusal::new(Code::NotIssued, format!("event {} {what}", event.sequence));
    if event.kind() != Some(EventType::PermitIssued) {
        return Err(other("issued no permit"));
    }
    let payload = event
        .payload_value()
        .map_err(|fault| other(&format!("has a malformed payload at {fault}")))?;
    let recorded = payload.at("permit").map(to_bytes);
    let same = event.event_id == permit.permit_id.to_string()
        && event.prev == Prev::Hash(permit.prev_event_hash)
        && event.policy_hash == permit.policy_hash.to_string()
        && event.request_fingerprint == permit.request_fingerprint.to_string()
        && payload.at("permit_id").and_then(Value::as_str) == Some(event.event_id)
        && recorded.as_deref() == Some(&permit.to_bytes()?);
    if same {
        Ok(format!("event {} issued it", event.sequence))
    } else {
        Err(other("issued another permit"))
    }
}

/// Tells whether an event records a use of the permit.
#[must_use]
pub fn is_use(permit: &Permit, event: &Event<'_>) -> bool {
    event.kind() == Some(EventType::PermitUsed) && event.event_id == permit.permit_id.to_string()
}

/// The request is the one that was permitted, else `UNBOUND_REQUEST`.
///
/// # Errors
/// The refusal of this check.
pub fn is_bound(permit: &Permit, request: &Request) -> Finding {
    let found = request.fingerprint();
    if found == permit.request_fingerprint {
        return Ok("the request is the one that was permitted".to_owned());
    }
    Err(Refusal::new(
        Code::UnboundRequest,
        "the request is not the one that was permitted",
    )
    .detail("permitted", permit.request_fingerprint.to_string())
    .detail("found", found.to_string()))
}

/// The governed policy is the one that the permit was issued under, else `POLICY_MISMATCH`.
///
/// # Errors
/// The refusal of this check.
pub fn is_under(permit: &Permit, governed: PolicyHash) -> Finding {
    if governed == permit.policy_hash {
        return Ok("the governed policy is the one that it was issued under".to_owned());
    }
    Err(Refusal::new(
        Code::PolicyMismatch,
        "the governed policy is no longer the one that the permit was issued under",
    )
    .detail("issued under", permit.policy_hash.to_string())
    .detail("governed", governed.to_string()))
}

/// The tip from which the permit says that it was derived.
#[must_use]
pub fn derived_from(permit: &Permit) -> Tip {
    Tip {
        stream_id: permit.stream_id.clone(),
        sequence: permit.issued_at_sequence.saturating_sub(1),
        event_hash: permit.prev_event_hash,
    }
}

/// Deciding again gives the same permit, byte for byte, else `REPLAY_MISMATCH`.
///
/// # Errors
/// The refusal of this check.
pub fn is_derivable(permit: &Permit, derived: &Permit) -> Finding {
    if derived.to_bytes()? == permit.to_bytes()? {
        return Ok("deciding again gives the same permit, byte for byte".to_owned());
    }
    Err(
        Refusal::new(Code::ReplayMismatch, "deciding again gives another permit")
            .detail("recorded", permit.permit_id.to_string())
            .detail("derived", derived.permit_id.to_string()),
    )
}

/// The decision permits something, else `DECISION_BLOCK`.
///
/// # Errors
/// The refusal of this check.
pub fn permits(permit: &Permit) -> Finding {
    match permit.decision {
        Effect::Allow | Effect::Warn | Effect::Review => Ok(permit.decision.word().to_owned()),
        Effect::Block => Err(Refusal::new(
            Code::DecisionBlock,
            "the permit is the record of a denial and is never executable",
        )),
    }
}

/// A permit for one use has not been used, else `ALREADY_USED`, whatever its range.
///
/// # Errors
/// The refusal of this check.
pub fn is_unused(permit: &Permit, uses: u64) -> Finding {
    match permit.permit_scope.mode {
        GrantMode::OneShot if uses > 0 => Err(Refusal::new(
            Code::AlreadyUsed,
            "the permit was for one use and has been used",
        )),
        GrantMode::OneShot | GrantMode::Bounded => Ok(format!("used {uses} times")),
    }
}

/// The tip lies in the permit's range, else `EXPIRED`; the governed commit is its commit, else `COMMIT_MISMATCH`.
///
/// # Errors
/// The refusal of this check.
pub fn is_in_force(permit: &Permit, tip: u64, governed: CommitSha) -> Finding {
    match &permit.expiry_condition {
        Expiry::ValidForSequenceRange {
            sequence_range: [from, to],
        } => {
            if (*from..=*to).contains(&tip) {
                return Ok(format!("the stream is at {tip} of {from} to {to}"));
            }
            Err(Refusal::new(
                Code::Expired,
                format!("the stream is at {tip} and the permit was valid from {from} to {to}"),
            ))
        }
        Expiry::ValidForCommit { commit_sha } => {
            if *commit_sha == governed {
                return Ok(format!("the governed commit is {commit_sha}"));
            }
            Err(Refusal::new(
                Code::CommitMismatch,
                "the governed commit is no longer the one that the permit is bound to",
            )
            .detail("bound to", commit_sha.to_string())
            .detail("governed", governed.to_string()))
        }
    }
}
