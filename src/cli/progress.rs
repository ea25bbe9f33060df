//! Progress on a terminal, for work that lasts more than a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts steps; shows nothing in the first second and nothing where standard error is not a terminal.
pub(crate) struct Progress {
    since: Instant,
    steps: u64,
    total: Option<u64>,
    what: &'static str,
    bar: Option<ProgressBar>,
}

/// How many steps pass between two looks at the clock.
const EVERY: u64 = 1024;

impl Progress {
    /// Begins to count.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            since: Instant::now(),
            steps: 0,
            total,
            what,
            bar: None,
        }
    }

    /// Counts a step.
    pub(crate) fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
        if !self.steps.is_multiple_of(EVERY) {
            return;
        }
        if self.bar.is_none() && self.since.elapsed() > Duration::from_secs(1) {
            self.bar = Some(self.start());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.steps);
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
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
