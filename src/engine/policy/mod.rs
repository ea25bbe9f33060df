//! The governed policy: bytes to a [`Policy`] whose every rule is sound, and its hashes (core.md section 3).
//!
//! Refuses whatever is not exactly the format: unknown or missing fields, a regex that is not anchored or too large,
//! a bare `*` host, a `review` without a known review type, a `block` with a grant, rules that share an id.

mod egress;
mod matcher;
mod path;
mod pattern;
mod resolve;
mod rule;
mod secret;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::{self, Fault, Object, Value};
use super::code::{Code, Refusal};
use super::digest::{Domain, PolicyHash, domain_hash};
use super::text::{text_fault, unseen_fault};

pub use matcher::Matcher;
pub use resolve::Resolution;
pub use rule::{Effect, GrantMode, GrantTerms, Mismatch, Rule, Subject};

/// The most rules, principals or artifacts that one document may hold.
pub const MAX_ENTRIES: usize = 10_000;

/// A policy document that was read strictly, with its hash.
#[derive(Debug)]
pub struct Policy {
    document: Document,
    hash: PolicyHash,
    /// What the rules of form have against it, which bind new decisions only.
    form: Option<Fault>,
}

/// How a conflict between matching rules is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictMode {
    /// The most restrictive effect wins: `block` > `review` > `warn` > `allow`.
    DenyWins,
    /// The most specific rule wins.
    MostSpecific,
    /// The highest `priority` wins.
    ExplicitPriority,
}

/// What happens where several rules with different effects are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TieBreaker {
    /// The stable order picks one.
    StableOrder,
    /// Nothing is decided: `AMBIGUOUS_MAPPING`.
    FailClosed,
}

/// The order that picks one rule of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StableOrder {
    /// The smallest id by bytes.
    LexicalRuleId,
    /// The smallest `order_index`, then the smallest id.
    OrderIndex,
}

/// The three switches that decide a conflict.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictResolution {
    /// Which rule wins.
    pub mode: ConflictMode,
    /// What to do with a tie of different effects.
    pub tie_breaker: TieBreaker,
    /// Which of equals is named.
    pub stable_order_mode: StableOrder,
}

/// A role that a reviewer may hold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Administers one domain.
    DomainAdmin,
    /// Administers the company.
    CompanyAdmin,
    /// A member of the council.
    Council,
    /// The sovereign.
    Sovereign,
}

impl Role {
    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Role::DomainAdmin => "domain_admin",
            Role::CompanyAdmin => "company_admin",
            Role::Council => "council",
            Role::Sovereign => "sovereign",
        }
    }
}

/// What a kind of review asks for.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum ReviewType {
    /// Signatures of humans.
    Signers(SignerTerms),
    /// Attestations of every required domain, beside signatures.
    Attestations(AttestedTerms),
}

/// What has to be attested, and who signs for it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transform = as_read)]
pub struct AttestedTerms {
    /// The profile and environment that are attested.
    pub attestations: AttestationTerms,
    /// Who signs beside the attestations.
    #[schemars(flatten)]
    pub signers: BesideTerms,
}

/// Says of a schema what its reader says of a document: no other member, and what is left out is not `null`.
fn as_read(schema: &mut schemars::Schema) {
    schema.insert("additionalProperties".to_owned(), false.into());
    let members = schema
        .get_mut("properties")
        .and_then(|all| all.as_object_mut());
    for member in members.into_iter().flat_map(|all| all.values_mut()) {
        let Some(member) = member.as_object_mut() else {
            continue;
        };
        member.retain(|key, value| key != "default" || !value.is_null());
        let kinds = member.get_mut("type");
        if let Some(kinds) = kinds
            && let Some([kind, _]) = kinds.as_array().map(Vec::as_slice)
        {
            *kinds = kind.clone();
        }
    }
}

