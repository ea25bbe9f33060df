//! The review ledger at a governed commit: loads whatever a review is judged by, and judges nothing itself.
//!
//! An artifact says what has to be loaded around it: its manifest, the files that lists, the commit that introduced it,
//! and the table of that commit's first parent. What its stream says of it is the business of [`walk`](super::walk).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::cache::Cache;
use super::session::{Governed, MAX_GOVERNED, Session, sha};
use super::spending::Spending;
use super::walk::{Facts, Walk};
use super::{fault, hap};
use crate::engine::canonical::MAX_INTEGER;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::digest::{CommitSha, Digest, ReviewId, sha256};
use crate::engine::policy::ReviewType;
use crate::engine::request::Request;
use crate::engine::review::{
    Action, ActionFact, Artifact, Evidence, Expected, Found, Judgement, MAX_ARTIFACT, Manifest,
    ManifestFact, Origin, PRINCIPALS_PATH, Principals, Table, judge,
};
use crate::engine::rules::Rules;
use crate::git::{self, CommitId, EntryKind, ObjectId, Snapshot};

/// About what an artifact weighs with the table and the manifest around it, in bytes.
const ENTRY_BYTES: usize = 16 << 10;

/// What was read from the ledger, by what it was read from, so that a replay does not read the same bytes again and again.
#[derive(Default)]
pub(crate) struct Memory {
    tables: Cache<ObjectId, TableAt>,
    files: Cache<ObjectId, Found>,
    entries: Cache<(CommitId, ReviewId), Rc<Entry>>,
    /// Walks of a stream back to the anchor of a review.
    pub(super) walks: Cache<(String, Digest), Walk>,
    /// The attestations that each stream has spent.
    pub(super) spending: RefCell<BTreeMap<String, Spending>>,
}

/// The principals table of one commit.
#[derive(Clone)]
pub(crate) enum TableAt {
    Missing,
    Invalid(Refusal),
    Sound(Rc<Principals>),
}

/// A manifest envelope of one commit, and what that commit holds for each of its artifacts.
pub(crate) enum ManifestAt {
    Missing,
    Invalid(Refusal),
    Present(Manifest, Vec<Found>),
}

/// What a governed commit's ledger holds for a review.
pub(crate) enum Entry {
    Malformed(Refusal),
    Case(Case),
}

/// An artifact with everything around it but the stream.
pub(crate) struct Case {
    pub(crate) artifact: Artifact,
    file_name: String,
    before: TableAt,
    governed: TableAt,
    manifest: ManifestAt,
    origin: Origin,
    /// The commit that brings the artifact in; for a draft, the one that it would follow.
    lands: CommitId,
}

/// The action that is attested to, as far as it can be judged; nothing where nobody asks for attestations.
pub(crate) type ActionAt = Option<Result<Action, Refusal>>;

impl Entry {
    /// Reads what a governed commit's ledger holds for a review; nothing where it holds no artifact.
    ///
    /// # Errors
    /// Objects that the repository lacks or cannot read; what is wrong with documents comes out in the judgement.
    pub(crate) fn load(
        session: &Session,
        governed: &Governed<'_>,
        id: ReviewId,
    ) -> Result<Option<Rc<Self>>, Refusal> {
        let key = (governed.commit, id);
        if let Some(entry) = session.ledger.entries.get(&key) {
            return Ok(Some(entry));
        }
        let name = Artifact::file_name_of(id);
        let Some(entry) = Self::read(session, governed, &name)? else {
            return Ok(None);
        };
        let entry = Rc::new(entry);
        session
            .ledger
            .entries
            .keep(key, Rc::clone(&entry), ENTRY_BYTES);
        Ok(Some(entry))
    }

    /// Reads the artifact of a file name; nothing where there is none.
    pub(crate) fn read(
        session: &Session,
        governed: &Governed<'_>,
        file_name: &str,
    ) -> Result<Option<Self>, Refusal> {
        let path = format!("governance/reviews/{file_name}");
        let parsed = match governed.snapshot.file(&path, MAX_GOVERNED) {
            Ok(None) => return Ok(None),
            Ok(Some(blob)) => Artifact::parse(&blob.bytes),
            Err(error) => Err(fault::governed(Code::InvalidReview)(error)),
        };
        let artifact = match parsed {
            Ok(artifact) => artifact,
            Err(refusal) => return malformed(refusal).map(Some),
        };
        let introduction = session
            .repository
            .introduction(governed.commit, &path)?
            .ok_or_else(|| Refusal::new(Code::Internal, "an artifact without an origin"))?;
        let before = judging_table(session, introduction.commit, introduction.parent)?;
        let manifest_path = artifact.needs().manifest_path;
        let manifest = ManifestAt::at(session, &governed.snapshot, &manifest_path)?;
        Ok(Some(Self::Case(Case {
            artifact,
            file_name: file_name.to_owned(),
            before,
            governed: TableAt::load(session, &governed.snapshot)?,
            manifest,
            origin: Origin {
                introduced_by: sha(introduction.commit),
                recorded_at: recordable(introduction.commit, introduction.time)?,
            },
            lands: introduction.commit,
        })))
    }
}

