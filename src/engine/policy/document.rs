//! The policy document: its parts, and how each is read so that every fault is found (core.md section 3).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{Fault, Value};
use super::super::text::{text_fault, unseen_fault};
use super::faults::{At, Reader};
use super::{MAX_ENTRIES, Rule};

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
pub(super) fn as_read(schema: &mut schemars::Schema) {
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
#[derive(Debug, JsonSchema)]
#[schemars(title = "permit.policy.v1", deny_unknown_fields)]
pub(crate) struct Document {
    #[expect(dead_code, reason = "reading it is what checks the word")]
    schema: PolicySchema,
    pub(super) policy_id: String,
    pub(super) policy_version: String,
    #[expect(dead_code, reason = "reading it is what checks the word")]
    interpretation_authority: Authority,
    pub(super) supervisor_id: String,
    #[expect(dead_code, reason = "reading it is what checks the word")]
    default_effect: DefaultEffect,
    pub(super) conflict_resolution: ConflictResolution,
    #[expect(dead_code, reason = "reading it is what checks the word")]
    severity_to_gating: SeverityToGating,
    pub(super) admitted_repositories: Vec<String>,
    pub(super) review_types: BTreeMap<String, ReviewType>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, JsonSchema)]
enum PolicySchema {
    #[schemars(rename = "permit.policy.v1")]
    V1,
}

/// The word is not hashed, so only one can be written.
#[derive(Debug, Clone, Copy, JsonSchema)]
enum Authority {
    #[schemars(rename = "supervisor")]
    Supervisor,
}

#[derive(Debug, Clone, Copy, JsonSchema)]
enum DefaultEffect {
    #[schemars(rename = "block")]
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

impl Role {
    const WORDS: [(&'static str, Self); 4] = [
        ("domain_admin", Role::DomainAdmin),
        ("company_admin", Role::CompanyAdmin),
        ("council", Role::Council),
        ("sovereign", Role::Sovereign),
    ];
}

impl ConflictResolution {
    fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        let object = reader.object(value, at, &["mode", "tie_breaker", "stable_order_mode"])?;
        let mode = reader.need(object, at, "mode", |reader, value, at| {
            let words = [
                ("deny_wins", ConflictMode::DenyWins),
                ("most_specific", ConflictMode::MostSpecific),
                ("explicit_priority", ConflictMode::ExplicitPriority),
            ];
            reader.word(value, at, &words)
        });
        let tie_breaker = reader.need(object, at, "tie_breaker", |reader, value, at| {
            let words = [
                ("stable_order", TieBreaker::StableOrder),
                ("fail_closed", TieBreaker::FailClosed),
            ];
            reader.word(value, at, &words)
        });
        let stable_order_mode =
            reader.need(object, at, "stable_order_mode", |reader, value, at| {
                let words = [
                    ("lexical_rule_id", StableOrder::LexicalRuleId),
                    ("order_index", StableOrder::OrderIndex),
                ];
                reader.word(value, at, &words)
            });
        Some(Self {
            mode: mode?,
            tie_breaker: tie_breaker?,
            stable_order_mode: stable_order_mode?,
        })
    }
}

impl SeverityToGating {
    fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        let words = [
            ("allow", "proceed"),
            ("warn", "proceed_emit_audit"),
            ("block", "deny_emit_audit"),
            ("review", "pause_pending_ledger"),
        ];
        let object = reader.object(value, at, &words.map(|(key, _)| key))?;
        let read = words.map(|(key, word)| {
            reader.need(object, at, key, |reader, value, at| {
                reader.word(value, at, &[(word, ())])
            })
        });
        read.into_iter().collect::<Option<Vec<()>>>()?;
        Some(Self::FIXED)
    }
}

impl ReviewType {
    fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        const FIELDS: [&str; 3] = [
            "min_cross_signers",
            "reviewer_roles",
            "require_user_presence",
        ];
        let [signers, roles, presence] = FIELDS;
        let object = reader.object(value, at, &[signers, roles, presence, "attestations"])?;
        let attested = object.get("attestations").is_some();
        let least = if attested { 1 } else { 2 };
        if !attested {
            for field in FIELDS {
                if object.get(field).is_none() {
                    reader.missing(&at.key(field));
                }
            }
        }
        let signers = reader.may(object, at, signers, |reader, value, at| {
            let number = reader.integer(value, at, (least, u32::MAX.into()))?;
            u32::try_from(number).ok()
        });
        let roles = reader.may(object, at, roles, |reader, value, at| {
            reader.list(value, at, |reader, item, at| {
                reader.word(item, at, &Role::WORDS)
            })
        });
        let presence = reader.may(object, at, presence, Reader::boolean);
        let attestations = reader.may(object, at, "attestations", |reader, value, at| {
            let object = reader.object(value, at, &["profile", "env"])?;
            let profile = reader.need(object, at, "profile", Reader::text);
            let env = reader.need(object, at, "env", Reader::text);
            Some(AttestationTerms {
                profile: profile?,
                env: env?,
            })
        });
        match attestations? {
            Some(attestations) => Some(ReviewType::Attestations(AttestedTerms {
                attestations,
                signers: BesideTerms {
                    min_cross_signers: signers?,
                    reviewer_roles: roles?,
                    require_user_presence: presence?,
                },
            })),
            None => Some(ReviewType::Signers(SignerTerms {
                min_cross_signers: signers??,
                reviewer_roles: roles??,
                require_user_presence: presence??,
            })),
        }
    }
}

