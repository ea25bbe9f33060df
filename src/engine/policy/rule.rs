//! One rule: what it matches, and what it grants (core.md section 3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::request::{Kind, Request};
use super::egress::{NormalUrl, UrlMatch};
use super::exec::ExecTerms;
use super::matcher::Matcher;
use super::path::path_fault;
use super::secret::{SecretMatch, SecretTarget};

/// What a rule says of a request that it matches; ordered from the least to the most restrictive.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Go on.
    Allow,
    /// Go on, and say so.
    Warn,
    /// Wait for humans.
    Review,
    /// Never.
    Block,
}

impl Effect {
    /// The word that stands in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Warn => "warn",
            Effect::Review => "review",
            Effect::Block => "block",
        }
    }

    /// Whether it lets a request through without anybody's word.
    #[must_use]
    pub const fn permits(self) -> bool {
        matches!(self, Effect::Allow | Effect::Warn)
    }
}

/// A rule of the policy.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub id: String,
    /// What it says.
    pub effect: Effect,
    /// Its rank under `explicit_priority`.
    pub priority: u32,
    /// Its place in the stable order `order_index`.
    pub order_index: u32,
    /// Why the rule is there, and what to do instead where it says no: 1 to 500 characters.
    #[schemars(default)]
    pub description: Option<String>,
    #[schemars(rename = "match")]
    pub(super) matches: Match,
    /// How long a permit lasts; on all but a `block`.
    #[schemars(default)]
    pub grant: Option<GrantTerms>,
    /// Which review it asks for; only on a `review`.
    #[schemars(default)]
    pub review_type: Option<String>,
    /// What a permit of the rule may run; only on an `allow` or `warn` of kind `tool`.
    #[schemars(default)]
    pub exec: Option<ExecTerms>,
}

/// What a rule compares with a request.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Match {
    pub(super) actor: Matcher,
    pub(super) capability: CapabilityMatch,
    pub(super) operation: Matcher,
    #[schemars(default)]
    pub(super) target: Option<Matcher>,
    #[schemars(default)]
    pub(super) url: Option<UrlMatch>,
    #[schemars(default)]
    pub(super) secret: Option<SecretMatch>,
}

/// Which capability a rule is about.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CapabilityMatch {
    pub(super) kind: Kind,
    pub(super) selector: Matcher,
}

/// How long a permit of a rule lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "GrantDocument")]
pub enum GrantTerms {
    /// Used once, while the tip is at most `sequence_span` events past the issuance.
    OneShot {
        /// Events after the issuance.
        sequence_span: u64,
    },
    /// Used as often as wanted, while the tip is at most `sequence_span` events past the issuance.
    Bounded {
        /// Events after the issuance.
        sequence_span: u64,
    },
    /// Used as often as wanted, while the governed commit is the one of the issuance.
    Commit,
}

/// The grant as it is written.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct GrantDocument {
    pub(super) mode: GrantMode,
    #[schemars(default)]
    pub(super) sequence_span: Option<u64>,
    #[schemars(default)]
    pub(super) commit: Option<bool>,
}

/// Whether a permit is used once or as often as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantMode {
    /// Once.
    OneShot,
    /// As often as wanted within its bound.
    Bounded,
}

/// A request as rules look at it: its target is read once, by the kind of its capability.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(super) request: &'a Request,
    pub(super) target: Target<'a>,
}