impl Case {
    /// An artifact that is not governed yet, as if the next commit on the governed one introduced it; it comes after
    /// whatever `lands` comes after.
    pub(crate) fn draft(
        session: &Session,
        governed: &Governed<'_>,
        artifact: Artifact,
        file_name: String,
        manifest: ManifestAt,
        lands: CommitId,
    ) -> Result<Self, Refusal> {
        let table = TableAt::load(session, &governed.snapshot)?;
        Ok(Self {
            artifact,
            file_name,
            before: table.clone(),
            governed: table,
            manifest,
            origin: Origin {
                introduced_by: CommitSha::new([0; 20]),
                recorded_at: 0,
            },
            lands,
        })
    }

    /// Loads the action that a request names, where the review type asks for attestations to it.
    ///
    /// # Errors
    /// Objects that the repository lacks or cannot read; what else is wrong comes out in the judgement.
    pub(crate) fn action(
        &self,
        session: &Session,
        governed: &Governed<'_>,
        request: &Request,
        asks: &ReviewType,
        rules: Rules,
    ) -> Result<ActionAt, Refusal> {
        match asks {
            ReviewType::Signers(_) => Ok(None),
            ReviewType::Attestations(_) => {
                match hap::load_action(session, governed, request, self.lands, rules) {
                    Err(refusal) if refusal.class() == Class::Failed => Err(refusal),
                    action => Ok(Some(action)),
                }
            }
        }
    }

    /// The paths of the artifact's manifest and of the files that this lists.
    pub(crate) fn listed(&self) -> Vec<String> {
        let mut paths = vec![self.artifact.needs().manifest_path];
        if let ManifestAt::Present(manifest, _) = &self.manifest {
            let artifacts = manifest.artifacts.iter();
            paths.extend(artifacts.map(|artifact| artifact.path.clone()));
        }
        paths
    }

    /// Judges the artifact with what the stream says around it, and the action that is attested to.
    pub(crate) fn judge(
        &self,
        expected: &Expected<'_>,
        facts: &Facts,
        action: &ActionAt,
    ) -> Judgement {
        let evidence = Evidence {
            file_name: &self.file_name,
            before: self.before.table(),
            governed: self.governed.table(),
            manifest: match &self.manifest {
                ManifestAt::Missing => ManifestFact::Missing,
                ManifestAt::Invalid(refusal) => ManifestFact::Invalid(refusal),
                ManifestAt::Present(manifest, found) => ManifestFact::Present(manifest, found),
            },
            anchor: facts.anchor,
            issued: facts.issued,
            payload_spent: facts.payload_spent,
            origin: self.origin,
            action: match action {
                None => ActionFact::Unknown,
                Some(Err(refusal)) => ActionFact::Invalid(refusal),
                Some(Ok(action)) => ActionFact::Known(action),
            },
        };
        judge(&self.artifact, expected, &evidence)
    }
}

/// The committer time of a commit, where a record can hold it.
///
/// # Errors
/// `GIT_ERROR` outside 0 to 2^53−1: what cannot be represented is never left out.
fn recordable(commit: CommitId, time: i64) -> Result<i64, Refusal> {
    if (0..=MAX_INTEGER).contains(&time) {
        return Ok(time);
    }
    Err(Refusal::new(
        Code::GitError,
        format!("commit {commit} has the committer time {time}, which no record can hold"),
    )
    .next("bring the review in again with a commit whose date is right"))
}

fn malformed(refusal: Refusal) -> Result<Entry, Refusal> {
    // What could not be read is an error; what was read and is not sound is a finding.
    if refusal.code == Code::InvalidReview {
        Ok(Entry::Malformed(refusal))
    } else {
        Err(refusal)
    }
}

