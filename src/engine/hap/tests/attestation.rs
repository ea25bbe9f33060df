//! Attestations: their form, their one text, what they are for.

use super::*;

#[test]
fn a_sound_pair_is_approved_whatever_else_is_given() {
    let pair = [
        payload("did:github:alice", &["engineering"]),
        payload("did:github:carol", &["release_management"]),
    ];
    let verdict = decide(&pair);
    assert!(verdict.is_approved() && verdict.warnings.is_empty());
    assert_eq!(verdict.evidence.len(), 2);
    let mut expired = payload("did:github:bob", &["engineering"]);
    expired["expires_at"] = json!(ISSUED + 1);
    let verdict = decide(&[expired, pair[0].clone(), pair[1].clone()]);
    assert!(verdict.is_approved());
    assert_eq!(verdict.warnings[0].code, Code::TtlExpired);
    assert_eq!(verdict.warnings[0].attestation, Some(0));
    assert_eq!(verdict.reason(), Code::Ok);
}

#[test]
fn every_field_of_the_payload_is_held_against_its_form() {
    let malformed = Some(Code::MalformedAttestation);
    for field in [
        "attestation_id",
        "version",
        "profile_id",
        "frame_hash",
        "execution_context_hash",
        "resolved_domains",
        "gate_content_hashes",
        "issued_at",
        "expires_at",
    ] {
        let removed = fault_of(|payload| {
            payload.as_object_mut().unwrap().remove(field);
        });
        assert_eq!(removed, malformed, "{field}");
        assert_eq!(
            fault_of(|payload| payload[field] = json!(null)),
            malformed,
            "{field}"
        );
        assert_eq!(
            fault_of(|payload| payload[field] = json!([[]])),
            malformed,
            "{field}"
        );
    }
    for (pointer, value) in [
        ("/version", json!("0.2")),
        ("/version", json!("0.3 ")),
        ("/attestation_id", json!("pad-x")),
        ("/resolved_domains", json!([])),
        ("/resolved_domains/0/did", json!("alice")),
        ("/resolved_domains/0/did", json!("")),
        ("/resolved_domains/0/env", json!("")),
        ("/resolved_domains/0/domain", json!(null)),
        ("/gate_content_hashes/problem", json!("because")),
        ("/frame_hash", json!("SHA256:00")),
        ("/expires_at", json!(ISSUED)),
        ("/issued_at", json!(-1)),
    ] {
        let fault = fault_of(|payload| *payload.pointer_mut(pointer).unwrap() = value);
        assert_eq!(fault, malformed, "{pointer}");
    }
    for stream in [
        json!(null),
        json!({"project_id": "p", "sequence": 1}),
        json!({"project_id": "p", "sequence": -1, "previous_attestation_hash": null}),
        json!({"project_id": "", "sequence": 1, "previous_attestation_hash": null}),
        json!({"project_id": "p", "sequence": "1", "previous_attestation_hash": null}),
    ] {
        let fault = fault_of(|payload| payload["stream"] = stream.clone());
        assert_eq!(fault, malformed, "{stream}");
    }
}

#[test]
fn a_sound_payload_for_something_else_says_for_what() {
    let other = HashText::of(b"other").to_string();
    for (pointer, value, code) in [
        (
            "/profile_id",
            json!("deploy-gate@0.2"),
            Code::ProfileNotFound,
        ),
        ("/frame_hash", json!(other), Code::FrameHashMismatch),
        ("/expires_at", json!(ISSUED + 86_401), Code::TtlExpired),
        ("/expires_at", json!(NOW), Code::TtlExpired),
        ("/issued_at", json!(NOW + 1), Code::TtlExpired),
        (
            "/resolved_domains/0/env",
            json!("staging"),
            Code::DomainScopeMismatch,
        ),
        (
            "/resolved_domains/0/env",
            json!("*"),
            Code::DomainScopeMismatch,
        ),
        (
            "/resolved_domains/0/domain",
            json!("marketing"),
            Code::DomainScopeMismatch,
        ),
        (
            "/issuer",
            json!("did:key:z6Mkother"),
            Code::InvalidSignature,
        ),
    ] {
        let fault = fault_of(|payload| *pointer_mut(payload, pointer) = value);
        assert_eq!(fault, Some(code), "{pointer}");
    }
    assert_eq!(
        fault_of(|payload| payload["issuer"] = json!(secret().public().did())),
        None
    );
    assert_eq!(fault_of(|payload| payload["note_ref"] = json!("x")), None);
}

