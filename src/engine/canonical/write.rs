//! A [`Value`] to its canonical bytes.

use std::fmt::Write as _;

use super::scan::plain_run;
use super::{Object, Value};

/// Enough for most records, so that their text is allocated once.
const CAPACITY: usize = 2048;

/// Writes the canonical bytes of a value: RFC 8785 without white space, with minimal escapes.
#[must_use]
pub fn to_bytes(value: &Value<'_>) -> Vec<u8> {
    to_text(value).into_bytes()
}

/// Writes the canonical bytes of a value as the text that they are.
#[must_use]
pub fn to_text(value: &Value<'_>) -> String {
    let mut out = String::with_capacity(CAPACITY);
    put(&mut out, value);
    out
}

impl Object<'_> {
    /// Writes the canonical bytes of the object as the text that they are.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(CAPACITY);
        put_object(&mut out, self);
        out
    }
}

fn put(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        // Writing to memory does not fail.
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::String(text) => put_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                put(out, item);
            }
            out.push(']');
        }
        Value::Object(object) => put_object(out, object),
    }
}

fn put_object(out: &mut String, object: &Object<'_>) {
    out.push('{');
    for (index, (key, member)) in object.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_string(out, key);
        out.push(':');
        put(out, member);
    }
    out.push('}');
}

/// Writes a string with the escapes of RFC 8785 section 3.2.2.2 and no others.
fn put_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // INVARIANT: a run ends at an ASCII character or at the end, so that it can be split off.
    while let Some((plain, special)) = rest.split_at_checked(plain_run(rest.as_bytes())) {
        out.push_str(plain);
        let mut special = special.chars();
        match special.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(other) => drop(write!(out, "\\u{:04x}", u32::from(other))),
        }
        rest = special.as_str();
    }
    out.push('"');
}
