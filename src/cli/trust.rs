//! The trust root: the ref that governs, the commit that it is pinned to, and who judges what came after.

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

/// What runs before there is anything to trust, and says itself what comes next.
const BEFORE_TRUST: [&str; 2] = ["init", "hap.onboard"];

/// Who judges the changes of governance that stand on the governed ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Governance {
    /// Every deciding command, from the pinned commit on.
    Reviewed,
    /// Nobody here: whatever stands on the ref governs.
    Ref,
}

/// What a repository trusts.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// The governed ref's full name.
    pub(crate) governed_ref: Option<String>,
    /// The commit that the governed ref's first-parent chain must hold.
    pub(crate) pin: Option<CommitId>,
    pub(crate) governance: Governance,
    /// Whether the caller accepts that nothing is governed.
    ungoverned: bool,
}

impl Trust {
    /// Reads what the repository's configuration and the arguments say.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a value that says nothing.
    pub(crate) fn read(repository: &Repository, global: &Global) -> Result<Self, Refusal> {
        let name = match &global.governed_ref {
            Some(name) => Some(name.clone()),
            None => repository.config_string(GOVERNED_REF)?,
        };
        let governed_ref = name.map(full_ref);
        let pin = repository.config_string(TRUSTED_COMMIT)?;
        let pin = pin.map(|text| text.parse().map_err(|_| no_commit(&text)));
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
            pin: pin.transpose()?,
            governance,
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
    }
}

fn no_commit(text: &str) -> Refusal {
    fault::input(format!(
        "`{TRUSTED_COMMIT}` is `{text}`, not the id of a commit"
    ))
    .next("run `permit trust REF --commit OID --replace REF --reason TEXT`")
}

/// The full name of the governed ref; a plain name is a branch's.
fn full_ref(name: String) -> String {
    if name.starts_with("refs/") {
        name
    } else {
        format!("refs/heads/{name}")
    }
}