/// A target as it was read.
#[derive(Debug)]
pub(super) enum Target<'a> {
    Plain,
    Url(NormalUrl),
    Secret(SecretTarget<'a>),
    /// A path that names another place than it seems to; only an `exact` rule that allows matches it.
    Path(&'static str),
    /// Not in the normal form of its kind: no rule that allows matches it, every rule that denies does.
    Abnormal,
}

impl<'a> Subject<'a> {
    /// Reads the target of a request.
    #[must_use]
    pub fn new(request: &'a Request) -> Self {
        let target = match request.capability.kind {
            // The targets of the shell are words, not paths.
            Kind::Tool if request.capability.selector.starts_with("shell.") => Target::Plain,
            Kind::Tool => path_fault(&request.target).map_or(Target::Plain, Target::Path),
            Kind::NetEgress => {
                NormalUrl::parse(&request.target).map_or(Target::Abnormal, Target::Url)
            }
            Kind::SecretUse => {
                SecretTarget::parse(&request.target).map_or(Target::Abnormal, Target::Secret)
            }
        };
        Self { request, target }
    }

    /// What makes the target a path fault; nothing where it is none (policy.md section 1).
    #[must_use]
    pub const fn path_fault(&self) -> Option<&'static str> {
        match self.target {
            Target::Path(what) => Some(what),
            Target::Plain | Target::Url(_) | Target::Secret(_) | Target::Abnormal => None,
        }
    }
}

/// The first part of a rule that a request does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// Another actor.
    Actor,
    /// Another kind of capability.
    Kind,
    /// Another selector.
    Selector,
    /// Another operation.
    Operation,
    /// Another target.
    Target,
    /// Another URL, or another method.
    Url,
    /// Another secret, or another way to hand it over.
    Secret,
    /// The target is not in its normal form, which no rule that allows can match.
    TargetNotNormal,
    /// The target is a path that names another place than it seems to: only an `exact` rule that allows matches it.
    PathFault,
}

impl Rule {
    /// Finds the first part that does not match; nothing where the rule matches.
    ///
    /// # Errors
    /// What the regex compiler said; never for a policy that was checked.
    pub fn mismatch(&self, subject: &Subject<'_>) -> Result<Option<Mismatch>, String> {
        let request = subject.request;
        let own = &self.matches;
        if own.capability.kind != request.capability.kind {
            return Ok(Some(Mismatch::Kind));
        }
        if !own
            .capability
            .selector
            .matches(&request.capability.selector)?
        {
            return Ok(Some(Mismatch::Selector));
        }
        if !own.actor.matches(&request.actor_id)? {
            return Ok(Some(Mismatch::Actor));
        }
        if let Target::Abnormal = subject.target {
            return Ok(self.effect.permits().then_some(Mismatch::TargetNotNormal));
        }
        if !own.operation.matches(&request.operation)? {
            return Ok(Some(Mismatch::Operation));
        }
        if let Target::Path(_) = subject.target {
            let meant = match &own.target {
                Some(Matcher::Exact(target)) => *target == request.target,
                _ => false,
            };
            let faulty = self.effect.permits() && !meant;
            return Ok(faulty.then_some(Mismatch::PathFault));
        }
        let way = request.operation.as_str();
        Ok(match (own, &subject.target) {
            (Match { url: Some(url), .. }, Target::Url(target)) => {
                (!url.matches(target, way)).then_some(Mismatch::Url)
            }
            (
                Match {
                    secret: Some(secret),
                    ..
                },
                Target::Secret(target),
            ) => (!secret.matches(target, way)?).then_some(Mismatch::Secret),
            (
                Match {
                    target: Some(target),
                    ..
                },
                _,
            ) => (!target.matches(&request.target)?).then_some(Mismatch::Target),
            _ => Some(Mismatch::Target),
        })
    }

    /// How specific the rule is: its `exact` matchers, then the summed bytes of its prefixes, host and path prefix.
    #[must_use]
    pub fn specificity(&self) -> (usize, usize) {
        let own = &self.matches;
        let last = own
            .target
            .as_ref()
            .or(own.secret.as_ref().map(|secret| &secret.key));
        let url = own.url.as_ref().map_or(0, UrlMatch::specific_bytes);
        [
            Some(&own.actor),
            Some(&own.capability.selector),
            Some(&own.operation),
            last,
        ]
        .into_iter()
        .flatten()
        .map(Matcher::specificity)
        .fold((0, url), |(exacts, bytes), (exact, prefix)| {
            (exacts.saturating_add(exact), bytes.saturating_add(prefix))
        })
    }
}
