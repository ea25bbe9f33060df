//! `permit hap`: the Human Agency Protocol on Git. Each command is the same line: load, decide, commit, render.

mod args;
mod attest;
mod authority;
mod authorize;
mod clock;
mod commits;
mod context;
mod documents;
mod key;
mod ledger;
mod link;
mod onboard;
mod received;
mod request;
mod show;
mod sp;
mod stream;

use args::{AuthorityVerb, GateVerb, SpVerb, StreamVerb};
pub(crate) use args::{ClockArgs, HapVerb};
pub(crate) use clock::Now;
pub(crate) use commits::read_blob;
pub(crate) use documents::check as check_documents;
pub(crate) use link::{load_action, ttl_in_force};
pub(crate) use received::Received;

use super::args::{Global, command};
use super::outcome::Outcome;
use super::session::Session;
use super::within;
use crate::engine::code::Refusal;
use crate::engine::hap::authority::AuthorityChange;

/// Says why the arguments alone cannot be carried out: an attestation that nobody triggers.
pub(crate) fn usage_fault(verb: &HapVerb) -> Option<clap::Error> {
    let HapVerb::Attest(args) = verb else {
        return None;
    };
    let untriggered = || {
        command().error(
            clap::error::ErrorKind::MissingRequiredArgument,
            "a person must trigger an attestation: pass `--commit`, or run it on a terminal",
        )
    };
    (!attest::can_be_triggered(args)).then(untriggered)
}

/// The command as it stands in the `schema` of its result.
pub(crate) fn name(verb: &HapVerb) -> &'static str {
    match verb {
        HapVerb::Context(_) => "hap.context",
        HapVerb::Frame(_) => "hap.frame",
        HapVerb::Request(_) => "hap.request",
        HapVerb::Attest(_) => "hap.attest",
        HapVerb::Authorize(_) => "hap.authorize",
        HapVerb::FrameAuthorize(_) => "hap.frame-authorize",
        HapVerb::Show(_) => "hap.show",
        HapVerb::Gate(GateVerb::Verify(_)) => "hap.gate.verify",
        HapVerb::Gate(GateVerb::Publish(_)) => "hap.gate.publish",
        HapVerb::Dispute(_) => "hap.dispute",
        HapVerb::Stream(StreamVerb::Append(_)) => "hap.stream.append",
        HapVerb::Stream(StreamVerb::Verify(_)) => "hap.stream.verify",
        HapVerb::Sp(SpVerb::Init(_)) => "hap.sp.init",
        HapVerb::Sp(SpVerb::Pubkey(_)) => "hap.sp.pubkey",
        HapVerb::Sp(SpVerb::Register(_)) => "hap.sp.register",
        HapVerb::Sp(SpVerb::Stats) => "hap.sp.stats",
        HapVerb::Sp(SpVerb::Log) => "hap.sp.log",
        HapVerb::Owners(_) => "hap.owners",
        HapVerb::Authority(AuthorityVerb::History(_)) => "hap.authority.history",
        HapVerb::Authority(AuthorityVerb::Grant(_) | AuthorityVerb::Revoke(_)) => "hap.authority",
        HapVerb::Onboard(_) => "hap.onboard",
        HapVerb::Profiles(_) => "hap.profiles",
    }
}

/// Runs one command; those that need no repository open none.
pub(crate) fn run(global: &Global, verb: &HapVerb) -> Result<Outcome, Refusal> {
    let within =
        |run: &dyn Fn(&Session) -> Result<Outcome, Refusal>| within(global, name(verb), run);
    match verb {
        HapVerb::Context(args) => within(&|session| context::context(session, args)),
        HapVerb::Frame(args) if args.base.is_none() => context::frame_of_fields(&args.field),
        HapVerb::Frame(args) => within(&|session| context::frame_of_commits(session, args)),
        HapVerb::Request(args) => within(&|session| request::run(session, args)),
        HapVerb::Attest(args) => within(&|session| attest::run(session, args)),
        HapVerb::Authorize(args) => authorize::run(&Session::open(global), args),
        HapVerb::FrameAuthorize(args) => authorize::frame(args),
        HapVerb::Show(args) => show::show(args),
        HapVerb::Gate(GateVerb::Verify(args)) => show::verify_gates(args),
        HapVerb::Gate(GateVerb::Publish(args)) => show::publish_gates(args),
        HapVerb::Dispute(args) => within(&|session| show::dispute(session, args)),
        HapVerb::Stream(StreamVerb::Append(args)) => {
            within(&|session| stream::append(session, args))
        }
        HapVerb::Stream(StreamVerb::Verify(args)) => match &args.jsonl {
            Some(path) => stream::verify_lines(path, &args.trust.sp_key),
            None => within(&|session| stream::verify_ref(session, args)),
        },
        HapVerb::Sp(SpVerb::Init(args)) => sp::init(Session::open(global).ok().as_ref(), args),
        HapVerb::Sp(SpVerb::Pubkey(args)) => sp::pubkey(args),
        HapVerb::Sp(SpVerb::Register(args)) => sp::register(args),
        HapVerb::Sp(SpVerb::Stats) => within(&|session| sp::stats(session)),
        HapVerb::Sp(SpVerb::Log) => within(&|session| sp::log(session)),
        HapVerb::Owners(args) => within(&|session| authority::owners(session, args)),
        HapVerb::Authority(AuthorityVerb::Grant(args)) => {
            within(&|session| authority::change(session, args, AuthorityChange::Grant))
        }
        HapVerb::Authority(AuthorityVerb::Revoke(args)) => {
            within(&|session| authority::change(session, args, AuthorityChange::Revoke))
        }
        HapVerb::Authority(AuthorityVerb::History(args)) => {
            within(&|session| authority::history(session, args))
        }
        HapVerb::Onboard(args) => within(&|session| onboard::run(session, args)),
        HapVerb::Profiles(args) => within(&|session| authority::profiles(session, args)),
    }
}
