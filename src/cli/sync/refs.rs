//! The refs that `sync` brings to the authority beside the streams: the governed ref before them, since they are
//! governed by it, and after them what rests on them. Each is one push, forward only.

use serde::Serialize;

use super::super::fault;
use super::super::remote::{Pushed, Remote};
use super::super::render::{BAD, GOOD, paint, safe};
use super::super::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::git::CommitId;

const HAP: &str = "refs/hap/";

/// What became of one ref.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    /// Its name at the authority.
    #[serde(rename = "ref")]
    name: String,
    commit: String,
    /// Whether this push moved it; what was there already is not pushed.
    pushed: bool,
    reason: &'static str,
    message: Option<String>,
    #[serde(skip)]
    refusal: Option<Refusal>,
}

impl Sent {
    pub(super) fn is_there(&self) -> bool {
        self.refusal.is_none()
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.clone()
    }

    pub(super) fn text(&self) -> String {
        let (style, word) = match (&self.refusal, self.pushed) {
            (Some(_), _) => (BAD, "not pushed"),
            (None, true) => (GOOD, "pushed"),
            (None, false) => (GOOD, "in sync"),
        };
        let mut text = format!("{} {}\n", safe(&self.name), paint(style, word));
        if let Some(refusal) = &self.refusal {
            let line = format!("{}: {}", refusal.code, refusal.message);
            text.push_str(&format!("  {}\n", safe(&line)));
        }
        text
    }
}

/// The refs of this repository, and the remote that they go to.
pub(super) struct Refs<'s> {
    pub(super) session: &'s Session,
    pub(super) remote: &'s Remote,
}

impl Refs<'_> {
    /// The full name of a branch or a tag that was named on the line.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a ref that is not there, or that goes its own way.
    pub(super) fn full_name(&self, name: &str) -> Result<String, Refusal> {
        if name.starts_with("refs/permit/") || name.starts_with(HAP) {
            let what = format!("`{name}` goes to the authority by itself");
            return Err(fault::input(what).next("name branches and tags only"));
        }
        let full = if name.starts_with("refs/") {
            vec![name.to_owned()]
        } else {
            vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
        };
        for full in full {
            if self.session.repository.ref_target(&full)?.is_some() {
                return Ok(full);
            }
        }
        Err(fault::input(format!("there is no ref `{name}` to push"))
            .next("name a branch or a tag that `git for-each-ref` lists"))
    }

    /// Sends the governed ref, or the branch that stands for it at the authority where it follows that.
    ///
    /// # Errors
    /// `UNGOVERNED`; whatever the authority refuses, since the streams stand on it.
    pub(super) fn send_governed(&self) -> Result<Sent, Refusal> {
        let there = self.session.governed_there(self.remote)?.ok_or_else(|| {
            let what = "`--governed` pushes the governed ref, and none is named";
            Refusal::new(Code::Ungoverned, what).next("permit trust REF --commit OID")
        })?;
        let sent = self.send(&self.full_name(&there)?)?;
        sent.refusal.clone().map_or(Ok(sent), Err)
    }

    /// Sends the records of the Human Agency Protocol, until one is refused.
    pub(super) fn send_hap(&self) -> Result<Vec<Sent>, Refusal> {
        let here = self.session.repository.refs_with_prefix(HAP)?;
        if here.is_empty() {
            return Ok(Vec::new());
        }
        let there = self.remote.tips(&[&format!("{HAP}*")])?;
        let names = here
            .into_iter()
            .filter(|(name, commit)| there.get(name) != Some(commit));
        self.send_all(names.map(|(name, _)| name))
    }

    /// Sends what was named on the line, until one is refused.
    pub(super) fn send_named(&self, names: &[String]) -> Result<Vec<Sent>, Refusal> {
        self.send_all(names.iter().cloned())
    }

    fn send_all(&self, names: impl Iterator<Item = String>) -> Result<Vec<Sent>, Refusal> {
        let mut all = Vec::new();
        for name in names {
            let sent = self.send(&name)?;
            let goes_on = sent.is_there();
            all.push(sent);
            if !goes_on {
                break;
            }
        }
        Ok(all)
    }

    fn send(&self, name: &str) -> Result<Sent, Refusal> {
        let ours = self.session.repository.ref_target(name)?;
        let ours = ours.ok_or_else(|| fault::input(format!("there is no ref `{name}` to push")))?;
        let result = self.bring_forward(name, ours);
        let refusal = result.as_ref().err().cloned();
        Ok(Sent {
            name: name.to_owned(),
            commit: ours.to_string(),
            pushed: result.unwrap_or(false),
            reason: refusal.as_ref().map_or(Code::Ok, |why| why.code).name(),
            message: refusal.as_ref().map(|why| why.message.clone()),
            refusal,
        })
    }

    /// Brings a ref of the authority to where it is here; tells whether it had to be moved. One that is further there
    /// stays.
    fn bring_forward(&self, name: &str, ours: CommitId) -> Result<bool, Refusal> {
        let theirs = self.remote.tip(name)?;
        if theirs == Some(ours) || self.is_further(name, ours, theirs)? {
            return Ok(false);
        }
        match self.remote.bring_forward(name, ours) {
            Pushed::Accepted => Ok(true),
            Pushed::Raced if self.remote.tip(name)? == Some(ours) => Ok(false),
            Pushed::Raced => {
                let what = format!(
                    "`{name}` at `{}` holds what this repository's does not go on from",
                    self.remote.name()
                );
                let next = format!(
                    "git fetch {} {name}, and go on from there",
                    self.remote.name()
                );
                Err(Refusal::new(Code::GitError, what).next(next))
            }
            Pushed::Refused(refusal) | Pushed::Unanswered(refusal) => Err(refusal),
        }
    }

    fn is_further(
        &self,
        name: &str,
        ours: CommitId,
        theirs: Option<CommitId>,
    ) -> Result<bool, Refusal> {
        let Some(theirs) = theirs else {
            return Ok(false);
        };
        let repository = &self.session.repository;
        if repository.read_commit(theirs).is_err() {
            self.remote.fetch(&[name])?;
        }
        // A tag may name no commit: then the push decides.
        Ok(repository
            .is_on_first_parent_chain(theirs, ours)
            .unwrap_or(false))
    }
}
