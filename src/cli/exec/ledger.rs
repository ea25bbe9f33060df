//! Where decisions about a permit are recorded: its own stream.

use super::args::ExecArgs;
use super::{Ended, unguarded, unrecordable};
use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::stream::Stream;
use crate::engine::chain::SealedEvent;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Fingerprint, PermitId, PolicyHash};
use crate::engine::enforce::{Mode, Ran, exec_kind, result};
use crate::engine::permit::Permit;
use crate::engine::policy::Effect;

/// Where decisions about a permit are recorded: its own stream.
pub(super) struct Ledger<'s> {
    stream: Stream<'s>,
    pub(super) permit_id: PermitId,
    policy_hash: PolicyHash,
    request_fingerprint: Fingerprint,
    decision: Effect,
    pub(super) mode: Mode,
}

impl<'s> Ledger<'s> {
    pub(super) fn new(session: &'s Session, permit: &Permit, mode: Mode) -> Result<Self, Refusal> {
        Ok(Self {
            stream: Stream::new(session, &permit.stream_id)?,
            permit_id: permit.permit_id,
            policy_hash: permit.policy_hash,
            request_fingerprint: permit.request_fingerprint,
            decision: permit.decision,
            mode,
        })
    }

    /// Records a "no"; in shadow the child runs all the same.
    pub(super) fn deny(&self, global: &Global, args: &ExecArgs, refusal: Refusal) -> Ended {
        let recorded = self.append(refusal.code, &Ran::default());
        let mut ended = match self.mode {
            Mode::Enforce => Ended::default(),
            Mode::Shadow | Mode::Off => unguarded(global, args),
        };
        if ended.refusal.is_none() {
            ended.refusal = Some(refusal);
        }
        if let Err(refusal) = recorded {
            unrecordable(&mut ended, self.mode, refusal);
        }
        ended
    }

    /// Appends the result of a run, or of a "no".
    pub(super) fn append(&self, reason: Code, ran: &Ran) -> Result<(), Refusal> {
        self.stream
            .append(|before| {
                let at = before.ok_or_else(|| self.stream.missing())?;
                let event = SealedEvent::record(
                    exec_kind(reason, self.decision),
                    &at.tip,
                    self.policy_hash,
                    self.request_fingerprint,
                    result(self.permit_id, self.mode, reason, ran),
                )?;
                Ok((vec![event], ()))
            })
            .map(|_| ())
    }
}
