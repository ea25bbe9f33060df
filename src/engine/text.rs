//! The one rule for ids, actors, selectors, operations and targets, and the characters that nobody sees.

use std::sync::LazyLock;

use regex::Regex;

/// The longest id, actor, selector, operation or target, in bytes.
pub const MAX_ID: usize = 4096;

/// The characters that no reader sees: format characters, and those that are left out where a font does not know them.
static UNSEEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]").ok());

/// Says why a text cannot be an id, actor, selector, operation or role name; nothing if it can.
///
/// Beyond [`text_fault`], two ids that look alike are the same id: no character is left out when they are shown.
#[must_use]
pub fn id_fault(text: &str) -> Option<&'static str> {
    text_fault(text).or_else(|| unseen_fault(text))
}

/// Says that a text holds a character that nobody sees: a form that new decisions refuse and old records may have.
#[must_use]
pub fn unseen_fault(text: &str) -> Option<&'static str> {
    (!text.is_ascii() && text.chars().any(is_unseen))
        .then_some("holds a character that is not shown")
}

/// Whether a character is a format character or default-ignorable: all of `Cf` and `Default_Ignorable_Code_Point`.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    let mut buffer = [0; 4];
    // INVARIANT: the pattern is fixed and the crate has the tables; were it otherwise, everything would count as unseen.
    UNSEEN
        .as_ref()
        .is_none_or(|unseen| unseen.is_match(character.encode_utf8(&mut buffer)))
}

/// Says why a text cannot be a target, or stand in any record as one of its names; nothing if it can.
#[must_use]
pub fn text_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_ID {
        Some("is longer than 4096 bytes")
    } else if text.chars().any(char::is_control) {
        Some("holds a control character")
    } else {
        None
    }
}

/// Says why a text cannot name a stream (core.md section 2); nothing if it can.
#[must_use]
pub fn stream_id_fault(text: &str) -> Option<&'static str> {
    let mut bytes = text.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = bytes
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    if !first || !rest || text.len() > 128 {
        Some("does not match `[a-z0-9][a-z0-9._-]{0,127}`")
    } else if text.contains("..") || text.strip_suffix(".lock").is_some() || text.ends_with('.') {
        Some("holds `..`, or ends in `.lock` or `.`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_no_control_characters_and_are_bounded() {
        assert_eq!(id_fault("agent:codex é"), None);
        assert_eq!(id_fault(""), Some("is empty"));
        assert_eq!(id_fault("a\u{9f}b"), Some("holds a control character"));
        assert_eq!(id_fault("a\nb"), Some("holds a control character"));
        assert_eq!(id_fault(&"a".repeat(4096)), None);
        assert!(id_fault(&"a".repeat(4097)).is_some());
    }

    #[test]
    fn ids_hold_nothing_that_is_not_shown_and_targets_may() {
        for unseen in [
            "agent:co\u{200b}dex",
            "agent:codex\u{ad}",
            "agent:\u{feff}codex",
            "agent:codex\u{2060}",
            "agent:codex\u{fe0f}",
            "agent:codex\u{e0041}",
            "agent:codex\u{3164}",
            "agent:codex\u{115f}",
            "agent:codex\u{202e}",
            "agent:codex\u{600}",
            "agent:codex\u{e01ef}",
        ] {
            let refused = Some("holds a character that is not shown");
            assert_eq!(id_fault(unseen), refused, "{}", unseen.escape_unicode());
            assert_eq!(text_fault(unseen), None, "{}", unseen.escape_unicode());
        }
        for seen in ["agent:käthe", "agent:日本語", "agent:🦀", "e\u{301}"] {
            assert_eq!(id_fault(seen), None, "{seen}");
        }
    }

    #[test]
    fn stream_ids_are_names_that_git_takes_too() {
        for good in ["main", "a", "0-x_y.z", &"a".repeat(128)] {
            assert_eq!(stream_id_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "A",
            ".a",
            "a..b",
            "a.lock",
            "a.",
            "a/b",
            "é",
            "-a",
            &"a".repeat(129),
        ] {
            assert!(stream_id_fault(bad).is_some(), "{bad}");
        }
    }
}
