//! What became of each rule of a review: the report that a reviewer reads (reviews.md, Artifact).

use serde::Serialize;

use super::super::code::Refusal;

/// A rule of the page. The rules stand in a report in the order in which the page has them checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The artifact has its strict form and does not contradict itself.
    Structure,
    /// It is meant as a decision.
    Scope,
    /// File name, id and inputs agree with each other and with the request at hand.
    Inputs,
    /// It addresses the request's capability and target.
    Address,
    /// There is a sound table to judge by, before the artifact came in and now.
    Principals,
    /// The reviewer is an active human or organization.
    Reviewer,
    /// The reviewer holds the role, and the review type admits it.
    ReviewerRole,
    /// A signer is in both tables.
    SignerKnown,
    /// A signer is a human or an organization.
    SignerKind,
    /// A signer is active, with the same key, in both tables.
    SignerActive,
    /// A signer is not the request's actor.
    SignerNotActor,
    /// A signer's signature verifies.
    SignerSignature,
    /// A hardware key was touched; where the review type asks for it, every key is one.
    SignerPresence,
    /// The reviewer is one of the signers.
    ReviewerSigned,
    /// Everybody listed has signed, and they are enough distinct humans.
    SignerCount,
    /// Attestations in place of signatures (hap.md).
    Attestations,
    /// The manifest is there, and the governed commit holds what it lists.
    Manifest,
    /// The anchor is on the stream, before the event that is decided.
    Anchor,
    /// The review has not yielded all its permits yet.
    Consumption,
    /// The verdict is an approval.
    Verdict,
    /// The request keeps the conditions.
    Conditions,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not, and why.
    Fails(Refusal),
    /// It could not be looked at, and what it waits for.
    Unchecked(&'static str),
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// The signer whom it is about, for a rule about each signer.
    pub subject: Option<String>,
    /// What became of it.
    pub finding: Finding,
}

/// What a rule waits for: a request that nobody could show.
pub(super) const NO_REQUEST: &str = "the request is not known";
/// What a rule waits for: a table.
pub(super) const NO_TABLE: &str = "there is no table to judge by";

impl Rule {
    /// Every rule in the order of the page; those about each signer are repeated for each.
    pub const ALL: &[Self] = &[
        Self::Structure,
        Self::Scope,
        Self::Inputs,
        Self::Address,
        Self::Principals,
        Self::Reviewer,
        Self::ReviewerRole,
        Self::SignerKnown,
        Self::SignerKind,
        Self::SignerActive,
        Self::SignerNotActor,
        Self::SignerSignature,
        Self::SignerPresence,
        Self::ReviewerSigned,
        Self::SignerCount,
        Self::Attestations,
        Self::Manifest,
        Self::Anchor,
        Self::Consumption,
        Self::Verdict,
        Self::Conditions,
    ];

    /// The word that stands in a report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Scope => "scope",
            Self::Inputs => "inputs",
            Self::Address => "address",
            Self::Principals => "principals",
            Self::Reviewer => "reviewer",
            Self::ReviewerRole => "reviewer_role",
            Self::SignerKnown => "signer_known",
            Self::SignerKind => "signer_kind",
            Self::SignerActive => "signer_active",
            Self::SignerNotActor => "signer_not_actor",
            Self::SignerSignature => "signer_signature",
            Self::SignerPresence => "signer_presence",
            Self::ReviewerSigned => "reviewer_signed",
            Self::SignerCount => "signer_count",
            Self::Attestations => "attestations",
            Self::Manifest => "manifest",
            Self::Anchor => "anchor",
            Self::Consumption => "consumption",
            Self::Verdict => "verdict",
            Self::Conditions => "conditions",
        }
    }
}

impl Finding {
    /// Whether the rule holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }

    /// The reason why it does not.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Fails(refusal) => Some(refusal),
            Self::Holds | Self::Unchecked(_) => None,
        }
    }
}

impl From<Result<(), Refusal>> for Finding {
    fn from(result: Result<(), Refusal>) -> Self {
        match result {
            Ok(()) => Self::Holds,
            Err(refusal) => Self::Fails(refusal),
        }
    }
}

impl Check {
    pub(super) fn new(rule: Rule, finding: impl Into<Finding>) -> Self {
        Self {
            rule,
            subject: None,
            finding: finding.into(),
        }
    }

    pub(super) fn about(rule: Rule, subject: &str, finding: impl Into<Finding>) -> Self {
        Self {
            rule,
            subject: Some(subject.to_owned()),
            finding: finding.into(),
        }
    }
}
