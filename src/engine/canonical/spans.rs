//! Where in the bytes each value stands: the strict parser once more, run only when a position is wanted.

use std::borrow::Cow;
use std::ops::Range;

use super::parse::{Build, read};
use super::{Fault, Value};

/// One step of a path into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into the member of this key.
    Key(String),
    /// Into the item of this index.
    Item(usize),
}

/// The byte ranges of a value, of its parts and of their keys.
#[derive(Debug)]
pub struct Spans<'a> {
    value: Range<usize>,
    parts: Parts<'a>,
}

#[derive(Debug)]
enum Parts<'a> {
    None,
    Items(Vec<Spans<'a>>),
    /// Sorted by key.
    Members(Vec<Member<'a>>),
}

/// A member: its key, where the key stands, its value.
type Member<'a> = (Cow<'a, str>, Range<usize>, Spans<'a>);

/// Why bytes have no spans: what the parser refuses, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// What is refused.
    pub fault: Fault,
    /// The byte at which it stands.
    pub at: usize,
}

/// Reads the spans of bytes that hold exactly one JSON value.
///
/// # Errors
/// What [`parse`](super::parse()) refuses, with the byte at which it stands.
pub fn spans(bytes: &[u8]) -> Result<Spans<'_>, Misplaced> {
    read::<Places>(bytes).map_err(|(fault, at)| Misplaced { fault, at })
}

impl<'a> Spans<'a> {
    /// The bytes of the value itself.
    #[must_use]
    pub fn value(&self) -> Range<usize> {
        self.value.clone()
    }

    /// The bytes of the value at the end of a path.
    #[must_use]
    pub fn value_at(&self, path: &[Step]) -> Option<Range<usize>> {
        self.at(path).map(Spans::value)
    }

    /// The bytes of the key of the member at the end of a path.
    #[must_use]
    pub fn key_at(&self, path: &[Step]) -> Option<Range<usize>> {
        let (last, above) = path.split_last()?;
        let Step::Key(key) = last else {
            return None;
        };
        self.at(above)?
            .member(key)
            .map(|(_, place, _)| place.clone())
    }

    fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |spans, step| match (step, &spans.parts) {
                (Step::Item(index), Parts::Items(items)) => items.get(*index),
                (Step::Key(key), _) => spans.member(key).map(|(_, _, value)| value),
                (Step::Item(_), _) => None,
            })
    }

    fn member(&self, key: &str) -> Option<&Member<'a>> {
        let Parts::Members(members) = &self.parts else {
            return None;
        };
        let place = members
            .binary_search_by(|(own, _, _)| own.as_ref().cmp(key))
            .ok()?;
        members.get(place)
    }
}

/// Makes spans, and forgets the values.
struct Places;

impl<'a> Build<'a> for Places {
    type Node = Spans<'a>;
    type Member = Member<'a>;

    fn scalar(_: Value<'a>, value: Range<usize>) -> Spans<'a> {
        let parts = Parts::None;
        Spans { value, parts }
    }

    fn array(items: Vec<Spans<'a>>, value: Range<usize>) -> Spans<'a> {
        let parts = Parts::Items(items);
        Spans { value, parts }
    }

    fn member(key: Cow<'a, str>, place: Range<usize>, value: Spans<'a>) -> Member<'a> {
        (key, place, value)
    }

    fn object(
        mut members: Vec<Member<'a>>,
        value: Range<usize>,
    ) -> Result<Spans<'a>, (String, usize)> {
        members.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        let twice = members.windows(2).find_map(|pair| match pair {
            [(one, ..), (other, place, _)] if one == other => Some((other, place.start)),
            _ => None,
        });
        if let Some((key, at)) = twice {
            return Err((Cow::clone(key).into_owned(), at));
        }
        let parts = Parts::Members(members);
        Ok(Spans { value, parts })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::super::{Object, parse, to_text};
    use super::*;

    /// Every path into a value, with what stands there.
    fn all<'v>(
        value: &'v Value<'static>,
        path: &[Step],
        found: &mut Vec<(Vec<Step>, &'v Value<'static>)>,
    ) {
        found.push((path.to_vec(), value));
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    all(item, &[path, &[Step::Item(index)]].concat(), found);
                }
            }
            Value::Object(members) => {
                for (key, member) in members.iter() {
                    all(
                        member,
                        &[path, &[Step::Key(key.to_owned())]].concat(),
                        found,
                    );
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => {}
        }
    }

    fn values() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-9_i64..99).prop_map(Value::Int),
            "\\PC{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[a-c\"é\u{1F600}]{0,2}", inner), 0..4).prop_map(
                    |members| {
                        let mut object = Object::new();
                        for (key, member) in members {
                            object.insert(key, member);
                        }
                        Value::Object(object)
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn each_span_holds_exactly_its_value(value in values(), space in "[ \t\n]{0,3}") {
            let mut object = Object::new();
            object.insert("top", value);
            let value = Value::Object(object);
            let text = to_text(&value);
            // White space where it stands between tokens, never inside a string.
            let text = format!("{space}{text}{space}");
            let spans = spans(text.as_bytes()).unwrap();
            let mut found = Vec::new();
            all(&value, &[], &mut found);
            for (path, part) in found {
                let place = spans.value_at(&path).unwrap();
                prop_assert_eq!(text.get(place).unwrap(), to_text(part));
                if let Some(Step::Key(key)) = path.last() {
                    let place = spans.key_at(&path).unwrap();
                    prop_assert_eq!(text.get(place).unwrap(), to_text(&Value::from(key.as_str())));
                }
            }
        }

        #[test]
        fn whatever_the_bytes_are_both_readers_agree(bytes in prop::collection::vec(
            prop::sample::select(b"{}[]\",:\\/#*u0129eE.- \n\ttrufalsn\xC3\xA9".to_vec()), 0..40)) {
            let mut text = b"{\"a\":".to_vec();
            text.extend(bytes);
            text.push(b'}');
            match (parse(&text), spans(&text)) {
                (Ok(_), Ok(_)) => {}
                (Err(fault), Err(misplaced)) => {
                    prop_assert_eq!(fault, misplaced.fault);
                    prop_assert!(misplaced.at <= text.len());
                }
                (one, other) => prop_assert!(false, "{:?} {:?}", one, other),
            }
        }
    }

    #[test]
    fn a_fault_stands_at_its_byte() {
        for (text, at) in [
            ("{\"a\":1,}", 6),
            ("{\"a\":01}", 5),
            ("{\"a\":1.5}", 5),
            ("{\"b\":1,\"a\":2,\"b\":3}", 13),
            ("{\"a\":1 // x\n}", 7),
            ("{\"a\"", 4),
            ("\u{feff}{}", 0),
        ] {
            assert_eq!(spans(text.as_bytes()).unwrap_err().at, at, "{text}");
        }
    }
}
