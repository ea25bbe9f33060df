//! What every command that needs a repository begins with: the repository, its trust root and its role.

mod authority;

use std::cell::{Cell, RefCell};
use std::env;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::args::{Format, Global};
use super::cache::Cache;
use super::fault;
use super::ledger::Memory;
use super::outcome::Outcome;
use super::remote::Remote;
use super::reviewed;
use super::stream::recall;
use super::trust::{Governance, Role, Told, Trust};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::CommitSha;
use crate::engine::policy::Policy;
use crate::git::{self, CommitId, EntryKind, History, ObjectId, Repository, Snapshot, Subject};

/// The largest governed file, in bytes (core.md section 1).
pub(crate) const MAX_GOVERNED: u64 = 8 << 20;

const POLICY_FOLDER: &str = "governance/policy";

/// A repository with what its configuration says of trust.
pub(crate) struct Session {
    pub(crate) repository: Repository,
    pub(crate) format: Format,
    /// The repository that accepts events, where it is not this one (enforcement.md).
    pub(crate) authority: Option<Remote>,
    pub(crate) trust: Trust,
    /// Whether the authority is not asked, as the caller wants it.
    pub(crate) offline: bool,
    /// What the authority said of a stream before anything was decided, for the first append.
    fresh: RefCell<Option<(String, Option<CommitId>)>>,
    /// The governed tip that was judged by, once it was read.
    judged: Cell<Option<CommitId>>,
    /// The commit that was asked for, or taken where none was asked for.
    at: Cell<Option<CommitId>>,
    /// The governed tip that the authority holds, once it was asked.
    confirmed: Cell<Option<CommitId>>,
    /// Whether the authority was asked before anything was decided.
    asked: Cell<bool>,
    /// Policies that were parsed, by the id of their bytes.
    policies: Cache<ObjectId, Rc<Policy>>,
    /// What was read from the review ledger.
    pub(crate) ledger: Memory,
}

/// What it takes to open the same repository once more, in another thread.
pub(crate) struct Opener {
    git_dir: PathBuf,
    format: Format,
    trust: Trust,
    authority: Option<Remote>,
    offline: bool,
}

impl Opener {
    /// Opens the repository in the thread of this number.
    pub(crate) fn open(&self, thread: usize) -> Result<Session, Refusal> {
        Ok(Session {
            repository: Repository::open_in_thread(&self.git_dir, thread)?,
            format: self.format,
            trust: self.trust.clone(),
            policies: Cache::default(),
            ledger: Memory::default(),
            authority: self.authority.clone(),
            offline: self.offline,
            fresh: RefCell::default(),
            judged: Cell::new(None),
            at: Cell::new(None),
            confirmed: Cell::new(None),
            asked: Cell::new(false),
        })
    }
}

/// What somebody is about to do, as far as `permit.role` separates it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Issue, open, record.
    Supervise,
    /// Use, execute.
    Execute,
}

/// A governed commit: what it holds and the policy there.
pub(crate) struct Governed<'s> {
    pub(crate) commit: CommitId,
    pub(crate) snapshot: Snapshot<'s>,
    pub(crate) policy: Rc<Policy>,
}

impl Governed<'_> {
    /// The commit as records name it.
    pub(crate) fn sha(&self) -> CommitSha {
        sha(self.commit)
    }
}

/// A commit id as records name it.
pub(crate) fn sha(commit: CommitId) -> CommitSha {
    CommitSha::new(*commit.as_bytes())
}

/// A commit that a record names, as Git finds it.
pub(crate) fn commit_id(sha: CommitSha) -> CommitId {
    CommitId::new(*sha.as_bytes())
}

impl Session {
    /// Opens the repository that the arguments, `GIT_DIR` or the working directory name.
    pub(crate) fn open(global: &Global) -> Result<Self, Refusal> {
        let (start, git_dir) = place(global);
        Self::of(Repository::open(&start, git_dir.as_deref())?, global, None)
    }

    /// Opens it for `guard check`, which may be told which ref governs and what commit that must hold.
    pub(crate) fn check(global: &Global, told: Told) -> Result<Self, Refusal> {
        let (start, git_dir) = place(global);
        let repository = Repository::open(&start, git_dir.as_deref())?;
        Self::of(repository, global, Some(told))
    }

