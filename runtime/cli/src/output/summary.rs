//! What a run came to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use runtime_diagnostics::{Exit, chain, printable};
use runtime_engine::{Answer, Generation, RungNote};

/// Counts of one run.
#[derive(Debug)]
pub(crate) struct Summary {
    start: Instant,
    answered: usize,
    bad: usize,
    /// Texts that were cut off.
    truncated: usize,
    exit: Exit,
    /// By step and rung; a rung of `None` is what no rung accepted.
    rungs: BTreeMap<(String, Option<String>), usize>,
}

impl Summary {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), answered: 0, bad: 0, truncated: 0, exit: Exit::Ok, rungs: BTreeMap::new() }
    }

    pub(crate) fn answer(&mut self, answer: &Answer) {
        self.answered += 1;
        self.truncated += answer.truncated;
        for answered in &answer.rungs {
            *self.rungs.entry(answered.clone()).or_default() += 1;
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
            let rate = number(self.answered) / elapsed.as_secs_f64().max(1e-9);
            let _ = write!(text, " ({rate:.0} records/s)");
        }
        if self.bad > 0 {
            let _ = write!(text, ", {} not answered", count(self.bad, "record"));
        }
        text.push('\n');
        if self.truncated > 0 {
            let _ = writeln!(text, "  {} longer than a model takes, cut off", count(self.truncated, "text"));
        }
        let ladders = generation.ladders().flat_map(|(step, rungs)| {
            let rungs = rungs.into_iter().map(|rung| (step.to_owned(), Some(rung.to_owned())));
            rungs.chain([(step.to_owned(), None)])
        });
        for (rung, times) in self.shares(ladders) {
            let (step, name) = &rung;
            let share = 100.0 * number(times) / number(self.answered.max(1));
            let _ = write!(text, "  {step}: {:<12} {times:>6} {share:>5.1}%", name.as_deref().unwrap_or("no rung"));
            let of_rung = |note: &&RungNote| note.step == *step && Some(&note.rung) == name.as_ref();
            if let Some(note) = generation.notes().iter().find(of_rung).filter(|_| times > 0) {
                let why = printable(&chain(&note.problem));
                let _ = write!(text, "  `{}`, since {why}", printable(&note.otherwise));
                if let Some(advice) = note.problem.advice() {
                    let _ = write!(text, "\n{:>25}{}", "", printable(advice));
                }
            }
            text.push('\n');
        }
        text
    }

    /// How often each rung answered: those of `ladders` in their order, then those that only an earlier generation had.
    /// That no rung accepted is told where it happened.
    fn shares(
        &self,
        ladders: impl Iterator<Item = (String, Option<String>)>,
    ) -> Vec<((String, Option<String>), usize)> {
        let mut rest = self.rungs.clone();
        let mut shares: Vec<_> = ladders.map(|rung| (rung.clone(), rest.remove(&rung).unwrap_or(0))).collect();
        shares.extend(rest);
        shares.retain(|((_, name), times)| name.is_some() || *times > 0);
        shares
    }
}

/// For a rate or a share.
#[expect(clippy::cast_precision_loss, reason = "a rate and a share are shown in a few digits")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// `1 record`, `2 records`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// As people say it.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn rung(step: &str, name: Option<&str>) -> (String, Option<String>) {
        (step.to_owned(), name.map(str::to_owned))
    }

    #[test]
    fn rungs_are_counted_by_name_through_a_swap_that_moves_them() {
        let mut summary = Summary::new();
        let answers = [
            vec![rung("a", Some("cheap")), rung("b", None)],
            vec![rung("b", Some("cheap")), rung("a", Some("old"))],
            vec![rung("b", None), rung("a", Some("cheap"))],
        ];
        for rungs in answers {
            summary.answer(&Answer { outputs: Map::new(), rungs, time: Duration::ZERO, truncated: 0 });
        }
        let now = [rung("b", Some("cheap")), rung("b", None), rung("a", Some("cheap")), rung("a", None)];
        let expected = [
            (rung("b", Some("cheap")), 1),
            (rung("b", None), 2),
            (rung("a", Some("cheap")), 2),
            (rung("a", Some("old")), 1),
        ];
        assert_eq!(summary.shares(now.into_iter()), expected);
    }
}
