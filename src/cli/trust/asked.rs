//! The governed ref of the command line, which repeats the trust root and is none itself; `guard check` alone may be told
//! both on the command line.

use super::full_ref;
use crate::cli::fault;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository, is_ref_name};

/// What `guard check` may be told: a governed ref that nothing configures, and the commit that it must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// The commit, where one was given.
    pub(crate) trusted: Option<CommitId>,
}

/// Which ref governs, where the command line names one.
pub(super) enum Asked {
    /// The configured one, whatever name it was given.
    Configured,
    /// Another one, with the commit that it must hold.
    Told(String, CommitId),
}

/// Reads the governed ref of the command line.
///
/// # Errors
/// `COMMIT_NOT_GOVERNED` where it is not the configured one, or none is configured; `INVALID_INPUT` where the caller may
/// name another one and names no commit.
pub(super) fn read(
    repository: &Repository,
    given: &str,
    configured: Option<&str>,
    told: Option<Told>,
) -> Result<Asked, Refusal> {
    if let Some(configured) = configured
        && names(repository, given, configured)?
    {
        return Ok(Asked::Configured);
    }
    let name = full_ref(given.to_owned());
    match told {
        Some(Told {
            trusted: Some(commit),
        }) => Ok(Asked::Told(name, commit)),
        Some(Told { trusted: None }) => {
            let what = format!(
                "`{name}` is not the configured governed ref, and no commit says what it must hold"
            );
            Err(fault::input(what).next(
                "add `--trusted-commit OID`: a commit of that ref whose governance somebody looked at",
            ))
        }
        None => Err(other(&name, configured)),
    }
}

fn other(name: &str, configured: Option<&str>) -> Refusal {
    let (what, next) = match configured {
        Some(configured) => (
            format!("`--governed-ref` is `{name}`, and `{configured}` is what is trusted here"),
            format!("leave `--governed-ref` out, or give it as `{configured}`"),
        ),
        None => (
            format!("`--governed-ref` is `{name}`, and no governed ref is trusted here"),
            format!("run `permit trust {name}` on a terminal, or with `--commit OID`"),
        ),
    };
    Refusal::new(Code::CommitNotGoverned, what).next(next)
}

/// Whether a name is one that Git gives the ref too: shortened, or of a symbolic ref that leads to it.
fn names(repository: &Repository, given: &str, configured: &str) -> Result<bool, Refusal> {
    for place in ["", "refs/", "refs/heads/", "refs/remotes/"] {
        let name = format!("{place}{given}");
        if name == configured {
            return Ok(true);
        }
        // Only what can be the name of a ref is looked up.
        let may_be_symbolic = name == "HEAD" || is_ref_name(&name);
        if may_be_symbolic && repository.stands_for(&name)?.as_deref() == Some(configured) {
            return Ok(true);
        }
    }
    Ok(false)
}
