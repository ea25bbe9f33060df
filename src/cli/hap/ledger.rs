//! The refs under `refs/hap/`: what a provider issued, published and registered, appended by compare-and-swap.

use std::thread;
use std::time::Duration;

use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::record::Record;
use crate::git::{self, CommitId, EventBytes, EventFault, StreamRef, event_commit_bytes};

/// How often an append is tried again on a tip that another writer moved.
const TRIES: u32 = 200;

/// A ref with one commit per record.
pub(super) struct Ledger<'s> {
    reference: StreamRef<'s>,
    name: String,
}

impl<'s> Ledger<'s> {
    pub(super) fn new(session: &'s Session, name: &str) -> Result<Self, Refusal> {
        Ok(Self {
            reference: session.repository.stream(name)?,
            name: name.to_owned(),
        })
    }

    pub(super) fn tip(&self) -> Result<Option<CommitId>, Refusal> {
        Ok(self.reference.tip()?)
    }

    pub(super) fn read(&self, commit: CommitId) -> Result<EventBytes<'_>, Refusal> {
        self.reference
            .read_event(commit)
            .map_err(|fault| self.unreadable(commit, &fault))
    }

    /// Appends what is derived from the newest commit; derives again where another writer was faster.
    pub(super) fn append<T>(
        &self,
        mut derive: impl FnMut(Option<CommitId>) -> Result<(Record, T), Refusal>,
    ) -> Result<(CommitId, T), Refusal> {
        for turn in 0..TRIES {
            let tip = self.tip()?;
            let (record, derived) = derive(tip)?;
            let mut storing = self.reference.begin(tip);
            storing.push(event_commit_bytes(tip, record.time, &record.message))?;
            match self.reference.append(tip, storing) {
                Ok(id) => return Ok((id, derived)),
                Err(git::Error::Moved) => {
                    let spread = std::process::id().wrapping_mul(2_654_435_761) >> 22;
                    let wait = 200_u32
                        .saturating_mul(turn.min(20).saturating_add(1))
                        .saturating_add(spread);
                    thread::sleep(Duration::from_micros(u64::from(wait)));
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(Refusal::new(
            Code::Contention,
            format!(
                "other writers won every one of {TRIES} tries to append to `{}`",
                self.name
            ),
        ))
    }

    /// The commits, oldest first.
    pub(super) fn commits(&self) -> Result<Vec<CommitId>, Refusal> {
        let mut commits = Vec::new();
        let Some(tip) = self.tip()? else {
            return Ok(commits);
        };
        for found in self.reference.walk(tip) {
            match found {
                Ok(event) => commits.push(event.id()),
                Err((commit, fault)) => return Err(self.unreadable(commit, &fault)),
            }
        }
        commits.reverse();
        Ok(commits)
    }

    fn unreadable(&self, commit: CommitId, fault: &EventFault) -> Refusal {
        let code = match fault {
            EventFault::Missing => Code::ObjectMissing,
            EventFault::Failed(_) => Code::GitError,
            EventFault::Unreadable(_) | EventFault::Form(_) => Code::StreamMalformed,
        };
        Refusal::new(code, format!("`{}` at commit {commit}: {fault}", self.name))
    }
}
