//! From a declaration to an authorized deployment, and what everybody can check afterwards.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::sandbox::{NOW, SP_KEY, Sandbox, set_mode};

const TWO: &str = "deploy-prod-user-facing";

fn attested() -> Sandbox {
    let sandbox = Sandbox::onboarded();
    sandbox.declare("banner", TWO);
    for (name, domain) in [("alice", "engineering"), ("mara", "marketing")] {
        let answer = sandbox.full("banner", name, domain, &[]);
        assert_eq!(answer.exit, 0, "{answer:?}");
    }
    sandbox
}

#[test]
fn two_owners_authorize_what_one_alone_does_not() {
    let sandbox = attested();
    let answer = sandbox.authorize("banner", &["alice", "mara"], &[]);
    let json = answer.json();
    assert_eq!(answer.exit, 0, "{json}");
    assert_eq!(json["approved"], true);
    assert_eq!(
        json["verified_domains"],
        json!(["engineering", "marketing"])
    );
    assert_eq!(
        (&json["clock"], &json["now"]),
        (&json!("given"), &json!(NOW + 10))
    );
    let answer = sandbox.authorize("banner", &["alice"], &[]);
    assert_eq!(answer.reason(), ("MISSING_REQUIRED_DOMAIN".to_owned(), 4));
    assert_eq!(answer.json()["approved"], false);
    let missing = &answer.json()["errors"][0];
    assert_eq!(missing["domain"], "marketing");
    let late = (NOW + 3600).to_string();
    let answer = sandbox.authorize("banner", &["alice", "mara"], &["--now", &late]);
    assert_eq!(answer.reason(), ("TTL_EXPIRED".to_owned(), 6));
}

#[test]
fn the_same_question_has_the_same_answer_even_where_nothing_can_be_written() {
    let sandbox = attested();
    let before = sandbox.authorize("banner", &["alice", "mara"], &[]);
    set_mode(&sandbox.work().join(".git"), 0o500);
    let after = sandbox.authorize("banner", &["alice", "mara"], &[]);
    set_mode(&sandbox.work().join(".git"), 0o700);
    assert_eq!(before.stdout, after.stdout);
}

#[test]
fn an_execution_request_on_standard_input_is_decided_alike() {
    let sandbox = attested();
    let blob = |name: &str| {
        let text = fs::read_to_string(sandbox.path(&format!("{name}.blob"))).unwrap();
        text.trim_end().to_owned()
    };
    let sha = sandbox.git(&["rev-parse", "banner"]);
    let ask = |path: &str, sha: &str| {
        let request = json!({"action": {"params": {"repo": "owner/repo", "sha": sha, "env": "prod",
            "profile_id": "deploy-gate@0.3", "execution_path": path}},
            "attestations": [blob("alice"), blob("mara")]});
        let now = NOW.to_string();
        let words = [
            "hap",
            "authorize",
            "--base",
            "main",
            "--now",
            &now,
            "--format",
            "json",
        ];
        sandbox.permit_with(&words, request.to_string().as_bytes(), &[])
    };
    assert_eq!(ask(TWO, &sha).exit, 0);
    let other = ask("deploy-prod-canary", &sha);
    assert_eq!(
        other.reason(),
        ("EXECUTION_CONTEXT_VIOLATION".to_owned(), 5)
    );
    assert_eq!(ask(TWO, "banner").reason().0, "EXECUTION_CONTEXT_VIOLATION");
    let words = ["hap", "authorize", "--base", "main", "--format", "json"];
    let garbage = sandbox.permit_with(&words, b"{}", &[]);
    assert_eq!(garbage.reason(), ("INVALID_INPUT".to_owned(), 7));
    assert_eq!(garbage.json()["approved"], false);
}

