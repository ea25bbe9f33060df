//! `permit hap` as clap reads it. Here `--repo` is the forge's name of the repository, `owner/name`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum HapVerb {
    /// Compute the execution context that every owner sees, from base and head
    Context(CommitsArgs),
    /// Compute the frame that names an action, and its hash
    Frame(FrameArgs),
    /// Print exactly the bytes that an owner signs to attest
    Request(RequestArgs),
    /// As Service Provider: verify identity and authority, then sign an attestation
    Attest(AttestArgs),
    /// As executor: decide from attestations whether an action is authorized
    Authorize(AuthorizeArgs),
    /// The same without a repository
    FrameAuthorize(FrameAuthorizeArgs),
    /// Show an attestation and its hashes
    Show(ShowArgs),
    /// Compare or publish gate texts
    #[command(subcommand)]
    Gate(GateVerb),
    /// Judge a disputed attestation as of the time at which it was issued
    Dispute(DisputeArgs),
    /// Append to and verify decision streams
    #[command(subcommand)]
    Stream(StreamVerb),
    /// The Service Provider's key, registrations and log
    #[command(subcommand)]
    Sp(SpVerb),
    /// List who may attest for which domain at a commit
    Owners(AtArgs),
    /// Grant, revoke and list authority
    #[command(subcommand)]
    Authority(AuthorityVerb),
    /// Register an organization and scaffold its files, for a pull request
    Onboard(OnboardArgs),
    /// List the profiles that a commit supports, by exact id
    Profiles(AtArgs),
}

/// Two commits and the forge's name of their repository.
#[derive(Debug, Args)]
pub(crate) struct CommitsArgs {
    /// The commit that everything which confers trust is read from
    #[arg(long, value_name = "REV")]
    pub(crate) base: String,
    /// The commit that is attested to
    #[arg(long, value_name = "REV")]
    pub(crate) head: String,
    /// The forge's name of the repository, `owner/name`; by default the registry's, where it has only one
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: Option<String>,
}

/// Two commits, and where they are deployed to.
#[derive(Debug, Args)]
pub(crate) struct ActionArgs {
    #[command(flatten)]
    pub(crate) commits: CommitsArgs,
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub(crate) env: String,
}

/// The time of a decision.
#[derive(Debug, Args)]
pub(crate) struct ClockArgs {
    /// The time of the decision in Unix seconds, in place of the system's
    #[arg(long, value_name = "UNIX", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) now: Option<i64>,
}

/// The providers whose signatures count.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// A trusted provider's public key in hex, in place of `service-providers.json`; may be repeated
    #[arg(long, value_name = "HEX")]
    pub(crate) sp_key: Vec<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["field", "base"]))]
pub(crate) struct FrameArgs {
    /// The base commit
    #[arg(long, value_name = "REV", requires_all = ["head", "env"])]
    pub(crate) base: Option<String>,
    /// The head commit
    #[arg(long, value_name = "REV", requires = "base")]
    pub(crate) head: Option<String>,
    /// The forge's name of the repository, `owner/name`
    #[arg(long, value_name = "NAME", requires = "base")]
    pub(crate) repo: Option<String>,
    /// The environment
    #[arg(long, value_name = "ENV", requires = "base")]
    pub(crate) env: Option<String>,
    /// A value of the frame, without a repository; once for each of repo, sha, env, profile, path
    #[arg(long, value_name = "K=V", num_args = 1..)]
    pub(crate) field: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// The domain that is attested for
    #[arg(long, value_name = "D")]
    pub(crate) domain: String,
    /// Who attests
    #[arg(long, value_name = "DID")]
    pub(crate) did: String,
    #[command(flatten)]
    pub(crate) gates: GateFiles,
}

