//! The one rule for ids, actors, selectors, operations and targets (core.md section 1).

/// The longest id, actor, selector, operation or target, in bytes.
pub const MAX_ID: usize = 4096;

/// Says why a text cannot be an id, actor, selector, operation or target; nothing if it can.
#[must_use]
pub fn id_fault(text: &str) -> Option<&'static str> {
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
