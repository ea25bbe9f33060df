//! Attestations at the boundary: governance that is agreed to by attesting to a merge, and what one attestation is good for.

use std::fs;

use serde_json::{Value, json};

use super::received::push;
use super::sandbox::Sandbox;

const TWO: &str = "deploy-prod-user-facing";
const POLICY: &str = "governance/policy/shop.policy.json";

fn policy(version: &str) -> String {
    let rule = |id: &str, selector: &str, order: u32, mode: &str, span: u32| {
        json!({"id": id, "effect": "review", "priority": 5, "order_index": order, "review_type": "attested",
            "match": {"actor": {"any": true}, "capability": {"kind": "tool", "selector": {"exact": selector}},
                "operation": {"any": true}, "target": {"any": true}},
            "grant": {"mode": mode, "sequence_span": span}})
    };
    json!({"schema": "permit.policy.v1", "policy_id": "shop", "policy_version": version,
        "interpretation_authority": "supervisor", "supervisor_id": "supervisor:shop", "default_effect": "block",
        "conflict_resolution": {"mode": "deny_wins", "tie_breaker": "stable_order", "stable_order_mode": "lexical_rule_id"},
        "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit",
            "review": "pause_pending_ledger"},
        "admitted_repositories": ["owner/repo"],
        "review_types": {"attested": {"attestations": {"profile": "deploy-gate@0.3", "env": "prod"}}},
        "rules": [rule("change", "governance.change", 0, "one_shot", 0), rule("ship", "deploy", 1, "bounded", 50)]})
    .to_string()
}

