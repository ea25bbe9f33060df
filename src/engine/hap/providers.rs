//! `governance/hap/service-providers.json` to the keys whose signatures count, and when (sections 20.1, 20.2).

use serde::{Deserialize, Deserializer, Serialize};

use super::Found;
use super::key::ProviderKey;
use crate::engine::canonical::from_slice;
use crate::engine::code::{Code, Refusal};

/// The file's path in the base commit.
pub const PATH: &str = "governance/hap/service-providers.json";

/// The file's `schema`.
pub const SCHEMA: &str = "permit.hap_service_providers.v1";

/// The file as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvidersFile {
    /// The name of this form.
    pub schema: String,
    /// The providers.
    pub providers: Vec<ProviderEntry>,
}

/// One provider of the file: who operates it, and from when to when its key is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    /// The provider's name.
    pub name: String,
    /// Who operates it.
    pub operator: String,
    /// Under which jurisdiction.
    pub jurisdiction: String,
    /// Whom to ask.
    pub contact: String,
    /// The public key, 64 lower-case hexadecimal digits.
    pub public_key: String,
    /// The provider's DID; a `did:key` must be that of the public key.
    pub did: String,
    /// The first second of trust, in Unix seconds; `null` for ever before.
    #[serde(deserialize_with = "nullable")]
    pub trusted_from: Option<i64>,
    /// The first second without trust, in Unix seconds; `null` for no end.
    #[serde(deserialize_with = "nullable")]
    pub trusted_until: Option<i64>,
}

/// A key whose signatures count for a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProvider {
    /// The key.
    pub key: ProviderKey,
    did: String,
    from: Option<i64>,
    until: Option<i64>,
}

/// The keys that a decision trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProviders(Vec<TrustedProvider>);

impl ProvidersFile {
    /// Makes a file without providers, which authorizes nobody.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            providers: Vec::new(),
        }
    }

    /// Parses the file's form; whether its keys can be trusted, [`TrustedProviders::parse`] says.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`, with the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let file: Self =
            from_slice(bytes).map_err(|fault| invalid(format!("is malformed: {fault}")))?;
        if file.schema == SCHEMA {
            Ok(file)
        } else {
            Err(invalid(format!(
                "is malformed: `$.schema`: is not `{SCHEMA}`"
            )))
        }
    }
}

impl TrustedProviders {
    /// Trusts exactly these keys, at all times: what a caller names in place of the file.
    #[must_use]
    pub fn of_keys(keys: impl IntoIterator<Item = ProviderKey>) -> Self {
        let trusted = |key: ProviderKey| TrustedProvider {
            did: key.did(),
            key,
            from: None,
            until: None,
        };
        Self(keys.into_iter().map(trusted).collect())
    }

    /// Trusts this key too, at all times: a provider's own, for what it is about to write.
    #[must_use]
    pub fn and_key(mut self, key: ProviderKey) -> Self {
        self.0.extend(Self::of_keys([key]).0);
        self
    }

    /// Trusts only what another list trusts too, for as long as both do: who was removed since confers nothing.
    #[must_use]
    pub fn and_by(self, other: &Self) -> Self {
        let both = self.0.into_iter().filter_map(|mut provider| {
            let again = other.0.iter().find(|again| again.key == provider.key)?;
            provider.from = provider.from.max(again.from);
            let ends = [provider.until, again.until].into_iter().flatten();
            provider.until = ends.min();
            Some(provider)
        });
        Self(both.collect())
    }

    /// Reads the providers from what their path holds in the base commit.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_MISSING`: no such file. `AUTHORIZATION_SOURCE_INVALID`: a file that breaks a rule.
    pub fn read(at_base: Found<'_>) -> Result<Self, Refusal> {
        match at_base {
            Found::File(bytes) => Self::parse(bytes),
            Found::Absent => Err(Refusal::new(
                Code::AuthorizationSourceMissing,
                format!("the base commit has no `{PATH}`"),
            )
            .next("name a trusted key with `--sp-key HEX`, or land the file on the governed ref")),
            Found::Irregular => Err(invalid("is no regular file")),
        }
    }