/// The three texts of an owner.
#[derive(Debug, Args)]
pub(crate) struct GateFiles {
    /// The owner's text about the problem; every byte counts
    #[arg(long, value_name = "FILE")]
    pub(crate) problem: PathBuf,
    /// The owner's text about the outcome that is wanted
    #[arg(long, value_name = "FILE")]
    pub(crate) objective: PathBuf,
    /// The owner's text about what is given up
    #[arg(long, value_name = "FILE")]
    pub(crate) tradeoffs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// The request as `permit hap request` printed it; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The owner's SSH signature over the request
    #[arg(long, value_name = "FILE", conflicts_with = "verified_did")]
    pub(crate) signature: Option<PathBuf>,
    /// A DID that the caller verified elsewhere; recorded as such
    #[arg(long, value_name = "DID")]
    pub(crate) verified_did: Option<String>,
    /// The provider's private key: a file of 64 hex digits, mode 0600
    #[arg(long, value_name = "FILE", visible_alias = "sp-key")]
    pub(crate) sp_key_file: PathBuf,
    /// The decision stream that the attestation takes its place in
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// The explicit human trigger; without it a terminal is asked
    #[arg(long)]
    pub(crate) commit: bool,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AuthorizeArgs {
    /// The base commit
    #[arg(long, value_name = "REV")]
    pub(crate) base: String,
    /// The head commit; without it the execution request is read from standard input
    #[arg(long, value_name = "REV", requires = "env")]
    pub(crate) head: Option<String>,
    /// The forge's name of the repository, `owner/name`
    #[arg(long, value_name = "NAME", requires = "head")]
    pub(crate) repo: Option<String>,
    /// The environment
    #[arg(long, value_name = "ENV", requires = "head")]
    pub(crate) env: Option<String>,
    /// A file with an attestation's blob; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "head")]
    pub(crate) attestation: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FrameAuthorizeArgs {
    /// The frame: a JSON object, or a file that holds it
    #[arg(long, value_name = "JSON")]
    pub(crate) frame: String,
    /// The profile's file
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: PathBuf,
    /// A file with an attestation's blob; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) attestation: Vec<PathBuf>,
    /// The execution context's file; without it attestations must agree on theirs
    #[arg(long, value_name = "FILE")]
    pub(crate) context: Option<PathBuf>,
    /// A trusted provider's public key in hex; may be repeated
    #[arg(long, value_name = "HEX", required = true)]
    pub(crate) sp_key: Vec<String>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The file with the blob; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) attestation: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GateVerb {
    /// Tell whether published texts are those that were attested to
    Verify(GateArgs),
    /// Print an owner's texts beside their hashes, after verifying them: the only command that repeats a text
    Publish(GateArgs),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("texts").required(true).multiple(true).args(["problem", "objective", "tradeoffs"]))]
pub(crate) struct GateArgs {
    /// The file with the attestation's blob
    #[arg(long, value_name = "FILE")]
    pub(crate) attestation: PathBuf,
    /// The text about the problem; every byte counts
    #[arg(long, value_name = "FILE")]
    pub(crate) problem: Option<PathBuf>,
    /// The text about the outcome that is wanted
    #[arg(long, value_name = "FILE")]
    pub(crate) objective: Option<PathBuf>,
    /// The text about what is given up
    #[arg(long, value_name = "FILE")]
    pub(crate) tradeoffs: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DisputeArgs {
    /// The file with the disputed blob
    #[arg(value_name = "FILE")]
    pub(crate) attestation: PathBuf,
    #[command(flatten)]
    pub(crate) commits: CommitsArgs,
    /// The time of the dispute in Unix seconds
    #[arg(long, value_name = "UNIX", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) at: i64,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamVerb {
    /// Append a registration to a project's decision stream
    Append(StreamAppendArgs),
    /// Verify a project's decision stream from its first registration on
    Verify(StreamVerifyArgs),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["registration", "attestation"]))]
