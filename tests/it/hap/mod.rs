//! `permit hap` from the built binary.

mod authority;
mod flow;
mod hazards;
mod link;
mod readme;
mod sandbox;
mod vectors;
