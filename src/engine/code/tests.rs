//! The table against the pages, and every text against the house style.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// The codes of each exit code, copied from the pages and not from the table.
const PAGES: &[(u8, &[&str])] = &[
    // core.md, section 8
    (0, &["OK"]),
    (1, &["GIT_ERROR", "IO_ERROR", "OBJECT_MISSING", "INTERNAL"]),
    (2, &[]),
    (3, &["DECISION_BLOCK", "ROLE_FORBIDDEN"]),
    (
        5,
        &[
            "PERMIT_ID_MISMATCH",
            "NOT_ISSUED",
            "UNBOUND_REQUEST",
            "ACTOR_MISMATCH",
            "REPLAY_MISMATCH",
            "COMMIT_NOT_GOVERNED",
            "STREAM_LOST",
            "CHAIN_TAMPERED",
            "CHAIN_FORKED",
            "CHAIN_TRUNCATED",
            "CHAIN_MALFORMED",
        ],
    ),
    (
        6,
        &[
            "EXPIRED",
            "ALREADY_USED",
            "COMMIT_MISMATCH",
            "POLICY_MISMATCH",
        ],
    ),
    (
        7,
        &[
            "INVALID_INPUT",
            "INVALID_POLICY",
            "INVALID_REQUEST",
            "INVALID_PERMIT",
            "AMBIGUOUS_MAPPING",
            "POLICY_MISSING",
            "STREAM_MISSING",
            "STREAM_EXISTS",
        ],
    ),
    (8, &["CONTENTION"]),
    // reviews.md
    (3, &["REVIEW_REJECTED"]),
    (
        4,
        &[
            "REVIEW_MISSING",
            "REVIEW_DEFERRED",
            "REVIEW_SIGNERS_INSUFFICIENT",
            "MANIFEST_MISSING",
        ],
    ),
    (
        5,
        &[
            "REVIEW_MISMATCH",
            "REVIEW_SIGNATURE_INVALID",
            "REVIEW_AGENT_FORBIDDEN",
            "REVIEW_SELF_APPROVAL",
            "REVIEW_ROLE_INVALID",
            "REVIEW_REVIEWER_UNSIGNED",
            "REVIEW_TEST_SCOPE",
            "REVIEW_SCOPE_MISMATCH",
            "REVIEW_ANCHOR_MISMATCH",
            "REVIEW_CONDITION_VIOLATED",
            "REVIEW_PRESENCE_MISSING",
            "MANIFEST_MISMATCH",
            "PRINCIPAL_UNKNOWN",
            "PRINCIPAL_REVOKED",
            "SELF_APPOINTMENT",
        ],
    ),
    (6, &["REVIEW_CONSUMED"]),
    (
        7,
        &[
            "INVALID_REVIEW",
            "INVALID_PRINCIPALS",
            "INVALID_MANIFEST",
            "PRINCIPALS_MISSING",
        ],
    ),
    // execution-requests.md
    (
        3,
        &[
            "REPOSITORY_NOT_ADMITTED",
            "ACTION_BLOCKED",
            "REVIEW_NOT_REQUIRED",
        ],
    ),
    (4, &["APPROVER_MISSING"]),
    (
        5,
        &[
            "PACKET_MISMATCH",
            "REQUEST_ID_MISMATCH",
            "APPROVER_NOT_HUMAN",
        ],
    ),
    (7, &["APPROVAL_IN_REQUEST", "INVALID_EXECUTION_REQUEST"]),
    // enforcement.md
    (
        3,
        &[
            "STREAM_REWRITE",
            "STREAM_DELETE",
            "GOVERNANCE_UNREVIEWED",
            "REVIEW_IMMUTABLE",
            "RECORD_IMMUTABLE",
            "REPLACE_FORBIDDEN",
            "PERMIT_REQUIRED",
            "GOVERNANCE_UNGOVERNED",
            "GOVERNED_REF_DELETED",
            "ARGV_MISMATCH",
            "PATH_NOT_ALLOWED",
        ],
    ),
    (5, &["FIRST_PARENT_BROKEN", "EVENT_NOT_ALLOWED"]),
    (6, &["TARGET_COMMIT_MISMATCH", "TARGET_DIRTY"]),
    (7, &["MODE_NOT_SET", "MODE_INVALID"]),
    // hap.md
    (
        3,
        &[
            "SCOPE_INSUFFICIENT",
            "GATE_UNRESOLVED",
            "ORGANIZATION_NOT_REGISTERED",
        ],
    ),
    (4, &["MISSING_REQUIRED_DOMAIN"]),
    (
        5,
        &[
            "DOMAIN_SCOPE_MISMATCH",
            "EXECUTION_CONTEXT_VIOLATION",
            "FRAME_HASH_MISMATCH",
            "INVALID_SIGNATURE",
            "MALFORMED_ATTESTATION",
            "IDENTITY_UNVERIFIED",
            "GATE_MISMATCH",
            "STREAM_SEQUENCE_BROKEN",
            "STREAM_HASH_MISMATCH",
            "STREAM_PROJECT_MISMATCH",
            "STREAM_MALFORMED",
            "STREAM_GENESIS_INVALID",
            "STREAM_TIME_REGRESSION",
            "STREAM_EMPTY",
            "REGISTRATION_INVALID",
        ],
    ),
    (6, &["TTL_EXPIRED"]),
    (
        7,
        &[
            "PROFILE_NOT_FOUND",
            "PROFILE_INVALID",
            "DECISION_RECORD_MISSING",
            "DECISION_RECORD_INVALID",
            "AUTHORIZATION_SOURCE_MISSING",
            "AUTHORIZATION_SOURCE_INVALID",
        ],
    ),
    // hardening.md
    (1, &["EXEC_TIMEOUT", "CONTAINMENT_UNAVAILABLE"]),
    (
        3,
        &["PUSH_TOO_LARGE", "PROGRAM_MISMATCH", "EXEC_NOT_COVERED"],
    ),
    (5, &["STREAM_REWOUND", "CLAIMS_LOST"]),
    (6, &["GOVERNED_STALE", "PERMIT_CLAIMED"]),
    (7, &["UNGOVERNED", "LIMIT_EXCEEDED"]),
    (8, &["MOVED"]),
    // policy.md
    (3, &["LINT_DENIED", "CASE_FAILED"]),
    // the usage errors of the command line
    (2, &["USAGE"]),
];

