//! The page's list of hazards, and every way in which the wrong person, commit or time could slip through.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::sandbox::{NOW, SP_KEY, Sandbox, action, mode_of, set_mode};

const ONE: &str = "deploy-prod-canary";

/// An onboarded repository with a branch `change` on the path that only engineering must attest.
fn declared() -> Sandbox {
    let sandbox = Sandbox::onboarded();
    sandbox.declare("change", ONE);
    sandbox
}

fn no(code: &str, exit: i32) -> (String, i32) {
    (code.to_owned(), exit)
}

fn context(sandbox: &Sandbox, base: &str, head: &str) -> (String, i32) {
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
    sandbox.json(&words).reason()
}

#[test]
fn nobody_appoints_themselves_in_the_change_that_they_attest_to() {
    let sandbox = declared();
    sandbox.write(
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:mallory"]}}"#,
    );
    let key = fs::read_to_string(sandbox.path("mallory.pub")).unwrap();
    sandbox.write(
        "governance/hap/allowed_signers",
        &format!("did:github:mallory {key}"),
    );
    sandbox.commit("mallory appoints herself");
    let request = sandbox.request("change", "mallory", "engineering");
    assert!(
        request.stderr.contains("error[SCOPE_INSUFFICIENT]"),
        "{request:?}"
    );
    assert!(request.stdout.is_empty());
    let alice = sandbox.request("change", "alice", "engineering");
    let forged = alice
        .stdout
        .replace("did:github:alice", "did:github:mallory");
    sandbox.write_aside("mallory.request", forged);
    sandbox.sign("mallory", "mallory", "hap-attest@v0.3");
    let answer = sandbox.attest("change", "mallory", &[]);
    assert_eq!(
        answer.reason(),
        no("IDENTITY_UNVERIFIED", 5),
        "her key is not in the base"
    );
    let more = [
        "--request",
        "../mallory.request",
        "--verified-did",
        "did:github:mallory",
    ];
    let answer = sandbox.attest_as("change", "mallory", &more);
    assert_eq!(answer.reason(), no("SCOPE_INSUFFICIENT", 3));
    assert_eq!(answer.json()["errors"][0]["code"], "SCOPE_INSUFFICIENT");
}

#[test]
fn a_signature_counts_for_one_person_one_request_and_one_purpose() {
    let sandbox = declared();
    assert_eq!(sandbox.request("change", "alice", "engineering").exit, 0);
    for (key, namespace) in [
        ("alice", "git"),
        ("alice", "file"),
        ("mara", "hap-attest@v0.3"),
    ] {
        sandbox.sign("alice", key, namespace);
        let answer = sandbox.attest("change", "alice", &[]);
        assert_eq!(
            answer.reason(),
            no("IDENTITY_UNVERIFIED", 5),
            "{key} {namespace}"
        );
    }
    sandbox.sign("alice", "alice", "hap-attest@v0.3");
    let text = fs::read_to_string(sandbox.path("alice.request")).unwrap();
    for altered in [text.replace("\"env\":", "\"env\": "), format!("{text}\n")] {
        sandbox.write_aside("alice.request", altered);
        let answer = sandbox.attest("change", "alice", &[]);
        assert_eq!(answer.reason(), no("IDENTITY_UNVERIFIED", 5));
    }
    sandbox.write_aside("alice.request", &text);
    let request = ["--request", "../alice.request"];
    let answer = sandbox.attest_as("change", "alice", &request);
    assert_eq!(
        answer.reason(),
        no("IDENTITY_UNVERIFIED", 5),
        "no identity at all"
    );
    for did in ["", "alice", "did:github:bob"] {
        let more = [request.as_slice(), &["--verified-did", did]].concat();
        assert_eq!(
            sandbox.attest_as("change", "alice", &more).reason(),
            no("IDENTITY_UNVERIFIED", 5)
        );
    }
    assert_eq!(sandbox.attest("change", "alice", &[]).exit, 0);
}

