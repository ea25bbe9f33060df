//! Which rules of form a decision is held to.

use super::code::Refusal;

/// Whether something is decided now, or was decided when some rules of form did not exist.
///
/// A rule that refuses a form (an artifact that is not canonical, attestations without a signature, characters that
/// nobody sees) binds new decisions and pushes. What was recorded before it is still what was decided, and a replay
/// says so; whatever acts on it now is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Every rule: `issue`, `use`, `exec`, and the boundary.
    New,
    /// Every rule but those of form, and attestations count by the providers of their base alone: only a replay of what
    /// is recorded.
    Recorded,
}

impl Rules {
    /// Takes what the rules of form say: a new decision is refused, an older one goes on with what it does not meet.
    ///
    /// # Errors
    /// The refusal, where the rules of form bind.
    pub fn older(self, form: Result<(), Refusal>) -> Result<Option<Refusal>, Refusal> {
        match form {
            Err(refusal) if self.bind_form() => Err(refusal),
            form => Ok(form.err()),
        }
    }

    /// Whether the rules of form bind.
    #[must_use]
    pub fn bind_form(self) -> bool {
        self == Self::New
    }
}
