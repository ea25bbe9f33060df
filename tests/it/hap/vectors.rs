//! The sample vectors through the command line, the repository of `k_git` included.

use serde_json::Value;

use super::sandbox::Sandbox;

fn fixture(name: &str) -> String {
    format!("{}/fixtures/vectors/hap/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn vectors(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn list<'j>(value: &'j Value, key: &str) -> &'j Vec<Value> {
    value[key].as_array().unwrap()
}

fn text<'j>(value: &'j Value, key: &str) -> &'j str {
    value[key].as_str().unwrap()
}

fn codes(errors: &Value) -> Vec<(String, Option<String>)> {
    let mut codes: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let domain = error["domain"].as_str().map(str::to_owned);
            (text(error, "code").to_owned(), domain)
        })
        .collect();
    codes.sort();
    codes
}

#[test]
fn frames_are_computed_and_refused_as_the_vectors_say() {
    let (sandbox, file) = (Sandbox::empty(), vectors("b_frames.json"));
    for key in ["cases", "missing_keys", "unknown_keys"] {
        for case in list(&file, key) {
            let fields = case["params"].as_object().unwrap().iter();
            let fields: Vec<String> = fields
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
                .collect();
            let mut words = vec!["hap", "frame", "--field"];
            words.extend(fields.iter().map(String::as_str));
            let answer = sandbox.json(&words);
            let json = answer.json();
            if case["conflict"] == true {
                assert_eq!(json["reason"], "EXECUTION_CONTEXT_VIOLATION");
            } else if case["recommended"] == "accept" {
                assert_eq!(json["canonical"], case["canonical"], "{case}");
                assert_eq!(json["frame_hash"], case["frame_hash"], "{case}");
            } else {
                assert_eq!(json["reason"], case["recommended_code"], "{case}");
            }
        }
    }
}

/// Asks `frame-authorize` about a case's blobs.
fn authorize(
    sandbox: &Sandbox,
    file: &Value,
    case: &Value,
    action: &Value,
    blobs: &[&str],
) -> Value {
    let (frame, now) = (action["frame"].to_string(), case["now"].to_string());
    let profile = fixture("profile_deploy-gate-0.3.json");
    sandbox.write_aside("context.json", action["execution_context"].to_string());
    let mut words = vec![
        "hap",
        "frame-authorize",
        "--frame",
        &frame,
        "--profile",
        &profile,
    ];
    words.extend(["--context", "../context.json", "--now", &now]);
    let keys = match case["trusted_keys"].as_array() {
        Some(keys) => keys.iter().map(|key| key.as_str().unwrap()).collect(),
        None => vec![text(file, "sp_public_key_hex")],
    };
    for key in &keys {
        words.extend(["--sp-key", key]);
    }
    let names: Vec<String> = (0..blobs.len())
        .map(|index| format!("../{index}.blob"))
        .collect();
    for (name, blob) in names.iter().zip(blobs) {
        sandbox.write_aside(name.trim_start_matches("../"), blob);
        words.extend(["--attestation", name]);
    }
    let answer = sandbox.json(&words);
    let json = answer.json();
    assert_eq!(answer.exit == 0, json["approved"] == true, "{json}");
    json
}

#[test]
fn attestations_are_accepted_and_refused_as_the_vectors_say() {
    let (sandbox, file) = (Sandbox::empty(), vectors("d_attestations.json"));
    for case in list(&file, "valid") {
        let json = authorize(&sandbox, &file, case, &file, &[text(case, "blob")]);
        assert_eq!(
            json["verified_domains"],
            serde_json::json!(["engineering"]),
            "{case}"
        );
        let shown = sandbox.json(&["hap", "show", "../0.blob"]).json();
        assert_eq!(shown["payload"], case["payload"]);
        assert_eq!(shown["attestation_hash"], case["attestation_hash"]);
    }
    for case in list(&file, "refused") {
        let json = authorize(&sandbox, &file, case, &file, &[text(case, "blob")]);
        assert_eq!(
            codes(&json["errors"]),
            codes(&case["authorize_errors"]),
            "{case}"
        );
    }
}

