//! What a push adds to `refs/hap/*`, read as the engine reads it, and the commit that an attestation lies beside.

use super::commits::Commits;
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::Payload;
use crate::engine::hap::authority::Registry;
use crate::engine::hap::frame::Frame;
use crate::engine::hap::received;
use crate::git::{self, CommitId};

/// Reads the records that a push adds to one ref.
pub(crate) struct Received<'s> {
    session: &'s Session,
    base: Option<CommitId>,
    records: received::Received,
}

impl<'s> Received<'s> {
    /// Says what belongs on a ref; `base` is the governed commit whose registry and profiles count.
    pub(crate) fn at(
        session: &'s Session,
        base: Option<CommitId>,
        reference: &str,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            session,
            base,
            records: received::Received::at(reference)?,
        })
    }

    /// Goes on after the record that is there already.
    pub(crate) fn resume(&mut self, message: &[u8], time: u64) -> Result<(), Refusal> {
        self.records.resume(message, time)
    }

    /// Reads the next record.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED`, `CHAIN_TAMPERED`; the latter too for an attestation that is about another commit than its ref.
    pub(crate) fn take(&mut self, message: &[u8], time: u64) -> Result<(), Refusal> {
        let Some(payload) = self.records.take(message, time)? else {
            return Ok(());
        };
        let head = self.records.attested().map(str::parse::<CommitId>);
        let Some(Ok(head)) = head else {
            return Ok(());
        };
        if self.is_about(head, &payload)? {
            return Ok(());
        }
        let what = format!("the attestation is not about the commit {head} that its ref names");
        Err(Refusal::new(Code::ChainTampered, what)
            .detail("reason", Code::FrameHashMismatch.name()))
    }

    /// Whether a commit gives the frame that is attested to, in one of the repositories that the base registers.
    ///
    /// Where the repository lacks the commit, or the base has neither registry nor profile, nothing can be compared: the
    /// attestation is judged where somebody acts on it.
    fn is_about(&self, head: CommitId, payload: &Payload) -> Result<bool, Refusal> {
        let Some(base) = self.base else {
            return Ok(true);
        };
        match self.session.repository.read_commit(head) {
            Ok(_) => {}
            Err(git::Error::Missing { .. }) => return Ok(true),
            Err(other) => return Err(other.into()),
        }
        let commits = Commits::at(self.session, base, head)?;
        let known = Registry::read(commits.registry()?.found())
            .and_then(|registry| Ok((registry, commits.profile(&payload.profile_id)?)));
        let Ok((registry, profile)) = known else {
            return Ok(true);
        };
        let Ok(declaration) = commits.declaration() else {
            return Ok(false);
        };
        let sha = head.to_string();
        let repos = registry.organizations.iter().flat_map(|known| &known.repos);
        let envs = || payload.resolved_domains.iter().map(|domain| &domain.env);
        Ok(repos
            .flat_map(|repo| envs().map(move |env| (repo, env)))
            .filter_map(|(repo, env)| Frame::derive(&profile, &declaration, repo, &sha, env).ok())
            .any(|frame| frame.hash() == payload.frame_hash))
    }
}
