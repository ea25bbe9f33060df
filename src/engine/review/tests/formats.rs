//! The three formats: what each refuses, and where it says so.

use serde_json::{Value as Json, json};

use super::super::*;
use super::world::{KeySpec, World, hex, human, set, table};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, sha256};

fn refused<T: std::fmt::Debug>(read: Result<T, Refusal>, code: Code, place: &str) {
    let refusal = read.unwrap_err();
    assert_eq!(refusal.code, code, "{place}");
    assert!(
        refusal.message.contains(place),
        "{place}: {}",
        refusal.message
    );
}

fn table_with(change: impl Fn(&mut Json)) -> Result<Principals, Refusal> {
    let mut table = table();
    change(&mut table);
    Principals::parse(table.to_string().as_bytes())
}

#[test]
fn the_principals_table_is_strict() {
    let read = table_with(|_| {}).unwrap();
    assert_eq!(read.iter().count(), 6);
    assert_eq!(
        read.get("org:acme").unwrap().kind,
        PrincipalKind::Organization
    );
    let first = |key: &'static str, value: Json| {
        move |table: &mut Json| {
            set(
                table.pointer_mut("/principals/0").unwrap(),
                key,
                value.clone(),
            );
        }
    };
    let weak = include_str!("../../../../fixtures/keys/weak.pub").trim_end();
    let certificate = include_str!("../../../../fixtures/keys/ana-cert.pub").trim_end();
    let ana = KeySpec::Software(1).key().line();
    for (change, place) in [
        (first("id", json!("ana")), "`$.principals[0].id`"),
        (first("id", json!("human:")), "`$.principals[0].id`"),
        (first("id", json!("human:-a")), "`$.principals[0].id`"),
        (first("id", json!("human:a b")), "`$.principals[0].id`"),
        (first("id", json!("human:é")), "`$.principals[0].id`"),
        (
            first("id", json!(format!("human:{}", "a".repeat(129)))),
            "`$.principals[0].id`",
        ),
        (first("id", json!("Human:ana")), "`$.principals[0].id`"),
        (
            first("id", json!("agent:ana")),
            "is of the kind `automated_agent`",
        ),
        (first("id", json!("human:bo")), "`human:bo` is there twice"),
        (first("kind", json!("service")), "`$.principals[0].id`"),
        (first("kind", json!("robot")), "`$.principals[0].kind`"),
        (
            first("roles", json!(["king"])),
            "`$.principals[0].roles[0]`",
        ),
        (
            first("status", json!("suspended")),
            "`$.principals[0].status`",
        ),
        (first("status", Json::Null), "`$.principals[0].status`"),
        (first("more", json!(1)), "`$.principals[0].more`"),
        (first("keys", json!("key")), "`$.principals[0].keys`"),
        (
            first("keys", json!(["ssh-ed25519 AAAA"])),
            "`$.principals[0].keys[0]`",
        ),
        (
            first("keys", json!([format!("no-touch-required {ana}")])),
            "`$.principals[0].keys[0]`",
        ),
        (first("keys", json!([weak])), "less than 3072 bits"),
        (
            first("keys", json!([certificate])),
            "type that is not accepted",
        ),
        (
            first("keys", json!([ana, ana])),
            "is already a key of `human:ana`",
        ),
        (
            first("keys", json!([KeySpec::Software(2).key().line()])),
            "`$.principals[1].keys[0]`",
        ),
    ] {
        refused(table_with(change), Code::InvalidPrincipals, place);
    }
    for bytes in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"schema":"permit.principals.v2","principals":[]}"#,
    ] {
        refused(
            Principals::parse(bytes.as_bytes()),
            Code::InvalidPrincipals,
            "malformed at",
        );
    }
    let longest = format!("human:{}", "a".repeat(128));
    assert!(table_with(first("id", json!(longest))).is_ok());
    assert!(table_with(first("keys", json!([]))).is_ok());
}

#[test]
fn every_accepted_kind_of_key_can_be_listed() {
    let lines = [
        KeySpec::Software(1).key().line(),
        KeySpec::Hardware(2).key().line(),
        KeySpec::HardwareP256(3).key().line(),
        include_str!("../../../../fixtures/keys/bo.pub")
            .trim_end()
            .to_owned(),
        include_str!("../../../../fixtures/keys/cy.pub")
            .trim_end()
            .to_owned(),
    ];
    let read = table_with(|table| {
        let mut ana = human("human:ana", KeySpec::Software(1));
        set(&mut ana, "keys", json!(lines));
        *table = json!({"schema": "permit.principals.v1", "principals": [ana]});
    });
    assert_eq!(read.unwrap().get("human:ana").unwrap().keys.len(), 5);
}

