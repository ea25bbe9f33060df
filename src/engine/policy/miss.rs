//! How far a request is from a rule: each part that does not match, pattern against value (policy.md section 4).

use std::fmt;

use serde::Serialize;

use super::rule::{Match, Rule, Subject, Target};
use super::{Matcher, Mismatch};

/// One part of a rule that a request does not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The part, such as `target`.
    pub part: &'static str,
    /// What the rule wants, in words.
    pub pattern: String,
    /// What the request has.
    pub value: String,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            pattern,
            value,
        } = self;
        write!(f, "{part}: {pattern} does not match {value:?}")
    }
}

impl fmt::Display for Matcher {
    /// Writes `prefix "workspace/"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matcher::Exact(text) => write!(f, "exact {text:?}"),
            Matcher::OneOf(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
                write!(f, "one of {}", texts.join(", "))
            }
            Matcher::Prefix(text) => write!(f, "prefix {text:?}"),
            Matcher::Regex(pattern) => write!(f, "regex {}", pattern.written()),
            Matcher::Glob(pattern) => write!(f, "glob {}", pattern.written()),
            Matcher::Any(_) => f.write_str("any"),
        }
    }
}

impl Rule {
    /// Every part that a request does not match; nothing where the rule matches.
    ///
    /// # Errors
    /// What the regex compiler said; never for a policy that was checked.
    pub fn misses(&self, subject: &Subject<'_>) -> Result<Vec<Miss>, String> {
        let request = subject.request;
        let own = &self.matches;
        let Some(first) = self.mismatch(subject)? else {
            return Ok(Vec::new());
        };
        let mut misses = Vec::new();
        let mut miss = |part: &'static str, pattern: String, value: &str| {
            misses.push(Miss {
                part,
                pattern,
                value: value.to_owned(),
            });
        };
        if first == Mismatch::Kind {
            let (wanted, found) = (own.capability.kind, request.capability.kind);
            miss("kind", wanted.word().to_owned(), found.word());
            return Ok(misses);
        }
        for (part, matcher, value) in [
            (
                "selector",
                &own.capability.selector,
                &request.capability.selector,
            ),
            ("actor", &own.actor, &request.actor_id),
        ] {
            if !matcher.matches(value)? {
                miss(part, matcher.to_string(), value);
            }
        }
        if !matches!(subject.target, Target::Abnormal)
            && !own.operation.matches(&request.operation)?
        {
            miss("operation", own.operation.to_string(), &request.operation);
        }
        let target = &request.target;
        match (own, &subject.target) {
            (_, Target::Abnormal) if self.effect.permits() => {
                miss("target", "a target in its normal form".to_owned(), target);
            }
            (_, Target::Path(_)) if first == Mismatch::PathFault => {
                miss("target", "a path without faults".to_owned(), target);
            }
            (_, Target::Abnormal | Target::Path(_)) => {}
            (Match { url: Some(url), .. }, Target::Url(found)) => {
                if !url.matches(found, &request.operation) {
                    let value = format!("{} {target}", request.operation);
                    miss("url", url.to_string(), &value);
                }
            }
            (
                Match {
                    secret: Some(secret),
                    ..
                },
                Target::Secret(found),
            ) => {
                if !secret.matches(found, &request.operation)? {
                    let value = format!("{target} as {}", request.operation);
                    miss("secret", secret.to_string(), &value);
                }
            }
            (
                Match {
                    target: Some(matcher),
                    ..
                },
                _,
            ) => {
                if !matcher.matches(target)? {
                    miss("target", matcher.to_string(), target);
                }
            }
            (Match { .. }, _) => {}
        }
        Ok(misses)
    }
}
