//! Progress on a terminal, for work that lasts more than a second.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts steps; shows nothing in the first second and nothing where standard error is not a terminal.
pub(crate) struct Progress {
    since: Instant,
    steps: AtomicU64,
    total: Option<u64>,
    what: &'static str,
    bar: OnceLock<ProgressBar>,
}

/// How many steps pass between two looks at the clock.
const EVERY: u64 = 1024;

impl Progress {
    /// Begins to count.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            since: Instant::now(),
            steps: AtomicU64::new(0),
            total,
            what,
            bar: OnceLock::new(),
        }
    }

    /// Counts a step.
    pub(crate) fn step(&self) {
        self.advance(1);
    }

    /// Counts steps, of any thread.
    pub(crate) fn advance(&self, steps: u64) {
        let before = self.steps.fetch_add(steps, Ordering::Relaxed);
        let now = before.saturating_add(steps);
        if before / EVERY == now / EVERY {
            return;
        }
        if self.since.elapsed() > Duration::from_secs(1) {
            self.bar.get_or_init(|| self.start()).set_position(now);
        }
    }

    fn start(&self) -> ProgressBar {
        let bar = match self.total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = if self.total.is_some() {
            "{msg} {wide_bar} {human_pos}/{human_len} {eta}"
        } else {
            "{msg} {human_pos}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_message(self.what);
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
