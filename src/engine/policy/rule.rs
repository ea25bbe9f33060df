//! One rule: what it matches, and what it grants (core.md section 3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault, MAX_INTEGER};
use super::super::request::{Kind, Request};
use super::super::text::{text_fault, unseen_fault};
use super::egress::{NormalUrl, UrlMatch};
use super::matcher::Matcher;
use super::path::path_fault;
use super::pattern::Pattern;
use super::secret::{SecretMatch, SecretTarget};

/// The largest `priority` and `order_index`: 2^31 − 1.
const MAX_ORDER: u32 = 0x7FFF_FFFF;

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

    const fn permits(self) -> bool {
        matches!(self, Effect::Allow | Effect::Warn)
    }
}

/// A rule of the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub id: String,
    /// What it says.
    pub effect: Effect,
    /// Its rank under `explicit_priority`.
    pub priority: u32,
    /// Its place in the stable order `order_index`.
    pub order_index: u32,
    #[serde(rename = "match")]
    matches: Match,
    /// How long a permit lasts; on all but a `block`.
    #[serde(default, deserialize_with = "canonical::present")]
    pub grant: Option<GrantTerms>,
    /// Which review it asks for; only on a `review`.
    #[serde(default, deserialize_with = "canonical::present")]
    pub review_type: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Match {
    actor: Matcher,
    capability: CapabilityMatch,
    operation: Matcher,
    #[serde(default, deserialize_with = "canonical::present")]
    target: Option<Matcher>,
    #[serde(default, deserialize_with = "canonical::present")]
    url: Option<UrlMatch>,
    #[serde(default, deserialize_with = "canonical::present")]
    secret: Option<SecretMatch>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CapabilityMatch {
    kind: Kind,
    selector: Matcher,
}

/// How long a permit of a rule lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "GrantDocument")]
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrantDocument {
    mode: GrantMode,
    #[serde(default, deserialize_with = "canonical::present")]
    sequence_span: Option<u64>,
    #[serde(default, deserialize_with = "canonical::present")]
    commit: Option<bool>,
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

impl TryFrom<GrantDocument> for GrantTerms {
    type Error = &'static str;

    fn try_from(written: GrantDocument) -> Result<Self, Self::Error> {
        let in_range = |span: u64| i64::try_from(span).is_ok_and(|span| span <= MAX_INTEGER);
        match (written.mode, written.sequence_span, written.commit) {
            (GrantMode::OneShot, Some(sequence_span), None) if in_range(sequence_span) => {
                Ok(GrantTerms::OneShot { sequence_span })
            }
            (GrantMode::Bounded, Some(sequence_span @ 1..), None) if in_range(sequence_span) => {
                Ok(GrantTerms::Bounded { sequence_span })
            }
            (GrantMode::Bounded, None, Some(true)) => Ok(GrantTerms::Commit),
            _ => Err(
                "expected `one_shot` with a `sequence_span` from 0, `bounded` with one from 1, or `bounded` with `commit: true`",
            ),
        }
    }
}

/// A request as rules look at it: its target is read once, by the kind of its capability.
#[derive(Debug)]
pub struct Subject<'a> {
    request: &'a Request,
    target: Target<'a>,
}

#[derive(Debug)]
enum Target<'a> {
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

    /// Refuses an id, an actor, a selector or an operation with characters that nobody sees.
    pub(super) fn check_form(&self) -> Result<(), Fault> {
        let own = &self.matches;
        for (path, fault) in [
            ("$.id", unseen_fault(&self.id)),
            ("$.match.actor", own.actor.unseen_fault()),
            (
                "$.match.capability.selector",
                own.capability.selector.unseen_fault(),
            ),
            ("$.match.operation", own.operation.unseen_fault()),
        ] {
            if let Some(what) = fault {
                return Err(Fault::new(path, what));
            }
        }
        match &own.url {
            Some(url) => url
                .check_form()
                .map_err(|fault| fault.within_member("url").within_member("match")),
            None => Ok(()),
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if let Some(what) = text_fault(&self.id) {
            return Err(Fault::new("$.id", what));
        }
        if self.id == "default" {
            return Err(Fault::new("$.id", "`default` names the default effect"));
        }
        for (field, number) in [
            ("priority", self.priority),
            ("order_index", self.order_index),
        ] {
            if number > MAX_ORDER {
                return Err(Fault::new(format!("$.{field}"), "is beyond 2^31−1"));
            }
        }
        match (self.effect, &self.grant, &self.review_type) {
            (Effect::Block, None, None)
            | (Effect::Allow | Effect::Warn, Some(_), None)
            | (Effect::Review, Some(_), Some(_)) => {}
            (Effect::Block, Some(_), _) => {
                return Err(Fault::new("$.grant", "a `block` grants nothing"));
            }
            (Effect::Allow | Effect::Warn | Effect::Review, None, _) => {
                return Err(Fault::new("$.grant", "missing field"));
            }
            (Effect::Review, Some(_), None) => {
                return Err(Fault::new("$.review_type", "missing field"));
            }
            (Effect::Allow | Effect::Warn | Effect::Block, _, Some(_)) => {
                return Err(Fault::new("$.review_type", "stands only on a `review`"));
            }
        }
        self.matches
            .check(self.effect.permits())
            .map_err(|fault| fault.within_member("match"))
    }
}

impl Rule {
    /// The patterns of this rule, each with its path below the rule.
    pub(super) fn patterns(&mut self) -> Vec<(&'static str, &mut Pattern)> {
        let own = &mut self.matches;
        let key = own.secret.as_mut().map(|secret| &mut secret.key);
        [
            ("match.actor", Some(&mut own.actor)),
            (
                "match.capability.selector",
                Some(&mut own.capability.selector),
            ),
            ("match.operation", Some(&mut own.operation)),
            ("match.target", own.target.as_mut()),
            ("match.secret.key", key),
        ]
        .into_iter()
        .filter_map(|(place, matcher)| Some((place, matcher?.pattern()?)))
        .collect()
    }
}

impl Match {
    fn check(&self, permits: bool) -> Result<(), Fault> {
        for (field, matcher) in [("actor", &self.actor), ("operation", &self.operation)] {
            matcher
                .check()
                .map_err(|fault| fault.within_member(field))?;
        }
        self.capability
            .selector
            .check()
            .map_err(|fault| fault.within_member("selector").within_member("capability"))?;
        match (self.capability.kind, &self.target, &self.url, &self.secret) {
            (Kind::NetEgress, None, Some(url), None) => {
                url.check().map_err(|fault| fault.within_member("url"))
            }
            (Kind::SecretUse, None, None, Some(secret)) => secret
                .check(permits)
                .map_err(|fault| fault.within_member("secret")),
            (Kind::Tool, Some(target), None, None) => target
                .check()
                .map_err(|fault| fault.within_member("target")),
            (Kind::NetEgress | Kind::SecretUse, Some(target), None, None) if !permits => target
                .check()
                .map_err(|fault| fault.within_member("target")),
            (Kind::Tool, ..) => Err(Fault::new(
                "$",
                "a `tool` rule has `target`, and no `url` or `secret`",
            )),
            (Kind::NetEgress, ..) => Err(Fault::new(
                "$",
                "a `net_egress` rule has `url`; only a `review` or `block` rule may have `target` instead",
            )),
            (Kind::SecretUse, ..) => Err(Fault::new(
                "$",
                "a `secret_use` rule has `secret`; only a `review` or `block` rule may have `target` instead",
            )),
        }
    }
}
