//! How far a long input has been answered, on stderr.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar by bytes of the input, shown on a terminal once it has been worth it.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: std::time::Instant,
    shown: std::cell::Cell<bool>,
}

/// Before that, most runs are over.
const DELAY: Duration = Duration::from_millis(700);

impl Progress {
    /// A bar over `bytes`, or a spinner where their number is not known; nothing where it would be `quiet`.
    pub(crate) fn new(bytes: Option<u64>, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let template = if bytes.is_some() { "{bar:40} {percent:>3}%  {eta} left" } else { "{spinner} {elapsed}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let shown = std::cell::Cell::new(quiet || !stderr().is_terminal());
        Self { bar, start: std::time::Instant::now(), shown }
    }

    /// All up to byte `end` has been answered.
    pub(crate) fn at(&self, end: u64) {
        if !self.shown.get() && self.start.elapsed() > DELAY {
            self.shown.set(true);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(end);
    }

    /// Runs `print` with the bar out of the way.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
