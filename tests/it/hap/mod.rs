//! `permit hap` from the built binary.

mod authority;
mod flow;
mod governance;
mod hazards;
mod link;
mod readme;
mod received;
mod sandbox;
mod vectors;
