//! `permit guard check`: the commits of a pull request, judged before the merge as the push of the governed ref that the
//! merge will be.
//!
//! Two names belong to the governed ref. The one that trust is rooted in is where the tip is read, in a clone of the forge
//! mostly a remote-tracking ref; the other is the name that the ref has where the push lands, which attachments of
//! `enforcement.json` and permits go by.

use super::args::CheckArgs;
use super::push::{self, Push};
use super::record::Moves;
use super::{judge, unjudged};
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::session::{Session, not_governed};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::Mode;
use crate::git::CommitId;

const COMMAND: &str = "guard.check";

/// Judges a range.
///
/// # Errors
/// `INVALID_INPUT` for arguments that say nothing, in every mode.
pub(super) fn run(session: &Session, args: &CheckArgs, mode: Mode) -> Result<Outcome, Refusal> {
    let name = match &args.as_ref {
        Some(name) => Some(landing_name(name)?),
        None => None,
    };
    Ok(match of(session, args, name) {
        Ok(push) => judge(COMMAND, &push, mode, Moves::Nothing),
        Err(refusal) => unjudged(COMMAND, session, &[], mode, refusal),
    })
}

/// The push of the governed ref, by its name where it lands, from its tip to the head.
fn of<'s>(
    session: &'s Session,
    args: &CheckArgs,
    name: Option<String>,
) -> Result<Push<'s>, Refusal> {
    let governed = push::governed_name(session)?;
    session.decide()?;
    let tip = session.governed_tip()?;
    let repository = &session.repository;
    if let (Some(trusted), Some(tip)) = (args.trusted_commit, tip)
        && !repository.is_on_first_parent_chain(tip, trusted)?
    {
        return Err(not_governed(trusted, &governed));
    }
    let base = repository.resolve(&args.range.base)?;
    if let Some(tip) = tip.filter(|tip| *tip != base) {
        let what = format!("the base {base} is not the tip of `{governed}`, which is {tip}");
        let next = format!("fetch `{governed}`, then judge from its tip: --base {governed}");
        return Err(Refusal::new(Code::GovernedStale, what).next(next));
    }
    let head = repository.resolve(&args.range.head)?;
    holds(session, head, base, &governed)?;
    let name = match name {
        Some(name) => name,
        None => push::landing_name(session)?,
    };
    Push::of_range(session, name, base, head)
}

/// Refuses a head that was made before the governed ref went on. That is no alarm: nobody rewound anything.
fn holds(session: &Session, head: CommitId, tip: CommitId, governed: &str) -> Result<(), Refusal> {
    let repository = &session.repository;
    if repository.is_on_first_parent_chain(head, tip)?
        || repository.merge_base(head, tip)? == Some(tip)
    {
        return Ok(());
    }
    let what = format!("the head {head} lacks {tip}, the tip of `{governed}`");
    let next = format!(
        "update the branch (git merge {governed}), then judge the merge commit, whose first parent is the tip"
    );
    Err(Refusal::new(Code::GovernedStale, what).next(next))
}

/// The full name of a ref; a plain name is a branch's.
fn landing_name(given: &str) -> Result<String, Refusal> {
    let name = if given.starts_with("refs/") {
        given.to_owned()
    } else {
        format!("refs/heads/{given}")
    };
    if crate::git::is_ref_name(&name) {
        return Ok(name);
    }
    let what = format!("`--as-ref {}` is no name of a ref", given.escape_debug());
    Err(fault::input(what).next("name the ref as the server has it: --as-ref refs/heads/main"))
}