/// Who signs beside attestations, as far as the policy says: else one human in any role.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub struct BesideTerms {
    /// How many distinct humans; one where nothing is said.
    #[schemars(default)]
    pub min_cross_signers: Option<u32>,
    /// The roles that a reviewer may hold; any where nothing is said.
    #[schemars(default)]
    pub reviewer_roles: Option<Vec<Role>>,
    /// Whether every signature must come from a hardware key that was touched.
    #[schemars(default)]
    pub require_user_presence: Option<bool>,
}

/// Who has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignerTerms {
    /// How many distinct humans; never fewer than 2 count, whatever is written here.
    pub min_cross_signers: u32,
    /// The roles that a reviewer may hold.
    pub reviewer_roles: Vec<Role>,
    /// Whether every signature must come from a hardware key that was touched.
    pub require_user_presence: bool,
}

/// What has to be attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestationTerms {
    /// The profile's id, such as `deploy-gate@0.3`.
    pub profile: String,
    /// The environment, such as `prod`.
    pub env: String,
}

/// The document as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.policy.v1")]
pub(crate) struct Document {
    schema: PolicySchema,
    policy_id: String,
    policy_version: String,
    interpretation_authority: Authority,
    supervisor_id: String,
    default_effect: DefaultEffect,
    conflict_resolution: ConflictResolution,
    severity_to_gating: SeverityToGating,
    admitted_repositories: Vec<String>,
    review_types: BTreeMap<String, ReviewType>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum PolicySchema {
    #[serde(rename = "permit.policy.v1")]
    V1,
}

/// The word is not hashed, so only one can be written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum Authority {
    #[serde(rename = "supervisor")]
    Supervisor,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum DefaultEffect {
    #[serde(rename = "block")]
    Block,
}

/// The fixed map from a severity to what it does; it has exactly these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeverityToGating {
    allow: Proceed,
    warn: ProceedEmitAudit,
    block: DenyEmitAudit,
    review: PausePendingLedger,
}

impl SeverityToGating {
    /// The only map there is.
    pub const FIXED: Self = Self {
        allow: Proceed::Word,
        warn: ProceedEmitAudit::Word,
        block: DenyEmitAudit::Word,
        review: PausePendingLedger::Word,
    };
}

macro_rules! words {
    ($($name:ident = $word:literal;)+) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        enum $name {
            #[serde(rename = $word)]
            Word,
        }
    )+};
}

words! {
    Proceed = "proceed";
    ProceedEmitAudit = "proceed_emit_audit";
    DenyEmitAudit = "deny_emit_audit";
    PausePendingLedger = "pause_pending_ledger";
}

/// A policy document whose form and hash are known and whose patterns were not looked at yet: reading one costs no more
/// than its bytes, so that who proposed it can be asked before anything is compiled.
#[derive(Debug)]
pub struct Draft {
    document: Document,
    hash: PolicyHash,
    form: Option<Fault>,
}

impl Draft {
    /// Reads a policy document, all but its regular expressions.
    ///
    /// # Errors
    /// `INVALID_POLICY` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::read(bytes).map_err(|fault| malformed(&fault))
    }

    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let mut tree = canonical::parse(bytes)?;
        let document: Document = canonical::from_value(&tree)?;
        document.check()?;
        let form = document.check_form().err();
        let hash = hash(&document, &mut tree)?;
        Ok(Self {
            document,
            hash,
            form,
        })
    }

    /// The hash that the policy will have.
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        self.hash
    }

    /// Checks the regular expressions: all of a policy share one budget of time and memory.
    ///
    /// # Errors
    /// `INVALID_POLICY` for a pattern that is none; `LIMIT_EXCEEDED` for one that is too large, or where all of them are.
    pub fn compile(mut self) -> Result<Policy, Refusal> {
        let mut patterns = Vec::new();
        for (index, rule) in self.document.rules.iter_mut().enumerate() {
            for (place, pattern) in rule.patterns() {
                patterns.push((format!("$.rules[{index}].{place}.regex"), pattern));
            }
        }
        pattern::check_all(patterns)?;
        Ok(Policy {
            document: self.document,
            hash: self.hash,
            form: self.form,
        })
    }
}