#[test]
fn an_externally_verified_did_is_recorded_as_such() {
    let sandbox = declared();
    sandbox.request("change", "alice", "engineering");
    let more = [
        "--request",
        "../alice.request",
        "--verified-did",
        "did:github:alice",
    ];
    let json = sandbox.attest_as("change", "alice", &more).json();
    assert_eq!(json["identity"], "external");
    assert_eq!(json["payload"]["identity"], "external");
    assert_eq!(
        sandbox.json(&["hap", "sp", "stats"]).json()["by_identity"],
        json!({"external": 1})
    );
}

#[test]
fn a_request_that_is_not_the_commits_is_stopped() {
    let sandbox = declared();
    sandbox.request("change", "alice", "engineering");
    let text = fs::read_to_string(sandbox.path("alice.request")).unwrap();
    let request: serde_json::Value = serde_json::from_str(&text).unwrap();
    let zero = format!("sha256:{}", "0".repeat(64));
    let refused = |field: &str, value: &str| {
        let mut changed = request.clone();
        changed[field] = json!(value);
        sandbox.write_aside("alice.request", changed.to_string());
        let more = [
            "--request",
            "../alice.request",
            "--verified-did",
            "did:github:alice",
        ];
        sandbox.attest_as("change", "alice", &more).reason()
    };
    assert_eq!(refused("frame_hash", &zero), no("FRAME_HASH_MISMATCH", 5));
    assert_eq!(refused("env", "staging"), no("FRAME_HASH_MISMATCH", 5));
    assert_eq!(
        refused("execution_context_hash", &zero),
        no("EXECUTION_CONTEXT_VIOLATION", 5)
    );
    assert_eq!(
        refused("execution_path", "deploy-prod-full"),
        no("EXECUTION_CONTEXT_VIOLATION", 5)
    );
    assert_eq!(
        refused("execution_path", "constructor"),
        no("DECISION_RECORD_INVALID", 7)
    );
    assert_eq!(
        refused("profile_id", "deploy-gate@9.9"),
        no("PROFILE_NOT_FOUND", 7)
    );
    assert_eq!(
        refused("profile_id", "constructor"),
        no("PROFILE_NOT_FOUND", 7)
    );
    assert_eq!(
        refused("domain", "marketing"),
        no("DOMAIN_SCOPE_MISMATCH", 5)
    );
    assert_eq!(refused("env", "moon"), no("DOMAIN_SCOPE_MISMATCH", 5));
    assert_eq!(refused("did", "alice"), no("INVALID_INPUT", 7));
    let more = [
        "--request",
        "../alice.request",
        "--verified-did",
        "did:github:alice",
    ];
    assert_eq!(refused("frame_hash", &zero).1, 5);
    let answer = sandbox.attest_as("change", "alice", &more);
    assert_eq!(
        answer.json()["details"]["guide"],
        "deploy/commitment_mismatch@1.0"
    );
    assert!(
        !answer.stdout.contains("sha256:"),
        "no expected hash is printed"
    );
    let nothing = sandbox.git(&["for-each-ref", "refs/hap"]);
    assert!(nothing.is_empty(), "a refusal records nothing: {nothing}");
}

#[test]
fn no_message_prints_an_expected_hash() {
    let sandbox = declared();
    sandbox.full("change", "alice", "engineering", &[]);
    sandbox.write("src/change.rs", "something else");
    sandbox.commit("amended");
    let answer = sandbox.authorize("change", &["alice"], &[]);
    assert_eq!(answer.reason(), no("FRAME_HASH_MISMATCH", 5));
    for error in answer.json()["errors"].as_array().unwrap() {
        assert!(
            !error["message"].as_str().unwrap().contains("sha256:"),
            "{error}"
        );
    }
}

