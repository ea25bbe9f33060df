//! The governed ref here and at the authority: never back behind what was seen, and never other than what was judged.

use super::super::outcome::Outcome;
use super::super::remote::Remote;
use super::super::render;
use super::Session;
use crate::engine::code::{Code, Refusal};
use crate::git::{self, CommitId, Subject};

impl Session {
    /// Whose memory holds here: that of the authority, where there is one.
    pub(super) fn whose(&self) -> Option<&str> {
        self.authority.as_ref().map(Remote::name)
    }

    /// What every result says of how fresh the state is that it was decided by.
    pub(crate) fn freshness(&self) -> &'static str {
        if self.asked.get() { "fetched" } else { "local" }
    }

    /// Says in a result how fresh the state is that it was decided by.
    pub(crate) fn say_freshness(&self, outcome: &mut Outcome) {
        outcome.set("freshness", self.freshness());
        if self.offline {
            outcome.set("offline", true);
        }
    }

    /// Refuses a governed tip that does not contain the newest that was seen. Costs the commits since then.
    pub(super) fn check_forward(
        &self,
        name: &str,
        tip: CommitId,
        newest: CommitId,
    ) -> Result<(), Refusal> {
        let is_here = match self.repository.read_commit(newest) {
            Ok(_) => true,
            Err(git::Error::Missing { .. }) => false,
            Err(other) => return Err(other.into()),
        };
        if tip == newest || (is_here && self.repository.is_on_first_parent_chain(tip, newest)?) {
            return Ok(());
        }
        let what = format!(
            "the governed ref `{name}` is at {tip}, which does not contain {newest}, the newest commit that was seen"
        );
        let next = if is_here {
            format!("git update-ref {name} {newest}")
        } else {
            "find out who moved it, and fetch what was there".to_owned()
        };
        Err(Refusal::new(Code::GovernedStale, what)
            .detail("remembered", newest.to_string())
            .detail("found", tip.to_string())
            .next(next))
    }

    /// Remembers the governed tip that an accepted append was judged by; with an authority only one that it holds.
    pub(crate) fn remember_governed(&self) {
        let (Some(name), Some(tip)) = (self.governed_ref(), self.judged.get()) else {
            return;
        };
        if self.authority.is_some() && self.confirmed.get() != Some(tip) {
            return;
        }
        let _lock = self.repository.lock_memory();
        let places = [None, self.whose()];
        let count = if self.authority.is_some() { 2 } else { 1 };
        for place in places.into_iter().take(count) {
            let newest = super::recall(&self.repository, place, Subject::Governed(name));
            let forward = |newest| self.check_forward(name, tip, newest).is_ok();
            if newest == Some(tip) || !newest.is_none_or(forward) {
                continue;
            }
            let kept = self
                .repository
                .remember(place, Subject::Governed(name), tip);
            if let Err(error) = kept {
                let what = format!("the tip of `{name}` could not be remembered: {error}");
                render::note(&render::safe(&what));
            }
        }
    }

    /// The governed ref's name at the authority; nothing where no ref is governed.
    ///
    /// # Errors
    /// `INVALID_INPUT` where it follows another remote.
    pub(crate) fn governed_there(&self, remote: &Remote) -> Result<Option<String>, Refusal> {
        let Some(name) = self.governed_ref() else {
            return Ok(None);
        };
        let Some(tracking) = name.strip_prefix("refs/remotes/") else {
            return Ok(Some(name.to_owned()));
        };
        let branch = tracking
            .strip_prefix(remote.name())
            .and_then(|rest| rest.strip_prefix('/'));
        let branch = branch.ok_or_else(|| {
            let what = format!(
                "the governed ref `{name}` follows another remote than `{}`, which `permit.remote` names",
                remote.name()
            );
            super::fault::input(what)
                .next(format!("git config permit.remote {}", tracking.split('/').next().unwrap_or_default()))
        })?;
        Ok(Some(format!("refs/heads/{branch}")))
    }

    /// Asks the authority for governed ref and stream, and brings what is not here, before anything is decided.
    ///
    /// # Errors
    /// `GIT_ERROR` where it cannot be asked; `GOVERNED_STALE` where its governed ref went back, or is not where it is here.
    pub(crate) fn refresh(&self, stream_id: &str) -> Result<(), Refusal> {
        let Some(remote) = self.authority.as_ref().filter(|_| !self.offline) else {
            return Ok(());
        };
        let name = format!("{}{stream_id}", super::super::stream::STREAMS);
        let tip = self.look(remote, Some(&name))?;
        self.fresh.replace(Some((name, tip)));
        Ok(())
    }

    /// Brings a governed ref that follows the authority's to where that is, before streams are compared.
    ///
    /// # Errors
    /// As [`Session::refresh`].
    pub(crate) fn follow_governed(&self) -> Result<(), Refusal> {
        let follows = self
            .governed_ref()
            .is_some_and(|name| name.starts_with("refs/remotes/"));
        if let Some(remote) = self.authority.as_ref().filter(|_| follows && !self.offline) {
            self.look(remote, None)?;
        }
        Ok(())
    }

    /// Where a stream is at the authority, while its governed ref is the one that is judged by.
    ///
    /// # Errors
    /// As [`Session::refresh`].
    pub(crate) fn ask(&self, remote: &Remote, stream: &str) -> Result<Option<CommitId>, Refusal> {
        match self.fresh.take() {
            Some((name, tip)) if name == stream => Ok(tip),
            _ => self.look(remote, Some(stream)),
        }
    }

    fn look(&self, remote: &Remote, stream: Option<&str>) -> Result<Option<CommitId>, Refusal> {
        let governed = self.governed_there(remote)?;
        let names: Vec<&str> = governed.as_deref().into_iter().chain(stream).collect();
        let tips = remote.tips(&names)?;
        let lacking: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| {
                tips.get(*name)
                    .is_some_and(|tip| self.repository.read_commit(*tip).is_err())
            })
            .collect();
        remote.fetch(&lacking)?;
        if let (Some(here), Some(there)) = (self.governed_ref(), &governed) {
            let tip = tips.get(there).copied().ok_or_else(|| {
                let what = format!("the remote `{}` holds no `{there}`", remote.name());
                Refusal::new(Code::GitError, what)
                    .next(format!("git push {} {there}", remote.name()))
            })?;
            self.meet_governed(remote, here, there, tip)?;
        }
        self.asked.set(true);
        Ok(stream.and_then(|stream| tips.get(stream).copied()))
    }

    /// Brings the governed ref to where the authority has it, or refuses.
    fn meet_governed(
        &self,
        remote: &Remote,
        here: &str,
        there: &str,
        tip: CommitId,
    ) -> Result<(), Refusal> {
        if let Some(newest) = super::recall(
            &self.repository,
            Some(remote.name()),
            Subject::Governed(here),
        ) {
            self.check_forward(there, tip, newest)?;
        }
        let judged = self.judged.get();
        let present = self.repository.ref_target(here)?;
        if judged.or(present) == Some(tip) {
            self.confirmed.set(Some(tip));
            return Ok(());
        }
        let stale = |what: &str| {
            Refusal::new(
                Code::GovernedStale,
                format!(
                    "the governed ref is at {tip} at `{}`, {what}",
                    remote.name()
                ),
            )
        };
        if judged.is_some() {
            return Err(stale("not where it was judged").next("run the command again"));
        }
        if !here.starts_with("refs/remotes/") {
            let next = format!(
                "git pull --ff-only {} {there}, or push what is here",
                remote.name()
            );
            return Err(stale("and elsewhere here").next(next));
        }
        if let Some(present) = present {
            self.check_forward(there, tip, present)?;
        }
        self.repository.stream(here)?.swap(present, tip)?;
        self.confirmed.set(Some(tip));
        Ok(())
    }
}