#[test]
fn everybody_computes_the_same_context_whatever_the_machine_says() {
    let sandbox = attested();
    let commits = ["--base", "main", "--head", "banner", "--repo", "owner/repo"];
    let words = [
        &["hap", "context"],
        commits.as_slice(),
        &["--format", "json"],
    ]
    .concat();
    let here = sandbox.permit(&words).json();
    sandbox.git(&["config", "core.quotePath", "true"]);
    sandbox.git(&["config", "diff.renames", "copies"]);
    sandbox.git(&["config", "diff.orderFile", "nowhere"]);
    sandbox.git(&["config", "diff.noprefix", "true"]);
    sandbox.git(&["replace", "banner", "main"]);
    sandbox.write(".gitattributes", "* -diff\n");
    sandbox.write(".hap/decision.json", "dirty");
    let env = [
        ("LC_ALL", "tr_TR.UTF-8"),
        ("TZ", "Pacific/Kiritimati"),
        ("LANG", "C"),
    ];
    let there = sandbox.permit_with(&words, b"", &env).json();
    assert_eq!(
        here["execution_context_hash"],
        there["execution_context_hash"]
    );
    assert_eq!(here["canonical"], there["canonical"]);
    let copy = sandbox.path("copy.git").display().to_string();
    sandbox.git(&["clone", "-q", "--mirror", ".", &copy]);
    let bare = sandbox
        .permit(&[words.as_slice(), &["--repository", &copy]].concat())
        .json();
    assert_eq!(here["canonical"], bare["canonical"]);
}

#[test]
fn a_decision_stream_grows_by_registrations_and_shows_every_break() {
    let sandbox = Sandbox::onboarded();
    sandbox.declare("banner", TWO);
    let now = (NOW + 1).to_string();
    let register = |name: &str| {
        let blob = format!("../{name}.blob");
        let words = [
            "hap",
            "sp",
            "register",
            "--attestation",
            &blob,
            "--sp-key-file",
            "../sp.key",
        ];
        let answer = sandbox.json(&[words.as_slice(), &["--now", &now]].concat());
        sandbox.write_aside("registration.json", &answer.stdout);
        answer.json()
    };
    let append = || {
        sandbox.json(&[
            "hap",
            "stream",
            "append",
            "shop",
            "--registration",
            "../registration.json",
        ])
    };
    let verify = || sandbox.json(&["hap", "stream", "verify", "shop"]);
    assert_eq!(verify().reason(), ("STREAM_EMPTY".to_owned(), 5));
    sandbox.full("banner", "alice", "engineering", &["--project", "shop"]);
    assert_eq!(register("alice")["sequence"], 1);
    assert_eq!(append().json()["sequence"], 1);
    assert_eq!(append().reason(), ("STREAM_SEQUENCE_BROKEN".to_owned(), 5));
    let attested = sandbox
        .full("banner", "mara", "marketing", &["--project", "shop"])
        .json();
    assert_eq!(attested["payload"]["stream"]["sequence"], 2);
    register("mara");
    let appended = append().json();
    let verified = verify().json();
    assert_eq!(
        (verified["verdict"].as_str(), &verified["length"]),
        (Some("VALID"), &json!(2))
    );
    assert_eq!(verified["head"], appended["head"]);
    let tip = sandbox.git(&["rev-parse", "refs/hap/streams/shop"]);
    let message = sandbox.git(&["cat-file", "commit", &tip]);
    sandbox.write_aside(
        "forged",
        message.replace("registration #2", "registration #3"),
    );
    let file = sandbox.path("forged").display().to_string();
    let forged = sandbox.git(&["hash-object", "-t", "commit", "-w", &file]);
    sandbox.git(&["update-ref", "refs/hap/streams/shop", &forged]);
    assert_eq!(verify().json()["fault"]["code"], "STREAM_MALFORMED");
    let other = ["hap", "stream", "verify", "../shop"];
    assert_eq!(
        sandbox.json(&other).reason(),
        ("INVALID_INPUT".to_owned(), 7)
    );
}

#[test]
fn of_two_registrations_of_one_place_exactly_one_is_appended() {
    let sandbox = Sandbox::onboarded();
    sandbox.declare("banner", TWO);
    for (name, domain) in [("alice", "engineering"), ("mara", "marketing")] {
        let answer = sandbox.full("banner", name, domain, &["--project", "shop"]);
        assert_eq!(answer.json()["payload"]["stream"]["sequence"], 1);
    }
    let append = |name: &str| {
        let (blob, now) = (format!("../{name}.blob"), NOW.to_string());
        let words = ["hap", "stream", "append", "shop", "--attestation", &blob];
        sandbox.json(
            &[
                words.as_slice(),
                &["--sp-key-file", "../sp.key", "--now", &now],
            ]
            .concat(),
        )
    };
    let answers = thread::scope(|scope| {
        let race = ["alice", "mara"].map(|name| scope.spawn(move || append(name)));
        race.map(|thread| thread.join().unwrap().reason().0)
    });
    assert!(answers.contains(&"OK".to_owned()), "{answers:?}");
    assert!(
        answers.contains(&"STREAM_SEQUENCE_BROKEN".to_owned()),
        "{answers:?}"
    );
    assert_eq!(
        sandbox.json(&["hap", "stream", "verify", "shop"]).json()["length"],
        1
    );
}

