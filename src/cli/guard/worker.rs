//! `permit guard receive` judges in a process of its own, with limits that it sets itself before it reads a byte.
//!
//! ```text
//!   git ──> parent: reads nothing of the repository or the push, keeps the wall clock
//!             └──> worker: limits first, then the configuration, then the push; on standard output its limits and one answer
//! ```
//!
//! What ends a worker ends no server: a second one, which reads nothing of the push, records that and answers in its
//! place, a denial in `enforce`, an allowance in `shadow`. Where it does not answer either, the parent does.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{self, Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::limits::{Bound, CPU, Limits, MEMORY, WALL};
use crate::cli::args::Global;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render;
use crate::cli::session::Session;
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::enforce::Mode;

/// The argument that makes the program the worker of the process that it names.
pub(super) const WORKER: &str = "--worker";
/// The argument that makes a worker record that the first one did not answer: why, and what to do.
pub(super) const UNANSWERED: &str = "--unanswered";
/// The longest answer that is passed on, in bytes.
const MAX_ANSWER: u64 = 1 << 26;
/// How often a worker that closed its standard output is asked whether it ended.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the second worker may take.
const RECORDING: Duration = Duration::from_secs(10);

/// Makes this process the worker of its parent: limits first, then the repository, whose configuration may ask for others.
///
/// # Errors
/// `INTERNAL` where the limits cannot be set, and whatever opening the repository finds.
pub(super) fn begin(global: &Global, parent: u32, recording: bool) -> Result<Session, Refusal> {
    let opened = end_with(parent)
        .and_then(|()| Limits::DEFAULT.confine(Bound::ForNow))
        .and_then(|()| Session::receive(global))
        .and_then(|session| {
            let limits = if recording {
                Limits::DEFAULT
            } else {
                Limits::of(&session.repository)?
            };
            limits.confine(Bound::ForGood)?;
            Ok((session, limits))
        });
    let limits = opened
        .as_ref()
        .map_or(Limits::DEFAULT, |(_, limits)| *limits);
    render::print_text(&limits.to_line())?;
    opened.map(|(session, _)| session)
}

/// Makes this process end when its parent does: nobody keeps its wall clock any more.
fn end_with(parent: u32) -> Result<(), Refusal> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| {
        let what = format!("the worker cannot be bound to its parent: {error}");
        Refusal::new(Code::Internal, what)
    })?;
    // The parent may have ended before that.
    if std::os::unix::process::parent_id() == parent {
        return Ok(());
    }
    let what = format!("`{WORKER}` is for `permit guard receive` itself, which calls its worker");
    Err(fault::input(what).next("permit guard receive"))
}

/// An answer, what was said to people beside it, and the exit status of the worker that gave it.
struct Answer {
    text: Vec<u8>,
    notes: Vec<u8>,
    exit: u8,
}

/// What a worker says: on standard output its limits and its answer, on standard error what people read.
enum Said {
    Limits(Limits),
    Answer(Vec<u8>),
    Notes(Vec<u8>),
}

/// All that a worker said until it ended.
#[derive(Default)]
struct Heard {
    limits: Limits,
    answer: Vec<u8>,
    notes: Vec<u8>,
}

/// A worker that gave no answer: why, and how long another one may take.
struct Silence {
    refusal: Refusal,
    wall: Duration,
}

impl From<Refusal> for Silence {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            wall: RECORDING,
        }
    }
}

/// Lets a worker judge the push on standard input, and answers in its place where it does not.
pub(super) fn judge(mode: Mode) -> Outcome {
    let Silence { refusal, wall } = match run(&[], None) {
        Ok(answer) => return answer.pass_on(mode),
        Err(silence) => silence,
    };
    let unanswered = [UNANSWERED, &refusal.message, refusal.next_step()];
    match run(&unanswered, Some(wall.min(RECORDING))) {
        Ok(answer) => answer.pass_on(mode),
        Err(Silence { refusal: also, .. }) => super::unrecordable(mode, refusal, &also),
    }
}

impl Answer {
    /// The answer of this process; `shadow` never blocks, whatever its worker says.
    fn pass_on(self, mode: Mode) -> Outcome {
        let mut outcome =
            Outcome::raw(super::RECEIVE, self.text).summary(String::from_utf8_lossy(&self.notes));
        match (mode, self.exit) {
            (Mode::Shadow, 1..) => {
                let what = "SHADOW: the push could not be judged and would have been blocked";
                outcome
                    .warnings
                    .push(format!("{what}: exit status {}", self.exit));
            }
            (Mode::Shadow | Mode::Enforce | Mode::Off, exit) => outcome.exit = Some(exit),
        }
        outcome
    }
}

/// Runs a worker; it has as long as its own limits say, or at most as long as the caller says.
fn run(arguments: &[&str], most: Option<Duration>) -> Result<Answer, Silence> {
    let failed = |error: &io::Error| {
        let what = format!("the worker cannot be started: {error}");
        Silence::from(Refusal::new(Code::Internal, what))
    };
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .arg(format!("{WORKER}={}", process::id()))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: whatever it starts ends with it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let heard = hear(&mut child, most);
    let pid = Pid::from_child(&child);
    // The worker was not waited for yet, so that the number of its group is still its own.
    rustix::process::kill_process_group(pid, Signal::KILL).ok();
    let status = child.wait().map_err(|error| failed(&error))?;
    tell(heard?, status)
}

