//! The people behind a review: reviewer, signers, and whether they are enough (reviews.md, Principals and Artifact).
//!
//! Two tables judge: the one before the artifact came in, and the governed commit's. Somebody who is only in the second
//! appointed themselves (`SELF_APPOINTMENT`); somebody who is only in the first is known no longer
//! (`PRINCIPAL_UNKNOWN`). The same with a key: only in the second `SELF_APPOINTMENT`, only in the first
//! `PRINCIPAL_REVOKED`, in neither it is not this principal's (`REVIEW_SIGNATURE_INVALID`). A listed signer who has not
//! signed yet is no false signature: the rules that count say so. An organization may sign, as the reviewer or beside
//! one, and never counts as a human.

use std::collections::BTreeSet;

use super::super::code::{Code, Refusal};
use super::super::policy::{BesideTerms, Role, SignerTerms};
use super::super::sshsig::{Fault, Presence, Signature};
use super::report::{Check, Finding, NO_REQUEST, NO_TABLE, Rule};
use super::{Artifact, Principal, PrincipalKind, Principals, SIGNATURE_NAMESPACE};

/// The fewest humans who have to sign, whatever a policy says.
const MIN_HUMANS: usize = 2;

/// How many humans have to sign, and with what.
pub(super) struct Demand {
    humans: usize,
    presence: bool,
}

impl Demand {
    /// What a review that people alone decide asks for.
    pub(super) fn of(terms: &SignerTerms) -> Self {
        Self {
            humans: count(terms.min_cross_signers).max(MIN_HUMANS),
            presence: terms.require_user_presence,
        }
    }

    /// What is asked for beside attestations: the reviewer at least.
    pub(super) fn beside_attestations(terms: &BesideTerms) -> Self {
        Self {
            humans: terms.min_cross_signers.map_or(1, count).max(1),
            presence: terms.require_user_presence.unwrap_or(false),
        }
    }
}

fn count(humans: u32) -> usize {
    usize::try_from(humans).unwrap_or(usize::MAX)
}

/// Both tables, where both are there.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) before: &'a Principals,
    pub(super) governed: &'a Principals,
}

/// One principal in both tables.
struct Standing<'a> {
    before: &'a Principal,
    governed: &'a Principal,
}

impl<'a> Tables<'a> {
    fn standing(self, id: &str) -> Result<Standing<'a>, Refusal> {
        match (self.before.get(id), self.governed.get(id)) {
            (Some(before), Some(governed)) => Ok(Standing { before, governed }),
            (None, Some(_)) => Err(Refusal::new(
                Code::SelfAppointment,
                format!("`{id}` was not in the table before the review came in"),
            )),
            (Some(_), None) => Err(Refusal::new(
                Code::PrincipalUnknown,
                format!("`{id}` is no longer in the governed commit's table"),
            )),
            (None, None) => Err(Refusal::new(
                Code::PrincipalUnknown,
                format!("`{id}` is in neither table"),
            )),
        }
    }
}

impl Standing<'_> {
    fn active(&self) -> Result<(), Refusal> {
        let revoked = |when: &str| {
            Err(Refusal::new(
                Code::PrincipalRevoked,
                format!("`{}` is revoked in {when}", self.governed.id),
            ))
        };
        if !self.before.is_active() {
            revoked("the table before the review came in")
        } else if !self.governed.is_active() {
            revoked("the governed commit's table")
        } else {
            Ok(())
        }
    }

    /// Refuses a key that is only in one of the tables; without a signature that tells which, tables that share no key.
    fn same_key(&self, signature: Option<&Signature>) -> Result<(), Refusal> {
        let id = &self.governed.id;
        let key = signature.map(Signature::key);
        let refused = |code, what: &str| {
            let refusal = Refusal::new(code, format!("the key of `{id}` {what}"));
            Err(match key {
                Some(key) => refusal.detail("key", key.fingerprint()),
                None => refusal,
            })
        };
        let appointed = "was not in the table before the review came in";
        match key.map(|key| (self.before.holds(key), self.governed.holds(key))) {
            Some((true, true)) => Ok(()),
            Some((false, true)) => refused(Code::SelfAppointment, appointed),
            Some((true, false)) => refused(
                Code::PrincipalRevoked,
                "is no longer in the governed commit's table",
            ),
            Some((false, false)) | None => {
                let keys = &self.governed.keys;
                if keys.is_empty() || keys.iter().any(|key| self.before.holds(key)) {
                    Ok(())
                } else {
                    refused(Code::SelfAppointment, appointed)
                }
            }
        }
    }
}

