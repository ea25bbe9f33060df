//! A call that the argument parser refuses, told to programs too (hardening: nothing is green that was not looked at).

use std::ffi::OsString;

use super::args::command;
use super::outcome::Outcome;
use crate::engine::code::{Code, Refusal};

/// Tells whether a call that cannot be read asks for JSON; what follows `--` belongs to another program.
pub(crate) fn asks_for_json(arguments: &[OsString]) -> bool {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let mut before = None;
    for argument in ours {
        if argument == "--format=json" || (before == Some("--format") && argument == "json") {
            return true;
        }
        before = argument.to_str();
    }
    false
}

/// The result for such a call: what clap says of it in one line, and where the right form stands.
pub(crate) fn outcome(error: &clap::Error, arguments: &[OsString]) -> Outcome {
    let told = error.render().to_string();
    let paragraph: Vec<&str> = told
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let paragraph = paragraph.join(" ");
    let message = paragraph.strip_prefix("error: ").unwrap_or(&paragraph);
    let refusal = Refusal::new(Code::Usage, message).next(format!("{} --help", called(arguments)));
    Outcome::refused("usage", refusal)
}

/// The command that was called, as far as its words name one.
fn called(arguments: &[OsString]) -> String {
    let root = command();
    let (mut at, mut words) = (&root, vec!["permit"]);
    for argument in arguments.iter().skip(1) {
        let found = argument.to_str().and_then(|word| at.find_subcommand(word));
        let Some(found) = found else { continue };
        words.push(found.get_name());
        at = found;
    }
    words.join(" ")
}
