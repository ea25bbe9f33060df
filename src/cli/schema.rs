//! `permit schema NAME`: the JSON Schema of each document, from the types that read it.

use schemars::schema_for;

use super::args::SchemaArgs;
use super::checkpoint::Checkpoint;
use super::outcome::Outcome;
use crate::engine::enforce;
use crate::engine::execution_request;
use crate::engine::hap::{
    attestation, authority, declaration, execution, owners, profile, providers,
    request as hap_request, stream,
};
use crate::engine::permit::Permit;
use crate::engine::policy::Document;
use crate::engine::request::Request;
use crate::engine::review::{self, Manifest, PrincipalsDocument};

type Maker = fn() -> schemars::Schema;

const SCHEMAS: &[(&str, Maker)] = &[
    ("checkpoint", || schema_for!(Checkpoint)),
    ("enforcement", || schema_for!(enforce::Document)),
    ("enforcement_decision", || schema_for!(enforce::Decision)),
    ("execution_request", || {
        schema_for!(execution_request::Document)
    }),
    ("hap-attestation", || schema_for!(attestation::Payload)),
    ("hap-decision", || schema_for!(declaration::Declaration)),
    ("hap-execution-request", || {
        schema_for!(execution::ExecutionRequest)
    }),
    ("hap-owners", || schema_for!(owners::Owners)),
    ("hap-profile", || schema_for!(profile::ProfileFile)),
    ("hap-registration", || schema_for!(stream::Registration)),
    ("hap-registry", || schema_for!(authority::Registry)),
    ("hap-request", || schema_for!(hap_request::AttestRequest)),
    ("hap-service-providers", || {
        schema_for!(providers::ProvidersFile)
    }),
    ("manifest", || schema_for!(Manifest)),
    ("mutation_intent", || schema_for!(enforce::Intent)),
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
