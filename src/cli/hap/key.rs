//! The Service Provider's private key: a file of 64 hex digits that only its owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::fault;
use crate::cli::session::Session;
use crate::engine::code::Refusal;
use crate::engine::hap::key::ProviderSecret;

/// Reads a key; a file that others may read is no secret, and is refused.
pub(super) fn read(path: &Path) -> Result<ProviderSecret, Refusal> {
    let file = File::open(path).map_err(|error| fault::io(path, &error))?;
    let metadata = file.metadata().map_err(|error| fault::io(path, &error))?;
    check_mode(path, &metadata)?;
    // Room for all that is read, so that no copy is left behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(256));
    file.take(128)
        .read_to_string(&mut text)
        .map_err(|error| fault::io(path, &error))?;
    text.strip_suffix('\n')
        .unwrap_or(text.as_str())
        .parse()
        .map_err(|_| {
            fault::input(format!(
                "`{}` does not hold 64 lower-case hexadecimal digits",
                path.display()
            ))
        })
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Refusal> {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS: u32 = 0o077;
    if metadata.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(fault::input(format!(
        "others may read the private key `{}`",
        path.display()
    ))
    .next(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), Refusal> {
    Ok(())
}

/// Makes a key in a new file of mode 0600, which must not lie in the repository.
pub(super) fn create(session: Option<&Session>, path: &Path) -> Result<ProviderSecret, Refusal> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let folder = folder
        .canonicalize()
        .map_err(|error| fault::io(&folder, &error))?;
    if let Some(session) = session {
        let inside = [
            session.repository.work_dir(),
            Some(session.repository.common_dir()),
        ]
        .into_iter()
        .flatten()
        .filter_map(|place| place.canonicalize().ok())
        .any(|place| folder.starts_with(place));
        if inside {
            return Err(fault::input(format!(
                "`{}` lies in the repository, where a private key does not belong",
                path.display()
            ))
            .next("name a file outside the repository"));
        }
    }
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| fault::io(path, &error.into()))?;
    let text = Zeroizing::new(hex::encode(seed.as_slice()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| fault::io(path, &error))?;
    Ok(ProviderSecret::new(&seed))
}
