//! `permit guard install`: the `pre-receive` and `reference-transaction` hooks and the folder of claims. Never overwrites
//! another hook.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::claims::Claims;
use super::push::governed_name;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, GOOD, paint};
use crate::cli::session::Session;
use crate::engine::code::Refusal;

/// One hook that belongs to the boundary.
struct Hook {
    name: &'static str,
    /// What of this program it calls.
    call: &'static str,
    /// How it passes on what Git says.
    arguments: &'static str,
}

const RECEIVE: Hook = Hook {
    name: "pre-receive",
    call: "guard receive",
    arguments: "",
};
const TRANSACTION: Hook = Hook {
    name: "reference-transaction",
    call: "guard transaction",
    arguments: " \"$1\"",
};

pub(super) fn run(session: &Session) -> Result<Outcome, Refusal> {
    governed_name(session)?;
    let folder = folder(session)?;
    let program =
        std::env::current_exe().map_err(|error| fault::io(Path::new("permit"), &error))?;
    // The second one vetoes whatever the first one does not allow, so that it comes last.
    let receive = RECEIVE.place(&folder, &program)?;
    let transaction = TRANSACTION.place(&folder, &program)?;
    let word = receive.write()?;
    let transaction_word = transaction.write()?;
    let claims = Claims::install(session)?;
    let mut text = format!("{} {}\n", paint(GOOD, word), receive.path.display());
    text.push_str(&format!(
        "{} {}\n",
        paint(GOOD, transaction_word),
        transaction.path.display()
    ));
    let next = if claims {
        "set ENFORCEMENT_MODE=shadow in the environment of the server, then read `permit guard report`"
    } else {
        text.push_str(&format!("{} claims\n", paint(BAD, "lost")));
        "restore `permit-claims/` from a backup, or permit guard claims reset --reason TEXT"
    };
    Ok(Outcome::ok("guard.install")
        .field("hook", receive.path.display().to_string())
        .field("state", word)
        .field("transaction_hook", transaction.path.display().to_string())
        .field("transaction_state", transaction_word)
        .field("claims", if claims { "kept" } else { "lost" })
        .next(next)
        .text(text))
}

/// A hook with where it stands and what it says.
struct Placed {
    path: PathBuf,
    script: String,
    there: bool,
}

impl Hook {
    /// Finds out where the hook goes.
    ///
    /// # Errors
    /// `INVALID_INPUT` where another one is there.
    fn place(&self, folder: &Path, program: &Path) -> Result<Placed, Refusal> {
        let path = folder.join(self.name);
        let script = self.script(program)?;
        let there = match fs::read(&path) {
            Ok(found) if found == script.as_bytes() => true,
            Ok(_) => {
                let what = format!(
                    "`{}` is another hook and is not overwritten",
                    path.display()
                );
                return Err(fault::input(what).next(format!(
                    "call `permit {}{}` from that hook, with its standard input, and let its exit status decide",
                    self.call, self.arguments
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(fault::io(&path, &error)),
        };
        Ok(Placed {
            path,
            script,
            there,
        })
    }

    fn script(&self, program: &Path) -> Result<String, Refusal> {
        let program = program
            .to_str()
            .ok_or_else(|| fault::input("the path of this program is not UTF-8"))?;
        let quoted = program.replace('\'', r"'\''");
        let (call, arguments) = (self.call, self.arguments);
        Ok(format!(
            "#!/bin/sh\n# Written by `permit guard install`. The mode is ENFORCEMENT_MODE of the server's environment.\nexec '{quoted}' {call}{arguments}\n"
        ))
    }

    /// Tells whether a hook calls this program's boundary, and Git may run it.
    fn is_installed(&self, path: &Path) -> bool {
        fs::read_to_string(path).is_ok_and(|text| text.contains(self.call)) && is_executable(path)
    }
}

impl Placed {
    /// Writes the hook, unless it is there; says which.
    fn write(&self) -> Result<&'static str, Refusal> {
        if self.there {
            return Ok("kept");
        }
        write(&self.path, &self.script).map_err(|error| fault::io(&self.path, &error))?;
        Ok("installed")
    }
}

/// Where Git looks for the `pre-receive` hook of this repository.
pub(super) fn hook_path(session: &Session) -> Result<PathBuf, Refusal> {
    Ok(folder(session)?.join(RECEIVE.name))
}

/// Where Git looks for the `reference-transaction` hook of this repository.
pub(super) fn transaction_path(session: &Session) -> Result<PathBuf, Refusal> {
    Ok(folder(session)?.join(TRANSACTION.name))
}

fn folder(session: &Session) -> Result<PathBuf, Refusal> {
    let common = session.repository.common_dir();
    Ok(match session.repository.config_string("core.hooksPath")? {
        // Git runs hooks of a bare repository in it, others in the work tree.
        Some(path) => session.repository.work_dir().unwrap_or(common).join(path),
        None => common.join("hooks"),
    })
}

/// Tells whether the `pre-receive` hook calls this program's boundary.
pub(super) fn is_installed(path: &Path) -> bool {
    RECEIVE.is_installed(path)
}

/// Tells whether the `reference-transaction` hook calls this program's boundary.
pub(super) fn is_transaction_installed(path: &Path) -> bool {
    TRANSACTION.is_installed(path)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.exists()
}

fn write(path: &Path, script: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    let mut file = options.open(path)?;
    file.write_all(script.as_bytes())?;
    file.sync_all()
}
