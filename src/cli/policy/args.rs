//! The arguments of `permit policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Check the form of a policy; every fault with its line and column
    Check(CheckArgs),
}

/// Which policy: a file, a commit's, or the one of the work tree.
#[derive(Debug, Args)]
pub(crate) struct PolicyChoice {
    /// The policy; `-` is standard input; by default the one below `governance/policy/` of the work tree
    #[arg(value_name = "FILE", conflicts_with = "at")]
    pub(crate) file: Option<PathBuf>,
    /// The policy of this commit
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyChoice,
}
