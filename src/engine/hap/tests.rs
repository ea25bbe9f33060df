//! Hostile attestations, requests, streams and disputes, one fault at a time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};

use super::attestation::{Attestation, seal};
use super::authority::{AuthorityChange, AuthorityEvent, Organization, Registry};
use super::authorize::{Clock, Question, Verdict, authorize, gravest};
use super::context::{Action, ExecutionContext};
use super::declaration::Declaration;
use super::dispute::{Dispute, Outcome};
use super::execution::ExecutionRequest;
use super::frame::{DEPLOY_GATE_ORDER, Frame};
use super::guides::{Facts, examine};
use super::hash::HashText;
use super::key::ProviderSecret;
use super::owners::{Origin, Owners};
use super::profile::{Profile, SHIPPED};
use super::providers::TrustedProviders;
use super::stream::{Registration, Verifier};
use crate::engine::canonical::parse;
use crate::engine::code::{Code, Refusal};

const NOW: i64 = 1_735_890_000;
const ISSUED: i64 = 1_735_888_000;
const FULL: &str = "deploy-prod-full";

fn secret() -> ProviderSecret {
    ProviderSecret::new(&[7; 32])
}

fn profile() -> Profile {
    Profile::parse(SHIPPED).unwrap()
}

fn frame(path: &str) -> Frame {
    let sha = "1".repeat(40);
    let fields = [
        ("repo", "owner/repo"),
        ("sha", &sha),
        ("env", "prod"),
        ("profile", "deploy-gate@0.3"),
        ("path", path),
    ];
    Frame::of_fields(&DEPLOY_GATE_ORDER, fields).unwrap()
}

fn payload(did: &str, domains: &[&str]) -> Json {
    let hash = HashText::of(b"x").to_string();
    let resolved: Vec<Json> = domains
        .iter()
        .map(|domain| json!({"domain": domain, "did": did, "env": "prod"}))
        .collect();
    json!({
        "attestation_id": "00000000-0000-4000-8000-000000000001", "version": "0.3",
        "profile_id": "deploy-gate@0.3", "frame_hash": frame(FULL).hash().to_string(),
        "execution_context_hash": hash, "resolved_domains": resolved,
        "gate_content_hashes": {"problem": hash, "objective": hash, "tradeoffs": hash},
        "issued_at": ISSUED, "expires_at": ISSUED + 3600,
    })
}

fn sealed(payload: &Json) -> String {
    let bytes = serde_json::to_vec(payload).unwrap();
    seal(&parse(&bytes).unwrap().into_owned(), &secret())
}

fn ask(blobs: &[String], trusted: &TrustedProviders, clock: Clock) -> Verdict {
    authorize(&Question {
        profile: &profile(),
        frame: &frame(FULL),
        context_hash: None,
        trusted,
        attestations: blobs,
        clock,
    })
}

fn decide(payloads: &[Json]) -> Verdict {
    let blobs: Vec<String> = payloads.iter().map(sealed).collect();
    let trusted = TrustedProviders::of_keys([secret().public()]);
    ask(&blobs, &trusted, Clock::At(NOW))
}

fn codes(verdict: &Verdict) -> Vec<Code> {
    verdict.errors.iter().map(|error| error.code).collect()
}

/// The first fault of one blob of an otherwise complete request.
fn fault_of(change: impl FnOnce(&mut Json)) -> Option<Code> {
    let mut changed = payload("did:github:alice", &["engineering"]);
    change(&mut changed);
    let verdict = decide(&[
        changed,
        payload("did:github:carol", &["release_management"]),
    ]);
    verdict.errors.last().map(|error| error.code)
}

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

#[test]
fn a_provider_is_trusted_by_time() {
    let entry = |from: Json, until: Json| {
        json!({"schema": "permit.hap_service_providers.v1", "providers": [{"name": "sp", "operator": "o",
            "jurisdiction": "CH", "contact": "c", "public_key": secret().public().to_string(),
            "did": secret().public().did(), "trusted_from": from, "trusted_until": until}]})
    };
    let blobs = [
        sealed(&payload("did:github:alice", &["engineering"])),
        sealed(&payload("did:github:carol", &["release_management"])),
    ];
    let approved = |file: &Json, clock| {
        let bytes = serde_json::to_vec(file).unwrap();
        ask(&blobs, &TrustedProviders::parse(&bytes).unwrap(), clock).is_approved()
    };
    let always = entry(json!(null), json!(null));
    let later = entry(json!(ISSUED + 1), json!(null));
    let ended = entry(json!(ISSUED), json!(NOW));
    assert!(approved(&always, Clock::At(NOW)));
    assert!(!approved(&later, Clock::At(NOW)) && !approved(&later, Clock::Stopped));
    assert!(!approved(&ended, Clock::At(NOW)) && approved(&ended, Clock::Stopped));
}

