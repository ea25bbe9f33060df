//! Reading a rule: which forms it can have, each fault with its place (core.md section 3, policy.md section 2).

use super::super::canonical::{Fault, MAX_INTEGER, Object, Value};
use super::super::request::Kind;
use super::super::text::{text_fault, unseen_fault};
use super::egress::UrlMatch;
use super::exec::ExecTerms;
use super::faults::{At, Reader};
use super::matcher::{About, Matcher};
use super::pattern::{Pattern, Placed};
use super::rule::{CapabilityMatch, Effect, GrantDocument, GrantMode, GrantTerms, Match, Rule};
use super::secret::SecretMatch;

/// The largest `priority` and `order_index`: 2^31 − 1.
const MAX_ORDER: i64 = 0x7FFF_FFFF;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

const EFFECTS: [(&str, Effect); 4] = [
    ("allow", Effect::Allow),
    ("warn", Effect::Warn),
    ("review", Effect::Review),
    ("block", Effect::Block),
];
const KINDS: [(&str, Kind); 3] = [
    ("tool", Kind::Tool),
    ("net_egress", Kind::NetEgress),
    ("secret_use", Kind::SecretUse),
];

impl Rule {
    pub(super) fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        let known = [
            "id",
            "effect",
            "priority",
            "order_index",
            "description",
            "match",
            "grant",
            "review_type",
            "exec",
        ];
        let object = reader.object(value, at, &known)?;
        let id = reader.need(object, at, "id", |reader, value, at| {
            reader.checked(value, at, |id| {
                text_fault(id).or((id == "default").then_some("`default` names the default effect"))
            })
        });
        let effect = reader.need(object, at, "effect", |reader, value, at| {
            reader.word(value, at, &EFFECTS)
        });
        let order = |reader: &mut Reader, value: &Value<'_>, at: &At<'_>| {
            let number = reader.integer(value, at, (0, MAX_ORDER))?;
            u32::try_from(number).ok()
        };
        let priority = reader.need(object, at, "priority", order);
        let order_index = reader.need(object, at, "order_index", order);
        let description = reader.may(object, at, "description", |reader, value, at| {
            reader.checked(value, at, description_fault)
        });
        // Where the effect cannot be read, nothing is said that holds for some effects only.
        let permits = effect.is_some_and(Effect::permits);
        let matches = reader.need(object, at, "match", |reader, value, at| {
            Match::read(reader, value, at, effect)
        });
        let grant = reader.may(object, at, "grant", GrantTerms::read);
        let review_type = reader.may(object, at, "review_type", Reader::text);
        let exec = reader.may(object, at, "exec", ExecTerms::read);
        if let Some(effect) = effect {
            fitting(reader, object, at, effect);
        }
        if object.get("exec").is_some() {
            let tool = matches
                .as_ref()
                .is_none_or(|own| own.capability.kind == Kind::Tool);
            if (effect.is_some() && !permits) || !tool {
                let what = "stands only on an `allow` or `warn` rule of kind `tool`";
                reader.surplus(&at.key("exec"), what);
            }
        }
        Some(Self {
            id: id?,
            effect: effect?,
            priority: priority?,
            order_index: order_index?,
            description: description?,
            matches: matches?,
            grant: grant?,
            review_type: review_type?,
            exec: exec?,
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

    /// Adds the patterns of the rule of this index, each with its place.
    pub(super) fn patterns<'p>(&'p mut self, index: usize, found: &mut Vec<Placed<'p>>) {
        let own = &mut self.matches;
        let key = own.secret.as_mut().map(|secret| &mut secret.key);
        let parts: [(&[&'static str], Option<&mut Matcher>); 5] = [
            (&["match", "actor"], Some(&mut own.actor)),
            (
                &["match", "capability", "selector"],
                Some(&mut own.capability.selector),
            ),
            (&["match", "operation"], Some(&mut own.operation)),
            (&["match", "target"], own.target.as_mut()),
            (&["match", "secret", "key"], key),
        ];
        let rule = self.id.as_str();
        let mut place = |below: Vec<Result<&'static str, usize>>, pattern: &'p mut Pattern| {
            found.push(Placed {
                rule,
                index,
                below,
                pattern,
            });
        };
        for (path, matcher) in parts {
            if let Some((last, pattern)) = matcher.and_then(Matcher::pattern) {
                place(
                    path.iter().copied().chain([last]).map(Ok).collect(),
                    pattern,
                );
            }
        }
        for (path, pattern) in self
            .exec
            .as_mut()
            .map(ExecTerms::patterns)
            .into_iter()
            .flatten()
        {
            place([Ok("exec")].into_iter().chain(path).collect(), pattern);
        }
    }
}

fn description_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.chars().count() > MAX_DESCRIPTION {
        Some("is longer than 500 characters")
    } else if text.chars().any(char::is_control) {
        Some("holds a control character")
    } else {
        None
    }
}

/// Tells of a grant or a review type that the effect does not have, or has to have.
fn fitting(reader: &mut Reader, object: &Object<'_>, at: &At<'_>, effect: Effect) {
    let (grant, review) = (at.key("grant"), at.key("review_type"));
    match (effect, object.get("grant")) {
        (Effect::Block, Some(_)) => {
            reader.surplus(&grant, "stands on a `block`, which grants nothing");
        }
        (Effect::Allow | Effect::Warn | Effect::Review, None) => reader.missing(&grant),
        (Effect::Block, None) | (Effect::Allow | Effect::Warn | Effect::Review, Some(_)) => {}
    }
    match (effect, object.get("review_type")) {
        (Effect::Review, None) => reader.missing(&review),
        (Effect::Allow | Effect::Warn | Effect::Block, Some(_)) => {
            reader.surplus(&review, "stands only on a `review`");
        }
        (Effect::Review, Some(_)) | (Effect::Allow | Effect::Warn | Effect::Block, None) => {}
    }
}

impl GrantTerms {
    fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        let object = reader.object(value, at, &["mode", "sequence_span", "commit"])?;
        let mode = reader.need(object, at, "mode", |reader, value, at| {
            let words = [
                ("one_shot", GrantMode::OneShot),
                ("bounded", GrantMode::Bounded),
            ];
            reader.word(value, at, &words)
        });
        let least = i64::from(mode == Some(GrantMode::Bounded));
        let span = reader.may(object, at, "sequence_span", |reader, value, at| {
            reader.integer(value, at, (least, MAX_INTEGER))
        });
        let commit = reader.may(object, at, "commit", Reader::boolean);
        let written = GrantDocument {
            mode: mode?,
            sequence_span: span?,
            commit: commit?,
        };
        match (written.mode, written.sequence_span, written.commit) {
            (GrantMode::OneShot, Some(sequence_span), None) => {
                return Some(GrantTerms::OneShot { sequence_span });
            }
            (GrantMode::Bounded, Some(sequence_span), None) => {
                return Some(GrantTerms::Bounded { sequence_span });
            }
            (GrantMode::Bounded, None, Some(true)) => return Some(GrantTerms::Commit),
            (GrantMode::OneShot, _, Some(_)) => {
                reader.surplus(&at.key("commit"), "stands only in a `bounded` grant");
            }
            (GrantMode::OneShot, None, None) => reader.missing(&at.key("sequence_span")),
            (GrantMode::Bounded, Some(_), Some(_)) => {
                reader.surplus(&at.key("commit"), "stands only without `sequence_span`");
            }
            (GrantMode::Bounded, None, Some(false)) => {
                reader.wrong(&at.key("commit"), "is `false`, only `true` can stand here");
            }
            (GrantMode::Bounded, None, None) => reader.wrong(
                at,
                "must have `sequence_span`, or `commit` where it lasts as long as the governed commit",
            ),
        }
        None
    }
}

impl Match {
    fn read(
        reader: &mut Reader,
        value: &Value<'_>,
        at: &At<'_>,
        effect: Option<Effect>,
    ) -> Option<Self> {
        let permits = effect.is_some_and(Effect::permits);
        let known = [
            "actor",
            "capability",
            "operation",
            "target",
            "url",
            "secret",
        ];
        let object = reader.object(value, at, &known)?;
        let name = |reader: &mut Reader, value: &Value<'_>, at: &At<'_>| {
            Matcher::read(reader, value, at, About::Name)
        };
        let actor = reader.need(object, at, "actor", name);
        let capability = reader.need(object, at, "capability", |reader, value, at| {
            let object = reader.object(value, at, &["kind", "selector"])?;
            let kind = reader.need(object, at, "kind", |reader, value, at| {
                reader.word(value, at, &KINDS)
            });
            let selector = reader.need(object, at, "selector", name);
            Some(CapabilityMatch {
                kind: kind?,
                selector: selector?,
            })
        });
        let operation = reader.need(object, at, "operation", name);
        let target = reader.may(object, at, "target", |reader, value, at| {
            Matcher::read(reader, value, at, About::Target)
        });
        let url = reader.may(object, at, "url", |reader, value, at| {
            UrlMatch::read(reader, value, at, permits)
        });
        let secret = reader.may(object, at, "secret", |reader, value, at| {
            SecretMatch::read(reader, value, at, permits)
        });
        let kind = object
            .get("capability")
            .and_then(|capability| capability.at("kind"))
            .and_then(Value::as_str)
            .and_then(|word| KINDS.into_iter().find(|(own, _)| *own == word));
        if let (Some((_, kind)), Some(effect)) = (kind, effect) {
            what_is_asked(reader, object, at, kind, effect);
        }
        let own = Self {
            actor: actor?,
            capability: capability?,
            operation: operation?,
            target: target?,
            url: url?,
            secret: secret?,
        };
        if permits {
            own.tell_excluded(reader, at);
        }
        Some(own)
    }

