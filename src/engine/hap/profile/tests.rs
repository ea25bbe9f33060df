//! A profile's file, broken one rule at a time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use super::*;
use serde_json::{Value, json};

fn shipped() -> Value {
    serde_json::from_slice(SHIPPED).unwrap()
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut file = shipped();
    change(&mut file);
    let refusal = Profile::parse(&serde_json::to_vec(&file).unwrap()).unwrap_err();
    assert_eq!(refusal.code, Code::ProfileInvalid);
    refusal.message
}

#[test]
fn the_shipped_profile_is_valid_and_requires_what_the_sample_requires() {
    let profile = Profile::parse(SHIPPED).unwrap();
    assert_eq!(profile.id, SHIPPED_ID);
    assert_eq!(
        profile
            .path("deploy-prod-user-facing")
            .unwrap()
            .required_domains,
        ["engineering", "marketing"]
    );
    assert_eq!(profile.required_gates.len(), 3);
    assert_eq!((profile.ttl_default, profile.ttl_max), (3600, 86400));
    let sample = include_bytes!("../../../../fixtures/vectors/hap/profile_deploy-gate-0.3.json");
    assert_eq!(Profile::parse(sample).unwrap(), profile);
}

#[test]
fn names_of_prototypes_are_no_paths() {
    let profile = Profile::parse(SHIPPED).unwrap();
    for name in ["constructor", "__proto__", "toString", ""] {
        let refusal = profile.path(name).unwrap_err();
        assert_eq!(refusal.code, Code::DecisionRecordInvalid);
    }
}

#[test]
fn a_path_that_would_authorize_without_attestations_is_refused() {
    let canary = "/executionPaths/deploy-prod-canary";
    for domains in [
        json!([]),
        json!([""]),
        json!(["a", "a"]),
        json!("a"),
        json!([1]),
    ] {
        refused(|file| {
            *file
                .pointer_mut(&format!("{canary}/requiredDomains"))
                .unwrap() = domains;
        });
    }
    refused(|file| {
        let path = file.pointer_mut(canary).unwrap().as_object_mut().unwrap();
        path.remove("requiredDomains");
    });
    refused(|file| file["executionPaths"] = json!({}));
}

#[test]
fn sources_that_cannot_be_computed_again_are_refused() {
    refused(|file| {
        file["executionContextSchema"]["fields"]["sha"]["source"] = json!("cumulative");
    });
    refused(|file| {
        file["executionContextSchema"]["fields"]["sha"]["source"] = json!("declared");
    });
    let message = refused(|file| {
        file["executionContextSchema"]["fields"]["problem"] =
            json!({"source": "declared", "required": true});
    });
    assert!(
        message.contains("no field that can be resolved"),
        "{message}"
    );
}

#[test]
fn a_frame_must_name_the_action_with_every_key_once() {
    refused(|file| file["frameSchema"]["keyOrder"] = json!(["repo", "sha", "env", "profile"]));
    refused(|file| {
        file["frameSchema"]["keyOrder"] = json!(["repo", "sha", "env", "profile", "path", "path"]);
    });
    refused(|file| file["frameSchema"]["fields"]["env"]["required"] = json!(false));
    refused(|file| {
        file["frameSchema"]["fields"]["execution_context_hash"] =
            json!({"type": "string", "required": true});
    });
}

#[test]
fn lifetimes_versions_and_unknown_fields_are_strict() {
    refused(|file| file["ttl"]["default"] = json!(0));
    refused(|file| file["ttl"]["default"] = json!(86401));
    refused(|file| file["version"] = json!("0.2"));
    refused(|file| file["conditions"] = json!([]));
    refused(|file| file["id"] = json!("constructor"));
    refused(|file| file["diffUrl"] = json!("https://forge/{repo}"));
}

#[test]
fn the_shipped_profile_stands_in_only_where_history_never_had_one() {
    let found = |at, before| Profile::resolve(SHIPPED_ID, at, before).map_err(|r| r.code);
    assert!(found(Found::Absent, false).is_ok());
    assert_eq!(found(Found::Absent, true), Err(Code::ProfileNotFound));
    assert_eq!(found(Found::Irregular, false), Err(Code::ProfileInvalid));
    assert_eq!(found(Found::File(b"{}"), false), Err(Code::ProfileInvalid));
    let other = Profile::resolve("other@1.0", Found::File(SHIPPED), false).unwrap_err();
    assert_eq!(other.code, Code::ProfileInvalid);
    assert_eq!(
        path_of("a/b@1.0"),
        "governance/hap/profiles/a%2Fb@1.0.profile.json"
    );
}

#[test]
fn what_an_id_means_never_changes() {
    let check = |head| Profile::check_unchanged(SHIPPED_ID, Found::File(SHIPPED), head);
    assert!(check(Found::File(SHIPPED)).is_ok());
    assert!(check(Found::Absent).is_ok());
    assert_eq!(
        check(Found::File(b"{}")).unwrap_err().code,
        Code::ProfileInvalid
    );
}
