//! `permit hap context` and `permit hap frame`: what everybody can compute again.

use serde_json::json;

use super::args::{CommitsArgs, FrameArgs};
use super::commits::{self, Case, Commits};
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{DIM, paint, safe};
use crate::cli::session::Session;
use crate::engine::canonical::Object;
use crate::engine::code::Refusal;
use crate::engine::hap::frame::{DEPLOY_GATE_ORDER, Frame, FrameKey};

pub(super) fn context(session: &Session, args: &CommitsArgs) -> Result<Outcome, Refusal> {
    let (commits, case) = commits::resolve(session, args)?;
    let warnings = commits.warnings(&case)?;
    let canonical = String::from_utf8_lossy(&case.context.canonical()).into_owned();
    let hash = case.context.hash();
    let required = case.required_domains()?;
    let text = format!(
        "{}{} {hash}\n{} {}\n",
        shown(&case),
        paint(DIM, "execution_context_hash"),
        paint(DIM, "required domains"),
        safe(&required.join(", ")),
    );
    let mut outcome = Outcome::ok("hap.context")
        .field("context", case.context.to_value())
        .field("canonical", canonical)
        .field("execution_context_hash", hash)
        .field("frame", frame_without_env(&case, &commits))
        .field("required_domains", required)
        .field("warnings", json!([]))
        .text(text);
    outcome.warnings = warnings;
    Ok(outcome)
}

/// The whole context, a line a value, as an owner sees it.
pub(super) fn shown(case: &Case) -> String {
    let mut text = String::new();
    let value = case.context.to_value();
    for (name, value) in value.as_object().into_iter().flat_map(Object::iter) {
        if let Some(items) = value.as_array() {
            text.push_str(&format!("{} {}\n", paint(DIM, name), items.len()));
            for item in items {
                text.push_str(&format!("  {}\n", safe(item.as_str().unwrap_or_default())));
            }
        } else {
            let value = value.as_str().unwrap_or_default();
            text.push_str(&format!("{} {}\n", paint(DIM, name), safe(value)));
        }
    }
    text
}

fn frame_without_env(case: &Case, commits: &Commits<'_>) -> serde_json::Value {
    json!({
        "repo": case.repo,
        "sha": commits.head.to_string(),
        "profile": case.declaration.profile,
        "path": case.declaration.execution_path,
    })
}

pub(super) fn frame_of_fields(fields: &[String]) -> Result<Outcome, Refusal> {
    let pairs = fields.iter().map(|field| {
        field
            .split_once('=')
            .ok_or_else(|| fault::input(format!("`--field {}` is not `K=V`", field.escape_debug())))
    });
    let pairs: Vec<(&str, &str)> = pairs.collect::<Result<_, Refusal>>()?;
    Ok(show_frame(&Frame::of_fields(&DEPLOY_GATE_ORDER, pairs)?))
}

pub(super) fn frame_of_commits(session: &Session, args: &FrameArgs) -> Result<Outcome, Refusal> {
    let commits = CommitsArgs {
        base: args.base.clone().unwrap_or_default(),
        head: args.head.clone().unwrap_or_default(),
        repo: args.repo.clone(),
    };
    let (_, case) = commits::resolve(session, &commits)?;
    let frame = case.frame(args.env.as_deref().unwrap_or_default())?;
    Ok(show_frame(&frame))
}

fn show_frame(frame: &Frame) -> Outcome {
    let canonical = frame.canonical();
    let text = format!(
        "{canonical}\n{} {}\n",
        paint(DIM, "frame_hash"),
        frame.hash()
    );
    let mut outcome = Outcome::ok("hap.frame")
        .field("canonical", canonical)
        .field("frame_hash", frame.hash())
        .text(text);
    if frame.get(FrameKey::Env).is_none() {
        outcome
            .warnings
            .push("this profile's frames do not bind the environment".to_owned());
    }
    outcome
}