/// Checks the reviewer: kind, known, active, role. Without a list every role is admitted that the tables give.
pub(super) fn reviewer(
    artifact: &Artifact,
    tables: Option<Tables<'_>>,
    admitted: Option<&[Role]>,
    checks: &mut Vec<Check>,
) {
    let reviewer = &artifact.document().reviewer;
    let id = reviewer.principal.as_str();
    let (standing, who) = match (not_a_program(id), tables) {
        (Err(refusal), _) => (None, Finding::Fails(refusal)),
        (Ok(()), None) => (None, Finding::Unchecked(NO_TABLE)),
        (Ok(()), Some(tables)) => match tables.standing(id) {
            Err(refusal) => (None, Finding::Fails(refusal)),
            Ok(standing) => {
                let active = standing.active();
                (Some(standing), Finding::from(active))
            }
        },
    };
    checks.push(Check::new(Rule::Reviewer, who));

    let role = reviewer.role;
    let invalid = |message: String| Err(Refusal::new(Code::ReviewRoleInvalid, message));
    let word = role.word();
    let role = if let Some(admitted) = admitted.filter(|admitted| !admitted.contains(&role)) {
        let admitted: Vec<&str> = admitted.iter().map(|role| role.word()).collect();
        invalid(format!("the review type does not admit the role `{word}`"))
            .map_err(|refusal: Refusal| refusal.detail("admitted", admitted.join(", ")))
            .into()
    } else if let Some(standing) = standing {
        let holds = |principal: &Principal| principal.roles.contains(&role);
        if !holds(standing.before) {
            invalid(format!(
                "`{id}` did not hold the role `{word}` before the review came in"
            ))
            .into()
        } else if holds(standing.governed) {
            Finding::Holds
        } else {
            invalid(format!("`{id}` no longer holds the role `{word}`")).into()
        }
    } else {
        Finding::Unchecked("the reviewer's standing is not known")
    };
    checks.push(Check::new(Rule::ReviewerRole, role));
}

/// As [`reviewer`], and demands a human: an attestation review is not an organization's.
pub(super) fn human_reviewer(
    artifact: &Artifact,
    tables: Option<Tables<'_>>,
    admitted: Option<&[Role]>,
    checks: &mut Vec<Check>,
) {
    let first = checks.len();
    reviewer(artifact, tables, admitted, checks);
    let id = &artifact.document().reviewer.principal;
    if PrincipalKind::of_id(id) == Some(PrincipalKind::Organization)
        && let Some(check) = checks.get_mut(first)
    {
        let what = format!("`{id}` is not a human, and a review of attestations is a human's");
        check.finding = Finding::Fails(Refusal::new(Code::ReviewRoleInvalid, what));
    }
}

/// Checks each listed signer in order, whether the reviewer is among those who signed, and whether they are enough.
pub(super) fn signers(
    artifact: &Artifact,
    tables: Option<Tables<'_>>,
    demand: &Demand,
    actor: Option<&str>,
    checks: &mut Vec<Check>,
) {
    let document = artifact.document();
    let mut unsigned = Vec::new();
    let mut humans = BTreeSet::new();
    for id in &document.cross_signers {
        let armored = artifact.signature_of(id);
        if armored.is_none() {
            unsigned.push(id.as_str());
        }
        let sound = signer(artifact, id, armored, tables, demand, actor, checks);
        if let Some(material) = sound
            && PrincipalKind::of_id(id) == Some(PrincipalKind::Human)
        {
            humans.insert(material);
        }
    }

    checks.push(Check::new(
        Rule::ReviewerSigned,
        reviewer_signed(artifact, &unsigned),
    ));
    checks.push(Check::new(
        Rule::SignerCount,
        enough(artifact, &unsigned, humans.len(), demand),
    ));
}