    /// Opens the repository while Git receives a push, with the objects of the quarantine that Git names; each ref is read
    /// once, so that the whole push is judged by one state.
    pub(crate) fn receive(global: &Global) -> Result<Self, Refusal> {
        let (start, git_dir) = place(global);
        let Some(quarantine) = env::var_os("GIT_QUARANTINE_PATH").map(PathBuf::from) else {
            let repository = Repository::open(&start, git_dir.as_deref())?;
            return Self::of(repository.holding_refs(), global, None);
        };
        let alternates = env::var_os("GIT_ALTERNATE_OBJECT_DIRECTORIES").unwrap_or_default();
        let alternates: Vec<PathBuf> = env::split_paths(&alternates)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let repository =
            Repository::open_quarantined(&start, git_dir.as_deref(), &quarantine, &alternates)?;
        Self::of(repository.holding_refs(), global, None)
    }

    fn of(repository: Repository, global: &Global, told: Option<Told>) -> Result<Self, Refusal> {
        let trust = Trust::read(&repository, global, told)?;
        let authority = Remote::configured(&repository)?;
        Ok(Self {
            repository,
            authority,
            offline: global.offline,
            fresh: RefCell::default(),
            judged: Cell::new(None),
            at: Cell::new(None),
            confirmed: Cell::new(None),
            asked: Cell::new(false),
            format: global.format,
            trust,
            policies: Cache::default(),
            ledger: Memory::default(),
        })
    }

    /// What it takes to open the same repository once more.
    pub(crate) fn opener(&self) -> Opener {
        Opener {
            git_dir: self.repository.git_dir().to_owned(),
            format: self.format,
            trust: self.trust.clone(),
            authority: self.authority.clone(),
            offline: self.offline,
        }
    }

    /// The governed ref's name, as output shows it.
    pub(crate) fn governed_ref(&self) -> Option<&str> {
        self.trust.governed_ref.as_deref()
    }

    /// The governed ref's newest commit; nothing where no ref is governed.
    ///
    /// # Errors
    /// `COMMIT_NOT_GOVERNED` where the ref does not exist, `GOVERNED_STALE` where it went back.
    pub(crate) fn governed_tip(&self) -> Result<Option<CommitId>, Refusal> {
        let Some(name) = &self.trust.governed_ref else {
            return Ok(None);
        };
        if let Some(tip) = self.judged.get() {
            return Ok(Some(tip));
        }
        // Memory first: what is remembered by now is in the ref that is read after it.
        let newest = recall(&self.repository, self.whose(), Subject::Governed(name));
        let tip = self.repository.ref_target(name)?;
        let tip = tip.ok_or_else(|| no_such_ref(name))?;
        if let Some(newest) = newest {
            self.check_forward(name, tip, newest)?;
        }
        self.judged.set(Some(tip));
        Ok(Some(tip))
    }

    /// Refuses to go on where the governed ref does not exist: nothing here can be said by a state that is not there.
    ///
    /// A ref that follows the authority's may not be fetched yet; whoever asks the authority brings it.
    ///
    /// # Errors
    /// `COMMIT_NOT_GOVERNED`.
    pub(crate) fn resolves(&self) -> Result<(), Refusal> {
        let Some(name) = self.governed_ref() else {
            return Ok(());
        };
        let is_brought = self.authority.is_some() && name.starts_with("refs/remotes/");
        if is_brought || self.repository.ref_target(name)?.is_some() {
            return Ok(());
        }
        Err(no_such_ref(name))
    }

    /// The governed ref's first-parent history, for many questions about it; nothing where no ref is governed.
    ///
    /// # Errors
    /// `COMMIT_NOT_GOVERNED` where the ref does not exist.
    pub(crate) fn governed_history(&self) -> Result<Option<History>, Refusal> {
        Ok(self.governed_tip()?.map(History::new))
    }

