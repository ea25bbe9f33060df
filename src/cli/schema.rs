//! `permit schema NAME`: the JSON Schema of each document, from the types that read it.

use schemars::schema_for;

use super::args::SchemaArgs;
use super::checkpoint::Checkpoint;
use super::outcome::Outcome;
use crate::engine::execution_request;
use crate::engine::permit::Permit;
use crate::engine::policy::Document;
use crate::engine::request::Request;
use crate::engine::review::{self, Manifest, PrincipalsDocument};

type Maker = fn() -> schemars::Schema;

const SCHEMAS: &[(&str, Maker)] = &[
    ("checkpoint", || schema_for!(Checkpoint)),
    ("execution_request", || {
        schema_for!(execution_request::Document)
    }),
    ("manifest", || schema_for!(Manifest)),
    ("permit", || schema_for!(Permit)),
    ("policy", || schema_for!(Document)),
    ("principals", || schema_for!(PrincipalsDocument)),
    ("request", || schema_for!(Request)),
    ("review", || schema_for!(review::Document)),
];

/// The documents that have a schema.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

pub(crate) fn run(args: &SchemaArgs) -> Outcome {
    let schema = SCHEMAS
        .iter()
        .find(|(name, _)| *name == args.name)
        .map(|(_, make)| make());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    Outcome::raw("schema", text)
}
