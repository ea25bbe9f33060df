//! A base and a head as `permit hap` reads them: what confers trust from the base, what is attested to from the head.

use super::args::CommitsArgs;
use crate::cli::fault;
use crate::cli::session::{MAX_GOVERNED, Session};
use crate::engine::code::{Code, Refusal};
use crate::engine::hap::attestation::MAX_BLOB;
use crate::engine::hap::authority::{self, Registry};
use crate::engine::hap::context::{Action, ExecutionContext};
use crate::engine::hap::declaration::{self, Declaration};
use crate::engine::hap::frame::Frame;
use crate::engine::hap::owners::{self, Origin, Owners, Sources};
use crate::engine::hap::profile::{self, Profile};
use crate::engine::hap::providers::{self, TrustedProviders};
use crate::engine::hap::{Found, names};
use crate::git::{self, CommitId, Snapshot};

/// What a path holds at one commit, with its bytes.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Absent,
    File(Vec<u8>),
    Irregular,
}

impl Held {
    pub(super) fn found(&self) -> Found<'_> {
        match self {
            Held::Absent => Found::Absent,
            Held::File(bytes) => Found::File(bytes),
            Held::Irregular => Found::Irregular,
        }
    }
}

/// Reads what a path holds; what is there and cannot be read as a file is `Irregular`, an absent object is an error.
pub(super) fn held(snapshot: &Snapshot<'_>, path: &str) -> Result<Held, Refusal> {
    match snapshot.file(path, MAX_GOVERNED) {
        Ok(Some(blob)) => Ok(Held::File(blob.bytes)),
        Ok(None) => Ok(Held::Absent),
        Err(git::Error::NotRegular { .. } | git::Error::TooLarge { .. }) => Ok(Held::Irregular),
        Err(other) => Err(other.into()),
    }
}

/// Opens the commit at which a listing or a key is read: the given one, the governed ref, or else HEAD.
pub(super) fn snapshot_at<'s>(
    session: &'s Session,
    at: Option<&str>,
) -> Result<Snapshot<'s>, Refusal> {
    let rev = at.or(session.governed_ref()).unwrap_or("HEAD");
    let commit = session.governed_commit(rev)?;
    Ok(session.repository.snapshot(commit)?)
}

/// A base and a head.
pub(super) struct Commits<'s> {
    pub(super) session: &'s Session,
    pub(super) base: CommitId,
    pub(super) head: CommitId,
    /// Where what confers trust is read: the base, or the governed tip.
    trusted_at: CommitId,
    trust: Snapshot<'s>,
    head_tree: Snapshot<'s>,
}

/// An action as its commits describe it.
pub(super) struct Case {
    pub(super) repo: String,
    pub(super) declaration: Declaration,
    pub(super) profile: Profile,
    pub(super) context: ExecutionContext,
    sha: String,
}

impl Case {
    pub(super) fn frame(&self, env: &str) -> Result<Frame, Refusal> {
        Frame::derive(&self.profile, &self.declaration, &self.repo, &self.sha, env)
    }

    pub(super) fn required_domains(&self) -> Result<&[String], Refusal> {
        self.profile
            .path(&self.declaration.execution_path)
            .map(|path| path.required_domains.as_slice())
    }
}

impl<'s> Commits<'s> {
    /// Finds both commits; the base must be governed where a governed ref is configured.
    pub(super) fn open(session: &'s Session, base: &str, head: &str) -> Result<Self, Refusal> {
        let base = session.governed_commit(base)?;
        let head = session.repository.resolve(head)?;
        Self::at(session, base, head)
    }

