//! Decision streams, registries and disputes.

use super::*;

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
