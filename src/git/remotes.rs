//! What a repository's own configuration says of its remotes. Talking to them is not libgit2's work here.
use git2::{Config, ConfigLevel, ErrorCode};

use super::{Repository, Result};

impl Repository {
    /// Lists the names of the remotes.
    ///
    /// # Errors
    /// [`super::Error::Git`] where the configuration cannot be read.
    pub fn remotes(&self) -> Result<Vec<String>> {
        let names = self.inner().remotes()?;
        let mut found = Vec::new();
        for name in &names {
            found.extend(name?.map(str::to_owned));
        }
        Ok(found)
    }

    /// Lists every value of a key of the repository's own configuration.
    ///
    /// # Errors
    /// [`super::Error::Git`] where the file does not parse or a value is not text.
    pub fn config_strings(&self, key: &str) -> Result<Vec<String>> {
        let config = self.local_config()?;
        let mut values = match config.multivar(key, None) {
            Ok(values) => values,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        while let Some(entry) = values.next() {
            let entry = entry?;
            if entry.has_value() {
                found.push(entry.value()?.to_owned());
            }
        }
        Ok(found)
    }

    /// Adds one more value to a key of the repository's own configuration, durably.
    ///
    /// # Errors
    /// [`super::Error::Git`] where the file cannot be written.
    pub fn add_config(&self, key: &str, value: &str) -> Result<()> {
        const NONE_OF_THEM: &str = "$^";
        self.local_config()?
            .set_multivar(key, NONE_OF_THEM, value)?;
        self.flush_config()
    }

    pub(super) fn local_config(&self) -> Result<Config> {
        Ok(self.inner().config()?.open_level(ConfigLevel::Local)?)
    }
}
