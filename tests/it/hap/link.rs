//! A permit that rests on attestations: from two owners and one commit to a permit, its replay and its run.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::sandbox::{Answer, NOW, Sandbox};

const TWO: &str = "deploy-prod-user-facing";

/// A governed repository in which two owners have attested to `head`, which is merged; no review has landed yet.
struct World {
    sandbox: Sandbox,
    base: String,
    head: String,
}

fn policy() -> Value {
    json!({"schema": "permit.policy.v1", "policy_id": "shop", "policy_version": "v1.0",
        "interpretation_authority": "supervisor", "supervisor_id": "supervisor:shop", "default_effect": "block",
        "conflict_resolution": {"mode": "deny_wins", "tie_breaker": "stable_order", "stable_order_mode": "lexical_rule_id"},
        "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit",
            "review": "pause_pending_ledger"},
        "admitted_repositories": [],
        "review_types": {"deploy": {"attestations": {"profile": "deploy-gate@0.3", "env": "prod"}}},
        "rules": [{"id": "ship", "effect": "review", "priority": 5, "order_index": 0, "review_type": "deploy",
            "match": {"actor": {"any": true}, "capability": {"kind": "tool", "selector": {"exact": "deploy"}},
                "operation": {"any": true}, "target": {"any": true}},
            "grant": {"mode": "bounded", "sequence_span": 50}}]})
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::onboarded();
        let key = fs::read_to_string(sandbox.path("alice.pub")).unwrap();
        let principal = |id: &str, kind: &str, keys: Value| json!({"id": id, "kind": kind, "roles": ["council"], "status": "active", "keys": keys});
        let principals = json!({"schema": "permit.principals.v1", "principals": [
            principal("human:alice", "human", json!([key.trim_end()])),
            principal("agent:codex", "automated_agent", json!([]))]});
        sandbox.write("governance/principals.json", &principals.to_string());
        sandbox.write("governance/policy/shop.policy.json", &policy().to_string());
        let base = sandbox.commit("policy");
        assert_eq!(sandbox.permit(&["stream", "open", "main"]).exit, 0);
        let head = sandbox.declare("banner", TWO);
        for (name, domain) in [("alice", "engineering"), ("mara", "marketing")] {
            let answer = sandbox.full("banner", name, domain, &[]);
            assert_eq!(answer.exit, 0, "{answer:?}");
        }
        sandbox.git(&["switch", "-q", "main"]);
        let world = Self {
            sandbox,
            base,
            head,
        };
        world.ask("prod", "agent:codex");
        world
    }

    fn merge(&self) {
        self.sandbox
            .git(&["merge", "-q", "--no-ff", "-m", "merge", "banner"]);
    }

    fn ask(&self, env: &str, actor: &str) {
        let named = json!({"repo": "owner/repo", "base": self.base, "head": self.head, "env": env});
        self.ask_for(actor, &json!({"argv": ["true"], "hap": named}));
    }

    fn ask_for(&self, actor: &str, context: &Value) {
        let request = json!({"schema": "permit.request.v1", "actor_id": actor,
            "capability": {"kind": "tool", "selector": "deploy"}, "operation": "execute", "target": "web",
            "context": context});
        self.sandbox
            .write_aside("request.json", request.to_string());
    }

    /// Writes the review that people would commit.
    fn draft(&self, names: &[&str], more: &[&str]) -> String {
        let words = ["manifest", "new", "src/app.rs", "--purpose", "release"];
        let manifest = self.sandbox.json(&words).json();
        let manifest = manifest["manifest_envelope_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let files: Vec<String> = names.iter().map(|name| format!("../{name}.blob")).collect();
        let mut words = vec!["review", "new", "--request", "../request.json"];
        words.extend(["--manifest", &manifest, "--role", "council"]);
        words.extend(["--verdict", "approve"]);
        for file in &files {
            words.extend(["--attestation", file]);
        }
        if !more.contains(&"--reviewer") {
            words.extend(["--reviewer", "human:alice"]);
        }
        words.extend(more);
        let answer = self.sandbox.json(&words);
        assert_eq!(answer.exit, 0, "{answer:?}");
        answer.json()["review_id"].as_str().unwrap().to_owned()
    }

    fn path(id: &str) -> String {
        format!("governance/reviews/{id}.review.json")
    }

    /// Lands a review of blobs, whatever they are worth.
    fn land(&self, names: &[&str]) -> String {
        let id = self.draft(names, &[]);
        self.sign(&id);
        self.sandbox.commit("review");
        id
    }

    /// Signs the review in the work tree as its reviewer.
    fn sign(&self, id: &str) {
        let words = [
            "review",
            "sign",
            id,
            "--as",
            "human:alice",
            "--key",
            "../alice",
        ];
        let answer = self.sandbox.json(&words);
        assert_eq!(answer.exit, 0, "{answer:?}");
    }

    /// Changes the artifact in the work tree by hand, has the reviewer sign what it says now, and lands it.
    fn alter(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let file = self.sandbox.work().join(Self::path(id));
        let mut artifact: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut artifact);
        if let Some(blobs) = artifact["attestations"].as_array() {
            artifact["attestation_payloads"] = blobs.iter().map(payload_of).collect();
        }
        artifact["signatures"] = json!([]);
        let ledger = format!("{artifact}\n");
        self.sandbox.write(&Self::path(id), &ledger);
        if artifact["cross_signers"] == json!(["human:alice"])
            && artifact["attestations"] != json!(null)
        {
            self.sign(id);
        }
        self.sandbox.commit("review by hand");
    }

    fn issue(&self) -> Answer {
        self.sandbox
            .json(&["issue", "--request", "../request.json"])
    }

    fn reason(&self) -> (String, i32) {
        self.issue().reason()
    }

    fn permit(&self) -> Value {
        let answer = self.issue();
        assert_eq!(answer.exit, 0, "{answer:?}");
        let permit = answer.json()["permit"].clone();
        self.sandbox.write_aside("permit.json", permit.to_string());
        permit
    }

    fn with_permit(&self, command: &str, more: &[&str]) -> Answer {
        let words = [command, "../permit.json", "--request", "../request.json"];
        self.sandbox.json(&[words.as_slice(), more].concat())
    }

    fn exec(&self, now: i64) -> Answer {
        let now = now.to_string();
        let report = [
            "--mode",
            "shadow",
            "--report",
            "../report.json",
            "--now",
            &now,
        ];
        self.with_permit("exec", &report)
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.sandbox.path("report.json")).unwrap()).unwrap()
    }
}

