//! The nine classes of outcome, each of which is one exit code.

use std::fmt;

/// What kind of outcome a code is: a script branches on this, a person on the code (core.md, section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The command did what it was asked.
    Ok,
    /// The environment failed; nothing was decided.
    Failed,
    /// The call itself is wrong; only the argument parser and its like answer so, and no code has this class.
    Usage,
    /// The policy, a reviewer or a role says no.
    Refused,
    /// A review is required and not there yet.
    Pending,
    /// Evidence does not hold.
    Unverified,
    /// Something was valid and no longer is.
    Stale,
    /// An input or governed state is malformed, missing or ambiguous.
    Invalid,
    /// Other writers won every try.
    Moved,
}

impl Class {
    /// All classes in the order of their exit codes.
    pub const ALL: &[Self] = &[
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::Pending,
        Self::Unverified,
        Self::Stale,
        Self::Invalid,
        Self::Moved,
    ];

    /// The exit code of a command that ends in this class, 0 to 8.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Pending => 4,
            Self::Unverified => 5,
            Self::Stale => 6,
            Self::Invalid => 7,
            Self::Moved => 8,
        }
    }

    /// The class in one lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Unverified => "unverified",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Moved => "moved",
        }
    }

    /// What a result of this class means, in half a sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "the command did what it was asked",
            Self::Failed => "the environment failed, nothing was decided",
            Self::Usage => "the call itself is wrong",
            Self::Refused => "the policy, a reviewer or a role says no",
            Self::Pending => "a review is required and not there yet",
            Self::Unverified => "evidence does not hold",
            Self::Stale => "it was valid and no longer is",
            Self::Invalid => "an input or governed state is malformed, missing or ambiguous",
            Self::Moved => "other writers won every try",
        }
    }

    /// What a script should do when it meets this class.
    #[must_use]
    pub const fn script_should(self) -> &'static str {
        match self {
            Self::Ok => "go on",
            Self::Failed => "repair and retry",
            Self::Usage => "correct the call",
            Self::Refused => "stop",
            Self::Pending => "ask a person",
            Self::Unverified => "stop, raise the alarm",
            Self::Stale => "ask for a new permit",
            Self::Invalid => "correct the input",
            Self::Moved => "run again",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
