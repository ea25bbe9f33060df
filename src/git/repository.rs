//! Opens a repository, resolves revisions, and reads refs, configuration and commits.
use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Once,
};

use git2::{ConfigLevel, ErrorClass, ErrorCode, ObjectType, Odb, Reference, RepositoryOpenFlags};

use super::{
    CommitId, Error, FirstParents, History, ObjectId, RawCommit, Result, Snapshot, StreamRef,
    loose::LooseFolders,
    objects::{self, MAX_STRUCTURE_BYTES},
};

/// One repository, opened as its owner configured it.
pub struct Repository {
    inner: git2::Repository,
    /// Where objects are read from beside the repository's own folder and its alternates.
    quarantine: Vec<PathBuf>,
    loose: OnceCell<LooseFolders>,
    /// The refs that were read and their values, where each is read once only.
    held: Option<RefCell<BTreeMap<String, Option<CommitId>>>>,
}

impl Repository {
    /// Opens the repository at `git_dir`, or else the one that holds `start`: bare, a work tree or any folder in it.
    ///
    /// No environment variable is read. `safe.directory` is respected.
    ///
    /// # Errors
    /// [`Error::Ownership`], [`Error::Unsupported`], and [`Error::Git`] where there is none.
    pub fn open(start: &Path, git_dir: Option<&Path>) -> Result<Self> {
        static OPTIONS: Once = Once::new();
        // INVARIANT: every read of this module computes the object's id again and compares (`objects::read`,
        // `StreamRef::read_event`), so libgit2 need not do it too. Nothing here reads an object twice in a row, so
        // libgit2's cache would only cost time and memory.
        OPTIONS.call_once(|| {
            git2::opts::strict_hash_verification(false);
            git2::opts::enable_caching(false);
        });
        let (path, flags) = match git_dir {
            Some(path) => (
                path,
                RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT,
            ),
            None => (start, RepositoryOpenFlags::empty()),
        };
        let no_ceilings: [&Path; 0] = [];
        let inner = git2::Repository::open_ext(path, flags, no_ceilings)
            .map_err(|error| open_fault(path, &error))?;
        Ok(Self {
            inner,
            quarantine: Vec::new(),
            loose: OnceCell::new(),
            held: None,
        })
    }

