//! Which bytes a policy command reads: a file, standard input, a commit's policy, the one of the work tree.

use std::path::{Path, PathBuf};

use super::super::args::Global;
use super::super::fault;
use super::super::files;
use super::super::session::{MAX_GOVERNED, Session};
use super::args::PolicyChoice;
use crate::engine::code::{Code, Refusal};

const FOLDER: &str = "governance/policy";

/// A policy document, unread, and what it is called where it is told of.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    /// Reads the policy that the arguments choose; a repository is needed only where a commit is named.
    pub(crate) fn chosen(global: &Global, choice: &PolicyChoice) -> Result<Self, Refusal> {
        match (&choice.file, &choice.at) {
            (Some(path), _) => Self::file(path),
            (None, Some(rev)) => Self::revision(global, rev),
            (None, None) => Self::file(&of_work_tree(global)?),
        }
    }

    /// Reads a file, or standard input for `-`.
    pub(crate) fn file(path: &Path) -> Result<Self, Refusal> {
        let limit = usize::try_from(MAX_GOVERNED).unwrap_or(usize::MAX);
        if path.is_dir() {
            let what = format!("`{}` is a folder, not a policy", path.display());
            return Err(fault::input(what)
                .next("name the file, such as governance/policy/acme.policy.json"));
        }
        let name = if path.as_os_str() == "-" {
            "<stdin>".to_owned()
        } else {
            path.display().to_string()
        };
        let bytes = files::read(path, limit)?;
        Self::bounded(name, bytes, limit)
    }

    /// Reads the policy of a commit.
    pub(crate) fn revision(global: &Global, rev: &str) -> Result<Self, Refusal> {
        let session = Session::open(global)?;
        let snapshot = session
            .repository
            .snapshot(session.repository.resolve(rev)?)?;
        let (path, bytes) = Session::policy_bytes(&snapshot)?;
        Ok(Self {
            name: format!("{rev}:{path}"),
            bytes,
        })
    }

    /// Reads a file where there is one of that name, else the policy of a commit.
    #[expect(dead_code, reason = "`policy diff` takes both")]
    pub(crate) fn either(global: &Global, name: &Path) -> Result<Self, Refusal> {
        match name.to_str() {
            Some(rev) if rev != "-" && !name.exists() => Self::revision(global, rev),
            _ => Self::file(name),
        }
    }

    fn bounded(name: String, bytes: Vec<u8>, limit: usize) -> Result<Self, Refusal> {
        if bytes.len() > limit {
            let what = format!("`{name}` is larger than 8 MiB, which no policy is");
            return Err(Refusal::new(Code::InvalidPolicy, what));
        }
        Ok(Self { name, bytes })
    }
}

/// The one policy document of the work tree that holds the working directory.
fn of_work_tree(global: &Global) -> Result<PathBuf, Refusal> {
    let here = PathBuf::from(FOLDER);
    let folder = if global.repository.is_none() && here.is_dir() {
        here
    } else {
        match Session::open(global) {
            Ok(session) => session.work_tree()?.join(FOLDER),
            Err(_) => here,
        }
    };
    let mut found: Vec<PathBuf> = Vec::new();
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(|error| fault::io(&folder, &error))?.path();
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                if name.is_some_and(|name| name.ends_with(".policy.json")) {
                    found.push(path);
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault::io(&folder, &error)),
    }
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Refusal::new(
            Code::PolicyMissing,
            format!("the work tree holds no `{FOLDER}/*.policy.json`"),
        )
        .next("name the policy's file, or make one: permit policy new --template agent-coding")),
        [one, other, ..] => Err(Refusal::new(
            Code::InvalidPolicy,
            format!(
                "two policy documents: `{}` and `{}`",
                one.display(),
                other.display()
            ),
        )
        .next("keep one of them; a governed commit holds exactly one")),
    }
}
