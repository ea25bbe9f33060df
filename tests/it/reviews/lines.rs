//! Every line of the page's validity list, violated alone: in what the artifact says, and in who signs it.

use serde_json::{Value, json};

use super::ledger::Ledger;

type Members = Vec<(&'static str, Value)>;

/// Members of the artifact, by JSON pointer, set before it is signed; the exit code and reason that this gives.
fn members() -> Vec<(i32, &'static str, Members)> {
    let one = |exit, code, pointer, value| (exit, code, vec![(pointer, value)]);
    let conditional = |exit, code, condition: Value| {
        let verdict = ("/verdict", json!("approve_with_conditions"));
        (exit, code, vec![verdict, ("/conditions/0", condition)])
    };
    let other = || json!("ab".repeat(32));
    let agent = json!("agent:codex");
    let unsorted = json!(["human:bo", "human:ana"]);
    vec![
        one(7, "INVALID_REVIEW", "/approved", json!(true)),
        one(7, "INVALID_REVIEW", "/cross_signers", unsorted),
        one(7, "INVALID_REVIEW", "/cross_signers", json!(["human:ana"])),
        one(
            7,
            "INVALID_REVIEW",
            "/verdict",
            json!("approve_with_conditions"),
        ),
        one(
            7,
            "INVALID_REVIEW",
            "/conditions/0",
            json!({"type": "one_shot"}),
        ),
        one(5, "REVIEW_TEST_SCOPE", "/scope", json!("test_scope")),
        one(5, "REVIEW_MISMATCH", "/policy_hash", other()),
        one(5, "REVIEW_MISMATCH", "/request_fingerprint", other()),
        one(5, "REVIEW_MISMATCH", "/review_type", json!("other")),
        one(
            5,
            "REVIEW_SCOPE_MISMATCH",
            "/scope_address",
            json!("tool:deploy.prod/service/api"),
        ),
        one(5, "REVIEW_AGENT_FORBIDDEN", "/reviewer/principal", agent),
        one(
            5,
            "PRINCIPAL_UNKNOWN",
            "/reviewer/principal",
            json!("human:eve"),
        ),
        one(
            5,
            "REVIEW_ROLE_INVALID",
            "/reviewer/role",
            json!("company_admin"),
        ),
        one(
            5,
            "REVIEW_ROLE_INVALID",
            "/reviewer/role",
            json!("sovereign"),
        ),
        one(
            5,
            "REVIEW_REVIEWER_UNSIGNED",
            "/reviewer/principal",
            json!("human:cy"),
        ),
        one(4, "MANIFEST_MISSING", "/manifest_envelope_id", other()),
        one(
            5,
            "REVIEW_ANCHOR_MISMATCH",
            "/anchor/stream_id",
            json!("other"),
        ),
        one(5, "REVIEW_ANCHOR_MISMATCH", "/anchor/sequence", json!(1)),
        one(5, "REVIEW_ANCHOR_MISMATCH", "/anchor/event_hash", other()),
        one(3, "REVIEW_REJECTED", "/verdict", json!("reject")),
        one(4, "REVIEW_DEFERRED", "/verdict", json!("defer")),
        conditional(7, "INVALID_REVIEW", json!({"type": "wider"})),
        conditional(
            5,
            "REVIEW_CONDITION_VIOLATED",
            json!({"type": "target_prefix", "prefix": "service/api"}),
        ),
    ]
}

/// Who is listed, and who signs with which key; the exit code and reason that this gives.
type Signing = (
    i32,
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

const SIGNINGS: &[Signing] = &[
    (
        5,
        "REVIEW_SIGNATURE_INVALID",
        &["human:ana", "human:bo"],
        &[("human:ana", "ana"), ("human:bo", "cy")],
    ),
    (
        5,
        "REVIEW_REVIEWER_UNSIGNED",
        &["human:ana", "human:bo"],
        &[("human:bo", "bo")],
    ),
    (
        5,
        "REVIEW_REVIEWER_UNSIGNED",
        &["human:bo", "human:cy"],
        &[("human:bo", "bo"), ("human:cy", "cy")],
    ),
    (
        4,
        "REVIEW_SIGNERS_INSUFFICIENT",
        &["human:ana", "human:bo"],
        &[("human:ana", "ana")],
    ),
    (
        4,
        "REVIEW_SIGNERS_INSUFFICIENT",
        &["human:ana", "human:bo"],
        &[],
    ),
    (
        4,
        "REVIEW_SIGNERS_INSUFFICIENT",
        &["human:ana"],
        &[("human:ana", "ana")],
    ),
    (5, "REVIEW_REVIEWER_UNSIGNED", &[], &[]),
    (
        5,
        "PRINCIPAL_UNKNOWN",
        &["human:ana", "human:bo", "human:eve"],
        &[
            ("human:ana", "ana"),
            ("human:bo", "bo"),
            ("human:eve", "cy"),
        ],
    ),
    (
        7,
        "INVALID_REVIEW",
        &["human:ana", "human:bo"],
        &[("human:ana", "ana"), ("human:bo", "bo"), ("human:cy", "cy")],
    ),
    (
        7,
        "INVALID_REVIEW",
        &["human:ana", "human:bo"],
        &[("human:ana", "ana"), ("human:bo", "bo"), ("human:bo", "bo")],
    ),
    (
        0,
        "OK",
        &["human:ana", "human:bo", "human:cy"],
        &[("human:ana", "ana"), ("human:bo", "bo"), ("human:cy", "cy")],
    ),
];

/// Puts a value where a pointer leads, the last member new or not.
fn put(document: &mut Value, pointer: &str, value: &Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    if let Some(items) = parent.as_array_mut() {
        items.push(value.clone());
    } else {
        parent[last] = value.clone();
    }
}

#[test]
fn each_member_violated_alone() {
    let mut ledger = Ledger::new();
    let (sound, path) = (ledger.artifact.clone(), ledger.path());
    let manifest_path = ledger.manifest_path();
    ledger.sandbox.write_json(&manifest_path, &ledger.manifest);
    for (exit, code, changes) in members() {
        ledger.artifact = sound.clone();
        for (pointer, value) in &changes {
            put(&mut ledger.artifact, pointer, value);
        }
        ledger.sandbox.write_json(&path, &ledger.signed());
        ledger.sandbox.commit();
        ledger.refused(exit, code, &format!("{changes:?}"));
    }
    ledger.artifact = sound;
    ledger.commit();
    ledger.refused(0, "OK", "the same again, unspoilt");
}

#[test]
fn each_way_of_signing() {
    let mut ledger = Ledger::new();
    for (exit, code, listed, signing) in SIGNINGS {
        ledger.artifact["cross_signers"] = json!(listed);
        ledger.signing = signing.to_vec();
        ledger.commit();
        ledger.refused(*exit, code, &format!("{listed:?} {signing:?}"));
    }
}