pub(crate) struct StreamAppendArgs {
    /// The project
    #[arg(value_name = "PROJECT")]
    pub(crate) project: String,
    /// The registration as `permit hap sp register` printed it; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) registration: Option<PathBuf>,
    /// An attestation to be registered now and appended
    #[arg(long, value_name = "FILE", requires = "sp_key_file")]
    pub(crate) attestation: Option<PathBuf>,
    /// The provider's private key: a file of 64 hex digits, mode 0600
    #[arg(long, value_name = "FILE", requires = "attestation")]
    pub(crate) sp_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The commit whose `service-providers.json` is trusted; by default the governed ref, or else HEAD
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["project", "jsonl"]))]
pub(crate) struct StreamVerifyArgs {
    /// The project
    #[arg(value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// Registrations, one a line, in any order; the project is the first one's; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "sp_key")]
    pub(crate) jsonl: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The commit whose `service-providers.json` is trusted; by default the governed ref, or else HEAD
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpVerb {
    /// Make a private key in a new file of mode 0600, outside the repository
    Init(KeyFileArgs),
    /// Print the public key
    Pubkey(KeyFileArgs),
    /// Register an attestation: certify with the provider's time when it was received
    Register(RegisterArgs),
    /// Count the attestations in the issuance log
    Stats,
    /// List the attestations in the issuance log with their execution paths, newest first
    Log,
}

#[derive(Debug, Args)]
pub(crate) struct KeyFileArgs {
    /// The provider's private key: a file of 64 hex digits, mode 0600
    #[arg(long, value_name = "FILE")]
    pub(crate) sp_key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The file with the attestation's blob; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) attestation: PathBuf,
    #[command(flatten)]
    pub(crate) key: KeyFileArgs,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AtArgs {
    /// The commit; by default the governed ref, or else HEAD
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityVerb {
    /// Write a grant into the work tree's registry, for a pull request
    Grant(AuthorityArgs),
    /// Write a revocation into the work tree's registry, for a pull request
    Revoke(AuthorityArgs),
    /// List what was granted to a person and taken away
    History(HistoryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuthorityArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) organization: String,
    /// Whose authority changes
    #[arg(long, value_name = "DID")]
    pub(crate) did: String,
    /// For which domain
    #[arg(long, value_name = "D")]
    pub(crate) domain: String,
    /// For which environment; may be repeated
    #[arg(long, value_name = "ENV", required = true, num_args = 1..)]
    pub(crate) env: Vec<String>,
    /// Who grants or revokes
    #[arg(long, value_name = "DID")]
    pub(crate) by: String,
    /// When the grant ends, in Unix seconds, or `never`; by default a year from now
    #[arg(long, value_name = "UNIX|never")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The person
    #[arg(value_name = "DID")]
    pub(crate) did: String,
    #[command(flatten)]
    pub(crate) at: AtArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OnboardArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) organization: String,
    /// The forge's name of the repository, `owner/name`
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: String,
    /// A profile that the organization uses; may be repeated
    #[arg(long, value_name = "ID", default_value = "deploy-gate@0.3")]
    pub(crate) profile: Vec<String>,
    /// An owner of a domain, with a grant of a year for every environment of the profiles; may be repeated
    #[arg(long, value_name = "DOMAIN=DID")]
    pub(crate) owner: Vec<String>,
    /// The SSH public key that speaks for a person; may be repeated
    #[arg(long, value_name = "DID=FILE")]
    pub(crate) signer: Vec<String>,
    /// The public key of a trusted Service Provider in hex
    #[arg(long, value_name = "HEX", requires = "sp_name")]
    pub(crate) sp_key: Option<String>,
    /// The Service Provider's name, operator and jurisdiction, and whom to ask
    #[arg(
        long,
        value_name = "NAME,OPERATOR,JURISDICTION,CONTACT",
        requires = "sp_key"
    )]
    pub(crate) sp_name: Option<String>,
    /// Who grants the authority
    #[arg(long, value_name = "DID")]
    pub(crate) by: String,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
}