    /// Refuses what the repository's role does not cover.
    pub(crate) fn allow(&self, act: Act) -> Result<(), Refusal> {
        let (role, what) = match (self.trust.role, act) {
            (Role::Executor, Act::Supervise) => ("executor", "issue, open or record"),
            (Role::Supervisor, Act::Execute) => ("supervisor", "use or execute"),
            (Role::Both, _)
            | (Role::Supervisor, Act::Supervise)
            | (Role::Executor, Act::Execute) => {
                return Ok(());
            }
        };
        Err(Refusal::new(
            Code::RoleForbidden,
            format!("the repository's role `{role}` may not {what}"),
        ))
    }

    /// Refuses to decide where no trust root is named, or where its governance does not stand.
    ///
    /// # Errors
    /// `UNGOVERNED`; `COMMIT_NOT_GOVERNED` where the governed ref is not there or lacks the pinned commit; and what
    /// [`reviewed::check`] finds.
    pub(crate) fn decide(&self) -> Result<(), Refusal> {
        self.trust.named()?;
        let (Some(tip), Some(pin)) = (self.governed_tip()?, self.trust.pin) else {
            return Ok(());
        };
        if !self.repository.is_on_first_parent_chain(tip, pin)? {
            let name = self.governed_ref().unwrap_or_default();
            let what =
                format!("the pinned commit {pin} is not on the first-parent chain of `{name}`");
            return Err(Refusal::new(Code::CommitNotGoverned, what));
        }
        match self.trust.governance {
            Governance::Reviewed => reviewed::check(self, pin, tip),
            Governance::Ref => Ok(()),
        }
    }

    /// Says in a result which repository it is about and what that trusts.
    pub(crate) fn say(&self, outcome: &mut Outcome) {
        let place = self.repository.git_dir();
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        outcome.set("repository", place.to_string_lossy());
        self.trust.say(outcome);
        if !outcome.fields.contains_key("governed_commit") {
            let commit = self.at.get().or_else(|| self.governed_tip().ok().flatten());
            outcome.set("governed_commit", commit.map(sha));
        }
    }

    /// Finds the governed commit that a revision names; the governed ref's tip, or else HEAD, where none is given.
    pub(crate) fn governed_at(&self, rev: Option<&str>) -> Result<CommitId, Refusal> {
        let commit = match rev {
            Some(rev) => self.governed_commit(rev)?,
            None => match self.governed_tip()? {
                Some(tip) => tip,
                None => self.repository.resolve("HEAD")?,
            },
        };
        self.at.set(Some(commit));
        Ok(commit)
    }

    /// Reads the policy of the governed commit that a revision names, or of the default one.
    pub(crate) fn govern_at(&self, rev: Option<&str>) -> Result<Governed<'_>, Refusal> {
        self.govern_commit(self.governed_at(rev)?)
    }

    /// Finds the commit of a revision and refuses it where it is not governed.
    pub(crate) fn governed_commit(&self, rev: &str) -> Result<CommitId, Refusal> {
        let commit = self.repository.resolve(rev)?;
        if let Some(mut history) = self.governed_history()?
            && history.position(&self.repository, commit)?.is_none()
        {
            return Err(not_governed(
                commit,
                self.governed_ref().unwrap_or_default(),
            ));
        }
        Ok(commit)
    }

    /// The work tree, where files are written for a person to commit.
    pub(crate) fn work_tree(&self) -> Result<&Path, Refusal> {
        self.repository.work_dir().ok_or_else(|| {
            fault::input("a bare repository has no work tree to write into")
                .next("run the command in a clone with a work tree, commit and push")
        })
    }

    /// Reads the policy of the governed commit that a revision names.
    pub(crate) fn govern(&self, rev: &str) -> Result<Governed<'_>, Refusal> {
        self.govern_commit(self.governed_commit(rev)?)
    }

    /// Reads the policy of a commit that is known to be governed.
    pub(crate) fn govern_commit(&self, commit: CommitId) -> Result<Governed<'_>, Refusal> {
        let snapshot = self.repository.snapshot(commit)?;
        let policy = self.read_policy(&snapshot)?;
        Ok(Governed {
            commit,
            snapshot,
            policy,
        })
    }

    /// The path and the bytes of the one policy document of a commit.
    pub(crate) fn policy_bytes(snapshot: &Snapshot<'_>) -> Result<(String, Vec<u8>), Refusal> {
        let (path, entry) = policy_file(snapshot)?;
        let blob = snapshot
            .blob(entry.id, &path, MAX_GOVERNED)
            .map_err(fault::governed(Code::InvalidPolicy))?;
        Ok((path, blob.bytes))
    }

    /// Reads the one policy document of a commit.
    pub(crate) fn read_policy(&self, snapshot: &Snapshot<'_>) -> Result<Rc<Policy>, Refusal> {
        let (path, entry) = policy_file(snapshot)?;
        if let Some(policy) = self.policies.get(&entry.id) {
            return Ok(policy);
        }
        let blob = snapshot
            .blob(entry.id, &path, MAX_GOVERNED)
            .map_err(fault::governed(Code::InvalidPolicy))?;
        let policy = Rc::new(Policy::parse(&blob.bytes)?);
        self.policies
            .keep(entry.id, Rc::clone(&policy), blob.bytes.len());
        Ok(policy)
    }

    /// Names the governance files whose copy in the work tree differs from the governed commit.
    pub(crate) fn work_tree_warnings(&self, governed: &Governed<'_>) -> Vec<String> {
        let Some(root) = self.repository.work_dir() else {
            return Vec::new();
        };
        let mut paths = vec!["governance/principals.json".to_owned()];
        if let Ok((path, _)) = policy_entry(&governed.snapshot) {
            paths.push(path);
        }
        let differs = |path: &String| {
            let committed = governed.snapshot.entry(path).ok().flatten();
            let found = std::fs::read(root.join(path)).ok();
            committed.map(|entry| entry.id) != found.map(|bytes| git::blob_id(&bytes))
        };
        paths
            .into_iter()
            .filter(differs)
            .map(|path| {
                format!(
                    "`{path}` in the work tree differs from the governed commit {}, which alone counts",
                    governed.commit
                )
            })
            .collect()
    }
}

