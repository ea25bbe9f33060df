//! The only printing: an [`Outcome`] to standard output, standard error and the exit code.
//!
//! Results go to standard output, everything about them to standard error. A closed pipe ends quietly; a result that
//! cannot be written for another reason is an `IO_ERROR`, whatever was decided. Colour only on a terminal and never with
//! `NO_COLOR`. Text from data is escaped before it reaches a terminal.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};

use super::args::Format;
use super::outcome::{Durable, Outcome};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::text::is_unseen;

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

/// Makes text from data harmless on a terminal: control characters, and those that nobody sees, as `\u{hex}`.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        // Line and paragraph separators are neither control nor format characters, and begin a line all the same.
        let ends = matches!(character, '\u{2028}' | '\u{2029}');
        if character.is_control() || ends || is_unseen(character) {
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
    let unprinted = print(outcome, format).err();
    if outcome.raw.is_some() || format == Format::Text {
        print_summary(&outcome.summary);
    }
    for warning in &outcome.warnings {
        note(&format!("{}: {}", paint(WARN, "warning"), safe(warning)));
    }
    if format == Format::Text {
        for remark in &outcome.remarks {
            note(&format!("{}: {}", paint(WARN, "warning"), safe(remark)));
        }
    }
    // What JSON could not say is said here.
    if let Some(refusal) = &outcome.refusal
        && (format == Format::Text || unprinted.is_some())
    {
        note(&explain(refusal));
    } else if let (Format::Text, Some(step)) = (format, &outcome.next_step) {
        note(&format!("{}: {}", paint(DIM, "next"), safe(step)));
    }
    let Some(refusal) = unprinted else {
        return exit;
    };
    if outcome.code != Code::IoError {
        note(&explain(&still(refusal, outcome.durable.as_ref())));
    }
    Code::IoError.class().exit_code()
}

/// Prints the result itself to standard output; false where nobody reads any more.
fn print(outcome: &Outcome, format: Format) -> Result<bool, Refusal> {
    match (&outcome.raw, format) {
        (Some(bytes), _) => {
            let unended = bytes.last().is_some_and(|last| *last != b'\n');
            let end: &[u8] = if unended && io::stdout().is_terminal() {
                b"\n"
            } else {
                b""
            };
            print_bytes(&[bytes, end].concat())
        }
        (None, Format::Json) => print_bytes(format!("{}\n", outcome.to_json()).as_bytes()),
        (None, Format::Text) => print_text(&outcome.text),
    }
}

/// Says what stands although its result cannot be printed, and how to see it.
pub(crate) fn still(unprinted: Refusal, durable: Option<&Durable>) -> Refusal {
    match durable {
        None => unprinted,
        Some(Durable { what, see }) => Refusal {
            message: format!("{what}, and {}", unprinted.message),
            ..unprinted
        }
        .next(format!("do not run it again; see what stands with `{see}`")),
    }
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
///
/// # Errors
/// `IO_ERROR` where they cannot be written.
pub(crate) fn print_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<bool, Refusal> {
    const BUFFER: usize = 1 << 16;
    is_read(standard_output().and_then(|out| {
        let mut out = io::BufWriter::with_capacity(BUFFER, out);
        lines
            .into_iter()
            .try_for_each(|line| out.write_all(line.as_bytes()))
            .and_then(|()| out.flush())
    }))
}

/// Prints a line for people to standard error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(anstream::AutoStream::auto(io::stderr()).lock(), "{line}");
}

/// Prints clap's own message where clap wants it, and a wrong call as JSON too where the call asks for that; returns
/// the exit code.
pub(crate) fn usage(error: &clap::Error, json: Option<&Vec<OsString>>) -> u8 {
    let _ = error.print();
    if let (Some(arguments), true) = (json, error.use_stderr()) {
        let result = super::usage::outcome(error, arguments).to_json();
        if let Err(refusal) = print_bytes(format!("{result}\n").as_bytes()) {
            note(&explain(&refusal));
        }
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Prints text with styles to standard output; tells whether somebody still reads.
///
/// # Errors
/// `IO_ERROR` where it cannot be written.
pub(crate) fn print_text(text: &str) -> Result<bool, Refusal> {
    let colour = anstream::AutoStream::choice(&io::stdout());
    is_read(
        standard_output()
            .and_then(|out| anstream::AutoStream::new(out, colour).write_all(text.as_bytes())),
    )
}

fn print_summary(summary: &str) {
    if !summary.is_empty() {
        note(summary.trim_end_matches('\n'));
    }
}

fn print_bytes(bytes: &[u8]) -> Result<bool, Refusal> {
    is_read(standard_output().and_then(|mut out| out.write_all(bytes)))
}

/// Standard output itself: the library's own handle takes one that is not open for writing for one that is.
fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Tells whether somebody still reads standard output; a closed pipe is no failure.
fn is_read(written: io::Result<()>) -> Result<bool, Refusal> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::BADF) => {
            Err(Refusal::new(
                Code::IoError,
                "the result cannot be written to standard output: it is closed, or not open for writing",
            )
            .next("give it a standard output, then run it again"))
        }
        Err(error) => Err(Refusal::new(
            Code::IoError,
            format!("the result cannot be written to standard output: {error}"),
        )
        .next("make room where standard output goes, then run it again")),
    }
}
