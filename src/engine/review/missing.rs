//! What is still missing before a review yields a permit: the next steps of the people who wait for it.

use super::super::code::{Code, Refusal};
use super::super::policy::{AttestedTerms, ReviewType};
use super::{Judgement, Manifest};

/// The smallest set of things that are still missing; empty for a review that yields a permit.
///
/// Where there is an artifact, every reason against it; where there is none, all that one has to bring.
#[must_use]
pub fn missing(absent: &Refusal, asks: &ReviewType, judgement: Option<&Judgement>) -> Vec<Refusal> {
    let Some(judgement) = judgement else {
        let mut missing = vec![absent.clone()];
        match asks {
            ReviewType::Signers(terms) => {
                let humans = terms.min_cross_signers.max(2);
                let roles: Vec<&str> = terms
                    .reviewer_roles
                    .iter()
                    .map(|role| role.word())
                    .collect();
                missing.push(
                    Refusal::new(
                        Code::ReviewSignersInsufficient,
                        format!("{humans} distinct humans have to sign with their own keys, the reviewer among the signers"),
                    )
                    .detail("humans", humans.to_string())
                    .detail("reviewer_roles", roles.join(", "))
                    .detail("user_presence", terms.require_user_presence.to_string()),
                );
            }
            ReviewType::Attestations(AttestedTerms { attestations, .. }) => missing.push(
                Refusal::new(
                    Code::MissingRequiredDomain,
                    "every domain that the profile requires has to attest",
                )
                .detail("profile", attestations.profile.as_str())
                .detail("env", attestations.env.as_str()),
            ),
        }
        missing.push(
            Refusal::new(
                Code::ManifestMissing,
                "a manifest has to name the files that the decision is about",
            )
            .detail("folder", Manifest::FOLDER),
        );
        return missing;
    };
    let reasons: Vec<Refusal> = judgement.reasons().into_iter().cloned().collect();
    if reasons.is_empty() {
        judgement.reason().into_iter().collect()
    } else {
        reasons
    }
}
