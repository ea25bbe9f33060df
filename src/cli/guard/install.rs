//! `permit guard install`: the `pre-receive` hook. Never overwrites another one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::push::governed_name;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{GOOD, paint};
use crate::cli::session::Session;
use crate::engine::code::Refusal;

pub(super) fn run(session: &Session) -> Result<Outcome, Refusal> {
    governed_name(session)?;
    let path = hook_path(session)?;
    let program =
        std::env::current_exe().map_err(|error| fault::io(Path::new("permit"), &error))?;
    let script = script(&program)?;
    let word = match fs::read(&path) {
        Ok(found) if found == script.as_bytes() => "kept",
        Ok(_) => {
            let what = format!(
                "`{}` is another hook and is not overwritten",
                path.display()
            );
            return Err(fault::input(what)
                .next("call `permit guard receive` from that hook, with its standard input, and let its exit status decide"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(&path, &script).map_err(|error| fault::io(&path, &error))?;
            "installed"
        }
        Err(error) => return Err(fault::io(&path, &error)),
    };
    Ok(Outcome::ok("guard.install")
        .field("hook", path.display().to_string())
        .field("state", word)
        .next("set ENFORCEMENT_MODE=shadow in the environment of the server, then read `permit guard report`")
        .text(format!("{} {}\n", paint(GOOD, word), path.display())))
}

/// Where Git looks for the hook of this repository.
pub(super) fn hook_path(session: &Session) -> Result<PathBuf, Refusal> {
    let common = session.repository.common_dir();
    let folder = match session.repository.config_string("core.hooksPath")? {
        // Git runs hooks of a bare repository in it, others in the work tree.
        Some(path) => session.repository.work_dir().unwrap_or(common).join(path),
        None => common.join("hooks"),
    };
    Ok(folder.join("pre-receive"))
}

/// Tells whether the hook calls this program's boundary.
pub(super) fn is_installed(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains("guard receive"))
}

fn script(program: &Path) -> Result<String, Refusal> {
    let program = program
        .to_str()
        .ok_or_else(|| fault::input("the path of this program is not UTF-8"))?;
    let quoted = program.replace('\'', r"'\''");
    Ok(format!(
        "#!/bin/sh\n# Written by `permit guard install`. The mode is ENFORCEMENT_MODE of the server's environment.\nexec '{quoted}' guard receive\n"
    ))
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
