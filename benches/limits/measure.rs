//! Times and memory of whole processes, and ratios of what ran in turn.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Two works that ran in turn, A B A B …, after one unmeasured turn.
pub(crate) struct Pair {
    /// The medians of their times.
    pub(crate) ours: Duration,
    pub(crate) theirs: Duration,
    /// The median of ours over theirs, turn by turn, so that a machine whose speed drifts does not decide.
    pub(crate) ratio: f64,
}

/// Runs two works in turn; each returns the time that counts.
pub(crate) fn pair(
    turns: usize,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> Pair {
    ours();
    theirs();
    let runs: Vec<_> = (0..turns).map(|_| (ours(), theirs())).collect();
    let ratios = runs.iter().map(|(a, b)| a.as_secs_f64() / b.as_secs_f64());
    Pair {
        ours: median(runs.iter().map(|(a, _)| *a)),
        theirs: median(runs.iter().map(|(_, b)| *b)),
        ratio: median(ratios),
    }
}

/// The value in the middle.
pub(crate) fn median<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values.swap_remove(values.len() / 2)
}

/// How long a work takes.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// How long a command takes that must succeed; what it prints is read by nobody.
pub(crate) fn run(command: &mut Command) -> Duration {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let elapsed = start.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    elapsed
}

/// The most memory in use by a command, in MiB; nothing where the system does not say.
pub(crate) fn peak(command: &mut Command) -> Option<u64> {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let place = format!("/proc/{}/status", child.id());
    let mut most = None;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&place).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found: Option<u64> =
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(found);
        thread::sleep(Duration::from_millis(1));
    }
    most.map(|kib| kib / 1024)
}