/// The table that judges an artifact: that of the first parent of the commit that introduced it, or, at first adoption
/// only, that commit's own.
fn judging_table(
    session: &Session,
    introduced: CommitId,
    parent: Option<CommitId>,
) -> Result<TableAt, Refusal> {
    let repository = &session.repository;
    let before = match parent {
        None => TableAt::Missing,
        Some(parent) => TableAt::load(session, &repository.snapshot(parent)?)?,
    };
    if !matches!(before, TableAt::Missing) {
        return Ok(before);
    }
    let ever_held = match parent {
        None => false,
        Some(parent) => repository.ever_held(parent, PRINCIPALS_PATH)?,
    };
    let own = TableAt::load(session, &repository.snapshot(introduced)?)?;
    Ok(
        match Table::judging(before.table(), ever_held, own.table()) {
            Table::Missing => TableAt::Missing,
            Table::Invalid(_) | Table::Sound(_) => own,
        },
    )
}

impl TableAt {
    /// Reads the table of a commit.
    pub(crate) fn load(session: &Session, snapshot: &Snapshot<'_>) -> Result<Self, Refusal> {
        let invalid = fault::governed(Code::InvalidPrincipals);
        let refuse = |refusal: Refusal| {
            if refusal.code == Code::InvalidPrincipals {
                Ok(Self::Invalid(refusal))
            } else {
                Err(refusal)
            }
        };
        let entry = match snapshot.entry(PRINCIPALS_PATH) {
            Ok(None) => return Ok(Self::Missing),
            Ok(Some(entry)) => entry,
            Err(error) => return refuse(invalid(error)),
        };
        if let Some(table) = session.ledger.tables.get(&entry.id)
            && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
        {
            return Ok(table);
        }
        let (table, bytes) = match snapshot.file(PRINCIPALS_PATH, MAX_GOVERNED) {
            Ok(Some(blob)) => match Principals::parse(&blob.bytes) {
                Ok(principals) => (Self::Sound(Rc::new(principals)), blob.bytes.len()),
                Err(refusal) => (Self::Invalid(refusal), 0),
            },
            Ok(None) => return Ok(Self::Missing),
            Err(error) => return refuse(invalid(error)),
        };
        session.ledger.tables.keep(entry.id, table.clone(), bytes);
        Ok(table)
    }

    /// The table as the engine takes it.
    pub(crate) fn table(&self) -> Table<'_> {
        match self {
            Self::Missing => Table::Missing,
            Self::Invalid(refusal) => Table::Invalid(refusal),
            Self::Sound(principals) => Table::Sound(principals),
        }
    }
}

impl ManifestAt {
    /// Reads the envelope at a path, and looks for each of its artifacts.
    pub(crate) fn at(
        session: &Session,
        snapshot: &Snapshot<'_>,
        path: &str,
    ) -> Result<Self, Refusal> {
        match snapshot.file(path, MAX_GOVERNED) {
            Ok(None) => Ok(Self::Missing),
            Ok(Some(blob)) => Self::of(session, snapshot, &blob.bytes),
            Err(error) => {
                let refusal = fault::governed(Code::InvalidManifest)(error);
                if refusal.code == Code::InvalidManifest {
                    Ok(Self::Invalid(refusal))
                } else {
                    Err(refusal)
                }
            }
        }
    }

    /// Parses an envelope, and looks for each of its artifacts.
    pub(crate) fn of(
        session: &Session,
        snapshot: &Snapshot<'_>,
        bytes: &[u8],
    ) -> Result<Self, Refusal> {
        let manifest = match Manifest::parse(bytes) {
            Ok(manifest) => manifest,
            Err(refusal) => return Ok(Self::Invalid(refusal)),
        };
        let found = manifest
            .artifacts
            .iter()
            .map(|listed| find(session, snapshot, &listed.path))
            .collect::<Result<_, _>>()?;
        Ok(Self::Present(manifest, found))
    }
}

/// What a commit holds at the path of an artifact.
pub(crate) fn find(
    session: &Session,
    snapshot: &Snapshot<'_>,
    path: &str,
) -> Result<Found, Refusal> {
    let entry = match snapshot.entry(path) {
        Ok(None) => return Ok(Found::Absent),
        Ok(Some(entry)) => entry,
        Err(git::Error::NotRegular { .. }) => return Ok(Found::NotAFile),
        Err(error) => return Err(error.into()),
    };
    if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
        return Ok(Found::NotAFile);
    }
    if let Some(found) = session.ledger.files.get(&entry.id) {
        return Ok(found);
    }
    let found = match snapshot.blob(entry.id, path, MAX_ARTIFACT) {
        Ok(blob) => Found::File {
            sha256: sha256(&blob.bytes),
            size: u64::try_from(blob.bytes.len()).unwrap_or(u64::MAX),
        },
        Err(git::Error::TooLarge { .. }) => Found::TooLarge,
        Err(error) => return Err(error.into()),
    };
    session.ledger.files.keep(entry.id, found, 0);
    Ok(found)
}