impl Policy {
    /// Reads a policy document and checks its regular expressions.
    ///
    /// # Errors
    /// As [`Draft::parse`] and [`Draft::compile`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        Draft::parse(bytes)?.compile()
    }

    /// Refuses a policy whose ids hold characters that nobody sees: a rule of form.
    ///
    /// # Errors
    /// `INVALID_POLICY` with the JSON path of the first.
    pub fn check_form(&self) -> Result<(), Refusal> {
        self.form
            .as_ref()
            .map_or(Ok(()), |fault| Err(malformed(fault)))
    }

    /// The policy's hash: the same for every layout and order of rules, another for any other change.
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        self.hash
    }

    /// The policy's own name.
    #[must_use]
    pub fn policy_id(&self) -> &str {
        &self.document.policy_id
    }

    /// The policy's version.
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.document.policy_version
    }

    /// Who issues under this policy.
    #[must_use]
    pub fn supervisor_id(&self) -> &str {
        &self.document.supervisor_id
    }

    /// How conflicts are decided.
    #[must_use]
    pub fn conflict_resolution(&self) -> ConflictResolution {
        self.document.conflict_resolution
    }

    /// The repositories that an execution request may name.
    #[must_use]
    pub fn admitted_repositories(&self) -> &[String] {
        &self.document.admitted_repositories
    }

    /// What a review type asks for.
    #[must_use]
    pub fn review_type(&self, name: &str) -> Option<&ReviewType> {
        self.document.review_types.get(name)
    }

    /// The rules in the order in which they are written.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.document.rules
    }
}

/// The two hashes of section 3; takes the rules out of the tree to sort them.
fn hash(document: &Document, tree: &mut Value<'_>) -> Result<PolicyHash, Fault> {
    let mut hashed = Object::new();
    if let Value::Object(members) = tree {
        for key in [
            "rules",
            "review_types",
            "admitted_repositories",
            "severity_to_gating",
            "default_effect",
            "supervisor_id",
        ] {
            let missing = || Fault::new(format!("$.{key}"), "missing field");
            let mut member = members.remove(key).ok_or_else(missing)?;
            if let ("rules", Value::Array(rules)) = (key, &mut member) {
                rules.sort_by(|left, right| rule_id(left).cmp(rule_id(right)));
            }
            hashed.insert(key, member);
        }
    }
    let rules_hash = domain_hash(Domain::PolicyRules, &hashed);
    let switches = canonical::to_value(&document.conflict_resolution)?;
    let switch = |key: &str| {
        let missing = || Fault::new(format!("$.conflict_resolution.{key}"), "missing field");
        switches.at(key).cloned().ok_or_else(missing)
    };
    let policy = Object::of([
        ("policy_id", Value::from(document.policy_id.as_str())),
        (
            "policy_version",
            Value::from(document.policy_version.as_str()),
        ),
        ("conflict_resolution_mode", switch("mode")?),
        ("tie_breaker", switch("tie_breaker")?),
        ("stable_order_mode", switch("stable_order_mode")?),
        ("rules_hash", Value::from(hex::encode(rules_hash))),
    ]);
    Ok(PolicyHash::new(domain_hash(Domain::Policy, &policy)))
}

fn malformed(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidPolicy,
        format!("the governed policy is malformed at {fault}"),
    )
}

fn rule_id<'v>(rule: &'v Value<'_>) -> &'v str {
    rule.at("id").and_then(Value::as_str).unwrap_or_default()
}

