//! The Service Provider's Ed25519 keys (hap.md section 1).
//!
//! Public keys are 32 raw bytes in lower hex, private keys the 32-byte seed in lower hex. Verification is strict: a
//! signature with `S ≥ L`, a point that is not canonical and a key of small order are refused.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// Multicodec prefix of an Ed25519 public key.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

const TOLERANT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, TOLERANT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, TOLERANT);

/// Text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// Not 64 lower-case hexadecimal digits.
    #[error("is not 64 lower-case hexadecimal digits")]
    Text,
    /// 32 bytes that are no point of the curve, or one of small order.
    #[error("is not an Ed25519 public key")]
    Point,
}

/// A Service Provider's public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProviderKey(VerifyingKey);

impl ProviderKey {
    /// The key's own identity: `did:key:z` and base58btc of `0xED 0x01 ‖ key`.
    #[must_use]
    pub fn did(&self) -> String {
        let mut bytes = ED25519_PUB.to_vec();
        bytes.extend_from_slice(self.0.as_bytes());
        format!("did:key:z{}", bs58::encode(bytes).into_string())
    }

    /// Tells whether a signature text is this key's over these bytes.
    ///
    /// Pure Ed25519 (RFC 8032), verified strictly. The text is base64url or standard base64, padded or not, of exactly
    /// 64 bytes.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        URL_SAFE
            .decode(signature)
            .or_else(|_| STANDARD.decode(signature))
            .ok()
            .and_then(|raw| Signature::from_slice(&raw).ok())
            .is_some_and(|signature| self.0.verify_strict(bytes, &signature).is_ok())
    }
}

impl FromStr for ProviderKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let key = VerifyingKey::from_bytes(&*seed_bytes(text)?).map_err(|_| NotAKey::Point)?;
        if key.is_weak() {
            return Err(NotAKey::Point);
        }
        Ok(Self(key))
    }
}

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderKey({self})")
    }
}

/// A Service Provider's private key; never printed.
pub struct ProviderSecret(SigningKey);

impl ProviderSecret {
    /// Makes the key of a 32-byte seed.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> ProviderKey {
        ProviderKey(self.0.verifying_key())
    }

    /// Signs bytes: base64url without padding of the 64-byte Ed25519 signature.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.0.sign(bytes).to_bytes())
    }
}

impl FromStr for ProviderSecret {
    type Err = NotAKey;

    /// Reads the seed from its 64 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        Ok(Self::new(&*seed_bytes(text)?))
    }
}

impl fmt::Debug for ProviderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderSecret(of {})", self.public())
    }
}

/// Reads 32 bytes of hexadecimal digits; they are wiped when they are done with.
fn seed_bytes(text: &str) -> Result<Zeroizing<[u8; 32]>, NotAKey> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = Zeroizing::new([0; 32]);
    if !lower || hex::decode_to_slice(text, bytes.as_mut_slice()).is_err() {
        return Err(NotAKey::Text);
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

    #[test]
    fn a_key_knows_its_hex_and_its_did() {
        let secret: ProviderSecret = SEED.parse().unwrap();
        let public = secret.public();
        assert_eq!(
            public.to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(
            public.did(),
            "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"
        );
        assert!(!format!("{secret:?}").contains("9d61b19d"));
    }

    #[test]
    fn a_signature_is_read_in_both_alphabets_but_only_of_64_bytes() {
        let secret: ProviderSecret = SEED.parse().unwrap();
        let text = secret.sign(b"payload");
        let raw = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let standard = base64::engine::general_purpose::STANDARD.encode(&raw);
        let public = secret.public();
        assert!(public.verifies(b"payload", &text));
        assert!(public.verifies(b"payload", &standard));
        assert!(!public.verifies(b"other", &text));
        assert!(!public.verifies(b"payload", ""));
        assert!(!public.verifies(b"payload", &format!("{text}AA")));
    }

    #[test]
    fn a_scalar_beyond_the_group_order_is_refused() {
        let secret: ProviderSecret = SEED.parse().unwrap();
        let mut raw = URL_SAFE_NO_PAD.decode(secret.sign(b"payload")).unwrap();
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
            .unwrap();
        let mut carry = 0u16;
        for (byte, add) in raw.iter_mut().skip(32).zip(order) {
            let sum = u16::from(*byte)
                .checked_add(u16::from(add))
                .and_then(|sum| sum.checked_add(carry))
                .unwrap();
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(
            !secret
                .public()
                .verifies(b"payload", &URL_SAFE_NO_PAD.encode(raw))
        );
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        assert_eq!("00".parse::<ProviderKey>(), Err(NotAKey::Text));
        assert_eq!(
            SEED.to_uppercase().parse::<ProviderKey>(),
            Err(NotAKey::Text)
        );
        let identity_point = format!("01{}", "00".repeat(31));
        assert_eq!(identity_point.parse::<ProviderKey>(), Err(NotAKey::Point));
    }
}
