//! Attacks on keys and signatures, each with the reason that it gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::testing::{Key, armor, blob, string};
use super::*;

const NAMESPACE: &str = "permit.review.v1";
const MESSAGE: &[u8] = include_bytes!("../../../fixtures/sshsig/message");

macro_rules! fixture {
    ($path:literal) => {
        include_str!(concat!("../../../fixtures/", $path))
    };
}

const ANA: &str = fixture!("keys/ana.pub");
const BO: &str = fixture!("keys/bo.pub");

fn verify(armored: &str, key: &str, namespace: &str, message: &[u8]) -> Result<Presence, Fault> {
    Signature::parse(armored)?.verify(&PublicKey::parse(key.trim_end())?, namespace, message)
}

fn unarmored(armored: &str) -> Vec<u8> {
    dearmor(armored).unwrap()
}

#[test]
fn what_ssh_keygen_makes_verifies() {
    for (signature, key) in [
        (fixture!("sshsig/sound_ed25519_sha512.sig"), ANA),
        (fixture!("sshsig/sound_ed25519_sha256.sig"), ANA),
        (fixture!("sshsig/sound_ecdsa_p256.sig"), BO),
        (fixture!("sshsig/sound_ecdsa_p256_sha256.sig"), BO),
        (
            fixture!("sshsig/sound_rsa_3072.sig"),
            fixture!("keys/cy.pub"),
        ),
        (
            fixture!("sshsig/sound_rsa_8192.sig"),
            fixture!("keys/large.pub"),
        ),
    ] {
        assert_eq!(
            verify(signature, key, NAMESPACE, MESSAGE),
            Ok(Presence::Unproven)
        );
        // A missing last line feed changes nothing.
        assert_eq!(
            verify(signature.trim_end(), key, NAMESPACE, MESSAGE),
            Ok(Presence::Unproven)
        );
        assert_eq!(
            verify(signature, key, NAMESPACE, b"another message"),
            Err(Fault::DoesNotVerify)
        );
    }
}

#[test]
fn a_hardware_key_must_have_been_touched() {
    for key in [Key::sk_ed25519(1), Key::sk_p256(2)] {
        let line = key.line();
        assert!(PublicKey::parse(&line).unwrap().is_hardware());
        for (flags, expected) in [
            (0x01, Ok(Presence::Touched)),
            (0x05, Ok(Presence::Touched)),
            (0x00, Err(Fault::PresenceMissing)),
            (0x04, Err(Fault::PresenceMissing)),
            (0xfe, Err(Fault::PresenceMissing)),
        ] {
            let signature = key.sign_with_flags(NAMESPACE, MESSAGE, flags);
            assert_eq!(verify(&signature, &line, NAMESPACE, MESSAGE), expected);
        }
        // The flags are signed: setting the bit afterwards does not help.
        let mut bytes = unarmored(&key.sign_with_flags(NAMESPACE, MESSAGE, 0));
        let flags = bytes.len().checked_sub(5).unwrap();
        *bytes.get_mut(flags).unwrap() = 1;
        assert_eq!(
            verify(&armor(&bytes), &line, NAMESPACE, MESSAGE),
            Err(Fault::DoesNotVerify)
        );
    }
}

#[test]
fn another_namespace_key_or_message_is_refused() {
    let namespaces = [
        (fixture!("sshsig/made_for_git.sig"), "git"),
        (fixture!("sshsig/made_for_file.sig"), "file"),
    ];
    for (signature, found) in namespaces {
        assert_eq!(
            verify(signature, ANA, NAMESPACE, MESSAGE),
            Err(Fault::Namespace {
                expected: NAMESPACE.to_owned(),
                found: found.to_owned()
            })
        );
    }
    let sound = fixture!("sshsig/sound_ed25519_sha512.sig");
    assert_eq!(
        verify(sound, fixture!("keys/mallory.pub"), NAMESPACE, MESSAGE),
        Err(Fault::AnotherKey)
    );
}

