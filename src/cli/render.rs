//! The only printing: an [`Outcome`] to standard output, standard error and the exit code.
//!
//! Results go to standard output, everything about them to standard error. A closed pipe ends quietly. Colour only on
//! a terminal and never with `NO_COLOR`. Text from data is escaped before it reaches a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use super::args::Format;
use super::outcome::Outcome;
use crate::engine::code::{Class, Refusal};

/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What needs attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// What stands behind.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Puts text in a style; the style is dropped where the output is not a terminal.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Makes text from data harmless on a terminal: control and direction characters as `\u{hex}`.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
        if character.is_control() || turns {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// Prints a result and returns the exit code.
pub(crate) fn render(outcome: &Outcome, format: Format) -> u8 {
    let exit = outcome
        .exit
        .unwrap_or_else(|| outcome.code.class().exit_code());
    match &outcome.raw {
        Some(bytes) => {
            print_bytes(bytes);
            if io::stdout().is_terminal() && bytes.last().is_some_and(|last| *last != b'\n') {
                print_bytes(b"\n");
            }
        }
        None => match format {
            Format::Json => print_bytes(format!("{}\n", outcome.to_json()).as_bytes()),
            Format::Text => {
                let _ = print_text(&outcome.text);
                print_summary(&outcome.summary);
            }
        },
    }
    for warning in &outcome.warnings {
        note(&format!("{}: {}", paint(WARN, "warning"), safe(warning)));
    }
    if let (Format::Text, Some(refusal)) = (format, &outcome.refusal) {
        note(&explain(refusal));
    } else if let (Format::Text, Some(step)) = (format, &outcome.next_step) {
        note(&format!("{}: {}", paint(DIM, "next"), safe(step)));
    }
    exit
}

/// The three fixed parts of an error: what happened, what was found, what to do.
fn explain(refusal: &Refusal) -> String {
    let word = if refusal.class() == Class::Pending {
        "pending"
    } else {
        "error"
    };
    let head = format!("{word}[{}]", refusal.code.name());
    let mut text = format!("{}: {}\n", paint(BAD, &head), safe(&refusal.message));
    for (name, value) in &refusal.details {
        let _ = writeln!(text, "  {}: {}", safe(name), safe(value));
    }
    let _ = write!(
        text,
        "{}: {}",
        paint(DIM, "hint"),
        safe(refusal.next_step())
    );
    text
}

/// Prints lines of a result that comes line by line, each with its end, and hands them to whoever reads; tells whether
/// somebody still does.
pub(crate) fn print_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> bool {
    const BUFFER: usize = 1 << 16;
    let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
    lines
        .into_iter()
        .try_for_each(|line| out.write_all(line.as_bytes()))
        .and_then(|()| out.flush())
        .is_ok()
}

/// Prints a line for people to standard error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(anstream::AutoStream::auto(io::stderr()).lock(), "{line}");
}

/// Prints clap's own message where clap wants it, and returns its exit code.
pub(crate) fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Prints text with styles to standard output; tells whether somebody still reads.
pub(crate) fn print_text(text: &str) -> bool {
    let mut out = anstream::AutoStream::auto(io::stdout()).lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_ok()
}

fn print_summary(summary: &str) {
    if !summary.is_empty() {
        note(summary.trim_end_matches('\n'));
    }
}

fn print_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
