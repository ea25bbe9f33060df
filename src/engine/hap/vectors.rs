//! Every sample vector through the engine; what needs a repository (`k_git`) is with the command line's tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::Value as Json;

use super::Found;
use super::attestation::{Attestation, Payload};
use super::authority::{AuthorityChange, AuthorityEvent, Organization, Registry};
use super::authorize::{Clock, Objection, Question, Verdict, authorize};
use super::context::ExecutionContext;
use super::declaration::Declaration;
use super::frame::{DEPLOY_GATE_ORDER, Frame};
use super::gate::{GateHashes, GateTexts, is_closed};
use super::hash::HashText;
use super::identity::{AllowedSigners, Identity};
use super::owners::Sources;
use super::profile::{Gate, Profile};
use super::provider::{Commitment, Inquiry};
use super::providers::TrustedProviders;
use super::request::AttestRequest;
use super::stream::{Fault, Registration, Tip, Verifier, in_order};
use crate::engine::canonical::{self, parse, to_bytes};
use crate::engine::code::{Code, Refusal};

macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_slice::<Json>(include_bytes!(concat!(
            "../../../fixtures/vectors/hap/",
            $name
        )))
        .unwrap()
    };
}

const PROFILE: &[u8] = include_bytes!("../../../fixtures/vectors/hap/profile_deploy-gate-0.3.json");

/// 2025-01-03T07:06:40Z, the verification time of the SSH vectors.
const SSH_TIME: i64 = 1_735_888_000;

fn profile() -> Profile {
    Profile::parse(PROFILE).unwrap()
}

fn text<'j>(value: &'j Json, key: &str) -> &'j str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

fn cases<'j>(file: &'j Json, key: &str) -> &'j Vec<Json> {
    file[key].as_array().unwrap_or_else(|| panic!("no `{key}`"))
}

/// Reads the keys that a case trusts, or else the file's one key.
fn trusted(file: &Json, case: &Json) -> TrustedProviders {
    let keys: Vec<&str> = match case["trusted_keys"].as_array() {
        Some(keys) => keys.iter().map(|key| key.as_str().unwrap()).collect(),
        None => vec![text(file, "sp_public_key_hex")],
    };
    TrustedProviders::of_keys(keys.into_iter().map(|key| key.parse().unwrap()))
}

fn objections(errors: &[Objection]) -> Vec<(String, Option<String>)> {
    let mut list: Vec<_> = errors
        .iter()
        .map(|error| (error.code.name().to_owned(), error.domain.clone()))
        .collect();
    list.sort();
    list
}

fn expected_objections(errors: &Json) -> Vec<(String, Option<String>)> {
    let mut list: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let domain = error["domain"].as_str().map(str::to_owned);
            (text(error, "code").to_owned(), domain)
        })
        .collect();
    list.sort();
    list
}

#[test]
fn a_canonical_json_within_the_restricted_form() {
    let file = vectors!("a_jcs.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let input = text(case, "input_json");
        // core.md section 1: another top level, fractions and integers beyond 2^53−1 are informative only.
        if !input.starts_with('{') {
            assert!(parse(input.as_bytes()).is_err(), "{id}");
            continue;
        }
        let bytes = to_bytes(&parse(input.as_bytes()).unwrap());
        assert_eq!(
            hex::encode(&bytes),
            text(case, "canonical_utf8_hex"),
            "{id}"
        );
        assert_eq!(
            HashText::of(&bytes).to_string(),
            text(case, "sha256"),
            "{id}"
        );
    }
    for case in cases(&file, "refuse") {
        let id = text(case, "id");
        assert!(parse(text(case, "input_json").as_bytes()).is_err(), "{id}");
    }
}

