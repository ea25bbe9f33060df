//! `permit checkpoint`: the newest point of a stream, to keep where nobody can rewrite it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::args::StreamChoice;
use super::outcome::Outcome;
use super::session::Session;
use super::stream::Stream;
use super::{fault, files};
use crate::engine::canonical;
use crate::engine::code::Refusal;
use crate::engine::digest::{CommitSha, EventHash};
use crate::engine::request::MAX_REQUEST;

/// A point that a stream had: what `permit checkpoint` prints, with or without what every result carries.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.result.checkpoint.v1")]
pub(crate) struct Checkpoint {
    #[serde(default, deserialize_with = "canonical::present")]
    schema: Option<CheckpointSchema>,
    #[serde(default, deserialize_with = "canonical::present")]
    reason: Option<CheckpointReason>,
    #[serde(default)]
    next_step: Option<String>,
    pub(crate) stream_id: String,
    pub(crate) sequence: u64,
    pub(crate) event_hash: EventHash,
    #[serde(default, deserialize_with = "canonical::present")]
    commit: Option<CommitSha>,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
enum CheckpointSchema {
    #[serde(rename = "permit.result.checkpoint.v1")]
    V1,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
enum CheckpointReason {
    #[serde(rename = "OK")]
    Ok,
}

/// Prints the same object in both formats, so that either can be kept.
pub(crate) fn run(session: &Session, args: &StreamChoice) -> Result<Outcome, Refusal> {
    let at = Stream::new(session, &args.stream)?.existing_tip()?;
    let outcome = Outcome::ok("checkpoint")
        .field("stream_id", &at.tip.stream_id)
        .field("sequence", at.tip.sequence)
        .field("event_hash", at.tip.event_hash)
        .field("commit", at.commit.to_string());
    let line = format!("{}\n", outcome.to_json());
    Ok(outcome.text(line))
}

/// Reads a point that was kept.
pub(crate) fn read(path: &Path) -> Result<Checkpoint, Refusal> {
    canonical::from_slice(&files::read(path, MAX_REQUEST)?)
        .map_err(|fault| fault::input(format!("the checkpoint is malformed at {fault}")))
}
