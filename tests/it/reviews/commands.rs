//! `manifest` and `review` as people use them, and what `eval` and `status` say beside them.

use serde_json::{Value, json};

use super::ledger::{Ledger, PRINCIPALS};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Makes manifest and review by the commands; returns their ids.
fn new_review(ledger: &Ledger, more: &[&str]) -> (String, String) {
    let sandbox = &ledger.sandbox;
    let (exit, made) = sandbox.json(&[
        "manifest",
        "new",
        "release/web.txt",
        "--purpose",
        "release 1.2.3",
    ]);
    assert_eq!(exit, 0, "{made}");
    let manifest = text(&made["manifest_envelope_id"]);
    let arguments = [
        "review",
        "new",
        "--request",
        "../request.json",
        "--reviewer",
        "human:ana",
        "--role",
        "council",
        "--cross-signer",
        "human:bo",
        "--manifest",
        &manifest,
        "--reason",
        "looks right",
    ];
    let (exit, made) = sandbox.json(&[&arguments, more].concat());
    assert_eq!(exit, 0, "{made}");
    (manifest, text(&made["review_id"]))
}

fn sign(ledger: &Ledger, id: &str, principal: &str, key: &str) -> (i32, Value) {
    let path = ledger.sandbox.key(key);
    ledger.sandbox.json(&[
        "review",
        "sign",
        id,
        "--as",
        principal,
        "--key",
        path.to_str().unwrap(),
    ])
}

