//! Organizations, owners, grants, revocations and profiles as the command line lists and changes them.

use std::fs;

use serde_json::{Value, json};

use super::sandbox::{NOW, Sandbox};

fn no(code: &str, exit: i32) -> (String, i32) {
    (code.to_owned(), exit)
}

fn registry(sandbox: &Sandbox) -> Value {
    let text = fs::read(sandbox.work().join("governance/hap/registry.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Changes the registry on `main` and asks for an attestation of engineering on a branch from there.
fn attest_with(sandbox: &Sandbox, branch: &str, change: impl FnOnce(&mut Value)) -> (String, i32) {
    sandbox.git(&["switch", "-q", "main"]);
    let mut changed = registry(sandbox);
    change(&mut changed);
    sandbox.write("governance/hap/registry.json", &changed.to_string());
    sandbox.commit("registry");
    sandbox.declare(branch, "deploy-prod-canary");
    sandbox.full(branch, "alice", "engineering", &[]).reason()
}

#[test]
fn a_grant_must_be_live_for_the_person_domain_and_environment() {
    let sandbox = Sandbox::onboarded();
    let original = registry(&sandbox);
    let first = original["authority"][0].clone();
    let refused = |branch: &str, change: &dyn Fn(&mut Value)| {
        let original = original.clone();
        let answer = attest_with(&sandbox, branch, |file| {
            *file = original;
            change(file);
        });
        assert_eq!(answer, no("SCOPE_INSUFFICIENT", 3), "{branch}");
    };
    refused("none", &|file| file["authority"] = json!([]));
    refused("env", &|file| {
        file["authority"][0]["envs"] = json!(["staging"]);
    });
    refused("domain", &|file| {
        file["authority"][0]["domain"] = json!("security");
    });
    refused("expired", &|file| {
        file["authority"][0]["expires"] = json!(NOW);
    });
    refused("future", &|file| {
        file["authority"][0]["at"] = json!(NOW + 1);
    });
    refused("revoked", &|file| {
        let mut revocation = first.clone();
        revocation["event"] = json!("revoke");
        revocation["at"] = json!(NOW);
        revocation["expires"] = json!(null);
        file["authority"].as_array_mut().unwrap().push(revocation);
    });
    let answer = attest_with(&sandbox, "sound", |file| *file = original.clone());
    assert_eq!(answer, no("OK", 0));
}

#[test]
fn an_organization_must_be_registered_with_the_repository_and_profile() {
    let sandbox = Sandbox::onboarded();
    let answer = attest_with(&sandbox, "repo", |file| {
        file["organizations"][0]["repos"] = json!(["owner/other"]);
    });
    assert_eq!(answer, no("ORGANIZATION_NOT_REGISTERED", 3));
    let answer = attest_with(&sandbox, "profile", |file| {
        file["organizations"][0]["repos"] = json!(["owner/repo"]);
        file["organizations"][0]["profiles"] = json!([]);
    });
    assert_eq!(answer, no("ORGANIZATION_NOT_REGISTERED", 3));
    let answer = attest_with(&sandbox, "broken", |file| file["organizations"] = json!({}));
    assert_eq!(answer, no("AUTHORIZATION_SOURCE_INVALID", 7));
}

#[test]
fn grants_and_revocations_go_to_the_work_tree_and_their_history_to_everybody() {
    let sandbox = Sandbox::onboarded();
    let change = |verb: &str, more: &[&str]| {
        let words = [
            "hap",
            "authority",
            verb,
            "--organization",
            "acme",
            "--did",
            "did:github:mara",
            "--domain",
            "engineering",
            "--env",
            "prod",
            "--by",
            "did:github:alice",
        ];
        sandbox.json(&[words.as_slice(), more].concat())
    };
    let before = sandbox.git(&["rev-parse", "HEAD"]);
    let granted = change("grant", &["--now", "1735900000"]).json();
    assert_eq!(granted["event"]["expires"], 1_735_900_000 + 365 * 86_400);
    assert_eq!(
        change("grant", &["--now", "1735900001", "--expires", "never"]).exit,
        0
    );
    assert_eq!(change("revoke", &["--now", "1735900002"]).exit, 0);
    let back = change("grant", &["--now", "1735900001"]);
    assert_eq!(
        back.reason(),
        no("AUTHORIZATION_SOURCE_INVALID", 7),
        "dated before the revocation"
    );
    let odd = change("grant", &["--now", "1735900003", "--expires", "soon"]);
    assert_eq!(odd.reason(), no("INVALID_INPUT", 7));
    assert_eq!(
        sandbox.git(&["rev-parse", "HEAD"]),
        before,
        "nothing is committed"
    );
    let history = |at: &str| {
        let words = ["hap", "authority", "history", "did:github:mara", "--at", at];
        sandbox.json(&words).json()["events"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(history("main"), 1);
    sandbox.commit("authority");
    assert_eq!((history("main"), history("main~1")), (4, 1));
}

#[test]
fn owners_and_profiles_are_listed_as_of_a_commit() {
    let sandbox = Sandbox::onboarded();
    sandbox.write(".hap/owners.json", r#"{"domains": {"engineering": []}}"#);
    sandbox.commit("nobody owns anything");
    let owners = |at: &str| sandbox.json(&["hap", "owners", "--at", at]).json()["domains"].clone();
    assert_eq!(owners("main"), json!({"engineering": []}));
    assert_eq!(owners("main~1")["engineering"], json!(["did:github:alice"]));
    let listed = sandbox.json(&["hap", "profiles"]).json();
    let profile = &listed["profiles"][0];
    assert_eq!(
        (profile["id"].as_str(), profile["source"].as_str()),
        (Some("deploy-gate@0.3"), Some("commit"))
    );
    assert_eq!(
        profile["paths"]["deploy-prod-security"]["requiredDomains"],
        json!(["engineering", "security"])
    );
    let bare = Sandbox::empty();
    bare.commit("empty");
    let shipped = bare.json(&["hap", "profiles"]).json();
    assert_eq!(shipped["profiles"][0]["source"], "shipped");
    assert_eq!(
        bare.json(&["hap", "owners"]).reason(),
        no("AUTHORIZATION_SOURCE_MISSING", 7)
    );
}

#[test]
fn a_provider_counts_only_while_it_is_trusted() {
    let sandbox = Sandbox::onboarded();
    sandbox.declare("change", "deploy-prod-canary");
    sandbox.full("change", "alice", "engineering", &[]);
    assert_eq!(sandbox.authorize("change", &["alice"], &[]).exit, 0);
    let other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let replaced = sandbox.authorize("change", &["alice"], &["--sp-key", other]);
    assert_eq!(replaced.reason(), no("INVALID_SIGNATURE", 5));
    sandbox.git(&["switch", "-q", "main"]);
    let path = "governance/hap/service-providers.json";
    let text = fs::read_to_string(sandbox.work().join(path)).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    file["providers"][0]["trusted_until"] = json!(NOW + 5);
    sandbox.write(path, &file.to_string());
    sandbox.commit("trust ends");
    sandbox.declare("later", "deploy-prod-canary");
    let attested = sandbox.full("later", "alice", "engineering", &[]);
    assert_eq!(attested.exit, 0, "trusted at {NOW}");
    let answer = sandbox.authorize("later", &["alice"], &[]);
    assert_eq!(
        answer.reason(),
        no("INVALID_SIGNATURE", 5),
        "no longer at NOW + 10"
    );
    let in_time = NOW.to_string();
    assert_eq!(
        sandbox
            .authorize("later", &["alice"], &["--now", &in_time])
            .exit,
        0
    );
}

#[test]
fn onboarding_grows_what_is_there_and_refuses_what_does_not_fit() {
    let sandbox = Sandbox::onboarded();
    let onboard = |more: &[&str]| {
        let words = [
            "hap",
            "onboard",
            "--organization",
            "acme",
            "--repo",
            "owner/two",
        ];
        let rest = ["--by", "did:github:root", "--now", "1735900000"];
        sandbox.json(&[words.as_slice(), rest.as_slice(), more].concat())
    };
    assert_eq!(onboard(&["--owner", "security=did:github:sam"]).exit, 0);
    assert_eq!(
        registry(&sandbox)["organizations"][0]["repos"],
        json!(["owner/repo", "owner/two"])
    );
    let owners = fs::read_to_string(sandbox.work().join(".hap/owners.json")).unwrap();
    assert!(owners.contains("did:github:sam") && owners.contains("did:github:alice"));
    assert_eq!(
        onboard(&["--owner", "security"]).reason(),
        no("INVALID_INPUT", 7)
    );
    let shared = onboard(&["--signer", "did:github:bob=../alice.pub"]);
    assert_eq!(shared.reason(), no("AUTHORIZATION_SOURCE_INVALID", 7));
    assert_eq!(
        onboard(&["--profile", "other@1.0"]).reason(),
        no("INVALID_INPUT", 7)
    );
}