#[test]
fn a_stopped_clock_ignores_that_time_passed_but_not_how_long_it_lasts() {
    let blobs = |expires: i64| {
        ["engineering", "release_management"].map(|domain| {
            let mut payload = payload(&format!("did:x:{domain}"), &[domain]);
            payload["expires_at"] = json!(expires);
            sealed(&payload)
        })
    };
    let trusted = TrustedProviders::of_keys([secret().public()]);
    let expired = blobs(ISSUED + 1);
    assert!(ask(&expired, &trusted, Clock::Stopped).is_approved());
    assert!(!ask(&expired, &trusted, Clock::At(NOW)).is_approved());
    let overlong = blobs(ISSUED + 86_401);
    assert!(!ask(&overlong, &trusted, Clock::Stopped).is_approved());
}

#[test]
fn different_people_are_found_wherever_they_exist() {
    let both = payload("did:github:alice", &["engineering", "release_management"]);
    let only = payload("did:github:bob", &["engineering"]);
    assert!(decide(&[both.clone(), only.clone()]).is_approved());
    assert!(decide(&[only, both.clone()]).is_approved());
    let verdict = decide(&[both.clone(), both]);
    assert_eq!(codes(&verdict), [Code::DomainScopeMismatch]);
    assert_eq!(verdict.errors[0].domain, None);
    assert_eq!(verdict.verified_domains.len(), 2);
}

#[test]
fn a_profile_may_let_one_person_stand_for_several_domains() {
    let mut file: Json = serde_json::from_slice(SHIPPED).unwrap();
    file["distinctOwners"] = json!(false);
    let lenient = Profile::parse(&serde_json::to_vec(&file).unwrap()).unwrap();
    let blob = sealed(&payload(
        "did:github:alice",
        &["engineering", "release_management"],
    ));
    let verdict = authorize(&Question {
        profile: &lenient,
        frame: &frame(FULL),
        context_hash: None,
        trusted: &TrustedProviders::of_keys([secret().public()]),
        attestations: &[blob],
        clock: Clock::At(NOW),
    });
    assert!(verdict.is_approved() && verdict.evidence.len() == 2);
}

#[test]
fn contexts_must_agree_even_where_none_was_computed() {
    let mut other = payload("did:github:carol", &["release_management"]);
    other["execution_context_hash"] = json!(HashText::of(b"other").to_string());
    let verdict = decide(&[payload("did:github:alice", &["engineering"]), other]);
    assert_eq!(codes(&verdict), [Code::ExecutionContextViolation]);
}

#[test]
fn nothing_authorizes_without_attestations_or_a_known_path() {
    assert_eq!(
        codes(&decide(&[])),
        [Code::MissingRequiredDomain, Code::MissingRequiredDomain]
    );
    let profile = profile();
    let question = |path: &str| {
        codes(&authorize(&Question {
            profile: &profile,
            frame: &frame(path),
            context_hash: None,
            trusted: &TrustedProviders::default(),
            attestations: &[],
            clock: Clock::At(NOW),
        }))
    };
    for path in ["constructor", "__proto__", "x"] {
        assert_eq!(question(path), [Code::DecisionRecordInvalid], "{path}");
    }
}

#[test]
fn the_gravest_class_gives_the_reason() {
    use Code::{DecisionRecordInvalid, InvalidSignature, MissingRequiredDomain};
    use Code::{FrameHashMismatch, GateUnresolved, TtlExpired};
    let pick = |codes: &[Code]| gravest(codes.iter().copied());
    assert_eq!(pick(&[]), Code::Ok);
    assert_eq!(pick(&[MissingRequiredDomain, TtlExpired]), TtlExpired);
    assert_eq!(pick(&[TtlExpired, GateUnresolved]), GateUnresolved);
    assert_eq!(
        pick(&[GateUnresolved, DecisionRecordInvalid]),
        DecisionRecordInvalid
    );
    assert_eq!(
        pick(&[DecisionRecordInvalid, FrameHashMismatch, InvalidSignature]),
        FrameHashMismatch
    );
}

