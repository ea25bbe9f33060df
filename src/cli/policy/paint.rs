//! A fault with the line that it stands in and a caret below it, as compilers write it.
//!
//! `annotate-snippets` is the renderer of rustc and cargo: it takes spans and text and gives text, aligns wide
//! characters, and adds neither an error type nor a derive of its own, as `miette` does.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::super::render::safe;
use crate::engine::canonical::Lines;
use crate::engine::text::is_unseen;

/// How much of a long line is shown on each side of what is meant.
const BESIDE: usize = 60;

/// How grave it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grave {
    Error,
    #[expect(dead_code, reason = "a lint's finding is one")]
    Warning,
}

/// Writes `error[CODE]: file:line:column: message`, the line, and a caret.
pub(crate) fn snippet(
    grave: Grave,
    code: &str,
    name: &str,
    lines: &Lines<'_>,
    range: &Range<usize>,
    message: &str,
) -> String {
    let level = match grave {
        Grave::Error => Level::ERROR,
        Grave::Warning => Level::WARNING,
    };
    let (line, column) = lines.position(range.start);
    let title = format!("{}:{line}:{column}: {}", safe(name), safe(message));
    let (text, start) = lines.line(line);
    let from = range.start.saturating_sub(start).min(text.len());
    let to = range.end.saturating_sub(start).clamp(from, text.len());
    let (shown, span) = window(text, from..to);
    let source = Snippet::source(shown)
        .line_start(line)
        .annotation(AnnotationKind::Primary.span(span));
    let report = [level.primary_title(title).id(code).element(source)];
    let mut painted = Renderer::styled().render(&report);
    painted.push('\n');
    painted
}

/// The part of a line that is shown, with each character that nobody would see replaced, and the span in it.
fn window(text: &str, span: Range<usize>) -> (String, Range<usize>) {
    let before: Vec<char> = text.get(..span.start).unwrap_or_default().chars().collect();
    let cut = before.len().saturating_sub(BESIDE);
    let visible = |character: char| {
        if character == '\t' {
            ' '
        } else if character.is_control() || is_unseen(character) {
            '\u{FFFD}'
        } else {
            character
        }
    };
    let mut shown = String::new();
    if cut > 0 {
        shown.push('…');
    }
    shown.extend(before.into_iter().skip(cut).map(visible));
    let from = shown.len();
    let inside = text.get(span.clone()).unwrap_or_default();
    shown.extend(inside.chars().take(BESIDE).map(visible));
    let to = shown.len();
    let after = text.get(span.end..).unwrap_or_default();
    if inside.chars().nth(BESIDE).is_none() {
        shown.extend(after.chars().take(BESIDE).map(visible));
    }
    if after.chars().nth(BESIDE).is_some() || inside.chars().nth(BESIDE).is_some() {
        shown.push('…');
    }
    // A caret needs something above it.
    if from == to {
        shown.push(' ');
        return (shown, from..from.saturating_add(1));
    }
    (shown, from..to)
}
