//! Is this already the canonical form? One pass over the bytes, without a tree and without a copy.
//!
//! This is what makes a long stream verify at the speed at which its bytes can be read: an event's bytes are checked
//! and its parts found as slices of them. The caller has checked that the bytes are UTF-8.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a byte scanner: every index is bounded by a comparison that stands beside it"
)]

use std::cmp::Ordering;

use super::{MAX_DEPTH, key_order};

/// A place in canonical bytes; every step either moves on or says that the form is broken there.
#[derive(Debug, Clone, Copy)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// Bytes that are not the canonical form, at this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCanonical {
    /// Offset of the first byte that cannot stand there.
    pub at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The offset of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The text between two offsets that this scanner returned.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Tells whether all bytes have been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn broken<T>(&self) -> Result<T, NotCanonical> {
        Err(NotCanonical { at: self.at })
    }

    /// Steps over these exact bytes if they come next.
    #[inline]
    pub fn skip(&mut self, literal: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if found {
            self.at += literal.len();
        }
        found
    }

    /// Steps over these exact bytes.
    ///
    /// # Errors
    /// Other bytes come next.
    #[inline]
    pub fn expect(&mut self, literal: &str) -> Result<(), NotCanonical> {
        if self.skip(literal) {
            Ok(())
        } else {
            self.broken()
        }
    }

    /// Steps over a string and returns its text as it is written, escapes and all, without the quotes.
    ///
    /// # Errors
    /// No string comes next, or an escape is not the minimal one.
    pub fn string(&mut self) -> Result<&'a str, NotCanonical> {
        self.written().map(|written| written.text)
    }

    fn written(&mut self) -> Result<Written<'a>, NotCanonical> {
        let bytes = self.text.as_bytes();
        if self.peek() != Some(b'"') {
            return self.broken();
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += plain_run(&bytes[at..]);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += self.escape(at)?,
                _ => return Err(NotCanonical { at }),
            }
            escaped = true;
        }
        self.at = at + 1;
        let text = self.slice(start, at);
        Ok(Written { text, escaped })
    }

    /// Measures a minimal escape: `\" \\ \b \t \n \f \r`, else `\u00xx` in lower case for the other controls.
    fn escape(&self, at: usize) -> Result<usize, NotCanonical> {
        match &self.text.as_bytes()[at + 1..] {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => Ok(2),
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..]
            | [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => Ok(6),
            _ => Err(NotCanonical { at }),
        }
    }

    /// Steps over an integer within ±(2^53−1) and returns it.
    ///
    /// # Errors
    /// No integer comes next, or one in another form (`-0`, leading zero, fraction, exponent).
    pub fn integer(&mut self) -> Result<i64, NotCanonical> {
        let bytes = self.text.as_bytes();
        let negative = self.peek() == Some(b'-');
        let start = self.at + usize::from(negative);
        let mut at = start;
        let mut number = 0_i64;
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            if at - start == 16 {
                return self.broken();
            }
            number = number * 10 + i64::from(digit - b'0');
            at += 1;
        }
        let leading_zero = bytes.get(start) == Some(&b'0') && (at - start > 1 || negative);
        if at == start || leading_zero || number > super::MAX_INTEGER {
            return self.broken();
        }
        if let Some(b'.' | b'e' | b'E') = bytes.get(at) {
            return self.broken();
        }
        self.at = at;
        Ok(if negative { -number } else { number })
    }

    /// Steps over any value.
    ///
    /// # Errors
    /// The bytes are not the canonical form of a value, or nest deeper than [`MAX_DEPTH`] counted from `depth`.
    pub fn value(&mut self, depth: usize) -> Result<(), NotCanonical> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.members(depth, |_, _| ()),
            Some(b'[') => self.items(depth),
            Some(b't') => self.expect("true"),
            Some(b'f') => self.expect("false"),
            Some(b'n') => self.expect("null"),
            _ => self.integer().map(|_| ()),
        }
    }

    /// Steps over an object and shows each member as it is written: its key without quotes, and its value.
    ///
    /// # Errors
    /// As [`Scanner::value`]; keys out of order or repeated among them.
    pub fn members(
        &mut self,
        depth: usize,
        mut see: impl FnMut(&'a str, &'a str),
    ) -> Result<(), NotCanonical> {
        if depth > MAX_DEPTH {
            return self.broken();
        }
        self.expect("{")?;
        if self.skip("}") {
            return Ok(());
        }
        let mut before: Option<Written<'_>> = None;
        loop {
            let start = self.at;
            let key = self.written()?;
            if before.is_some_and(|before| !before.stands_before(key)) {
                return Err(NotCanonical { at: start });
            }
            before = Some(key);
            self.expect(":")?;
            let from = self.at;
            self.value(depth + 1)?;
            see(key.text, self.slice(from, self.at));
            if !self.skip(",") {
                return self.expect("}");
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<(), NotCanonical> {
        if depth > MAX_DEPTH {
            return self.broken();
        }
        self.expect("[")?;
        if self.skip("]") {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if !self.skip(",") {
                return self.expect("]");
            }
        }
    }
}

/// Turns a string as it is written canonically into its text.
#[must_use]
pub fn unescape(written: &str) -> std::borrow::Cow<'_, str> {
    if !written.contains('\\') {
        return written.into();
    }
    let mut text = String::with_capacity(written.len());
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('b') => text.push('\u{8}'),
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('f') => text.push('\u{c}'),
            Some('r') => text.push('\r'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                text.extend(
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32),
                );
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text.into()
}

/// A string as it is written, without its quotes.
#[derive(Clone, Copy)]
struct Written<'a> {
    text: &'a str,
    /// Whether it holds an escape.
    escaped: bool,
}

