//! What a run came to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use runtime_diagnostics::Exit;
use runtime_engine::{Answer, Generation};

/// Counts of one run.
#[derive(Debug)]
pub(crate) struct Summary {
    start: Instant,
    answered: usize,
    bad: usize,
    exit: Exit,
    /// By ladder and rung; a rung of `None` is what no rung accepted.
    rungs: BTreeMap<(usize, Option<String>), usize>,
}

impl Summary {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), answered: 0, bad: 0, exit: Exit::Ok, rungs: BTreeMap::new() }
    }

    pub(crate) fn answer(&mut self, answer: &Answer) {
        self.answered += 1;
        for (ladder, rung) in answer.rungs.iter().enumerate() {
            *self.rungs.entry((ladder, rung.clone())).or_default() += 1;
        }
    }

    pub(crate) fn bad(&mut self, exit: Exit) {
        self.bad += 1;
        self.exit = self.exit.max(exit);
    }

    /// Records answered.
    pub(crate) fn answered(&self) -> usize {
        self.answered
    }

    /// 0, or the gravest of what records failed with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Lines for people: records and their rate, the share of each rung, rungs whose models cannot be had.
    pub(crate) fn text(&self, generation: &Generation) -> String {
        let elapsed = self.start.elapsed();
        let mut text = format!("{} in {}", count(self.answered, "record"), seconds(elapsed));
        if self.answered > 0 {
            let rate = self.answered as f64 / elapsed.as_secs_f64().max(1e-9);
            let _ = write!(text, " ({rate:.0} records/s)");
        }
        if self.bad > 0 {
            let _ = write!(text, ", {} not answered", count(self.bad, "record"));
        }
        text.push('\n');
        for (ladder, (step, rungs)) in generation.ladders().enumerate() {
            let names = rungs.into_iter().map(|rung| Some(rung.to_owned())).chain([None]);
            for name in names {
                let times = self.rungs.get(&(ladder, name.clone())).copied().unwrap_or(0);
                if times == 0 && name.is_none() {
                    continue;
                }
                let share = 100.0 * times as f64 / self.answered.max(1) as f64;
                let rung = name.as_deref().unwrap_or("no rung");
                let _ = write!(text, "  {step}: {rung:<12} {times:>6} {share:>5.1}%");
                let note = generation.notes().iter().find(|note| note.step == step && note.rung == rung);
                if let Some(note) = note.filter(|_| times > 0) {
                    let _ = write!(text, "  `{}`, since {}", note.otherwise, note.problem);
                    if let Some(advice) = note.problem.advice() {
                        let _ = write!(text, "\n{:>25}{advice}", "");
                    }
                }
                text.push('\n');
            }
        }
        text
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
