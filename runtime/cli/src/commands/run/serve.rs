//! `--watch`: a thread builds the next generation beside the one that serves, and swaps them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use runtime_diagnostics::{Exit, Problem, printable};
use runtime_engine::{Generation, Registry, dependencies};
use runtime_pipeline::{Pipeline, diff};

use super::Pass;
use crate::args::Run;
use crate::failure::Failure;
use crate::input::Input;
use crate::output::say;
use crate::project::Project;
use crate::watch::{Changes, WatchError};

/// The generation that serves.
pub(super) struct Live(Mutex<Arc<Generation>>);

impl Live {
    pub(super) fn new(generation: Arc<Generation>) -> Self {
        Self(Mutex::new(generation))
    }

    pub(super) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, next: Generation) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// What the watching thread tells: that a generation took over, and when the change was noticed; or why it ends.
type Swap = Result<Instant, WatchError>;

/// Answers the input, and again after each change, until standard input ends or the process is stopped.
pub(super) fn watch(options: &Run, project: &Project, registry: Registry) -> Result<Exit, Failure> {
    // Each file is watched from before it is read, so that a change in between is not missed.
    let mut changes = Changes::new(vec![project.file().to_owned()])?;
    let pipeline = project.read_without_tests()?;
    changes.follow(watched(project, &pipeline, options.input.as_ref()))?;
    let mut pass = Pass::new(options, project, &pipeline)?;
    if pass.input == Input::Stdin && !pass.may_change() {
        let message = "`--watch` answers standard input as JSON Lines only: other forms cannot change midway";
        return Err(Problem::new(Exit::Usage, message).hint("add `--format jsonl`").into());
    }
    let live = Arc::new(Live::new(Arc::new(project.build(pipeline, &registry)?)));
    let (swapped, swaps) = channel();
    let reloader =
        Reloader { project: project.clone(), registry, live: Arc::clone(&live), input: options.input.clone() };
    thread::spawn(move || reloader.serve(&mut changes, &swapped));
    let mut since = None;
    loop {
        let exit = match (pass.run(&live), since) {
            (Ok(None), _) => return Ok(Exit::Ok),
            (Ok(Some(summary)), since) => {
                if let Some(since) = since {
                    let (answered, time) = (summary.answered(), Instant::elapsed(&since).as_millis());
                    say(&format!("watch: {answered} records answered {time} ms after the change\n"));
                }
                summary.exit()
            }
            // The input may be away for a moment, as everything else here.
            (Err(failure), Some(_)) => failure.report(),
            (Err(failure), None) => return Err(failure),
        };
        if pass.input == Input::Stdin {
            return Ok(exit);
        }
        since = Some(wait(&swaps)?);
        match Pass::new(options, project, live.current().pipeline()) {
            Ok(next) => pass = next,
            Err(failure) => {
                failure.report();
            }
        }
    }
}

/// Waits for a swap, and takes those that have followed it meanwhile as one with it, since one pass answers them all;
/// when the first of their changes was noticed.
fn wait(swaps: &Receiver<Swap>) -> Result<Instant, Failure> {
    let gone = |_| Problem::new(Exit::Internal, "the thread that watches files has ended");
    let first = swaps.recv().map_err(gone)??;
    for later in swaps.try_iter() {
        later?;
    }
    Ok(first)
}

fn watched(project: &Project, pipeline: &Pipeline, input: Option<&PathBuf>) -> Vec<PathBuf> {
    let mut files = dependencies(pipeline, project.base());
    files.extend(input.filter(|input| Input::new(input) != Input::Stdin).cloned());
    files.push(project.file().to_owned());
    files
}

struct Reloader {
    project: Project,
    registry: Registry,
    live: Arc<Live>,
    input: Option<PathBuf>,
}

impl Reloader {
    fn serve(&self, changes: &mut Changes, swapped: &Sender<Swap>) {
        loop {
            let since = match changes.wait() {
                Ok(since) => since,
                Err(error) => {
                    let _nobody_waits = swapped.send(Err(error));
                    return;
                }
            };
            match unpanicked(|| self.reload(changes, since)) {
                // Nobody waits any more when the process is about to end.
                Ok(()) if swapped.send(Ok(since)).is_err() => return,
                Ok(()) => {}
                Err(failure) => {
                    failure.report();
                    say("watch: the pipeline from before goes on\n");
                }
            }
        }
    }

    fn reload(&self, changes: &mut Changes, since: Instant) -> Result<(), Failure> {
        let before = self.live.current();
        let loads = self.registry.loads();
        let pipeline = self.project.read_without_tests()?;
        changes.follow(watched(&self.project, &pipeline, self.input.as_ref()))?;
        let next = self.project.build(pipeline, &self.registry)?;
        let changed = diff(before.pipeline(), next.pipeline());
        self.live.swap(next);
        let loaded = self.registry.loads() - loads;
        let what: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let what = if what.is_empty() { "files that it names".to_owned() } else { printable(&what.join("; ")) };
        let time = since.elapsed().as_millis();
        say(&format!("watch: {what}; swapped in {time} ms, {loaded} models loaded\n"));
        Ok(())
    }
}

/// A panic of `reload` as a failure: what serves is not touched before the next generation is complete.
fn unpanicked(reload: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let defect = |_| Problem::new(Exit::Internal, "building the pipeline anew ended by a defect of this program");
    catch_unwind(AssertUnwindSafe(reload)).map_err(defect)?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_panic_while_rebuilding_is_a_failure() {
        let failure = unpanicked(|| panic!("a defect, on purpose")).expect_err("it panicked");
        assert_eq!(failure.report(), Exit::Internal);
        unpanicked(|| Ok(())).expect("it did not panic");
    }

    #[test]
    fn swaps_that_came_meanwhile_are_one_since_the_first() {
        let (swapped, swaps) = channel();
        let first = Instant::now();
        for later in 0..3 {
            swapped.send(Ok(first + Duration::from_secs(later))).expect("somebody waits");
        }
        assert_eq!(wait(&swaps).expect("a swap"), first);
        swapped.send(Err(WatchError::Ended)).expect("somebody waits");
        assert_eq!(wait(&swaps).expect_err("the watcher's end").report(), Exit::Io);
        drop(swapped);
        assert_eq!(wait(&swaps).expect_err("the thread's end").report(), Exit::Internal);
    }
}
