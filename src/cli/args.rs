//! The command line as clap reads it (core.md section 11).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
    ValueEnum,
};

use super::exec::args::ExecArgs;
use super::guard::args::GuardVerb;
use super::hap::HapVerb;
use super::policy::PolicyVerb;
use super::request::RequestVerb;
use super::review_args::{ManifestVerb, ReviewVerb};
use crate::engine::code::Code;

/// Issues, verifies, replays and audits execution permits straight from a Git repository.
///
/// Policy, human reviews and a hash-chained audit stream live in Git; a decision is a pure function of them, and
/// anybody with a clone can derive it again, byte for byte. No server, no key, no clock.
#[derive(Debug, Parser)]
#[command(name = "permit", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Verb,
}

/// What stands above the options that every command takes.
const EVERYWHERE: &str = "Options of every command";

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = EVERYWHERE)]
pub(crate) struct Global {
    /// The repository; by default the one that holds the working directory, or `GIT_DIR`
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) repository: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The ref whose first-parent chain every governed commit must lie on, in place of `permit.governedRef`
    #[arg(long, global = true, value_name = "REF")]
    pub(crate) governed_ref: Option<String>,
    /// Decide although no governed ref is named; every output says so
    #[arg(long, global = true)]
    pub(crate) ungoverned: bool,
    /// Decide without asking the remote of `permit.remote`; every result says so
    #[arg(long, global = true)]
    pub(crate) offline: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Scaffold a governance folder; open a stream where HEAD already holds a valid policy
    Init(InitArgs),
    /// Trust a ref from its present commit on: what decides here, and for whom
    Trust(TrustArgs),
    /// Open, list and export audit streams
    #[command(subcommand)]
    Stream(StreamVerb),
    /// Decide about a request and record the permit
    Issue(IssueArgs),
    /// Show how the policy maps a request, and why; records nothing
    Eval(EvalArgs),
    /// Check that a permit may be acted on now; records nothing
    Verify(VerifyArgs),
    /// Verify a permit and record its use; of concurrent users of a one-shot permit exactly one succeeds
    Use(VerifyArgs),
    /// Derive every recorded permit again and compare byte for byte
    Replay(ReplayArgs),
    /// Show which past decisions would differ under another commit's policy
    Simulate(SimulateArgs),
    /// Write, check and read policies
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Write and check manifests: what a decision is about, down to the bytes
    #[command(subcommand)]
    Manifest(ManifestVerb),
    /// Write, sign, check, list and record the decisions that only humans can make
    #[command(subcommand)]
    Review(ReviewVerb),
    /// Verify a stream's hashes, links, bytes and commits
    #[command(visible_alias = "chain-check")]
    VerifyChain(VerifyChainArgs),
    /// Fetch streams from the authority and push them to it, forward only
    Sync(SyncArgs),
    /// Print the newest point of a stream, to keep where nobody can rewrite it
    Checkpoint(StreamChoice),
    /// Show each permit and review of a stream with its state
    Status(StatusArgs),
    /// Show one permit with its events
    Show(ShowArgs),
    /// Show the events of a stream, newest first
    Log(LogArgs),
    /// The Human Agency Protocol: the right humans, bound to the exact commit
    #[command(subcommand)]
    Hap(HapVerb),
    /// Verify a permit, claim it, and run what it was issued for
    Exec(ExecArgs),
    /// Judge pushes at the receive boundary: hook, check in CI, plan, report
    #[command(subcommand)]
    Guard(GuardVerb),
    /// Write a JSON object in its canonical form
    Canonicalize(FileArg),
    /// Hash a JSON object under a domain
    Hash(HashArgs),
    /// Record proposed actions before anything runs
    #[command(subcommand)]
    Request(RequestVerb),
    /// Explain a reason code: cause, and what to do
    Explain(ExplainArgs),
    /// Print the JSON Schema of a document
    Schema(SchemaArgs),
    /// Print a completion script
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The stream to open
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The ref that is to govern, never a symbolic one
    #[arg(value_name = "REF", required_unless_present = "advance")]
    pub(crate) reference: Option<String>,
    /// The commit that is looked at and pinned, the ref's tip; without it a terminal is asked
    #[arg(long, value_name = "OID")]
    pub(crate) commit: Option<String>,
    /// Which half of the work is done here
    #[arg(long, value_enum, value_name = "ROLE")]
    pub(crate) role: Option<RoleWord>,
    /// The remote that accepts events (`permit.remote`); its streams are fetched
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,
    /// Change what is trusted: the ref that governs at present
    #[arg(long, value_name = "OLD", requires = "reason")]
    pub(crate) replace: Option<String>,
    /// Why it is changed; kept in the log
    #[arg(long, value_name = "TEXT", requires = "replace", value_parser = reason)]
    pub(crate) reason: Option<String>,
    /// Move the pin to the governed ref's tip, after everything between was verified
    #[arg(long, conflicts_with_all = ["reference", "commit", "role", "remote", "replace"])]
    pub(crate) advance: bool,
}