/// SHA-256 of the canonical payload of a blob; zeros for what is no blob.
fn payload_of(blob: &Value) -> Value {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(blob.as_str()?).ok()?;
        let envelope: Value = serde_json::from_slice(&bytes).ok()?;
        Some(permit::engine::digest::sha256(envelope["payload"].to_string().as_bytes()).to_string())
    };
    json!(read().unwrap_or_else(|| "0".repeat(64)))
}

fn because(reason: &str, exit: i32) -> (String, i32) {
    (reason.to_owned(), exit)
}

#[test]
fn two_owners_attest_to_one_commit_and_its_deployment_is_permitted() {
    let world = World::new();
    assert_eq!(world.reason(), because("REVIEW_MISSING", 4));
    world.merge();
    let id = world.draft(&["alice", "mara"], &[]);
    world.sign(&id);
    let words = ["review", "check", &id, "--request", "../request.json"];
    let draft = world.sandbox.json(&words).json();
    assert_eq!(draft["state"], "valid", "{draft}");
    world.sandbox.commit("review");

    let permit = world.permit();
    assert_eq!(permit["decision"], "review");
    let event = world
        .sandbox
        .git(&["log", "-1", "--format=%b", "refs/permit/streams/main"]);
    let event: Value = serde_json::from_str(&event).unwrap();
    let record = &event["event"]["payload"]["review"];
    let hashes: Vec<Value> = ["alice", "mara"]
        .iter()
        .map(|name| {
            let words = ["hap", "show", &format!("../{name}.blob")];
            world.sandbox.json(&words).json()["attestation_hash"].clone()
        })
        .collect();
    assert_eq!(record["attestation_hashes"], json!(hashes));
    assert_eq!(record["cross_signers"], json!(["human:alice"]));
    assert_eq!(record["message_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(record["review_id"], json!(id));

    let answer = world.with_permit("verify", &[]);
    assert_eq!(answer.reason(), because("OK", 0), "{answer:?}");
    let replay = world.sandbox.json(&["replay"]);
    assert_eq!(replay.json()["replayed"], 1);
    assert_eq!(replay.reason(), because("OK", 0), "{replay:?}");
    let recorded = world.sandbox.json(&["review", "record", &id]);
    assert_eq!(recorded.reason(), because("OK", 0), "{recorded:?}");
    // One approval is one permit.
    assert_eq!(world.reason(), because("REVIEW_CONSUMED", 6));
    // The chain of a clone in which other branches exist says the same.
    world.sandbox.git(&["branch", &world.base]);
    assert_eq!(world.sandbox.json(&["replay"]).exit, 0);
}

#[test]
fn a_provider_that_was_removed_since_the_base_confers_nothing_new() {
    const PROVIDERS: &str = "governance/hap/service-providers.json";
    let world = World::new();
    world.merge();
    world.land(&["alice", "mara"]);
    let file = world.sandbox.work().join(PROVIDERS);
    let trusting = fs::read_to_string(&file).unwrap();
    let mut other: Value = serde_json::from_str(&trusting).unwrap();
    // Another provider's key in its place: the base still trusts the one that attested.
    let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    other["providers"][0]["public_key"] = json!(key);
    other["providers"][0]["did"] = json!("did:web:other.example");
    world.sandbox.write(PROVIDERS, &other.to_string());
    world.sandbox.commit("the provider is removed");
    assert_eq!(world.reason(), because("INVALID_SIGNATURE", 5));
    fs::remove_file(&file).unwrap();
    world.sandbox.commit("every provider is removed");
    assert_eq!(world.reason(), because("AUTHORIZATION_SOURCE_MISSING", 7));
    // Honest: trusted at the base and at the tip, and what is recorded stays derived when trust ends later.
    world.sandbox.write(PROVIDERS, &trusting);
    world.sandbox.commit("trusted again");
    world.permit();
    world.sandbox.write(PROVIDERS, &other.to_string());
    world.sandbox.commit("removed after the permit");
    let replay = world.sandbox.json(&["replay"]);
    assert_eq!(replay.reason(), because("OK", 0), "{replay:?}");
    let using = world.with_permit("use", &[]);
    assert_eq!(using.reason(), because("INVALID_SIGNATURE", 5), "{using:?}");
}

#[test]
fn lifetimes_count_where_something_runs_and_nowhere_else() {
    let world = World::new();
    world.merge();
    world.land(&["alice", "mara"]);
    // NOW is long past: issuance, verification and replay have no clock.
    world.permit();
    assert_eq!(world.with_permit("verify", &[]).exit, 0);
    // In `shadow` a time may be given: what would have been refused is recorded, and runs.
    let late = world.exec(NOW + 3600);
    assert_eq!(late.exit, 0, "{late:?}");
    let report = world.report();
    assert_eq!(report["reason"], "TTL_EXPIRED");
    assert_eq!(
        (&report["now"], &report["clock"]),
        (&json!(NOW + 3600), &json!("given"))
    );
    let words = ["--mode", "enforce", "--report", "../report.json"];
    let by_the_system = world.with_permit("exec", &words);
    assert_eq!(by_the_system.exit, 106, "{by_the_system:?}");
    assert_eq!(world.report()["reason"], "TTL_EXPIRED");
    assert_eq!(world.report()["executed"], false);
    world.exec(NOW - 1);
    assert_ne!(world.report()["reason"], "OK", "dated in the future");
    let answer = world.exec(NOW + 3599);
    assert_eq!(answer.exit, 0, "{answer:?}");
    assert_eq!(world.report()["reason"], "OK");
    assert_eq!(world.report()["executed"], true);
    assert_eq!(world.sandbox.json(&["replay"]).exit, 0);
}

#[test]
fn every_domain_in_its_place_and_nothing_else() {
    let world = World::new();
    world.merge();
    let id = world.land(&["alice"]);
    assert_eq!(world.reason(), because("MISSING_REQUIRED_DOMAIN", 4));
    let eval = world
        .sandbox
        .json(&["eval", "--request", "../request.json"]);
    assert_eq!(
        eval.json()["missing"][0]["reason"],
        "MISSING_REQUIRED_DOMAIN"
    );
    let blob = |name: &str| {
        let text = fs::read_to_string(world.sandbox.path(&format!("{name}.blob"))).unwrap();
        json!(text.trim_end())
    };
    let (alice, mara) = (blob("alice"), blob("mara"));
    let tampered = |blob: &Value| {
        let text = blob.as_str().unwrap();
        let (front, back) = text.split_at(text.len() / 2);
        let other = if back.starts_with('A') { 'B' } else { 'A' };
        json!(format!("{front}{other}{}", &back[1..]))
    };
    for (blobs, reason, exit) in [
        (json!([mara, alice]), "INVALID_REVIEW", 7),
        (json!([alice, mara, mara]), "INVALID_REVIEW", 7),
        (json!([alice, alice]), "MISSING_REQUIRED_DOMAIN", 4),
        (json!([]), "MISSING_REQUIRED_DOMAIN", 4),
        (json!([alice, mara, "x"]), "MALFORMED_ATTESTATION", 5),
    ] {
        world.alter(&id, |artifact| artifact["attestations"] = blobs.clone());
        assert_eq!(world.reason(), because(reason, exit), "{blobs}");
    }
    world.alter(&id, |artifact| {
        artifact["attestations"] = json!([alice, tampered(&mara)]);
    });
    assert_eq!(world.issue().exit, 5);
    world.alter(&id, |artifact| {
        artifact.as_object_mut().unwrap().remove("attestations");
        artifact["signatures"] = json!([]);
    });
    assert_eq!(world.reason(), because("INVALID_REVIEW", 7));
}

#[test]
fn what_a_review_says_of_people_and_bytes_is_judged_as_ever() {
    type Change = fn(&mut Value);
    let world = World::new();
    world.merge();
    let id = world.land(&["alice", "mara"]);
    let changes: [(Change, &str, i32); 7] = [
        (
            |a| a["reviewer"]["principal"] = json!("agent:codex"),
            "REVIEW_AGENT_FORBIDDEN",
            5,
        ),
        (
            |a| a["reviewer"]["principal"] = json!("human:nobody"),
            "PRINCIPAL_UNKNOWN",
            5,
        ),
        (
            |a| a["reviewer"]["role"] = json!("sovereign"),
            "REVIEW_ROLE_INVALID",
            5,
        ),
        (
            |a| a["cross_signers"] = json!(["human:bo"]),
            "PRINCIPAL_UNKNOWN",
            5,
        ),
        (
            |a| a["scope_address"] = json!("tool:deploy/other"),
            "REVIEW_SCOPE_MISMATCH",
            5,
        ),
        (
            |a| a["manifest_envelope_id"] = json!("0".repeat(64)),
            "MANIFEST_MISSING",
            4,
        ),
        (|a| a["verdict"] = json!("reject"), "REVIEW_REJECTED", 3),
    ];
    let file = world.sandbox.work().join(World::path(&id));
    let sound: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for (change, reason, exit) in changes {
        world.alter(&id, |artifact| {
            *artifact = sound.clone();
            change(artifact);
        });
        assert_eq!(world.reason(), because(reason, exit));
    }
    world.alter(&id, |artifact| *artifact = sound.clone());
    world.permit();
    let event = world
        .sandbox
        .git(&["log", "-1", "--format=%b", "refs/permit/streams/main"]);
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(
        event["event"]["payload"]["review"]["cross_signers"],
        json!(["human:alice"])
    );
}

#[test]
fn the_request_names_the_action_exactly() {
    let world = World::new();
    world.merge();
    let named =
        json!({"repo": "owner/repo", "base": world.base, "head": world.head, "env": "prod"});
    let with = |key: &str, value: &str| {
        let mut named = named.clone();
        named[key] = json!(value);
        json!({ "hap": named })
    };
    let later = world.sandbox.git(&["rev-parse", "HEAD"]);
    for (context, reason, exit) in [
        (json!({}), "INVALID_REQUEST", 7),
        (with("head", "banner"), "INVALID_REQUEST", 7),
        (with("more", "x"), "INVALID_REQUEST", 7),
        (with("env", "staging"), "DOMAIN_SCOPE_MISMATCH", 5),
        (with("repo", "owner/other"), "FRAME_HASH_MISMATCH", 5),
        (with("base", &world.head), "COMMIT_NOT_GOVERNED", 5),
        (with("base", &later), "EXECUTION_CONTEXT_VIOLATION", 5),
        (with("head", &"0".repeat(40)), "OBJECT_MISSING", 1),
    ] {
        world.ask_for("agent:codex", &context);
        world.land(&["alice", "mara"]);
        assert_eq!(world.reason(), because(reason, exit), "{context}");
    }
    world.ask("prod", "did:github:mara");
    world.land(&["alice", "mara"]);
    assert_eq!(world.reason(), because("REVIEW_SELF_APPROVAL", 5));
}

#[test]
fn the_review_comes_after_the_head() {
    let world = World::new();
    world.land(&["alice", "mara"]);
    assert_eq!(world.reason(), because("EXECUTION_CONTEXT_VIOLATION", 5));
    // Merging the head afterwards does not change where the review came in.
    world.merge();
    assert_eq!(world.reason(), because("EXECUTION_CONTEXT_VIOLATION", 5));

    let squashed = World::new();
    squashed.sandbox.git(&["merge", "-q", "--squash", "banner"]);
    squashed.sandbox.commit("squash");
    squashed.land(&["alice", "mara"]);
    assert_eq!(squashed.reason(), because("EXECUTION_CONTEXT_VIOLATION", 5));
}

#[test]
fn a_review_type_has_one_kind_of_proof() {
    let world = World::new();
    world.merge();
    let words = ["manifest", "new", "src/app.rs", "--purpose", "release"];
    let manifest = world.sandbox.json(&words).json();
    let manifest = manifest["manifest_envelope_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let words = [
        "review",
        "new",
        "--request",
        "../request.json",
        "--verdict",
        "approve",
    ];
    let who = [
        "--reviewer",
        "human:alice",
        "--role",
        "council",
        "--manifest",
        &manifest,
    ];
    let answer = world.sandbox.json(&[words, who].concat());
    assert_eq!(answer.reason(), because("INVALID_INPUT", 7));
    // Of a request that nothing on record shows, nothing is proven.
    let id = world.land(&["alice", "mara"]);
    let answer = world.sandbox.json(&["review", "record", &id]);
    assert_eq!(answer.reason(), because("REVIEW_MISSING", 4));
}

#[test]
fn an_attestation_review_that_is_rewritten_after_its_permit_yields_no_other() {
    type Change<'a> = &'a dyn Fn(&mut Value);
    let world = World::new();
    world.merge();
    let id = world.land(&["alice", "mara"]);
    world.permit();
    assert_eq!(world.reason(), because("REVIEW_CONSUMED", 6));
    let tip = world
        .sandbox
        .git(&["log", "-1", "--format=%B", "refs/permit/streams/main"]);
    let event: Value = serde_json::from_str(tip.split("\n\n").last().unwrap()).unwrap();
    // Reason, conditions and anchor are signed anew; the attestations are the same, and spent.
    let changes: [Change<'_>; 3] = [
        &|artifact| artifact["reason"] = json!("again"),
        &|artifact| {
            artifact["verdict"] = json!("approve_with_conditions");
            artifact["conditions"] = json!([{"type": "reusable", "max": 3}]);
        },
        &|artifact| {
            artifact["anchor"]["sequence"] = event["event"]["sequence"].clone();
            artifact["anchor"]["event_hash"] = event["event_hash"].clone();
        },
    ];
    for change in changes {
        world.alter(&id, change);
        assert_eq!(world.reason(), because("REVIEW_CONSUMED", 6));
    }
    assert_eq!(world.sandbox.json(&["replay"]).exit, 0);
}

#[test]
fn attestations_that_nobody_signed_for_are_a_form_of_old() {
    let world = World::new();
    world.merge();
    let id = world.draft(&["alice", "mara"], &[]);
    world.sandbox.commit("unsigned");
    assert_eq!(world.reason(), because("REVIEW_SIGNERS_INSUFFICIENT", 4));
    let file = world.sandbox.work().join(World::path(&id));
    let mut artifact: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let members = artifact.as_object_mut().unwrap();
    members.remove("signatures");
    members.remove("attestation_payloads");
    fs::write(&file, format!("{artifact}\n")).unwrap();
    world.sandbox.commit("as it was before");
    assert_eq!(world.reason(), because("INVALID_REVIEW", 7));
}

#[test]
fn another_blob_of_an_attestation_is_the_same_attestation() {
    let world = World::new();
    world.merge();
    let id = world.land(&["alice", "mara"]);
    world.permit();
    // White space and a `kid` make another blob, and no other payload: it is spent.
    world.alter(&id, |artifact| {
        for blob in artifact["attestations"].as_array_mut().unwrap() {
            let bytes = URL_SAFE_NO_PAD.decode(blob.as_str().unwrap()).unwrap();
            let mut envelope: Value = serde_json::from_slice(&bytes).unwrap();
            envelope["header"]["kid"] = json!("another");
            *blob = json!(URL_SAFE_NO_PAD.encode(format!("{envelope:#}")));
        }
    });
    assert_eq!(world.reason(), because("REVIEW_CONSUMED", 6));
}

#[test]
fn a_commit_date_does_not_erase_the_record_of_an_approval() {
    let world = World::new();
    world.merge();
    world.land(&["alice", "mara"]);
    let tree = world.sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let parent = world.sandbox.git(&["rev-parse", "HEAD^"]);
    let commit = format!(
        "tree {tree}\nparent {parent}\nauthor t <t@invalid> 1 +0000\ncommitter t <t@invalid> 9007199254740993 +0000\n\nlate\n"
    );
    world.sandbox.write_aside("commit", &commit);
    let id = world.sandbox.git(&[
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--literally",
        "../commit",
    ]);
    world.sandbox.git(&["update-ref", "refs/heads/main", &id]);
    assert_eq!(world.reason(), because("GIT_ERROR", 1));
}
