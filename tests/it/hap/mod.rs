//! `permit hap` from the built binary.

mod authority;
mod flow;
mod hazards;
mod readme;
mod sandbox;
mod vectors;
