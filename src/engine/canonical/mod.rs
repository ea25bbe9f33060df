//! A value and its only byte form: RFC 8785, restricted to what a hash may rest on (core.md section 1).
//!
//! Turns bytes into [`Value`]s or typed records and back. Numbers are integers within ±(2^53−1); the top level is
//! an object; nesting is at most [`MAX_DEPTH`]. Refused, never repaired: floats, exponents, `-0`, leading zeros,
//! duplicate keys, lone surrogates, a byte order mark, trailing bytes, deeper nesting.
//!
//! Four small machines share the rules: [`parse`] (any layout to a tree), [`write`](to_bytes) (a tree to the one
//! layout), [`scan`] (is this already the one layout, without a tree), and a serde deserializer that decodes a tree
//! into a typed record and names the JSON path of what does not fit.

mod de;
mod parse;
pub mod scan;
mod write;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use de::{from_slice, from_value, present};
pub use parse::parse;
pub use write::to_bytes;

/// The deepest nesting that is read; the top object is depth 1 (section 1).
pub const MAX_DEPTH: usize = 64;

/// The largest magnitude of a number: 2^53 − 1 (section 1).
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// A JSON value whose numbers are integers, borrowing its strings from the bytes where it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within ±[`MAX_INTEGER`].
    Int(i64),
    /// A string of Unicode scalar values.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// The members of a JSON object, unique and in canonical order.
//
// INVARIANT: sorted by `key_order`, no key twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Why bytes are not the value that was asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON path of the fault; `$` is the top.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

/// Converts a serialisable record to a value.
///
/// # Errors
/// A [`Fault`] where the record holds a float or an integer beyond ±[`MAX_INTEGER`].
pub fn to_value<T: Serialize + ?Sized>(record: &T) -> Result<Value<'static>, Fault> {
    let tree = serde_json::to_value(record).map_err(|error| Fault::new("$", error.to_string()))?;
    from_json(tree)
}

/// Orders keys as RFC 8785 does: by their UTF-16 code units.
///
/// UTF-8 bytes sort by code point, which differs from UTF-16 only where a supplementary character (lead byte F0 and
/// up) meets one of U+E000–U+FFFF (lead byte EE or EF).
#[must_use]
pub fn key_order(left: &str, right: &str) -> Ordering {
    let differing = left.bytes().zip(right.bytes()).find(|(l, r)| l != r);
    match differing {
        None => left.len().cmp(&right.len()),
        Some((0xF0.., 0xEE | 0xEF)) => Ordering::Less,
        Some((0xEE | 0xEF, 0xF0..)) => Ordering::Greater,
        Some((l, r)) => l.cmp(&r),
    }
}

fn from_json(tree: serde_json::Value) -> Result<Value<'static>, Fault> {
    Ok(match tree {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Int(
            number
                .as_i64()
                .filter(|n| n.unsigned_abs() <= MAX_INTEGER.unsigned_abs())
                .ok_or_else(|| {
                    Fault::new(
                        "$",
                        format!("`{number}` is not an integer within ±(2^53−1)"),
                    )
                })?,
        ),
        serde_json::Value::String(text) => Value::String(Cow::Owned(text)),
        serde_json::Value::Array(items) => {
            Value::Array(items.into_iter().map(from_json).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(members) => {
            let mut object = Object::new();
            for (key, member) in members {
                object.insert(key, from_json(member)?);
            }
            Value::Object(object)
        }
    })
}

impl<'a> Value<'a> {
    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Array(_) | Value::Object(_) => {
                None
            }
        }
    }

    /// Returns an integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }

    /// Returns the members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) | Value::Array(_) => {
                None
            }
        }
    }

    /// Returns the items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(items) => Some(items),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) | Value::Object(_) => {
                None
            }
        }
    }

    /// Returns a member of an object, if this is an object that has it.
    #[must_use]
    pub fn at(&self, key: &str) -> Option<&Value<'a>> {
        self.as_object()?.get(key)
    }

    /// Copies whatever is still borrowed.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(flag),
            Value::Int(number) => Value::Int(number),
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(Object(members)) => Value::Object(Object(
                members
                    .into_iter()
                    .map(|(key, member)| (Cow::Owned(key.into_owned()), member.into_owned()))
                    .collect(),
            )),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::String(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl<'a> From<Object<'a>> for Value<'a> {
    fn from(object: Object<'a>) -> Self {
        Value::Object(object)
    }
}

impl<'a> Object<'a> {
    /// Makes an object without members.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes an object of members in any order; a later member of the same key replaces an earlier one.
    #[must_use]
    pub fn of<const N: usize>(members: [(&'a str, Value<'a>); N]) -> Self {
        let mut object = Self(Vec::with_capacity(N));
        for (key, member) in members {
            object.insert(key, member);
        }
        object
    }

    /// Sorts members that a parser met; on a duplicate returns its key.
    fn sorted(mut members: Vec<(Cow<'a, str>, Value<'a>)>) -> Result<Self, String> {
        if !members.is_sorted_by(|(l, _), (r, _)| key_order(l, r) == Ordering::Less) {
            members.sort_by(|(l, _), (r, _)| key_order(l, r));
            let mut rest = members.iter();
            let mut before = rest.next();
            for member in rest {
                if let Some((key, _)) = before
                    && *key == member.0
                {
                    return Err(key.clone().into_owned());
                }
                before = Some(member);
            }
        }
        Ok(Self(members))
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| key_order(own, key))
    }

    /// Returns the member of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.place(key)
            .ok()
            .and_then(|place| self.0.get(place))
            .map(|(_, member)| member)
    }

    /// Puts a member in its place, replacing one of the same key.
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, member: Value<'a>) {
        let key = key.into();
        match self.place(&key) {
            Ok(place) => {
                if let Some(slot) = self.0.get_mut(place) {
                    slot.1 = member;
                }
            }
            Err(place) => self.0.insert(place, (key, member)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    /// Walks the members in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(key, member)| (key.as_ref(), member))
    }

    /// Counts the members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, member) in self.iter() {
            map.serialize_entry(key, member)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(de::TreeVisitor)
    }
}

impl<'de> Deserialize<'de> for Object<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(de::ObjectVisitor)
    }
}

/// A free-form object in a JSON Schema.
impl schemars::JsonSchema for Object<'static> {
    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}

/// A free-form value in a JSON Schema.
impl schemars::JsonSchema for Value<'static> {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
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
            ("{\"a\":1,}", "`$`: expected a key, at byte 7"),
            ("{\"a\":[1,]}", "`$.a[1]`: expected a value, at byte 8"),
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
