//! The arguments of `permit exec`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::guard::args::ModeArg;
use crate::cli::hap::ClockArgs;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("for").required(true).args(["request", "execution_request"]))]
pub(crate) struct ExecArgs {
    /// The permit; `-` is standard input
    #[arg(value_name = "PERMIT")]
    pub(crate) permit: PathBuf,
    /// The request that is carried out; its `context.argv` is what runs. Under `allow` or `warn` it must be a `shell.exec`
    /// whose target is that command
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// The execution request that is carried out; its harness is what runs
    #[arg(long, value_name = "ID")]
    pub(crate) execution_request: Option<String>,
    /// The checkout that it runs in, of the permit's repository or the record's; by default that of the working directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) target: PathBuf,
    /// Where the report is written as JSON; by default it is one line on standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// The governed commit; by default the governed ref's tip, or HEAD where no ref is governed
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) clock: ClockArgs,
    #[command(flatten)]
    pub(crate) mode: ModeArg,
    /// The program and its arguments; must be those that the permit was issued for
    #[arg(last = true, value_name = "ARGV")]
    pub(crate) argv: Vec<String>,
}