#[test]
fn an_open_gate_or_an_absent_human_stops_the_attestation() {
    let sandbox = declared();
    for open in ["", " \n\t", "\u{feff}\u{a0}"] {
        sandbox.write_aside("open.txt", open);
        sandbox.write_aside("said.txt", "said");
        let words = [
            &["hap", "request"],
            action("change").as_slice(),
            &["--domain", "engineering", "--did", "did:github:alice"],
            &[
                "--problem",
                "../said.txt",
                "--objective",
                "../said.txt",
                "--tradeoffs",
                "../open.txt",
            ],
        ]
        .concat();
        assert_eq!(
            sandbox.json(&words).reason(),
            no("GATE_UNRESOLVED", 3),
            "{open:?}"
        );
    }
    sandbox.request("change", "alice", "engineering");
    sandbox.sign("alice", "alice", "hap-attest@v0.3");
    let words = [
        &["hap", "attest"],
        action("change").as_slice(),
        &[
            "--request",
            "../alice.request",
            "--signature",
            "../alice.request.sig",
        ],
        &["--sp-key-file", "../sp.key"],
    ]
    .concat();
    let answer = sandbox.json(&words);
    assert_eq!(answer.exit, 2);
    assert!(
        answer.reason().0 == "USAGE" && answer.stderr.contains("--commit"),
        "{answer:?}"
    );
    assert!(sandbox.git(&["for-each-ref", "refs/hap"]).is_empty());
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = fs::read_to_string(sandbox.path("alice.request")).unwrap();
    let mut request: serde_json::Value = serde_json::from_str(&text).unwrap();
    request["gate_content_hashes"]["problem"] = json!(format!("sha256:{empty}"));
    let blank = request.to_string();
    sandbox.write_aside("alice.request", blank);
    let more = [
        "--request",
        "../alice.request",
        "--verified-did",
        "did:github:alice",
    ];
    assert_eq!(
        sandbox.attest_as("change", "alice", &more).reason(),
        no("GATE_UNRESOLVED", 3)
    );
}

#[test]
fn declarations_come_from_the_head_commit_and_from_a_file() {
    let sandbox = Sandbox::onboarded();
    sandbox.write(
        ".hap/decision.json",
        r#"{"profile":"deploy-gate@0.3","execution_path":"deploy-prod-canary"}"#,
    );
    assert_eq!(
        context(&sandbox, "main", "main"),
        no("DECISION_RECORD_MISSING", 7),
        "only in the work tree"
    );
    sandbox.git(&["switch", "-q", "-c", "change"]);
    let refused = |text: &str, code: &str| {
        sandbox.write(".hap/decision.json", text);
        sandbox.commit("declare");
        assert_eq!(context(&sandbox, "main", "change"), no(code, 7), "{text}");
    };
    refused("{", "DECISION_RECORD_INVALID");
    refused(
        r#"{"profile":"deploy-gate@0.3"}"#,
        "DECISION_RECORD_INVALID",
    );
    refused(
        r#"{"profile":"constructor","execution_path":"deploy-prod-canary"}"#,
        "DECISION_RECORD_INVALID",
    );
    refused(
        r#"{"profile":"deploy-gate@0.3","execution_path":"__proto__"}"#,
        "DECISION_RECORD_INVALID",
    );
    refused(
        r#"{"profile":"deploy-gate@9.9","execution_path":"deploy-prod-canary"}"#,
        "PROFILE_NOT_FOUND",
    );
    refused(
        r#"{"profile":"deploy-gate@0.3","execution_path":"deploy-prod-canary","sha":"x"}"#,
        "DECISION_RECORD_INVALID",
    );
    fs::remove_file(sandbox.work().join(".hap/decision.json")).unwrap();
    symlink("../src/app.rs", sandbox.work().join(".hap/decision.json")).unwrap();
    sandbox.commit("symlink");
    assert_eq!(
        context(&sandbox, "main", "change"),
        no("DECISION_RECORD_INVALID", 7)
    );
    sandbox.git(&["rm", "-q", ".hap/decision.json"]);
    let module = format!(
        "160000,{},.hap/decision.json",
        sandbox.git(&["rev-parse", "HEAD"])
    );
    sandbox.git(&["update-index", "--add", "--cacheinfo", &module]);
    sandbox.git(&["commit", "-q", "-m", "submodule"]);
    assert_eq!(
        context(&sandbox, "main", "change"),
        no("DECISION_RECORD_INVALID", 7)
    );
}

