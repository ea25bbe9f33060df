//! A governed repository with a review of one request, every document written by hand.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sandbox::{Ended, Sandbox};

pub(super) const NAMESPACE: &str = "permit.review.v1";
pub(super) const PRINCIPALS: &str = "governance/principals.json";

/// A repository with policy, principals, a release to deploy, and an open stream; and the artifact to be.
pub(super) struct Ledger {
    pub(super) sandbox: Sandbox,
    /// The artifact without signatures.
    pub(super) artifact: Value,
    /// Who signs with which key.
    pub(super) signing: Vec<(&'static str, &'static str)>,
    pub(super) manifest: Value,
}

/// Canonical JSON of ASCII data: sorted keys, no white space.
pub(super) fn canonical(value: &Value) -> String {
    value.to_string()
}

pub(super) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// `hex(sha256(domain ‖ 0x0A ‖ canonical_json(object)))`.
pub(super) fn domain_hash(domain: &str, object: &Value) -> String {
    sha256(format!(
        "secure_execution_layer.{domain}\n{}",
        canonical(object)
    ))
}

pub(super) fn human(id: &str, key: &str) -> Value {
    json!({"id": id, "kind": "human", "roles": ["council"], "status": "active", "keys": [key]})
}

pub(super) fn table(principals: &[Value]) -> Value {
    json!({"schema": "permit.principals.v1", "principals": principals})
}

pub(super) fn request() -> Value {
    json!({"schema": "permit.request.v1", "actor_id": "agent:codex",
        "capability": {"kind": "tool", "selector": "deploy.prod"},
        "operation": "execute", "target": "service/web", "context": {"task": "42"}})
}

pub(super) fn fingerprint(request: &Value) -> String {
    let capability = &request["capability"];
    let (kind, selector) = (capability["kind"].as_str(), capability["selector"].as_str());
    domain_hash(
        "request_fingerprint.v1",
        &json!({"actor_id": request["actor_id"],
            "capability": format!("{}:{}", kind.unwrap(), selector.unwrap()),
            "operation": request["operation"], "target": request["target"],
            "context_hash": domain_hash("request_context.v1", &request["context"])}),
    )
}

pub(super) fn manifest(purpose: &str, artifacts: &Value) -> Value {
    let id = domain_hash(
        "manifest_envelope.v1",
        &json!({"purpose": purpose, "artifacts": artifacts}),
    );
    json!({"schema": "permit.manifest.v1", "manifest_envelope_id": id, "purpose": purpose, "artifacts": artifacts})
}

pub(super) fn policy(grant: &Value) -> Value {
    let rule = |id: &str, selector: &str, operation: &Value, effect: &str| {
        json!({"id": id, "effect": effect, "priority": 5, "order_index": 0,
            "match": {"actor": {"any": true},
                "capability": {"kind": "tool", "selector": {"exact": selector}},
                "operation": operation, "target": {"any": true}}, "grant": grant})
    };
    let mut ship = rule(
        "ship",
        "deploy.prod",
        &json!({"exact": "execute"}),
        "review",
    );
    ship["review_type"] = json!("production-deploy");
    let read = rule("read", "fs.read", &json!({"any": true}), "allow");
    json!({"schema": "permit.policy.v1", "policy_id": "acme", "policy_version": "v1",
        "interpretation_authority": "supervisor", "supervisor_id": "supervisor:acme", "default_effect": "block",
        "conflict_resolution": {"mode": "deny_wins", "tie_breaker": "stable_order",
            "stable_order_mode": "lexical_rule_id"},
        "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit",
            "review": "pause_pending_ledger"},
        "admitted_repositories": [],
        "review_types": {"production-deploy": {"min_cross_signers": 2,
            "reviewer_roles": ["council", "company_admin"], "require_user_presence": false}},
        "rules": [read, ship]})
}

impl Ledger {
    /// Everything but the artifact is committed: ana and bo are of the council, cy is human too.
    pub(super) fn new() -> Self {
        Self::with_grant(&json!({"mode": "one_shot", "sequence_span": 9}))
    }

    pub(super) fn with_grant(grant: &Value) -> Self {
        let sandbox = Sandbox::new();
        let people: Vec<Value> = ["ana", "bo", "cy"]
            .iter()
            .map(|name| {
                human(
                    &format!("human:{name}"),
                    &sandbox.keygen(name, &["-t", "ed25519"]),
                )
            })
            .collect();
        sandbox.write_json("governance/policy/acme.policy.json", &policy(grant));
        sandbox.write_json(PRINCIPALS, &table(&people));
        sandbox.write("release/web.txt", "web 1.2.3\n");
        let listed =
            json!([{"path": "release/web.txt", "sha256": sha256("web 1.2.3\n"), "size": 10}]);
        let manifest = manifest("release 1.2.3", &listed);
        sandbox.write_json("../request.json", &request());
        sandbox.commit();
        let (exit, opened) = sandbox.json(&["stream", "open", "main"]);
        assert_eq!(exit, 0, "{opened}");
        let mut ledger = Self {
            artifact: Value::Null,
            signing: vec![("human:ana", "ana"), ("human:bo", "bo")],
            manifest,
            sandbox,
        };
        ledger.artifact = ledger.draft(&opened["event_hash"], 0);
        ledger
    }

