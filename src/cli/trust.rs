//! The trust root: the ref that governs, the commit that it is pinned to, and who judges what came after.

mod asked;
pub(crate) mod command;
mod granted;
mod host;
mod keys;

pub(crate) use asked::Told;
pub(crate) use granted::Granted;

use asked::Asked;

use super::args::Global;
use super::fault;
use super::outcome::Outcome;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository};

/// The key that names the governed ref.
pub(crate) const GOVERNED_REF: &str = "permit.governedRef";
/// The key that pins a commit which the governed ref must hold.
pub(crate) const TRUSTED_COMMIT: &str = "permit.trustedCommit";
/// The key that says who judges changes of governance.
pub(crate) const GOVERNANCE: &str = "permit.governance";

/// The key that says which half of the work may be done here.
pub(crate) const ROLE: &str = "permit.role";

/// What runs before there is anything to trust, and says itself what comes next.
const BEFORE_TRUST: [&str; 2] = ["init", "hap.onboard"];

/// What says to people that the user who runs agents can change the trust root; in JSON every result does.
const SAYS_WHO: [&str; 3] = ["guard.status", "status", "trust"];

/// Who judges the changes of governance that stand on the governed ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Governance {
    /// Every deciding command, from the pinned commit on.
    Reviewed,
    /// Nobody here: whatever stands on the ref governs.
    Ref,
}

/// Which half of the work this repository's user may do (core.md section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Both,
    Supervisor,
    Executor,
}

impl Role {
    /// The role of a word; nothing for another word.
    fn of(word: &str) -> Option<Self> {
        match word {
            "supervisor" => Some(Self::Supervisor),
            "executor" => Some(Self::Executor),
            _ => None,
        }
    }
}

/// What a repository trusts.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// The governed ref's full name.
    pub(crate) governed_ref: Option<String>,
    /// The commit that the governed ref's first-parent chain must hold.
    pub(crate) pin: Option<CommitId>,
    pub(crate) governance: Governance,
    pub(crate) role: Role,
    /// Whether the machine's administrator named it, so that the user who runs agents cannot change it.
    by_host: bool,
    /// Whether the command line names ref and commit, which nothing here configures.
    by_command_line: bool,
    /// Whether the caller accepts that nothing is governed.
    ungoverned: bool,
}

impl Trust {
    /// Reads what the machine, the repository's configuration and the arguments say, and what `guard check` is told.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a value that says nothing, and for a key that stands where it does not count or that nothing
    /// reads; `COMMIT_NOT_GOVERNED` where the machine or the arguments say otherwise.
    pub(crate) fn read(
        repository: &Repository,
        global: &Global,
        told: Option<Told>,
    ) -> Result<Self, Refusal> {
        keys::check(repository)?;
        let host = host::read(repository)?;
        let mut governed_ref = repository.config_string(GOVERNED_REF)?.map(full_ref);
        let pin = repository.config_string(TRUSTED_COMMIT)?;
        let pin = pin.map(|text| text.parse().map_err(|_| no_commit(&text)));
        let mut pin: Option<CommitId> = pin.transpose()?;
        let mut role = repository.config_string(ROLE)?;
        if let Some(host) = &host {
            host.check(&[
                (GOVERNED_REF, governed_ref.clone()),
                (TRUSTED_COMMIT, pin.map(|pin| pin.to_string())),
                (ROLE, role.clone()),
            ])?;
            governed_ref = Some(host.governed_ref.clone());
            pin = Some(host.commit);
            role = host.role.clone().or(role);
        }
        // What the machine says, nobody can be told otherwise.
        let told = told.filter(|_| host.is_none());
        let asked = global.governed_ref.as_deref();
        let asked = asked.map(|name| asked::read(repository, name, governed_ref.as_deref(), told));
        let by_command_line = match asked.transpose()? {
            Some(Asked::Told(name, commit)) => {
                (governed_ref, pin) = (Some(name), Some(commit));
                true
            }
            Some(Asked::Configured) | None => false,
        };
        let role = match role {
            None => Role::Both,
            Some(word) => Role::of(&word).ok_or_else(|| {
                fault::input(format!("`{ROLE}` is `{word}`")).next(format!(
                    "git config {ROLE} supervisor, or executor, or unset it"
                ))
            })?,
        };
        let remote_tracking = |name: &String| name.starts_with("refs/remotes/");
        let governance =
            match repository.config_string(GOVERNANCE)?.as_deref() {
                Some("reviewed") => Governance::Reviewed,
                None if governed_ref.as_ref().is_some_and(remote_tracking) => Governance::Reviewed,
                None | Some("ref") => Governance::Ref,
                Some(other) => {
                    return Err(fault::input(format!("`{GOVERNANCE}` is `{other}`")).next(
                        format!("git config {GOVERNANCE} reviewed, or ref, or unset it"),
                    ));
                }
            };
        Ok(Self {
            governed_ref,
            pin,
            governance,
            role,
            by_host: host.is_some(),
            by_command_line,
            ungoverned: global.ungoverned,
        })
    }

    /// Refuses to decide where no ref is governed and the caller does not accept that.
    ///
    /// # Errors
    /// `UNGOVERNED`.
    pub(crate) fn named(&self) -> Result<(), Refusal> {
        match (&self.governed_ref, self.governance, self.pin) {
            (None, ..) if self.ungoverned => Ok(()),
            (None, ..) => Err(Refusal::new(
                Code::Ungoverned,
                "no governed ref is named, so that nothing here says who governs",
            )),
            (Some(name), Governance::Reviewed, None) => Err(Refusal::new(
                Code::Ungoverned,
                format!(
                    "governance of `{name}` is judged from a pinned commit on, and none is pinned"
                ),
            )
            .next(format!(
                "run `permit trust {name}` on a terminal, or with `--commit OID`"
            ))),
            (Some(_), ..) => Ok(()),
        }
    }

    /// Says in a result what it rests on.
    pub(crate) fn say(&self, outcome: &mut Outcome) {
        outcome.set("governed_ref", &self.governed_ref);
        if self.governed_ref.is_none() {
            outcome.set("ungoverned", true);
            if !BEFORE_TRUST.contains(&outcome.command) {
                outcome.remarks.push(
                    "ungoverned: no governed ref is named, nothing here says who governs"
                        .to_owned(),
                );
            }
            return;
        }
        let word = match self.governance {
            Governance::Reviewed => "reviewed",
            Governance::Ref => "unreviewed",
        };
        outcome.set("governance", word);
        outcome.set("trust_root", if self.by_host { "host" } else { "user" });
        if self.by_command_line {
            // What only the authority's own repository or a trusted clone knows was not looked at.
            outcome.set("trust", "command line");
            outcome.set("landing", "unchecked");
            outcome.set("claims", "unchecked");
        }
        if !self.by_host && SAYS_WHO.contains(&outcome.command) {
            outcome.remarks.push(format!(
                "the user who runs agents here can change the trust root: no {} names it",
                host::PLACE
            ));
        }
    }
}

fn no_commit(text: &str) -> Refusal {
    fault::input(format!(
        "`{TRUSTED_COMMIT}` is `{text}`, not the id of a commit"
    ))
    .next(format!(
        "git config --unset-all {TRUSTED_COMMIT}, then run `permit trust REF --commit OID`"
    ))
}

/// The full name of a governed ref; a plain name is a branch's.
fn full_ref(name: String) -> String {
    if name.starts_with("refs/") {
        name
    } else {
        format!("refs/heads/{name}")
    }
}