#[test]
fn a_profile_of_the_head_never_counts_and_never_changes() {
    let sandbox = declared();
    let path = "governance/hap/profiles/deploy-gate@0.3.profile.json";
    let weaker = fs::read_to_string(sandbox.work().join(path)).unwrap();
    sandbox.write(path, &weaker.replace("86400", "864000"));
    sandbox.commit("weaken the profile");
    sandbox.request("change", "alice", "engineering");
    sandbox.sign("alice", "alice", "hap-attest@v0.3");
    assert_eq!(
        sandbox.attest("change", "alice", &[]).reason(),
        no("PROFILE_INVALID", 7)
    );
    sandbox.git(&["switch", "-q", "main"]);
    sandbox.git(&["rm", "-q", path]);
    let removed = sandbox.commit("remove the profile");
    sandbox.declare("later", ONE);
    assert_eq!(
        context(&sandbox, "main", "later"),
        no("PROFILE_NOT_FOUND", 7),
        "{removed}"
    );
}

#[test]
fn the_base_must_be_governed_and_related() {
    let sandbox = declared();
    assert_eq!(
        context(&sandbox, "change", "change"),
        no("COMMIT_NOT_GOVERNED", 5)
    );
    sandbox.git(&["switch", "-q", "--orphan", "island"]);
    sandbox.write(
        ".hap/decision.json",
        r#"{"profile":"deploy-gate@0.3","execution_path":"deploy-prod-canary"}"#,
    );
    sandbox.commit("unrelated");
    assert_eq!(
        context(&sandbox, "main", "island"),
        no("EXECUTION_CONTEXT_VIOLATION", 5)
    );
    let words = [
        "hap", "context", "--base", "main", "--head", "change", "--repo", "owner",
    ];
    assert_eq!(
        sandbox.json(&words).reason(),
        no("EXECUTION_CONTEXT_VIOLATION", 5)
    );
}

#[test]
fn a_shallow_clone_is_not_taken_for_a_first_adoption() {
    let sandbox = Sandbox::empty();
    sandbox.keys();
    sandbox.write(
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:alice"]}}"#,
    );
    sandbox.commit("owners");
    sandbox.git(&["rm", "-q", ".hap/owners.json"]);
    sandbox.commit("owners removed");
    sandbox.declare("change", ONE);
    let shallow = sandbox.path("shallow").display().to_string();
    let from = format!("file://{}", sandbox.work().display());
    sandbox.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        "--no-single-branch",
        &from,
        &shallow,
    ]);
    let words = [
        "hap",
        "context",
        "--base",
        "origin/main",
        "--head",
        "origin/change",
    ];
    let more = ["--repo", "owner/repo", "--repository", &shallow];
    let answer = sandbox.json(&[words.as_slice(), more.as_slice()].concat());
    assert_eq!(
        answer.reason(),
        no("OBJECT_MISSING", 1),
        "was there ever a profile?"
    );
    let whole = sandbox.json(&[
        "hap",
        "context",
        "--base",
        "main",
        "--head",
        "change",
        "--repo",
        "owner/repo",
    ]);
    assert_eq!(whole.exit, 0, "{whole:?}");
}

#[test]
fn owners_are_adopted_once_at_the_governed_tip_and_never_over_a_broken_file() {
    let sandbox = Sandbox::onboarded();
    sandbox.git(&["rm", "-q", ".hap/owners.json"]);
    sandbox.commit("owners removed");
    sandbox.declare("again", ONE);
    sandbox.write(
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:alice"]}}"#,
    );
    sandbox.commit("owners again");
    let answer = sandbox.full("again", "alice", "engineering", &[]);
    assert_eq!(answer.reason(), no("AUTHORIZATION_SOURCE_MISSING", 7));
    sandbox.git(&["switch", "-q", "main"]);
    symlink("../elsewhere", sandbox.work().join("owners")).unwrap();
    fs::create_dir_all(sandbox.work().join(".hap")).unwrap();
    fs::rename(
        sandbox.work().join("owners"),
        sandbox.work().join(".hap/owners.json"),
    )
    .unwrap();
    sandbox.commit("owners as a symlink");
    sandbox.declare("repaired", ONE);
    fs::remove_file(sandbox.work().join(".hap/owners.json")).unwrap();
    sandbox.write(
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:alice"]}}"#,
    );
    sandbox.commit("owners as a file again");
    let answer = sandbox.full("repaired", "alice", "engineering", &[]);
    assert_eq!(answer.reason(), no("AUTHORIZATION_SOURCE_INVALID", 7));
}

