//! A sound review with everything around it, to be spoilt by the tests.

use serde_json::{Value as Json, json};

use super::super::super::rules::Rules;
use super::super::*;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{CommitSha, EventHash, sha256};
use crate::engine::policy::{GrantTerms, ReviewType, Role, SignerTerms};
use crate::engine::request::{Capability, Kind};
use crate::engine::sshsig::testing::Key;

/// Which key somebody signs with, by its seed.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeySpec {
    Software(u8),
    Hardware(u8),
    HardwareP256(u8),
}

impl KeySpec {
    pub(super) fn key(self) -> Key {
        match self {
            Self::Software(seed) => Key::ed25519(seed),
            Self::Hardware(seed) => Key::sk_ed25519(seed),
            Self::HardwareP256(seed) => Key::sk_p256(seed),
        }
    }
}

/// Who signs, and how.
#[derive(Debug, Clone)]
pub(super) struct Signing {
    pub(super) principal: &'static str,
    pub(super) key: KeySpec,
    pub(super) namespace: &'static str,
    pub(super) flags: u8,
}

impl Signing {
    pub(super) fn new(principal: &'static str, key: KeySpec) -> Self {
        Self {
            principal,
            key,
            namespace: SIGNATURE_NAMESPACE,
            flags: 1,
        }
    }
}

/// Everything that a judgement rests on. `World::sound` is valid in every line.
pub(super) struct World {
    pub(super) artifact: Json,
    pub(super) signing: Vec<Signing>,
    /// Changes to the artifact after it was signed.
    pub(super) afterwards: Vec<fn(&mut Json)>,
    pub(super) file_name: Option<String>,
    pub(super) before: Option<Json>,
    pub(super) governed: Option<Json>,
    pub(super) manifest: Option<Json>,
    pub(super) found: Vec<Found>,
    pub(super) anchor: AnchorFact,
    pub(super) issued: u64,
    pub(super) policy_hash: u8,
    pub(super) fingerprint: u8,
    pub(super) review_type: &'static str,
    pub(super) terms: SignerTerms,
    pub(super) actor: &'static str,
    pub(super) target: &'static str,
    pub(super) request_known: bool,
    pub(super) grant: GrantTerms,
    pub(super) stream: &'static str,
    pub(super) sequence: u64,
}

pub(super) fn hex(byte: u8) -> String {
    hex::encode([byte; 32])
}

fn hash<T: std::str::FromStr>(byte: u8) -> T {
    hex(byte).parse().ok().unwrap()
}

pub(super) fn human(id: &str, key: KeySpec) -> Json {
    json!({"id": id, "kind": "human", "roles": ["council"], "status": "active", "keys": [key.key().line()]})
}

/// ana and bo may approve, cy too; acme is an organization, codex an agent with a key.
pub(super) fn table() -> Json {
    json!({"schema": "permit.principals.v1", "principals": [
        human("human:ana", KeySpec::Software(1)),
        human("human:bo", KeySpec::Software(2)),
        human("human:cy", KeySpec::Software(3)),
        {"id": "org:acme", "kind": "organization", "roles": ["company_admin"], "status": "active",
         "keys": [KeySpec::Software(4).key().line()]},
        {"id": "agent:codex", "kind": "automated_agent", "roles": ["council"], "status": "active",
         "keys": [KeySpec::Software(5).key().line()]},
        {"id": "service:ci", "kind": "service", "roles": [], "status": "active", "keys": []},
    ]})
}

fn entries(table: &mut Option<Json>) -> Option<&mut Vec<Json>> {
    table.as_mut()?.get_mut("principals")?.as_array_mut()
}

/// Sets a member of a principal's entry; nothing where the table is spoilt already.
pub(super) fn alter(table: &mut Option<Json>, id: &str, key: &str, value: &Json) {
    for entry in entries(table).into_iter().flatten() {
        if entry.get("id").unwrap() == id {
            set(entry, key, value.clone());
        }
    }
}

pub(super) fn add(table: &mut Option<Json>, principal: Json) {
    if let Some(entries) = entries(table) {
        entries.push(principal);
    }
}

pub(super) fn without(table: &mut Option<Json>, id: &str) {
    if let Some(entries) = entries(table) {
        entries.retain(|entry| entry.get("id").unwrap() != id);
    }
}

pub(super) fn set(json: &mut Json, key: &str, value: Json) {
    json.as_object_mut().unwrap().insert(key.to_owned(), value);
}

pub(super) fn capability() -> Capability {
    Capability {
        kind: Kind::Tool,
        selector: "deploy.prod".to_owned(),
    }
}

