//! Verifies SSH signatures (the `ssh-keygen -Y sign` format, `PROTOCOL.sshsig`) in process.
//!
//! Armored text, a namespace, a message and a public key in; `Ok` or the reason why not out. Shared by the review ledger
//! (namespace `permit.review.v1`, reviews.md) and by HAP (`hap-attest@v0.3`, hap.md).
//!
//! ```text
//! blob   = "SSHSIG" ‖ uint32 1 ‖ string key ‖ string namespace ‖ string "" ‖ string hash ‖ string sig
//! sig    = string algorithm ‖ string signature [‖ byte flags ‖ uint32 counter]      (the latter two: hardware keys)
//! signed = "SSHSIG" ‖ string namespace ‖ string "" ‖ string hash ‖ string H(message)
//! hardware keys sign SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(signed)
//! ```
//!
//! Keys and the ECDSA and hardware ECDSA mathematics are those of the `ssh-key` crate. Done here, since it does not:
//! every field is used up to its last byte; the flags of a hardware key are looked at (the crate hashes them, whatever
//! they say); Ed25519 is verified strictly (it uses the lenient form); RSA keys above 4096 bits verify, and `rsa-sha2-256` does not.

mod key;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Verifier as _;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, SshSig};

pub use key::PublicKey;
use wire::Wire;

use super::digest::sha256;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "\n-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// The longest line of base64 in the armor, in characters (`ssh-keygen` writes 70).
const MAX_LINE: usize = 76;
/// The flag of a hardware signature that says: somebody touched the token.
const USER_PRESENT: u8 = 0x01;

/// Why a key or a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not an armored SSH signature and nothing else.
    #[error("the armor {0}")]
    Armor(&'static str),
    /// The armor holds bytes that are not one whole SSH signature.
    #[error("the signature is malformed or truncated")]
    Malformed,
    /// The public key is not accepted.
    #[error("the key {0}")]
    Key(&'static str),
    /// The algorithm does not fit the key, or is not accepted.
    #[error("the signature algorithm `{0}` is not accepted for this key")]
    Algorithm(String),
    /// The hash is neither `sha256` nor `sha512`.
    #[error("the hash `{0}` is not accepted")]
    Hash(String),
    /// It was made for another purpose.
    #[error("the signature was made for the namespace `{found}`, not for `{expected}`")]
    Namespace {
        /// What this program asks for.
        expected: String,
        /// What the signature says.
        found: String,
    },
    /// It was made by another key than the one it is checked against.
    #[error("the signature was made by another key")]
    AnotherKey,
    /// The mathematics says no: another message, or altered bytes.
    #[error("the signature does not fit the signed bytes")]
    DoesNotVerify,
    /// A hardware key signed without being touched.
    #[error("the hardware key signed without a touch: its user-presence bit is not set")]
    PresenceMissing,
}

/// What a verified signature says about the person behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A software key: nothing is known.
    Unproven,
    /// A hardware key that somebody touched.
    Touched,
}

/// An SSH signature whose form is sound; what it is worth, [`Signature::verify`] says.
#[derive(Debug, Clone)]
pub struct Signature {
    key: PublicKey,
    inner: SshSig,
}

impl Signature {
    /// Reads the armored form: the two marker lines, base64 lines of at most 76 characters between them, one line feed at
    /// the end or none, and nothing else.
    ///
    /// # Errors
    /// A [`Fault`] for anything but one whole signature of version 1 by an accepted key with an accepted algorithm.
    pub fn parse(armored: &str) -> Result<Self, Fault> {
        Self::from_blob(&dearmor(armored)?)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, Fault> {
        let fields = split(blob).ok_or(Fault::Malformed)?;
        let hash = match fields.hash {
            "sha256" => HashAlg::Sha256,
            "sha512" => HashAlg::Sha512,
            other => return Err(Fault::Hash(other.to_owned())),
        };
        let key = PublicKey::from_blob(fields.key)?;
        let (algorithm, raw) = split_raw(fields.signature).ok_or(Fault::Malformed)?;
        let algorithm = accepted(key.key.key_data(), algorithm)
            .ok_or_else(|| Fault::Algorithm(algorithm.to_owned()))?;
        let raw = ssh_key::Signature::new(algorithm, raw).map_err(|_| Fault::Malformed)?;
        let inner = SshSig::new(key.key.key_data().clone(), fields.namespace, hash, raw)
            .map_err(|_| Fault::Malformed)?;
        Ok(Self { key, inner })
    }

    /// The key that the signature says made it.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Verifies the signature over a message, for a namespace, by a key.
    ///
    /// # Errors
    /// A [`Fault`] for another key or namespace, bytes that do not fit, or a hardware key that nobody touched.
    pub fn verify(
        &self,
        key: &PublicKey,
        namespace: &str,
        message: &[u8],
    ) -> Result<Presence, Fault> {
        if self.key != *key {
            return Err(Fault::AnotherKey);
        }
        if self.inner.namespace() != namespace {
            return Err(Fault::Namespace {
                expected: namespace.to_owned(),
                found: self.inner.namespace().to_owned(),
            });
        }
        let signed = SshSig::signed_data(namespace, self.inner.hash_alg(), message)
            .map_err(|_| Fault::DoesNotVerify)?;
        let raw = self.inner.signature_bytes();
        match key.key.key_data() {
            KeyData::Ed25519(point) => verify_ed25519(&point.0, &signed, raw)?,
            KeyData::SkEd25519(sk) => {
                let (bytes, flags_counter) = split_trailer(raw)?;
                let signed = hardware_signed(sk.application(), flags_counter, &signed);
                verify_ed25519(&sk.public_key().0, &signed, bytes)?;
                return presence(flags_counter);
            }
            KeyData::Ecdsa(_) => self.verify_by_crate(namespace, message)?,
            KeyData::SkEcdsaSha2NistP256(_) => {
                self.verify_by_crate(namespace, message)?;
                return presence(split_trailer(raw)?.1);
            }
            KeyData::Rsa(rsa) => verify_rsa_sha512(rsa, &signed, raw)?,
            KeyData::Dsa(_) | KeyData::Other(_) | _ => return Err(key::NOT_ACCEPTED),
        }
        Ok(Presence::Unproven)
    }

    fn verify_by_crate(&self, namespace: &str, message: &[u8]) -> Result<(), Fault> {
        self.key
            .key
            .verify(namespace, message, &self.inner)
            .map_err(|_| Fault::DoesNotVerify)
    }
}

/// Removes the armor.
fn dearmor(armored: &str) -> Result<Vec<u8>, Fault> {
    let rest = armored
        .strip_prefix(BEGIN)
        .ok_or(Fault::Armor("does not begin with its marker line"))?;
    let body = rest
        .strip_suffix('\n')
        .unwrap_or(rest)
        .strip_suffix(END)
        .ok_or(Fault::Armor("does not end with its marker line"))?;
    let mut encoded = String::with_capacity(body.len());
    for line in body.split('\n') {
        if line.is_empty() || line.len() > MAX_LINE {
            return Err(Fault::Armor(
                "holds a line that is empty or longer than 76 characters",
            ));
        }
        encoded.push_str(line);
    }
    STANDARD
        .decode(encoded)
        .map_err(|_| Fault::Armor("does not hold strict base64"))
}

/// The fields of a signature's blob.
struct Fields<'a> {
    key: &'a [u8],
    namespace: &'a str,
    hash: &'a str,
    signature: &'a [u8],
}

