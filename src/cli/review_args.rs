//! The arguments of `permit manifest` and `permit review` (reviews.md, Commands).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::engine::policy::Role;
use crate::engine::review::Verdict;

#[derive(Debug, Subcommand)]
pub(crate) enum ManifestVerb {
    /// Write a manifest envelope of committed files into the work tree
    New(ManifestNewArgs),
    /// Check a committed manifest envelope: form, id, and every artifact
    Check(ManifestCheckArgs),
}

impl ManifestVerb {
    /// The command as it stands in the `schema` of its result.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            ManifestVerb::New(_) => "manifest.new",
            ManifestVerb::Check(_) => "manifest.check",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ManifestNewArgs {
    /// The files, as paths from the root of the tree
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// What they are for
    #[arg(long, value_name = "P")]
    pub(crate) purpose: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ManifestCheckArgs {
    /// The manifest's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewVerb {
    /// Write an unsigned review of a request into the work tree
    New(ReviewNewArgs),
    /// Sign a review in the work tree, or attach a signature that was made elsewhere
    Sign(ReviewSignArgs),
    /// Print every rule with ok or why not, and what is still missing
    Check(ReviewCheckArgs),
    /// List the reviews of the governed commit: verdict, signers, state
    List(ReviewListArgs),
    /// Record a review's verdict on its stream, once
    Record(ReviewRecordArgs),
}

impl ReviewVerb {
    /// The command as it stands in the `schema` of its result.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            ReviewVerb::New(_) => "review.new",
            ReviewVerb::Sign(_) => "review.sign",
            ReviewVerb::Check(_) => "review.check",
            ReviewVerb::List(_) => "review.list",
            ReviewVerb::Record(_) => "review.record",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReviewNewArgs {
    /// The request that is decided about; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The decision
    #[arg(long, value_enum, value_name = "V")]
    pub(crate) verdict: VerdictWord,
    /// Who decides, such as `human:ana`
    #[arg(long, value_name = "P")]
    pub(crate) reviewer: String,
    /// In which role
    #[arg(long, value_enum, value_name = "R")]
    pub(crate) role: RoleWord,
    /// Who signs beside the reviewer; several, or repeated
    #[arg(long = "cross-signer", value_name = "P", num_args = 1..)]
    pub(crate) cross_signers: Vec<String>,
    /// The id of the manifest of what is decided about
    #[arg(long, value_name = "ID")]
    pub(crate) manifest: String,
    /// A file with one domain's attestation, for a review type that asks for them; in the profile's order
    #[arg(long = "attestation", value_name = "FILE", num_args = 1..)]
    pub(crate) attestations: Vec<PathBuf>,
    /// A condition as JSON, such as `{"type": "sequence_span", "max": 5}`; several, or repeated
    #[arg(long = "condition", value_name = "JSON", num_args = 1..)]
    pub(crate) conditions: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Make a review that can never pass, for tests; its reviewer may be an agent
    #[arg(long)]
    pub(crate) test_scope: bool,
    /// The stream whose tip the reviewers see
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewSignArgs {
    /// The review's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Who signs, such as `human:ana`
    #[arg(long = "as", value_name = "P", required_unless_present = "message")]
    pub(crate) principal: Option<String>,
    #[command(flatten)]
    pub(crate) with: SignWith,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SignWith {
    /// The private key, or the public key of one that an agent holds; `ssh-keygen` signs with it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A signature that somebody made elsewhere; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// Print the bytes to sign, and nothing else
    #[arg(long)]
    pub(crate) message: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewCheckArgs {
    /// The review's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The request, where neither a request record nor the stream holds it; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// Check the copy in the work tree, as if it were committed next
    #[arg(long)]
    pub(crate) draft: bool,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewListArgs {
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewRecordArgs {
    /// The review's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

/// A verdict as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum VerdictWord {
    /// Yes.
    Approve,
    /// Yes, narrowed.
    ApproveWithConditions,
    /// No.
    Reject,
    /// Not yet.
    Defer,
}

/// A role as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum RoleWord {
    /// Administers one domain.
    DomainAdmin,
    /// Administers the company.
    CompanyAdmin,
    /// A member of the council.
    Council,
    /// The sovereign.
    Sovereign,
}

impl From<VerdictWord> for Verdict {
    fn from(word: VerdictWord) -> Self {
        match word {
            VerdictWord::Approve => Self::Approve,
            VerdictWord::ApproveWithConditions => Self::ApproveWithConditions,
            VerdictWord::Reject => Self::Reject,
            VerdictWord::Defer => Self::Defer,
        }
    }
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::DomainAdmin => Self::DomainAdmin,
            RoleWord::CompanyAdmin => Self::CompanyAdmin,
            RoleWord::Council => Self::Council,
            RoleWord::Sovereign => Self::Sovereign,
        }
    }
}
