//! `--watch`: a thread builds the next generation beside the one that serves, and swaps them.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use runtime_diagnostics::Exit;
use runtime_engine::{Generation, Registry, dependencies};
use runtime_pipeline::{Pipeline, diff};

use super::Pass;
use crate::args::Run;
use crate::failure::Failure;
use crate::input::Input;
use crate::output::say;
use crate::project::Project;
use crate::watch::Changes;

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

/// Answers the input, and again after each change, until standard input ends or the process is stopped.
pub(super) fn watch(options: &Run, project: &Project, registry: Registry) -> Result<Exit, Failure> {
    let pipeline = project.read()?;
    // Watched from before the pipeline is built, so that a change in between is not missed.
    let mut changes = Changes::new(watched(project, &pipeline, options.input.as_ref()))?;
    let live = Arc::new(Live::new(Arc::new(project.build(&registry)?)));
    let mut pass = Pass::new(options, project, live.current().pipeline())?;
    let (swapped, swaps) = channel();
    let reloader =
        Reloader { project: project.clone(), registry, live: Arc::clone(&live), input: options.input.clone() };
    thread::spawn(move || reloader.serve(&mut changes, &swapped));
    let mut exit = None;
    loop {
        let since = exit.map(|_| wait(&swaps)).transpose()?;
        pass = match Pass::new(options, project, live.current().pipeline()) {
            Ok(pass) => pass,
            Err(failure) => {
                failure.report();
                pass
            }
        };
        match (pass.run(&live), since) {
            (Ok(None), _) => return Ok(Exit::Ok),
            (Ok(Some(summary)), since) => {
                if let Some(since) = since {
                    let (answered, time) = (summary.answered(), since.elapsed().as_millis());
                    say(&format!("watch: {answered} records answered {time} ms after the change\n"));
                }
                exit = Some(summary.exit());
            }
            // The input may be away for a moment, as everything else here.
            (Err(failure), Some(_)) => exit = Some(failure.report()),
            (Err(failure), None) => return Err(failure),
        }
        if let (Input::Stdin, Some(exit)) = (&pass.input, exit) {
            return Ok(exit);
        }
    }
}

/// Waits for the next swap, or the last of several; when its change was seen.
fn wait(swaps: &Receiver<Instant>) -> Result<Instant, Failure> {
    let gone = |_| runtime_diagnostics::Problem::new(Exit::Internal, "the thread that watches files has ended");
    let first = swaps.recv().map_err(gone)?;
    Ok(swaps.try_iter().fold(first, Ord::min))
}

fn watched(project: &Project, pipeline: &Pipeline, input: Option<&PathBuf>) -> Vec<PathBuf> {
    let mut files = dependencies(pipeline, project.base());
    files.extend(input.cloned());
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
    fn serve(&self, changes: &mut Changes, swapped: &Sender<Instant>) {
        while let Ok(since) = changes.wait() {
            match self.reload(changes, since) {
                // Nobody waits any more when the process is about to end.
                Ok(()) if swapped.send(since).is_err() => return,
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
        let pipeline = self.project.read()?;
        changes.follow(watched(&self.project, &pipeline, self.input.as_ref()))?;
        let next = self.project.build(&self.registry)?;
        let changed = diff(before.pipeline(), next.pipeline());
        self.live.swap(next);
        let loaded = self.registry.loads() - loads;
        let what: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let what = if what.is_empty() { "files that it names".to_owned() } else { what.join("; ") };
        let time = since.elapsed().as_millis();
        say(&format!("watch: {what}; swapped in {time} ms, {loaded} models loaded\n"));
        Ok(())
    }
}
