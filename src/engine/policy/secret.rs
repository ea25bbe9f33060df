//! Which secrets a `secret_use` rule covers, and how they may be handed over (core.md section 3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::Fault;
use super::matcher::Matcher;

/// The secret part of a `secret_use` rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretMatch {
    /// Where the secret is kept.
    provider: Provider,
    /// Its key there.
    pub(super) key: Matcher,
    /// The ways in which it may be handed over; the request's operation is one of them.
    injection: Vec<Injection>,
}

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Provider {
    Vault,
    Env,
    Keychain,
    Kms,
}

/// How a secret is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Injection {
    Header,
    Bearer,
    BodyField,
    QueryParam,
    UrlPath,
}

impl Injection {
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
        let provider = match provider {
            "vault" => Provider::Vault,
            "env" => Provider::Env,
            "keychain" => Provider::Keychain,
            "kms" => Provider::Kms,
            _ => return None,
        };
        (!key.is_empty()).then_some(Self { provider, key })
    }
}

impl SecretMatch {
    pub(super) fn check(&self, permits: bool) -> Result<(), Fault> {
        self.key
            .check()
            .map_err(|fault| fault.within_member("key"))?;
        if self.injection.is_empty() {
            return Err(Fault::new("$.injection", "is empty"));
        }
        let leaks = |way: &Injection| matches!(way, Injection::QueryParam | Injection::UrlPath);
        match self.injection.iter().position(leaks) {
            Some(index) if permits => Err(Fault::new(
                format!("$.injection[{index}]"),
                "stands only in a `review` or `block` rule: a URL is logged wherever it passes",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn matches(&self, secret: &SecretTarget<'_>, way: &str) -> Result<bool, String> {
        Ok(secret.provider == self.provider
            && self.injection.iter().any(|own| own.word() == way)
            && self.key.matches(secret.key)?)
    }
}