impl Written<'_> {
    /// Tells whether this key sorts before another; only escapes need a look behind the writing.
    fn stands_before(self, other: Written<'_>) -> bool {
        let order = if self.escaped || other.escaped {
            key_order(&unescape(self.text), &unescape(other.text))
        } else {
            key_order(self.text, other.text)
        };
        order == Ordering::Less
    }
}

/// Counts the leading bytes that stand for themselves in a JSON string: no `"`, no `\`, no control (U+0000–001F).
///
/// Eight bytes a step: subtracting 1 from each byte of a word sets the top bit of the first byte that was 0, and so
/// finds a byte that was `"` or `\` once those bits are cleared; subtracting 0x20 finds the controls. A borrow can only
/// mark bytes after the first.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5C);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = (found & TOPS).trailing_zeros();
        if found < u64::BITS {
            return index * 8 + usize::from(u8::try_from(found / 8).unwrap_or(0));
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0x00..=0x1F);
    let run = tail.iter().position(special).unwrap_or(tail.len());
    bytes.len() - tail.len() + run
}

/// Tells whether text is the canonical form of exactly one object.
///
/// # Errors
/// The offset of the first byte that breaks the form.
pub fn check(text: &str) -> Result<(), NotCanonical> {
    let mut scanner = Scanner::new(text);
    scanner.members(1, |_, _| ())?;
    if scanner.is_done() {
        Ok(())
    } else {
        scanner.broken()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, to_bytes};
    use super::{check, plain_run};

    #[test]
    fn accepts_exactly_what_the_writer_writes() {
        for (text, canonical) in [
            ("{}", true),
            (r#"{"a":1}"#, true),
            (r#"{"a": 1}"#, false),
            (r#"{"a":1} "#, false),
            (r#"{"b":1,"a":1}"#, false),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":-0}"#, false),
            (r#"{"a":00}"#, false),
            (r#"{"a":-1}"#, true),
            (r#"{"a":1.0}"#, false),
            (r#"{"a":9007199254740991}"#, true),
            (r#"{"a":9007199254740992}"#, false),
            (r#"{"a":99999999999999999999}"#, false),
            (r#"{"a":"\/"}"#, false),
            (r#"{"a":"\u0041"}"#, false),
            (r#"{"a":"\u0008"}"#, false),
            (r#"{"a":"\u001F"}"#, false),
            (r#"{"a":"\u001f\u0000\b\"\\"}"#, true),
            (r#"{"\t":1,"\n":1}"#, true),
            (r#"{"\n":1,"\t":1}"#, false),
            (r#"{"a":[1,"b",{"c":null}],"d":[],"e":{}}"#, true),
            (r#"{"a":[1,]}"#, false),
            ("[]", false),
            (r#"{"a":tru}"#, false),
            (r#"{"a""#, false),
            (r#"{"a":""#, false),
            ("{\"a\":\"\\", false),
            ("{\"a\":\"\u{7f}\u{2028}é\"}", true),
        ] {
            assert_eq!(check(text).is_ok(), canonical, "{text}");
            if let Ok(value) = parse(text.as_bytes()) {
                assert_eq!(to_bytes(&value) == text.as_bytes(), canonical, "{text}");
            } else {
                assert!(!canonical, "{text}");
            }
        }
    }

    #[test]
    fn a_plain_run_ends_at_the_first_byte_with_a_meaning_wherever_it_stands() {
        for length in 0..40 {
            for byte in 0..=u8::MAX {
                for at in 0..length {
                    let mut bytes = vec![0x80 | byte; length];
                    bytes[at] = byte;
                    let plain = !matches!(byte, b'"' | b'\\' | 0x00..=0x1F);
                    assert_eq!(plain_run(&bytes), if plain { length } else { at });
                }
            }
        }
        assert_eq!(plain_run(b"abcdefgh\"\\"), 8);
        assert_eq!(plain_run(b"\x01\x00"), 0);
        assert_eq!(plain_run(b"!#[]\x20\x7f\xff\x5d\x23"), 9);
    }
}
