//! Artifacts, signatures, tables and manifests that must not pass, each with its reason and exit code.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::ledger::{Ledger, NAMESPACE, PRINCIPALS, domain_hash, human, manifest, sha256};

#[test]
fn a_sound_review_passes_through_every_command() {
    let ledger = Ledger::new();
    let (exit, missing) = ledger
        .sandbox
        .json(&["issue", "--request", "../request.json"]);
    assert_eq!(
        (exit, missing["reason"].as_str()),
        (4, Some("REVIEW_MISSING"))
    );
    assert_eq!(missing["review_id"], ledger.id());
    assert_eq!(missing["path"], ledger.path());

    let introduced = ledger.commit();
    let permit = ledger.issue_permit();
    assert_eq!(permit["decision"], "review");
    assert_eq!(
        permit["review_ref"],
        json!({"review_id": ledger.id(), "review_type": "production-deploy"})
    );
    assert_eq!(ledger.verify(), (0, "OK".to_owned()));
    let id = permit["permit_id"].as_str().unwrap();
    let (_, shown) = ledger.sandbox.json(&["show", id]);
    let says = &ledger.artifact;
    let message = shown["events"][0]["payload"]["review"]["message_sha256"].clone();
    assert_eq!(message.as_str().map(str::len), Some(64));
    assert_eq!(
        shown["events"][0]["payload"]["review"],
        json!({"review_id": ledger.id(), "review_type": "production-deploy", "reviewer": says["reviewer"],
            "verdict": "approve", "conditions": [], "cross_signers": says["cross_signers"],
            "manifest_envelope_id": says["manifest_envelope_id"], "introduced_by": introduced,
            "recorded_at": 1_700_000_000, "message_sha256": message})
    );
    assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
    ledger.refused(6, "REVIEW_CONSUMED", "a review yields one permit");
    let used = ["use", "../permit.json", "--request", "../request.json"];
    assert_eq!(ledger.sandbox.reason(&used), (0, "OK".to_owned()));
    assert_eq!(ledger.sandbox.reason(&used), (6, "ALREADY_USED".to_owned()));
    assert_eq!(
        ledger.sandbox.reason(&["verify-chain"]),
        (0, "OK".to_owned())
    );
}

#[test]
fn every_kind_of_software_key_signs() {
    for kind in [&["-t", "ecdsa", "-b", "256"], &["-t", "rsa", "-b", "3072"]] {
        let ledger = Ledger::new();
        let line = ledger.sandbox.keygen("other", kind);
        ledger.alter_table(|people| people[1] = human("human:bo", &line));
        ledger.sandbox.commit();
        let ledger = Ledger {
            signing: vec![("human:ana", "ana"), ("human:bo", "other")],
            ..ledger
        };
        ledger.commit();
        ledger.refused(0, "OK", kind[1]);
    }
}