    /// Opens a repository for one of several threads, which only read.
    ///
    /// libgit2 shares a pack, and the lock that it holds while it looks an object up, among all that name it alike. So
    /// each thread names the folder of the objects in its own way: with as many `/.` behind it as the thread's number.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_in_thread(git_dir: &Path, number: usize) -> Result<Self> {
        let repository = Self::open(git_dir, Some(git_dir))?;
        let objects = repository.common_dir().join("objects");
        if let Some(objects) = objects.to_str() {
            let odb = Odb::new()?;
            odb.add_disk_alternate(&format!("{objects}{}", "/.".repeat(number)))?;
            repository.inner.set_odb(&odb)?;
        }
        Ok(repository)
    }

    /// Opens a repository while Git receives a push: objects are also read from the quarantine and its alternates.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open_quarantined(
        start: &Path,
        git_dir: Option<&Path>,
        object_dir: &Path,
        alternates: &[PathBuf],
    ) -> Result<Self> {
        let mut repository = Self::open(start, git_dir)?;
        for folder in std::iter::once(object_dir).chain(alternates.iter().map(PathBuf::as_path)) {
            let text = folder
                .to_str()
                .ok_or_else(|| Error::Git(format!("`{}` is not UTF-8", folder.display())))?;
            repository.odb()?.add_disk_alternate(text)?;
            repository.quarantine.push(folder.to_owned());
        }
        Ok(repository)
    }

    /// Returns the Git directory of this work tree.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        self.inner.path()
    }

    /// Returns the Git directory that all linked work trees share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        self.inner.commondir()
    }

    /// Returns the work tree; `None` in a bare repository.
    #[must_use]
    pub fn work_dir(&self) -> Option<&Path> {
        self.inner.workdir()
    }

    /// Tells whether history is cut off somewhere.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.inner.is_shallow()
    }

    /// Reads a value of the repository's own configuration; the user's and the system's do not count.
    ///
    /// # Errors
    /// [`Error::Git`] where the file does not parse or the value is not text.
    pub fn config_string(&self, key: &str) -> Result<Option<String>> {
        let found = self
            .inner
            .config()?
            .open_level(ConfigLevel::Local)
            .and_then(|config| config.get_string(key));
        absent_as_none(found).map_err(Error::from)
    }

    /// Where Git looks for hooks instead of the repository's own folder, wherever its configuration says so.
    ///
    /// # Errors
    /// [`Error::Git`] where a file of the configuration does not parse.
    pub fn hooks_path(&self) -> Result<Option<PathBuf>> {
        let config = self.inner.config()?.snapshot()?;
        absent_as_none(config.get_path("core.hooksPath")).map_err(Error::from)
    }

    /// Finds the commit that a revision names: an id, a ref, a tag, and `~N`, `^N`, `^{}`, `^{commit}` after it.
    ///
    /// Forty hex digits are always an id. Ancestors are those of the raw commits.
    ///
    /// # Errors
    /// [`Error::Unresolved`] where it names none, [`Error::Missing`] and [`Error::Corrupt`] for objects on the way.
    pub fn resolve(&self, rev: &str) -> Result<CommitId> {
        let unresolved = |what: &str| Error::Unresolved {
            rev: rev.to_owned(),
            what: what.to_owned(),
        };
        let (base, mut steps) = rev.split_at(rev.find(['~', '^']).unwrap_or(rev.len()));
        if base.is_empty() || base.contains(':') {
            return Err(unresolved("it is not the name of a commit"));
        }
        let mut commit = self.peel(rev, self.resolve_base(rev, base)?)?;
        while !steps.is_empty() {
            if let Some(rest) = steps
                .strip_prefix("^{}")
                .or_else(|| steps.strip_prefix("^{commit}"))
            {
                steps = rest;
                continue;
            }
            let (count, first_parents, rest) =
                step(steps).ok_or_else(|| unresolved("its ending is not understood"))?;
            let (turns, parent) = if first_parents {
                (count, 1)
            } else {
                (u32::from(count > 0), count)
            };
            for _ in 0..turns {
                let parents = self.read_commit(commit)?.parents;
                let index = usize::try_from(parent)
                    .ok()
                    .and_then(|parent| parent.checked_sub(1));
                let found = index.and_then(|index| parents.get(index).copied());
                commit =
                    found.ok_or_else(|| unresolved("a commit on the way has no such parent"))?;
            }
            self.read_commit(commit)?;
            steps = rest;
        }
        Ok(commit)
    }

    /// Finds the object that a revision without `~` and `^` names.
    fn resolve_base(&self, rev: &str, base: &str) -> Result<ObjectId> {
        if let Ok(id) = base.to_ascii_lowercase().parse() {
            return Ok(id);
        }
        let unresolved = |error: &git2::Error| match (error.class(), error.code()) {
            // A ref that is there and cannot be opened is no name of nothing.
            (ErrorClass::Os, code) if code != ErrorCode::NotFound => {
                Error::Git(format!("cannot read `{base}`: {}", error.message()))
            }
            (_, ErrorCode::UnbornBranch) => Error::Unborn {
                rev: rev.to_owned(),
            },
            _ => Error::Unresolved {
                rev: rev.to_owned(),
                what: error.message().to_owned(),
            },
        };
        match self.inner.resolve_reference_from_short_name(base) {
            Ok(reference) => {
                let direct = reference.resolve().map_err(|error| unresolved(&error))?;
                let id = direct
                    .target()
                    .ok_or_else(|| unresolved(&git2::Error::from_str("the ref is symbolic")))?;
                ObjectId::from_git(id)
            }
            Err(_)
                if base == "HEAD"
                    && matches!(self.inner.head(), Err(unborn) if unborn.code() == ErrorCode::UnbornBranch) =>
            {
                Err(Error::Unborn {
                    rev: rev.to_owned(),
                })
            }
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                ObjectId::from_git(
                    self.inner
                        .revparse_single(base)
                        .map_err(|error| unresolved(&error))?
                        .id(),
                )
            }
            Err(error) => Err(unresolved(&error)),
        }
    }

    /// Follows annotated tags to the commit.
    fn peel(&self, rev: &str, id: ObjectId) -> Result<CommitId> {
        let (id, kind) = self.behind_tags(id)?;
        if kind == ObjectType::Commit {
            return Ok(self.read_commit(id.as_commit())?.id);
        }
        Err(Error::Unresolved {
            rev: rev.to_owned(),
            what: format!("it is a {kind}"),
        })
    }

    /// Follows annotated tags, however deep they lie in each other, to the commit; `None` where they name none.
    ///
    /// # Errors
    /// [`Error::TooMuch`] where that would take too much work, [`Error::Missing`] and [`Error::Corrupt`].
    pub fn peeled_commit(&self, id: ObjectId) -> Result<Option<CommitId>> {
        let (id, kind) = self.behind_tags(id)?;
        Ok((kind == ObjectType::Commit).then(|| id.as_commit()))
    }

    fn behind_tags(&self, mut id: ObjectId) -> Result<(ObjectId, ObjectType)> {
        // What a tag costs beside its bytes, and how many bytes all may cost.
        const EACH: usize = 1 << 10;
        const MOST: usize = 64 << 20;
        let odb = self.odb()?;
        let mut left = MOST;
        loop {
            self.check_loose(id)?;
            let header = objects::header(&odb, id)?;
            if header.kind != ObjectType::Tag {
                return Ok((id, header.kind));
            }
            let cost = usize::try_from(header.size).unwrap_or(usize::MAX);
            let what = "bytes of tags";
            left = left
                .checked_sub(cost.saturating_add(EACH))
                .ok_or(Error::TooMuch { what, most: MOST })?;
            let bytes = objects::read(&odb, id, ObjectType::Tag, MAX_STRUCTURE_BYTES)?;
            let target = bytes
                .strip_prefix(b"object ")
                .and_then(|rest| rest.split_at_checked(40));
            let target = target.filter(|(_, after)| after.starts_with(b"\n"));
            let target = target.and_then(|(hex, _)| super::id::parse_hex(hex));
            id = ObjectId::new(
                target.ok_or_else(|| Error::corrupt(&id, "the tag names no object"))?,
            );
        }
    }

    /// Reads what a ref points at; `None` where there is no such ref.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the ref is symbolic or cannot be read.
    pub fn ref_target(&self, name: &str) -> Result<Option<CommitId>> {
        let Some(held) = &self.held else {
            return self.read_ref(name);
        };
        if let Some(value) = held.borrow().get(name) {
            return Ok(*value);
        }
        let value = self.read_ref(name)?;
        held.borrow_mut().insert(name.to_owned(), value);
        Ok(value)
    }

    /// Reads each ref once from now on: whoever asks again gets the same value, whatever other writers do meanwhile.
    #[must_use]
    pub fn holding_refs(mut self) -> Self {
        self.held = Some(RefCell::default());
        self
    }

    /// The refs that were read since [`Repository::holding_refs`], with their values; nothing for a ref that is not there.
    #[must_use]
    pub fn held_refs(&self) -> BTreeMap<String, Option<CommitId>> {
        self.held
            .as_ref()
            .map(|held| held.borrow().clone())
            .unwrap_or_default()
    }

    /// Reads what a ref points at just now, also where refs are held.
    ///
    /// # Errors
    /// As [`Repository::ref_target`].
    pub fn read_ref(&self, name: &str) -> Result<Option<CommitId>> {
        let found = absent_as_none(self.inner.find_reference(name));
        let Some(reference) = found.map_err(|error| Error::corrupt(&name, error.message()))? else {
            return Ok(None);
        };
        let target = reference
            .target()
            .ok_or_else(|| Error::corrupt(&name, "the ref is symbolic"))?;
        Ok(Some(ObjectId::from_git(target)?.as_commit()))
    }

    /// Follows a symbolic ref to the name that it stands for in the end, whether a ref of that name is there or not;
    /// `None` where the ref is direct, or not there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where a ref on the way cannot be read, or they lead on without end.
    pub fn stands_for(&self, name: &str) -> Result<Option<String>> {
        const MOST: usize = 8;
        let mut last: Option<String> = None;
        for _ in 0..MOST {
            let at = last.as_deref().unwrap_or(name);
            let found = absent_as_none(self.inner.find_reference(at))
                .map_err(|error| Error::corrupt(&at, error.message()))?;
            let Some(reference) = found.filter(|found| found.target().is_none()) else {
                return Ok(last);
            };
            let target = reference.symbolic_target();
            let target = target.ok().flatten();
            let target = target.ok_or_else(|| Error::corrupt(&at, "it names no ref"))?;
            last = Some(target.to_owned());
        }
        Err(Error::corrupt(&name, "it is symbolic without end"))
    }

    /// Lists the refs whose names begin with `prefix` (which ends in `/`), in the order of their bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where one of them is symbolic or cannot be read: none is skipped.
    pub fn refs_with_prefix(&self, prefix: &str) -> Result<Vec<(String, CommitId)>> {
        let mut names = BTreeSet::new();
        // libgit2 passes over loose refs that it cannot read, so their names come from the folder itself.
        loose_names(self.common_dir(), prefix.trim_end_matches('/'), &mut names)?;
        for name in self.inner.references_glob(&format!("{prefix}*"))?.names() {
            names.insert(name?.to_owned());
        }
        let mut refs = Vec::new();
        for name in names {
            if let Some(target) = self.ref_target(&name)? {
                refs.push((name, target));
            }
        }
        Ok(refs)
    }

    /// Reads a commit's raw bytes and their parts.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Corrupt`], [`Error::TooLarge`].
    pub fn read_commit(&self, id: CommitId) -> Result<RawCommit> {
        self.check_loose(id.into())?;
        let bytes = objects::read(
            &self.odb()?,
            id.into(),
            ObjectType::Commit,
            MAX_STRUCTURE_BYTES,
        )?;
        RawCommit::parse(id, bytes)
    }

    /// Tells whether an object is there; reads nothing of it.
    ///
    /// # Errors
    /// [`Error::Git`] where the objects cannot be opened.
    pub fn holds(&self, id: ObjectId) -> Result<bool> {
        Ok(self.odb()?.exists(id.to_git()?))
    }

    /// Walks from a commit through first parents to the root, the commit itself included.
    #[must_use]
    pub fn first_parents(&self, from: CommitId) -> FirstParents<'_> {
        FirstParents::new(self, from)
    }

    /// Tells whether `wanted` is `tip` or one of its first parents.
    ///
    /// # Errors
    /// [`Error::Missing`] where history is cut off before the answer is known, [`Error::Corrupt`].
    pub fn is_on_first_parent_chain(&self, tip: CommitId, wanted: CommitId) -> Result<bool> {
        Ok(History::new(tip).position(self, wanted)?.is_some())
    }

    /// Opens what a commit's tree holds.
    ///
    /// # Errors
    /// As [`Repository::read_commit`].
    pub fn snapshot(&self, commit: CommitId) -> Result<Snapshot<'_>> {
        Ok(Snapshot::new(self, &self.read_commit(commit)?))
    }

    /// Opens a ref with one commit per event by its full name, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::Git`] where the name is not one that Git takes or is not below `refs/`.
    pub fn stream(&self, ref_name: &str) -> Result<StreamRef<'_>> {
        if !is_ref_name(ref_name) {
            return Err(Error::Git(format!("`{ref_name}` is not the name of a ref")));
        }
        StreamRef::new(self, ref_name)
    }

    /// Returns libgit2's own repository.
    pub(super) fn inner(&self) -> &git2::Repository {
        &self.inner
    }

    /// Refuses an object whose file a crash cut short, which libgit2 must not be asked for.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn check_loose(&self, id: ObjectId) -> Result<()> {
        self.loose
            .get_or_init(|| LooseFolders::of(&self.common_dir().join("objects"), &self.quarantine))
            .check(id)
    }

    /// Returns the object database.
    pub(super) fn odb(&self) -> Result<Odb<'_>> {
        Ok(self.inner.odb()?)
    }

    /// Tells whether any ref stands below `name` or at one of its parents, so that `name` itself cannot be made.
    pub(super) fn ref_in_the_way(&self, name: &str) -> Result<Option<String>> {
        for (place, _) in name.match_indices('/') {
            let parent = name.get(..place).unwrap_or_default();
            if parent.contains('/') && self.ref_target(parent)?.is_some() {
                return Ok(Some(parent.to_owned()));
            }
        }
        Ok(self
            .refs_with_prefix(&format!("{name}/"))?
            .into_iter()
            .next()
            .map(|(name, _)| name))
    }
}