/// A role, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Issue, open, record.
    Supervisor,
    /// Use, execute.
    Executor,
}

impl RoleWord {
    /// The word that stands in the configuration.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Executor => "executor",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamVerb {
    /// Open a stream with its first event
    Open(StreamOpenArgs),
    /// List the streams with their newest events
    List,
    /// Write a stream's events to files that any implementation reads
    Export(StreamExportArgs),
    /// Give up what was seen of a stream, so that it may go back or be opened again
    Forget(StreamForgetArgs),
}

impl StreamVerb {
    /// The command as it stands in the `schema` of its result.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            StreamVerb::Open(_) => "stream.open",
            StreamVerb::List => "stream.list",
            StreamVerb::Export(_) => "stream.export",
            StreamVerb::Forget(_) => "stream.forget",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StreamOpenArgs {
    /// The stream's id
    #[arg(value_name = "ID")]
    pub(crate) stream: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StreamExportArgs {
    /// The stream's id
    #[arg(value_name = "ID")]
    pub(crate) stream: String,
    #[command(flatten)]
    pub(crate) to: ExportTarget,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ExportTarget {
    /// One artifact a line; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) jsonl: Option<PathBuf>,
    /// One file an event, under DIR/audit/streams/ID/
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Only this stream
    #[arg(long, value_name = "ID")]
    pub(crate) stream: Option<String>,
    /// Every stream, here and at the authority; the default
    #[arg(long, conflicts_with = "stream")]
    pub(crate) all: bool,
    /// Push the governed ref first
    #[arg(long)]
    pub(crate) governed: bool,
    /// Branches and tags to push once all streams are accepted
    #[arg(value_name = "REF")]
    pub(crate) refs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StreamForgetArgs {
    /// The stream
    #[arg(value_name = "ID")]
    pub(crate) stream: String,
    /// Why what was seen is given up
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct StreamChoice {
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["request", "batch", "execution_request"]))]
pub(crate) struct IssueArgs {
    /// The request; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// Requests, one a line; `-` is standard input; results are JSON Lines
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) batch: Option<PathBuf>,
    /// The governed execution request whose action is to be permitted
    #[arg(long, value_name = "ID")]
    pub(crate) execution_request: Option<String>,
    /// Append all of a batch or nothing
    #[arg(long, requires = "batch", conflicts_with_all = ["request", "execution_request"])]
    pub(crate) atomic: bool,
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// The actor that the caller authenticated; must be the request's
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// Open the stream first where it is missing
    #[arg(long)]
    pub(crate) open_stream: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The request; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// A draft that no commit holds yet, in place of a commit's policy; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "stream"])]
    pub(crate) policy: Option<PathBuf>,
    /// The stream that a permit would be issued to
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The permit; `-` is standard input
    #[arg(value_name = "PERMIT")]
    pub(crate) permit: PathBuf,
    /// The request that is about to be carried out; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    /// The actor that the caller authenticated; must be the request's
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// A point that the stream must extend, as `permit checkpoint` printed it
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// Every stream
    #[arg(long, conflicts_with = "stream")]
    pub(crate) all: bool,
    /// Only this permit
    #[arg(long, value_name = "PERMIT_ID")]
    pub(crate) permit_id: Option<String>,
    /// From this sequence on
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// Up to this sequence
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// Be content where there is no stream at all
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The commit whose policy is tried
    #[arg(long, value_name = "REV")]
    pub(crate) policy_at: String,
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// From this sequence on
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// Up to this sequence
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// Exit with `POLICY_MISMATCH` where a decision would differ
    #[arg(long)]
    pub(crate) fail_on_change: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").args(["stream", "all", "jsonl", "dir", "tree"]))]
#[command(group = clap::ArgGroup::new("expectation").args(["expect_tip", "checkpoint"]))]
pub(crate) struct VerifyChainArgs {
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// Every stream
    #[arg(long, conflicts_with = "expectation")]
    pub(crate) all: bool,
    /// Be content where there is no stream at all
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// One artifact a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) jsonl: Option<PathBuf>,
    /// The folder that holds the `<sequence>.audit.json` files
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Such a folder in a commit's tree
    #[arg(long, value_name = "REV:PATH")]
    pub(crate) tree: Option<String>,
    /// The hash of an event that the stream must hold
    #[arg(long, value_name = "HASH")]
    pub(crate) expect_tip: Option<String>,
    /// A point that the stream must extend, as `permit checkpoint` printed it
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The permit's id
    #[arg(value_name = "PERMIT_ID")]
    pub(crate) permit_id: String,
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The stream
    #[arg(long, value_name = "ID", default_value = "main")]
    pub(crate) stream: String,
    /// At most this many events
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct FileArg {
    /// The file; by default standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    /// The whole label, such as `secure_execution_layer.policy.v1`
    #[arg(long, value_name = "D", value_parser = label)]
    pub(crate) domain: String,
    #[command(flatten)]
    pub(crate) input: FileArg,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The reason code, such as `CHAIN_TAMPERED`; without one, all are listed
    #[arg(value_name = "CODE", value_parser = reason_code)]
    pub(crate) code: Option<Code>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The document
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(super::schema::names()))]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason is not empty".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a domain is not empty and holds no control character".to_owned());
    }
    Ok(text.to_owned())
}

