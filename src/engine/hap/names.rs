//! The patterns that values must match before they may stand in a frame, a context or a ref (hap.md section 1).
//!
//! Each predicate looks at the whole text, first byte to last, so that a line feed at the end never slips through.
//! A value that does not match is refused; nothing is ever encoded, trimmed or folded to make it match.

fn is_word(text: &str, extra: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

/// Tells whether a text is a forge's repository name: `[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+`.
#[must_use]
pub fn is_repo(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(owner, name)| is_word(owner, b"_.-") && is_word(name, b"_.-"))
}

/// Tells whether a text is a full object id: 40 or 64 lower-case hexadecimal digits.
#[must_use]
pub fn is_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells whether a text can name an environment: `[a-z0-9_-]+`.
#[must_use]
pub fn is_env(text: &str) -> bool {
    is_word(text, b"_-") && !text.bytes().any(|b| b.is_ascii_uppercase())
}

/// Tells whether a text can name an execution path: `[a-z0-9_-]+`.
#[must_use]
pub fn is_path(text: &str) -> bool {
    is_env(text)
}

/// Tells whether a text is a profile id: `[A-Za-z0-9_./-]+@[0-9]+\.[0-9]+`.
#[must_use]
pub fn is_profile_id(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.rsplit_once('@').is_some_and(|(name, version)| {
        is_word(name, b"_./-")
            && version
                .split_once('.')
                .is_some_and(|(major, minor)| digits(major) && digits(minor))
    })
}

/// Tells whether a text is a decentralized identifier that can be compared byte by byte: `did:<method>:<id>`.
///
/// Wider than the DID syntax, since section 10.2 itself names `did:email:dave@company.com`; but printable ASCII only,
/// and none of the characters that mean something in an allowed signers file.
#[must_use]
pub fn is_did(text: &str) -> bool {
    let Some((method, id)) = text
        .strip_prefix("did:")
        .and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    !method.is_empty()
        && method
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && !id.is_empty()
        && text.len() <= 1024
        && id
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b'*' | b'?' | b'!' | b'\\'))
}

/// Tells whether a text can name a domain: any id without white space at its ends.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    crate::engine::text::id_fault(text).is_none() && text.trim() == text
}

/// Tells whether a text is a UUID: 8-4-4-4-12 hexadecimal digits.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_an_owner_and_a_name() {
        for good in ["owner/repo", "-o/-r", "A.b/c_d"] {
            assert!(is_repo(good), "{good}");
        }
        for bad in [
            "", "repo", "a/", "/b", "a/b/c", "a/b\n", "a b/c", "a/b%", "é/b",
        ] {
            assert!(!is_repo(bad), "{bad}");
        }
    }

    #[test]
    fn profile_ids_end_in_a_version_and_hold_nothing_that_a_prototype_would() {
        for good in ["deploy-gate@0.3", "github.com/x/deploy-gate@10.20"] {
            assert!(is_profile_id(good), "{good}");
        }
        for bad in [
            "constructor",
            "__proto__",
            "a@1",
            "a@1.",
            "a@.1",
            "@1.0",
            " a@1.0",
            "a@1.0\n",
            "a@b@1.0",
            "a%2F@1.0",
        ] {
            assert!(!is_profile_id(bad), "{bad}");
        }
    }

    #[test]
    fn dids_are_exact_and_hold_no_pattern() {
        for good in [
            "did:github:alice",
            "did:email:dave@company.com",
            "did:key:z6Mk",
            "did:web:a:b",
        ] {
            assert!(is_did(good), "{good}");
        }
        for bad in [
            "",
            "alice",
            "did:",
            "did:github:",
            "did::x",
            "did:GitHub:x",
            "did:github:*",
            "did:github:a b",
            "did:github:a\n",
            "did:github:a,did:github:b",
        ] {
            assert!(!is_did(bad), "{bad}");
        }
    }

    #[test]
    fn hashes_of_commits_and_uuids_have_one_shape() {
        assert!(is_sha(&"a".repeat(40)) && is_sha(&"0".repeat(64)));
        assert!(!is_sha(&"A".repeat(40)) && !is_sha(&"a".repeat(41)));
        assert!(is_uuid("00000000-0000-4000-8000-00000000000f"));
        assert!(!is_uuid("pad-x") && !is_uuid("00000000000040008000000000000000"));
        assert!(is_env("prod") && !is_env("Prod") && !is_env("prod\n") && !is_env(""));
    }
}
