//! The review ledger through the built binary: artifacts made by hand from the page's formats, signed by stock `ssh-keygen`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where its preparation fails"
)]

mod commands;
mod conditions;
mod history;
mod hostile;
mod ledger;
mod lines;
mod sandbox;