fn split(blob: &[u8]) -> Option<Fields<'_>> {
    let mut wire = Wire::new(blob);
    if wire.take(MAGIC.len())? != MAGIC || wire.number()? != 1 {
        return None;
    }
    let key = wire.string()?;
    let namespace = wire.text()?;
    // Reserved bytes are not understood, hence refused.
    if !wire.string()?.is_empty() {
        return None;
    }
    let fields = Fields {
        key,
        namespace,
        hash: wire.text()?,
        signature: wire.string()?,
    };
    wire.finish()?;
    Some(fields)
}

/// Splits a raw signature into its algorithm and its bytes; a hardware key's flags and counter are appended to them.
fn split_raw(signature: &[u8]) -> Option<(&str, Vec<u8>)> {
    let mut wire = Wire::new(signature);
    let algorithm = wire.text()?;
    let mut bytes = wire.string()?.to_vec();
    if algorithm.starts_with("sk-") {
        bytes.extend_from_slice(wire.take(TRAILER)?);
    }
    wire.finish()?;
    Some((algorithm, bytes))
}

/// The algorithm, where the key's type makes signatures of it that are accepted.
fn accepted(key: &KeyData, name: &str) -> Option<Algorithm> {
    let algorithm = if key.is_rsa() {
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        }
    } else {
        key.algorithm()
    };
    (algorithm.as_str() == name).then_some(algorithm)
}

/// The bytes after a hardware signature: one of flags, four of a counter.
const TRAILER: usize = 5;

fn split_trailer(raw: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    raw.len()
        .checked_sub(TRAILER)
        .and_then(|at| raw.split_at_checked(at))
        .ok_or(Fault::Malformed)
}

/// What a hardware key signs: `SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(signed)`.
fn hardware_signed(application: &str, flags_counter: &[u8], signed: &[u8]) -> Vec<u8> {
    [
        sha256(application.as_bytes()).as_bytes(),
        flags_counter,
        sha256(signed).as_bytes(),
    ]
    .concat()
}

fn presence(flags_counter: &[u8]) -> Result<Presence, Fault> {
    match flags_counter.first() {
        Some(flags) if flags & USER_PRESENT == USER_PRESENT => Ok(Presence::Touched),
        _ => Err(Fault::PresenceMissing),
    }
}

/// Strict verification: a key or nonce of small order, and a second form of a signature, are refused.
fn verify_ed25519(point: &[u8; 32], signed: &[u8], raw: &[u8]) -> Result<(), Fault> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| Fault::DoesNotVerify)?;
    let signature = ed25519_dalek::Signature::from_slice(raw).map_err(|_| Fault::DoesNotVerify)?;
    key.verify_strict(signed, &signature)
        .map_err(|_| Fault::DoesNotVerify)
}

/// `RSASSA-PKCS1-v1_5` with SHA-512 and keys up to 16384 bits (RFC 8332).
fn verify_rsa_sha512(
    key: &ssh_key::public::RsaPublicKey,
    signed: &[u8],
    raw: &[u8],
) -> Result<(), Fault> {
    let modulus = rsa::BigUint::try_from(&key.n).map_err(|_| Fault::DoesNotVerify)?;
    let exponent = rsa::BigUint::try_from(&key.e).map_err(|_| Fault::DoesNotVerify)?;
    let key = rsa::RsaPublicKey::new_with_max_size(modulus, exponent, key::MAX_RSA_BITS)
        .map_err(|_| Fault::DoesNotVerify)?;
    let signature = rsa::pkcs1v15::Signature::try_from(raw).map_err(|_| Fault::DoesNotVerify)?;
    rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha512>::new(key)
        .verify(signed, &signature)
        .map_err(|_| Fault::DoesNotVerify)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