    /// Parses the file.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`: malformed, no provider, one key twice, or a `did` that is not the key's.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let file = ProvidersFile::parse(bytes)?;
        let mut providers: Vec<TrustedProvider> = Vec::new();
        for (index, entry) in file.providers.into_iter().enumerate() {
            let place = format!("`$.providers[{index}]`");
            let key: ProviderKey = entry
                .public_key
                .parse()
                .map_err(|error| invalid(format!("is malformed: {place}: `public_key` {error}")))?;
            if entry.did.starts_with("did:key:") && entry.did != key.did() {
                return Err(invalid(format!(
                    "is malformed: {place}: `did` is another key's"
                )));
            }
            if providers.iter().any(|other| other.key == key) {
                return Err(invalid(format!(
                    "is malformed: {place}: the key stands twice"
                )));
            }
            providers.push(TrustedProvider {
                key,
                did: entry.did,
                from: entry.trusted_from,
                until: entry.trusted_until,
            });
        }
        if providers.is_empty() {
            return Err(invalid("names no provider"));
        }
        Ok(Self(providers))
    }

    /// Walks the providers, those that an unsigned hint names first: a hint never adds or removes a key.
    pub fn ordered_by<'p>(
        &'p self,
        hint: Option<&'p str>,
    ) -> impl Iterator<Item = &'p TrustedProvider> {
        let named = move |provider: &TrustedProvider| {
            hint.is_some_and(|hint| provider.did == hint || provider.key.did() == hint)
        };
        let first = self.0.iter().filter(move |provider| named(provider));
        let rest = self.0.iter().filter(move |provider| !named(provider));
        first.chain(rest)
    }

    /// Tells whether a key is trusted at a time.
    #[must_use]
    pub fn trusts(&self, key: ProviderKey, time: i64) -> bool {
        self.0
            .iter()
            .any(|provider| provider.key == key && provider.is_trusted_at(time))
    }
}

impl TrustedProvider {
    /// Tells whether the provider is trusted at a time, in Unix seconds.
    #[must_use]
    pub fn is_trusted_at(&self, time: i64) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// Decodes a field that must be there and may be `null`.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::AuthorizationSourceInvalid, format!("`{PATH}` {what}"))
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn file() -> Value {
        json!({"schema": SCHEMA, "providers": [{
            "name": "local", "operator": "acme", "jurisdiction": "CH", "contact": "sp@acme.example",
            "public_key": KEY, "did": "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
            "trusted_from": 100, "trusted_until": 200}]})
    }

    fn parse(file: &Value) -> Result<TrustedProviders, Code> {
        TrustedProviders::parse(&serde_json::to_vec(file).unwrap()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_key_is_trusted_from_its_first_second_to_the_last_before_its_end() {
        let trusted = parse(&file()).unwrap();
        let key = KEY.parse().unwrap();
        let at = |time| trusted.trusts(key, time);
        assert_eq!(
            (at(99), at(100), at(199), at(200)),
            (false, true, true, false)
        );
    }

    #[test]
    fn two_lists_trust_what_both_trust_while_both_do() {
        let with = |from: Value, until: Value| {
            let mut file = file();
            file["providers"][0]["trusted_from"] = from;
            file["providers"][0]["trusted_until"] = until;
            parse(&file).unwrap()
        };
        let key = KEY.parse().unwrap();
        let early = with(json!(null), json!(150));
        for both in [
            parse(&file()).unwrap().and_by(&early),
            early.and_by(&parse(&file()).unwrap()),
        ] {
            let at = |time| both.trusts(key, time);
            assert_eq!(
                (at(99), at(100), at(149), at(150)),
                (false, true, true, false)
            );
        }
        let nobody = TrustedProviders::default();
        assert!(!parse(&file()).unwrap().and_by(&nobody).trusts(key, 120));
    }

    #[test]
    fn a_file_that_breaks_a_rule_is_never_treated_as_absent() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut file = file();
            change(&mut file);
            assert_eq!(parse(&file), Err(Code::AuthorizationSourceInvalid));
        };
        refused(&|file| file["schema"] = json!("x"));
        refused(&|file| file["providers"] = json!([]));
        refused(&|file| file["providers"][0]["public_key"] = json!("00"));
        refused(&|file| file["providers"][0]["did"] = json!("did:key:z6Mkother"));
        refused(&|file| {
            let entry = file["providers"][0].as_object_mut().unwrap();
            entry.remove("trusted_until");
        });
        refused(&|file| {
            let entry = file["providers"][0].clone();
            file["providers"].as_array_mut().unwrap().push(entry);
        });
        let read = |found| TrustedProviders::read(found).map_err(|refusal| refusal.code);
        assert_eq!(read(Found::Absent), Err(Code::AuthorizationSourceMissing));
        assert_eq!(
            read(Found::Irregular),
            Err(Code::AuthorizationSourceInvalid)
        );
    }
}