#[test]
fn a_namespace_written_over_does_not_verify() {
    let key = Key::ed25519(9);
    let made_for_git = unarmored(&key.sign("git", MESSAGE));
    let raw = split(&made_for_git).unwrap().signature.to_vec();
    let forged = armor(&blob(&key.blob(), NAMESPACE, "sha512", &raw));
    assert_eq!(
        verify(&forged, &key.line(), NAMESPACE, MESSAGE),
        Err(Fault::DoesNotVerify)
    );
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    for (signature, fault) in [
        (
            fixture!("sshsig/weak_rsa_2048.sig"),
            Fault::Key("is RSA of less than 3072 bits"),
        ),
        (fixture!("sshsig/ecdsa_p384.sig"), key::NOT_ACCEPTED),
    ] {
        assert_eq!(Signature::parse(signature).unwrap_err(), fault);
    }
    let ana = ANA.trim_end();
    let small_order = |point: [u8; 32]| {
        let blob = [string(b"ssh-ed25519"), string(&point)].concat();
        format!("ssh-ed25519 {}", STANDARD.encode(blob))
    };
    let mut identity = [0; 32];
    *identity.first_mut().unwrap() = 1;
    for (line, fault) in [
        (
            fixture!("keys/weak.pub").trim_end().to_owned(),
            "is RSA of less than 3072 bits",
        ),
        (
            fixture!("keys/p384.pub").trim_end().to_owned(),
            "is of a type that is not accepted",
        ),
        (
            fixture!("keys/ana-cert.pub").trim_end().to_owned(),
            "is of a type that is not accepted",
        ),
        (small_order([0; 32]), "is of small order"),
        (small_order(identity), "is of small order"),
        (
            format!("no-touch-required {ana}"),
            "is not `<type> <base64> [comment]`",
        ),
        (format!(" {ana}"), "is not `<type> <base64> [comment]`"),
        (format!("{ana}\n{ana}"), "holds a control character"),
        (String::new(), "is empty"),
        (
            "ssh-ed25519".to_owned(),
            "is not `<type> <base64> [comment]`",
        ),
        (
            ana.replace("ssh-ed25519 ", "ssh-rsa "),
            "says another type than it holds",
        ),
        (
            ana.replace(" ana", "= ana"),
            "is not `<type> <base64> [comment]`",
        ),
    ] {
        assert_eq!(
            PublicKey::parse(&line).unwrap_err(),
            Fault::Key(fault),
            "{line}"
        );
    }
}

#[test]
fn a_key_has_one_encoding() {
    let p256 = match Key::sk_p256(3) {
        Key::HardwareP256(key) => key,
        Key::Software(_) | Key::HardwareEd25519(_) => unreachable!(),
    };
    let compressed = [
        string(b"ecdsa-sha2-nistp256"),
        string(b"nistp256"),
        string(p256.verifying_key().to_encoded_point(true).as_bytes()),
    ]
    .concat();
    assert!(PublicKey::from_blob(&compressed).is_err());

    let mut trailing = Key::ed25519(4).blob();
    trailing.push(0);
    assert!(PublicKey::from_blob(&trailing).is_err());

    // An RSA blob that calls itself by its signature algorithm.
    let blob = PublicKey::parse(fixture!("keys/cy.pub").trim_end())
        .unwrap()
        .blob;
    let relabelled = [string(b"rsa-sha2-512"), blob.get(11..).unwrap().to_vec()].concat();
    assert!(PublicKey::from_blob(&relabelled).is_err());
}

#[test]
fn comments_do_not_count_and_twins_share_their_material() {
    let software = PublicKey::parse(&Key::ed25519(5).line()).unwrap();
    let commented = PublicKey::parse(&Key::ed25519(5).line().replace("test", "a b c")).unwrap();
    let twin = PublicKey::parse(&Key::sk_ed25519(5).line()).unwrap();
    assert_eq!(software, commented);
    assert_ne!(software, twin);
    assert_eq!(software.material(), twin.material());
    assert!(software.fingerprint().starts_with("SHA256:"));
}

#[test]
fn the_armor_is_strict() {
    let sound = fixture!("sshsig/sound_ed25519_sha512.sig");
    for broken in [
        String::new(),
        format!(" {sound}"),
        format!("\n{sound}"),
        format!("explanatory text\n{sound}"),
        format!("{sound}\n"),
        format!("{sound} "),
        format!("{sound}{sound}"),
        sound.replace('\n', "\r\n"),
        sound.replace('\n', ""),
        sound.replace("-----END", "\n-----END"),
        sound.replace("SSH SIGNATURE", "SSH  SIGNATURE"),
        sound.replace("U1NI", "U1N I"),
    ] {
        let fault = Signature::parse(&broken).unwrap_err();
        assert!(matches!(fault, Fault::Armor(_)), "{fault}: {broken}");
    }
    let one_line = format!("{BEGIN}{}{END}", STANDARD.encode(unarmored(sound)));
    assert!(matches!(
        Signature::parse(&one_line).unwrap_err(),
        Fault::Armor(_)
    ));
}

#[test]
fn the_blob_is_used_up_to_its_last_byte() {
    let key = Key::ed25519(6);
    let sound = unarmored(&key.sign(NAMESPACE, MESSAGE));
    let raw = split(&sound).unwrap().signature.to_vec();
    let line = key.line();
    let public = key.blob();
    let check = |blob: Vec<u8>| verify(&armor(&blob), &line, NAMESPACE, MESSAGE);
    assert_eq!(
        check(blob(&public, NAMESPACE, "sha512", &raw)),
        Ok(Presence::Unproven)
    );

    let longer = |bytes: &[u8]| [bytes, b"\0"].concat();
    assert!(check(longer(&sound)).is_err());
    assert!(check(blob(&longer(&public), NAMESPACE, "sha512", &raw)).is_err());
    assert!(check(blob(&public, NAMESPACE, "sha512", &longer(&raw))).is_err());
    assert_eq!(
        check(blob(&public, NAMESPACE, "sha1", &raw)),
        Err(Fault::Hash("sha1".to_owned()))
    );
    assert_eq!(
        check(blob(&public, NAMESPACE, "sha256", &raw)),
        Err(Fault::DoesNotVerify)
    );
    // Version 0 and 2, and reserved bytes, are not understood.
    for version in [0, 2] {
        let mut other = sound.clone();
        *other.get_mut(9).unwrap() = version;
        assert_eq!(check(other), Err(Fault::Malformed));
    }
    let reserved = [
        &b"SSHSIG\0\0\0\x01"[..],
        &string(&public),
        &string(NAMESPACE.as_bytes()),
        &string(b"x"),
        &string(b"sha512"),
        &string(&raw),
    ]
    .concat();
    assert_eq!(check(reserved), Err(Fault::Malformed));
}

