//! Who attests: an SSH signature by a key that the base commit's allowed signers give to one DID (section 10.2).
//!
//! The file is `ssh-keygen`'s: `<principals> [options] <key type> <base64> [comment]`. Accepted is less than
//! `ssh-keygen` accepts, since a principal here is a person: exactly one DID a line, no patterns, no certificate
//! authorities, and never one key for two DIDs. The file is judged as a whole: one bad line makes all of it invalid.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wildmatch::WildMatch;

use super::Found;
use super::names;
use crate::engine::code::{Code, Refusal};
use crate::engine::sshsig::{PublicKey, Signature};

/// The file's path in the base commit.
pub const PATH: &str = "governance/hap/allowed_signers";

/// The namespace of the signature: one made for Git, a file or a review is never taken for an attestation.
pub const NAMESPACE: &str = "hap-attest@v0.3";

/// Somebody whose identity was established, and how.
//
// INVARIANT: made only by `AllowedSigners::establish` and `Identity::external`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    did: String,
    how: Evidence,
}

/// How an identity was established; it is recorded in what the provider signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// An SSH signature over the request, verified here.
    Ssh,
    /// A caller says that it verified the DID elsewhere.
    External,
}

impl Evidence {
    /// The word that is recorded.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Evidence::Ssh => "ssh",
            Evidence::External => "external",
        }
    }
}

impl Identity {
    /// Takes a caller's word that it verified this DID.
    ///
    /// # Errors
    /// `IDENTITY_UNVERIFIED`: the text is no DID.
    pub fn external(did: &str) -> Result<Self, Refusal> {
        if names::is_did(did) {
            Ok(Self {
                did: did.to_owned(),
                how: Evidence::External,
            })
        } else {
            Err(unverified(format!("`{}` is no DID", did.escape_debug())))
        }
    }

    /// The DID that was verified.
    #[must_use]
    pub fn did(&self) -> &str {
        &self.did
    }

    /// How it was verified.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.how
    }
}

/// The keys that speak for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners(Vec<Signer>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    did: String,
    key: PublicKey,
    namespaces: Option<String>,
    valid_after: Option<i64>,
    valid_before: Option<i64>,
}

impl AllowedSigners {
    /// Reads the file from what its path holds in the base commit.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_MISSING`: no such file. `AUTHORIZATION_SOURCE_INVALID`: a line that breaks a rule.
    pub fn read(at_base: Found<'_>) -> Result<Self, Refusal> {
        match at_base {
            Found::File(bytes) => Self::parse(bytes),
            Found::Absent => Err(Refusal::new(
                Code::AuthorizationSourceMissing,
                format!("the base commit has no `{PATH}`"),
            )),
            Found::Irregular => Err(invalid("is no regular file")),
        }
    }

    /// Parses the file; empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    /// `AUTHORIZATION_SOURCE_INVALID`, with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
        let mut signers: Vec<Signer> = Vec::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let signer = Signer::parse(line)
                .map_err(|what| invalid(format!("is malformed in line {number}: {what}")))?;
            let shared = |other: &Signer| {
                other.did != signer.did && other.key.material() == signer.key.material()
            };
            if let Some(other) = signers.iter().find(|other| shared(other)) {
                return Err(invalid(format!(
                    "gives one key to `{}` and to `{}`",
                    other.did, signer.did
                )));
            }
            signers.push(signer);
        }
        Ok(Self(signers))
    }

    /// Establishes that the holder of a key that speaks for `did` signed exactly this message.
    ///
    /// `now` is in Unix seconds; `valid-after` and `valid-before` are read as UTC.
    ///
    /// # Errors
    /// `IDENTITY_UNVERIFIED`: the signature is malformed, made for another namespace, over another message, by a key
    /// that speaks for nobody or for somebody else, or by one that is not valid now.
    pub fn establish(
        &self,
        did: &str,
        message: &[u8],
        armored: &str,
        now: i64,
    ) -> Result<Identity, Refusal> {
        let signature = Signature::parse(armored).map_err(|fault| unverified(fault.to_string()))?;
        let signer = self
            .0
            .iter()
            .filter(|signer| signer.did == did && signer.key == *signature.key())
            .find(|signer| signer.is_valid_at(now) && signer.allows_namespace())
            .ok_or_else(|| {
                unverified(format!(
                    "the key that signed does not speak for `{did}` here and now"
                ))
            })?;
        signature
            .verify(&signer.key, NAMESPACE, message)
            .map_err(|fault| unverified(fault.to_string()))?;
        Ok(Identity {
            did: did.to_owned(),
            how: Evidence::Ssh,
        })
    }
}

