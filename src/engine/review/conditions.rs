//! What an approval may narrow: the conditions of a review (reviews.md, Artifact).
//!
//! A condition only ever takes away. What cannot be satisfied refuses; nothing widens a grant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{Fault, MAX_INTEGER};
use super::super::code::{Code, Refusal};
use super::super::policy::GrantTerms;
use super::super::text::text_fault;

/// One condition of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The permit lasts at most this many events.
    SequenceSpan {
        /// Events after the issuance.
        max: u64,
    },
    /// The request's target begins with this.
    TargetPrefix {
        /// The bytes it begins with.
        prefix: String,
    },
    /// The permit is used once, within the rule's span.
    OneShot {},
    /// The review may yield more than one permit.
    Reusable {
        /// How many.
        max: u64,
    },
}

impl Condition {
    /// Says what is wrong with the condition itself; nothing if it is sound.
    pub(super) fn fault(&self) -> Option<Fault> {
        let in_range = |max: u64| i64::try_from(max).is_ok_and(|max| max <= MAX_INTEGER);
        match self {
            Self::Reusable { max: 0 } => Some(Fault::new("$.max", "is 0: no permit at all")),
            Self::SequenceSpan { max } | Self::Reusable { max } if !in_range(*max) => {
                Some(Fault::new("$.max", "is beyond 2^53−1"))
            }
            Self::TargetPrefix { prefix } => {
                text_fault(prefix).map(|what| Fault::new("$.prefix", what))
            }
            Self::SequenceSpan { .. } | Self::Reusable { .. } | Self::OneShot {} => None,
        }
    }
}

/// How many permits a review may yield: one, or the smallest `max` of its `reusable` conditions.
#[must_use]
pub fn permits(conditions: &[Condition]) -> u64 {
    conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Reusable { max } => Some(*max),
            Condition::SequenceSpan { .. }
            | Condition::TargetPrefix { .. }
            | Condition::OneShot {} => None,
        })
        .min()
        .unwrap_or(1)
}

/// Narrows the terms of a rule's grant by every condition.
///
/// # Errors
/// `REVIEW_CONDITION_VIOLATED` where the target lies outside, or a commit-bound grant is to be given a span or a single use.
pub fn narrow(
    terms: GrantTerms,
    conditions: &[Condition],
    target: &str,
) -> Result<GrantTerms, Refusal> {
    let violated = |message: String| Refusal::new(Code::ReviewConditionViolated, message);
    let commit_bound = |word: &str| {
        violated(format!(
            "the condition `{word}` cannot narrow a grant that is bound to a commit"
        ))
    };
    conditions
        .iter()
        .try_fold(terms, |terms, condition| match condition {
            Condition::SequenceSpan { max } => match terms {
                GrantTerms::OneShot { sequence_span } => Ok(GrantTerms::OneShot {
                    sequence_span: sequence_span.min(*max),
                }),
                GrantTerms::Bounded { sequence_span } => Ok(GrantTerms::Bounded {
                    sequence_span: sequence_span.min(*max),
                }),
                GrantTerms::Commit => Err(commit_bound("sequence_span")),
            },
            Condition::OneShot {} => match terms {
                GrantTerms::OneShot { sequence_span } | GrantTerms::Bounded { sequence_span } => {
                    Ok(GrantTerms::OneShot { sequence_span })
                }
                GrantTerms::Commit => Err(commit_bound("one_shot")),
            },
            Condition::TargetPrefix { prefix } if target.starts_with(prefix.as_str()) => Ok(terms),
            Condition::TargetPrefix { prefix } => Err(violated(
                "the target lies outside the review's condition".to_owned(),
            )
            .detail("target", target)
            .detail("prefix", prefix.as_str())),
            Condition::Reusable { .. } => Ok(terms),
        })
}
