//! Correctness that is switched on: mutation intents, decisions about them, and the mode (enforcement.md).
//!
//! A boundary normalises what it saw into [`Intent`]s, finds out what speaks against each ([`Finding`]), and makes a
//! [`Decision`] of both. The mode comes last and changes only what is blocked, never what was decided:
//!
//! ```text
//! updates ─> place_of, class_of ─> Intent ─> [judge] ─> Finding ─> Decision::new(intent, finding, mode)
//! ```

mod attachment;
mod class;
mod covered;
mod decision;
mod globs;
mod governance;
mod mode;
mod paths;
mod record;
mod usage;

pub use attachment::{Attached, Attachment, Document, Enforcement, Touched};
pub use class::{Change, Class, RefPlace, class_of, ref_place};
pub use covered::{argv_of, check_covered, words};
pub use decision::{Boundary, Decision, Effective, Finding, Intent};
pub use globs::{Globs, InvalidGlob, path_fault};
pub use governance::{
    BOUNDARY_ACTOR, Changed, EMERGENCY_ADDRESS, GOVERNANCE_SELECTORS, content_request,
    governance_request,
};
pub use mode::Mode;
pub use paths::Paths;
pub use record::{Accepted, Gap, Line, Sums};
pub use usage::{ExecRecord, Ran, exec_kind, requested, result};
