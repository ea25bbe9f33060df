//! Which secrets a `secret_use` rule covers, and how they may be handed over (core.md section 3).

use std::fmt;

use schemars::JsonSchema;

use super::super::canonical::Value;
use super::faults::{At, Reader};
use super::matcher::{About, Matcher};

/// The secret part of a `secret_use` rule.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SecretMatch {
    /// Where the secret is kept.
    provider: Provider,
    /// Its key there.
    pub(super) key: Matcher,
    /// The ways in which it may be handed over; the request's operation is one of them.
    injection: Vec<Injection>,
}

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Provider {
    Vault,
    Env,
    Keychain,
    Kms,
}

/// How a secret is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Injection {
    Header,
    Bearer,
    BodyField,
    QueryParam,
    UrlPath,
}

impl Provider {
    const WORDS: [(&'static str, Self); 4] = [
        ("vault", Provider::Vault),
        ("env", Provider::Env),
        ("keychain", Provider::Keychain),
        ("kms", Provider::Kms),
    ];

    const fn word(self) -> &'static str {
        match self {
            Provider::Vault => "vault",
            Provider::Env => "env",
            Provider::Keychain => "keychain",
            Provider::Kms => "kms",
        }
    }
}

impl Injection {
    const WORDS: [(&'static str, Self); 5] = [
        ("header", Injection::Header),
        ("bearer", Injection::Bearer),
        ("body_field", Injection::BodyField),
        ("query_param", Injection::QueryParam),
        ("url_path", Injection::UrlPath),
    ];

    const fn word(self) -> &'static str {
        match self {
            Injection::Header => "header",
            Injection::Bearer => "bearer",
            Injection::BodyField => "body_field",
            Injection::QueryParam => "query_param",
            Injection::UrlPath => "url_path",
        }
    }
}

/// A target that names a secret: `<provider>:<key>`.
#[derive(Debug)]
pub(super) struct SecretTarget<'a> {
    provider: Provider,
    key: &'a str,
}

impl<'a> SecretTarget<'a> {
    /// Reads a target; nothing if it is not `<provider>:<key>` of a known provider.
    pub(super) fn parse(target: &'a str) -> Option<Self> {
        let (provider, key) = target.split_once(':')?;
        let (_, provider) = Provider::WORDS
            .into_iter()
            .find(|(word, _)| *word == provider)?;
        (!key.is_empty()).then_some(Self { provider, key })
    }
}

impl SecretMatch {
    /// Reads a secret part; a rule that permits may not hand secrets over in a URL.
    pub(super) fn read(
        reader: &mut Reader,
        value: &Value<'_>,
        at: &At<'_>,
        permits: bool,
    ) -> Option<Self> {
        let object = reader.object(value, at, &["provider", "key", "injection"])?;
        let provider = reader.need(object, at, "provider", |reader, value, at| {
            reader.word(value, at, &Provider::WORDS)
        });
        let key = reader.need(object, at, "key", |reader, value, at| {
            Matcher::read(reader, value, at, About::Name)
        });
        let injection = reader.need(object, at, "injection", |reader, value, at| {
            reader.list(value, at, |reader, item, at| {
                let way = reader.word(item, at, &Injection::WORDS)?;
                if permits && matches!(way, Injection::QueryParam | Injection::UrlPath) {
                    reader.wrong(
                        at,
                        "stands only in a `review` or `block` rule: a URL is logged wherever it passes",
                    );
                    return None;
                }
                Some(way)
            })
        });
        if injection.as_ref().is_some_and(Vec::is_empty) {
            reader.wrong(&at.key("injection"), "is empty");
        }
        Some(Self {
            provider: provider?,
            key: key?,
            injection: injection?,
        })
    }

    /// The words of the ways in which the secret may be handed over.
    pub(super) fn ways(&self) -> impl Iterator<Item = &'static str> {
        self.injection.iter().map(|way| way.word())
    }

    /// The word of where the secret is kept.
    pub(super) fn provider(&self) -> &'static str {
        self.provider.word()
    }

    pub(super) fn matches(&self, secret: &SecretTarget<'_>, way: &str) -> Result<bool, String> {
        Ok(secret.provider == self.provider
            && self.injection.iter().any(|own| own.word() == way)
            && self.key.matches(secret.key)?)
    }
}

impl fmt::Display for SecretMatch {
    /// Writes `vault key prefix "ci/", by header or bearer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways: Vec<_> = self.ways().collect();
        write!(
            f,
            "{} key {}, by {}",
            self.provider(),
            self.key,
            ways.join(" or ")
        )
    }
}
