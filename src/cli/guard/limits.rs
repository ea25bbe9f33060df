//! What one judgement of a push may take: memory, processor time, open files, and wall clock.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::cli::fault;
use crate::engine::code::{Code, Refusal};
use crate::git::Repository;

/// The key of the memory limit, in bytes.
pub(super) const MEMORY: &str = "permit.guard.memory";
/// The key of the limit on processor time, in seconds.
pub(super) const CPU: &str = "permit.guard.cpu";
/// The key of the limit on wall clock, in seconds.
pub(super) const WALL: &str = "permit.guard.wall";
/// The most open files.
const FILES: u64 = 4_096;
/// The largest number that Git's configuration takes.
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// What one worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    /// Anonymous memory in bytes; mapped packs do not count.
    pub(super) memory: u64,
    /// Processor time in seconds.
    pub(super) cpu: u64,
    /// Wall clock in seconds, kept by the parent.
    pub(super) wall: u64,
}

/// Whether a process may go on to other limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Until the configuration is read, which may ask for more.
    ForNow,
    /// Nothing in the process can raise them again.
    ForGood,
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// The limits where the configuration asks for no others.
    pub(super) const DEFAULT: Self = Self {
        memory: 1 << 30,
        cpu: 60,
        wall: 120,
    };

    /// The limits of a repository.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a value that is no limit.
    pub(super) fn of(repository: &Repository) -> Result<Self, Refusal> {
        let limit = |key: &str, default: u64| match repository.config_string(key)? {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=LARGEST).contains(number))
                .ok_or_else(|| {
                    fault::input(format!("`{key}` is `{text}`, no whole number above 0"))
                        .next(format!("git config {key} {default}"))
                }),
        };
        Ok(Self {
            memory: limit(MEMORY, Self::DEFAULT.memory)?,
            cpu: limit(CPU, Self::DEFAULT.cpu)?,
            wall: limit(WALL, Self::DEFAULT.wall)?,
        })
    }

    /// Sets the limits of this process and of every process that it starts. A stricter one that it inherited stays.
    pub(super) fn confine(self, bound: Bound) -> Result<(), Refusal> {
        // macOS keeps no limit on anonymous memory.
        #[cfg(target_os = "linux")]
        {
            lower(Resource::Data, self.memory, 0, bound)?;
            lower(Resource::Nofile, FILES, 0, bound)?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = FILES;
        // The second between the two tells the end of the time from another end.
        lower(Resource::Cpu, self.cpu, 1, bound)?;
        // What is killed at a limit leaves no image of its memory behind.
        lower(Resource::Core, 0, 0, bound)
    }

    /// The line that a worker says of its limits.
    pub(super) fn to_line(self) -> String {
        format!("limits {} {} {}\n", self.memory, self.cpu, self.wall)
    }

    /// Reads such a line.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.strip_prefix("limits ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let limits = Self {
            memory: number()?,
            cpu: number()?,
            wall: number()?,
        };
        words.next().is_none().then_some(limits)
    }
}

/// Lowers a limit to a value, where it takes effect, and to `slack` above it, where it cannot be raised again.
fn lower(resource: Resource, value: u64, slack: u64, bound: Bound) -> Result<(), Refusal> {
    let most = getrlimit(resource).maximum;
    let within = |value: u64| most.map_or(value, |most| most.min(value));
    let maximum = match bound {
        Bound::ForNow => most,
        Bound::ForGood => Some(within(value.saturating_add(slack))),
    };
    let current = Some(within(value));
    setrlimit(resource, Rlimit { current, maximum }).map_err(|error| {
        Refusal::new(
            Code::Internal,
            format!("the limits of the worker cannot be set: {error}"),
        )
    })
}
