//! `permit hap request`: the whole context to standard error, then exactly the bytes that the owner signs.

use std::path::Path;

use super::args::{GateFiles, RequestArgs};
use super::commits;
use super::context::shown;
use crate::cli::outcome::Outcome;
use crate::cli::render::{DIM, WARN, note, paint, safe};
use crate::cli::session::Session;
use crate::cli::{fault, files};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::gate::GateTexts;
use crate::engine::hap::guides::{Facts, Finding, examine};
use crate::engine::hap::identity::NAMESPACE;
use crate::engine::hap::profile::Gate;
use crate::engine::hap::request::AttestRequest;
use crate::engine::hap::{names, provider};

/// The longest gate text, in bytes.
const MAX_TEXT: usize = 1 << 20;

pub(super) fn run(session: &Session, args: &RequestArgs) -> Result<Outcome, Refusal> {
    let (commits, case) = commits::resolve(session, &args.action.commits)?;
    let (path, env) = (&case.declaration.execution_path, &args.action.env);
    provider::check_scope(&case.profile, path, env, &args.domain)?;
    let frame = case.frame(env)?;
    note(shown(&case).trim_end());
    note(&format!("{} {}", paint(DIM, "env"), safe(env)));
    for warning in commits.warnings(&case)? {
        note(&format!("{}: {}", paint(WARN, "warning"), safe(&warning)));
    }
    for gate in Gate::ALL {
        if let Some(question) = case.profile.questions.get(&gate) {
            note(&format!("{} {}", paint(DIM, gate.key()), safe(question)));
        }
    }
    if !names::is_did(&args.did) {
        return Err(Refusal::new(
            Code::IdentityUnverified,
            format!("`{}` is no DID", args.did.escape_debug()),
        ));
    }
    let texts = Texts::read(&args.gates)?;
    let hashes = texts.as_gates().close(&case.profile);
    let owners = commits.owners().ok();
    let facts = Facts {
        did: Some(&args.did),
        owners: owners.as_ref().map(|(owners, _)| owners),
        required_domains: case.required_domains()?,
        commitment: Ok(()),
        gates: hashes.as_ref().map(|_| ()),
        context: &case.context,
    };
    heed(&examine(&facts))?;
    let request = AttestRequest {
        profile_id: case.declaration.profile.clone(),
        execution_path: path.clone(),
        frame_hash: frame.hash(),
        execution_context_hash: case.context.hash(),
        domain: args.domain.clone(),
        did: args.did.clone(),
        env: env.clone(),
        gate_content_hashes: hashes?,
    };
    note(&format!(
        "{} ssh-keygen -Y sign -n {NAMESPACE} -f KEY REQUEST",
        paint(DIM, "sign with")
    ));
    Ok(Outcome::raw("hap.request", request.to_bytes()?))
}

/// Shows what the structural guides found, and stops where one says so.
pub(super) fn heed(findings: &[Finding]) -> Result<(), Refusal> {
    for finding in findings {
        match finding.stop {
            Some(code) => {
                return Err(
                    Refusal::new(code, finding.message.clone()).detail("guide", finding.guide)
                );
            }
            None => note(&format!(
                "{}: {} ({})",
                paint(WARN, "warning"),
                safe(&finding.message),
                finding.guide
            )),
        }
    }
    Ok(())
}

/// The three texts, in memory only.
pub(super) struct Texts {
    problem: Vec<u8>,
    objective: Vec<u8>,
    tradeoffs: Vec<u8>,
}

impl Texts {
    fn read(paths: &GateFiles) -> Result<Self, Refusal> {
        Ok(Self {
            problem: read_text(&paths.problem)?,
            objective: read_text(&paths.objective)?,
            tradeoffs: read_text(&paths.tradeoffs)?,
        })
    }

    fn as_gates(&self) -> GateTexts<'_> {
        GateTexts {
            problem: &self.problem,
            objective: &self.objective,
            tradeoffs: &self.tradeoffs,
        }
    }
}

/// Reads the exact bytes of a gate's text.
pub(super) fn read_text(path: &Path) -> Result<Vec<u8>, Refusal> {
    let bytes = files::read(path, MAX_TEXT)?;
    if bytes.len() > MAX_TEXT {
        return Err(fault::input(format!(
            "`{}` is longer than 1 MiB",
            path.display()
        )));
    }
    Ok(bytes)
}
