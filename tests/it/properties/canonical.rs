//! Canonical JSON against RFC 8785 written down once more, and the scanner against the parser.

use std::cmp::Ordering;
use std::fmt::Write as _;

use permit::engine::canonical::{self, scan, to_bytes};
use proptest::prelude::*;
use serde_json::Value;

use super::config;

/// Text with all that is special in JSON, in UTF-16 and in ids.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"',
        '\\',
        '/',
        '\n',
        '\u{0}',
        '\u{1f}',
        '\u{7f}',
        '\u{85}',
        '\u{2028}',
        'é',
        'e',
        '\u{301}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fb33}',
        '\u{ffff}',
        '\u{10000}',
        '😀',
        '\u{10ffff}',
        'a',
        'Z',
        '<',
    ]);
    prop::collection::vec(prop_oneof![3 => special, 1 => any::<char>()], 0..6)
        .prop_map(String::from_iter)
}

fn values() -> impl Strategy<Value = Value> {
    const MOST: i64 = (1 << 53) - 1;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![-MOST..=MOST, Just(MOST), Just(-MOST), -3_i64..3].prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), values(), 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// RFC 8785 written down once more, from its text.
fn by_the_rfc(value: &Value, out: &mut String) {
    let string = |text: &str, out: &mut String| {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\u{c}' => out.push_str("\\f"),
                '\r' => out.push_str("\\r"),
                low if low < ' ' => write!(out, "\\u{:04x}", u32::from(low)).unwrap(),
                other => out.push(other),
            }
        }
        out.push('"');
    };
    let utf16 =
        |left: &str, right: &str| -> Ordering { left.encode_utf16().cmp(right.encode_utf16()) };
    match value {
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                by_the_rfc(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut keys: Vec<_> = members.keys().collect();
            keys.sort_by(|left, right| utf16(left, right));
            out.push('{');
            for (number, key) in keys.into_iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                string(key, out);
                out.push(':');
                by_the_rfc(&members[key], out);
            }
            out.push('}');
        }
        Value::String(text) => string(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// The same value written with white space, needless escapes and its keys in another order.
fn loosely(value: &Value, chance: &mut u64, out: &mut String) {
    let mut next = |out: &mut String| {
        *chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        out.push_str([" ", "\n", "\t\r", "", "", ""][usize::try_from(*chance >> 60).unwrap() % 6]);
        *chance
    };
    next(out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                loosely(item, chance, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (number, (key, member)) in members.iter().rev().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                loosely(&Value::from(key.as_str()), chance, out);
                out.push(':');
                loosely(member, chance, out);
            }
            out.push('}');
        }
        Value::String(text) => {
            out.push('"');
            for unit in text.encode_utf16() {
                write!(out, "\\u{unit:04X}").unwrap();
            }
            out.push('"');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
    if !matches!(value, Value::Number(_)) {
        out.push_str(if chance.is_multiple_of(3) { " " } else { "" });
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn canonical_json_is_that_of_the_rfc_however_it_was_written(value in objects(), chance in any::<u64>()) {
        let (mut expected, mut loose) = (String::new(), String::new());
        by_the_rfc(&value, &mut expected);
        loosely(&value, &mut chance.clone(), &mut loose);
        let parsed = canonical::parse(loose.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(to_bytes(&parsed)).unwrap(), expected.clone());
        let again = canonical::parse(expected.as_bytes()).unwrap();
        prop_assert_eq!(to_bytes(&again), expected.as_bytes());
        prop_assert!(scan::check(&expected).is_ok());
        let back: Value = serde_json::from_str(&expected).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn the_scanner_takes_exactly_what_is_its_own_canonical_form(
        value in objects(), at in any::<prop::sample::Index>(), with in prop::sample::select(vec!["", " ", "\"", "0", "-", ",", "}", "{", "\\u0041", "\u{e000}", "é", "1"]), length in 0_usize..3,
    ) {
        let mut text = String::new();
        by_the_rfc(&value, &mut text);
        let places: Vec<_> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        let from = at.index(places.len());
        let to = (from + length).min(places.len() - 1);
        text.replace_range(places[from]..places[to], with);
        let own = canonical::parse(text.as_bytes()).is_ok_and(|value| to_bytes(&value) == text.as_bytes());
        prop_assert_eq!(scan::check(&text).is_ok(), own, "{}", text);
    }
}
