//! Bytes in any JSON layout to a [`Value`]; everything that section 1 refuses is refused here.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::plain_run;
use super::{Fault, MAX_DEPTH, MAX_INTEGER, Object, Value};

/// What a reader makes of what it reads: a value, or the places where values stand.
pub(super) trait Build<'a> {
    /// What stands for one value.
    type Node;
    /// What stands for one member of an object.
    type Member;

    /// A value without parts.
    fn scalar(value: Value<'a>, place: Range<usize>) -> Self::Node;

    /// An array of these items.
    fn array(items: Vec<Self::Node>, place: Range<usize>) -> Self::Node;

    /// A member: its key, where the key stands, its value.
    fn member(key: Cow<'a, str>, place: Range<usize>, value: Self::Node) -> Self::Member;

    /// An object of these members; else the key that two of them have, and the byte at which it stands again.
    fn object(
        members: Vec<Self::Member>,
        place: Range<usize>,
    ) -> Result<Self::Node, (String, usize)>;
}

/// Makes values, and forgets where they stood.
struct Values;

impl<'a> Build<'a> for Values {
    type Node = Value<'a>;
    type Member = (Cow<'a, str>, Value<'a>);

    fn scalar(value: Value<'a>, _: Range<usize>) -> Value<'a> {
        value
    }

    fn array(items: Vec<Value<'a>>, _: Range<usize>) -> Value<'a> {
        Value::Array(items)
    }

    fn member(key: Cow<'a, str>, _: Range<usize>, value: Value<'a>) -> Self::Member {
        (key, value)
    }

    fn object(
        members: Vec<Self::Member>,
        place: Range<usize>,
    ) -> Result<Value<'a>, (String, usize)> {
        Object::sorted(members)
            .map(Value::Object)
            .map_err(|key| (key, place.end))
    }
}

/// Reads bytes that hold exactly one JSON object, as section 1 restricts it.
///
/// # Errors
/// A [`Fault`] with the JSON path of the first thing that is refused.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, Fault> {
    let value = read::<Values>(bytes).map_err(|(fault, _)| fault)?;
    if value.as_object().is_none() {
        return Err(Fault::new(
            "$",
            format!("the top level is {}, expected an object", value.kind()),
        ));
    }
    Ok(value)
}

/// Reads bytes that hold exactly one JSON value, as section 1 restricts it.
///
/// # Errors
/// The first thing that is refused, and the byte at which it stands.
pub(super) fn read<'a, B: Build<'a>>(bytes: &'a [u8]) -> Result<B::Node, (Fault, usize)> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err((Fault::new("$", "a byte order mark"), 0));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        (Fault::new("$", format!("not UTF-8, at byte {at}")), at)
    })?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value::<B>(1).map_err(|fault| (fault, reader.at))?;
    reader.skip_space();
    if reader.peek().is_some() {
        return Err((reader.expected_nothing(), reader.at));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.step();
        }
    }

    fn fault(what: &str) -> Fault {
        Fault::new("$", what)
    }

    fn expected(&self, what: &str) -> Fault {
        let found = match self.peek() {
            Some(b'/' | b'#') => "a comment, which JSON does not have".to_owned(),
            _ => format!("expected {what}"),
        };
        Fault::new("$", format!("{found}, at byte {}", self.at))
    }

    /// Tells whether a comma that was read is the last thing before the end; goes back to it.
    fn is_trailing(&mut self, comma: usize, end: u8) -> bool {
        self.skip_space();
        let trailing = self.peek() == Some(end);
        if trailing {
            self.at = comma;
        }
        trailing
    }

    fn trailing(&self) -> Fault {
        Fault::new("$", format!("a trailing comma, at byte {}", self.at))
    }

    fn expected_nothing(&self) -> Fault {
        if let Some(b'/' | b'#') = self.peek() {
            return self.expected("the end");
        }
        Fault::new("$", format!("bytes after the end, at byte {}", self.at))
    }

    fn value<B: Build<'a>>(&mut self, depth: usize) -> Result<B::Node, Fault> {
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => return self.object::<B>(depth),
            Some(b'[') => return self.array::<B>(depth),
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number();
                if number.is_err() {
                    self.at = start;
                }
                number?
            }
            _ => self.word()?,
        };
        Ok(B::scalar(value, start..self.at))
    }

    fn word(&mut self) -> Result<Value<'a>, Fault> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at = self.at.saturating_add(word.len());
                return Ok(value);
            }
        }
        Err(self.expected("a value"))
    }

    fn object<B: Build<'a>>(&mut self, depth: usize) -> Result<B::Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(Self::fault("nesting deeper than 64"));
        }
        let start = self.at;
        self.step();
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.step();
            return self.ended::<B>(members, start);
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key"));
            }
            let key_start = self.at;
            let key = self.string()?;
            let key_place = key_start..self.at;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("`:`").within_member(&key));
            }
            self.step();
            let member = self
                .value::<B>(depth.saturating_add(1))
                .map_err(|fault| fault.within_member(&key))?;
            members.push(B::member(key, key_place, member));
            self.skip_space();
            match self.peek() {
                Some(b',') => {
                    let comma = self.at;
                    self.step();
                    if self.is_trailing(comma, b'}') {
                        return Err(self.trailing());
                    }
                }
                Some(b'}') => {
                    self.step();
                    return self.ended::<B>(members, start);
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    /// Ends an object; goes back to the key that stands there twice.
    fn ended<B: Build<'a>>(
        &mut self,
        members: Vec<B::Member>,
        start: usize,
    ) -> Result<B::Node, Fault> {
        B::object(members, start..self.at).map_err(|(key, at)| {
            self.at = at;
            Self::fault("duplicate key").within_member(&key)
        })
    }

    fn array<B: Build<'a>>(&mut self, depth: usize) -> Result<B::Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(Self::fault("nesting deeper than 64"));
        }
        let start = self.at;
        self.step();
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(B::array(items, start..self.at));
        }
        loop {
            let item = self
                .value::<B>(depth.saturating_add(1))
                .map_err(|fault| fault.within_item(items.len()))?;
            items.push(item);
            self.skip_space();
            match self.peek() {
                Some(b',') => {
                    let comma = self.at;
                    self.step();
                    if self.is_trailing(comma, b']') {
                        return Err(self.trailing());
                    }
                }
                Some(b']') => {
                    self.step();
                    return Ok(B::array(items, start..self.at));
                }
                _ => return Err(self.expected("`,` or `]`")),
            }
        }
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let negative = self.peek() == Some(b'-');
        if negative {
            self.step();
        }
        let digits = self
            .rest()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let number = self.rest().get(..digits).unwrap_or_default();
        self.at = self.at.saturating_add(digits);
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(Self::fault("a number with a fraction or an exponent"));
        }
        match number {
            [] => return Err(self.expected("a digit")),
            [b'0'] if negative => return Err(Self::fault("`-0`")),
            [b'0', _, ..] => return Err(Self::fault("a number with a leading zero")),
            _ => {}
        }
        let magnitude = number
            .iter()
            .try_fold(0_i64, |sum, digit| {
                sum.checked_mul(10)?
                    .checked_add(i64::from(digit.wrapping_sub(b'0')))
            })
            .filter(|sum| *sum <= MAX_INTEGER)
            .ok_or_else(|| Self::fault("an integer beyond ±(2^53−1)"))?;
        Ok(Value::Int(if negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        }))
    }

    /// Reads a string from its opening quote; borrows it where nothing was escaped.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.step();
        let mut owned = String::new();
        loop {
            let rest = self.rest();
            let run = plain_run(rest);
            if run == rest.len() {
                return Err(self.expected("the end of a string"));
            }
            let end = self.at.saturating_add(run);
            // INVARIANT: the run ends at an ASCII byte, so this is a character boundary.
            let plain = self.text.get(self.at..end).unwrap_or_default();
            self.at = end;
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    if owned.is_empty() {
                        return Ok(Cow::Borrowed(plain));
                    }
                    owned.push_str(plain);
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    self.step();
                    owned.push_str(plain);
                    owned.push(self.escape()?);
                }
                _ => return Err(Self::fault("a control character that is not escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let escape = self.peek();
        self.step();
        Ok(match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(Self::fault("an unknown escape")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let lone = || Self::fault("a lone surrogate");
        let first = self.four_hex_digits()?;
        if !(0xD800..=0xDFFF).contains(&first) {
            return char::from_u32(first).ok_or_else(lone);
        }
        if first > 0xDBFF || !self.rest().starts_with(b"\\u") {
            return Err(lone());
        }
        self.at = self.at.saturating_add(2);
        let second = self.four_hex_digits()?;
        if !(0xDC00..=0xDFFF).contains(&second) {
            return Err(lone());
        }
        // U+10000 + (high − D800) · 400h + (low − DC00)
        let scalar = (((first & 0x3FF).wrapping_add(0x40)) << 10) | (second & 0x3FF);
        char::from_u32(scalar).ok_or_else(lone)
    }

    fn four_hex_digits(&mut self) -> Result<u32, Fault> {
        let digits = self
            .text
            .get(self.at..self.at.saturating_add(4))
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(|| Self::fault("an unknown escape"))?;
        self.at = self.at.saturating_add(4);
        u32::from_str_radix(digits, 16).map_err(|_| Self::fault("an unknown escape"))
    }
}
