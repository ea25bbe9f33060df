//! `permit review sign`: one more signature on a review in the work tree, by `ssh-keygen` or from a file.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::ledger::TableAt;
use super::super::outcome::Outcome;
use super::super::render::{self, DIM, WARN, paint, safe};
use super::super::review_args::ReviewSignArgs;
use super::super::session::Session;
use super::super::work_folder::WorkFolder;
use super::super::{fault, files};
use super::inquiry::signed;
use super::{read_draft, review_id};
use crate::engine::code::{Code, Refusal};
use crate::engine::review::{Artifact, PrincipalKind, SIGNATURE_NAMESPACE};
use crate::engine::sshsig::{self, Signature};

/// The longest signature file, in bytes.
const MAX_SIGNATURE: usize = 1 << 16;

pub(super) fn run(session: &Session, args: &ReviewSignArgs) -> Result<Outcome, Refusal> {
    let id = review_id(&args.id)?;
    let root = session.work_tree()?;
    let artifact = read_draft(root, id)?;
    let (Some(principal), false) = (&args.principal, args.with.message) else {
        return Ok(Outcome::raw("review.sign", artifact.message()));
    };
    let mut warnings = Vec::new();
    let table = table(session, principal, &mut warnings)?;
    let armored = match (&args.with.key, &args.with.signature) {
        (Some(key), _) => {
            render::note(&summary(&artifact, principal));
            ssh_keygen(key, artifact.message())?
        }
        (None, Some(path)) => {
            let bytes = files::read(path, MAX_SIGNATURE)?;
            String::from_utf8(bytes).map_err(|_| invalid("the signature is not text"))?
        }
        (None, None) => return Err(Refusal::new(Code::Internal, "nothing to sign with")),
    };
    // A file that went through another system may have gained carriage returns.
    let armored = armored.replace("\r\n", "\n");
    check(&artifact, principal, &armored, &table)?;
    let artifact = artifact.signed_by(principal, &armored)?;
    let path = Artifact::path_of(id);
    WorkFolder::open(session)?.write(&path, &artifact.to_file()?)?;
    let waiting: Vec<&str> = {
        let signed = signed(artifact.document());
        let all = artifact.document().cross_signers.iter();
        all.map(String::as_str)
            .filter(|signer| !signed.contains(signer))
            .collect()
    };
    let next = match waiting.first() {
        Some(other) => format!("permit review sign {id} --as {other} --key FILE"),
        None => format!("git add {path}, and commit it through a pull request"),
    };
    let mut text = format!("signed by {}\n", safe(principal));
    for other in &waiting {
        text.push_str(&format!(
            "{} {}\n",
            paint(WARN, "still to be signed by"),
            safe(other)
        ));
    }
    let mut outcome = Outcome::ok("review.sign")
        .field("review_id", id)
        .field("path", &path)
        .field("principal", principal)
        .field("missing_signers", waiting)
        .next(next)
        .text(text);
    outcome.warnings = warnings;
    Ok(outcome)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::ReviewSignatureInvalid, message)
}

/// The governed commit's table; refuses a program as a signer, and warns of a person whom the table does not know.
fn table(
    session: &Session,
    principal: &str,
    warnings: &mut Vec<String>,
) -> Result<TableAt, Refusal> {
    match PrincipalKind::of_id(principal) {
        Some(PrincipalKind::Human | PrincipalKind::Organization) => {}
        Some(PrincipalKind::AutomatedAgent | PrincipalKind::Service) => {
            return Err(Refusal::new(
                Code::ReviewAgentForbidden,
                format!("`{principal}` is neither a human nor an organization"),
            ));
        }
        None => {
            return Err(fault::input(format!(
                "`{principal}` is not the id of a principal"
            )));
        }
    }
    let commit = session.governed_at(None)?;
    let table = TableAt::load(session, &session.repository.snapshot(commit)?)?;
    let known = match &table {
        TableAt::Sound(principals) => principals.get(principal).is_some(),
        TableAt::Missing | TableAt::Invalid(_) => false,
    };
    if !known {
        warnings.push(format!(
            "`{principal}` is not in the principals table of {commit}; the signature will not count before it is"
        ));
    }
    Ok(table)
}

/// What somebody is about to sign, in words.
fn summary(artifact: &Artifact, principal: &str) -> String {
    let document = artifact.document();
    let mut text = format!(
        "{} signs `{}` of {}\n",
        safe(principal),
        document.verdict.word(),
        safe(&document.scope_address)
    );
    for (name, value) in [
        ("request", document.request_fingerprint.to_string()),
        ("manifest", document.manifest_envelope_id.to_string()),
        (
            "reviewer",
            format!(
                "{} as {}",
                document.reviewer.principal,
                document.reviewer.role.word()
            ),
        ),
        (
            "conditions",
            serde_json::to_string(&document.conditions).unwrap_or_default(),
        ),
        ("reason", document.reason.clone()),
    ] {
        text.push_str(&paint(DIM, &format!("  {name}: {}\n", safe(&value))));
    }
    text.trim_end().to_owned()
}

/// Has the stock program sign, so that agents, hardware keys and passphrases work.
fn ssh_keygen(key: &Path, message: &[u8]) -> Result<String, Refusal> {
    let failed = |what: String| {
        Refusal::new(Code::IoError, what).next(
            "sign elsewhere: `permit review sign ID --message`, `ssh-keygen -Y sign -n permit.review.v1`, then `--signature FILE`",
        )
    };
    if key.to_string_lossy().starts_with('-') {
        return Err(fault::input("the key is not a file"));
    }
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", SIGNATURE_NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot run `ssh-keygen`: {error}")))?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(message),
        None => Ok(()),
    };
    let output = child
        .wait_with_output()
        .map_err(|error| failed(format!("cannot run `ssh-keygen`: {error}")))?;
    if !output.status.success() || written.is_err() {
        return Err(failed(format!(
            "`ssh-keygen` did not sign with `{}`",
            key.display()
        )));
    }
    String::from_utf8(output.stdout).map_err(|_| invalid("`ssh-keygen` printed no signature"))
}

/// Verifies the signature before it is written: by a key of the principal, where the table knows them.
fn check(
    artifact: &Artifact,
    principal: &str,
    armored: &str,
    table: &TableAt,
) -> Result<(), Refusal> {
    let refuse = |fault: sshsig::Fault| {
        let code = if fault == sshsig::Fault::PresenceMissing {
            Code::ReviewPresenceMissing
        } else {
            Code::ReviewSignatureInvalid
        };
        Refusal::new(code, format!("the signature is not attached: {fault}"))
    };
    let signature = Signature::parse(armored).map_err(refuse)?;
    signature
        .verify(signature.key(), SIGNATURE_NAMESPACE, artifact.message())
        .map_err(refuse)?;
    if let TableAt::Sound(principals) = table
        && let Some(known) = principals.get(principal)
        && !known.holds(signature.key())
    {
        return Err(invalid(format!(
            "the signature is not attached: it is not by a key of `{principal}`"
        ))
        .detail("signed with", signature.key().fingerprint()));
    }
    Ok(())
}
