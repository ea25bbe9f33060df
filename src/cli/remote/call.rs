//! One call of `git` that always comes back: it has a deadline, an end to what it may say, and nobody to ask.
//!
//! A remote decides how fast it answers, how much, and whether at all. So the call runs in a process group of its own,
//! which is ended as a whole, and what it writes is read here as it comes and kept up to a limit.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::engine::code::{Code, Refusal};

/// The most bytes of standard output that an answer may have: some hundred thousand refs.
const MOST_OUTPUT: usize = 32 << 20;

/// The bytes of standard error that are kept; what comes after them is read and dropped.
const MOST_ERROR: usize = 64 << 10;

/// How long a stream that an ended call left open is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// How often a call that has closed its output is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What a call said, and how it ended.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    pub(super) error: Vec<u8>,
}

/// How much memory the call itself may take for an answer, in bytes.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// For a question about refs.
    Question,
    /// For objects on their way.
    Objects,
}

/// Runs a call to its end, or to the deadline's.
///
/// # Errors
/// `GIT_ERROR` where it cannot be started, does not end in time, or says more than is read.
pub(super) fn run(mut command: Command, seconds: u64, room: Room) -> Result<Said, Refusal> {
    let deadline = Instant::now().checked_add(Duration::from_secs(seconds));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| {
            Refusal::new(Code::GitError, format!("cannot run `git`: {error}"))
                .next("install git, or put it on the PATH")
        })?;
    limit(&child, room);
    let output = keep(child.stdout.take(), MOST_OUTPUT, true);
    let error = keep(child.stderr.take(), MOST_ERROR, false);
    let ended = attend(&mut child, &output, deadline);
    if ended.is_err() {
        end(&mut child);
    }
    let error = error.recv_timeout(GRACE).unwrap_or_default().bytes;
    let (status, output) = ended.map_err(|why| why.refusal(seconds, &error))?;
    Ok(Said {
        status,
        output,
        error,
    })
}

/// Why a call was ended.
enum Unfinished {
    Late,
    TooMuch,
    Lost(std::io::Error),
}

impl Unfinished {
    fn refusal(self, seconds: u64, error: &[u8]) -> Refusal {
        let what = match self {
            Self::Late => format!("`git` was ended after {seconds} seconds without an answer"),
            Self::TooMuch => {
                format!("`git` was ended: its answer has more than {MOST_OUTPUT} bytes")
            }
            Self::Lost(error) => format!("`git` could not be waited for: {error}"),
        };
        let refusal = Refusal::new(Code::GitError, what).next(
            "make the remote answer, or give it longer: git config permit.remote.timeout SECONDS",
        );
        match said(error) {
            Some(said) => refusal.detail("git", said),
            None => refusal,
        }
    }
}

/// What was kept of a stream once it is at its end, or over its limit.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    over: bool,
}

/// Reads a stream to its end in a thread of its own and keeps the beginning; `stops` where more than that is a fault.
fn keep(stream: Option<impl Read + Send + 'static>, most: usize, stops: bool) -> Receiver<Kept> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut kept = Kept::default();
        let mut buffer = vec![0_u8; 16 << 10];
        if let Some(mut stream) = stream {
            while let Ok(count) = stream.read(&mut buffer) {
                let room = most.saturating_sub(kept.bytes.len());
                let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                    break;
                };
                kept.bytes.extend(read.iter().take(room));
                kept.over |= count > room;
                if kept.over && stops {
                    break;
                }
            }
        }
        drop(sender.send(kept));
    });
    receiver
}

/// Waits for the end of the output, then for that of the call.
fn attend(
    child: &mut Child,
    output: &Receiver<Kept>,
    deadline: Option<Instant>,
) -> Result<(ExitStatus, Vec<u8>), Unfinished> {
    let left = || match deadline {
        Some(deadline) => deadline.saturating_duration_since(Instant::now()),
        None => Duration::MAX,
    };
    let kept = output.recv_timeout(left()).map_err(|error| match error {
        RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => Unfinished::Late,
    })?;
    if kept.over {
        return Err(Unfinished::TooMuch);
    }
    loop {
        if let Some(status) = child.try_wait().map_err(Unfinished::Lost)? {
            return Ok((status, kept.bytes));
        }
        if left().is_zero() {
            return Err(Unfinished::Late);
        }
        thread::sleep(LOOK);
    }
}

/// Ends the call and all that it started.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    // The call may have ended by itself meanwhile.
    drop(child.kill());
    drop(child.wait());
}

/// Bounds the memory of the call, where the system can: `git` keeps an answer until it is whole.
#[cfg(target_os = "linux")]
fn limit(child: &Child, room: Room) {
    use rustix::process::{Resource, Rlimit, prlimit};
    let bytes = Some(match room {
        Room::Question => 256 << 20,
        Room::Objects => 2 << 30,
    });
    let limit = Rlimit {
        current: bytes,
        maximum: bytes,
    };
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _ = prlimit(id, Resource::Data, limit);
}

#[cfg(not(target_os = "linux"))]
fn limit(_child: &Child, _room: Room) {}

/// What a call said on standard error, cut to its last lines and escaped; nothing where it said nothing.
pub(super) fn said(error: &[u8]) -> Option<String> {
    const LINES: usize = 12;
    const CHARACTERS: usize = 400;
    let text = String::from_utf8_lossy(error);
    let lines: Vec<_> = text
        .split(['\n', '\r'])
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        .collect();
    let first = lines.len().saturating_sub(LINES);
    let shown: Vec<String> = lines
        .iter()
        .skip(first)
        .map(|line| line.chars().take(CHARACTERS).collect())
        .collect();
    (!shown.is_empty()).then(|| crate::cli::render::safe(&shown.join(" | ")))
}