#[test]
fn b_frames() {
    let file = vectors!("b_frames.json");
    let frame = |params: &Json| {
        let fields = params.as_object().unwrap();
        let fields = fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
        Frame::of_fields(&DEPLOY_GATE_ORDER, fields)
    };
    let lists = ["cases", "missing_keys", "unknown_keys"];
    for case in lists.into_iter().flat_map(|list| cases(&file, list)) {
        let id = text(case, "id");
        let result = frame(&case["params"]);
        // Values outside the profile's patterns are informative: a URL is no `<owner>/<name>`.
        if case["conflict"] == true {
            assert_eq!(result.unwrap_err().code, Code::ExecutionContextViolation);
        } else if case["recommended"] == "accept" {
            let frame = result.unwrap();
            assert_eq!(frame.canonical(), text(case, "canonical"), "{id}");
            assert_eq!(frame.hash().to_string(), text(case, "frame_hash"), "{id}");
        } else {
            let code = result.unwrap_err().code.name();
            assert_eq!(code, text(case, "recommended_code"), "{id}");
        }
    }
    for half in ["a", "b"] {
        assert!(frame(&file["collision_without_refusal"][half]).is_err());
    }
    let variants = &file["key_order_variants"];
    let ours = frame(&variants["params"]).unwrap().hash().to_string();
    for (index, variant) in cases(variants, "variants").iter().enumerate() {
        assert_eq!(text(variant, "frame_hash") == ours, index == 0, "{variant}");
    }
}

#[test]
fn c_execution_contexts() {
    let file = vectors!("c_execution_context.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let bytes = serde_json::to_vec(&case["context"]).unwrap();
        let canonical = to_bytes(&parse(&bytes).unwrap());
        assert_eq!(
            String::from_utf8(canonical.clone()).unwrap(),
            text(case, "canonical"),
            "{id}"
        );
        let hash = HashText::of(&canonical);
        assert_eq!(
            hash.to_string(),
            text(case, "execution_context_hash"),
            "{id}"
        );
        // The profile's schema has exactly seven fields, all required, all strings or a list of them.
        let fits = !["without-optional-base", "null-diff-url", "boolean-nested"].contains(&id);
        match ExecutionContext::parse(&profile(), &bytes) {
            Ok(context) => assert!(fits && context.hash() == hash, "{id}"),
            Err(refusal) => {
                assert!(!fits, "{id}");
                assert_eq!(refusal.code, Code::ExecutionContextViolation, "{id}");
            }
        }
    }
    for case in cases(&file, "refuse") {
        let bytes = serde_json::to_vec(&case["context"]).unwrap();
        let refusal = ExecutionContext::parse(&profile(), &bytes).unwrap_err();
        assert_eq!(
            refusal.code.name(),
            text(case, "recommended_code"),
            "{}",
            case["id"]
        );
    }
}

/// Decides about blobs as the executor does, with the frame and context of a case.
fn decide(file: &Json, case: &Json, action: &Json, blobs: &[String]) -> Verdict {
    let context = serde_json::to_vec(&action["execution_context"]).unwrap();
    let frame = Frame::parse(
        &DEPLOY_GATE_ORDER,
        &serde_json::to_vec(&action["frame"]).unwrap(),
    )
    .unwrap();
    assert_eq!(frame.hash().to_string(), text(action, "frame_hash"));
    let context_hash = HashText::of_value(&parse(&context).unwrap());
    assert_eq!(
        context_hash.to_string(),
        text(action, "execution_context_hash")
    );
    authorize(&Question {
        profile: &profile(),
        frame: &frame,
        context_hash: Some(context_hash),
        trusted: &trusted(file, case),
        attestations: blobs,
        clock: Clock::At(case["now"].as_i64().unwrap()),
    })
}

#[test]
fn d_attestations() {
    let file = vectors!("d_attestations.json");
    for case in cases(&file, "valid") {
        let id = text(case, "id");
        let blob = text(case, "blob");
        let attestation = Attestation::decode(blob).unwrap();
        assert_eq!(
            attestation.hash().to_string(),
            text(case, "attestation_hash"),
            "{id}"
        );
        let payload = serde_json::to_value(attestation.value()).unwrap();
        assert_eq!(payload, case["payload"], "{id}");
        let verdict = decide(&file, case, &file, &[blob.to_owned()]);
        assert!(
            verdict.is_approved() && verdict.warnings.is_empty(),
            "{id}: {verdict:?}"
        );
        assert_eq!(verdict.verified_domains, ["engineering"], "{id}");
        assert_eq!(verdict.evidence, [attestation.hash()], "{id}");
    }
    for case in cases(&file, "refused") {
        let id = text(case, "id");
        let verdict = decide(&file, case, &file, &[text(case, "blob").to_owned()]);
        let expected = &case["authorize_errors"];
        assert_eq!(
            objections(&verdict.errors),
            expected_objections(expected),
            "{id}"
        );
        let order: Vec<&str> = verdict
            .errors
            .iter()
            .map(|error| error.code.name())
            .collect();
        let listed = expected.as_array().unwrap().iter();
        let listed: Vec<&str> = listed.map(|error| text(error, "code")).collect();
        assert_eq!(
            order, listed,
            "{id}: per-domain errors first, then the blobs'"
        );
        assert!(order.contains(&text(case, "expected_code")), "{id}");
    }
}

