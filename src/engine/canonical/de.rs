//! A [`Value`] to a typed record, by serde, with the JSON path of whatever does not fit.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::{Fault, Object, Value, parse};

/// Reads bytes strictly and decodes them into a record.
///
/// # Errors
/// A [`Fault`] where the bytes are refused by [`parse`] or do not fit the record.
pub fn from_slice<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Fault> {
    from_value(&parse(bytes)?)
}

/// Decodes a value into a record.
///
/// # Errors
/// A [`Fault`] where the value does not fit the record: unknown field, missing field, wrong type, wrong word.
pub fn from_value<'a, T: Deserialize<'a>>(value: &Value<'a>) -> Result<T, Fault> {
    T::deserialize(Node(value)).map_err(|error| error.0)
}

/// Decodes an optional field that, where it is present, must not be `null`.
///
/// For `#[serde(default, deserialize_with = "present")]`.
///
/// # Errors
/// Those of the field's own type.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug)]
struct Misfit(Fault);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(Fault::new("$", what.to_string()))
    }

    fn unknown_field(field: &str, _expected: &'static [&'static str]) -> Self {
        Self(Fault::new("$", "unknown field").within_member(field))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Fault::new("$", "missing field").within_member(field))
    }
}

struct Node<'v, 'de>(&'v Value<'de>);

impl<'de> Deserializer<'de> for Node<'_, 'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::String(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Value::String(Cow::Owned(text)) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.iter(),
                index: 0,
            }),
            Value::Object(object) => visitor.visit_map(Members {
                members: object.0.iter(),
                member: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Int(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(word) => visitor.visit_enum(Variant {
                word,
                content: None,
            }),
            Value::Object(Object(members)) => match members.as_slice() {
                [(word, content)] => visitor.visit_enum(Variant {
                    word,
                    content: Some(content),
                }),
                _ => Err(de::Error::custom(format!(
                    "expected exactly one member, found {}",
                    members.len()
                ))),
            },
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Array(_) => Err(
                de::Error::custom(format!("expected a word, found {}", self.0.kind())),
            ),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'v, 'de> {
    items: std::slice::Iter<'v, Value<'de>>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(Node(item))
            .map(Some)
            .map_err(|misfit| Misfit(misfit.0.within_item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members<'v, 'de> {
    members: std::slice::Iter<'v, (Cow<'de, str>, Value<'de>)>,
    member: Option<&'v (Cow<'de, str>, Value<'de>)>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.member = self.members.next();
        let Some((key, _)) = self.member else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Misfit> = key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, member)) = self.member.take() else {
            return Err(de::Error::custom("a value before its key"));
        };
        seed.deserialize(Node(member))
            .map_err(|misfit| Misfit(misfit.0.within_member(key)))
    }
}

struct Variant<'v, 'de> {
    word: &'v str,
    content: Option<&'v Value<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let word: StrDeserializer<'_, Misfit> = self.word.into_deserializer();
        let variant = match self.content {
            None => seed.deserialize(word)?,
            Some(_) => seed
                .deserialize(word)
                .map_err(|_| Misfit(Fault::new("$", "unknown field").within_member(self.word)))?,
        };
        Ok((variant, self))
    }
}

impl<'de> Variant<'_, 'de> {
    fn content(&self) -> Result<&Value<'de>, Misfit> {
        self.content
            .ok_or_else(|| de::Error::custom(format!("`{}` needs a value", self.word)))
    }

    fn place<T>(&self, result: Result<T, Misfit>) -> Result<T, Misfit> {
        result.map_err(|misfit| Misfit(misfit.0.within_member(self.word)))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format!(
                "expected the word `{}`",
                self.word
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        let content = self.content()?;
        self.place(seed.deserialize(Node(content)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Misfit> {
        let content = self.content()?;
        self.place(Node(content).deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let content = self.content()?;
        self.place(Node(content).deserialize_any(visitor))
    }
}

/// Collects any value, owned.
pub(super) struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without fractions")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        ObjectVisitor.visit_map(access).map(Value::Object)
    }
}

/// Collects any object, owned.
pub(super) struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, member)) = access.next_entry::<String, Value<'static>>()? {
            members.push((Cow::Owned(key), member));
        }
        Object::sorted(members).map_err(|key| de::Error::custom(format!("duplicate key `{key}`")))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        id: String,
        matcher: Matcher,
        #[serde(default, deserialize_with = "present")]
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Matcher {
        Exact(String),
        Any(bool),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rules {
        rules: Vec<Rule>,
    }

    #[test]
    fn a_record_is_decoded_and_a_misfit_names_its_path() {
        let good = br#"{"rules":[{"id":"a","matcher":{"exact":"\u0041"}}]}"#;
        let rules: Rules = from_slice(good).unwrap();
        let matchers: Vec<_> = rules.rules.iter().map(|rule| &rule.matcher).collect();
        assert_eq!(matchers, [&Matcher::Exact("A".to_owned())]);
        for (text, expected) in [
            (
                r#"{"rules":[{"id":"a","matcher":{"any":true},"x":1}]}"#,
                "`$.rules[0].x`: unknown field",
            ),
            (
                r#"{"rules":[{"matcher":{"any":true}}]}"#,
                "`$.rules[0].id`: missing field",
            ),
            (
                r#"{"rules":[{"id":1,"matcher":{"any":true}}]}"#,
                "`$.rules[0].id`: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"rules":[{"id":"a","matcher":{"any":1}}]}"#,
                "`$.rules[0].matcher.any`: invalid type: integer `1`, expected a boolean",
            ),
            (
                r#"{"rules":[{"id":"a","matcher":{"some":1}}]}"#,
                "`$.rules[0].matcher.some`: unknown field",
            ),
            (
                r#"{"rules":[{"id":"a","matcher":{"any":true,"exact":"a"}}]}"#,
                "`$.rules[0].matcher`: expected exactly one member, found 2",
            ),
            (
                r#"{"rules":[{"id":"a","matcher":"any"}]}"#,
                "`$.rules[0].matcher`: `any` needs a value",
            ),
            (
                r#"{"rules":[{"id":"a","matcher":{"any":true},"note":null}]}"#,
                "`$.rules[0].note`: invalid type: unit value, expected a string",
            ),
        ] {
            assert_eq!(
                from_slice::<Rules>(text.as_bytes())
                    .unwrap_err()
                    .to_string(),
                expected
            );
        }
    }
}