fn listed(path: &str) -> Json {
    json!({"path": path, "sha256": hex(1), "size": 3})
}

fn manifest(artifacts: &Json) -> Result<Manifest, Refusal> {
    let text = json!({"schema": "permit.manifest.v1", "manifest_envelope_id": hex(0), "purpose": "p",
        "artifacts": artifacts});
    Manifest::parse(text.to_string().as_bytes())
}

#[test]
fn the_manifest_is_strict() {
    assert!(
        manifest(&json!([
            listed("a"),
            listed("a-b"),
            listed("a/b"),
            listed("é")
        ]))
        .is_ok()
    );
    for (artifacts, place) in [
        (json!([]), "`$.artifacts`: names no artifact"),
        (json!([listed("b"), listed("a")]), "`$.artifacts[1].path`"),
        (json!([listed("a"), listed("a")]), "`$.artifacts[1].path`"),
        (json!([listed("")]), "`$.artifacts[0].path`"),
        (json!([listed("/etc/passwd")]), "is not relative"),
        (json!([listed("../x")]), "is not the plain path"),
        (json!([listed("a/../b")]), "is not the plain path"),
        (json!([listed("./a")]), "is not the plain path"),
        (json!([listed("a//b")]), "is not the plain path"),
        (json!([listed("a/")]), "is not the plain path"),
        (json!([listed(".git/config")]), "is not the plain path"),
        (json!([listed("a\nb")]), "control character"),
        (
            json!([{"path": "a", "sha256": hex(1), "size": -1}]),
            "`$.artifacts[0].size`",
        ),
        (
            json!([{"path": "a", "sha256": hex(1), "size": 536_870_913}]),
            "more than 512 MiB",
        ),
        (
            json!([{"path": "a", "sha256": "A".repeat(64), "size": 1}]),
            "`$.artifacts[0].sha256`",
        ),
        (
            json!([{"path": "a", "sha256": hex(1)}]),
            "`$.artifacts[0].size`",
        ),
        (
            json!([{"path": "a", "sha256": hex(1), "size": 1, "mode": 1}]),
            "`$.artifacts[0].mode`",
        ),
    ] {
        refused(manifest(&artifacts), Code::InvalidManifest, place);
    }
}

#[test]
fn a_manifests_id_is_the_hash_of_purpose_and_artifacts() {
    let artifact = |path: &str| Listed {
        path: path.to_owned(),
        sha256: sha256(b"x"),
        size: 1,
    };
    let made = Manifest::new("ship", vec![artifact("b"), artifact("a")]).unwrap();
    let content = format!(
        "secure_execution_layer.manifest_envelope.v1\n{{\"artifacts\":[{{\"path\":\"a\",\"sha256\":\"{0}\",\"size\":1}},\
         {{\"path\":\"b\",\"sha256\":\"{0}\",\"size\":1}}],\"purpose\":\"ship\"}}",
        sha256(b"x")
    );
    assert_eq!(
        made.manifest_envelope_id.to_string(),
        sha256(content.as_bytes()).to_string()
    );
    assert_eq!(made.computed_id().unwrap(), made.manifest_envelope_id);
    let file = |byte: u8| Found::File {
        sha256: Digest::new([byte; 32]),
        size: 1,
    };
    let same = Found::File {
        sha256: sha256(b"x"),
        size: 1,
    };
    assert!(made.verify(&[same, same]).is_ok());
    for found in [
        vec![same, file(0)],
        vec![same, Found::Absent],
        vec![Found::TooLarge, same],
        vec![same],
        Vec::new(),
    ] {
        refused(made.verify(&found), Code::ManifestMismatch, "");
    }
    refused(
        made.verify(&[Found::NotAFile, same]),
        Code::InvalidManifest,
        "regular file",
    );
    refused(
        Manifest::new("ship", vec![artifact("a"), artifact("a")]),
        Code::InvalidManifest,
        "twice",
    );
}

fn artifact_with(change: impl Fn(&mut Json)) -> Result<Artifact, Refusal> {
    let mut artifact = World::sound().artifact;
    set(&mut artifact, "signatures", json!([]));
    change(&mut artifact);
    Artifact::parse(artifact.to_string().as_bytes())
}