#[test]
fn e_gate_content() {
    let file = vectors!("e_gate_content.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let entered = text(case, "text").as_bytes();
        assert_eq!(hex::encode(entered), text(case, "utf8_hex"), "{id}");
        assert_eq!(
            HashText::of(entered).to_string(),
            text(case, "hash"),
            "{id}"
        );
        assert_eq!(is_closed(Gate::Problem, entered), Ok(true), "{id}");
    }
    for case in cases(&file, "presence") {
        let entered = text(case, "text").as_bytes();
        let closed = is_closed(Gate::Problem, entered).unwrap();
        assert_eq!(Json::Bool(closed), case["gate_closed"], "{}", case["id"]);
        if let Some(hash) = case["hash_if_closed"].as_str() {
            assert_eq!(HashText::of(entered).to_string(), hash);
        }
    }
    for case in cases(&file, "publication") {
        let attested: HashText = text(case, "attested").parse().unwrap();
        let hashes = GateHashes {
            problem: attested,
            objective: attested,
            tradeoffs: attested,
        };
        let published = [(Gate::Problem, text(case, "published").as_bytes())];
        let matches = hashes.matches(&published.into());
        assert_eq!(
            Json::Bool(matches[&Gate::Problem]),
            case["match"],
            "{}",
            case["id"]
        );
    }
    let not_utf8 = hex::decode(text(&file["not_utf8"], "hex")).unwrap();
    assert!(is_closed(Gate::Problem, &not_utf8).is_err());
}

fn verify_stream(
    project: &str,
    records: &[Json],
    trusted: &TrustedProviders,
) -> Result<Tip, Fault> {
    let registrations: Vec<Registration> = records
        .iter()
        .map(|record| Registration::parse(&serde_json::to_vec(record).unwrap()))
        .collect::<Result<_, Refusal>>()
        .map_err(|refusal| Fault {
            code: refusal.code,
            sequence: None,
            detail: refusal.message,
        })?;
    let mut verifier = Verifier::new(project, trusted);
    for registration in in_order(registrations)? {
        verifier.push(&registration)?;
    }
    verifier.finish()
}

#[test]
fn f_decision_streams() {
    let file = vectors!("f_streams.json");
    let hashes = cases(&file, "hashes_of_valid_10");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let records = cases(case, "records");
        let result = verify_stream(text(case, "project_id"), records, &trusted(&file, case));
        match result {
            Ok(tip) => {
                assert_eq!(text(case, "expected"), "ok", "{id}");
                assert_eq!(tip.sequence, u64::try_from(records.len()).unwrap(), "{id}");
                if id == "valid-10" {
                    let last = hashes.last().unwrap();
                    assert_eq!(tip.head.to_string(), text(last, "attestation_hash"));
                }
            }
            Err(fault) => assert_eq!(fault.code.name(), text(case, "expected"), "{id}: {fault:?}"),
        }
    }
}

#[test]
fn f_appending_needs_only_the_last_registration() {
    let file = vectors!("f_streams.json");
    let trusted = trusted(&file, &Json::Null);
    let records: Vec<Registration> = cases(&cases(&file, "cases")[0], "records")
        .iter()
        .map(|record| Registration::parse(&serde_json::to_vec(record).unwrap()).unwrap())
        .collect();
    let mut verifier = Verifier::after("hap-protocol", &trusted, &records[7]).unwrap();
    assert_eq!(verifier.next_link(), records[8].claimed_link().unwrap());
    verifier.push(&records[8]).unwrap();
    let repeated = verifier.push(&records[8]).unwrap_err();
    assert_eq!(repeated.code, Code::StreamSequenceBroken);
    let other = Verifier::after("other", &trusted, &records[7]).unwrap_err();
    assert_eq!(other.code, Code::StreamProjectMismatch);
    assert_eq!(
        verify_stream("p", &[], &trusted).unwrap_err().code,
        Code::StreamEmpty
    );
    let again = Registration::parse(&records[0].to_bytes());
    assert_eq!(again.as_ref(), Ok(&records[0]));
}