#[test]
fn requests_are_authorized_and_refused_as_the_vectors_say() {
    let (sandbox, file) = (Sandbox::empty(), vectors("g_authorize.json"));
    for case in list(&file, "cases") {
        let blobs = list(case, "attestations").iter();
        let blobs: Vec<&str> = blobs.map(|blob| blob.as_str().unwrap()).collect();
        let json = authorize(&sandbox, &file, case, case, &blobs);
        let expected = &case["expected"];
        assert_eq!(json["approved"], expected["approved"], "{case}");
        if json["approved"] == true {
            assert_eq!(
                json["verified_domains"], expected["verified_domains"],
                "{case}"
            );
            assert_eq!(json["frame_hash"], case["frame_hash"], "{case}");
        } else {
            assert_eq!(codes(&json["errors"]), codes(&expected["errors"]), "{case}");
        }
    }
}

#[test]
fn exchanged_streams_are_valid_or_broken_as_the_vectors_say() {
    let (sandbox, file) = (Sandbox::empty(), vectors("f_streams.json"));
    for case in list(&file, "cases") {
        let lines: Vec<String> = list(case, "records").iter().map(Value::to_string).collect();
        let key = text(&file, "sp_public_key_hex");
        let words = [
            "hap", "stream", "verify", "--jsonl", "-", "--sp-key", key, "--format", "json",
        ];
        let json = sandbox
            .permit_with(&words, lines.join("\n").as_bytes(), &[])
            .json();
        if text(case, "expected") == "ok" {
            assert_eq!(
                (json["verdict"].as_str(), &json["fault"]),
                (Some("VALID"), &Value::Null)
            );
            assert_eq!(json["length"], lines.len());
            let backwards: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
            let again = sandbox.permit_with(&words, (backwards.join("\n") + "\n").as_bytes(), &[]);
            assert_eq!(
                again.json()["head"],
                json["head"],
                "sequence decides, not the lines"
            );
        } else {
            assert_eq!(json["verdict"], "BROKEN");
            assert_eq!(json["fault"]["code"], case["expected"], "{}", case["id"]);
        }
    }
    let words = [
        "hap", "stream", "verify", "--jsonl", "-", "--format", "json",
    ];
    let keyed = [
        words.as_slice(),
        &["--sp-key", text(&file, "sp_public_key_hex")],
    ]
    .concat();
    assert_eq!(
        sandbox.permit_with(&keyed, b"", &[]).reason().0,
        "STREAM_EMPTY"
    );
    assert_eq!(
        sandbox.permit_with(&keyed, b"\n\n", &[]).reason().0,
        "STREAM_MALFORMED"
    );
    assert_eq!(sandbox.permit_with(&words, b"", &[]).exit, 2, "whose key?");
}

#[test]
fn contexts_are_computed_from_a_repository_as_the_vectors_say() {
    let (sandbox, file) = (Sandbox::empty(), vectors("k_git.json"));
    let mirror = sandbox.path("mirror.git").display().to_string();
    sandbox.git(&[
        "clone",
        "-q",
        "--mirror",
        &fixture("k_repo.bundle"),
        &mirror,
    ]);
    for case in list(&file, "cases") {
        let (base, head) = (text(case, "base_tag"), text(case, "head_tag"));
        let commits = [
            "--base",
            base,
            "--head",
            head,
            "--repo",
            "owner/repo",
            "--repository",
            &mirror,
        ];
        let answer = sandbox.json(&[&["hap", "context"], commits.as_slice()].concat());
        let (json, expected) = (answer.json(), &case["expected"]);
        if let Some(code) = expected["code"].as_str() {
            assert_eq!(answer.reason().0, code, "{case}");
            continue;
        }
        assert_eq!(json["context"], expected["context"], "{case}");
        assert_eq!(
            json["execution_context_hash"],
            expected["execution_context_hash"]
        );
        let frame =
            sandbox.json(&[&["hap", "frame", "--env", "prod"], commits.as_slice()].concat());
        assert_eq!(frame.json()["frame_hash"], expected["frame_hash"]);
    }
    let reason = |base: &str, head: &str| {
        let words = [
            "hap",
            "context",
            "--base",
            base,
            "--head",
            head,
            "--repo",
            "owner/repo",
        ];
        let answer = sandbox.json(&[words.as_slice(), &["--repository", &mirror]].concat());
        answer.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("t2-base", "t7-badrecord"), "DECISION_RECORD_INVALID");
    assert_eq!(reason("t2-base", "t8-symlink"), "DECISION_RECORD_INVALID");
    assert_eq!(reason("t2-base", "t9-empty"), "OK");
    assert_eq!(reason("t2-base", "t3-feature"), "OK");
    assert_eq!(reason("t4-base-moved", "t3-feature"), "OK");
    assert_eq!(
        reason("t2-base", "t0-preadoption"),
        "DECISION_RECORD_MISSING"
    );
}