#[test]
fn the_artifact_is_strict() {
    assert!(artifact_with(|_| {}).is_ok());
    let with = |key: &'static str, value: Json| {
        move |artifact: &mut Json| set(artifact, key, value.clone())
    };
    for (change, place) in [
        (with("schema", json!("permit.review.v2")), "`$.schema`"),
        (
            with("review_id", json!(hex(0xab).to_uppercase())),
            "`$.review_id`",
        ),
        (with("review_id", json!("ab")), "`$.review_id`"),
        (with("scope", json!("staging")), "`$.scope`"),
        (with("verdict", json!("yes")), "`$.verdict`"),
        (
            with("reviewer", json!({"principal": "ana", "role": "council"})),
            "`$.reviewer.principal`",
        ),
        (
            with(
                "reviewer",
                json!({"principal": "human:ana", "role": "king"}),
            ),
            "`$.reviewer.role`",
        ),
        (with("reviewer", json!("human:ana")), "`$.reviewer`"),
        (
            with("cross_signers", json!(["human:bo", "human:ana"])),
            "`$.cross_signers[1]`",
        ),
        (
            with("cross_signers", json!(["human:ana", "human:ana"])),
            "`$.cross_signers[1]`",
        ),
        (
            with("cross_signers", json!(["ana"])),
            "`$.cross_signers[0]`",
        ),
        (
            with(
                "anchor",
                json!({"stream_id": "Main", "sequence": 1, "event_hash": hex(1)}),
            ),
            "`$.anchor.stream_id`",
        ),
        (
            with(
                "anchor",
                json!({"stream_id": "main", "sequence": -1, "event_hash": hex(1)}),
            ),
            "`$.anchor.sequence`",
        ),
        (
            with("anchor", json!({"stream_id": "main", "sequence": 1})),
            "`$.anchor.event_hash`",
        ),
        (
            with("conditions", json!([{"type": "one_shot"}])),
            "`$.conditions`",
        ),
        (
            with("verdict", json!("approve_with_conditions")),
            "`$.conditions`",
        ),
        (with("reason", Json::Null), "`$.reason`"),
        (with("signatures", Json::Null), "`$.signatures`"),
        (
            with("signatures", json!([{"principal": "human:ana"}])),
            "`$.signatures[0].sshsig`",
        ),
        (
            with(
                "signatures",
                json!([{"principal": "human:cy", "sshsig": ""}]),
            ),
            "`$.signatures[0].principal`",
        ),
        (
            with("attestation_payloads", json!([])),
            "`$.attestation_payloads`",
        ),
        (with("approved_by", json!("me")), "`$.approved_by`"),
        (with("review_type", json!("")), "`$.review_type`"),
    ] {
        refused(artifact_with(change), Code::InvalidReview, place);
    }
    for key in World::sound().artifact.as_object().unwrap().keys() {
        let read = artifact_with(|artifact| {
            artifact.as_object_mut().unwrap().remove(key);
        });
        refused(
            read,
            Code::InvalidReview,
            &format!("`$.{key}`: missing field"),
        );
    }
}

#[test]
fn what_is_signed_is_the_artifact_without_its_signatures() {
    let artifact = artifact_with(|_| {}).unwrap();
    let text = String::from_utf8(artifact.message().to_vec()).unwrap();
    let (label, body) = text.split_once('\n').unwrap();
    assert_eq!(label, "secure_execution_layer.review_decision.v1");
    assert!(body.starts_with(r#"{"anchor":{"event_hash":"#));
    assert!(!body.contains("signatures") && !body.contains('\n'));

    let signed = artifact.signed_by("human:bo", "one").unwrap();
    let signed = signed
        .signed_by("human:ana", "two")
        .unwrap()
        .signed_by("human:bo", "three")
        .unwrap();
    assert_eq!(signed.message(), artifact.message());
    assert_eq!(signed.signature_of("human:bo"), Some("three"));
    assert_eq!(signed.signature_of("human:cy"), None);
    refused(
        artifact.signed_by("human:cy", "x"),
        Code::InvalidReview,
        "`$.signatures[0].principal`",
    );

    let needs = artifact.needs();
    assert_eq!(needs.anchor.sequence, 41);
    assert!(needs.manifest_path.starts_with("governance/manifests/"));
}

#[test]
fn a_draft_is_what_a_person_would_write() {
    let by_hand = artifact_with(|_| {}).unwrap();
    let says = by_hand.document().clone();
    let draft = Artifact::draft(Draft {
        review_type: says.review_type.clone(),
        policy_hash: says.policy_hash,
        request_fingerprint: says.request_fingerprint,
        scope: says.scope,
        scope_address: scope_address(&super::world::capability(), "service/web"),
        anchor: says.anchor.clone(),
        manifest_envelope_id: says.manifest_envelope_id,
        verdict: says.verdict,
        conditions: Vec::new(),
        reviewer: says.reviewer.clone(),
        cross_signers: vec!["human:bo".to_owned(), "human:ana".to_owned()],
        reason: says.reason.clone(),
        attestations: None,
    })
    .unwrap();
    assert_eq!(draft.document(), &says);
    assert_eq!(draft.message(), by_hand.message());
}
