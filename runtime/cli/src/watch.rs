//! Tells when any of some files has changed.
//!
//! Folders are watched, not files, since many editors replace a file by another of its name. An event says only that
//! it is time to look: what counts is whether a file is another than before, by its place on disk, length and time.
//! That covers links that are set anew, and leaves out files that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use runtime_diagnostics::{Exit, Explain};

/// Without events for so long, a change is taken to be complete.
const QUIET: Duration = Duration::from_millis(15);

/// A change that goes on for longer, such as a model being copied, is looked at nevertheless.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("cannot watch for changes")]
    Start(#[source] notify::Error),
    #[error("cannot watch `{}`", .folder.display())]
    Folder { folder: PathBuf, source: notify::Error },
    #[error("the watcher has ended")]
    Ended,
}

impl Explain for WatchError {
    fn exit(&self) -> Exit {
        Exit::Io
    }
}

/// The files to follow, and how they were when they were last looked at.
pub(crate) struct Changes {
    watcher: RecommendedWatcher,
    events: Receiver<()>,
    folders: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Stamp>,
}

/// What tells a file from the one that was there before: the path behind its links, its length and its time.
type Stamp = Option<(PathBuf, u64, SystemTime)>;

impl Changes {
    /// Follows `files`; one that is a folder stands for the files in it.
    pub(crate) fn new(files: Vec<PathBuf>) -> Result<Self, WatchError> {
        let (sender, events) = channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change. An error of the watcher is a reason to look, too.
            if event.map_or(true, |event| !event.kind.is_access() || closed_after_writing(&event)) {
                let _nobody_waits = sender.send(());
            }
        });
        let watcher = watcher.map_err(WatchError::Start)?;
        let mut changes = Self { watcher, events, folders: BTreeSet::new(), files: Vec::new(), seen: BTreeMap::new() };
        changes.follow(files)?;
        changes.seen = stamps(&changes.files);
        Ok(changes)
    }

    /// Follows other files from now on. What has changed in them since they were last looked at still counts.
    pub(crate) fn follow(&mut self, files: Vec<PathBuf>) -> Result<(), WatchError> {
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
        for folder in folders.difference(&self.folders) {
            let watched = self.watcher.watch(folder, RecursiveMode::NonRecursive);
            watched.map_err(|source| WatchError::Folder { folder: folder.clone(), source })?;
        }
        for folder in self.folders.difference(&folders) {
            // A folder that is gone is no longer watched anyway.
            let _gone = self.watcher.unwatch(folder);
        }
        self.folders = folders;
        if self.files != files {
            self.seen.extend(stamps(&files).into_iter().filter(|(file, _)| !self.files.contains(file)));
            self.files = files;
        }
        Ok(())
    }

    /// Waits until a file is another than before; when its change was first noticed.
    pub(crate) fn wait(&mut self) -> Result<Instant, WatchError> {
        loop {
            self.events.recv().map_err(|_| WatchError::Ended)?;
            let since = Instant::now();
            while since.elapsed() < PATIENCE {
                match self.events.recv_timeout(QUIET) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Err(WatchError::Ended),
                }
            }
            let now = stamps(&self.files);
            let changed = now.iter().any(|(file, stamp)| self.seen.get(file) != Some(stamp)) || self.gone(&now);
            self.seen = now;
            if changed {
                return Ok(since);
            }
        }
    }

    /// Whether a file is no longer there.
    fn gone(&self, now: &BTreeMap<PathBuf, Stamp>) -> bool {
        self.seen.keys().any(|file| !now.contains_key(file))
    }
}

fn closed_after_writing(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

/// The folders in which something happens when `file` changes: its own, and the one that it is linked to.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(PathBuf::from(".")),
        other => other.map(Path::to_owned),
    };
    let real = fs::canonicalize(file).ok();
    let within = real.as_deref().filter(|real| real.is_dir()).map(Path::to_owned);
    let parents = [parent(file), real.as_deref().and_then(parent), within];
    parents.into_iter().flatten().filter_map(|folder| fs::canonicalize(folder).ok()).collect()
}

/// How each file is now; for a folder, each file in it.
fn stamps(files: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let mut stamps = BTreeMap::new();
    for file in files {
        let inside = fs::read_dir(file).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in inside.chain([file.clone()]) {
            let is_folder = file.is_dir();
            stamps.insert(file.clone(), if is_folder { None } else { stamp(&file) });
        }
    }
    stamps
}

fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((fs::canonicalize(file).ok()?, metadata.len(), metadata.modified().ok()?))
}
