//! Where decisions about a permit are recorded: its own stream.

use super::args::ExecArgs;
use super::{Ended, unguarded, unrecordable};
use crate::cli::args::Global;
use crate::cli::session::Session;
use crate::cli::stream::Stream;
use crate::cli::verify;
use crate::engine::chain::SealedEvent;
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Mode, Ran, exec_kind, result};
use crate::engine::permit::Permit;

/// Where decisions about a permit are recorded: its own stream.
pub(super) struct Ledger<'s> {
    stream: Stream<'s>,
    pub(super) permit: Permit,
    pub(super) mode: Mode,
}

impl<'s> Ledger<'s> {
    pub(super) fn new(session: &'s Session, permit: &Permit, mode: Mode) -> Result<Self, Refusal> {
        Ok(Self {
            stream: Stream::new(session, &permit.stream_id)?,
            permit: permit.clone(),
            mode,
        })
    }

    /// Records a "no"; in shadow the child runs all the same.
    pub(super) fn deny(&self, global: &Global, args: &ExecArgs, refusal: Refusal) -> Ended {
        // INVARIANT: what is appended about a permit that was not issued there is refused by the receive boundary for ever.
        let recorded = match self.is_issued() {
            Ok(()) => self.append(refusal.code, &Ran::default()),
            Err(_) if self.mode == Mode::Enforce => Ok(()),
            Err(unissued) => Err(unissued),
        };
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

    /// Tells whether the permit was issued on its stream.
    fn is_issued(&self) -> Result<(), Refusal> {
        let at = self.stream.existing_tip()?;
        verify::look(&self.stream, &self.permit, None, &at).map(drop)
    }

    /// Appends the result of a run, or of a "no".
    pub(super) fn append(&self, reason: Code, ran: &Ran) -> Result<(), Refusal> {
        self.stream
            .append(|before| {
                let at = before.ok_or_else(|| self.stream.missing())?;
                let event = SealedEvent::record(
                    exec_kind(reason, self.permit.decision),
                    &at.tip,
                    self.permit.policy_hash,
                    self.permit.request_fingerprint,
                    result(self.permit.permit_id, self.mode, reason, ran),
                )?;
                Ok((vec![event], ()))
            })
            .map(|_| ())
    }
}