#[test]
fn every_code_of_the_pages_has_its_class_and_no_other_code_exists() {
    let pages: Vec<(&str, u8)> = PAGES
        .iter()
        .flat_map(|(exit, names)| names.iter().map(move |name| (*name, *exit)))
        .collect();
    for (name, exit) in &pages {
        let code: Code = name.parse().unwrap();
        assert_eq!(code.class().exit_code(), *exit, "{name}");
    }
    let mut expected: Vec<&str> = pages.iter().map(|(name, _)| *name).collect();
    let mut table: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    expected.sort_unstable();
    table.sort_unstable();
    assert_eq!(table, expected);
}

#[test]
fn names_are_unique_and_are_their_variants_in_upper_snake_case() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        let mut snake = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_uppercase());
        }
        assert_eq!(code.name(), snake);
        assert!(
            snake
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{code}"
        );
    }
}

#[test]
fn texts_keep_the_house_style() {
    for code in Code::ALL {
        for text in [code.summary(), code.hint()] {
            let first = text.chars().next().unwrap();
            assert!(first.is_lowercase() || first == '`', "{code}: {text}");
            assert!(!text.ends_with('.'), "{code}: {text}");
        }
        assert!(code.cause().ends_with('.'), "{code}");
        for text in [code.summary(), code.cause(), code.hint()] {
            assert!(
                !text.contains(['\n', '\r', '\t', '|']) && !text.contains("  "),
                "{code}: {text}"
            );
            assert_eq!(text.trim(), text, "{code}");
            assert!(
                text.matches('`').count().is_multiple_of(2),
                "{code}: {text}"
            );
        }
    }
}

#[test]
fn a_code_is_its_name_in_every_form() {
    for code in Code::ALL {
        assert_eq!(code.to_string(), code.name());
        assert_eq!(code.name().parse(), Ok(*code));
        let json = serde_json::to_string(code).unwrap();
        assert_eq!(json, format!("\"{}\"", code.name()));
        assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
    }
}

#[test]
fn other_words_are_no_codes() {
    for word in ["", "ok", "Ok", " OK", "OK ", "CHAIN", "CHAIN_TAMPERED\n"] {
        assert_eq!(word.parse::<Code>(), Err(UnknownCode(word.to_owned())));
        assert_eq!(Code::from_name(word), None);
    }
    let error = serde_json::from_str::<Code>("\"NOPE\"")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("`NOPE` is no reason code"), "{error}");
}

#[test]
fn exit_codes_are_the_places_of_the_classes() {
    let exits: Vec<u8> = Class::ALL.iter().map(|class| class.exit_code()).collect();
    assert_eq!(exits, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn tables_have_a_row_for_each_code_and_class() {
    let codes = markdown_table();
    assert_eq!(codes.lines().skip(2).count(), Code::ALL.len());
    assert!(codes.contains(
        "| `CHAIN_TAMPERED` | 5 | unverified | a hash or link of the stream does not fit |\n"
    ));
    let classes = class_table();
    assert_eq!(classes.lines().skip(2).count(), Class::ALL.len());
    assert!(
        classes.contains("| 6 | stale | it was valid and no longer is | ask for a new permit |\n")
    );
}
