//! The checkout that an execution request names: clean before the run, and held against its allowance after it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::cli::fault;
use crate::cli::session::{Session, commit_id};
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{Digest, sha256};
use crate::engine::enforce::Globs;
use crate::engine::execution_request::ExecutionRequest;
use crate::git::{CommitId, Repository, WorkTree};

/// The parts of a Git directory that decide what later commands do.
const WATCHED: [&str; 7] = [
    "HEAD",
    "config",
    "config.worktree",
    "hooks",
    "info",
    "packed-refs",
    "refs",
];

/// The most offending paths that a message names.
const SHOWN: usize = 20;

/// The root of a checkout of the repository that permits are recorded in: what no record names runs nowhere else.
///
/// # Errors
/// `INVALID_INPUT` where it is another repository's, or none.
pub(super) fn checkout(session: &Session, path: &Path) -> Result<PathBuf, Refusal> {
    let repository = Repository::open(path, None)?;
    if !is_own(session, &repository) {
        let what = "the target is no checkout of the repository that the permit is recorded in";
        return Err(fault::input(what).next("name one with `--target DIR`"));
    }
    let root = repository.work_dir().map(Path::to_owned);
    root.ok_or_else(|| fault::input("the target is a bare repository"))
}

/// Whether a repository shares its refs with the one that permits are recorded in.
fn is_own(session: &Session, repository: &Repository) -> bool {
    let paths = [repository, &session.repository].map(|one| one.common_dir().canonicalize());
    matches!(paths, [Ok(one), Ok(other)] if one == other)
}

/// A checkout at the commit that a record names.
pub(super) struct Target {
    repository: Repository,
    root: PathBuf,
    commit: CommitId,
    globs: Globs,
    /// Whether its refs are also those of the repository that permits are recorded in.
    is_own: bool,
    git_dir: BTreeMap<String, Digest>,
}

impl Target {
    /// Checks a checkout against a record.
    ///
    /// # Errors
    /// `TARGET_COMMIT_MISMATCH`, `TARGET_DIRTY`, `PATH_NOT_ALLOWED`.
    pub(super) fn open(
        session: &Session,
        path: &Path,
        record: &ExecutionRequest,
    ) -> Result<Self, Refusal> {
        let repository = Repository::open(path, None)?;
        let root = repository
            .work_dir()
            .ok_or_else(|| fault::input("the target is a bare repository"))?
            .to_owned();
        let commit = commit_id(record.document().target_repository.commit);
        let head = repository.resolve("HEAD")?;
        if head != commit {
            return Err(Refusal::new(
                Code::TargetCommitMismatch,
                "the target is not at the recorded commit",
            )
            .detail("recorded", commit.to_string())
            .detail("found", head.to_string()));
        }
        let globs = record.allowed()?;
        let is_own = is_own(session, &repository);
        let target = Self {
            repository,
            root,
            commit,
            globs,
            is_own,
            git_dir: BTreeMap::new(),
        };
        target.check_clean()?;
        Ok(target)
    }

    fn check_clean(&self) -> Result<(), Refusal> {
        let dirty = |what: &str| Refusal::new(Code::TargetDirty, what.to_owned());
        let WorkTree { changed, links } = self.repository.compare_work_tree(self.commit)?;
        if !changed.is_empty() {
            return Err(with_paths(
                dirty("the target holds what its commit does not"),
                &changed.iter().map(|path| shown(path)).collect::<Vec<_>>(),
            ));
        }
        if !self.repository.index_is(self.commit)? {
            return Err(dirty("the target's index is not that of its commit"));
        }
        let leading_out: Vec<String> = links
            .iter()
            .filter(|link| self.globs.touch(link) && !self.stays_inside(link))
            .map(|link| shown(link))
            .collect();
        if leading_out.is_empty() {
            return Ok(());
        }
        let what = "a symlink under the allowance leads out of it";
        Err(with_paths(
            Refusal::new(Code::PathNotAllowed, what),
            &leading_out,
        ))
    }

    /// Tells whether what a symlink names is itself in the allowance.
    fn stays_inside(&self, link: &[u8]) -> bool {
        let Ok(link) = std::str::from_utf8(link) else {
            return false;
        };
        let Ok(root) = self.root.canonicalize() else {
            return false;
        };
        let path = root.join(link);
        let named = path.canonicalize().ok().or_else(|| {
            // It names nothing yet: what it would name.
            let target = fs::read_link(&path).ok()?;
            lexical(&path.parent()?.canonicalize().ok()?.join(target))
        });
        let inside = named.and_then(|named| Some(named.strip_prefix(&root).ok()?.to_owned()));
        let Some(inside) = inside.as_deref().and_then(Path::to_str) else {
            return false;
        };
        let below = format!("{inside}/x");
        let in_git = inside == ".git" || inside.starts_with(".git/");
        !in_git && (self.globs.matches(inside.as_bytes()) || self.globs.matches(below.as_bytes()))
    }

