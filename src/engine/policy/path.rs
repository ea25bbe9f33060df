//! Targets that are paths: which writings name another place than they seem to (policy.md section 1).

use std::borrow::Cow;

/// Says what is wrong with a path; nothing where it names the place that it seems to name.
///
/// A segment `.`, `..` or an empty one, written plainly or percent-encoded any number of times, and an encoded
/// separator. The first and the last segment may be empty, and the one after a scheme that stands first.
pub(super) fn path_fault(target: &str) -> Option<&'static str> {
    let mut segments = target.split(['/', '\\']).enumerate().peekable();
    let mut after_scheme = false;
    while let Some((index, segment)) = segments.next() {
        let may_be_empty = index == 0 || segments.peek().is_none() || after_scheme;
        after_scheme = index == 0 && is_scheme(segment);
        if segment.is_empty() {
            if !may_be_empty {
                return Some("an empty segment");
            }
            continue;
        }
        let decoded = decode(segment.as_bytes());
        match decoded.as_ref() {
            b"." => return Some("a segment `.`"),
            b".." => return Some("a segment `..`"),
            bytes if bytes.iter().any(|byte| matches!(byte, b'/' | b'\\')) => {
                return Some("an encoded separator");
            }
            _ => {}
        }
    }
    None
}

/// `[A-Za-z][A-Za-z0-9+.-]*:`
fn is_scheme(segment: &str) -> bool {
    segment.strip_suffix(':').is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'))
    })
}

/// Percent-decodes until nothing changes, in one pass.
///
/// Neither `%` nor a hex digit is what is looked for, so that whatever one decoding shows the last one still shows.
fn decode(segment: &[u8]) -> Cow<'_, [u8]> {
    if !segment.contains(&b'%') {
        return Cow::Borrowed(segment);
    }
    let mut decoded: Vec<u8> = Vec::with_capacity(segment.len());
    for byte in segment {
        decoded.push(*byte);
        // What was decoded may end another escape: `%%32e` is `%2e` is `.`.
        while let [.., b'%', high, low] = decoded.as_slice() {
            let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
                break;
            };
            let byte = (high << 4) | low;
            decoded.truncate(decoded.len().saturating_sub(3));
            decoded.push(byte);
        }
    }
    Cow::Owned(decoded)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::path_fault;

    #[test]
    fn a_path_that_names_another_place_than_it_seems_is_a_fault() {
        for target in [
            "..",
            ".",
            "a/..",
            "a/../b",
            "./a",
            "a/.",
            "a//b",
            "//a",
            "a//",
            "//",
            "a\\..\\b",
            "a\\\\b",
            "a/\\b",
            "%2e%2e",
            "a/%2E%2e/b",
            "a/.%2e/b",
            "a/%2e",
            "a/%252e%252e/b",
            "a/%25252e/b",
            "a/%%32e/b",
            "a/%2%65/b",
            "a%2fb",
            "a%5cb",
            "a%252fb",
            "workspace/x%2F..",
            "file:///x",
            "https://h//p",
            "https://h/../p",
            "x/https://h",
            "1s://h",
            "workspace/src/../governance/x",
        ] {
            assert!(path_fault(target).is_some(), "{target}");
        }
    }

    #[test]
    fn dots_and_percents_that_hide_nothing_are_no_fault() {
        for target in [
            "a..b",
            "..a",
            "a/..b/c",
            "a/b../c",
            "...",
            "a/.git/b",
            "/a/b",
            "a/b/",
            "/",
            "\\",
            "https://h/p",
            "https://",
            "git+ssh://h/p",
            "a/%20b",
            "100%",
            "a/%zz/b",
            "a%252",
            "%61/b",
            "refs/heads/main",
            "governance",
        ] {
            assert_eq!(path_fault(target), None, "{target}");
        }
    }
}