/// Tells whether Git accepts a name as the full name of a ref.
#[must_use]
pub fn is_ref_name(name: &str) -> bool {
    name.starts_with("refs/") && Reference::is_valid_name(name)
}

fn absent_as_none<T>(
    found: std::result::Result<T, git2::Error>,
) -> std::result::Result<Option<T>, git2::Error> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_fault(path: &Path, error: &git2::Error) -> Error {
    let message = error.message();
    if error.code() == ErrorCode::Owner {
        // libgit2 names the folder that `safe.directory` would have to name.
        let named = message.split('\'').nth(1).map(PathBuf::from);
        Error::Ownership {
            path: named.unwrap_or_else(|| path.to_owned()),
        }
    } else if message.starts_with("unsupported ") || message.starts_with("unknown object format") {
        Error::Unsupported {
            what: message.to_owned(),
        }
    } else if error.code() == ErrorCode::NotFound {
        Error::NoRepository {
            path: path.to_owned(),
        }
    } else {
        Error::Git(message.to_owned())
    }
}

/// Splits `~N` or `^N` off: the number (1 where none is written), whether it counts first parents, the rest.
fn step(text: &str) -> Option<(u32, bool, &str)> {
    let first_parents = text.starts_with('~');
    let after = text.strip_prefix(['~', '^'])?;
    let digits = after
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(after.len());
    let (number, rest) = after.split_at(digits);
    let count = if number.is_empty() {
        1
    } else {
        number.parse().ok()?
    };
    (rest.is_empty() || rest.starts_with(['~', '^'])).then_some((count, first_parents, rest))
}

/// Collects the names of the loose refs below `folder`, readable or not.
fn loose_names(common_dir: &Path, folder: &str, names: &mut BTreeSet<String>) -> Result<()> {
    let path = common_dir.join(folder);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => return Err(Error::io(path)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(&path))?;
        let Some(name) = entry
            .file_name()
            .to_str()
            .map(|file| format!("{folder}/{file}"))
        else {
            continue;
        };
        if entry.file_type().map_err(Error::io(&path))?.is_dir() {
            loose_names(common_dir, &name, names)?;
        } else if Reference::is_valid_name(&name) {
            names.insert(name);
        }
    }
    Ok(())
}