impl Signer {
    fn parse(line: &str) -> Result<Self, String> {
        let (principal, rest) = line
            .split_once([' ', '\t'])
            .ok_or("is not `<did> [options] <key>`")?;
        if principal.contains(['*', '?', '!']) {
            return Err("the principal is a pattern".to_owned());
        }
        if !names::is_did(principal) {
            return Err(format!(
                "the principal `{}` is not exactly one DID",
                principal.escape_debug()
            ));
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let (options, key) = if let Ok(key) = PublicKey::parse(rest) {
            (Vec::new(), key)
        } else {
            let (options, key) = split_options(rest)?;
            let key = PublicKey::parse(key).map_err(|fault| fault.to_string())?;
            (options, key)
        };
        let mut signer = Self {
            did: principal.to_owned(),
            key,
            namespaces: None,
            valid_after: None,
            valid_before: None,
        };
        for option in options {
            signer.take(option)?;
        }
        Ok(signer)
    }

    fn take(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        match (name.to_ascii_lowercase().as_str(), value) {
            ("namespaces", Some(list)) => self.namespaces = Some(list.to_owned()),
            ("valid-after", Some(time)) => self.valid_after = Some(unix_seconds(time)?),
            ("valid-before", Some(time)) => self.valid_before = Some(unix_seconds(time)?),
            ("cert-authority", None) => {
                return Err("certificate authorities are refused".to_owned());
            }
            _ => {
                return Err(format!(
                    "the option `{}` is not understood",
                    option.escape_debug()
                ));
            }
        }
        Ok(())
    }

    fn is_valid_at(&self, now: i64) -> bool {
        self.valid_after.is_none_or(|after| after <= now)
            && self.valid_before.is_none_or(|before| now <= before)
    }

    /// A list of patterns, of which one must fit and none with `!` before it may.
    fn allows_namespace(&self) -> bool {
        let Some(list) = &self.namespaces else {
            return true;
        };
        let fits = |pattern: &str| WildMatch::new(pattern).matches(NAMESPACE);
        let denied = |pattern: &str| pattern.strip_prefix('!').is_some_and(fits);
        list.split(',').any(fits) && !list.split(',').any(denied)
    }
}

/// Splits `<options> <key>` at the first blank outside quotes, and the options at their commas.
fn split_options(text: &str) -> Result<(Vec<&str>, &str), String> {
    let mut quoted = false;
    let is_end = |c: char| {
        quoted ^= c == '"';
        !quoted && matches!(c, ' ' | '\t')
    };
    let (options, key) = text
        .split_once(is_end)
        .ok_or("has neither a key nor options before one")?;
    let mut quoted = false;
    let is_comma = |c: char| {
        quoted ^= c == '"';
        !quoted && c == ','
    };
    Ok((
        options.split(is_comma).collect(),
        key.trim_start_matches([' ', '\t']),
    ))
}

/// Reads `YYYYMMDD[HHMM[SS]][Z]` as UTC, whatever the machine's zone: two machines must not disagree.
fn unix_seconds(text: &str) -> Result<i64, String> {
    let fault = || format!("`{}` is no time", text.escape_debug());
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fault());
    }
    let whole = format!("{digits:0<14}");
    let time = DateTime::strptime("%Y%m%d%H%M%S", whole).map_err(|_| fault())?;
    let timestamp = TimeZone::UTC.to_timestamp(time).map_err(|_| fault())?;
    Ok(timestamp.as_second())
}

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::AuthorizationSourceInvalid, format!("`{PATH}` {what}"))
}

fn unverified(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::IdentityUnverified, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPxRzY5iGKGjjaR+0AIw8FgIFu0TujMDrF3rkRVIkIAl";
    const MALLORY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM";

    fn code(text: &str) -> Result<usize, Code> {
        AllowedSigners::parse(text.as_bytes())
            .map(|signers| signers.0.len())
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn one_person_may_have_several_keys_and_lines_of_comment() {
        let file = format!(
            "# keys\n\ndid:github:alice {ALICE} laptop\ndid:github:alice namespaces=\"hap-attest@v0.3,git\",\
             valid-after=\"20250101\" {MALLORY} a phone\n"
        );
        assert_eq!(code(&file), Ok(2));
    }

    #[test]
    fn a_line_that_could_speak_for_somebody_else_makes_the_file_invalid() {
        for bad in [
            format!("* {ALICE}"),
            format!("did:github:* {ALICE}"),
            format!("!did:github:bob {ALICE}"),
            format!("did:github:alice,did:github:bob {ALICE}"),
            format!("alice@example.org {ALICE}"),
            format!("did:github:alice cert-authority {ALICE}"),
            format!("did:github:alice unknown=\"x\" {ALICE}"),
            format!("did:github:alice {ALICE}\ndid:github:bob {ALICE}"),
            "did:github:alice".to_owned(),
            "did:github:alice ssh-ed25519 AAAA".to_owned(),
            format!("did:github:alice valid-before=\"2025\" {ALICE}"),
            format!("did:github:alice namespaces=hap-attest@v0.3 {ALICE}"),
        ] {
            assert_eq!(code(&bad), Err(Code::AuthorizationSourceInvalid), "{bad}");
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(unix_seconds("20250103070640"), Ok(1_735_888_000));
        assert_eq!(unix_seconds("19700101"), Ok(0));
        assert_eq!(unix_seconds("200002290000Z"), Ok(951_782_400));
        assert!(unix_seconds("20251301").is_err() && unix_seconds("2025010").is_err());
    }

    #[test]
    fn namespaces_are_patterns() {
        let signer = |list: &str| {
            let line = format!("did:github:alice namespaces=\"{list}\" {ALICE}");
            Signer::parse(&line).is_ok_and(|signer| signer.allows_namespace())
        };
        for good in ["hap-attest@v0.3", "git,hap-*", "*", "hap-attest@v0.?"] {
            assert!(signer(good), "{good}");
        }
        for bad in ["git", "hap-attest@v0.30", "*,!hap-attest@v0.3", ""] {
            assert!(!signer(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_no_did_is_no_identity() {
        assert!(Identity::external("did:github:alice").is_ok());
        assert!(Identity::external("alice").is_err());
    }
}