impl Document {
    /// Reads a document; nothing where a part of it cannot be read.
    pub(super) fn read(reader: &mut Reader, tree: &Value<'_>) -> Option<Self> {
        let known = [
            "schema",
            "policy_id",
            "policy_version",
            "interpretation_authority",
            "supervisor_id",
            "default_effect",
            "conflict_resolution",
            "severity_to_gating",
            "admitted_repositories",
            "review_types",
            "rules",
        ];
        let at = &At::TOP;
        let object = reader.object(tree, at, &known)?;
        let schema = reader.need(object, at, "schema", |reader, value, at| {
            reader.word(value, at, &[("permit.policy.v1", PolicySchema::V1)])
        });
        let id = |reader: &mut Reader, value: &Value<'_>, at: &At<'_>| {
            reader.checked(value, at, text_fault)
        };
        let policy_id = reader.need(object, at, "policy_id", id);
        let policy_version = reader.need(object, at, "policy_version", id);
        let authority = reader.need(
            object,
            at,
            "interpretation_authority",
            |reader, value, at| reader.word(value, at, &[("supervisor", Authority::Supervisor)]),
        );
        let supervisor_id = reader.need(object, at, "supervisor_id", id);
        let default_effect = reader.need(object, at, "default_effect", |reader, value, at| {
            reader.word(value, at, &[("block", DefaultEffect::Block)])
        });
        let conflict = reader.need(object, at, "conflict_resolution", ConflictResolution::read);
        let gating = reader.need(object, at, "severity_to_gating", SeverityToGating::read);
        let repositories = reader.need(object, at, "admitted_repositories", |reader, value, at| {
            bounded(reader, at, value.as_array().map(<[_]>::len));
            reader.list(value, at, id)
        });
        let types = reader.need(object, at, "review_types", review_types);
        let names = object
            .get("review_types")
            .and_then(Value::as_object)
            .map(|types| types.iter().map(|(name, _)| name).collect());
        let rules = reader.need(object, at, "rules", |reader, value, at| {
            bounded(reader, at, value.as_array().map(<[_]>::len));
            rules(reader, value, at, conflict.as_ref(), names.as_ref())
        });
        Some(Self {
            schema: schema?,
            policy_id: policy_id?,
            policy_version: policy_version?,
            interpretation_authority: authority?,
            supervisor_id: supervisor_id?,
            default_effect: default_effect?,
            conflict_resolution: conflict?,
            severity_to_gating: gating?,
            admitted_repositories: repositories?,
            review_types: types?,
            rules: rules?,
        })
    }

    /// Refuses what nobody sees in the names that people read and decide by.
    pub(super) fn check_form(&self) -> Result<(), Fault> {
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
}

fn bounded(reader: &mut Reader, at: &At<'_>, entries: Option<usize>) {
    if let Some(entries) = entries
        && entries > MAX_ENTRIES
    {
        let what = format!("holds {entries} entries, at most {MAX_ENTRIES} are read");
        reader.wrong(at, what);
    }
}

fn review_types(
    reader: &mut Reader,
    value: &Value<'_>,
    at: &At<'_>,
) -> Option<BTreeMap<String, ReviewType>> {
    let object = reader.map(value, at)?;
    bounded(reader, at, Some(object.len()));
    let read: Vec<_> = object
        .iter()
        .map(|(name, value)| {
            let own = at.key(name);
            if let Some(what) = text_fault(name) {
                reader.surplus(&own, what);
            }
            let read = ReviewType::read(reader, value, &own)?;
            Some((name.to_owned(), read))
        })
        .collect();
    read.into_iter().collect()
}

/// Reads the rules, and what they must not share.
fn rules(
    reader: &mut Reader,
    value: &Value<'_>,
    at: &At<'_>,
    conflict: Option<&ConflictResolution>,
    types: Option<&BTreeSet<&str>>,
) -> Option<Vec<Rule>> {
    let by_order = conflict.is_some_and(|own| own.stable_order_mode == StableOrder::OrderIndex);
    let (mut ids, mut orders) = (BTreeSet::new(), BTreeSet::new());
    reader.list(value, at, |reader, value, at| {
        let id = value.at("id").and_then(Value::as_str);
        reader.rule = id
            .filter(|id| text_fault(id).is_none())
            .map(ToOwned::to_owned);
        let rule = Rule::read(reader, value, at);
        if let Some(name) = value.at("review_type").and_then(Value::as_str)
            && types.is_some_and(|types| !types.contains(name))
        {
            let names: Vec<&str> = types.into_iter().flatten().copied().collect();
            let meant = super::faults::meant(name, &names);
            reader.wrong(
                &at.key("review_type"),
                format!("is not one of the policy's review types{meant}"),
            );
        }
        if let Some(id) = id
            && !ids.insert(id.to_owned())
        {
            reader.wrong(&at.key("id"), "is the id of another rule too");
        }
        if let Some(order) = value.at("order_index").and_then(Value::as_int)
            && by_order
            && !orders.insert(order)
        {
            let what = "is the order index of another rule too, and it decides the stable order";
            reader.wrong(&at.key("order_index"), what);
        }
        reader.rule = None;
        rule
    })
}