    /// Reads two commits of which the base is known to be governed.
    pub(super) fn at(
        session: &'s Session,
        base: CommitId,
        head: CommitId,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            session,
            base,
            head,
            trusted_at: base,
            trust: session.repository.snapshot(base)?,
            head_tree: session.repository.snapshot(head)?,
        })
    }

    /// The same action, with all that confers trust read from the governed tip; nothing where the base is the tip, or no
    /// ref is governed. Who was removed since the base confers nothing.
    pub(super) fn at_tip(&self) -> Result<Option<Self>, Refusal> {
        let tip = self.session.governed_tip()?;
        let Some(tip) = tip.filter(|tip| *tip != self.base) else {
            return Ok(None);
        };
        self.trusting(tip).map(Some)
    }

    /// The same action, with all that confers trust read from another commit.
    pub(super) fn trusting(&self, commit: CommitId) -> Result<Self, Refusal> {
        let at_base = Self::at(self.session, self.base, self.head)?;
        Ok(Self {
            trusted_at: commit,
            trust: self.session.repository.snapshot(commit)?,
            ..at_base
        })
    }

    /// Says of a refusal that it is the governed tip's, which the base does not outlive.
    pub(super) fn of_tip(&self, refusal: Refusal) -> Refusal {
        let tip = self.trusted_at;
        Refusal {
            message: format!("at the governed tip {tip}: {}", refusal.message),
            ..refusal
        }
    }

    pub(super) fn at_base(&self, path: &str) -> Result<Held, Refusal> {
        held(&self.trust, path)
    }

    pub(super) fn at_head(&self, path: &str) -> Result<Held, Refusal> {
        held(&self.head_tree, path)
    }

    /// Tells whether any commit on base's first-parent chain ever had a path, whatever it was there.
    ///
    /// A history that is cut off is an error: absence in a shallow clone proves nothing.
    fn base_ever_had(&self, path: &str) -> Result<bool, Refusal> {
        for commit in self.session.repository.first_parents(self.trusted_at) {
            match self.session.repository.snapshot(commit?)?.entry(path) {
                Ok(None) => {}
                Ok(Some(_)) | Err(git::Error::NotRegular { .. }) => return Ok(true),
                Err(other) => return Err(other.into()),
            }
        }
        Ok(false)
    }

    pub(super) fn registry(&self) -> Result<Held, Refusal> {
        self.at_base(authority::PATH)
    }

    /// The forge's name of the repository: the given one, or the only one that the base's registry knows.
    pub(super) fn repo(&self, given: Option<&str>) -> Result<String, Refusal> {
        if let Some(name) = given {
            if names::is_repo(name) {
                return Ok(name.to_owned());
            }
            return Err(Refusal::new(
                Code::ExecutionContextViolation,
                format!(
                    "`{}` is no repository `<owner>/<name>`",
                    name.escape_debug()
                ),
            ));
        }
        let missing =
            || fault::input("which repository is it?").next("name it with `--repo owner/name`");
        let registry = Registry::read(self.registry()?.found()).map_err(|refusal| {
            if refusal.code == Code::OrganizationNotRegistered {
                missing()
            } else {
                refusal
            }
        })?;
        let mut repos = registry
            .organizations
            .into_iter()
            .flat_map(|organization| organization.repos);
        match (repos.next(), repos.next()) {
            (Some(only), None) => Ok(only),
            (_, _) => Err(missing()),
        }
    }

    pub(super) fn declaration(&self) -> Result<Declaration, Refusal> {
        Declaration::read(self.at_head(declaration::PATH)?.found())
    }

    /// The profile of an id, from the base.
    pub(super) fn profile(&self, id: &str) -> Result<Profile, Refusal> {
        let path = profile::path_of(id);
        let held = self.at_base(&path)?;
        // Only the shipped profile can stand in for a file, so only for it does history matter.
        let absent = matches!(held, Held::Absent) && id == profile::SHIPPED_ID;
        let had_before = absent && self.base_ever_had(&path)?;
        Profile::resolve(id, held.found(), had_before)
    }

    /// Resolves the action: declaration, profile, context (section 9.1).
    pub(super) fn case(&self, repo: &str) -> Result<Case, Refusal> {
        let declaration = self.declaration()?;
        let profile = self.profile(&declaration.profile)?;
        profile.path(&declaration.execution_path)?;
        let repository = &self.session.repository;
        let from = repository
            .merge_base(self.base, self.head)?
            .ok_or_else(|| {
                Refusal::new(
                    Code::ExecutionContextViolation,
                    "base and head have no common ancestor",
                )
            })?;
        let changed_paths = repository.changed_paths(from, self.head)?;
        let (sha, base_sha) = (self.head.to_string(), self.base.to_string());
        let action = Action {
            repo,
            sha: &sha,
            base_sha: &base_sha,
            changed_paths: &changed_paths,
        };
        let context = ExecutionContext::resolve(&profile, &declaration, &action)?;
        Ok(Case {
            repo: repo.to_owned(),
            declaration,
            profile,
            context,
            sha,
        })
    }

    /// Says who owns which domain for this action, and by which commit.
    pub(super) fn owners(&self) -> Result<(Owners, Origin), Refusal> {
        let (base, head) = (self.at_base(owners::PATH)?, self.at_head(owners::PATH)?);
        let absent = matches!(base, Held::Absent);
        let sources = Sources {
            base: base.found(),
            head: head.found(),
            base_history_had_it: absent && self.base_ever_had(owners::PATH)?,
            base_may_adopt: self
                .session
                .governed_tip()?
                .is_none_or(|tip| tip == self.trusted_at),
        };
        sources.resolve()
    }

    /// The providers that count: those that the caller names, or else the base's.
    pub(super) fn trusted(&self, keys: &[String]) -> Result<TrustedProviders, Refusal> {
        if keys.is_empty() {
            TrustedProviders::read(self.at_base(providers::PATH)?.found())
        } else {
            trusted_keys(keys)
        }
    }

    /// What a person who attests should notice about the action.
    pub(super) fn warnings(&self, case: &Case) -> Result<Vec<String>, Refusal> {
        let mut warnings = Vec::new();
        let (base, head) = (
            self.at_base(declaration::PATH)?,
            self.at_head(declaration::PATH)?,
        );
        if matches!((&base, &head), (Held::File(before), Held::File(after)) if before == after) {
            warnings.push(format!(
                "`{}` is unchanged since the base: this action inherits its path",
                declaration::PATH
            ));
        }
        let (base, head) = (self.at_base(owners::PATH)?, self.at_head(owners::PATH)?);
        let sources = Sources {
            base: base.found(),
            head: head.found(),
            base_history_had_it: false,
            base_may_adopt: false,
        };
        let required = case.required_domains()?;
        for domain in sources.changed_domains() {
            if !required.contains(&domain) {
                warnings.push(format!(
                    "the action changes who owns `{domain}`, which its path does not require to attest"
                ));
            }
        }
        let path = profile::path_of(&case.profile.id);
        let (base, head) = (self.at_base(&path)?, self.at_head(&path)?);
        if let Err(refusal) = Profile::check_unchanged(&case.profile.id, base.found(), head.found())
        {
            warnings.push(refusal.message);
        }
        if case.profile.deprecated {
            let until = case.profile.sunset.as_deref().unwrap_or("no date is set");
            warnings.push(format!(
                "profile `{}` is deprecated (sunset: {until})",
                case.profile.id
            ));
        }
        Ok(warnings)
    }

    /// Refuses an action that changes what its own profile's id means.
    pub(super) fn check_profile_unchanged(&self, id: &str) -> Result<(), Refusal> {
        let path = profile::path_of(id);
        let (base, head) = (self.at_base(&path)?, self.at_head(&path)?);
        Profile::check_unchanged(id, base.found(), head.found())
    }
}

/// Opens both commits and resolves the action.
pub(super) fn resolve<'s>(
    session: &'s Session,
    args: &CommitsArgs,
) -> Result<(Commits<'s>, Case), Refusal> {
    let commits = Commits::open(session, &args.base, &args.head)?;
    let repo = commits.repo(args.repo.as_deref())?;
    let case = commits.case(&repo)?;
    Ok((commits, case))
}

/// Trusts the keys that a caller names.
pub(super) fn trusted_keys(keys: &[String]) -> Result<TrustedProviders, Refusal> {
    let parsed = keys.iter().map(|key| {
        key.parse()
            .map_err(|error| fault::input(format!("`--sp-key {}` {error}", key.escape_debug())))
    });
    Ok(TrustedProviders::of_keys(
        parsed.collect::<Result<Vec<_>, Refusal>>()?,
    ))
}

/// Reads a file that holds an attestation's blob, without the line feed that may end it.
pub(crate) fn read_blob(path: &std::path::Path) -> Result<String, Refusal> {
    let mut bytes = crate::cli::files::read(path, MAX_BLOB)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    // What is not text is no blob either; the engine says so.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
