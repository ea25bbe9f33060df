//! The pure engine: bytes in, values out. No clock, disk, environment, process, network or Git.
//!
//! A decision in one page:
//!
//! ```text
//!   policy bytes ── Policy::parse ──> Policy ──┐
//!                                              ├─ evaluate ──> Decision::Granted(Grant) ─────────────┐
//!   request bytes ─ Request::parse ─> Request ─┘            └─> Decision::NeedsReview(ReviewNeed)     │
//!                                                                  │ ledger bytes, tables, manifest  │
//!                                                                  └─ review: Judged ─> Grant ───────┤
//!                                                                                                    v
//!   the stream's newest event ── Event::read ──> Tip ───────────────────────────> Permit::derive(&Grant, &Tip)
//!                                                                                                    │
//!                                                                 SealedEvent::issue(&Permit, …) <───┘
//! ```
//!
//! No step can be skipped: a [`Grant`](evaluate::Grant) is made by the policy alone or from a judged review, a
//! [`Permit`](permit::Permit) only from a grant and a tip, an event only from a permit. "No" is a value, a
//! [`Refusal`](code::Refusal) with a stable [`Code`](code::Code). What was decided is checked again by [`validity`] (one
//! permit, now) and [`replay`] (every permit, as of then); [`chain`] says whether a stream holds together.
//!
//! Every byte that reaches a hash passes through [`canonical`], and every hash has its domain in [`digest`].

pub mod canonical;
pub mod chain;
pub mod code;
pub mod digest;
pub mod enforce;
pub mod evaluate;
pub mod execution_request;
pub mod governance;
pub mod hap;
pub mod permit;
pub mod policy;
pub mod replay;
pub mod request;
pub mod review;
pub mod rules;
pub mod sshsig;
pub mod text;
pub mod validity;
