//! What a push may add to `refs/hap/*`: records of the right kind, whole, linked and in their place.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::sandbox::{NOW, Sandbox};

const TWO: &str = "deploy-prod-user-facing";

/// A server with the hook, and a sandbox that has attested and registered twice.
fn world() -> Sandbox {
    let sandbox = Sandbox::onboarded();
    let server = sandbox.path("server.git").display().to_string();
    sandbox.git(&["init", "-q", "--bare", "-b", "main", &server]);
    sandbox.git(&["--git-dir", &server, "config", "permit.governedRef", "main"]);
    let installed = sandbox.permit(&["--repository", &server, "guard", "install"]);
    assert_eq!(installed.exit, 0, "{installed:?}");
    sandbox.git(&["remote", "add", "origin", &server]);
    let head = sandbox.declare("banner", TWO);
    for (name, domain) in [("alice", "engineering"), ("mara", "marketing")] {
        let answer = sandbox.full(&head, name, domain, &["--project", "shop"]);
        assert_eq!(answer.exit, 0, "{answer:?}");
        let (blob, now) = (format!("../{name}.blob"), (NOW + 1).to_string());
        let words = ["hap", "stream", "append", "shop", "--attestation", &blob];
        let signed = ["--sp-key-file", "../sp.key", "--now", &now];
        let answer = sandbox.json(&[words.as_slice(), &signed].concat());
        assert_eq!(answer.exit, 0, "{answer:?}");
    }
    assert!(push(&sandbox, "off", &["main", "banner"]).contains("the mode is `off`"));
    sandbox
}

/// Pushes, and returns what the hook said; empty where everything went through in silence.
pub(super) fn push(sandbox: &Sandbox, mode: &str, refspecs: &[&str]) -> String {
    let script = "git push -q origin \"$@\" 2>&1; true";
    let words = [&["-c", script, "push"], refspecs].concat();
    let mode = format!("ENFORCEMENT_MODE={mode}");
    sandbox.run(
        "env",
        &[[mode.as_str(), "sh"].as_slice(), &words].concat(),
        b"",
    )
}

#[test]
fn honest_records_go_through_and_grow() {
    let sandbox = world();
    let first = "refs/hap/streams/shop~1:refs/hap/streams/shop";
    for refspec in [first, "refs/hap/*:refs/hap/*"] {
        let said = push(&sandbox, "enforce", &[refspec]);
        assert!(!said.contains('['), "{said}");
    }
    let sent = sandbox.git(&["ls-remote", "origin", "refs/hap/*"]);
    assert_eq!(sent.lines().count(), 3, "{sent}");
}

#[test]
fn a_record_in_another_place_or_form_is_denied() {
    let sandbox = world();
    let head = sandbox.git(&["rev-parse", "banner"]);
    let main = sandbox.git(&["rev-parse", "main"]);
    let beside = format!("refs/hap/attestations/{head}");
    let tip = sandbox.git(&["rev-parse", "refs/hap/streams/shop"]);
    let message = sandbox.git(&["cat-file", "commit", &tip]);
    let forged = |text: String| {
        sandbox.write_aside("forged", text);
        let file = sandbox.path("forged").display().to_string();
        sandbox.git(&["hash-object", "-t", "commit", "-w", &file])
    };
    let renumbered = forged(message.replace("registration #2", "registration #3"));
    // The second registration alone, as if nothing had come before it.
    let parent = sandbox.git(&["rev-parse", "refs/hap/streams/shop~1"]);
    let unlinked = forged(message.replace(&format!("parent {parent}\n"), ""));
    for (refspec, reason) in [
        ("refs/hap/log:refs/hap/other".to_owned(), "CHAIN_MALFORMED"),
        (
            "refs/hap/log:refs/hap/streams/shop".to_owned(),
            "CHAIN_MALFORMED",
        ),
        (
            "refs/hap/streams/shop:refs/hap/log".to_owned(),
            "CHAIN_MALFORMED",
        ),
        (format!("refs/hap/log:{beside}"), "CHAIN_MALFORMED"),
        ("main:refs/hap/log".to_owned(), "CHAIN_MALFORMED"),
        (
            "refs/hap/streams/shop:refs/hap/streams/other".to_owned(),
            "CHAIN_TAMPERED",
        ),
        (
            format!("{renumbered}:refs/hap/streams/shop"),
            "CHAIN_MALFORMED",
        ),
        (
            format!("{unlinked}:refs/hap/streams/shop"),
            "CHAIN_TAMPERED",
        ),
        (
            format!("{beside}:refs/hap/attestations/{main}"),
            "CHAIN_TAMPERED",
        ),
        (
            format!("{beside}:refs/hap/attestations/main"),
            "CHAIN_MALFORMED",
        ),
    ] {
        let said = push(&sandbox, "enforce", &[&refspec]);
        assert!(said.contains(&format!("[{reason}]")), "{refspec}: {said}");
    }
    // Beside a commit that the repository lacks there is nothing to compare with.
    let elsewhere = format!("{beside}:refs/hap/attestations/{}", "1".repeat(40));
    let said = push(&sandbox, "enforce", &[&elsewhere, &beside]);
    assert!(!said.contains('['), "{said}");
    let said = push(&sandbox, "enforce", &[&format!(":{beside}")]);
    assert!(said.contains("[STREAM_REWRITE]"), "{said}");
}

#[test]
fn another_blob_of_a_registered_attestation_is_a_repetition() {
    let sandbox = world();
    let stream = "refs/hap/streams/shop";
    let before = sandbox.git(&["rev-parse", stream]);
    let blob = fs::read_to_string(sandbox.path("mara.blob")).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(blob.trim_end()).unwrap();
    let mut envelope: Value = serde_json::from_slice(&bytes).unwrap();
    envelope["header"]["kid"] = "another".into();
    let other = URL_SAFE_NO_PAD.encode(format!("{envelope:#}"));
    assert_ne!(other, blob.trim_end());
    sandbox.write_aside("other.blob", other + "\n");
    let now = (NOW + 2).to_string();
    let words = [
        "hap",
        "stream",
        "append",
        "shop",
        "--attestation",
        "../other.blob",
    ];
    let signed = ["--sp-key-file", "../sp.key", "--now", &now];
    let answer = sandbox.json(&[words.as_slice(), &signed].concat());
    let refused = ("STREAM_SEQUENCE_BROKEN".to_owned(), 5);
    assert_eq!(answer.reason(), refused, "{answer:?}");
    assert!(answer.stdout.contains("repetition"), "{answer:?}");
    assert_eq!(sandbox.git(&["rev-parse", stream]), before);
    let verified = sandbox.json(&["hap", "stream", "verify", "shop"]);
    assert_eq!(verified.exit, 0, "{verified:?}");
}
