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

mod attestation;
mod people;
mod stream;

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
