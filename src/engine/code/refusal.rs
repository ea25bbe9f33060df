//! "No" as a value with a reason.

use super::{Class, Code};

/// An answer that is not yes: which code, what exactly, what was found and what to do next.
///
/// Its `Display` is the message: one line, lower-case, no final period, user text in backticks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable reason; its class is the exit code.
    pub code: Code,
    /// What happened here, in one line.
    pub message: String,
    /// What was expected and what was found, as named values in the order in which they are shown.
    pub details: Vec<(String, String)>,
    /// What to do next in this case; absent where the code's hint says all.
    pub next_step: Option<String>,
}

impl Refusal {
    /// Makes a refusal without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            next_step: None,
        }
    }

    /// Adds one named value below the message.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }

    /// Replaces the code's hint by a step that fits this case: a command or an action in one line.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// The details by name, in the order in which the names came; a name that came more than once has more than one
    /// value, and none is lost.
    #[must_use]
    pub fn grouped(&self) -> Vec<(&str, Vec<&str>)> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in &self.details {
            match groups.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => groups.push((name, vec![value])),
            }
        }
        groups
    }

    /// The class of the code.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.code.class()
    }

    /// What to do next: this refusal's own step, else the code's hint.
    #[must_use]
    pub fn next_step(&self) -> &str {
        self.next_step
            .as_deref()
            .unwrap_or_else(|| self.code.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_its_message_and_falls_back_on_the_hint() {
        let refusal = Refusal::new(
            Code::ChainTampered,
            "event 17 does not match its recorded hash",
        )
        .detail("recorded", "9f2c")
        .detail("computed", "41ab");
        assert_eq!(
            refusal.to_string(),
            "event 17 does not match its recorded hash"
        );
        assert_eq!(refusal.next_step(), Code::ChainTampered.hint());
        assert_eq!(refusal.class(), Class::Unverified);
        assert_eq!(
            refusal.details,
            [
                ("recorded".to_owned(), "9f2c".to_owned()),
                ("computed".to_owned(), "41ab".to_owned())
            ]
        );
        assert_eq!(
            refusal.clone().detail("recorded", "77aa").grouped(),
            [
                ("recorded", vec!["9f2c", "77aa"]),
                ("computed", vec!["41ab"])
            ]
        );
        assert_eq!(
            refusal.next("run `permit status`").next_step(),
            "run `permit status`"
        );
    }
}