/// Demands that the reviewer is listed and has signed. Where nobody has signed yet, the review waits for people, and the
/// count says so.
fn reviewer_signed(artifact: &Artifact, unsigned: &[&str]) -> Finding {
    let document = artifact.document();
    let reviewer = document.reviewer.principal.as_str();
    let missing = |what: &str| {
        Finding::Fails(
            Refusal::new(
                Code::ReviewReviewerUnsigned,
                format!("the reviewer `{reviewer}` {what}"),
            )
            .next(sign_step(artifact, reviewer)),
        )
    };
    if !document.cross_signers.iter().any(|id| id == reviewer) {
        missing("is not among the cross-signers")
    } else if unsigned.len() == document.cross_signers.len() {
        Finding::Unchecked("nobody has signed yet")
    } else if unsigned.contains(&reviewer) {
        missing("has not signed")
    } else {
        Finding::Holds
    }
}

fn sign_step(artifact: &Artifact, signer: &str) -> String {
    format!(
        "permit review sign {} --as {signer} --key FILE",
        artifact.document().review_id
    )
}

/// Counts the keys of humans whose every rule holds: distinct keys of distinct humans.
//
// INVARIANT: cross-signers are distinct, and a table gives no key to two principals, so keys and humans are as many.
fn enough(
    artifact: &Artifact,
    unsigned: &[&str],
    humans: usize,
    demand: &Demand,
) -> Result<(), Refusal> {
    let asked = demand.humans;
    let insufficient = |message: String| Refusal::new(Code::ReviewSignersInsufficient, message);
    if let Some(first) = unsigned.first() {
        return Err(insufficient(format!(
            "{} of the listed signers {} not signed yet",
            unsigned.len(),
            if unsigned.len() == 1 { "has" } else { "have" }
        ))
        .detail("unsigned", unsigned.join(", "))
        .next(sign_step(artifact, first)));
    }
    if humans < asked {
        return Err(insufficient(format!(
            "{humans} of the {asked} distinct humans that are asked for have validly signed"
        )));
    }
    Ok(())
}

/// Checks one signer; returns the material of the key that signed, if every rule holds.
fn signer(
    artifact: &Artifact,
    id: &str,
    armored: Option<&str>,
    tables: Option<Tables<'_>>,
    demand: &Demand,
    actor: Option<&str>,
    checks: &mut Vec<Check>,
) -> Option<Vec<u8>> {
    let first = checks.len();
    let signature = armored.map(Signature::parse);
    let readable = signature
        .as_ref()
        .and_then(|signature| signature.as_ref().ok());
    let standing = person(id, readable, tables, actor, checks);

    let mut push = |rule, finding: Finding| checks.push(Check::about(rule, id, finding));
    let (signature_finding, presence) = match (&signature, &standing) {
        (None, _) => (Finding::Unchecked(UNSIGNED), None),
        (Some(Err(fault)), _) => (invalid_signature(id, fault).into(), None),
        (Some(Ok(_)), None) => (
            Finding::Unchecked("the signer's standing is not known"),
            None,
        ),
        (Some(Ok(signature)), Some(standing)) => verified(artifact, signature, standing),
    };
    push(Rule::SignerSignature, signature_finding);
    push(Rule::SignerPresence, presence_finding(id, presence, demand));

    let sound = checks
        .iter()
        .skip(first)
        .all(|check| check.finding.holds() || check.finding == Finding::Unchecked(NO_REQUEST));
    readable
        .filter(|_| sound)
        .map(|signature| signature.key().material().to_vec())
}

/// Checks what does not take a signature of everybody whom the artifact names: the reviewer and the cross-signers.
pub(super) fn named(
    artifact: &Artifact,
    tables: Option<Tables<'_>>,
    actor: Option<&str>,
    checks: &mut Vec<Check>,
) {
    let document = artifact.document();
    let mut ids: BTreeSet<&str> = document.cross_signers.iter().map(String::as_str).collect();
    ids.insert(&document.reviewer.principal);
    for id in ids {
        person(id, None, tables, actor, checks);
    }
}