#[test]
fn g_authorize() {
    let file = vectors!("g_authorize.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let blobs: Vec<String> = cases(case, "attestations")
            .iter()
            .map(|blob| blob.as_str().unwrap().to_owned())
            .collect();
        let verdict = decide(&file, case, case, &blobs);
        let expected = &case["expected"];
        assert_eq!(
            Json::Bool(verdict.is_approved()),
            expected["approved"],
            "{id}: {verdict:?}"
        );
        if verdict.is_approved() {
            let domains = Json::from(verdict.verified_domains.clone());
            assert_eq!(domains, expected["verified_domains"], "{id}");
            assert_eq!(verdict.reason(), Code::Ok, "{id}");
        } else {
            assert_eq!(
                objections(&verdict.errors),
                expected_objections(&expected["errors"]),
                "{id}"
            );
        }
    }
}

#[test]
fn g_decision_records() {
    let file = vectors!("g_authorize.json");
    let records = &file["decision_records"];
    let read = |found: Found<'_>| {
        let declaration = Declaration::read(found)?;
        profile().path(&declaration.execution_path)?;
        Ok::<_, Refusal>(declaration)
    };
    let check = |case: &Json, found: Found<'_>| match read(found) {
        Ok(declaration) => {
            assert_eq!(serde_json::to_value(declaration).unwrap(), case["expected"]);
        }
        Err(refusal) => {
            assert_eq!(
                refusal.code.name(),
                text(&case["expected"], "code"),
                "{}",
                case["id"]
            );
        }
    };
    for case in cases(records, "cases") {
        check(case, Found::File(text(case, "file_text").as_bytes()));
    }
    for case in cases(records, "bytes_cases") {
        check(
            case,
            Found::File(&hex::decode(text(case, "file_hex")).unwrap()),
        );
    }
    for case in cases(records, "tree_cases") {
        let found = match text(case, "id") {
            "only-in-worktree" => Found::Absent,
            _ => Found::Irregular,
        };
        check(case, found);
    }
}

/// A registry in which everybody of the file has a grant, so that the project's owners decide.
fn registry_for(repo: &str, dids: &[&str]) -> Registry {
    let acme = Organization {
        id: "acme".to_owned(),
        repos: vec![repo.to_owned()],
        profiles: vec![profile().id],
    };
    let mut registry = Registry::empty().with_organization(acme).unwrap();
    for did in dids {
        for domain in ["engineering", "release_management", "marketing", "security"] {
            let grant = AuthorityEvent {
                event: AuthorityChange::Grant,
                organization: "acme".to_owned(),
                did: (*did).to_owned(),
                domain: domain.to_owned(),
                envs: vec!["prod".to_owned(), "staging".to_owned()],
                by: "did:github:root".to_owned(),
                at: 0,
                expires: None,
            };
            registry = registry.with_event(grant).unwrap();
        }
    }
    registry
}