impl World {
    pub(super) fn sound() -> Self {
        let bytes = b"web 1.2.3\n";
        let manifest = Manifest::new(
            "release 1.2.3",
            vec![Listed {
                path: "release/web.txt".to_owned(),
                sha256: sha256(bytes),
                size: 10,
            }],
        )
        .unwrap();
        let artifact = json!({
            "schema": "permit.review.v1",
            "review_id": review_id(hash(0xa1), hash(0xb2), "production-deploy").to_string(),
            "review_type": "production-deploy",
            "policy_hash": hex(0xa1), "request_fingerprint": hex(0xb2),
            "scope": "production", "scope_address": "tool:deploy.prod/service/web",
            "anchor": {"stream_id": "main", "sequence": 41, "event_hash": hex(0xc3)},
            "manifest_envelope_id": manifest.manifest_envelope_id.to_string(),
            "verdict": "approve", "conditions": [],
            "reviewer": {"principal": "human:ana", "role": "council"},
            "cross_signers": ["human:ana", "human:bo"], "reason": "looks right",
        });
        Self {
            artifact,
            signing: vec![
                Signing::new("human:ana", KeySpec::Software(1)),
                Signing::new("human:bo", KeySpec::Software(2)),
            ],
            afterwards: Vec::new(),
            file_name: None,
            before: Some(table()),
            governed: Some(table()),
            manifest: Some(serde_json::to_value(&manifest).unwrap()),
            found: vec![Found::File {
                sha256: sha256(bytes),
                size: 10,
            }],
            anchor: AnchorFact::Event(EventHash::new([0xc3; 32])),
            issued: 0,
            policy_hash: 0xa1,
            fingerprint: 0xb2,
            review_type: "production-deploy",
            terms: SignerTerms {
                min_cross_signers: 2,
                reviewer_roles: vec![Role::Council, Role::CompanyAdmin],
                require_user_presence: false,
            },
            actor: "agent:codex",
            target: "service/web",
            request_known: true,
            grant: GrantTerms::Bounded { sequence_span: 10 },
            stream: "main",
            sequence: 50,
        }
    }

    /// Adds a principal to the cross-signers, sorted, who signs.
    pub(super) fn add_signer(&mut self, principal: &'static str, key: KeySpec) {
        let list = self.artifact.get_mut("cross_signers").unwrap();
        let list = list.as_array_mut().unwrap();
        list.push(json!(principal));
        list.sort_by(|l, r| l.as_str().cmp(&r.as_str()));
        self.signing.push(Signing::new(principal, key));
    }

    pub(super) fn signing_of(&mut self, principal: &str) -> &mut Signing {
        let mut all = self.signing.iter_mut();
        all.find(|signing| signing.principal == principal).unwrap()
    }

    /// The bytes of the artifact as its signers would commit it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut artifact = self.artifact.clone();
        set(&mut artifact, "signatures", json!([]));
        // What cannot be read is not signed: its structure is refused before anything else.
        if let Ok(unsigned) = Artifact::parse(artifact.to_string().as_bytes()) {
            let signatures: Vec<Json> = self
                .signing
                .iter()
                .map(|signing| {
                    let key = signing.key.key();
                    let sshsig =
                        key.sign_with_flags(signing.namespace, unsigned.message(), signing.flags);
                    json!({"principal": signing.principal, "sshsig": sshsig})
                })
                .collect();
            set(&mut artifact, "signatures", json!(signatures));
        }
        for change in &self.afterwards {
            change(&mut artifact);
        }
        format!("{artifact}\n").into_bytes()
    }

    pub(super) fn judgement(&self) -> Judgement {
        let artifact = match Artifact::parse(&self.bytes()) {
            Ok(artifact) => artifact,
            Err(refusal) => return Judgement::malformed(refusal),
        };
        let read = |table: &Option<Json>| {
            table
                .as_ref()
                .map(|table| Principals::parse(table.to_string().as_bytes()))
        };
        let (before, governed) = (read(&self.before), read(&self.governed));
        let manifest = self
            .manifest
            .as_ref()
            .map(|manifest| Manifest::parse(manifest.to_string().as_bytes()));
        let asks = ReviewType::Signers(self.terms.clone());
        let capability = capability();
        let expected = Expected {
            policy_hash: hash(self.policy_hash),
            asks: Some(&asks),
            request: self.request_known.then_some(Asked {
                fingerprint: hash(self.fingerprint),
                review_type: self.review_type,
                actor_id: self.actor,
                capability: &capability,
                target: self.target,
                terms: self.grant,
            }),
            stream_id: Some(self.stream),
            sequence: self.sequence,
            rules: Rules::New,
        };
        let default_name = Artifact::file_name_of(artifact.document().review_id);
        let evidence = Evidence {
            file_name: self.file_name.as_deref().unwrap_or(&default_name),
            before: as_table(before.as_ref()),
            governed: as_table(governed.as_ref()),
            manifest: match &manifest {
                None => ManifestFact::Missing,
                Some(Err(refusal)) => ManifestFact::Invalid(refusal),
                Some(Ok(manifest)) => ManifestFact::Present(manifest, &self.found),
            },
            anchor: self.anchor,
            issued: self.issued,
            payload_spent: false,
            origin: Origin {
                introduced_by: CommitSha::new([7; 20]),
                recorded_at: 1_700_000_000,
            },
            action: ActionFact::Unknown,
        };
        judge(&artifact, &expected, &evidence)
    }

    pub(super) fn code(&self) -> Code {
        match self.judgement().into_judged() {
            Ok(_) => Code::Ok,
            Err(refusal) => refusal.code,
        }
    }
}

pub(super) fn as_table(read: Option<&Result<Principals, Refusal>>) -> Table<'_> {
    match read {
        None => Table::Missing,
        Some(Err(refusal)) => Table::Invalid(refusal),
        Some(Ok(principals)) => Table::Sound(principals),
    }
}