    /// Tells of an operation that excludes each of the methods or ways, so that the rule could match nothing.
    fn tell_excluded(&self, reader: &mut Reader, at: &At<'_>) {
        // A pattern is compiled within the budget only; whether one excludes them all is a question of the lint.
        let matches = |way: &str| match &self.operation {
            Matcher::Regex(_) | Matcher::Glob(_) => true,
            plain @ (Matcher::Exact(_)
            | Matcher::OneOf(_)
            | Matcher::Prefix(_)
            | Matcher::Any(_)) => plain.matches(way).unwrap_or(true),
        };
        let what = match (&self.url, &self.secret) {
            (Some(url), _) if !url.methods.iter().any(|method| matches(method)) => "methods",
            (_, Some(secret)) if !secret.ways().any(matches) => "injection",
            _ => return,
        };
        let what = format!("excludes every one of `{what}`, so that the rule matches nothing");
        reader.wrong(&at.key("operation"), what);
    }
}

/// Tells of a `target`, `url` or `secret` that the kind does not have, or has to have.
fn what_is_asked(
    reader: &mut Reader,
    object: &Object<'_>,
    at: &At<'_>,
    kind: Kind,
    effect: Effect,
) {
    let (own, may_be_target) = match kind {
        Kind::Tool => ("target", false),
        Kind::NetEgress => ("url", !effect.permits()),
        Kind::SecretUse => ("secret", !effect.permits()),
    };
    let names = ["target", "url", "secret"];
    let given: Vec<&str> = names
        .into_iter()
        .filter(|name| object.get(name).is_some())
        .collect();
    match given.as_slice() {
        [] => reader.missing(&at.key(own)),
        [only] if *only == own || (may_be_target && *only == "target") => {}
        given => {
            for name in given.iter().filter(|name| **name != own) {
                let what = match (kind, *name) {
                    (Kind::Tool, _) => {
                        "stands in a `tool` rule, which has `target` alone".to_owned()
                    }
                    (_, "target") if may_be_target => {
                        format!("stands beside `{own}`; one of them is enough")
                    }
                    (_, "target") => format!(
                        "stands in a rule of kind `{}` that permits, which has `{own}` instead",
                        kind.word()
                    ),
                    _ => format!(
                        "stands in a rule of kind `{}`, which has `{own}`",
                        kind.word()
                    ),
                };
                reader.surplus(&at.key(name), what);
            }
        }
    }
}