#[test]
fn the_provider_logs_and_counts_everything_that_it_signed() {
    let sandbox = attested();
    let stats = sandbox.json(&["hap", "sp", "stats"]).json();
    assert_eq!(stats["attestations"], 2);
    assert_eq!(stats["by_path"], json!({TWO: 2}));
    assert_eq!(
        stats["by_domain"],
        json!({"engineering": 1, "marketing": 1})
    );
    assert_eq!(stats["by_identity"], json!({"ssh": 2}));
    let log = sandbox.json(&["hap", "sp", "log"]).json();
    assert_eq!(log["issued"][0]["did"], "did:github:mara");
    assert_eq!(log["issued"][1]["execution_path"], TWO);
    let sha = sandbox.git(&["rev-parse", "banner"]);
    let subjects = sandbox.git(&[
        "log",
        "--format=%s",
        &format!("refs/hap/attestations/{sha}"),
    ]);
    let expected =
        "deploy-gate@0.3 marketing did:github:mara\ndeploy-gate@0.3 engineering did:github:alice";
    assert_eq!(subjects, expected);
    let blob = fs::read_to_string(sandbox.path("mara.blob")).unwrap();
    let body = sandbox.git(&[
        "log",
        "-1",
        "--format=%b",
        &format!("refs/hap/attestations/{sha}"),
    ]);
    assert_eq!(body.trim_end(), blob.trim_end());
}

#[test]
fn a_text_is_proven_by_its_hash_and_written_nowhere() {
    let sandbox = attested();
    let verify = |verb: &str| {
        let words = [
            "hap",
            "gate",
            verb,
            "--attestation",
            "../mara.blob",
            "--problem",
        ];
        sandbox.json(&[words.as_slice(), &["../problem.txt"]].concat())
    };
    assert_eq!(verify("verify").json()["match"], json!({"problem": true}));
    let published = verify("publish").json();
    assert_eq!(
        published["published"]["problem"],
        "problem of mara, in secret\n"
    );
    sandbox.write_aside("problem.txt", "problem of mara, in secret");
    let answer = verify("verify");
    assert_eq!(answer.reason(), ("GATE_MISMATCH".to_owned(), 5));
    assert_eq!(answer.json()["match"], json!({"problem": false}));
    assert!(verify("publish").json()["published"].is_null());
    assert!(!answer.stdout.contains("in secret") && !answer.stderr.contains("in secret"));
    for line in sandbox
        .git(&["cat-file", "--batch-all-objects", "--batch-check"])
        .lines()
    {
        let id = line.split(' ').next().unwrap();
        let kind = sandbox.git(&["cat-file", "-t", id]);
        // A tree holds names and ids only.
        if kind != "tree" {
            let bytes = sandbox.git(&["cat-file", &kind, id]);
            assert!(!bytes.contains("in secret"), "{id}");
        }
    }
}

#[test]
fn a_disputed_attestation_stands_or_is_void_as_of_its_time() {
    let sandbox = attested();
    let at = (NOW + 1_000_000).to_string();
    let dispute = |base: &str| {
        let commits = [
            "--base",
            base,
            "--head",
            "banner",
            "--repo",
            "owner/repo",
            "--at",
            &at,
        ];
        sandbox.json(&[&["hap", "dispute", "../alice.blob"], commits.as_slice()].concat())
    };
    let json = dispute("main").json();
    assert_eq!(
        (json["outcome"].as_str(), json["reason"].as_str()),
        (Some("stands"), Some("OK"))
    );
    sandbox.git(&["switch", "-q", "main"]);
    let revoke = [
        "hap",
        "authority",
        "revoke",
        "--organization",
        "acme",
        "--did",
        "did:github:alice",
    ];
    let more = [
        "--domain",
        "engineering",
        "--env",
        "prod",
        "--by",
        "did:github:root",
        "--now",
    ];
    for (time, expected) in [(NOW, "void"), (NOW + 1, "stands")] {
        let time = time.to_string();
        let words = [revoke.as_slice(), more.as_slice(), &[&time]].concat();
        assert_eq!(sandbox.permit(&words).exit, 0);
        let registry =
            fs::read_to_string(sandbox.work().join("governance/hap/registry.json")).unwrap();
        let blob = sandbox.path("registry").display().to_string();
        sandbox.write_aside("registry", registry);
        // The dispute looks at the same base with another registry: only authority may decide.
        let judged = judge_with_registry(&sandbox, &blob, &at);
        assert_eq!(judged["outcome"], expected, "{judged}");
        sandbox.git(&["checkout", "-q", "governance/hap/registry.json"]);
    }
}

