//! One child process: its program found once, its network cut off where that is asked for, signals passed on.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::cli::fault;
use crate::engine::code::Refusal;
use crate::engine::enforce::Ran;

/// A program that was found, and how it will run.
pub(super) struct Program {
    path: PathBuf,
    argv: Vec<String>,
    folder: PathBuf,
    /// The tool that takes the network away, where it is wanted and works here without privileges.
    cut_off: Option<PathBuf>,
}

/// How the tool that takes the network away is called: in a user and a network namespace of its own.
const CUT_OFF: [&str; 4] = ["--user", "--map-current-user", "--net", "--"];

impl Program {
    /// Finds the program of an argument list, as it will be run in a folder.
    ///
    /// # Errors
    /// `IO_ERROR` where there is none, `INVALID_INPUT` where no program is named.
    pub(super) fn find(argv: &[String], folder: &Path) -> Result<Self, Refusal> {
        let name = argv
            .first()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| fault::input("no program is named"))?;
        let path = search(name, folder).ok_or_else(|| {
            let error = io::Error::new(io::ErrorKind::NotFound, "no such program");
            fault::io(Path::new(name), &error)
        })?;
        Ok(Self {
            path,
            argv: argv.to_vec(),
            folder: folder.to_owned(),
            cut_off: None,
        })
    }

    /// Takes the network away from the child where the system allows that without privileges; tells whether it does.
    pub(super) fn cut_off(&mut self) -> bool {
        let Some(tool) = search("unshare", &self.folder) else {
            return false;
        };
        let works = Command::new(&tool)
            .args(CUT_OFF)
            .arg(&tool)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if works {
            self.cut_off = Some(tool);
        }
        works
    }

    /// Runs the program to its end and passes signals on to it.
    ///
    /// # Errors
    /// `IO_ERROR` where it could not be started or waited for.
    pub(super) fn run(&self) -> Result<Ran, Refusal> {
        let failed = |error: io::Error| fault::io(&self.path, &error);
        let mut command = match &self.cut_off {
            Some(tool) => {
                let mut command = Command::new(tool);
                command.args(CUT_OFF).arg(&self.path);
                command
            }
            None => self.direct(),
        };
        command
            .args(self.argv.iter().skip(1))
            .current_dir(&self.folder);
        wait(&mut command).map(ended).map_err(failed)
    }

    fn direct(&self) -> Command {
        let mut command = Command::new(&self.path);
        #[cfg(unix)]
        if let Some(name) = self.argv.first() {
            std::os::unix::process::CommandExt::arg0(&mut command, name);
        }
        command
    }
}

fn ended(status: ExitStatus) -> Ran {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    Ran {
        exit_status: status.code(),
        signal,
        changed_paths: Vec::new(),
    }
}

/// Looks for a program: a name with `/` from the folder, any other on `PATH`.
fn search(name: &str, folder: &Path) -> Option<PathBuf> {
    let runs = |path: PathBuf| {
        let about = path.metadata().ok()?;
        #[cfg(unix)]
        let may = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
        #[cfg(not(unix))]
        let may = true;
        (about.is_file() && may).then_some(path)
    };
    if name.contains('/') {
        return runs(std::path::absolute(folder.join(name)).ok()?);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|place| place.is_absolute())
        .find_map(|place| runs(place.join(name)))
}

#[cfg(unix)]
fn wait(command: &mut Command) -> io::Result<ExitStatus> {
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use signal_hook::iterator::SignalsInfo;
    use signal_hook::iterator::exfiltrator::origin::WithOrigin;

    let listen = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
    let mut signals = SignalsInfo::<WithOrigin>::new(listen)?;
    let handle = signals.handle();
    let mut child: Child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no id"))?;
    let passing = std::thread::spawn(move || {
        for origin in &mut signals {
            // What a terminal sends goes to the whole process group: the child has it already.
            let from_terminal =
                origin.process.is_none() && matches!(origin.signal, SIGINT | SIGQUIT);
            if let (false, Some(signal)) = (from_terminal, Signal::from_named_raw(origin.signal)) {
                let _ = kill_process(pid, signal);
            }
        }
    });
    // INVARIANT: the child is only waited for, not collected, until no signal is passed on any more; its id stays its own.
    let seen = loop {
        match waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other,
        }
    };
    handle.close();
    drop(passing.join());
    seen?;
    child.wait()
}

#[cfg(not(unix))]
fn wait(command: &mut Command) -> io::Result<ExitStatus> {
    command.spawn()?.wait()
}