    /// The artifact that a person would write for the request, anchored at an event.
    pub(super) fn draft(&self, event_hash: &Value, sequence: u64) -> Value {
        let (_, evaluated) = self.sandbox.json(&["eval", "--request", "../request.json"]);
        let policy_hash = &evaluated["mapping"]["policy_hash"];
        let inputs = json!({"policy_hash": policy_hash, "request_fingerprint": fingerprint(&request()),
            "review_type": "production-deploy"});
        let mut artifact = inputs.clone();
        let more = json!({"schema": "permit.review.v1", "review_id": domain_hash("review_id.v1", &inputs),
            "scope": "production", "scope_address": "tool:deploy.prod/service/web",
            "anchor": {"stream_id": "main", "sequence": sequence, "event_hash": event_hash},
            "manifest_envelope_id": self.manifest["manifest_envelope_id"], "verdict": "approve", "conditions": [],
            "reviewer": {"principal": "human:ana", "role": "council"},
            "cross_signers": ["human:ana", "human:bo"], "reason": "looks right"});
        for (key, value) in more.as_object().unwrap() {
            artifact[key] = value.clone();
        }
        artifact
    }

    pub(super) fn id(&self) -> String {
        self.artifact["review_id"].as_str().unwrap().to_owned()
    }

    pub(super) fn path(&self) -> String {
        format!("governance/reviews/{}.review.json", self.id())
    }

    pub(super) fn manifest_path(&self) -> String {
        let id = self.artifact["manifest_envelope_id"].as_str().unwrap();
        format!("governance/manifests/{id}.manifest.json")
    }

    /// The bytes that are signed.
    pub(super) fn message(&self) -> Vec<u8> {
        format!(
            "secure_execution_layer.review_decision.v1\n{}",
            canonical(&self.artifact)
        )
        .into_bytes()
    }

    /// The artifact with the signatures of everybody who signs.
    pub(super) fn signed(&self) -> Value {
        let signatures: Vec<Value> = self
            .signing
            .iter()
            .map(|(principal, key)| {
                let sshsig = self.sandbox.sign(key, NAMESPACE, &self.message());
                json!({"principal": principal, "sshsig": sshsig})
            })
            .collect();
        let mut artifact = self.artifact.clone();
        artifact["signatures"] = json!(signatures);
        artifact
    }

    /// Writes artifact and manifest into the work tree.
    pub(super) fn write(&self) {
        self.sandbox.write_json(&self.path(), &self.signed());
        self.sandbox
            .write_json(&self.manifest_path(), &self.manifest);
    }

    /// Writes and commits artifact and manifest.
    pub(super) fn commit(&self) -> String {
        self.write();
        self.sandbox.commit()
    }

    /// Changes the principals table in the work tree.
    pub(super) fn alter_table(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let text = std::fs::read_to_string(self.sandbox.root().join(PRINCIPALS)).unwrap();
        let mut table: Value = serde_json::from_str(&text).unwrap();
        change(table["principals"].as_array_mut().unwrap());
        self.sandbox.write_json(PRINCIPALS, &table);
    }

    /// Issues for the request; exit code and reason.
    pub(super) fn issue(&self) -> (i32, String) {
        self.sandbox
            .reason(&["issue", "--request", "../request.json"])
    }

    /// Issues, and leaves the permit in `../permit.json`.
    pub(super) fn issue_permit(&self) -> Value {
        let issued: Ended = self
            .sandbox
            .permit(&["issue", "--request", "../request.json"]);
        assert_eq!(issued.exit, 0, "{}", issued.stderr);
        self.sandbox.write("../permit.json", &issued.stdout);
        serde_json::from_str(&issued.stdout).unwrap()
    }

    /// Verifies the permit in `../permit.json`; exit code and reason.
    pub(super) fn verify(&self) -> (i32, String) {
        self.sandbox
            .reason(&["verify", "../permit.json", "--request", "../request.json"])
    }

    /// Asserts what issuing gives.
    pub(super) fn refused(&self, exit: i32, code: &str, what: &str) {
        assert_eq!(self.issue(), (exit, code.to_owned()), "{what}");
    }
}