/// Checks who a signer is: known, a human or an organization, active with the key that signed, not the actor.
fn person<'a>(
    id: &str,
    signature: Option<&Signature>,
    tables: Option<Tables<'a>>,
    actor: Option<&str>,
    checks: &mut Vec<Check>,
) -> Option<Standing<'a>> {
    let mut push = |rule, finding: Finding| checks.push(Check::about(rule, id, finding));

    let standing = tables.map(|tables| tables.standing(id));
    push(
        Rule::SignerKnown,
        match &standing {
            None => Finding::Unchecked(NO_TABLE),
            Some(Err(refusal)) => Finding::Fails(refusal.clone()),
            Some(Ok(_)) => Finding::Holds,
        },
    );
    let standing = standing.and_then(Result::ok);
    push(Rule::SignerKind, not_a_program(id).into());

    push(
        Rule::SignerActive,
        match &standing {
            None => Finding::Unchecked("the signer's standing is not known"),
            Some(standing) => standing
                .active()
                .and_then(|()| standing.same_key(signature))
                .into(),
        },
    );
    push(
        Rule::SignerNotActor,
        match actor {
            None => Finding::Unchecked(NO_REQUEST),
            Some(actor) if actor == id => Finding::Fails(Refusal::new(
                Code::ReviewSelfApproval,
                format!("`{id}` is the actor of the request"),
            )),
            Some(_) => Finding::Holds,
        },
    );
    standing
}

/// What a rule waits for: a signature.
const UNSIGNED: &str = "not signed yet";

fn invalid_signature(id: &str, fault: &Fault) -> Result<(), Refusal> {
    Err(Refusal::new(
        Code::ReviewSignatureInvalid,
        format!("the signature of `{id}` does not hold: {fault}"),
    ))
}

/// Verifies a signature by a key of the signer; presence is what a signature that fits says of it.
fn verified(
    artifact: &Artifact,
    signature: &Signature,
    standing: &Standing<'_>,
) -> (Finding, Option<Result<Presence, Fault>>) {
    let id = &standing.governed.id;
    let key = signature.key();
    if !standing.governed.holds(key) && !standing.before.holds(key) {
        let finding = invalid_signature(id, &Fault::AnotherKey)
            .map_err(|refusal| refusal.detail("signed with", key.fingerprint()));
        return (finding.into(), None);
    }
    match signature.verify(key, SIGNATURE_NAMESPACE, artifact.message()) {
        Ok(presence) => (Finding::Holds, Some(Ok(presence))),
        Err(Fault::PresenceMissing) => (Finding::Holds, Some(Err(Fault::PresenceMissing))),
        Err(fault) => (invalid_signature(id, &fault).into(), None),
    }
}

fn presence_finding(
    id: &str,
    presence: Option<Result<Presence, Fault>>,
    demand: &Demand,
) -> Finding {
    let missing = |what: &str| {
        Finding::Fails(Refusal::new(
            Code::ReviewPresenceMissing,
            format!("the signature of `{id}` does not show presence: {what}"),
        ))
    };
    match presence {
        None => Finding::Unchecked("there is no signature that verifies"),
        Some(Err(fault)) => missing(&fault.to_string()),
        Some(Ok(Presence::Unproven)) if demand.presence => {
            missing("the review type asks for a hardware key that is touched")
        }
        Some(Ok(Presence::Unproven | Presence::Touched)) => Finding::Holds,
    }
}

/// Refuses agents and services, which the prefix of an id gives away.
fn not_a_program(id: &str) -> Result<(), Refusal> {
    match PrincipalKind::of_id(id) {
        Some(PrincipalKind::Human | PrincipalKind::Organization) => Ok(()),
        Some(PrincipalKind::AutomatedAgent | PrincipalKind::Service) | None => Err(Refusal::new(
            Code::ReviewAgentForbidden,
            format!("`{id}` is neither a human nor an organization"),
        )),
    }
}
