//! The review ledger through the built binary: artifacts made by hand from the page's formats, signed by stock `ssh-keygen`.

mod commands;
mod conditions;
mod history;
mod hostile;
mod ledger;
mod lines;
mod sandbox;
mod walkthrough;