/// Hears what a worker says until it ended or its time is over, and leaves it to be waited for.
fn hear(child: &mut Child, most: Option<Duration>) -> Result<Heard, Silence> {
    let begun = Instant::now();
    let mut heard = Heard::default();
    let wall = |limits: Limits| {
        let wall = Duration::from_secs(limits.wall);
        most.map_or(wall, |most| most.min(wall))
    };
    let late = |limits: Limits| {
        let wall = wall(limits);
        let seconds = wall.as_secs();
        let what = format!("the worker did not answer within {seconds} s of wall clock (`{WALL}`)");
        let refusal = Refusal::new(Code::Internal, what).next(raise(WALL, limits.wall));
        Silence { refusal, wall }
    };
    let receiver = listeners(child).map_err(|error| fault::io(Path::new("permit"), &error))?;
    loop {
        match receiver.recv_timeout(wall(heard.limits).saturating_sub(begun.elapsed())) {
            Ok(Said::Limits(limits)) => heard.limits = limits,
            Ok(Said::Answer(text)) => heard.answer = text,
            Ok(Said::Notes(text)) => heard.notes = text,
            Err(RecvTimeoutError::Timeout) => return Err(late(heard.limits)),
            // It closed its standard output and error.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), options)
        .is_ok_and(|ended| ended.is_none())
    {
        if begun.elapsed() >= wall(heard.limits) {
            return Err(late(heard.limits));
        }
        thread::sleep(PAUSE);
    }
    Ok(heard)
}

/// Reads standard output and error of a worker, each in a thread; one that still reads when the worker is killed ends with
/// this process.
fn listeners(child: &mut Child) -> io::Result<Receiver<Said>> {
    let (said, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        let said = said.clone();
        thread::Builder::new().spawn(move || listen(output, &said))?;
    }
    if let Some(errors) = child.stderr.take() {
        thread::Builder::new().spawn(move || {
            let mut notes = Vec::new();
            errors.take(MAX_ANSWER).read_to_end(&mut notes).ok();
            said.send(Said::Notes(notes)).ok();
        })?;
    }
    Ok(receiver)
}

/// Reads the line of limits and the answer; what is longer than an answer may be, or cannot be read, is none.
fn listen(output: ChildStdout, said: &Sender<Said>) {
    let mut output = BufReader::new(output.take(MAX_ANSWER));
    let mut line = String::new();
    let Some(limits) = output
        .read_line(&mut line)
        .ok()
        .and_then(|_| Limits::from_line(&line))
    else {
        return;
    };
    let mut answer = Vec::new();
    if said.send(Said::Limits(limits)).is_ok()
        && output.read_to_end(&mut answer).is_ok()
        && output.get_ref().limit() > 0
    {
        said.send(Said::Answer(answer)).ok();
    }
}

/// Tells an answer from a death.
fn tell(heard: Heard, status: ExitStatus) -> Result<Answer, Silence> {
    let Heard {
        limits,
        answer: text,
        notes,
    } = heard;
    let known = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .filter(|code| Class::ALL.iter().any(|class| class.exit_code() == *code));
    let refusal = match known {
        // A refusal may stand on standard error alone; "yes" never does.
        Some(exit) if exit != 0 || !text.is_empty() => return Ok(Answer { text, notes, exit }),
        Some(_) => Refusal::new(Code::Internal, "the worker ended without an answer"),
        None => death(status, limits),
    };
    // What it said before it died is all that tells why.
    let notes = String::from_utf8_lossy(&notes);
    if !notes.is_empty() {
        render::note(notes.trim_end_matches('\n'));
    }
    Err(Silence {
        refusal,
        wall: Duration::from_secs(limits.wall),
    })
}

/// Says what a worker died of, as far as its end tells.
fn death(status: ExitStatus, limits: Limits) -> Refusal {
    let memory = format!("{} bytes of memory (`{MEMORY}`)", limits.memory);
    let cpu = format!("{} s of processor time (`{CPU}`)", limits.cpu);
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let is = |wanted: Signal| signal == Some(wanted.as_raw());
    let (what, next) = if is(Signal::XCPU) {
        (
            format!("the worker used up its {cpu}"),
            raise(CPU, limits.cpu),
        )
    } else if is(Signal::ABORT) {
        (
            format!("the worker ended at its limit of {memory}"),
            raise(MEMORY, limits.memory),
        )
    } else {
        let what = format!("the worker died ({status}) under its limits of {memory} and {cpu}");
        (what, "permit guard status".to_owned())
    };
    Refusal::new(Code::Internal, what).next(next)
}

/// The command that lets an honest push have more, on the server.
fn raise(key: &str, limit: u64) -> String {
    format!("git config {key} {}", limit.saturating_mul(2))
}