#[test]
fn rsa_signs_with_sha512_only() {
    use rsa::pkcs1v15::SigningKey;
    use rsa::signature::{SignatureEncoding as _, Signer as _};

    let Key::Software(private) = Key::from_openssh(fixture!("keys/cy")) else {
        unreachable!()
    };
    let pair = private.key_data().rsa().unwrap();
    let number = |mpint| rsa::BigUint::try_from(mpint).unwrap();
    let private_key = rsa::RsaPrivateKey::from_components(
        number(&pair.public.n),
        number(&pair.public.e),
        number(&pair.private.d),
        vec![number(&pair.private.p), number(&pair.private.q)],
    )
    .unwrap();
    let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, MESSAGE).unwrap();
    let key = fixture!("keys/cy.pub");
    let public = PublicKey::parse(key.trim_end()).unwrap().blob;
    let check = |algorithm: &str, raw: &[u8]| {
        let signature = [string(algorithm.as_bytes()), string(raw)].concat();
        let armored = armor(&blob(&public, NAMESPACE, "sha512", &signature));
        verify(&armored, key, NAMESPACE, MESSAGE)
    };

    let sha512 = SigningKey::<rsa::sha2::Sha512>::new(private_key.clone()).sign(&signed);
    assert_eq!(
        check("rsa-sha2-512", &sha512.to_bytes()),
        Ok(Presence::Unproven)
    );
    let sha256 = SigningKey::<rsa::sha2::Sha256>::new(private_key).sign(&signed);
    for algorithm in ["rsa-sha2-256", "ssh-rsa"] {
        assert_eq!(
            check(algorithm, &sha256.to_bytes()),
            Err(Fault::Algorithm(algorithm.to_owned()))
        );
    }
    assert_eq!(
        check("rsa-sha2-512", &sha256.to_bytes()),
        Err(Fault::DoesNotVerify)
    );
}

#[test]
fn a_software_signature_does_not_pass_for_a_hardware_one() {
    let software = Key::ed25519(7);
    let hardware = Key::sk_ed25519(7);
    let raw = split(&unarmored(&software.sign(NAMESPACE, MESSAGE)))
        .unwrap()
        .signature
        .to_vec();
    // Its own algorithm under the hardware key, and relabelled with a touched trailer.
    let mislabelled = armor(&blob(&hardware.blob(), NAMESPACE, "sha512", &raw));
    assert_eq!(
        Signature::parse(&mislabelled).unwrap_err(),
        Fault::Algorithm("ssh-ed25519".to_owned())
    );
    let bytes = split_raw(&raw).unwrap().1;
    let relabelled = [
        string(b"sk-ssh-ed25519@openssh.com"),
        string(&bytes),
        b"\x01\0\0\0\x07".to_vec(),
    ]
    .concat();
    let relabelled = armor(&blob(&hardware.blob(), NAMESPACE, "sha512", &relabelled));
    assert_eq!(
        verify(&relabelled, &hardware.line(), NAMESPACE, MESSAGE),
        Err(Fault::DoesNotVerify)
    );
}

proptest! {
    #[test]
    fn no_flipped_bit_of_a_signature_verifies(byte in 0_usize..2000, bit in 0_u8..8) {
        for key in [Key::ed25519(8), Key::sk_ed25519(8), Key::sk_p256(8)] {
            let mut bytes = unarmored(&key.sign(NAMESPACE, MESSAGE));
            let place = byte.checked_rem(bytes.len()).unwrap();
            *bytes.get_mut(place).unwrap() ^= 1_u8.checked_shl(bit.into()).unwrap();
            prop_assert!(verify(&armor(&bytes), &key.line(), NAMESPACE, MESSAGE).is_err());
        }
    }

    #[test]
    fn no_truncation_of_a_signature_verifies(cut in 1_usize..400) {
        for key in [Key::ed25519(8), Key::sk_ed25519(8), Key::sk_p256(8)] {
            let mut bytes = unarmored(&key.sign(NAMESPACE, MESSAGE));
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert!(verify(&armor(&bytes), &key.line(), NAMESPACE, MESSAGE).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Signature::from_blob(&bytes).is_err());
        let prefixed = [&b"SSHSIG\0\0\0\x01"[..], &bytes].concat();
        prop_assert!(Signature::from_blob(&prefixed).is_err());
        prop_assert!(PublicKey::from_blob(&bytes).is_err());
    }
}
