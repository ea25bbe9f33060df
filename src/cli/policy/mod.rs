//! `permit policy`: write, check, try and read a policy, without a stream and mostly without a repository.

pub(crate) mod args;
mod check;
mod paint;
mod source;

use super::args::Global;
use super::outcome::Outcome;
use crate::engine::code::Refusal;

pub(crate) use args::PolicyVerb;
pub(crate) use check::sound;
pub(crate) use source::Source;

pub(crate) fn run(global: &Global, verb: &PolicyVerb) -> Result<Outcome, Refusal> {
    match verb {
        PolicyVerb::Check(args) => Ok(check::run(&Source::chosen(global, &args.policy)?)),
    }
}

/// The command as it stands in the `schema` of its result.
pub(crate) fn name(verb: &PolicyVerb) -> &'static str {
    match verb {
        PolicyVerb::Check(_) => "policy-check",
    }
}
