//! A JSON value whose objects are in canonical order and whose numbers are integers.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::de;

/// A JSON value whose numbers are integers, borrowing its strings from the bytes where it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within ±[`MAX_INTEGER`](super::MAX_INTEGER).
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
pub struct Object<'a>(pub(super) Vec<(Cow<'a, str>, Value<'a>)>);

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

    /// How deep it nests: 0 for what holds nothing, 1 for an array or an object of those.
    #[must_use]
    pub fn depth(&self) -> usize {
        let inner = match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => return 0,
            Value::Array(items) => items.iter().map(Value::depth).max(),
            Value::Object(Object(members)) => {
                members.iter().map(|(_, member)| member.depth()).max()
            }
        };
        inner.unwrap_or(0).saturating_add(1)
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

    pub(super) fn kind(&self) -> &'static str {
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

    pub(super) fn with_capacity(members: usize) -> Self {
        Self(Vec::with_capacity(members))
    }

    /// Makes an object of members in any order; a later member of the same key replaces an earlier one.
    #[must_use]
    pub fn of<const N: usize>(members: [(&'a str, Value<'a>); N]) -> Self {
        let mut object = Self::with_capacity(N);
        for (key, member) in members {
            object.insert(key, member);
        }
        object
    }

    /// Sorts members that a parser met; on a duplicate returns its key.
    pub(super) fn sorted(mut members: Vec<(Cow<'a, str>, Value<'a>)>) -> Result<Self, String> {
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
        let is_last = |(last, _): &(Cow<'_, str>, _)| key_order(last, &key) == Ordering::Less;
        if self.0.last().is_none_or(is_last) {
            return self.0.push((key, member));
        }
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