#[test]
fn a_first_adoption_says_so() {
    let sandbox = Sandbox::empty();
    sandbox.keys();
    let words = [
        "hap",
        "onboard",
        "--organization",
        "acme",
        "--repo",
        "owner/repo",
        "--by",
        "did:github:root",
        "--signer",
        "did:github:alice=../alice.pub",
        "--now",
        "1735800000",
    ];
    assert_eq!(sandbox.permit(&words).exit, 0);
    let grant = [
        "hap",
        "authority",
        "grant",
        "--organization",
        "acme",
        "--did",
        "did:github:alice",
        "--domain",
        "engineering",
        "--env",
        "prod",
        "--by",
        "did:github:root",
        "--now",
        "1735800000",
    ];
    assert_eq!(sandbox.permit(&grant).exit, 0);
    sandbox.commit("registry without owners");
    sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
    sandbox.declare("adopt", ONE);
    sandbox.write(
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:alice"]}}"#,
    );
    sandbox.commit("owners");
    let answer = sandbox.full("adopt", "alice", "engineering", &[]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    let warnings = answer.json()["warnings"].to_string();
    assert!(
        warnings.contains("first adoption") && warnings.contains("does not trust"),
        "{warnings}"
    );
    let answer = sandbox.authorize("adopt", &["alice"], &[]);
    assert_eq!(
        answer.reason(),
        no("AUTHORIZATION_SOURCE_MISSING", 7),
        "no provider is trusted yet"
    );
    assert_eq!(answer.json()["approved"], false);
    assert_eq!(
        sandbox
            .authorize("adopt", &["alice"], &["--sp-key", SP_KEY])
            .exit,
        0
    );
}

#[test]
fn the_signers_file_speaks_for_exact_people() {
    let sandbox = declared();
    sandbox.request("change", "alice", "engineering");
    sandbox.sign("alice", "alice", "hap-attest@v0.3");
    let key = fs::read_to_string(sandbox.path("alice.pub")).unwrap();
    for (line, code, exit) in [
        (format!("* {key}"), "AUTHORIZATION_SOURCE_INVALID", 7),
        (
            format!("did:github:alice {key}did:github:bob {key}"),
            "AUTHORIZATION_SOURCE_INVALID",
            7,
        ),
        (
            format!("did:github:alice cert-authority {key}"),
            "AUTHORIZATION_SOURCE_INVALID",
            7,
        ),
        (
            format!("did:github:alice namespaces=\"git\" {key}"),
            "IDENTITY_UNVERIFIED",
            5,
        ),
        (
            format!("did:github:alice valid-before=\"20250103\" {key}"),
            "IDENTITY_UNVERIFIED",
            5,
        ),
        (
            format!("did:github:alice valid-after=\"20250104\" {key}"),
            "IDENTITY_UNVERIFIED",
            5,
        ),
        ("# nobody\n".to_owned(), "IDENTITY_UNVERIFIED", 5),
    ] {
        sandbox.git(&["switch", "-q", "main"]);
        sandbox.write("governance/hap/allowed_signers", &line);
        sandbox.commit("signers");
        sandbox.git(&["switch", "-q", "change"]);
        let answer = sandbox.full("change", "alice", "engineering", &[]);
        assert_eq!(answer.reason(), no(code, exit), "{line}");
    }
}

#[test]
fn keys_that_others_may_read_or_that_lie_in_the_repository_are_refused() {
    let sandbox = declared();
    set_mode(&sandbox.path("sp.key"), 0o644);
    let words = ["hap", "sp", "pubkey", "--sp-key-file", "../sp.key"];
    let answer = sandbox.json(&words);
    assert_eq!(answer.reason(), no("INVALID_INPUT", 7));
    assert!(!answer.stdout.contains("9d61b19d"));
    set_mode(&sandbox.path("sp.key"), 0o600);
    assert_eq!(sandbox.json(&words).json()["public_key"], SP_KEY);
    let inside = ["hap", "sp", "init", "--sp-key-file", "sp.key"];
    assert_eq!(sandbox.json(&inside).reason(), no("INVALID_INPUT", 7));
    let outside = ["hap", "sp", "init", "--sp-key-file", "../new.key"];
    let made = sandbox.json(&outside).json();
    assert_eq!(made["public_key"].as_str().unwrap().len(), 64);
    assert_eq!(mode_of(&sandbox.path("new.key")), 0o600);
    assert_eq!(
        sandbox.json(&outside).reason(),
        no("IO_ERROR", 1),
        "never overwritten"
    );
}

#[test]
fn an_attestation_of_another_environment_or_repository_does_not_authorize() {
    let sandbox = declared();
    sandbox.full("change", "alice", "engineering", &[]);
    let now = NOW.to_string();
    let ask = |repo: &str, env: &str| {
        let commits = [
            "--base", "main", "--head", "change", "--repo", repo, "--env", env,
        ];
        let rest = ["--attestation", "../alice.blob", "--now", &now];
        sandbox
            .json(&[&["hap", "authorize"], commits.as_slice(), rest.as_slice()].concat())
            .reason()
    };
    assert_eq!(ask("owner/repo", "prod"), no("OK", 0));
    assert_eq!(ask("owner/repo", "staging"), no("FRAME_HASH_MISMATCH", 5));
    assert_eq!(ask("owner/Repo", "prod"), no("FRAME_HASH_MISMATCH", 5));
    assert_eq!(
        ask("owner/repo", "moon"),
        no("EXECUTION_CONTEXT_VIOLATION", 5)
    );
    sandbox.git(&["switch", "-q", "main"]);
    sandbox.write("src/other.rs", "the base moves on");
    sandbox.commit("moved");
    assert_eq!(
        ask("owner/repo", "prod"),
        no("EXECUTION_CONTEXT_VIOLATION", 5),
        "another base"
    );
    assert_eq!(ask("owner/repo", "prod").1, 5);
}

/// Moves the governed ref past `main`, which stays the base that people name.
fn advance(sandbox: &Sandbox, path: &str, text: &str) {
    sandbox.git(&["switch", "-q", "-c", "trunk", "main"]);
    sandbox.write(path, text);
    sandbox.commit("later");
    sandbox.git(&["config", "permit.governedRef", "refs/heads/trunk"]);
    sandbox.git(&["switch", "-q", "change"]);
}

#[test]
fn an_owner_who_was_removed_confers_nothing_at_an_older_base() {
    let sandbox = declared();
    assert_eq!(
        sandbox.full("change", "alice", "engineering", &[]).exit,
        0,
        "an owner at the tip"
    );
    assert_eq!(sandbox.authorize("change", &["alice"], &[]).exit, 0);
    advance(
        &sandbox,
        ".hap/owners.json",
        r#"{"domains": {"engineering": ["did:github:mara"]}}"#,
    );
    assert_eq!(
        sandbox.attest("change", "alice", &[]).reason(),
        no("SCOPE_INSUFFICIENT", 3)
    );
    let answer = sandbox.authorize("change", &["alice"], &[]);
    assert_eq!(answer.reason(), no("SCOPE_INSUFFICIENT", 3));
    assert_eq!(answer.json()["approved"], false);
}

#[test]
fn a_provider_or_a_key_that_was_removed_confers_nothing_at_an_older_base() {
    for (path, attests) in [
        ("governance/hap/service-providers.json", true),
        ("governance/hap/allowed_signers", false),
        ("governance/hap/registry.json", false),
    ] {
        let sandbox = declared();
        assert_eq!(sandbox.full("change", "alice", "engineering", &[]).exit, 0);
        advance(&sandbox, path, "");
        assert_eq!(
            sandbox.attest("change", "alice", &[]).exit == 0,
            attests,
            "{path}"
        );
        let answer = sandbox.authorize("change", &["alice"], &[]);
        assert_eq!(answer.exit != 0, attests, "{path}: {answer:?}");
    }
}

#[test]
fn an_older_base_serves_where_only_content_came_after_it() {
    let sandbox = declared();
    advance(&sandbox, "src/other.rs", "content");
    let answer = sandbox.full("change", "alice", "engineering", &[]);
    assert_eq!(answer.exit, 0, "{answer:?}");
    let answer = sandbox.authorize("change", &["alice"], &[]);
    assert_eq!(answer.exit, 0, "{answer:?}");
}
