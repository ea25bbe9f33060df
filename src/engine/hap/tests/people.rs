//! Who signs and who is trusted: providers, people, contexts, the gravest reason.

use super::*;

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
