//! Where the settings of a section stand: in the repository's own file, which counts, or anywhere else.
use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use git2::{Config, ConfigLevel};

use super::{Error, Repository, Result, durable};

/// One setting, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key as Git spells it: section and name in lower case, what is between them as it was written.
    pub key: String,
    /// Where it stands.
    pub origin: Origin,
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the repository's own `config` file.
    Own,
    /// In a file that another file includes.
    Included(&'static str),
    /// In a file that is not the repository's own.
    Other(&'static str, PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => out.write_str("the repository's own file"),
            Self::Included(by) => write!(out, "a file that {by} includes"),
            Self::Other(whose, path) => write!(out, "{whose}, `{}`", path.display()),
        }
    }
}

impl Repository {
    /// Lists every setting of a section, in every file that Git reads for this repository, and in these others.
    ///
    /// # Errors
    /// [`super::Error::Git`] where a file does not parse.
    pub fn settings(
        &self,
        section: &str,
        others: &[(&'static str, PathBuf)],
    ) -> Result<Vec<Setting>> {
        let mut found = Vec::new();
        let config = self.inner().config()?;
        collect(&config, section, &mut found, |level, depth| {
            let (whose, path) = match level {
                ConfigLevel::Local if depth == 0 => return Origin::Own,
                ConfigLevel::Local => ("the repository's own file", None),
                ConfigLevel::Worktree => ("the work tree's file", None),
                ConfigLevel::Global => ("the user's file", Config::find_global().ok()),
                ConfigLevel::XDG => ("the user's file", Config::find_xdg().ok()),
                ConfigLevel::ProgramData
                | ConfigLevel::System
                | ConfigLevel::App
                | ConfigLevel::Highest => ("the system's file", Config::find_system().ok()),
            };
            match path {
                Some(path) if depth == 0 => Origin::Other(whose, path),
                _ if depth > 0 => Origin::Included(whose),
                _ => Origin::Other(whose, self.work_tree_file()),
            }
        })?;
        let own = [("the work tree's file", self.work_tree_file())];
        for (whose, path) in own.iter().chain(others) {
            if path.is_file() {
                let file = Config::open(path)?;
                collect(&file, section, &mut found, |_, depth| match depth {
                    0 => Origin::Other(whose, path.clone()),
                    _ => Origin::Included(whose),
                })?;
            }
        }
        Ok(found)
    }

    /// Writes a value into the repository's own configuration, durably.
    ///
    /// # Errors
    /// [`Error::Git`] where the file cannot be written, [`Error::Io`] where it cannot be flushed.
    pub fn set_config_string(&self, key: &str, value: &str) -> Result<()> {
        self.local_config()?.set_str(key, value)?;
        self.flush_config()
    }

    /// Flushes the repository's own configuration to the disk.
    pub(super) fn flush_config(&self) -> Result<()> {
        let path = self.common_dir().join("config");
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(Error::io(&path))?;
        durable::sync_folder(self.common_dir())
    }

    fn work_tree_file(&self) -> PathBuf {
        self.git_dir().join("config.worktree")
    }

    /// Returns the shared Git directory's real path.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn real_common_dir(&self) -> Result<PathBuf> {
        let path: &Path = self.common_dir();
        fs::canonicalize(path).map_err(Error::io(path))
    }
}

fn collect(
    config: &Config,
    section: &str,
    found: &mut Vec<Setting>,
    place: impl Fn(ConfigLevel, u32) -> Origin,
) -> Result<()> {
    let mut entries = config.entries(Some(&format!("^{section}\\.")))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        found.push(Setting {
            key: entry.name()?.to_owned(),
            origin: place(entry.level(), entry.include_depth()),
        });
    }
    Ok(())
}