#[test]
fn what_the_commands_write_is_what_the_page_says() {
    let ledger = Ledger::new();
    let (manifest, id) = new_review(&ledger, &["--verdict", "approve"]);
    assert_eq!(manifest, text(&ledger.manifest["manifest_envelope_id"]));
    assert_eq!(id, ledger.id());
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(ledger.sandbox.root().join(path)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(read(&ledger.manifest_path()), ledger.manifest);
    let mut by_hand = ledger.artifact.clone();
    by_hand["signatures"] = json!([]);
    assert_eq!(read(&ledger.path()), by_hand);

    // Nothing was committed, and the message to sign is the page's.
    assert_eq!(ledger.sandbox.git(&["log", "--oneline"]).lines().count(), 1);
    let message = ledger.sandbox.permit(&["review", "sign", &id, "--message"]);
    assert_eq!(message.stdout.as_bytes(), ledger.message());

    assert_eq!(sign(&ledger, &id, "human:ana", "ana").0, 0);
    let (_, checked) = ledger.sandbox.json(&["review", "check", &id, "--draft"]);
    assert_eq!(checked["reason"], "REVIEW_SIGNERS_INSUFFICIENT");
    assert_eq!(checked["state"], "open");
    // Bo signs elsewhere, on a system that ends lines its own way.
    let sshsig = ledger
        .sandbox
        .sign("bo", "permit.review.v1", &ledger.message());
    ledger
        .sandbox
        .write("../bo.sig", sshsig.replace('\n', "\r\n"));
    let attach = [
        "review",
        "sign",
        &id,
        "--as",
        "human:bo",
        "--signature",
        "../bo.sig",
    ];
    let (exit, attached) = ledger.sandbox.json(&attach);
    assert_eq!((exit, &attached["missing_signers"]), (0, &json!([])));

    let (exit, checked) = ledger.sandbox.json(&["review", "check", &id]);
    assert_eq!(
        (exit, text(&checked["reason"])),
        (4, "REVIEW_MISSING".to_owned())
    );
    assert_eq!(
        (&checked["source"], &checked["state"]),
        (&json!("work_tree"), &json!("valid"))
    );
    ledger.sandbox.commit();
    let (exit, checked) =
        ledger
            .sandbox
            .json(&["review", "check", &id, "--request", "../request.json"]);
    assert_eq!((exit, &checked["source"]), (0, &json!("commit")));
    let checks = checked["checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["ok"] == json!(true)),
        "{checks:?}"
    );
    assert_eq!(checks.len(), 26);
    ledger.issue_permit();
}

#[test]
fn signing_refuses_what_would_not_count() {
    let ledger = Ledger::new();
    let (_, id) = new_review(&ledger, &["--verdict", "approve"]);
    let reason = |principal: &str, key: &str| text(&sign(&ledger, &id, principal, key).1["reason"]);
    assert_eq!(reason("human:bo", "ana"), "REVIEW_SIGNATURE_INVALID");
    assert_eq!(reason("human:cy", "cy"), "INVALID_REVIEW");
    assert_eq!(reason("agent:codex", "cy"), "REVIEW_AGENT_FORBIDDEN");
    assert_eq!(reason("bo", "bo"), "INVALID_INPUT");
    assert_eq!(reason("human:bo", "nobody"), "IO_ERROR");
    ledger.sandbox.keygen("weak", &["-t", "rsa", "-b", "2048"]);
    assert_eq!(reason("human:bo", "weak"), "REVIEW_SIGNATURE_INVALID");
    let git = ledger.sandbox.sign("bo", "git", &ledger.message());
    ledger.sandbox.write("../git.sig", git);
    let attach = [
        "review",
        "sign",
        &id,
        "--as",
        "human:bo",
        "--signature",
        "../git.sig",
    ];
    assert_eq!(
        ledger.sandbox.reason(&attach),
        (5, "REVIEW_SIGNATURE_INVALID".to_owned())
    );
    let unknown = ["review", "sign", &"ab".repeat(32), "--message"];
    assert_eq!(
        ledger.sandbox.reason(&unknown),
        (4, "REVIEW_MISSING".to_owned())
    );
    assert_eq!(reason("human:bo", "bo"), "OK");
}

#[test]
fn a_new_review_never_loses_an_uncommitted_one() {
    let ledger = Ledger::new();
    let (manifest, id) = new_review(&ledger, &["--verdict", "defer"]);
    let again = [
        "review",
        "new",
        "--request",
        "../request.json",
        "--verdict",
        "reject",
        "--reviewer",
        "human:ana",
        "--role",
        "council",
        "--cross-signer",
        "human:bo",
        "--manifest",
        &manifest,
    ];
    assert_eq!(
        ledger.sandbox.reason(&again),
        (7, "INVALID_INPUT".to_owned())
    );
    ledger.sandbox.commit();
    assert_eq!(ledger.sandbox.reason(&again), (0, "OK".to_owned()));
    for (principal, key) in [("human:ana", "ana"), ("human:bo", "bo")] {
        assert_eq!(sign(&ledger, &id, principal, key).0, 0);
    }
    ledger.sandbox.commit();
    ledger.refused(3, "REVIEW_REJECTED", "rejected");
}

#[test]
fn new_review_asks_for_a_request_that_needs_one() {
    let ledger = Ledger::new();
    let mut request = super::ledger::request();
    request["capability"]["selector"] = json!("fs.read");
    ledger.sandbox.write_json("../request.json", &request);
    let arguments = [
        "review",
        "new",
        "--request",
        "../request.json",
        "--verdict",
        "approve",
        "--reviewer",
        "human:ana",
        "--role",
        "council",
        "--cross-signer",
        "human:bo",
        "--manifest",
        &"ab".repeat(32),
    ];
    assert_eq!(
        ledger.sandbox.reason(&arguments),
        (3, "REVIEW_NOT_REQUIRED".to_owned())
    );
}

#[test]
fn no_agent_is_written_into_a_production_review() {
    let ledger = Ledger::new();
    let new = |reviewer: &str, signer: &str| {
        let manifest = "ab".repeat(32);
        let arguments = [
            "review",
            "new",
            "--request",
            "../request.json",
            "--verdict",
            "approve",
            "--role",
            "council",
            "--reviewer",
            reviewer,
            "--cross-signer",
            signer,
            "--manifest",
            &manifest,
        ];
        ledger.sandbox.json(&arguments)
    };
    for (reviewer, signer) in [("agent:codex", "human:bo"), ("human:ana", "service:ci")] {
        let (exit, refused) = new(reviewer, signer);
        assert_eq!(
            (exit, text(&refused["reason"])),
            (5, "REVIEW_AGENT_FORBIDDEN".to_owned())
        );
    }
    // Too few humans and a manifest that is nowhere can still be put right.
    let (exit, made) = new("human:ana", "human:ana");
    assert_eq!((exit, made["warnings"].as_array().unwrap().len()), (0, 2));
}

#[test]
fn what_the_test_builder_makes_never_passes() {
    let ledger = Ledger::new();
    let (_, made) = ledger.sandbox.json(&[
        "manifest",
        "new",
        "release/web.txt",
        "--purpose",
        "release 1.2.3",
    ]);
    let manifest = text(&made["manifest_envelope_id"]);
    let (exit, made) = ledger.sandbox.json(&[
        "review",
        "new",
        "--request",
        "../request.json",
        "--verdict",
        "approve",
        "--reviewer",
        "agent:codex",
        "--role",
        "council",
        "--manifest",
        &manifest,
        "--test-scope",
    ]);
    assert_eq!(exit, 0, "{made}");
    ledger.sandbox.commit();
    ledger.refused(5, "REVIEW_TEST_SCOPE", "made by the test builder");
    let check = ledger.sandbox.reason(&["review", "check", &ledger.id()]);
    assert_eq!(check, (5, "REVIEW_TEST_SCOPE".to_owned()));
}

#[test]
fn manifests_list_regular_files_of_the_tree_only() {
    let ledger = Ledger::new();
    let sandbox = &ledger.sandbox;
    let new = |path: &str| sandbox.json(&["manifest", "new", path, "--purpose", "p"]);
    for path in [
        "../request.json",
        "/etc/hosts",
        "release",
        "nothing",
        ".git/config",
        "release/../x",
    ] {
        let (exit, refused) = new(path);
        assert_eq!(
            (exit, text(&refused["reason"])),
            (7, "INVALID_MANIFEST".to_owned()),
            "{path}"
        );
    }
    std::os::unix::fs::symlink("web.txt", sandbox.root().join("release/link")).unwrap();
    assert_eq!(new("release/link").0, 7);
    sandbox.commit();
    assert_eq!(new("release/link").0, 7);

    // The governed commit's bytes count; a file that is not there yet is taken, with a warning.
    sandbox.write("release/web.txt", "changed\n");
    let (exit, made) = new("./release/web.txt");
    assert_eq!((exit, made["warnings"].as_array().unwrap().len()), (0, 1));
    assert_eq!(
        made["artifacts"][0]["sha256"],
        ledger.manifest["artifacts"][0]["sha256"]
    );
    sandbox.write("release/new.txt", "new\n");
    let (exit, made) = new("release/new.txt");
    assert_eq!((exit, made["warnings"].as_array().unwrap().len()), (0, 1));
    sandbox.commit();
    let id = text(&made["manifest_envelope_id"]);
    assert_eq!(
        sandbox.reason(&["manifest", "check", &id]),
        (0, "OK".to_owned())
    );
    assert_eq!(
        sandbox.reason(&["manifest", "check", "xyz"]),
        (7, "INVALID_INPUT".to_owned())
    );
}

#[test]
fn eval_names_the_smallest_set_of_things_still_missing() {
    let ledger = Ledger::new();
    let missing = || -> Vec<String> {
        let (exit, evaluated) = ledger
            .sandbox
            .json(&["eval", "--request", "../request.json"]);
        assert_eq!((exit, &evaluated["reason"]), (0, &json!("OK")));
        let list = evaluated["missing"].as_array().unwrap();
        list.iter().map(|item| text(&item["reason"])).collect()
    };
    assert_eq!(
        missing(),
        [
            "REVIEW_MISSING",
            "REVIEW_SIGNERS_INSUFFICIENT",
            "MANIFEST_MISSING"
        ]
    );
    ledger.sandbox.write_json(&ledger.path(), &ledger.signed());
    ledger.sandbox.commit();
    assert_eq!(missing(), ["MANIFEST_MISSING"]);
    ledger.commit();
    assert_eq!(missing(), [""; 0]);
    ledger.issue_permit();
    assert_eq!(missing(), ["REVIEW_CONSUMED"]);

    ledger.sandbox.remove(PRINCIPALS);
    ledger.sandbox.commit();
    assert!(missing().contains(&"PRINCIPALS_MISSING".to_owned()));
    ledger.sandbox.write(PRINCIPALS, "{}");
    ledger.sandbox.commit();
    let invalid = ledger
        .sandbox
        .reason(&["eval", "--request", "../request.json"]);
    assert_eq!(invalid, (7, "INVALID_PRINCIPALS".to_owned()));
}

#[test]
fn list_and_status_show_the_state_of_each_review() {
    let mut ledger = Ledger::new();
    let state = |ledger: &Ledger| {
        let (exit, listed) = ledger.sandbox.json(&["review", "list"]);
        assert_eq!(exit, 0);
        let (_, status) = ledger.sandbox.json(&["status"]);
        let listed = listed["reviews"][0].clone();
        assert_eq!(status["reviews"][ledger.id()]["state"], listed["state"]);
        (text(&listed["state"]), listed["reason"].clone())
    };
    let (_, none) = ledger.sandbox.json(&["review", "list"]);
    assert_eq!(none["reviews"], json!([]));
    let signing = ledger.signing.clone();
    ledger.signing.clear();
    ledger.commit();
    assert_eq!(
        state(&ledger),
        ("open".to_owned(), json!("REVIEW_SIGNERS_INSUFFICIENT"))
    );
    ledger.signing = signing;
    ledger.commit();
    assert_eq!(state(&ledger), ("valid".to_owned(), Value::Null));
    ledger.issue_permit();
    assert_eq!(
        state(&ledger),
        ("consumed".to_owned(), json!("REVIEW_CONSUMED"))
    );
    let (_, status) = ledger.sandbox.json(&["status"]);
    let review = &status["reviews"][ledger.id()];
    assert_eq!(
        (&review["verdict"], &review["permits"]),
        (&json!("approve"), &json!(1)),
        "the verdict that the permit rests on, recorded apart or not"
    );
    ledger.sandbox.write("release/web.txt", "changed");
    ledger.sandbox.commit();
    assert_eq!(
        state(&ledger),
        ("stale".to_owned(), json!("MANIFEST_MISMATCH"))
    );
    ledger.sandbox.write(&ledger.path(), "{}");
    ledger.sandbox.commit();
    let (_, listed) = ledger.sandbox.json(&["review", "list"]);
    assert_eq!(listed["reviews"][0]["state"], "invalid");
}

#[test]
fn a_verdict_is_recorded_once() {
    let mut ledger = Ledger::new();
    let record = |ledger: &Ledger| ledger.sandbox.json(&["review", "record", &ledger.id()]);
    assert_eq!(record(&ledger).1["reason"], "REVIEW_MISSING");
    ledger.artifact["verdict"] = json!("defer");
    let introduced = ledger.commit();
    let (exit, recorded) = record(&ledger);
    assert_eq!((exit, &recorded["sequence"]), (0, &json!(1)));
    assert_eq!(recorded["record"]["introduced_by"], introduced);
    assert_eq!(record(&ledger).1["sequence"], json!(1));
    let log = ledger.sandbox.permit(&["log"]).stdout;
    assert_eq!(log.lines().count(), 2, "{log}");

    // Another verdict is another record.
    ledger.artifact["verdict"] = json!("approve");
    ledger.commit();
    assert_eq!(record(&ledger).1["sequence"], json!(2));
    let (_, status) = ledger.sandbox.json(&["status"]);
    assert_eq!(status["reviews"][ledger.id()]["verdict"], "approve");
    ledger.issue_permit();
    assert_eq!(record(&ledger).1["recorded"], json!(false));

    // What does not hold is not recorded, and an executor records nothing.
    ledger.artifact["reason"] = json!("altered");
    ledger.signing.remove(1);
    ledger.commit();
    assert_eq!(record(&ledger).1["reason"], "REVIEW_SIGNERS_INSUFFICIENT");
    ledger.sandbox.git(&["config", "permit.role", "executor"]);
    assert_eq!(record(&ledger).1["reason"], "ROLE_FORBIDDEN");
    assert_eq!(
        ledger.sandbox.reason(&["verify-chain"]),
        (0, "OK".to_owned())
    );
}

#[test]
fn the_documents_have_schemas() {
    let ledger = Ledger::new();
    for name in ["principals", "review", "manifest"] {
        let printed = ledger.sandbox.permit(&["schema", name]);
        let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false), "{name}");
    }
}