fn context(paths: &[&str]) -> ExecutionContext {
    let declaration = Declaration {
        profile: "deploy-gate@0.3".to_owned(),
        execution_path: FULL.to_owned(),
    };
    let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let action = Action {
        repo: "owner/repo",
        sha: &"1".repeat(40),
        base_sha: &"2".repeat(40),
        changed_paths: &paths,
    };
    ExecutionContext::resolve(&profile(), &declaration, &action).unwrap()
}

#[test]
fn an_execution_request_is_trusted_for_nothing_that_the_commit_declares() {
    let request = |path: &str, template: Json| {
        let bytes = serde_json::to_vec(&json!({"action": {"template_id": template, "params": {
            "repo": "owner/repo", "sha": "1".repeat(40), "env": "prod", "profile_id": "deploy-gate@0.3",
            "execution_path": path}}, "attestations": ["garbage!"]}))
        .unwrap();
        ExecutionRequest::parse(&bytes)
            .and_then(|request| request.check(&profile(), &context(&["a"])))
            .map_err(|refusal| refusal.code)
    };
    let violation = Err(Code::ExecutionContextViolation);
    assert_eq!(request("deploy-prod-canary", json!("x")), violation);
    assert_eq!(request(FULL, json!("not-listed")), violation);
    assert_eq!(request(FULL, json!(null)), Err(Code::InvalidInput));
    let bare = br#"{"action":{"params":{"repo":"owner/repo","sha":"x","env":"prod","profile_id":"deploy-gate@0.3","execution_path":"deploy-prod-full"}},"attestations":[]}"#;
    let bare = ExecutionRequest::parse(bare).unwrap();
    assert_eq!(bare.check(&profile(), &context(&["a"])), Ok(()));
}