fn issue(request: &Json) -> Result<Attestation, Refusal> {
    let gates = &request["gates"];
    let texts = GateTexts {
        problem: text(gates, "problem").as_bytes(),
        objective: text(gates, "objective").as_bytes(),
        tradeoffs: text(gates, "tradeoffs").as_bytes(),
    };
    let claimed = AttestRequest {
        profile_id: text(request, "profile_id").to_owned(),
        execution_path: text(request, "execution_path").to_owned(),
        frame_hash: HashText::of(b"frame"),
        execution_context_hash: HashText::of(b"context"),
        domain: text(request, "domain").to_owned(),
        did: text(request, "claimed_did").to_owned(),
        env: text(request, "env").to_owned(),
        gate_content_hashes: GateHashes {
            problem: HashText::of(texts.problem),
            objective: HashText::of(texts.objective),
            tradeoffs: HashText::of(texts.tradeoffs),
        },
    };
    let registered = request["organization_registered"] == true;
    let repo = if registered {
        "owner/repo"
    } else {
        "other/repo"
    };
    let found = |key: &str| match request[key].as_str() {
        Some(text) => Found::File(text.as_bytes()),
        None => Found::Absent,
    };
    let identity = match request["verified_did"].as_str() {
        Some(did) => Identity::external(did),
        None => Err(Refusal::new(
            Code::IdentityUnverified,
            "no DID was verified",
        )),
    };
    let sources = Sources {
        base: found("owners_base"),
        head: found("owners_head"),
        base_history_had_it: request["base_history_had_owners"] == true,
        base_may_adopt: true,
    };
    let inquiry = Inquiry {
        request: &claimed,
        repo,
        now: SSH_TIME,
        registry: Ok(registry_for("owner/repo", &[&claimed.did])),
        profile: Profile::resolve(&claimed.profile_id, Found::Absent, false),
        commitment: Ok(Commitment {
            declaration: Declaration {
                profile: claimed.profile_id.clone(),
                execution_path: claimed.execution_path.clone(),
            },
            env: claimed.env.clone(),
            frame_hash: claimed.frame_hash,
            execution_context_hash: claimed.execution_context_hash,
        }),
        texts: Some(texts),
        identity,
        owners: sources.resolve(),
    };
    let secret = text(&vectors!("d_attestations.json")["keys"]["sp"], "seed_hex")
        .parse()
        .unwrap();
    let issued = inquiry.clear()?.issue(&secret, None)?;
    let trusted = TrustedProviders::of_keys([secret.public()]);
    assert!(
        issued
            .attestation
            .clone()
            .verify(&trusted, Some(SSH_TIME))
            .is_ok()
    );
    Ok(issued.attestation)
}

#[test]
fn h_issuance() {
    let file = vectors!("h_sp_issue.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let expected = &case["expected"];
        match issue(&case["request"]) {
            Ok(attestation) => {
                assert_eq!(expected["ok"], true, "{id}");
                let payload: &Payload = attestation.payload();
                assert_eq!(payload.expires_at - payload.issued_at, 3600, "{id}");
                let did = &payload.resolved_domains[0].did;
                assert_eq!(did, text(&case["request"], "verified_did"), "{id}");
                let recorded = attestation.value().at("identity");
                assert_eq!(
                    recorded.and_then(canonical::Value::as_str),
                    Some("external")
                );
            }
            Err(refusal) => assert_eq!(
                refusal.code.name(),
                text(expected, "code"),
                "{id}: {refusal}"
            ),
        }
    }
}

#[test]
fn h_the_order_of_issuance_checks() {
    let file = vectors!("h_sp_issue.json");
    let mut request = cases(&file, "cases")[0]["request"].clone();
    let mut next = |key: &str, value: Json, repaired: Json, code: Code| {
        request[key] = value;
        assert_eq!(issue(&request).unwrap_err().code, code, "{key}");
        request[key] = repaired;
    };
    let other = "did:github:mallory";
    next(
        "organization_registered",
        Json::from(false),
        Json::from(true),
        Code::OrganizationNotRegistered,
    );
    next(
        "profile_id",
        "deploy-gate@9.9".into(),
        "deploy-gate@0.3".into(),
        Code::ProfileNotFound,
    );
    next(
        "execution_path",
        "constructor".into(),
        "deploy-prod-full".into(),
        Code::DecisionRecordInvalid,
    );
    next(
        "domain",
        "marketing".into(),
        "engineering".into(),
        Code::DomainScopeMismatch,
    );
    next(
        "verified_did",
        Json::Null,
        other.into(),
        Code::IdentityUnverified,
    );
    next(
        "claimed_did",
        other.into(),
        other.into(),
        Code::ScopeInsufficient,
    );
}

#[test]
fn l_ssh_identity() {
    let file = vectors!("l_ssh_identity.json");
    for case in cases(&file, "cases") {
        let id = text(case, "id");
        let result = AllowedSigners::parse(text(case, "allowed_signers").as_bytes())
            .and_then(|signers| {
                let message = text(case, "message_utf8").as_bytes();
                signers.establish(
                    text(case, "did"),
                    message,
                    text(case, "signature"),
                    SSH_TIME,
                )
            })
            .map_err(|refusal| refusal.code);
        match id {
            // OpenSSH takes a pattern for a principal; the page refuses it.
            "wildcard-principal" => {
                assert_eq!(result, Err(Code::AuthorizationSourceInvalid));
            }
            _ if case["verified"] == true => assert!(result.is_ok(), "{id}"),
            _ => assert_eq!(result, Err(Code::IdentityUnverified), "{id}"),
        }
    }
}
