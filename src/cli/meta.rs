//! Commands that need no repository: canonical bytes, hashes, and what the program says of itself.

use clap_mangen::Man;
use serde_json::json;

use super::args::{CompletionsArgs, ExplainArgs, FileArg, HashArgs, command};
use super::outcome::Outcome;
use super::render::{DIM, GOOD, paint};
use super::{fault, files};
use crate::engine::canonical::{Value, parse, to_bytes};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::labelled_hash;

/// The largest input of `permit canonicalize` and `permit hash`, in bytes.
const MAX_INPUT: usize = 64 << 20;

/// `permit canonicalize`.
pub(crate) fn canonicalize(args: &FileArg) -> Result<Outcome, Refusal> {
    Ok(Outcome::raw("canonicalize", canonical(args)?))
}

/// `permit hash`: `hex(sha256(D ‖ 0x0A ‖ canonical_json(object)))`.
pub(crate) fn hash(args: &HashArgs) -> Result<Outcome, Refusal> {
    let bytes = canonical(&args.input)?;
    Ok(Outcome::raw(
        "hash",
        hex::encode(labelled_hash(&args.domain, &[&bytes])),
    ))
}

fn canonical(args: &FileArg) -> Result<Vec<u8>, Refusal> {
    let bytes = files::read(&args.file, MAX_INPUT)?;
    if bytes.len() > MAX_INPUT {
        return Err(fault::input("the input is larger than 64 MiB"));
    }
    let value: Value<'_> = parse(&bytes)
        .map_err(|fault| fault::input(format!("the input is malformed at {fault}")))?;
    Ok(to_bytes(&value))
}

/// `permit explain [CODE]`.
pub(crate) fn explain(args: &ExplainArgs) -> Outcome {
    args.code.map_or_else(explain_all, explain_one)
}

/// Lists every code with its exit code and what it means, class by class.
fn explain_all() -> Outcome {
    let mut codes = Code::ALL.to_vec();
    codes.sort_by_key(|code| code.class().exit_code());
    let mut text = String::new();
    let mut list = Vec::new();
    for code in codes {
        let exit = code.class().exit_code();
        let name = format!("{:<28}", code.name());
        text.push_str(&format!(
            "{exit} {} {}\n",
            paint(GOOD, &name),
            code.summary()
        ));
        list.push(json!({
            "code": code,
            "exit": exit,
            "class": code.class().name(),
            "summary": code.summary(),
        }));
    }
    Outcome::ok("explain")
        .field("codes", list)
        .next("permit explain CODE")
        .text(text)
}

fn explain_one(code: Code) -> Outcome {
    let class = code.class();
    let text = format!(
        "{}: {}\n\n{}\n\nexit {}: {} ({})\n{}: {}\n",
        paint(GOOD, code.name()),
        code.summary(),
        code.cause(),
        class.exit_code(),
        class,
        class.script_should(),
        paint(DIM, "hint"),
        code.hint(),
    );
    Outcome::ok("explain")
        .field("code", code)
        .field("exit", class.exit_code())
        .field("class", class.name())
        .field("summary", code.summary())
        .field("cause", code.cause())
        .field("hint", code.hint())
        .text(text)
}

/// `permit completions SHELL`.
pub(crate) fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "permit", &mut script);
    Outcome::raw("completions", script)
}

/// `permit man`: one page with every command.
pub(crate) fn man() -> Result<Outcome, Refusal> {
    let mut page = Vec::new();
    Man::new(command())
        .render(&mut page)
        .map_err(|error| fault::io(std::path::Path::new("-"), &error))?;
    Ok(Outcome::raw("man", page))
}
