//! Whether a governed commit is still in force: what was withdrawn since is not used again.
//!
//! A commit other than the governed ref's tip counts only where nothing that confers authority differs between the two
//! (the governance digest), and where every other blob that the decision read is the same at the tip. Whatever acts on a
//! decision asks [`InForce::check`]; whatever only looks (`eval`, `replay`, `simulate`, `show`) does not.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::cache::Cache;
use super::fault;
use super::session::{Session, commit_id, sha};
use super::stream::Stream;
use crate::engine::chain::EventType;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::{CommitSha, GovernanceDigest};
use crate::engine::governance::{FILES, HAP, MOST_FILES, POLICIES, governance_digest};
use crate::git::{self, CommitId, Entry, EntryKind, History, ObjectId, Snapshot};

/// Where the folders of governance begin: what is equal there is equal below.
type Roots = [Option<(u32, ObjectId)>; 2];

/// The governed ref's tip, as one command sees it, and what is in force there.
pub(crate) struct InForce<'s> {
    session: &'s Session,
    /// Nothing where no ref is governed: then every commit counts.
    tip: Option<Snapshot<'s>>,
    digests: Cache<Roots, GovernanceDigest>,
}

impl<'s> InForce<'s> {
    /// Reads the governed ref's tip.
    ///
    /// # Errors
    /// `COMMIT_NOT_GOVERNED` where the ref does not exist; failures of the repository.
    pub(crate) fn now(session: &'s Session) -> Result<Self, Refusal> {
        let tip = session.governed_tip()?;
        let tip = tip
            .map(|tip| session.repository.snapshot(tip))
            .transpose()?;
        Ok(Self {
            session,
            tip,
            digests: Cache::default(),
        })
    }

    /// Tells whether a commit is the tip, so that nothing is to be compared.
    pub(crate) fn is_tip(&self, commit: CommitId) -> bool {
        self.tip.as_ref().is_none_or(|tip| tip.commit() == commit)
    }

    /// The tip; the commit itself where no ref is governed.
    pub(crate) fn tip_or(&self, commit: CommitId) -> CommitSha {
        sha(self.tip.as_ref().map_or(commit, Snapshot::commit))
    }

    /// Refuses a governed commit whose governance is not the tip's, or where a path that a decision read holds another
    /// blob than the tip does.
    ///
    /// # Errors
    /// `GOVERNED_STALE`; `LIMIT_EXCEEDED` where there is too much to compare; failures of the repository.
    pub(crate) fn check<'p>(
        &self,
        at: &Snapshot<'_>,
        read: impl IntoIterator<Item = &'p String>,
    ) -> Result<(), Refusal> {
        let Some(tip) = self.tip.as_ref().filter(|tip| tip.commit() != at.commit()) else {
            return Ok(());
        };
        if !self.is_same(at, tip)? {
            return Err(stale(at, tip, "governance differs at the governed tip"));
        }
        for path in read {
            if held(at, path)? != held(tip, path)? {
                let what = format!("`{path}` differs at the governed tip");
                return Err(stale(at, tip, &what).detail("path", path.as_str()));
            }
        }
        Ok(())
    }

    /// Tells whether two commits govern alike.
    pub(crate) fn is_same(
        &self,
        one: &Snapshot<'_>,
        other: &Snapshot<'_>,
    ) -> Result<bool, Refusal> {
        if roots(one)? == roots(other)? {
            return Ok(true);
        }
        Ok(self.digest(one)? == self.digest(other)?)
    }

    /// Tells whether two commits that records name govern alike.
    pub(crate) fn is_same_governance(
        &self,
        one: CommitSha,
        other: CommitSha,
    ) -> Result<bool, Refusal> {
        let repository = &self.session.repository;
        let [one, other] = [one, other].map(|sha| repository.snapshot(commit_id(sha)));
        self.is_same(&one?, &other?)
    }

    /// The governance digest of a commit; reads the trees of the folders that count, and no blob.
    fn digest(&self, at: &Snapshot<'_>) -> Result<GovernanceDigest, Refusal> {
        let key = roots(at)?;
        if let Some(digest) = self.digests.get(&key) {
            return Ok(digest);
        }
        let digest = governance_digest(&blobs(at)?);
        self.digests.keep(key, digest, 0);
        Ok(digest)
    }

    /// The commits between a governed commit and the tip that govern otherwise than it does; reads each on the way once.
    fn between(&self, at: &Snapshot<'_>) -> Result<BTreeSet<CommitId>, Refusal> {
        let mut other = BTreeSet::new();
        let Some(tip) = self.tip.as_ref().filter(|tip| tip.commit() != at.commit()) else {
            return Ok(other);
        };
        let repository = &self.session.repository;
        for commit in repository.first_parents(tip.commit()) {
            let commit = commit?;
            if commit == at.commit() {
                break;
            }
            if !self.is_same(&repository.snapshot(commit)?, at)? {
                other.insert(commit);
            }
        }
        Ok(other)
    }
}

/// The newest governed commit that the permits of a stream were issued under, read where it is asked for.
///
/// A permit never goes back from it to a commit with another digest. Where governance did not change between a commit
/// and the tip nothing can have been gone back behind, and the stream is not read at all.
#[derive(Default)]
pub(crate) struct Course {
    /// Whether the stream was read.
    is_read: bool,
    /// How far the newest commit is behind the tip; nothing where no permit was met.
    newest: Option<(u64, CommitId)>,
}