impl Document {
    fn check(&self) -> Result<(), Fault> {
        let PolicySchema::V1 = self.schema;
        let Authority::Supervisor = self.interpretation_authority;
        let DefaultEffect::Block = self.default_effect;
        debug_assert_eq!(self.severity_to_gating, SeverityToGating::FIXED);
        for (field, text) in [
            ("policy_id", &self.policy_id),
            ("policy_version", &self.policy_version),
            ("supervisor_id", &self.supervisor_id),
        ] {
            check_id(text).map_err(|fault| fault.within_member(field))?;
        }
        let lists = [
            ("rules", self.rules.len()),
            ("review_types", self.review_types.len()),
            ("admitted_repositories", self.admitted_repositories.len()),
        ];
        for (field, length) in lists {
            if length > MAX_ENTRIES {
                return Err(Fault::new(
                    format!("$.{field}"),
                    format!("{length} entries, at most {MAX_ENTRIES} are read"),
                ));
            }
        }
        for (index, name) in self.admitted_repositories.iter().enumerate() {
            check_id(name)
                .map_err(|f| f.within_item(index).within_member("admitted_repositories"))?;
        }
        for name in self.review_types.keys() {
            check_id(name)
                .map_err(|fault| fault.within_member(name).within_member("review_types"))?;
        }
        self.check_rules()
    }

    /// Refuses what nobody sees in the names that people read and decide by.
    fn check_form(&self) -> Result<(), Fault> {
        let own = [
            ("$.policy_id", &self.policy_id),
            ("$.policy_version", &self.policy_version),
            ("$.supervisor_id", &self.supervisor_id),
        ];
        let names = self
            .review_types
            .keys()
            .map(|name| ("$.review_types", name));
        let repositories = self
            .admitted_repositories
            .iter()
            .map(|name| ("$.admitted_repositories", name));
        for (path, text) in own.into_iter().chain(names).chain(repositories) {
            if let Some(what) = unseen_fault(text) {
                return Err(Fault::new(path, what));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check_form()
                .map_err(|fault| fault.within_item(index).within_member("rules"))?;
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<(), Fault> {
        let by_order = self.conflict_resolution.stable_order_mode == StableOrder::OrderIndex;
        let mut ids = BTreeSet::new();
        let mut orders = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let place = |fault: Fault| fault.within_item(index).within_member("rules");
            rule.check().map_err(place)?;
            if let Some(name) = &rule.review_type
                && !self.review_types.contains_key(name)
            {
                return Err(place(Fault::new(
                    "$.review_type",
                    "is not one of the policy's review types",
                )));
            }
            if !ids.insert(rule.id.as_str()) {
                return Err(place(Fault::new("$.id", "another rule has this id")));
            }
            if by_order && !orders.insert(rule.order_index) {
                return Err(place(Fault::new(
                    "$.order_index",
                    "another rule has this order index, which decides the stable order",
                )));
            }
        }
        Ok(())
    }
}

fn check_id(text: &str) -> Result<(), Fault> {
    text_fault(text).map_or(Ok(()), |what| Err(Fault::new("$", what)))
}

impl<'de> Deserialize<'de> for ReviewType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Either {
            #[serde(default, deserialize_with = "canonical::present")]
            min_cross_signers: Option<u32>,
            #[serde(default, deserialize_with = "canonical::present")]
            reviewer_roles: Option<Vec<Role>>,
            #[serde(default, deserialize_with = "canonical::present")]
            require_user_presence: Option<bool>,
            #[serde(default, deserialize_with = "canonical::present")]
            attestations: Option<AttestationTerms>,
        }
        let either = Either::deserialize(deserializer)?;
        match either {
            Either {
                min_cross_signers: Some(min_cross_signers),
                reviewer_roles: Some(reviewer_roles),
                require_user_presence: Some(require_user_presence),
                attestations: None,
            } => Ok(ReviewType::Signers(SignerTerms {
                min_cross_signers,
                reviewer_roles,
                require_user_presence,
            })),
            Either {
                min_cross_signers,
                reviewer_roles,
                require_user_presence,
                attestations: Some(attestations),
            } => Ok(ReviewType::Attestations(AttestedTerms {
                attestations,
                signers: BesideTerms {
                    min_cross_signers,
                    reviewer_roles,
                    require_user_presence,
                },
            })),
            _ => Err(serde::de::Error::custom(
                "expected `min_cross_signers`, `reviewer_roles` and `require_user_presence`, or `attestations`",
            )),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
