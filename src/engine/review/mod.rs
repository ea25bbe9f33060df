//! Decisions that only humans can make: ledger artifacts, and what makes one valid (reviews.md).
//!
//! Bytes of an artifact, of two principals tables and of a manifest, and facts about the stream in; a report of every
//! rule and, only if all hold, a [`Judged`] review out. Nothing else can become the grant of a `review`.
//!
//! ```text
//! Artifact::parse ─> needs() ─> [load: manifest, anchor] ─> Manifest::parse ─> [load: artifacts] ─> judge(…) ─> Judgement
//! ```
//!
//! What has to be loaded depends on the artifact, so it comes out as a value and the loading is the caller's.

mod artifact;
mod attested;
mod conditions;
mod evidence;
mod judgement;
mod manifest;
mod missing;
mod principals;
mod report;
mod rules;
mod signers;
#[cfg(test)]
mod tests;

pub use artifact::{
    Anchor, Artifact, Document, Draft, Needs, Reviewer, Scope, Signed, Verdict, review_id,
    scope_address,
};
pub use attested::{Action, NamedAction};
pub use conditions::{Condition, narrow, permits};
pub use evidence::{
    ActionFact, AnchorFact, Asked, Evidence, Expected, ManifestFact, Origin, Table,
};
pub use judgement::{Judged, Judgement, Record, judge};
pub use manifest::{Found, Listed, MAX_ARTIFACT, Manifest, artifact_path_fault};
pub use missing::missing;
pub(crate) use principals::Document as PrincipalsDocument;
pub use principals::{PRINCIPALS_PATH, Principal, PrincipalKind, Principals, Status};
pub use report::{Check, Finding, Rule};

/// The namespace of the SSH signatures on a review.
pub const SIGNATURE_NAMESPACE: &str = "permit.review.v1";

/// The largest governed file, in bytes (core.md section 1).
pub const MAX_FILE: usize = 8 << 20;
