//! The arguments of `permit guard`.

use clap::{Args, Subcommand};

use crate::git::CommitId;

#[derive(Debug, Subcommand)]
pub(crate) enum GuardVerb {
    /// Judge a push; runs as a `pre-receive` hook
    Receive(ReceiveArgs),
    /// Judge the commits of a pull request as a push to the governed ref would be
    Check(CheckArgs),
    /// Print the request that a review of each governance change in a range decides about
    Plan(RangeArgs),
    /// Name the one commit that may bring in the first governance; prints its policy and people
    Adopt(AdoptArgs),
    /// Let through only what a push was allowed; runs as a `reference-transaction` hook
    Transaction(TransactionArgs),
    /// The claims of permits that let pushes through
    #[command(subcommand)]
    Claims(ClaimsVerb),
    /// What happened to the governed ref while nothing was judged
    #[command(subcommand)]
    Gap(GapVerb),
    /// Write the `pre-receive` and `reference-transaction` hooks; never overwrites other ones
    Install,
    /// Show which boundaries are attached, and in which mode
    Status(ModeArg),
    /// Sum what was, or would have been, denied
    Report,
}

#[derive(Debug, Args)]
pub(crate) struct ModeArg {
    /// `off`, `shadow` or `enforce`; the same as `ENFORCEMENT_MODE`
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClaimsVerb {
    /// Give up the claims that were lost; only permits that are issued afterwards count
    Reset(ResetArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum GapVerb {
    /// Take responsibility for an open gap that no review covers; run on the server by its owner
    Accept(AcceptArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The gap, as the denial and `permit guard status` name it
    #[arg(value_name = "FROM..TO")]
    pub(crate) range: String,
    /// Why; it stands in the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// Why; it is kept with the new claims
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct TransactionArgs {
    /// What Git says of the transaction: `prepared`, `committed` or `aborted`
    #[arg(value_name = "STATE")]
    pub(crate) state: String,
    #[command(flatten)]
    pub(crate) mode: ModeArg,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    pub(crate) mode: ModeArg,
    /// The process whose worker this one is
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) worker: Option<u32>,
    /// Why the first worker gave no answer, and what to do: this one reads nothing of the push and records that
    #[arg(
        long,
        hide = true,
        num_args = 2,
        requires = "worker",
        allow_hyphen_values = true
    )]
    pub(crate) unanswered: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// The commit, whose objects have to be here
    #[arg(value_name = "COMMIT")]
    pub(crate) commit: String,
}

#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    /// The governed ref's tip before
    #[arg(long, value_name = "REV")]
    pub(crate) base: String,
    /// Its tip after
    #[arg(long, value_name = "REV")]
    pub(crate) head: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) mode: ModeArg,
    /// A commit that the governed ref must hold; needed where `--governed-ref` names one that is not configured
    #[arg(long, value_name = "OID")]
    pub(crate) trusted_commit: Option<CommitId>,
    /// The name that the governed ref has where the push lands; by default `refs/heads/B` for `refs/remotes/<remote>/B`
    #[arg(long, value_name = "REF")]
    pub(crate) as_ref: Option<String>,
}

impl GuardVerb {
    /// The command as it stands in the `schema` of its result.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            GuardVerb::Receive(_) => "guard.receive",
            GuardVerb::Check(_) => "guard.check",
            GuardVerb::Plan(_) => "guard.plan",
            GuardVerb::Adopt(_) => "guard.adopt",
            GuardVerb::Transaction(_) => "guard.transaction",
            GuardVerb::Claims(ClaimsVerb::Reset(_)) => "guard.claims.reset",
            GuardVerb::Gap(GapVerb::Accept(_)) => "guard.gap.accept",
            GuardVerb::Install => "guard.install",
            GuardVerb::Status(_) => "guard.status",
            GuardVerb::Report => "guard.report",
        }
    }
}