fn reason_code(text: &str) -> Result<Code, String> {
    Code::from_name(&text.to_ascii_uppercase())
        .ok_or_else(|| "no such reason code; `permit explain` lists them".to_owned())
}

/// The whole command line; `--repo` stands on every command but `hap`, where that name is the forge's.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|name| name != "hap")
        .collect();
    names.into_iter().fold(with_repo(command), |command, name| {
        command.mut_subcommand(name, with_repo_below)
    })
}

fn with_repo_below(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    if names.is_empty() {
        return with_repo(command);
    }
    names.into_iter().fold(with_repo(command), |command, name| {
        command.mut_subcommand(name, with_repo_below)
    })
}

fn with_repo(command: Command) -> Command {
    command.arg(
        Arg::new("repo_path")
            .long("repo")
            .value_name("PATH")
            .action(ArgAction::Set)
            .value_parser(clap::value_parser!(PathBuf))
            .help("The same as --repository")
            .help_heading(EVERYWHERE),
    )
}

/// Reads the arguments; a usage error, `--help` and `--version` come back as clap's own error.
pub(crate) fn read(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let Some(path) = repo_of(&matches) {
        cli.global.repository = Some(path);
    }
    Ok(cli)
}

fn repo_of(matches: &ArgMatches) -> Option<PathBuf> {
    let below = matches.subcommand().and_then(|(_, sub)| repo_of(sub));
    let here = matches
        .try_get_one::<PathBuf>("repo_path")
        .ok()
        .flatten()
        .cloned();
    below.or(here)
}
