//! `permit guard install`: the `pre-receive` and `reference-transaction` hooks and the folder of claims. Never overwrites
//! another hook.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::claims::Claims;
use super::push::governed_name;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{BAD, GOOD, paint};
use crate::cli::session::Session;
use crate::engine::code::Refusal;

/// One hook that belongs to the boundary.
pub(super) struct Hook {
    pub(super) name: &'static str,
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

/// Every hook of the boundary; the second one vetoes whatever the first one does not allow, so that it comes last.
pub(super) const HOOKS: [Hook; 2] = [RECEIVE, TRANSACTION];

/// What no hook can see: who set its environment.
const SSHD: &str = "the SSH daemon of the server must accept no variable named PERMIT_*, GIT_* or ENFORCEMENT_* \
    (`AcceptEnv` and `PermitUserEnvironment` of sshd_config), or whoever pushes sets the mode and the pusher";

pub(super) fn run(session: &Session) -> Result<Outcome, Refusal> {
    governed_name(session)?;
    let folder = folder(session)?;
    let receive = RECEIVE.place(&folder)?;
    let transaction = TRANSACTION.place(&folder)?;
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
    let mut outcome = Outcome::ok("guard.install")
        .field("hook", receive.path.display().to_string())
        .field("state", word)
        .field("transaction_hook", transaction.path.display().to_string())
        .field("transaction_state", transaction_word)
        .field("claims", if claims { "kept" } else { "lost" })
        .next(next)
        .text(text);
    outcome.warnings.push(SSHD.to_owned());
    Ok(outcome)
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
    fn place(&self, folder: &Path) -> Result<Placed, Refusal> {
        let path = folder.join(self.name);
        let script = self.script()?;
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

/// Where Git looks for the hooks of this repository.
pub(super) fn folder(session: &Session) -> Result<PathBuf, Refusal> {
    let common = session.repository.common_dir();
    Ok(match session.repository.hooks_path()? {
        // Git runs hooks of a bare repository in it, others in the work tree.
        Some(path) => session.repository.work_dir().unwrap_or(common).join(path),
        None => common.join("hooks"),
    })
}

/// Where Git looks for the `reference-transaction` hook of this repository.
pub(super) fn transaction_path(session: &Session) -> Result<PathBuf, Refusal> {
    Ok(folder(session)?.join(TRANSACTION.name))
}

/// Tells whether the `reference-transaction` hook calls this program's boundary, and Git may run it.
pub(super) fn is_transaction_installed(path: &Path) -> bool {
    TRANSACTION.state(path).is_ok_and(HookState::calls_guard)
}

/// What stands where Git looks for a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HookState {
    /// What `permit guard install` of this program writes.
    Ours,
    /// Another script, or one of another program, that calls the boundary.
    CallsGuard,
    /// Git passes over it.
    NotExecutable,
    /// Something that does not call the boundary.
    Foreign,
    /// Nothing.
    Missing,
}

impl Hook {
    /// Looks at what stands in the hook's place.
    ///
    /// # Errors
    /// `IO_ERROR` where it cannot be read.
    pub(super) fn state(&self, path: &Path) -> Result<HookState, Refusal> {
        let found = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HookState::Missing),
            Err(error) => return Err(fault::io(path, &error)),
        };
        let about = fs::metadata(path).map_err(|error| fault::io(path, &error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
        let calls = String::from_utf8_lossy(&found)
            .lines()
            .any(|line| !line.starts_with('#') && line.contains(self.call));
        Ok(if mode & 0o111 == 0 {
            HookState::NotExecutable
        } else if found == self.script()?.as_bytes() {
            HookState::Ours
        } else if calls {
            HookState::CallsGuard
        } else {
            HookState::Foreign
        })
    }

    /// The script of this program that belongs there.
    fn script(&self) -> Result<String, Refusal> {
        let program =
            std::env::current_exe().map_err(|error| fault::io(Path::new("permit"), &error))?;
        let program = program
            .to_str()
            .ok_or_else(|| fault::input("the path of this program is not UTF-8"))?;
        let quoted = program.replace('\'', r"'\''");
        let (call, arguments) = (self.call, self.arguments);
        Ok(format!(
            "#!/bin/sh\n# Written by `permit guard install`. The mode is ENFORCEMENT_MODE of the server's environment.\nexec '{quoted}' {call}{arguments}\n"
        ))
    }
}

impl HookState {
    /// Whether Git asks the boundary.
    pub(super) fn calls_guard(self) -> bool {
        matches!(self, Self::Ours | Self::CallsGuard)
    }

    /// The state for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ours => "installed",
            Self::CallsGuard => "a script of its own that calls the guard",
            Self::NotExecutable => "not executable: Git passes over it",
            Self::Foreign => "another hook, which does not call the guard",
            Self::Missing => "not installed",
        }
    }
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
