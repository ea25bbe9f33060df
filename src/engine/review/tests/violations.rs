//! Every line of the validity list, violated one at a time.

use serde_json::{Value as Json, json};

use super::super::*;
use super::world::{KeySpec, Signing, World, alter, hex, set, without};
use crate::engine::code::Code;
use crate::engine::digest::{Digest, EventHash};
use crate::engine::policy::Role;

/// One line violated: its name, what it spoils, its place in the page's order, the reason it gives, and how.
///
/// Two violations that spoil the same thing are not paired.
pub(super) type Violation = (&'static str, &'static str, u32, Code, fn(&mut World));

pub(super) fn keys(specs: &[KeySpec]) -> Json {
    specs.iter().map(|spec| spec.key().line()).collect()
}

pub(super) const VIOLATIONS: &[Violation] = &[
    ("unknown field", "structure", 10, Code::InvalidReview, |w| {
        set(&mut w.artifact, "approved", json!(true));
    }),
    (
        "signature of somebody who is not listed",
        "structure",
        10,
        Code::InvalidReview,
        |w| {
            w.signing
                .push(Signing::new("human:cy", KeySpec::Software(3)));
        },
    ),
    (
        "two signatures of one human",
        "structure",
        10,
        Code::InvalidReview,
        |w| {
            w.signing
                .push(Signing::new("human:bo", KeySpec::Software(2)));
        },
    ),
    ("test scope", "scope", 20, Code::ReviewTestScope, |w| {
        set(&mut w.artifact, "scope", json!("test_scope"));
    }),
    ("file name", "name", 30, Code::ReviewMismatch, |w| {
        w.file_name = Some(format!("{}.review.json", hex(9)));
    }),
    (
        "file name in capitals",
        "name",
        30,
        Code::ReviewMismatch,
        |w| {
            w.file_name = Some(
                w.artifact
                    .get("review_id")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_uppercase()
                    + ".review.json",
            );
        },
    ),
    ("review id", "id", 30, Code::ReviewMismatch, |w| {
        set(&mut w.artifact, "review_id", json!(hex(9)));
    }),
    ("another policy", "policy", 30, Code::ReviewMismatch, |w| {
        w.policy_hash = 9;
    }),
    (
        "another request",
        "request",
        30,
        Code::ReviewMismatch,
        |w| w.fingerprint = 9,
    ),
    (
        "another review type",
        "type",
        30,
        Code::ReviewMismatch,
        |w| w.review_type = "other",
    ),
    ("address", "address", 40, Code::ReviewScopeMismatch, |w| {
        set(
            &mut w.artifact,
            "scope_address",
            json!("tool:deploy.prod/service/other"),
        );
    }),
    (
        "no table before",
        "before",
        50,
        Code::PrincipalsMissing,
        |w| w.before = None,
    ),
    (
        "malformed table before",
        "before",
        50,
        Code::InvalidPrincipals,
        |w| w.before = Some(json!({})),
    ),
    (
        "no table now",
        "governed",
        50,
        Code::PrincipalsMissing,
        |w| w.governed = None,
    ),
    (
        "reviewer is an agent",
        "reviewer",
        60,
        Code::ReviewAgentForbidden,
        |w| {
            set(
                &mut w.artifact,
                "reviewer",
                json!({"principal": "agent:codex", "role": "council"}),
            );
        },
    ),
    (
        "reviewer is a service",
        "reviewer",
        60,
        Code::ReviewAgentForbidden,
        |w| {
            set(
                &mut w.artifact,
                "reviewer",
                json!({"principal": "service:ci", "role": "council"}),
            );
        },
    ),
    (
        "reviewer is an unknown agent",
        "reviewer",
        60,
        Code::ReviewAgentForbidden,
        |w| {
            set(
                &mut w.artifact,
                "reviewer",
                json!({"principal": "agent:x", "role": "council"}),
            );
        },
    ),
    (
        "reviewer is unknown",
        "reviewer",
        60,
        Code::PrincipalUnknown,
        |w| {
            set(
                &mut w.artifact,
                "reviewer",
                json!({"principal": "human:nobody", "role": "council"}),
            );
        },
    ),
    (
        "reviewer appointed themselves",
        "ana",
        60,
        Code::SelfAppointment,
        |w| {
            without(&mut w.before, "human:ana");
        },
    ),
    (
        "reviewer is revoked now",
        "ana",
        60,
        Code::PrincipalRevoked,
        |w| {
            alter(&mut w.governed, "human:ana", "status", &json!("revoked"));
        },
    ),
    ("role not held", "role", 70, Code::ReviewRoleInvalid, |w| {
        for table in [&mut w.before, &mut w.governed] {
            for id in ["human:ana", "human:cy"] {
                alter(table, id, "roles", &json!(["domain_admin"]));
            }
        }
    }),
    (
        "role not admitted",
        "admitted",
        70,
        Code::ReviewRoleInvalid,
        |w| {
            w.terms.reviewer_roles = vec![Role::Sovereign];
        },
    ),
    (
        "an agent signs",
        "agent",
        81,
        Code::ReviewAgentForbidden,
        |w| {
            w.add_signer("agent:codex", KeySpec::Software(5));
        },
    ),
    (
        "an unknown agent signs",
        "agent",
        80,
        Code::PrincipalUnknown,
        |w| {
            w.add_signer("agent:x", KeySpec::Software(9));
        },
    ),
    (
        "ana signed for git",
        "ana signs",
        104,
        Code::ReviewSignatureInvalid,
        |w| w.signing_of("human:ana").namespace = "git",
    ),
    (
        "presence required, software keys",
        "presence",
        105,
        Code::ReviewPresenceMissing,
        |w| {
            w.terms.require_user_presence = true;
        },
    ),
    ("bo is unknown", "bo", 200, Code::PrincipalUnknown, |w| {
        without(&mut w.before, "human:bo");
        without(&mut w.governed, "human:bo");
    }),
    (
        "bo was removed since",
        "bo",
        200,
        Code::PrincipalUnknown,
        |w| without(&mut w.governed, "human:bo"),
    ),
    (
        "bo appointed themselves",
        "bo",
        200,
        Code::SelfAppointment,
        |w| without(&mut w.before, "human:bo"),
    ),
    (
        "bo was revoked before",
        "bo",
        202,
        Code::PrincipalRevoked,
        |w| {
            alter(&mut w.before, "human:bo", "status", &json!("revoked"));
        },
    ),
    (
        "bo is revoked now",
        "bo",
        202,
        Code::PrincipalRevoked,
        |w| {
            alter(&mut w.governed, "human:bo", "status", &json!("revoked"));
        },
    ),
    ("bo has a new key", "bo", 202, Code::SelfAppointment, |w| {
        alter(
            &mut w.before,
            "human:bo",
            "keys",
            &keys(&[KeySpec::Software(12)]),
        );
    }),
    (
        "bo's key was withdrawn",
        "bo signs",
        202,
        Code::PrincipalRevoked,
        |w| {
            alter(
                &mut w.governed,
                "human:bo",
                "keys",
                &keys(&[KeySpec::Software(12)]),
            );
        },
    ),
    (
        "bo is the actor",
        "actor",
        203,
        Code::ReviewSelfApproval,
        |w| w.actor = "human:bo",
    ),
    (
        "bo signed with another key",
        "bo signs",
        204,
        Code::ReviewSignatureInvalid,
        |w| {
            w.signing_of("human:bo").key = KeySpec::Software(13);
        },
    ),
    (
        "bo signed for another namespace",
        "bo signs",
        204,
        Code::ReviewSignatureInvalid,
        |w| {
            w.signing_of("human:bo").namespace = "file";
        },
    ),
    (
        "bo's signature is truncated",
        "bo signs",
        204,
        Code::ReviewSignatureInvalid,
        |w| {
            w.afterwards.push(|artifact| {
                if let Some(signed) = artifact.pointer_mut("/signatures/1/sshsig") {
                    *signed = json!(signed.as_str().unwrap().split_at(120).0);
                }
            });
        },
    ),
    (
        "the reviewer is not a signer",
        "reviewer",
        300,
        Code::ReviewReviewerUnsigned,
        |w| {
            set(
                &mut w.artifact,
                "reviewer",
                json!({"principal": "human:cy", "role": "council"}),
            );
        },
    ),
    (
        "too few humans",
        "count",
        310,
        Code::ReviewSignersInsufficient,
        |w| w.terms.min_cross_signers = 3,
    ),
    ("no manifest", "manifest", 400, Code::ManifestMissing, |w| {
        w.manifest = None;
    }),
    (
        "malformed manifest",
        "manifest",
        400,
        Code::InvalidManifest,
        |w| w.manifest = Some(json!({})),
    ),
    (
        "manifest without artifacts",
        "manifest",
        400,
        Code::InvalidManifest,
        |w| {
            set(w.manifest.as_mut().unwrap(), "artifacts", json!([]));
        },
    ),
    (
        "manifest with another purpose",
        "manifest",
        400,
        Code::ManifestMismatch,
        |w| {
            set(w.manifest.as_mut().unwrap(), "purpose", json!("another"));
        },
    ),
    (
        "another manifest under the name",
        "manifest",
        400,
        Code::ManifestMismatch,
        |w| {
            let other = Manifest::new(
                "other",
                vec![Listed {
                    path: "a".to_owned(),
                    sha256: Digest::new([0; 32]),
                    size: 0,
                }],
            );
            w.manifest = Some(serde_json::to_value(other.unwrap()).unwrap());
            w.found = vec![Found::File {
                sha256: Digest::new([0; 32]),
                size: 0,
            }];
        },
    ),
    (
        "artifact absent",
        "found",
        400,
        Code::ManifestMismatch,
        |w| w.found = vec![Found::Absent],
    ),
    (
        "artifact is a folder",
        "found",
        400,
        Code::InvalidManifest,
        |w| w.found = vec![Found::NotAFile],
    ),
    (
        "artifact changed",
        "found",
        400,
        Code::ManifestMismatch,
        |w| {
            w.found = vec![Found::File {
                sha256: Digest::new([1; 32]),
                size: 10,
            }];
        },
    ),
    (
        "artifact not looked for",
        "found",
        400,
        Code::ManifestMismatch,
        |w| w.found = Vec::new(),
    ),
    (
        "another stream",
        "stream",
        500,
        Code::ReviewAnchorMismatch,
        |w| w.stream = "other",
    ),
    (
        "anchor not on the stream",
        "anchor",
        500,
        Code::ReviewAnchorMismatch,
        |w| w.anchor = AnchorFact::Missing,
    ),
    (
        "another event at the anchor",
        "anchor",
        500,
        Code::ReviewAnchorMismatch,
        |w| {
            w.anchor = AnchorFact::Event(EventHash::new([9; 32]));
        },
    ),
    (
        "anchor is the event decided",
        "sequence",
        500,
        Code::ReviewAnchorMismatch,
        |w| w.sequence = 41,
    ),
    ("consumed", "issued", 510, Code::ReviewConsumed, |w| {
        w.issued = 1;
    }),
    ("rejected", "verdict", 520, Code::ReviewRejected, |w| {
        set(&mut w.artifact, "verdict", json!("reject"));
    }),
    ("deferred", "verdict", 520, Code::ReviewDeferred, |w| {
        set(&mut w.artifact, "verdict", json!("defer"));
    }),
    (
        "target outside the condition",
        "verdict",
        530,
        Code::ReviewConditionViolated,
        |w| {
            set(&mut w.artifact, "verdict", json!("approve_with_conditions"));
            set(
                &mut w.artifact,
                "conditions",
                json!([{"type": "target_prefix", "prefix": "service/api"}]),
            );
        },
    ),
];
