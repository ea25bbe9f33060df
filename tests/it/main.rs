//! The built binary on real repositories.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test stops where its preparation fails"
)]

mod console;
mod guard;
mod hap;
mod reviews;
