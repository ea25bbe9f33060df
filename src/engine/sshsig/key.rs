//! An SSH public key of a type that can be trusted with a decision.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::HashAlg;
use ssh_key::public::KeyData;

use super::Fault;
use super::wire::Wire;
use crate::engine::text::text_fault;

/// The shortest RSA modulus that is accepted, in bits.
const MIN_RSA_BITS: usize = 3072;
/// The longest RSA modulus that `ssh-keygen` makes, in bits.
pub(super) const MAX_RSA_BITS: usize = 16384;

/// The types that are accepted (reviews.md, Principals).
const ACCEPTED: [&str; 5] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];
pub(super) const NOT_ACCEPTED: Fault = Fault::Key("is of a type that is not accepted");

/// A public key of one of the five accepted types, known to be in its only encoding.
///
/// Two keys are equal when their decoded blobs are: the comment does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) key: ssh_key::PublicKey,
    pub(super) blob: Vec<u8>,
}

impl PublicKey {
    /// Parses `<type> <base64> [comment]`, without options, as a line of an `*.pub` file without its line feed.
    ///
    /// # Errors
    /// [`Fault::Key`] for text that is not a key in its only encoding, for certificates, for other types than
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, their `sk-…@openssh.com` forms and `ssh-rsa`, for RSA below 3072 bits and
    /// for Ed25519 keys of small order.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        if let Some(fault) = text_fault(line) {
            return Err(Fault::Key(fault));
        }
        let mut words = line.splitn(3, ' ');
        let (Some(algorithm), Some(encoded)) = (words.next(), words.next()) else {
            return Err(Fault::Key("is not `<type> <base64> [comment]`"));
        };
        let blob = STANDARD
            .decode(encoded)
            .map_err(|_| Fault::Key("is not `<type> <base64> [comment]`"))?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm() != algorithm {
            return Err(Fault::Key("says another type than it holds"));
        }
        Ok(key)
    }

    /// Reads the decoded blob of a key.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub(super) fn from_blob(blob: &[u8]) -> Result<Self, Fault> {
        let algorithm = Wire::new(blob).text();
        if !algorithm.is_some_and(|name| ACCEPTED.contains(&name)) {
            return Err(NOT_ACCEPTED);
        }
        let key =
            ssh_key::PublicKey::from_bytes(blob).map_err(|_| Fault::Key("is not an SSH key"))?;
        // A key has one encoding, so that comparing blobs compares keys.
        if key.to_bytes().ok().as_deref() != Some(blob) {
            return Err(Fault::Key("is not in its only encoding"));
        }
        match key.key_data() {
            KeyData::Ed25519(point) => check_ed25519(&point.0)?,
            KeyData::SkEd25519(sk) => check_ed25519(&sk.public_key().0)?,
            KeyData::Ecdsa(point) => check_p256(point.as_sec1_bytes())?,
            KeyData::SkEcdsaSha2NistP256(sk) => check_p256(sk.ec_point().as_bytes())?,
            KeyData::Rsa(rsa) => check_rsa(rsa)?,
            KeyData::Dsa(_) | KeyData::Other(_) | _ => return Err(NOT_ACCEPTED),
        }
        Ok(Self {
            blob: blob.to_vec(),
            key,
        })
    }

    /// The type, as the key itself says it: `ssh-ed25519`, ….
    #[must_use]
    pub fn algorithm(&self) -> String {
        self.key.algorithm().to_string()
    }

    /// Whether the private half lives in a hardware token that asks for a touch.
    #[must_use]
    pub fn is_hardware(&self) -> bool {
        self.key.key_data().is_sk_ed25519() || self.key.key_data().is_sk_ecdsa_p256()
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The curve point or modulus alone: what one private key has in common under every type it could be listed as.
    ///
    /// A software Ed25519 key can also be written down as a hardware key, and its holder can then make both kinds of
    /// signature; so can an RSA key with another exponent. Such twins are one key.
    #[must_use]
    pub fn material(&self) -> &[u8] {
        match self.key.key_data() {
            KeyData::Ed25519(point) => &point.0,
            KeyData::SkEd25519(sk) => &sk.public_key().0,
            KeyData::Ecdsa(point) => point.as_sec1_bytes(),
            KeyData::SkEcdsaSha2NistP256(sk) => sk.ec_point().as_bytes(),
            KeyData::Rsa(rsa) => rsa.n.as_bytes(),
            KeyData::Dsa(_) | KeyData::Other(_) | _ => &self.blob,
        }
    }
}

fn check_ed25519(point: &[u8; 32]) -> Result<(), Fault> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(point)
        .map_err(|_| Fault::Key("is not a point of the curve"))?;
    if key.is_weak() {
        return Err(Fault::Key("is of small order"));
    }
    Ok(())
}

/// Accepts the uncompressed form of NIST P-256 only; whether the point is on the curve is seen when it verifies.
fn check_p256(point: &[u8]) -> Result<(), Fault> {
    if point.len() == 65 && point.first() == Some(&4) {
        Ok(())
    } else {
        Err(Fault::Key("is not an uncompressed NIST P-256 point"))
    }
}

fn check_rsa(key: &ssh_key::public::RsaPublicKey) -> Result<(), Fault> {
    let modulus = key.n.as_positive_bytes().unwrap_or_default();
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = modulus
        .len()
        .saturating_mul(8)
        .saturating_sub(usize::try_from(unused).unwrap_or(usize::MAX));
    if bits < MIN_RSA_BITS {
        Err(Fault::Key("is RSA of less than 3072 bits"))
    } else if bits > MAX_RSA_BITS {
        Err(Fault::Key("is RSA of more than 16384 bits"))
    } else {
        Ok(())
    }
}
