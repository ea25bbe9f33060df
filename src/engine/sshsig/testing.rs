//! Keys that sign in tests: software keys through the `ssh-key` crate, hardware keys by hand, since no token is at hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

use super::{BEGIN, END, hardware_signed};

/// Encodes a `string` of the SSH wire format.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// Puts a blob into armor as `ssh-keygen` does.
pub(crate) fn armor(blob: &[u8]) -> String {
    let encoded = STANDARD.encode(blob);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(70)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("{BEGIN}{}{END}\n", lines.join("\n"))
}

/// The blob of a signature from its fields.
pub(crate) fn blob(key: &[u8], namespace: &str, hash: &str, signature: &[u8]) -> Vec<u8> {
    [
        &b"SSHSIG\0\0\0\x01"[..],
        &string(key),
        &string(namespace.as_bytes()),
        &string(b""),
        &string(hash.as_bytes()),
        &string(signature),
    ]
    .concat()
}

/// Somebody who can sign.
pub(crate) enum Key {
    /// A software key.
    Software(Box<PrivateKey>),
    /// `sk-ssh-ed25519@openssh.com`.
    HardwareEd25519(ed25519_dalek::SigningKey),
    /// `sk-ecdsa-sha2-nistp256@openssh.com`.
    HardwareP256(p256::ecdsa::SigningKey),
}

impl Key {
    /// A software Ed25519 key.
    pub(crate) fn ed25519(seed: u8) -> Self {
        let pair = Ed25519Keypair::from_seed(&[seed; 32]);
        Self::Software(Box::new(PrivateKey::from(pair)))
    }

    /// A hardware Ed25519 key.
    pub(crate) fn sk_ed25519(seed: u8) -> Self {
        Self::HardwareEd25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    /// A hardware P-256 key.
    pub(crate) fn sk_p256(seed: u8) -> Self {
        Self::HardwareP256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    /// Reads a private key as `ssh-keygen` wrote it.
    pub(crate) fn from_openssh(text: &str) -> Self {
        Self::Software(Box::new(PrivateKey::from_openssh(text).unwrap()))
    }

    /// The decoded blob of the public half.
    pub(crate) fn blob(&self) -> Vec<u8> {
        match self {
            Self::Software(key) => key.public_key().to_bytes().unwrap(),
            Self::HardwareEd25519(key) => [
                string(b"sk-ssh-ed25519@openssh.com"),
                string(key.verifying_key().as_bytes()),
                string(b"ssh:"),
            ]
            .concat(),
            Self::HardwareP256(key) => [
                string(b"sk-ecdsa-sha2-nistp256@openssh.com"),
                string(b"nistp256"),
                string(key.verifying_key().to_encoded_point(false).as_bytes()),
                string(b"ssh:"),
            ]
            .concat(),
        }
    }

    /// The line of the public half's file.
    pub(crate) fn line(&self) -> String {
        let blob = self.blob();
        let mut wire = super::wire::Wire::new(&blob);
        let algorithm = wire.text().unwrap().to_owned();
        format!("{algorithm} {} test", STANDARD.encode(&blob))
    }

    /// Signs, and touches the token where there is one.
    pub(crate) fn sign(&self, namespace: &str, message: &[u8]) -> String {
        self.sign_with_flags(namespace, message, 0x01)
    }

    /// Signs with given flags of a hardware key.
    pub(crate) fn sign_with_flags(&self, namespace: &str, message: &[u8], flags: u8) -> String {
        use ed25519_dalek::Signer as _;
        let trailer = [&[flags], &7_u32.to_be_bytes()[..]].concat();
        let signed = || {
            let inner = ssh_key::SshSig::signed_data(namespace, HashAlg::Sha512, message).unwrap();
            hardware_signed("ssh:", &trailer, &inner)
        };
        let signature = match self {
            Self::Software(key) => {
                let signature = key.sign(namespace, HashAlg::Sha512, message).unwrap();
                return signature.to_pem(LineEnding::LF).unwrap();
            }
            Self::HardwareEd25519(key) => [
                string(b"sk-ssh-ed25519@openssh.com"),
                string(&key.sign(&signed()).to_bytes()),
            ]
            .concat(),
            Self::HardwareP256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(&signed());
                let (r, s) = signature.split_bytes();
                [
                    string(b"sk-ecdsa-sha2-nistp256@openssh.com"),
                    string(&[mpint(&r), mpint(&s)].concat()),
                ]
                .concat()
            }
        };
        let signature = [signature, trailer].concat();
        armor(&blob(&self.blob(), namespace, "sha512", &signature))
    }
}

fn mpint(number: &[u8]) -> Vec<u8> {
    let first = number.iter().position(|byte| *byte != 0).unwrap();
    let digits = number.get(first..).unwrap();
    if digits.first().unwrap() & 0x80 == 0 {
        string(digits)
    } else {
        string(&[&[0], digits].concat())
    }
}
