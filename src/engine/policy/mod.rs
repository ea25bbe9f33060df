//! The governed policy: bytes to a [`Policy`] whose every rule is sound, and its hashes (core.md section 3).
//!
//! Refuses whatever is not exactly the format: unknown or missing fields, a regex that is not anchored or too large,
//! a bare `*` host, a `review` without a known review type, a `block` with a grant, rules that share an id.

mod document;
mod egress;
mod exec;
mod faults;
mod glob;
mod matcher;
mod miss;
mod path;
mod pattern;
mod resolve;
mod rule;
mod rule_form;
mod secret;

use super::canonical::{self, Fault, Object, Step, Value};
use super::code::{Code, Refusal};
use super::digest::{Domain, PolicyHash, domain_hash};

pub(crate) use document::Document;
pub use document::{
    AttestationTerms, AttestedTerms, BesideTerms, ConflictMode, ConflictResolution, ReviewType,
    Role, SeverityToGating, SignerTerms, StableOrder, TieBreaker,
};
pub use exec::{Argument, ExecTerms, env_fault};
use faults::Reader;
pub use faults::{Anchor, DocumentFault};
pub use matcher::Matcher;
pub use miss::Miss;
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
        Self::read(bytes).map_err(|faults| refusal(&faults))
    }

    /// Reads a policy document, all but its regular expressions, and finds all that is wrong with it.
    ///
    /// # Errors
    /// Every fault, in the order in which they were found.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<DocumentFault>> {
        let mut tree = canonical::parse(bytes).map_err(|fault| vec![unreadable(&fault)])?;
        let mut reader = Reader::default();
        let document = Document::read(&mut reader, &tree);
        let (Some(document), []) = (document, reader.faults.as_slice()) else {
            return Err(reader.faults);
        };
        let form = document.check_form().err();
        let hash = hash(&document, &mut tree).map_err(|fault| vec![unreadable(&fault)])?;
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
    pub fn compile(self) -> Result<Policy, Refusal> {
        self.check().map_err(|faults| refusal(&faults))
    }

    /// Checks the regular expressions and finds all that is wrong with them.
    ///
    /// # Errors
    /// Every fault, up to the end of the budget.
    pub fn check(mut self) -> Result<Policy, Vec<DocumentFault>> {
        let mut patterns = Vec::new();
        for (index, rule) in self.document.rules.iter_mut().enumerate() {
            rule.patterns(index, &mut patterns);
        }
        let mut reader = Reader::default();
        pattern::check_all(patterns, &mut reader);
        if !reader.faults.is_empty() {
            return Err(reader.faults);
        }
        Ok(Policy {
            document: self.document,
            hash: self.hash,
            form: self.form,
        })
    }
}

impl Policy {
    /// Reads a policy document, and finds all that is wrong with it: its form, its patterns, the rules of form that
    /// bind new decisions.
    ///
    /// # Errors
    /// Every fault.
    pub fn sound(bytes: &[u8]) -> Result<Self, Vec<DocumentFault>> {
        let draft = Draft::read(bytes).map_err(|mut faults| {
            if let Ok(tree) = canonical::parse(bytes) {
                let rules = tree.at("rules").and_then(Value::as_array);
                for (index, rule) in rules.into_iter().flatten().enumerate() {
                    let path = [Step::Key("rules".to_owned()), Step::Item(index)];
                    let id = rule.at("id").and_then(Value::as_str);
                    pattern_faults(rule, id, &mut path.to_vec(), &mut faults);
                }
            }
            faults
        })?;
        let policy = draft.check()?;
        match &policy.form {
            None => Ok(policy),
            Some(fault) => Err(vec![formal(&policy, fault)]),
        }
    }
}

/// Finds the patterns that are wrong below a rule that cannot be read as a whole.
fn pattern_faults(
    value: &Value<'_>,
    rule: Option<&str>,
    path: &mut Vec<Step>,
    faults: &mut Vec<DocumentFault>,
) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter() {
                path.push(Step::Key(key.to_owned()));
                let told = |fault: &DocumentFault| fault.path == *path;
                if let Value::String(written) = member
                    && matches!(key, "regex" | "glob")
                    && !faults.iter().any(told)
                    && let Some((code, what)) = pattern::fault_of(key, written)
                {
                    faults.push(DocumentFault {
                        code,
                        rule: rule.map(ToOwned::to_owned),
                        path: path.clone(),
                        anchor: Anchor::Value,
                        what,
                    });
                }
                pattern_faults(member, rule, path, faults);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Item(index));
                pattern_faults(item, rule, path, faults);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => {}
    }
}

/// A fault of the rules of form, with the steps of its path.
fn formal(policy: &Policy, fault: &Fault) -> DocumentFault {
    let mut path = Vec::new();
    for part in fault.path.split('.').skip(1) {
        let (key, index) = part.split_once('[').unwrap_or((part, ""));
        path.push(Step::Key(key.to_owned()));
        if let Ok(index) = index.trim_end_matches(']').parse() {
            path.push(Step::Item(index));
        }
    }
    let rule = match path.as_slice() {
        [_, Step::Item(index), ..] => policy.rules().get(*index).map(|rule| rule.id.clone()),
        _ => None,
    };
    DocumentFault {
        code: Code::InvalidPolicy,
        rule,
        path,
        anchor: Anchor::Value,
        what: fault.what.clone(),
    }
}

/// Bytes that are no JSON as section 1 restricts it: the one fault that hides all others.
fn unreadable(fault: &Fault) -> DocumentFault {
    DocumentFault {
        code: Code::InvalidPolicy,
        rule: None,
        path: Vec::new(),
        anchor: Anchor::Value,
        what: format!("is malformed at {fault}"),
    }
}

/// The first fault, and how many there are.
fn refusal(faults: &[DocumentFault]) -> Refusal {
    let Some(first) = faults.first() else {
        return Refusal::new(Code::Internal, "a policy without faults was refused");
    };
    let message = match (first.code, first.path.as_slice()) {
        (Code::LimitExceeded, _) => format!("the regex at `{}` {}", first.json_path(), first.what),
        (_, []) => format!("the governed policy {}", first.what),
        _ => format!(
            "the governed policy is malformed at `{}`: {}",
            first.json_path(),
            first.what
        ),
    };
    let refusal = Refusal::new(first.code, message);
    if faults.len() > 1 {
        refusal.detail("faults", faults.len().to_string())
    } else {
        refusal
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

#[cfg(test)]
pub(crate) mod tests;