/// Judges alice's attestation after it was made again for a base with another registry.
fn judge_with_registry(sandbox: &Sandbox, registry: &str, at: &str) -> Value {
    sandbox.git(&["switch", "-q", "--detach", "main"]);
    fs::copy(
        registry,
        sandbox.work().join("governance/hap/registry.json"),
    )
    .unwrap();
    let base = sandbox.commit("registry");
    sandbox.git(&["config", "permit.governedRef", "other"]);
    sandbox.git(&["update-ref", "refs/heads/other", &base]);
    let commits = ["--base", &base, "--head", "banner", "--repo", "owner/repo"];
    let context = sandbox
        .json(&[&["hap", "context"], commits.as_slice()].concat())
        .json();
    let blob = resealed(sandbox, &context["execution_context_hash"]);
    sandbox.write_aside("again.blob", blob);
    let words = [
        &["hap", "dispute", "../again.blob", "--at", at],
        commits.as_slice(),
    ]
    .concat();
    let judged = sandbox.json(&words).json();
    sandbox.git(&["config", "permit.governedRef", "main"]);
    sandbox.git(&["switch", "-q", "main"]);
    judged
}

/// Alice's attestation for another context, signed with the provider's key.
fn resealed(sandbox: &Sandbox, context_hash: &Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use permit::engine::{canonical, hap};
    let blob = fs::read_to_string(sandbox.path("alice.blob")).unwrap();
    let json = URL_SAFE_NO_PAD.decode(blob.trim_end()).unwrap();
    let mut payload = serde_json::from_slice::<Value>(&json).unwrap()["payload"].clone();
    payload["execution_context_hash"] = context_hash.clone();
    let payload = canonical::parse(payload.to_string().as_bytes())
        .unwrap()
        .into_owned();
    let secret = super::sandbox::SP_SEED.parse().unwrap();
    hap::attestation::seal(&payload, &secret)
}

#[test]
fn an_attestation_shows_what_it_proves_by_itself() {
    let sandbox = attested();
    let shown = sandbox
        .json(&["hap", "show", "../alice.blob", "--sp-key", SP_KEY])
        .json();
    assert_eq!(shown["signature"], "valid");
    assert_eq!(
        shown["payload"]["resolved_domains"][0]["did"],
        "did:github:alice"
    );
    assert_eq!(shown["payload"]["identity"], "ssh");
    let other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let answer = sandbox.json(&["hap", "show", "../alice.blob", "--sp-key", other]);
    assert_eq!(answer.reason(), ("INVALID_SIGNATURE".to_owned(), 5));
    let bare = sandbox.json(&["hap", "show", "../alice.blob"]).json();
    assert_eq!(bare["signature"], "unchecked");
}

#[test]
fn commands_without_a_repository_need_none() {
    let sandbox = attested();
    let elsewhere = sandbox.path("nowhere");
    fs::create_dir(&elsewhere).unwrap();
    let outside = elsewhere.display().to_string();
    let words = [
        "hap",
        "show",
        "../alice.blob",
        "--repository",
        &outside,
        "--format",
        "json",
    ];
    assert_eq!(sandbox.permit(&words).exit, 0);
    let key = [
        "hap",
        "sp",
        "pubkey",
        "--sp-key-file",
        "../sp.key",
        "--repository",
        &outside,
    ];
    assert_eq!(sandbox.json(&key).json()["public_key"], SP_KEY);
}
