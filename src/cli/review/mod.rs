//! `permit review new|sign|check|list|record`: the ledger as people work on it. Writes work-tree files only.

mod check;
pub(crate) mod inquiry;
mod list;
mod new;
mod record;
mod sign;

use std::path::Path;

use super::outcome::Outcome;
use super::review_args::ReviewVerb;
use super::session::Session;
use super::{fault, files};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::ReviewId;
use crate::engine::review::{Artifact, MAX_FILE};

pub(crate) use inquiry::State;
pub(crate) use list::entries;

pub(crate) fn run(session: &Session, verb: &ReviewVerb) -> Result<Outcome, Refusal> {
    match verb {
        ReviewVerb::New(args) => new::run(session, args),
        ReviewVerb::Sign(args) => sign::run(session, args),
        ReviewVerb::Check(args) => check::run(session, args),
        ReviewVerb::List(args) => list::run(session, args),
        ReviewVerb::Record(args) => record::run(session, args),
    }
}

fn review_id(text: &str) -> Result<ReviewId, Refusal> {
    text.parse()
        .map_err(|error| fault::id("review", error, "permit review list"))
}

/// Says that there is no such review, where it was looked for.
fn missing(id: ReviewId, place: &str) -> Refusal {
    Refusal::new(Code::ReviewMissing, format!("{place} holds no review {id}"))
        .detail("path", Artifact::path_of(id))
}

/// Reads a review's file in the work tree.
fn read_draft(root: &Path, id: ReviewId) -> Result<Artifact, Refusal> {
    let path = root.join(Artifact::path_of(id));
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(missing(id, "the work tree"))
        }
        Err(error) => Err(fault::io(&path, &error)),
        Ok(about) if !about.is_file() => Err(Refusal::new(
            Code::InvalidReview,
            format!("`{}` is not a regular file", path.display()),
        )),
        Ok(_) => Artifact::parse(&files::read(&path, MAX_FILE)?),
    }
}
