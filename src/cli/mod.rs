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
mod cache;
mod checkpoint;
mod decide;
mod eval;
mod exec;
mod fault;
mod files;
mod guard;
mod hap;
mod in_force;
mod init;
mod issue;
mod ledger;
mod lines;
mod manifest;
mod meta;
mod outcome;
mod parts;
mod policy;
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
mod trust;
mod usage;
mod verify;
mod verify_chain;
mod walk;
mod work_folder;

use std::ffi::OsString;

use args::{Cli, Format, Global, Verb};
use outcome::Outcome;
use session::Session;

use crate::engine::code::Refusal;

/// Runs the program and returns its exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.collect();
    match args::read(&arguments) {
        Err(fault) => render::usage(
            &fault,
            usage::asks_for_json(&arguments).then_some(&arguments),
        ),
        Ok(cli) => {
            if let Some(fault) = usage_fault(&cli.command) {
                let json = cli.global.format == Format::Json;
                return render::usage(&fault, json.then_some(&arguments));
            }
            let name = name(&cli.command);
            let mut outcome =
                dispatch(&cli).unwrap_or_else(|refusal| Outcome::refused(name, refusal));
            if cli.global.offline {
                outcome.set("offline", true);
                let what = "offline: the remote was not asked, and what is decided here may be stale there";
                outcome.warnings.push(what.to_owned());
            }
            render::render(&outcome, cli.global.format)
        }
    }
}

/// Says why arguments that clap accepts cannot be carried out all the same.
fn usage_fault(verb: &Verb) -> Option<clap::Error> {
    if let Verb::Hap(verb) = verb {
        hap::usage_fault(verb)
    } else if let Verb::Trust(args) = verb {
        trust::command::usage_fault(args)
    } else {
        None
    }
}

fn dispatch(cli: &Cli) -> Result<Outcome, Refusal> {
    let global = &cli.global;
    let name = name(&cli.command);
    let within = |run: &dyn Fn(&Session) -> Result<Outcome, Refusal>| within(global, name, run);
    match &cli.command {
        Verb::Init(args) => within(&|session| init::run(session, args)),
        Verb::Trust(args) => trust::command::run(global, args),
        Verb::Stream(verb) => within(&|session| stream_command::run(session, verb)),
        Verb::Issue(args) => within(&|session| issue::run(session, args)),
        Verb::Eval(args) => match &args.policy {
            Some(policy) => eval::draft(policy, args),
            None => within(&|session| eval::run(session, args)),
        },
        Verb::Verify(args) => within(&|session| Ok(verify::verify(session, args))),
        Verb::Use(args) => within(&|session| Ok(verify::run_use(session, args))),
        Verb::Replay(args) => within(&|session| replay::run(session, args)),
        Verb::Simulate(args) => within(&|session| simulate::run(session, args)),
        Verb::Manifest(verb) => within(&|session| manifest::run(session, verb)),
        Verb::Request(verb) => within(&|session| request::run(session, verb)),
        Verb::Review(verb) => within(&|session| review::run(session, verb)),
        Verb::VerifyChain(args) if verify_chain::needs_repository(args) => {
            within(&|session| verify_chain::run(Some(session), args))
        }
        Verb::VerifyChain(args) => verify_chain::run(None, args),
        Verb::Sync(args) => within(&|session| sync::run(session, args)),
        Verb::Checkpoint(args) => {
            let session = Session::open(global)?;
            session.resolves()?;
            checkpoint::run(&session, args)
        }
        Verb::Status(args) => within(&|session| status::status(session, args)),
        Verb::Show(args) => within(&|session| status::show(session, args)),
        Verb::Log(args) => within(&|session| status::log(session, args)),
        Verb::Hap(verb) => hap::run(global, verb),
        Verb::Canonicalize(args) => meta::canonicalize(args),
        Verb::Hash(args) => meta::hash(args),
        Verb::Explain(args) => Ok(meta::explain(args)),
        Verb::Schema(args) => Ok(schema::run(args)),
        Verb::Completions(args) => Ok(meta::completions(args)),
        Verb::Policy(verb) => policy::run(global, verb),
        Verb::Exec(args) => Ok(exec::run(global, args)),
        Verb::Guard(verb) => guard::run(global, verb),
        Verb::Man => meta::man(),
    }
}

/// What runs before the governed ref is there: it makes the ref, names it, or is about what comes first.
const BEFORE_GOVERNED: [&str; 5] = [
    "guard.adopt",
    "guard.install",
    "hap.onboard",
    "init",
    "trust",
];

/// Runs a command in its repository; the result, also a "no", says which one that is and what it trusts.
fn within(
    global: &Global,
    name: &'static str,
    run: impl FnOnce(&Session) -> Result<Outcome, Refusal>,
) -> Result<Outcome, Refusal> {
    let session = Session::open(global)?;
    let there = if BEFORE_GOVERNED.contains(&name) {
        Ok(())
    } else {
        session.resolves()
    };
    let found = there.and_then(|()| run(&session));
    let mut outcome = found.unwrap_or_else(|refusal| Outcome::refused(name, refusal));
    session.say(&mut outcome);
    // Also a refusal was decided by some state.
    if [issue::COMMAND, batch::COMMAND, "use"].contains(&name) {
        session.say_freshness(&mut outcome);
    }
    Ok(outcome)
}

/// The command as it stands in the `schema` of its result.
fn name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Init(_) => "init",
        Verb::Trust(_) => "trust",
        Verb::Stream(verb) => verb.name(),
        Verb::Issue(args) if args.batch.is_some() => batch::COMMAND,
        Verb::Issue(_) => issue::COMMAND,
        Verb::Eval(_) => "eval",
        Verb::Verify(_) => "verify",
        Verb::Use(_) => "use",
        Verb::Replay(_) => "replay",
        Verb::Simulate(_) => "simulate",
        Verb::Manifest(verb) => verb.name(),
        Verb::Request(verb) => verb.name(),
        Verb::Review(verb) => verb.name(),
        Verb::Policy(verb) => policy::name(verb),
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
