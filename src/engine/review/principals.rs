//! Who may decide: bytes to a table of humans, organizations, agents and services (reviews.md, Principals).
//!
//! Refuses whatever is not exactly the format, an id whose prefix does not fit its kind, an id twice, and a key twice.
//! A table that is refused is never treated as absent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault};
use super::super::code::{Code, Refusal};
use super::super::policy::{MAX_ENTRIES, Role};
use super::super::sshsig::PublicKey;
use super::MAX_FILE;

/// Where the table stands in the governed tree.
pub const PRINCIPALS_PATH: &str = "governance/principals.json";

/// The human–organization–role table of one commit.
#[derive(Debug)]
pub struct Principals(BTreeMap<String, Principal>);

/// Somebody, or something, that can be named.
#[derive(Debug)]
pub struct Principal {
    /// The unique id, such as `human:ana`.
    pub id: String,
    /// What it is; its id begins accordingly.
    pub kind: PrincipalKind,
    /// The roles that it holds.
    pub roles: Vec<Role>,
    /// Whether it still counts.
    pub status: Status,
    /// The keys that it signs with.
    pub keys: Vec<PublicKey>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A natural person: the only kind that counts as a signer.
    Human,
    /// An organization: it can review, and signs with its own key.
    Organization,
    /// A program that acts on its own: it can never review or sign.
    AutomatedAgent,
    /// A program that serves: it can never review or sign.
    Service,
}

/// Whether a principal still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It counts.
    Active,
    /// It counts no longer.
    Revoked,
}

/// The document as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.principals.v1")]
pub(crate) struct Document {
    #[expect(dead_code, reason = "decoding is what checks the word")]
    schema: Schema,
    principals: Vec<Entry>,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.principals.v1")]
    V1,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[schemars(regex(
        pattern = r"^(human|org|agent|service):[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$"
    ))]
    id: String,
    kind: PrincipalKind,
    roles: Vec<Role>,
    status: Status,
    keys: Vec<String>,
}

impl PrincipalKind {
    /// The kind that an id states: `^(human|org|agent|service):[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$`; nothing for other text.
    #[must_use]
    pub fn of_id(id: &str) -> Option<Self> {
        let (prefix, name) = id.split_once(':')?;
        let kind = match prefix {
            "human" => Self::Human,
            "org" => Self::Organization,
            "agent" => Self::AutomatedAgent,
            "service" => Self::Service,
            _ => return None,
        };
        let mut bytes = name.bytes();
        let sound = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.len() <= 128
            && bytes.all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'/' | b'-')
            });
        sound.then_some(kind)
    }

    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Organization => "organization",
            Self::AutomatedAgent => "automated_agent",
            Self::Service => "service",
        }
    }
}

impl Status {
    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

impl Principals {
    /// Reads a table.
    ///
    /// # Errors
    /// `INVALID_PRINCIPALS` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let read = || {
            if bytes.len() > MAX_FILE {
                return Err(Fault::new("$", "larger than 8 MiB"));
            }
            Self::build(canonical::from_slice(bytes)?)
        };
        read().map_err(|fault| {
            Refusal::new(
                Code::InvalidPrincipals,
                format!("the principals table is malformed at {fault}"),
            )
        })
    }

    fn build(document: Document) -> Result<Self, Fault> {
        if document.principals.len() > MAX_ENTRIES {
            return Err(Fault::new(
                "$.principals",
                "holds more than 10000 principals",
            ));
        }
        let mut table = BTreeMap::new();
        let mut holders: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        for (index, entry) in document.principals.into_iter().enumerate() {
            let within = |fault: Fault| fault.within_item(index).within_member("principals");
            let principal = Principal::build(entry).map_err(within)?;
            for (place, key) in principal.keys.iter().enumerate() {
                let holder = holders.insert(key.material().to_vec(), principal.id.clone());
                if let Some(holder) = holder {
                    let fault = Fault::new("$", format!("is already a key of `{holder}`"));
                    return Err(within(fault.within_item(place).within_member("keys")));
                }
            }
            let id = principal.id.clone();
            if table.insert(id.clone(), principal).is_some() {
                return Err(within(Fault::new("$.id", format!("`{id}` is there twice"))));
            }
        }
        Ok(Self(table))
    }

    /// The principal of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Principal> {
        self.0.get(id)
    }

    /// Every principal, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Principal> {
        self.0.values()
    }
}

impl Principal {
    fn build(entry: Entry) -> Result<Self, Fault> {
        match PrincipalKind::of_id(&entry.id) {
            None => {
                return Err(Fault::new(
                    "$.id",
                    "does not match `^(human|org|agent|service):[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$`",
                ));
            }
            Some(kind) if kind != entry.kind => {
                let what = format!("is of the kind `{}` by its prefix", kind.word());
                return Err(Fault::new("$.id", what));
            }
            Some(_) => {}
        }
        let mut keys = Vec::with_capacity(entry.keys.len());
        for (place, line) in entry.keys.iter().enumerate() {
            let key = PublicKey::parse(line).map_err(|fault| {
                Fault::new("$", fault.to_string())
                    .within_item(place)
                    .within_member("keys")
            })?;
            keys.push(key);
        }
        Ok(Self {
            id: entry.id,
            kind: entry.kind,
            roles: entry.roles,
            status: entry.status,
            keys,
        })
    }

    /// Tells whether it counts.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Tells whether it signs with this key.
    #[must_use]
    pub fn holds(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }
}