/// A place in the payload, made where it is not there yet.
fn pointer_mut<'j>(payload: &'j mut Json, pointer: &str) -> &'j mut Json {
    if payload.pointer(pointer).is_none() {
        payload[pointer.trim_start_matches('/')] = json!(null);
    }
    payload.pointer_mut(pointer).unwrap()
}

#[test]
fn one_attestation_has_one_text() {
    let blob = sealed(&payload("did:github:alice", &["engineering"]));
    let raw = URL_SAFE_NO_PAD.decode(&blob).unwrap();
    assert!(Attestation::decode(&blob).is_ok());
    let spaces = [1, 2].map(|count| [raw.as_slice(), &b"  "[..count]].concat());
    let padded = spaces
        .map(|json| URL_SAFE.encode(json))
        .into_iter()
        .find(|text| text.ends_with('='))
        .unwrap();
    let long = format!("{blob}A");
    for bad in [
        String::new(),
        format!(" {blob}"),
        format!("{blob}\n"),
        format!("{blob}="),
        format!("{blob}=="),
        long,
        padded,
        STANDARD.encode(&raw) + "=",
        blob.replacen('e', "é", 1),
        URL_SAFE_NO_PAD.encode([b"\xef\xbb\xbf".as_slice(), &raw].concat()),
        URL_SAFE_NO_PAD.encode([raw.as_slice(), b"{}"].concat()),
        URL_SAFE_NO_PAD.encode(b"[]"),
        URL_SAFE_NO_PAD.encode(b"\xff"),
    ] {
        let code = Attestation::decode(&bad)
            .map(|_| ())
            .map_err(|refusal| refusal.code);
        assert_eq!(code, Err(Code::MalformedAttestation), "{bad}");
    }
}

#[test]
fn trailing_bits_do_not_make_a_second_text() {
    let mut blob = sealed(&payload("did:github:alice", &["engineering"]));
    while blob.len().is_multiple_of(4) {
        let mut longer = payload("did:github:alice", &["engineering"]);
        longer["note"] = json!("x".repeat(blob.len() % 7 + 1));
        blob = sealed(&longer);
    }
    let last = blob.pop().unwrap();
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    blob.push(next);
    assert!(Attestation::decode(&blob).is_err());
}

#[test]
fn the_unsigned_parts_are_literal() {
    let blob = sealed(&payload("did:github:alice", &["engineering"]));
    let good: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(blob).unwrap()).unwrap();
    let decoded = |change: &dyn Fn(&mut Json)| {
        let mut changed = good.clone();
        change(&mut changed);
        let blob = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&changed).unwrap());
        Attestation::decode(&blob)
    };
    assert!(decoded(&|envelope| envelope["header"]["kid"] = json!("any")).is_ok());
    for (pointer, value) in [
        ("/header/alg", json!("none")),
        ("/header/alg", json!("eddsa")),
        ("/header/typ", json!("JWT")),
        (
            "/header",
            json!({"typ": "HAP-attestation", "alg": "EdDSA", "x": 1}),
        ),
        (
            "/header",
            json!({"typ": "HAP-attestation", "alg": "EdDSA", "kid": 1}),
        ),
        ("/header", json!({"alg": "EdDSA"})),
        ("/signature", json!(null)),
        ("/payload", json!([])),
    ] {
        let result = decoded(&|envelope| *envelope.pointer_mut(pointer).unwrap() = value.clone());
        assert_eq!(
            result.unwrap_err().code,
            Code::MalformedAttestation,
            "{pointer} {value}"
        );
    }
    assert!(decoded(&|envelope| envelope["extra"] = json!(1)).is_err());
}

#[test]
fn one_key_twice_in_a_payload_is_refused_before_it_is_read() {
    let blob = sealed(&payload("did:github:alice", &["engineering"]));
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(blob).unwrap()).unwrap();
    let doubled = text.replacen(
        "\"expires_at\":",
        "\"expires_at\":9999999999,\"expires_at\":",
        1,
    );
    let refusal = Attestation::decode(&URL_SAFE_NO_PAD.encode(doubled)).unwrap_err();
    assert_eq!(refusal.code, Code::MalformedAttestation);
}

#[test]
fn a_message_never_prints_an_expected_hash() {
    let other = HashText::of(b"other").to_string();
    let mut changed = payload("did:github:alice", &["engineering"]);
    changed["frame_hash"] = json!(other);
    for error in decide(&[changed]).errors {
        assert!(!error.message.contains("sha256:"), "{}", error.message);
    }
}
