//! A serialisable record to a [`Value`]: members are sorted as they come, and what no hash may rest on is refused.

use std::borrow::Cow;
use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};

use super::{Fault, MAX_INTEGER, Object, Value};

/// Converts a serialisable record to a value.
///
/// # Errors
/// A [`Fault`] where the record holds a float, an integer beyond ±[`MAX_INTEGER`], or a key that is no text.
pub fn to_value<T: Serialize + ?Sized>(record: &T) -> Result<Value<'static>, Fault> {
    record.serialize(ToValue)
}

/// Converts a serialisable record to an object.
///
/// # Errors
/// As [`to_value`]; also where the record is no object.
pub fn to_object<T: Serialize + ?Sized>(record: &T) -> Result<Object<'static>, Fault> {
    let Value::Object(object) = to_value(record)? else {
        return Err(Fault::new("$", "a record that is no object"));
    };
    Ok(object)
}

struct ToValue;

/// An array that is being filled, and the variant that it belongs to.
struct Items {
    variant: Option<&'static str>,
    items: Vec<Value<'static>>,
}

/// An object that is being filled, the variant that it belongs to, and a key that waits for its member.
struct Members {
    variant: Option<&'static str>,
    object: Object<'static>,
    key: Option<String>,
}

impl ser::Error for Fault {
    fn custom<T: Display>(what: T) -> Self {
        Fault::new("$", what.to_string())
    }
}

fn integer(number: impl TryInto<i64> + Copy + Display) -> Result<Value<'static>, Fault> {
    let fits = |found: &i64| found.unsigned_abs() <= MAX_INTEGER.unsigned_abs();
    let found = number.try_into().ok().filter(fits);
    found.map(Value::Int).ok_or_else(|| {
        let what = format!("`{number}` is not an integer within ±(2^53−1)");
        Fault::new("$", what)
    })
}

fn float() -> Fault {
    Fault::new("$", "a number with a fraction or an exponent")
}

/// Puts a value below the name of its variant, where it has one.
fn tagged(variant: Option<&'static str>, value: Value<'static>) -> Value<'static> {
    match variant {
        Some(name) => Value::Object(Object::of([(name, value)])),
        None => value,
    }
}

impl Serializer for ToValue {
    type Ok = Value<'static>;
    type Error = Fault;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    fn serialize_bool(self, flag: bool) -> Result<Self::Ok, Fault> {
        Ok(Value::Bool(flag))
    }

    fn serialize_i8(self, number: i8) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_i16(self, number: i16) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_i32(self, number: i32) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_i64(self, number: i64) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_u8(self, number: u8) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_u16(self, number: u16) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_u32(self, number: u32) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_u64(self, number: u64) -> Result<Self::Ok, Fault> {
        integer(number)
    }

    fn serialize_f32(self, _: f32) -> Result<Self::Ok, Fault> {
        Err(float())
    }

    fn serialize_f64(self, _: f64) -> Result<Self::Ok, Fault> {
        Err(float())
    }

    fn serialize_char(self, character: char) -> Result<Self::Ok, Fault> {
        Ok(Value::from(character.to_string()))
    }

    fn serialize_str(self, text: &str) -> Result<Self::Ok, Fault> {
        Ok(Value::from(text.to_owned()))
    }

    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Result<Self::Ok, Fault> {
        Ok(Value::from(text.to_string()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Self::Ok, Fault> {
        let items = bytes.iter().map(|byte| Value::Int(i64::from(*byte)));
        Ok(Value::Array(items.collect()))
    }

    fn serialize_none(self) -> Result<Self::Ok, Fault> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Fault> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Self::Ok, Fault> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Self::Ok, Fault> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Self::Ok, Fault> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Fault> {
        Ok(tagged(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Fault> {
        Ok(Items {
            variant: None,
            items: Vec::with_capacity(length.unwrap_or(0)),
        })
    }

    fn serialize_tuple(self, length: usize) -> Result<Items, Fault> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Items, Fault> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items, Fault> {
        let mut items = self.serialize_seq(Some(length))?;
        items.variant = Some(variant);
        Ok(items)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Members, Fault> {
        Ok(Members {
            variant: None,
            object: Object::with_capacity(length.unwrap_or(0)),
            key: None,
        })
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Members, Fault> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Members, Fault> {
        let mut members = self.serialize_map(Some(length))?;
        members.variant = Some(variant);
        Ok(members)
    }
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.items.push(item.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value<'static> {
        tagged(self.variant, Value::Array(self.items))
    }
}

impl Members {
    fn put<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        member: &T,
    ) -> Result<(), Fault> {
        self.object.insert(key, member.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value<'static> {
        tagged(self.variant, Value::Object(self.object))
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.push(item)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for Items {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.push(item)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for Items {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.push(item)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleVariant for Items {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Fault> {
        self.push(item)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeMap for Members {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        match key.serialize(ToValue)? {
            Value::String(text) => self.key = Some(text.into_owned()),
            Value::Int(number) => self.key = Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Fault::new("$", "a key that is no text"));
            }
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, member: &T) -> Result<(), Fault> {
        let key = self.key.take().unwrap_or_default();
        self.put(key, member)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeStruct for Members {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        member: &T,
    ) -> Result<(), Fault> {
        self.put(key, member)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Members {
    type Ok = Value<'static>;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        member: &T,
    ) -> Result<(), Fault> {
        self.put(key, member)
    }

    fn end(self) -> Result<Self::Ok, Fault> {
        Ok(self.finish())
    }
}