impl Course {
    /// Judges the governed commit of a permit that comes after the event of a commit, and notes it.
    ///
    /// # Errors
    /// `GOVERNED_STALE` where an earlier permit was issued under a newer commit of another digest; `CHAIN_*`.
    pub(crate) fn follow(
        &mut self,
        in_force: &InForce<'_>,
        stream: &Stream<'_>,
        before: Option<CommitId>,
        at: &Snapshot<'_>,
    ) -> Result<(), Refusal> {
        let other = in_force.between(at)?;
        if !self.is_read && other.is_empty() {
            return Ok(());
        }
        let Some(tip) = &in_force.tip else {
            return Ok(());
        };
        let repository = &in_force.session.repository;
        let mut history = History::new(tip.commit());
        if !self.is_read {
            self.newest = newest_of(in_force.session, stream, before, &mut history)?;
            self.is_read = true;
        }
        let newest = self.newest;
        if let Some((_, commit)) = newest.filter(|(_, commit)| other.contains(commit)) {
            let what = format!("the stream went on to {commit}, which governs otherwise");
            return Err(stale(at, tip, &what).detail("newest on the stream", commit.to_string()));
        }
        let place = history.position(repository, at.commit())?;
        let own = place.map(|place| (place, at.commit()));
        self.newest = [newest, own].into_iter().flatten().min();
        Ok(())
    }
}

/// The newest governed commit of the permits up to an event, with the steps that it is behind the tip.
fn newest_of(
    session: &Session,
    stream: &Stream<'_>,
    before: Option<CommitId>,
    history: &mut History,
) -> Result<Option<(u64, CommitId)>, Refusal> {
    let Some(before) = before else {
        return Ok(None);
    };
    let mut commits = BTreeSet::new();
    let verifier = stream.walk(before, None, |event, _| {
        if event.kind() == Some(EventType::PermitIssued) {
            let named = event.payload_text("governed_commit");
            commits.extend(named.and_then(|text| text.parse().ok()).map(commit_id));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    verifier.finish().map_err(|fault| stream.broken(&fault))?;
    let mut newest = None;
    for commit in commits {
        let place = history.position(&session.repository, commit)?;
        let place = place.map(|place| (place, commit));
        newest = [newest, place].into_iter().flatten().min();
    }
    Ok(newest)
}

/// Says that a governed commit is not in force.
fn stale(at: &Snapshot<'_>, tip: &Snapshot<'_>, what: &str) -> Refusal {
    Refusal::new(
        Code::GovernedStale,
        format!(
            "the governed commit {} is not in force: {what}",
            at.commit()
        ),
    )
    .detail("governed_commit", at.commit().to_string())
    .detail("tip", tip.commit().to_string())
}

/// What stands at a path: its mode, but for whether a file may be run, and its id.
fn held(at: &Snapshot<'_>, path: &str) -> Result<Option<(EntryKind, ObjectId)>, Refusal> {
    match at.entry(path) {
        Ok(entry) => Ok(entry.map(|entry| (kind(&entry), entry.id))),
        Err(git::Error::NotRegular { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn kind(entry: &Entry) -> EntryKind {
    match entry.kind {
        EntryKind::File | EntryKind::Executable => EntryKind::File,
        other @ (EntryKind::Symlink | EntryKind::Submodule | EntryKind::Folder) => other,
    }
}

fn roots(at: &Snapshot<'_>) -> Result<Roots, Refusal> {
    let root = |name: &str| -> Result<Option<(u32, ObjectId)>, Refusal> {
        Ok(at.entry(name)?.map(|entry| (entry.mode, entry.id)))
    };
    Ok([root("governance")?, root(".hap")?])
}

/// The blobs that a commit's governance digest covers, by path.
fn blobs(at: &Snapshot<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut blobs = BTreeMap::new();
    for path in FILES {
        match at.entry(path) {
            Ok(Some(entry)) => {
                blobs.insert(path.to_owned(), blob(&entry));
            }
            Ok(None) | Err(git::Error::NotRegular { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let (folder, ending) = POLICIES;
    let policies = match at.list(folder) {
        Ok(listed) => listed,
        Err(git::Error::NotRegular { .. }) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    for entry in policies {
        if entry.name.ends_with(ending.as_bytes()) {
            let path = utf8(&[folder.as_bytes(), b"/", &entry.name].concat())?;
            blobs.insert(path, blob(&entry));
        }
    }
    for (path, entry) in at.below(HAP, MOST_FILES)? {
        blobs.insert(utf8(&path)?, blob(&entry));
    }
    Ok(blobs)
}

/// How a digest names what stands at a path.
fn blob(entry: &Entry) -> String {
    match entry.kind {
        EntryKind::File | EntryKind::Executable => entry.id.to_string(),
        EntryKind::Symlink | EntryKind::Submodule | EntryKind::Folder => {
            format!("{:06o} {}", entry.mode, entry.id)
        }
    }
}

fn utf8(path: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(path.to_vec()).map_err(|_| {
        let shown = String::from_utf8_lossy(path);
        fault::input(format!("the governed path `{shown}` is not UTF-8"))
    })
}
