//! What a commit confers on whom, for a person to look at before it is trusted.

use serde_json::{Map, Value, json};

use crate::cli::fault;
use crate::cli::ledger::TableAt;
use crate::cli::render::{DIM, paint, safe};
use crate::cli::session::{MAX_GOVERNED, Session};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::owners::{self, Owners};
use crate::engine::sshsig::PublicKey;
use crate::git::Snapshot;

/// The policy and the people of a commit.
pub(crate) struct Granted {
    policy: Option<Value>,
    people: Vec<Value>,
    owners: Map<String, Value>,
    text: String,
}

impl Granted {
    /// Reads what a commit confers. Where people own domains a policy may be missing.
    ///
    /// # Errors
    /// `POLICY_MISSING`, `INVALID_POLICY`, `INVALID_PRINCIPALS`, `AUTHORIZATION_SOURCE_INVALID`; failures to read the
    /// commit.
    pub(crate) fn read(session: &Session, snapshot: &Snapshot<'_>) -> Result<Self, Refusal> {
        let table = match TableAt::load(session, snapshot)? {
            TableAt::Sound(table) => Some(table),
            TableAt::Missing => None,
            TableAt::Invalid(refusal) => return Err(refusal),
        };
        let owners = owners_of(snapshot)?;
        let policy = match session.read_policy(snapshot) {
            Err(refusal) if refusal.code == Code::PolicyMissing && owners.is_some() => None,
            found => Some(found?),
        };
        let mut text = format!("commit    {}\n", snapshot.commit());
        text.push_str(&policy.as_ref().map_or_else(
            || "policy    none: the commit holds no policy\n".to_owned(),
            |policy| {
                format!(
                    "policy    {} {} {}\n",
                    safe(policy.policy_id()),
                    safe(policy.policy_version()),
                    paint(DIM, &policy.hash().to_string()),
                )
            },
        ));
        let mut people = Vec::new();
        for principal in table.iter().flat_map(|table| table.iter()) {
            let roles: Vec<_> = principal.roles.iter().map(|role| role.word()).collect();
            let keys: Vec<_> = principal.keys.iter().map(PublicKey::fingerprint).collect();
            text.push_str(&format!(
                "person    {} {} {} {}\n",
                safe(&principal.id),
                principal.status.word(),
                roles.join(" "),
                paint(DIM, &keys.join(" ")),
            ));
            people.push(json!({
                "id": principal.id, "kind": principal.kind, "status": principal.status,
                "roles": roles, "keys": keys,
            }));
        }
        if people.is_empty() {
            text.push_str("person    nobody: the commit holds no principals table\n");
        }
        let mut domains = Map::new();
        for (domain, dids) in owners.iter().flat_map(Owners::iter) {
            text.push_str(&format!(
                "owner     {} {}\n",
                safe(domain),
                safe(&dids.join(" "))
            ));
            domains.insert(domain.to_owned(), json!(dids));
        }
        let policy = policy.map(|policy| {
            json!({
                "policy_id": policy.policy_id(),
                "policy_version": policy.policy_version(),
                "policy_hash": policy.hash(),
            })
        });
        Ok(Self {
            policy,
            people,
            owners: domains,
            text,
        })
    }

    /// The policy, as results name it; nothing where the commit holds none.
    pub(crate) fn policy(&self) -> Option<&Value> {
        self.policy.as_ref()
    }

    /// The people, as results name them.
    pub(crate) fn people(&self) -> &[Value] {
        &self.people
    }

    /// Who owns which domain, as results name them.
    pub(crate) fn owners(&self) -> &Map<String, Value> {
        &self.owners
    }

    /// All of it, for people to read.
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }
}

/// Who owns which domain of the Human Agency Protocol; nothing where the commit does not say.
fn owners_of(snapshot: &Snapshot<'_>) -> Result<Option<Owners>, Refusal> {
    let invalid = fault::governed(Code::AuthorizationSourceInvalid);
    match snapshot.file(owners::PATH, MAX_GOVERNED).map_err(invalid)? {
        Some(blob) => Owners::parse(&blob.bytes).map(Some),
        None => Ok(None),
    }
}
