//! The command line: `Args → load → decide → commit → render`, left to right, once a command.
//!
//! The only place that knows clap, the environment, files and printing. It loads bytes through [`crate::git`], hands
//! them to [`crate::engine`], appends what was derived, and renders what came of it.
#![expect(
    clippy::disallowed_methods,
    reason = "the edge: files, the environment, processes and the clock are its work"
)]

mod args;
mod batch;
mod checkpoint;
mod decide;
mod eval;
mod exec;
mod fault;
mod files;
mod guard;
mod hap;
mod init;
mod issue;
mod ledger;
mod lines;
mod manifest;
mod meta;
mod outcome;
mod parts;
mod progress;
mod remote;
mod render;
mod replay;
mod request;
mod review;
mod review_args;
mod reviewed;
mod schema;
mod session;
mod simulate;
mod spending;
mod status;
mod stream;
mod stream_command;
mod sync;
mod tail;
mod verify;
mod verify_chain;
mod walk;

use std::ffi::OsString;

use args::{Cli, Global, Verb};
use outcome::Outcome;
use session::Session;

use crate::engine::code::Refusal;

/// Runs the program and returns its exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    match args::read(arguments) {
        Err(usage) => render::usage(&usage),
        Ok(cli) => {
            if let Some(usage) = usage_fault(&cli.command) {
                return render::usage(&usage);
            }
            let name = name(&cli.command);
            let outcome = dispatch(&cli).unwrap_or_else(|refusal| Outcome::refused(name, refusal));
            render::render(&outcome, cli.global.format)
        }
    }
}

/// Says why arguments that clap accepts cannot be carried out all the same.
fn usage_fault(verb: &Verb) -> Option<clap::Error> {
    if let Verb::Hap(verb) = verb {
        hap::usage_fault(verb)
    } else {
        None
    }
}

fn dispatch(cli: &Cli) -> Result<Outcome, Refusal> {
    let session = |global: &Global| Session::open(global);
    let global = &cli.global;
    match &cli.command {
        Verb::Init(args) => init::run(&session(global)?, args),
        Verb::Stream(verb) => stream_command::run(&session(global)?, verb),
        Verb::Issue(args) => issue::run(&session(global)?, args),
        Verb::Eval(args) => eval::run(&session(global)?, args),
        Verb::Verify(args) => Ok(verify::verify(&session(global)?, args)),
        Verb::Use(args) => Ok(verify::run_use(&session(global)?, args)),
        Verb::Replay(args) => replay::run(&session(global)?, args),
        Verb::Simulate(args) => simulate::run(&session(global)?, args),
        Verb::Manifest(verb) => manifest::run(&session(global)?, verb),
        Verb::Request(verb) => request::run(&session(global)?, verb),
        Verb::Review(verb) => review::run(&session(global)?, verb),
        Verb::VerifyChain(args) => {
            let session = verify_chain::needs_repository(args)
                .then(|| session(global))
                .transpose()?;
            verify_chain::run(session.as_ref(), args)
        }
        Verb::Sync(args) => sync::run(&session(global)?, args),
        Verb::Checkpoint(args) => checkpoint::run(&session(global)?, args),
        Verb::Status(args) => status::status(&session(global)?, args),
        Verb::Show(args) => status::show(&session(global)?, args),
        Verb::Log(args) => status::log(&session(global)?, args),
        Verb::Hap(verb) => hap::run(global, verb),
        Verb::Canonicalize(args) => meta::canonicalize(args),
        Verb::Hash(args) => meta::hash(args),
        Verb::Explain(args) => Ok(meta::explain(args)),
        Verb::Schema(args) => Ok(schema::run(args)),
        Verb::Completions(args) => Ok(meta::completions(args)),
        Verb::Exec(args) => Ok(exec::run(global, args)),
        Verb::Guard(verb) => guard::run(global, verb),
        Verb::Man => meta::man(),
    }
}

/// The command as it stands in the `schema` of its result.
fn name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Init(_) => "init",
        Verb::Stream(_) => "stream",
        Verb::Issue(_) => "issue",
        Verb::Eval(_) => "eval",
        Verb::Verify(_) => "verify",
        Verb::Use(_) => "use",
        Verb::Replay(_) => "replay",
        Verb::Simulate(_) => "simulate",
        Verb::Manifest(_) => "manifest",
        Verb::Request(_) => "request",
        Verb::Review(_) => "review",
        Verb::VerifyChain(_) => "verify-chain",
        Verb::Sync(_) => "sync",
        Verb::Checkpoint(_) => "checkpoint",
        Verb::Status(_) => "status",
        Verb::Show(_) => "show",
        Verb::Log(_) => "log",
        Verb::Hap(verb) => hap::name(verb),
        Verb::Canonicalize(_) => "canonicalize",
        Verb::Hash(_) => "hash",
        Verb::Explain(_) => "explain",
        Verb::Schema(_) => "schema",
        Verb::Completions(_) => "completions",
        Verb::Exec(_) => "exec",
        Verb::Guard(verb) => verb.name(),
        Verb::Man => "man",
    }
}
