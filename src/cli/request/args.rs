//! The arguments of `permit request` (execution-requests.md, Commands).

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RequestVerb {
    /// Write a record of a proposed action into the work tree; runs nothing
    New(Box<RequestNewArgs>),
    /// Check records: form, digests, guardrails, admitted repository, approvers
    Check(RequestCheckArgs),
    /// Show what would run, where, what it may touch and what is still missing
    Show(RequestShowArgs),
    /// List the records with the state that ledger and stream give them
    List(RequestListArgs),
}

impl RequestVerb {
    /// The command as it stands in the `schema` of its result.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            RequestVerb::New(_) => "request.new",
            RequestVerb::Check(_) => "request.check",
            RequestVerb::Show(_) => "request.show",
            RequestVerb::List(_) => "request.list",
        }
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["draft", "request"]))]
pub(crate) struct RequestNewArgs {
    /// The record without its id; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) draft: Option<PathBuf>,
    /// The request that a permit would be issued for; `-` is standard input
    #[arg(long, value_name = "FILE", requires_all = ["repository_name", "repository_url", "commit", "packet", "argv"])]
    pub(crate) request: Option<PathBuf>,
    /// The target repository's name, as the policy admits it
    #[arg(long, value_name = "NAME", conflicts_with = "draft")]
    pub(crate) repository_name: Option<String>,
    /// Where the target repository can be had
    #[arg(long, value_name = "URL", conflicts_with = "draft")]
    pub(crate) repository_url: Option<String>,
    /// The commit that the target must be at
    #[arg(long, value_name = "SHA", conflicts_with = "draft")]
    pub(crate) commit: Option<String>,
    /// A glob of what may be changed there
    #[arg(long = "allow-path", value_name = "GLOB", conflicts_with = "draft")]
    pub(crate) allow_paths: Vec<String>,
    /// The folder in the target where the program runs
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) working_directory: String,
    /// The exact packet that people approve
    #[arg(long, value_name = "FILE", conflicts_with = "draft")]
    pub(crate) packet: Option<PathBuf>,
    /// The packet's media type
    #[arg(long, value_name = "TYPE", default_value = "text/markdown")]
    pub(crate) media_type: String,
    /// A committed file that supports the proposal
    #[arg(long = "proof", value_name = "PATH", conflicts_with = "draft")]
    pub(crate) proofs: Vec<String>,
    /// What the run must not do: git.push, git.commit, network.egress, secret.use or deploy
    #[arg(long = "block", value_name = "ACTION", conflicts_with = "draft")]
    pub(crate) blocks: Vec<String>,
    /// Who has to be among the signers
    #[arg(long = "approver", value_name = "PRINCIPAL", conflicts_with = "draft")]
    pub(crate) approvers: Vec<String>,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// The program and its arguments, after `--`
    #[arg(last = true, value_name = "ARGV", conflicts_with = "draft")]
    pub(crate) argv: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestCheckArgs {
    /// The record's id; without it every record is checked
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Every record of the governed commit
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestShowArgs {
    /// The record's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// The stream that permits are issued to
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
pub(crate) struct RequestListArgs {
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// The stream that permits are issued to
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}
