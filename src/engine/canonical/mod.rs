//! A value and its only byte form: RFC 8785, restricted to what a hash may rest on (core.md section 1).
//!
//! Turns bytes into [`Value`]s or typed records and back. Numbers are integers within ±(2^53−1); the top level is
//! an object; nesting is at most [`MAX_DEPTH`]. Refused, never repaired: floats, exponents, `-0`, leading zeros,
//! duplicate keys, lone surrogates, a byte order mark, trailing bytes, deeper nesting.
//!
//! Four small machines share the rules: [`parse`] (any layout to a tree), [`write`](to_bytes) (a tree to the one
//! layout), [`scan`] (is this already the one layout, without a tree), and serde on both sides: [`to_value`] turns a
//! typed record into a tree, [`from_value`] a tree into a record, naming the JSON path of what does not fit.

mod de;
mod lines;
mod parse;
pub mod scan;
mod ser;
mod spans;
mod value;
mod write;

use std::fmt;

use super::code::{Code, Refusal};

pub use de::{from_slice, from_value, present};
pub use lines::Lines;
pub use parse::parse;
pub use ser::{to_object, to_value};
pub use spans::{Misplaced, Spans, Step, spans};
pub use value::{Object, Value, key_order};
pub use write::{to_bytes, to_text};

/// The deepest nesting that is read; the top object is depth 1 (section 1).
pub const MAX_DEPTH: usize = 64;

/// The largest magnitude of a number: 2^53 − 1 (section 1).
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// Why bytes are not the value that was asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON path of the fault; `$` is the top.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

impl Fault {
    /// Makes a fault at a JSON path.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
        }
    }

    /// Moves the fault below a member of an object.
    #[must_use]
    pub fn within_member(mut self, key: &str) -> Self {
        let plain = !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let rest = self.path.strip_prefix('$').unwrap_or(&self.path);
        self.path = if plain {
            format!("$.{key}{rest}")
        } else {
            format!("$[{key:?}]{rest}")
        };
        self
    }

    /// Moves the fault below an item of an array.
    #[must_use]
    pub fn within_item(mut self, index: usize) -> Self {
        let rest = self.path.strip_prefix('$').unwrap_or(&self.path);
        self.path = format!("$[{index}]{rest}");
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.what)
    }
}

impl std::error::Error for Fault {}

/// The value of a record of ours: what cannot be represented is a refusal, and never `null`.
///
/// # Errors
/// `INTERNAL` with the JSON path of what has no canonical form.
pub fn value_of<T: serde::Serialize + ?Sized>(record: &T) -> Result<Value<'static>, Refusal> {
    to_value(record).map_err(|fault| unrepresentable(&fault))
}

/// The refusal of a record of ours that has no canonical form.
#[must_use]
pub fn unrepresentable(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::Internal,
        format!("a record cannot be represented at {fault}"),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn keys_sort_by_utf16_code_units() {
        let mut keys = vec![
            "\u{1F600}",
            "\u{FB33}",
            "\u{80}",
            "\r",
            "1",
            "\u{F6}",
            "\u{20AC}",
        ];
        keys.sort_by(|l, r| key_order(l, r));
        let mut expected = keys.clone();
        expected.sort_by(|l, r| l.encode_utf16().cmp(r.encode_utf16()));
        assert_eq!(keys, expected);
        assert_eq!(keys.last(), Some(&"\u{FB33}"));
    }

    #[test]
    fn what_a_hash_must_not_rest_on_is_refused_with_its_path() {
        for (text, expected) in [
            ("[]", "`$`: the top level is an array, expected an object"),
            ("1", "`$`: the top level is an integer, expected an object"),
            (
                "{\"a\":1.5}",
                "`$.a`: a number with a fraction or an exponent",
            ),
            (
                "{\"a\":1e3}",
                "`$.a`: a number with a fraction or an exponent",
            ),
            ("{\"a\":[0,-0]}", "`$.a[1]`: `-0`"),
            ("{\"a\":01}", "`$.a`: a number with a leading zero"),
            (
                "{\"a\":9007199254740992}",
                "`$.a`: an integer beyond ±(2^53−1)",
            ),
            (
                "{\"a\":123456789012345678901234567890}",
                "`$.a`: an integer beyond ±(2^53−1)",
            ),
            (
                "{\"a\":{\"b c\":1,\"b c\":1}}",
                "`$.a[\"b c\"]`: duplicate key",
            ),
            ("{\"b\":1,\"a\":2,\"b\":3}", "`$.b`: duplicate key"),
            ("{\"a\":\"\\ud800\"}", "`$.a`: a lone surrogate"),
            ("{\"a\":\"\\udc00\\ud800\"}", "`$.a`: a lone surrogate"),
            (
                "{\"a\":\"\t\"}",
                "`$.a`: a control character that is not escaped",
            ),
            ("{\"a\":\"\\x\"}", "`$.a`: an unknown escape"),
            ("{} ", ""),
            ("{}x", "`$`: bytes after the end, at byte 2"),
            ("\u{feff}{}", "`$`: a byte order mark"),
            ("{\"a\":1,}", "`$`: a trailing comma, at byte 6"),
            ("{\"a\":[1,]}", "`$.a`: a trailing comma, at byte 7"),
            (
                "{\"a\":1 // one\n}",
                "`$`: a comment, which JSON does not have, at byte 7",
            ),
            (
                "{\"a\":/* one */1}",
                "`$.a`: a comment, which JSON does not have, at byte 5",
            ),
            (
                "{} # end",
                "`$`: a comment, which JSON does not have, at byte 3",
            ),
            ("", "`$`: expected a value, at byte 0"),
            ("{\"a\"", "`$.a`: expected `:`, at byte 4"),
            ("{\"a\":nul}", "`$.a`: expected a value, at byte 5"),
        ] {
            if expected.is_empty() {
                assert!(parse(text.as_bytes()).is_ok(), "{text}");
            } else {
                assert_eq!(fault(text), expected, "{text}");
            }
        }
        assert_eq!(
            parse(b"{\"a\":\"\xff\"}").unwrap_err().to_string(),
            "`$`: not UTF-8, at byte 6"
        );
    }

    #[test]
    fn depth_64_is_read_and_65_is_not() {
        let nested = |depth: usize| {
            let inner = depth.saturating_sub(1);
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
        };
        assert!(parse(nested(64).as_bytes()).is_ok());
        assert!(fault(&nested(65)).ends_with("nesting deeper than 64"));
        assert!(fault(&nested(1_000_000)).ends_with("nesting deeper than 64"));
    }

    #[test]
    fn an_object_keeps_order_and_replaces() {
        let mut object = Object::of([("b", Value::Int(1)), ("a", Value::Null)]);
        object.insert("b", Value::Int(2));
        assert_eq!(to_bytes(&object.clone().into()), b"{\"a\":null,\"b\":2}");
        assert_eq!(object.remove("a"), Some(Value::Null));
        assert_eq!(object.len(), 1);
    }
}
