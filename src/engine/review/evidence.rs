//! What an artifact is held against, and what was found around it: values that the caller loads.

use super::super::code::{Code, Refusal};
use super::super::digest::{CommitSha, EventHash, Fingerprint, PolicyHash};
use super::super::policy::{GrantTerms, ReviewType};
use super::super::request::Capability;
use super::super::rules::Rules;
use super::{Action, Found, Manifest, Principals};

/// What an artifact is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The governed policy.
    pub policy_hash: PolicyHash,
    /// What that policy asks for in reviews of this type; nothing if it has no such type.
    pub asks: Option<&'a ReviewType>,
    /// The request at hand; where nobody could show it, every rule that needs it is unchecked.
    pub request: Option<Asked<'a>>,
    /// The stream that is issued to; where none is named, the artifact's own.
    pub stream_id: Option<&'a str>,
    /// The sequence that is being decided; the anchor lies before it.
    pub sequence: u64,
    /// Whether the rules of form bind.
    pub rules: Rules,
}

/// The request at hand, and what its rule would grant.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The review type of the rule that it fell under.
    pub review_type: &'a str,
    /// Who asks.
    pub actor_id: &'a str,
    /// For which capability.
    pub capability: &'a Capability,
    /// To what.
    pub target: &'a str,
    /// What the rule grants.
    pub terms: GrantTerms,
}

/// What was found around an artifact.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The name of the file that held the artifact, without its folder.
    pub file_name: &'a str,
    /// The table that judges: that before the artifact came in, see [`Table::judging`].
    pub before: Table<'a>,
    /// The governed commit's table.
    pub governed: Table<'a>,
    /// The manifest envelope that the artifact names.
    pub manifest: ManifestFact<'a>,
    /// What stands at the anchor.
    pub anchor: AnchorFact,
    /// How many `permit.issued` of this signed message stand after the anchor and before the sequence that is decided.
    pub issued: u64,
    /// Whether a `permit.issued` before that sequence rests on one of its attestations, whatever its review said.
    pub payload_spent: bool,
    /// Where the artifact came from.
    pub origin: Origin,
    /// What the request names as the action that is attested to.
    pub action: ActionFact<'a>,
}

/// The action that a request names, for a review type that asks for attestations.
#[derive(Debug, Clone, Copy)]
pub enum ActionFact<'a> {
    /// Nobody looked for it: the review type asks for none, or the request is not known.
    Unknown,
    /// There is none that could be judged, and why.
    Invalid(&'a Refusal),
    /// What the commits say that it is.
    Known(&'a Action),
}

/// The principals table of one commit.
#[derive(Debug, Clone, Copy)]
pub enum Table<'a> {
    /// There is none.
    Missing,
    /// There is one that is malformed: never the same as none.
    Invalid(&'a Refusal),
    /// There is one.
    Sound(&'a Principals),
}

/// The manifest envelope that an artifact names.
#[derive(Debug, Clone, Copy)]
pub enum ManifestFact<'a> {
    /// The governed commit does not hold it.
    Missing,
    /// It is malformed.
    Invalid(&'a Refusal),
    /// It is there, and what the governed commit holds for each of its artifacts, in its order.
    Present(&'a Manifest, &'a [Found]),
}

/// What stands at an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorFact {
    /// The stream is not there, or does not reach so far.
    Missing,
    /// The event at the anchor's sequence has this hash.
    Event(EventHash),
}

/// The commit that introduced an artifact's present bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The commit.
    pub introduced_by: CommitSha,
    /// Its committer time, in Unix seconds.
    pub recorded_at: i64,
}

impl<'a> Table<'a> {
    /// The table that judges an artifact.
    ///
    /// It is that of the first parent of the commit that introduced the artifact. Only where that has none, and no
    /// earlier commit on the first-parent chain ever held one either (first adoption), the introducing commit's own counts.
    #[must_use]
    pub fn judging(parent: Table<'a>, ever_held_before: bool, introducing: Table<'a>) -> Self {
        match parent {
            Table::Missing if !ever_held_before => introducing,
            Table::Missing | Table::Invalid(_) | Table::Sound(_) => parent,
        }
    }

    pub(super) fn principals(self, place: &str) -> Result<&'a Principals, Refusal> {
        match self {
            Table::Sound(principals) => Ok(principals),
            Table::Invalid(refusal) => Err(refusal.clone().detail("table of", place)),
            Table::Missing => Err(Refusal::new(
                Code::PrincipalsMissing,
                format!("{place} holds no principals table"),
            )),
        }
    }
}