#[test]
fn the_guides_stop_on_structure_and_never_on_meaning() {
    let owners = Owners::parse(br#"{"domains":{"engineering":["did:github:alice"]}}"#).unwrap();
    let no = Refusal::new(Code::FrameHashMismatch, "the request's frame is another");
    let (profile, empty, full) = (profile(), context(&[]), context(&["a"]));
    let required = &profile.path(FULL).unwrap().required_domains;
    let found = |did, commitment, context| {
        let facts = Facts {
            did,
            owners: Some(&owners),
            required_domains: required,
            commitment,
            gates: Ok(()),
            context,
        };
        let findings = examine(&facts).into_iter();
        findings
            .map(|finding| (finding.guide, finding.stop))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(Some("did:github:alice"), Ok(()), &full), []);
    let owner = "deploy/missing_decision_owner@1.0";
    assert_eq!(
        found(None, Ok(()), &full),
        [(owner, Some(Code::IdentityUnverified))]
    );
    assert_eq!(
        found(Some("did:github:mallory"), Err(&no), &empty),
        [
            (owner, Some(Code::ScopeInsufficient)),
            (
                "deploy/commitment_mismatch@1.0",
                Some(Code::FrameHashMismatch)
            ),
            ("deploy/objective_diff_mismatch@1.0", None),
        ]
    );
}

fn link(sequence: u64, previous: Option<HashText>) -> Json {
    json!({"project_id": "p", "sequence": sequence, "previous_attestation_hash": previous})
}

fn registered(sequence: u64, previous: Option<HashText>, at: i64) -> Registration {
    let mut payload = payload("did:github:alice", &["engineering"]);
    payload["stream"] = link(sequence, previous);
    Registration::sign(&sealed(&payload), at, &secret()).unwrap()
}

#[test]
fn a_stream_breaks_at_its_first_fault() {
    let trusted = TrustedProviders::of_keys([secret().public()]);
    let first = registered(1, None, ISSUED + 10);
    let hash = HashText::of(first.attestation.as_bytes());
    let push = |records: &[&Registration]| {
        let mut verifier = Verifier::new("p", &trusted);
        records
            .iter()
            .try_for_each(|record| verifier.push(record))
            .map_err(|fault| (fault.code, fault.sequence))
    };
    let second = registered(2, Some(hash), ISSUED + 10);
    assert_eq!(push(&[&first, &second]), Ok(()));
    let cases = [
        (
            registered(2, Some(hash), ISSUED + 9),
            Code::StreamTimeRegression,
            2,
        ),
        (
            registered(2, None, ISSUED + 10),
            Code::StreamHashMismatch,
            2,
        ),
        (
            registered(3, Some(hash), ISSUED + 10),
            Code::StreamSequenceBroken,
            3,
        ),
        (
            registered(0, None, ISSUED + 10),
            Code::StreamSequenceBroken,
            0,
        ),
    ];
    for (record, code, sequence) in cases {
        assert_eq!(push(&[&first, &record]), Err((code, Some(sequence))));
    }
    let named = registered(1, Some(hash), ISSUED + 10);
    assert_eq!(push(&[&named]), Err((Code::StreamGenesisInvalid, Some(1))));
    let mut forged = first.clone();
    forged.registered_at += 1;
    assert_eq!(push(&[&forged]), Err((Code::RegistrationInvalid, Some(1))));
    let mut garbage = first.clone();
    garbage.attestation.push('=');
    assert_eq!(push(&[&garbage]), Err((Code::StreamMalformed, None)));
}

#[test]
fn a_registration_is_never_older_than_its_attestation() {
    let mut payload = payload("did:github:alice", &["engineering"]);
    payload["stream"] = link(1, None);
    let early = Registration::sign(&sealed(&payload), ISSUED - 1, &secret());
    assert_eq!(early.unwrap_err().code, Code::StreamTimeRegression);
    payload.as_object_mut().unwrap().remove("stream");
    let homeless = Registration::sign(&sealed(&payload), ISSUED, &secret());
    assert_eq!(homeless.unwrap_err().code, Code::StreamMalformed);
}

fn registry(revoked_at: Option<i64>) -> Registry {
    let event = |event, at| AuthorityEvent {
        event,
        organization: "acme".to_owned(),
        did: "did:github:alice".to_owned(),
        domain: "engineering".to_owned(),
        envs: vec!["prod".to_owned()],
        by: "did:github:root".to_owned(),
        at,
        expires: None,
    };
    let acme = Organization {
        id: "acme".to_owned(),
        repos: vec!["owner/repo".to_owned()],
        profiles: vec!["deploy-gate@0.3".to_owned()],
    };
    let mut registry = Registry::empty()
        .with_organization(acme)
        .and_then(|registry| registry.with_event(event(AuthorityChange::Grant, 100)))
        .unwrap();
    if let Some(at) = revoked_at {
        let revocation = event(AuthorityChange::Revoke, at);
        registry = registry.with_event(revocation).unwrap();
    }
    registry
}

fn judge(change: impl FnOnce(&mut Json), revoked_at: Option<i64>, at: i64) -> Outcome {
    let mut payload = payload("did:github:alice", &["engineering"]);
    payload["execution_context_hash"] = json!(context(&["a"]).hash().to_string());
    change(&mut payload);
    let owners = Owners::parse(br#"{"domains":{"engineering":["did:github:alice"]}}"#).unwrap();
    Dispute {
        blob: &sealed(&payload),
        at,
        repo: "owner/repo",
        profile: &profile(),
        execution_path: FULL,
        frame_hash: &|env| {
            assert_eq!(env, "prod");
            Ok(frame(FULL).hash())
        },
        execution_context_hash: context(&["a"]).hash(),
        trusted: &TrustedProviders::of_keys([secret().public()]),
        owners: &Ok((owners, Origin::Base)),
        registry: &Ok(registry(revoked_at)),
    }
    .judge()
}

#[test]
fn a_dispute_is_judged_as_of_the_time_of_issuance() {
    let long_after = NOW * 2;
    assert!(matches!(
        judge(|_| (), None, long_after),
        Outcome::Stands(_)
    ));
    assert!(matches!(
        judge(|_| (), Some(ISSUED + 1), long_after),
        Outcome::Stands(_)
    ));
    let void = |outcome| match outcome {
        Outcome::Void(reasons) => reasons.iter().map(|reason| reason.code).collect(),
        Outcome::Stands(_) => Vec::new(),
    };
    assert_eq!(
        void(judge(|_| (), Some(ISSUED), long_after)),
        [Code::ScopeInsufficient]
    );
    assert_eq!(void(judge(|_| (), None, ISSUED - 1)), [Code::TtlExpired]);
    let other = |payload: &mut Json| {
        payload["resolved_domains"][0]["did"] = json!("did:github:mallory");
        payload["frame_hash"] = json!(HashText::of(b"other").to_string());
    };
    assert_eq!(
        void(judge(other, None, long_after)),
        [Code::FrameHashMismatch, Code::ScopeInsufficient]
    );
    let unrequired = |payload: &mut Json| {
        payload["resolved_domains"][0]["domain"] = json!("marketing");
    };
    assert_eq!(
        void(judge(unrequired, None, long_after)),
        [Code::ScopeInsufficient, Code::DomainScopeMismatch]
    );
}
