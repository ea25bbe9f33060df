//! The trust root that the machine's administrator names, which no user of the repository can change.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use crate::engine::canonical;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository};

/// Where it stands; nothing can name another place.
pub(crate) const PLACE: &str = "/etc/permit/trust.json";

/// The most bytes that are read of it.
const MOST: u64 = 1 << 20;

/// What it says of one repository.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) governed_ref: String,
    pub(super) commit: CommitId,
    pub(super) role: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    governed_ref: String,
    commit: String,
    role: Option<String>,
}

/// Reads what the machine says of a repository; nothing where the file is not there, or does not name it.
///
/// # Errors
/// `COMMIT_NOT_GOVERNED` where the file is not root's alone, cannot be read or is malformed, whatever it names.
pub(super) fn read(repository: &Repository) -> Result<Option<Host>, Refusal> {
    let Some(bytes) = bytes(Path::new(PLACE)).map_err(|what| unsound(&what))? else {
        return Ok(None);
    };
    let entries: BTreeMap<String, Entry> = canonical::from_slice(&bytes)
        .map_err(|fault| unsound(&format!("is malformed at {fault}")))?;
    let mut hosts = BTreeMap::new();
    for (path, entry) in entries {
        let host = entry
            .check()
            .map_err(|what| unsound(&format!("at `{path}`: {what}")))?;
        hosts.insert(path, host);
    }
    let here = repository.real_common_dir()?;
    // A path that is no text cannot stand in the file.
    Ok(here.to_str().and_then(|here| hosts.remove(here)))
}

impl Host {
    /// Refuses what is said elsewhere of the same repository, and is not the same.
    ///
    /// # Errors
    /// `COMMIT_NOT_GOVERNED`.
    pub(super) fn check(&self, elsewhere: &[(&str, Option<String>); 3]) -> Result<(), Refusal> {
        let commit = self.commit.to_string();
        let role = self.role.as_deref();
        let own = [&*self.governed_ref, &*commit];
        let own = own.map(Some).into_iter().chain([role]);
        for ((key, said), own) in elsewhere.iter().zip(own) {
            let (Some(said), Some(own)) = (said, own) else {
                continue;
            };
            if said != own {
                return Err(Refusal::new(
                    Code::CommitNotGoverned,
                    format!("{key} is `{said}`, and `{PLACE}` says `{own}`"),
                )
                .detail("host", own)
                .next(format!(
                    "say the same as `{PLACE}`, or have root change it there"
                )));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn check(self) -> Result<Host, String> {
        if !self.governed_ref.starts_with("refs/") {
            return Err(format!(
                "`{}` is not the full name of a ref",
                self.governed_ref
            ));
        }
        if let Some(role) = &self.role
            && super::Role::of(role).is_none()
        {
            return Err(format!("there is no role `{role}`"));
        }
        let commit = self.commit.parse();
        let commit = commit.map_err(|_| format!("`{}` is not the id of a commit", self.commit))?;
        Ok(Host {
            governed_ref: self.governed_ref,
            commit,
            role: self.role,
        })
    }
}

/// Reads a file that only root can have written; nothing where it is not there.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let unread = |error: io::Error| format!("cannot be read: {error}");
    let folder = path.parent().unwrap_or(path);
    // First the link's own place, so that a file which is no regular one is never opened.
    for (place, regular) in [(folder, false), (path, true)] {
        match place.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unread(error)),
            Ok(found) if regular && !found.is_file() => return Err("is no regular file".to_owned()),
            Ok(found) if !is_roots(&found) => {
                return Err(format!("is not root's alone: `{}`", place.display()));
            }
            Ok(_) => {}
        }
    }
    let file = File::open(path).map_err(unread)?;
    let found = file.metadata().map_err(unread)?;
    if !found.is_file() || !is_roots(&found) {
        return Err("is not root's alone".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MOST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MOST) {
        Ok(Some(bytes))
    } else {
        Err("is larger than 1 MiB".to_owned())
    }
}

/// Tells whether root owns it and nobody else can write it.
#[cfg(unix)]
fn is_roots(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    found.uid() == 0 && found.mode() & OTHERS_WRITE == 0
}

/// Elsewhere there is no root to own it.
#[cfg(not(unix))]
fn is_roots(_found: &Metadata) -> bool {
    false
}

fn unsound(what: &str) -> Refusal {
    Refusal::new(Code::CommitNotGoverned, format!("`{PLACE}` {what}"))
        .next(format!("have root mend or remove `{PLACE}`"))
}