/// A server with the hook, and a clone whose policy asks for attestations to whatever changes it.
fn world() -> Sandbox {
    let sandbox = Sandbox::onboarded();
    let server = sandbox.path("server.git").display().to_string();
    sandbox.git(&["init", "-q", "--bare", "-b", "main", &server]);
    sandbox.git(&[
        "--git-dir",
        &server,
        "config",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    let installed = sandbox.permit(&["--repository", &server, "guard", "install"]);
    assert_eq!(installed.exit, 0, "{installed:?}");
    sandbox.git(&["remote", "add", "origin", &server]);
    let key = fs::read_to_string(sandbox.path("alice.pub")).unwrap();
    let people = json!({"schema": "permit.principals.v1", "principals": [
        {"id": "human:alice", "kind": "human", "roles": ["council"], "status": "active", "keys": [key.trim_end()]}]});
    sandbox.write("governance/principals.json", &people.to_string());
    sandbox.write(POLICY, &policy("1"));
    sandbox.commit("policy");
    for stream in ["main", "other"] {
        assert_eq!(sandbox.permit(&["stream", "open", stream]).exit, 0);
    }
    let said = push(&sandbox, "off", &["main", "refs/permit/streams/*"]);
    assert!(said.contains("the mode is `off`"), "{said}");
    sandbox
}

/// Declares the branch `banner` with some more content, and has both owners attest to it.
fn attested(sandbox: &Sandbox, content: Option<&str>) {
    sandbox.declare("banner", TWO);
    if let Some(content) = content {
        sandbox.write(POLICY, content);
        sandbox.commit("policy");
    }
    for (name, domain) in [("alice", "engineering"), ("mara", "marketing")] {
        let answer = sandbox.full("banner", name, domain, &[]);
        assert_eq!(answer.exit, 0, "{answer:?}");
    }
    sandbox.git(&["switch", "-q", "main"]);
}

/// Reviews a request with both attestations, as alice, into the work tree.
fn review(sandbox: &Sandbox, request: &str, stream: &str) -> String {
    let words = ["manifest", "new", "src/app.rs", "--purpose", "release"];
    let manifest = sandbox.json(&words).json();
    let manifest = manifest["manifest_envelope_id"].as_str().unwrap();
    let words = [
        ["review", "new"],
        ["--request", request],
        ["--manifest", manifest],
        ["--role", "council"],
        ["--verdict", "approve"],
        ["--reviewer", "human:alice"],
        ["--stream", stream],
        ["--at", "origin/main"],
        ["--attestation", "../alice.blob"],
        ["--attestation", "../mara.blob"],
    ];
    let made = sandbox.json(&words.concat());
    assert_eq!(made.exit, 0, "{made:?}");
    let id = made.json()["review_id"].as_str().unwrap().to_owned();
    sign(sandbox, &id);
    id
}

fn sign(sandbox: &Sandbox, id: &str) {
    let words = [
        "review",
        "sign",
        id,
        "--as",
        "human:alice",
        "--key",
        "../alice",
    ];
    let signed = sandbox.json(&words);
    assert_eq!(signed.exit, 0, "{signed:?}");
}

fn plan(sandbox: &Sandbox) -> Value {
    let range = ["--base", "origin/main", "--head", "HEAD"];
    let answer = sandbox.json(&[["guard", "plan"].as_slice(), &range].concat());
    assert_eq!(answer.exit, 0, "{answer:?}");
    answer.json()["requests"][0].clone()
}

/// Alters an artifact.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn governance_is_agreed_to_by_attesting_to_the_merge_that_changes_it() {
    let sandbox = world();
    attested(&sandbox, Some(&policy("2")));
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "banner"]);
    let said = push(&sandbox, "enforce", &["main"]);
    assert!(said.contains("[GOVERNANCE_UNREVIEWED]"), "{said}");
    let planned = plan(&sandbox);
    let named = &planned["request"]["context"]["hap"];
    let parent = |rev: &str| json!(sandbox.git(&["rev-parse", rev]));
    assert_eq!(named["repo"], "owner/repo");
    assert_eq!(named["env"], "prod");
    assert_eq!(
        (&named["base"], &named["head"]),
        (&parent("HEAD^1"), &parent("HEAD^2"))
    );
    sandbox.write_aside("change.json", planned["request"].to_string());
    let id = review(&sandbox, "../change.json", "main");
    assert_eq!(planned["review_id"], json!(id));
    sandbox.commit("review");
    let reviewed = sandbox.git(&["rev-parse", "HEAD"]);

    // A squash of the same content, with the same review beside it, is no merge that anybody attested to.
    sandbox.git(&["reset", "-q", "--hard", "origin/main"]);
    sandbox.git(&["merge", "-q", "--squash", "banner"]);
    sandbox.commit("squash");
    sandbox.git(&[
        "checkout",
        "-q",
        &reviewed,
        "--",
        "governance/reviews",
        "governance/manifests",
    ]);
    sandbox.commit("review");
    let said = push(&sandbox, "enforce", &["main"]);
    assert!(said.contains("[GOVERNANCE_UNREVIEWED]"), "{said}");
    let planned = sandbox.json(&["guard", "plan", "--base", "origin/main", "--head", "HEAD"]);
    assert_eq!(
        planned.json()["reason"],
        "GOVERNANCE_UNREVIEWED",
        "{planned:?}"
    );
    // Nor is a merge of something else behind the same base.
    sandbox.git(&["reset", "-q", "--hard", "origin/main"]);
    sandbox.git(&["switch", "-q", "-c", "side", "banner"]);
    sandbox.write("src/more.rs", "unattested");
    sandbox.commit("more");
    sandbox.git(&["switch", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    sandbox.git(&[
        "checkout",
        "-q",
        &reviewed,
        "--",
        "governance/reviews",
        "governance/manifests",
    ]);
    sandbox.commit("review");
    let said = push(&sandbox, "enforce", &["main"]);
    assert!(said.contains("[GOVERNANCE_UNREVIEWED]"), "{said}");

    sandbox.git(&["reset", "-q", "--hard", &reviewed]);
    let said = push(&sandbox, "enforce", &["main"]);
    assert!(!said.contains('['), "{said}");
    assert_eq!(sandbox.git(&["rev-parse", "origin/main"]), reviewed);
}

/// Writes the request to deploy to a target what both owners have attested to.
fn ask(sandbox: &Sandbox, target: &str) -> String {
    let [base, head] = ["HEAD^1", "HEAD^2"].map(|rev| sandbox.git(&["rev-parse", rev]));
    let named = json!({"repo": "owner/repo", "base": base, "head": head, "env": "prod"});
    let request = json!({"schema": "permit.request.v1", "actor_id": "agent:codex",
        "capability": {"kind": "tool", "selector": "deploy"}, "operation": "execute", "target": target,
        "context": {"hap": named}});
    sandbox.write_aside(&format!("{target}.json"), request.to_string());
    format!("../{target}.json")
}

fn lands(sandbox: &Sandbox, refspecs: &[&str]) {
    let said = push(sandbox, "enforce", refspecs);
    assert!(!said.contains('['), "{refspecs:?}: {said}");
}

fn denied(sandbox: &Sandbox, refspecs: &[&str], reason: &str) {
    let said = push(sandbox, "enforce", refspecs);
    assert!(
        said.contains(&format!("[{reason}]")),
        "{refspecs:?}: {said}"
    );
}

#[test]
fn one_attestation_is_not_spent_once_on_each_stream() {
    let sandbox = world();
    attested(&sandbox, None);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "banner"]);
    lands(&sandbox, &["main"]);
    let (web, api) = (ask(&sandbox, "web"), ask(&sandbox, "api"));
    review(&sandbox, &web, "main");
    review(&sandbox, &api, "other");
    sandbox.commit("reviews");
    lands(&sandbox, &["main"]);
    // The signed message names the stream: another stream cannot use the review.
    let issue = |request: &str, stream: &str| {
        sandbox
            .json(&["issue", "--request", request, "--stream", stream])
            .reason()
    };
    let mismatch = ("REVIEW_ANCHOR_MISMATCH".to_owned(), 5);
    assert_eq!(issue(&web, "other"), mismatch);

    // Two repositories that know nothing of each other each spend the attestations, on a stream of their own.
    let (main, other) = ("refs/permit/streams/main", "refs/permit/streams/other");
    let clone = sandbox.path("clone").display().to_string();
    sandbox.git(&["clone", "-q", "../server.git", &clone]);
    sandbox.git(&[
        "-C",
        &clone,
        "config",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    sandbox.git(&[
        "-C",
        &clone,
        "fetch",
        "-q",
        "origin",
        &format!("{other}:{other}"),
    ]);
    let there = [
        "--repository",
        &clone,
        "issue",
        "--request",
        &api,
        "--stream",
        "other",
    ];
    assert_eq!(sandbox.json(&there).exit, 0);
    assert_eq!(issue(&web, "main").1, 0);
    // Here they are spent, whichever review they stand in.
    assert_eq!(issue(&api, "other"), ("REVIEW_CONSUMED".to_owned(), 6));
    sandbox.git(&["fetch", "-q", &clone, &format!("{other}:{other}")]);
    denied(&sandbox, &[main, other], "REVIEW_CONSUMED");
    lands(&sandbox, &[main]);
    denied(&sandbox, &[other], "REVIEW_CONSUMED");
}

#[test]
fn an_attestation_review_rewritten_after_its_permit_lands_no_other_permit() {
    let sandbox = world();
    attested(&sandbox, None);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "banner"]);
    let web = ask(&sandbox, "web");
    lands(&sandbox, &["main"]);
    let id = review(&sandbox, &web, "main");
    sandbox.commit("review");
    lands(&sandbox, &["main"]);
    let stream = "refs/permit/streams/main";
    let opened = sandbox.git(&["rev-parse", stream]);
    let issue = || sandbox.json(&["issue", "--request", &web]).reason();
    assert_eq!(issue().1, 0);
    lands(&sandbox, &[stream]);
    assert_eq!(issue(), ("REVIEW_CONSUMED".to_owned(), 6));
    let event = sandbox.git(&["log", "-1", "--format=%b", stream]);
    let event: Value = serde_json::from_str(&event).unwrap();

    let path = format!("governance/reviews/{id}.review.json");
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
        let file = fs::read(sandbox.work().join(&path)).unwrap();
        let mut artifact: Value = serde_json::from_slice(&file).unwrap();
        change(&mut artifact);
        artifact["signatures"] = json!([]);
        sandbox.write(&path, &format!("{artifact}\n"));
        sign(&sandbox, &id);
        sandbox.commit("rewritten");
        // Another message may be signed; what it rests on is spent all the same.
        lands(&sandbox, &["main"]);
        assert_eq!(issue(), ("REVIEW_CONSUMED".to_owned(), 6));
    }
    // A clone that never saw the permit issues one, and cannot land it.
    let clone = sandbox.path("clone").display().to_string();
    sandbox.git(&["clone", "-q", "../server.git", &clone]);
    sandbox.git(&[
        "-C",
        &clone,
        "config",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    sandbox.git(&[
        "-C",
        &clone,
        "fetch",
        "-q",
        "origin",
        &format!("{stream}:refs/heads/landed"),
    ]);
    sandbox.git(&["-C", &clone, "update-ref", stream, &opened]);
    let tip = sandbox.git(&["rev-parse", stream]);
    let there = ["--repository", &clone, "issue", "--request", &web];
    let issued = sandbox.json(&there);
    assert_eq!(
        issued.reason(),
        ("REVIEW_ANCHOR_MISMATCH".to_owned(), 5),
        "{issued:?}"
    );
    let server = sandbox.path("server.git").display().to_string();
    assert_eq!(
        sandbox.git(&["--git-dir", &server, "rev-parse", stream]),
        tip
    );
}