    /// The folder that the harness runs in.
    ///
    /// # Errors
    /// `PATH_NOT_ALLOWED` where it is not a folder of the target.
    pub(super) fn folder(&self, working_directory: &str) -> Result<PathBuf, Refusal> {
        let folder = self.root.join(working_directory);
        let inside = match (folder.canonicalize(), self.root.canonicalize()) {
            (Ok(folder), Ok(root)) => folder.is_dir() && folder.starts_with(root),
            _ => false,
        };
        if inside {
            return Ok(folder);
        }
        Err(Refusal::new(
            Code::PathNotAllowed,
            format!("`{working_directory}` is no folder of the target"),
        ))
    }

    /// Remembers the Git directory as it is right before the run.
    pub(super) fn watch(&mut self) -> Result<(), Refusal> {
        self.git_dir = self.read_git_dir()?;
        Ok(())
    }

    /// Lists what changed since, in the order of bytes, and what of it the allowance does not cover.
    pub(super) fn changes(&self) -> Result<(Vec<String>, Vec<String>), Refusal> {
        let found = self.repository.compare_work_tree(self.commit)?;
        let mut changed: BTreeMap<String, bool> = found
            .changed
            .iter()
            .map(|path| (shown(path), self.globs.matches(path)))
            .collect();
        let after = self.read_git_dir()?;
        let names = self.git_dir.keys().chain(after.keys());
        for name in names.filter(|name| self.git_dir.get(*name) != after.get(*name)) {
            // The Git directory matches no glob.
            let path = format!(".git/{name}");
            changed.insert(path.trim_end_matches('/').to_owned(), false);
        }
        let offending = changed
            .iter()
            .filter(|(_, allowed)| !**allowed)
            .map(|(path, _)| path.clone())
            .collect();
        Ok((changed.into_keys().collect(), offending))
    }

    fn read_git_dir(&self) -> Result<BTreeMap<String, Digest>, Refusal> {
        let mut found = BTreeMap::new();
        let (own, common) = (self.repository.git_dir(), self.repository.common_dir());
        for name in WATCHED {
            read_below(&own.join(name), name, &mut found)?;
            if own != common {
                read_below(&common.join(name), &format!("common/{name}"), &mut found)?;
            }
        }
        // In a linked work tree this is a file that says where the Git directory is.
        let link = self.root.join(".git");
        if !fs::symlink_metadata(&link).is_ok_and(|about| about.is_dir()) {
            read_below(&link, "", &mut found)?;
        }
        if self.is_own {
            // What permits are recorded in moves while others use it, and is guarded by its own chain.
            found.retain(|name, _| !name.contains("refs/permit/streams/"));
        }
        Ok(found)
    }
}

/// Reads every file at or below a path.
fn read_below(
    path: &Path,
    name: &str,
    found: &mut BTreeMap<String, Digest>,
) -> Result<(), Refusal> {
    let failed = |error: &io::Error| fault::io(path, error);
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    if about.is_dir() {
        for entry in fs::read_dir(path).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            read_below(&entry.path(), &below, found)?;
        }
        return Ok(());
    }
    let mut bytes = if about.is_symlink() {
        let target = fs::read_link(path).map_err(|error| failed(&error))?;
        target.into_os_string().into_encoded_bytes()
    } else if about.is_file() {
        fs::read(path).map_err(|error| failed(&error))?
    } else {
        // A pipe, a socket or a device is not read: that could wait for ever. Its kind is in its mode.
        Vec::new()
    };
    // Whether it is a link, and whether it may be run, are part of what it is.
    bytes.push(u8::from(about.is_symlink()));
    #[cfg(unix)]
    bytes.extend(std::os::unix::fs::PermissionsExt::mode(&about.permissions()).to_be_bytes());
    found.insert(name.to_owned(), sha256(&bytes));
    Ok(())
}

/// Takes `.` and `..` out of a path without looking at the disk.
fn lexical(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    Some(out)
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Says that a run changed what the allowance does not cover.
pub(super) fn not_allowed(offending: &[String]) -> Refusal {
    let what = format!(
        "{} paths outside the allowance were changed; nothing is undone",
        offending.len()
    );
    with_paths(Refusal::new(Code::PathNotAllowed, what), offending)
}

fn with_paths(refusal: Refusal, paths: &[String]) -> Refusal {
    let refusal = paths.iter().take(SHOWN).fold(refusal, |refusal, path| {
        refusal.detail("path", path.clone())
    });
    if paths.len() > SHOWN {
        refusal.detail("paths", paths.len().to_string())
    } else {
        refusal
    }
}
