//! Names of Git objects: twenty bytes, printed as forty lower-case hex digits.
use std::{fmt, str::FromStr};

/// Text that is not forty lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object id is 40 lower-case hex digits")]
pub struct InvalidId;

/// Parses exactly forty lower-case hex digits.
pub(super) fn parse_hex(text: &[u8]) -> Option<[u8; 20]> {
    let (pairs, odd) = text.as_chunks::<2>();
    let mut bytes = [0; 20];
    let mut wrong = u8::from(pairs.len() != bytes.len() || !odd.is_empty());
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digit(*high), digit(*low));
        wrong |= (high | low) & 0xF0;
        *byte = (high << 4) | low;
    }
    (wrong == 0).then_some(bytes)
}

/// The value of a lower-case hex digit; 0xFF for any other byte.
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte.wrapping_sub(b'0'),
        b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
        _ => 0xFF,
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 20]);

        impl $name {
            /// Takes the twenty bytes as they are.
            #[must_use]
            pub const fn new(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// Returns the twenty bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text.as_bytes()).map(Self).ok_or(InvalidId)
            }
        }
    };
}

id_type! {
    /// Names a commit.
    CommitId
}

id_type! {
    /// Names an object of any kind: a tree, a file's bytes, a submodule's commit.
    ObjectId
}

impl From<CommitId> for ObjectId {
    fn from(id: CommitId) -> Self {
        Self(id.0)
    }
}

impl ObjectId {
    /// Turns git2's form of an id into ours.
    pub(super) fn from_git(id: git2::Oid) -> Result<Self, super::Error> {
        let bytes = id.as_bytes().try_into();
        bytes.map(Self).map_err(|_| super::Error::Unsupported {
            what: "object ids are not SHA-1".to_owned(),
        })
    }

    /// Turns the id into git2's form.
    pub(super) fn to_git(self) -> Result<git2::Oid, super::Error> {
        Ok(git2::Oid::from_bytes(&self.0)?)
    }

    /// Takes the object for a commit; reading it says whether it is one.
    pub(super) const fn as_commit(self) -> CommitId {
        CommitId(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forty_lower_case_hex_digits_are_an_id() {
        let text = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        assert_eq!(
            text.parse::<CommitId>().map(|id| id.to_string()).as_deref(),
            Ok(text)
        );
        for wrong in [
            &text.to_uppercase(),
            "",
            "4b825dc",
            &format!("{text}0"),
            &format!("{text}\n"),
            &text.replace('4', "g"),
        ] {
            assert_eq!(wrong.parse::<ObjectId>(), Err(InvalidId), "{wrong}");
        }
    }
}
