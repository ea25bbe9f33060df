//! `permit`: execution permits decided, chained and audited from Git alone.
pub mod engine;
pub mod git;
