//! Splits SSH wire data (RFC 4251 section 5) into its fields, with nothing left over.
//!
//! The `ssh-key` crate does not check that a length-prefixed field is used up by what it decodes from it, so that
//! surplus bytes would be read as the next field. The fields are therefore cut out here, and only whole ones are handed on.

/// A cursor over SSH wire data.
pub(super) struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    /// Starts at the first byte.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes exactly `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    /// Takes a `uint32`: four bytes, most significant first.
    pub(super) fn number(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Takes a `string`: a `uint32` length, then that many bytes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// Takes a `string` that is UTF-8 text.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// Ends the reading: nothing may be left.
    pub(super) fn finish(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_whole_or_nothing() {
        let mut wire = Wire::new(b"\0\0\0\x02hi\0\0\0\x01");
        assert_eq!(wire.text(), Some("hi"));
        assert_eq!(wire.number(), Some(1));
        assert_eq!(wire.number(), None);
        assert_eq!(wire.finish(), Some(()));
        assert_eq!(Wire::new(b"\0\0\0\x03hi").string(), None);
        assert_eq!(Wire::new(b"\xff\xff\xff\xffhi").string(), None);
        assert_eq!(Wire::new(b"x").finish(), None);
    }
}
