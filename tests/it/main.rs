//! The built binary, driven as users drive it, in sealed sandboxes.
//!
//! One test binary, so that the crate is linked once. A snapshot holds exit code, standard output and standard error
//! of one call; all ids in it are real, because nothing that `permit` writes depends on the clock or the machine.
//! After a change that is meant to be seen: `INSTA_UPDATE=always cargo test --test it`, then read the difference.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where its preparation fails"
)]

mod console;
mod forge;
mod sandbox;

mod architecture;
mod batch;
mod codes;
mod commands;
mod days;
mod determinism;
mod exec;
mod git;
mod green;
mod guard;
mod hap;
mod help;
mod issue;
mod memory;
mod output;
mod policy;
mod properties;
mod races;
mod readme;
mod replay;
mod requests;
mod results;
mod reviews;
mod sizes;
mod stream;
mod sync;
mod tamper;
mod trust;
mod vectors;
mod verify;
mod verify_chain;
mod withdrawn;