/// Where the arguments, `GIT_DIR` or the working directory place the repository.
fn place(global: &Global) -> (PathBuf, Option<PathBuf>) {
    match &global.repository {
        Some(path) => (path.clone(), None),
        None => (
            PathBuf::from("."),
            env::var_os("GIT_DIR").map(PathBuf::from),
        ),
    }
}

fn no_such_ref(name: &str) -> Refusal {
    Refusal::new(
        Code::CommitNotGoverned,
        format!("the governed ref `{name}` does not exist"),
    )
    .next(format!(
        "git fetch, or git push {name} to where it is missing; `git for-each-ref` lists what there is"
    ))
}

/// Says that a commit is not on the governed ref's first-parent chain.
pub(crate) fn not_governed(commit: CommitId, name: &str) -> Refusal {
    Refusal::new(
        Code::CommitNotGoverned,
        format!("commit {commit} is not on the first-parent chain of `{name}`"),
    )
}

/// Finds the one policy document of a commit, which is a file.
fn policy_file(snapshot: &Snapshot<'_>) -> Result<(String, git::Entry), Refusal> {
    let (path, entry) = policy_entry(snapshot)?;
    if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
        return Err(Refusal::new(
            Code::InvalidPolicy,
            format!("`{path}` is {}, not a file", entry.kind.describe()),
        ));
    }
    Ok((path, entry))
}

/// Finds the one policy document of a commit.
fn policy_entry(snapshot: &Snapshot<'_>) -> Result<(String, git::Entry), Refusal> {
    let missing = || {
        Refusal::new(
            Code::PolicyMissing,
            format!(
                "commit {} holds no `{POLICY_FOLDER}/*.policy.json`",
                snapshot.commit()
            ),
        )
    };
    let listed = snapshot
        .list(POLICY_FOLDER)
        .map_err(fault::governed(Code::InvalidPolicy))?;
    let mut found = listed
        .into_iter()
        .filter(|entry| entry.name.ends_with(b".policy.json"))
        .map(|entry| {
            (
                format!("{POLICY_FOLDER}/{}", String::from_utf8_lossy(&entry.name)),
                entry,
            )
        });
    let first = found.next().ok_or_else(missing)?;
    if let Some((other, _)) = found.next() {
        return Err(Refusal::new(
            Code::InvalidPolicy,
            format!("two policy documents: `{}` and `{other}`", first.0),
        ));
    }
    Ok(first)
}