#[test]
fn of_many_who_want_the_one_permit_of_a_review_one_gets_it() {
    let ledger = Ledger::new();
    ledger.commit();
    let racers: Vec<_> = (0..8)
        .map(|_| {
            ledger
                .sandbox
                .command(env!("CARGO_BIN_EXE_permit"))
                .args(["issue", "--request", "../request.json"])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut exits: Vec<_> = racers
        .into_iter()
        .map(|mut racer| racer.wait().unwrap().code().unwrap())
        .collect();
    exits.sort_unstable();
    assert_eq!(exits, [0, 6, 6, 6, 6, 6, 6, 6]);
    assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
}

#[test]
fn nobody_approves_what_they_ask_for() {
    let mut ledger = Ledger::new();
    let mut request = super::ledger::request();
    request["actor_id"] = json!("human:bo");
    ledger.sandbox.write_json("../request.json", &request);
    let (_, evaluated) = ledger
        .sandbox
        .json(&["eval", "--request", "../request.json"]);
    let fingerprint = evaluated["mapping"]["request_fingerprint"].clone();
    assert_eq!(fingerprint, super::ledger::fingerprint(&request));
    let inputs = json!({"policy_hash": ledger.artifact["policy_hash"], "request_fingerprint": fingerprint,
        "review_type": "production-deploy"});
    ledger.artifact["request_fingerprint"] = fingerprint;
    ledger.artifact["review_id"] = json!(domain_hash("review_id.v1", &inputs));
    ledger.commit();
    ledger.refused(5, "REVIEW_SELF_APPROVAL", "bo asks and signs");
}

#[test]
fn a_signature_made_for_something_else_does_not_count() {
    let ledger = Ledger::new();
    let message = ledger.message();
    let sign = |namespace: &str, message: &[u8]| ledger.sandbox.sign("bo", namespace, message);
    let sound = sign(NAMESPACE, &message);
    let variants = [
        sign("git", &message),
        sign("file", &message),
        sign("hap-attest@v0.3", &message),
        sign(NAMESPACE, b"another message"),
        // Without the domain, and with a line feed too many.
        sign(
            NAMESPACE,
            message.split(|byte| *byte == b'\n').nth(1).unwrap(),
        ),
        sign(NAMESPACE, &[&message[..], b"\n"].concat()),
        sound.split_at(sound.len() / 2).0.to_owned(),
        format!("{sound}trailing"),
        sound.replace("SSH SIGNATURE", "PGP SIGNATURE"),
        String::new(),
        ledger.sandbox.sign("ana", NAMESPACE, &message),
    ];
    for sshsig in variants {
        let mut artifact = ledger.signed();
        artifact["signatures"][1]["sshsig"] = json!(sshsig);
        ledger.sandbox.write_json(&ledger.path(), &artifact);
        ledger
            .sandbox
            .write_json(&ledger.manifest_path(), &ledger.manifest);
        ledger.sandbox.commit();
        ledger.refused(5, "REVIEW_SIGNATURE_INVALID", &sshsig);
    }
    // The ledger has one layout, and a single changed letter is not signed for.
    let mut artifact = ledger.signed();
    ledger
        .sandbox
        .write(&ledger.path(), format!(" {artifact}\n"));
    ledger.sandbox.commit();
    ledger.refused(7, "INVALID_REVIEW", "a leading space");
    ledger.sandbox.write_json(&ledger.path(), &artifact);
    ledger.sandbox.commit();
    artifact["reason"] = json!("looks Right");
    let unissued = ledger.sandbox.reason(&["review", "check", &ledger.id()]);
    assert_eq!(unissued, (0, "OK".to_owned()));
    ledger.sandbox.write_json(&ledger.path(), &artifact);
    ledger.sandbox.commit();
    ledger.refused(5, "REVIEW_SIGNATURE_INVALID", "an altered reason");
}

#[test]
fn an_artifact_counts_only_at_its_place_in_the_governed_commit() {
    let ledger = Ledger::new();
    ledger.write();
    ledger.refused(4, "REVIEW_MISSING", "uncommitted");
    ledger.sandbox.git(&["add", "-A"]);
    ledger.refused(4, "REVIEW_MISSING", "in the index only");
    ledger.sandbox.commit();

    let path = ledger.sandbox.root().join(ledger.path());
    let elsewhere = format!("governance/reviews/{}.review.json", "ab".repeat(32));
    fs::rename(&path, ledger.sandbox.root().join(&elsewhere)).unwrap();
    ledger.sandbox.commit();
    ledger.refused(4, "REVIEW_MISSING", "renamed");
    let other = ["review", "check", &"ab".repeat(32)];
    assert_eq!(
        ledger.sandbox.reason(&other),
        (5, "REVIEW_MISMATCH".to_owned())
    );

    symlink(format!("{}.review.json", "ab".repeat(32)), &path).unwrap();
    ledger.sandbox.commit();
    ledger.refused(7, "INVALID_REVIEW", "behind a symlink");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    ledger.sandbox.write(&format!("{}/x", ledger.path()), "x");
    ledger.sandbox.commit();
    ledger.refused(7, "INVALID_REVIEW", "a folder");

    fs::remove_dir_all(&path).unwrap();
    ledger.sandbox.remove(&elsewhere);
    ledger.sandbox.commit();
    ledger.refused(4, "REVIEW_MISSING", "in an old commit only");
}

type Alter = dyn Fn(&mut Vec<Value>);

#[test]
fn a_table_that_does_not_hold_to_its_rules_judges_nobody() {
    let ledger = Ledger::new();
    ledger.commit();
    let sound = fs::read_to_string(ledger.sandbox.root().join(PRINCIPALS)).unwrap();
    let weak = ledger.sandbox.keygen("weak", &["-t", "rsa", "-b", "2048"]);
    let alterations: Vec<Box<Alter>> = vec![
        Box::new(|people| people[1]["id"] = json!("human:ana")),
        Box::new(|people| people[1]["keys"] = people[0]["keys"].clone()),
        Box::new(move |people| people[2]["keys"] = json!([weak])),
        Box::new(|people| people[2]["kind"] = json!("service")),
        Box::new(|people| people[2]["admin"] = json!(true)),
        Box::new(|people| people[2]["roles"] = json!(["emperor"])),
    ];
    for alter in alterations {
        ledger.alter_table(|people| alter(people));
        ledger.sandbox.commit();
        ledger.refused(7, "INVALID_PRINCIPALS", "malformed");
        ledger.sandbox.write(PRINCIPALS, &sound);
        ledger.sandbox.commit();
    }
    for (bytes, code) in [("", "INVALID_PRINCIPALS"), ("{}", "INVALID_PRINCIPALS")] {
        ledger.sandbox.write(PRINCIPALS, bytes);
        ledger.sandbox.commit();
        ledger.refused(7, code, bytes);
    }
    ledger.sandbox.remove(PRINCIPALS);
    ledger.sandbox.commit();
    ledger.refused(7, "PRINCIPALS_MISSING", "removed");
    symlink(
        "policy/acme.policy.json",
        ledger.sandbox.root().join(PRINCIPALS),
    )
    .unwrap();
    ledger.sandbox.commit();
    ledger.refused(7, "INVALID_PRINCIPALS", "a symlink");
    ledger.sandbox.remove(PRINCIPALS);
    ledger.sandbox.write(PRINCIPALS, &sound);
    ledger.sandbox.commit();
    ledger.refused(0, "OK", "sound again");
}

#[test]
fn a_manifest_ties_the_decision_to_bytes() {
    let ledger = Ledger::new();
    ledger.commit();
    let sandbox = &ledger.sandbox;
    let path = ledger.manifest_path();

    sandbox.write("release/web.txt", "web 1.2.4\n");
    sandbox.commit();
    ledger.refused(5, "MANIFEST_MISMATCH", "a changed artifact");
    let check = [
        "manifest",
        "check",
        ledger.artifact["manifest_envelope_id"].as_str().unwrap(),
    ];
    assert_eq!(sandbox.reason(&check), (5, "MANIFEST_MISMATCH".to_owned()));
    sandbox.remove("release/web.txt");
    sandbox.commit();
    ledger.refused(5, "MANIFEST_MISMATCH", "a missing artifact");
    sandbox.write("release/web.txt/x", "x");
    sandbox.commit();
    ledger.refused(7, "INVALID_MANIFEST", "a folder");
    fs::remove_dir_all(sandbox.root().join("release/web.txt")).unwrap();
    sandbox.write("release/other.txt", "web 1.2.3\n");
    symlink("other.txt", sandbox.root().join("release/web.txt")).unwrap();
    sandbox.commit();
    ledger.refused(7, "INVALID_MANIFEST", "a symlink");
    sandbox.remove("release/web.txt");
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},release/web.txt"),
    ]);
    sandbox.git(&["commit", "-q", "-m", "submodule"]);
    ledger.refused(7, "INVALID_MANIFEST", "a submodule");
    sandbox.git(&["rm", "-q", "--cached", "release/web.txt"]);
    sandbox.write("release/web.txt", "web 1.2.3\n");
    sandbox.commit();

    let mut other = ledger.manifest.clone();
    other["purpose"] = json!("something else");
    sandbox.write_json(&path, &other);
    sandbox.commit();
    ledger.refused(5, "MANIFEST_MISMATCH", "content that is not the id's");
    for (artifacts, code) in [
        (json!([]), "INVALID_MANIFEST"),
        (
            json!([{"path": "../web.txt", "sha256": sha256(""), "size": 0}]),
            "INVALID_MANIFEST",
        ),
        (
            json!([{"path": "/etc/hosts", "sha256": sha256(""), "size": 0}]),
            "INVALID_MANIFEST",
        ),
    ] {
        sandbox.write_json(&path, &manifest("release 1.2.3", &artifacts));
        sandbox.commit();
        ledger.refused(7, code, &artifacts.to_string());
    }
    sandbox.remove(&path);
    sandbox.commit();
    ledger.refused(4, "MANIFEST_MISSING", "no manifest");
    assert_eq!(sandbox.reason(&check), (4, "MANIFEST_MISSING".to_owned()));
    symlink("../../release/web.txt", sandbox.root().join(&path)).unwrap();
    sandbox.commit();
    ledger.refused(7, "INVALID_MANIFEST", "a manifest behind a symlink");
    sandbox.remove(&path);
    sandbox.write_json(&path, &ledger.manifest);
    sandbox.commit();
    ledger.refused(0, "OK", "whole again");
}

#[test]
fn a_permit_is_judged_by_the_review_again_at_every_verification() {
    let ledger = Ledger::new();
    ledger.commit();
    ledger.issue_permit();
    assert_eq!(ledger.verify(), (0, "OK".to_owned()));
    ledger.alter_table(|people| people[1]["status"] = json!("revoked"));
    ledger.sandbox.commit();
    assert_eq!(ledger.verify(), (5, "PRINCIPAL_REVOKED".to_owned()));
    let used = ["use", "../permit.json", "--request", "../request.json"];
    assert_eq!(
        ledger.sandbox.reason(&used),
        (5, "PRINCIPAL_REVOKED".to_owned())
    );
    // What was decided then was right then.
    assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
    ledger.sandbox.remove(&ledger.path());
    ledger.sandbox.commit();
    assert_eq!(ledger.verify(), (4, "REVIEW_MISSING".to_owned()));
}
