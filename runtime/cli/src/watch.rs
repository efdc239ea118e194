//! Tells when any of some files has changed.
//!
//! Folders are watched, not files, since many editors replace a file by another of its name. An event says only that
//! it is time to look: what counts is whether a file is another than before, as its [`Stamp`] tells. That leaves out
//! what nobody asked for, and covers what sends no event of its own:
//!
//! - a folder that is replaced by another of its name, since folders are watched anew after each event;
//! - a file whose folder is not there yet, since the nearest folder above it is watched until then;
//! - a link that is set anew, anywhere on the way to a file, since the folder that holds the link is watched too.
//!
//! Left out: folders within a folder that is followed, and a folder further up that is renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use runtime_diagnostics::{Exit, Explain};
use runtime_engine::Stamp;

/// Without events for so long, a change is taken to be complete.
const QUIET: Duration = Duration::from_millis(15);

/// A change that goes on for longer, such as a model being copied, is looked at nevertheless.
const PATIENCE: Duration = Duration::from_secs(2);

/// Links that lead to a file, at most, as Linux has it.
const LINKS: usize = 40;

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

/// The files to follow, each with what it was when it was last looked at.
pub(crate) struct Changes {
    watcher: RecommendedWatcher,
    events: Receiver<()>,
    /// Watched now.
    folders: BTreeSet<PathBuf>,
    followed: BTreeMap<PathBuf, State>,
    /// Whether to look without waiting for an event: one may be lost while folders are watched anew.
    look: bool,
}

/// How a path was: the stamps of a folder's files, or of the file itself.
type State = BTreeMap<PathBuf, Option<Stamp>>;

impl Changes {
    /// Follows `paths`; one that is a folder stands for the files in it.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Result<Self, WatchError> {
        let (sender, events) = channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change. An error of the watcher is a reason to look, too.
            if event.map_or(true, |event| !event.kind.is_access() || closed_after_writing(&event)) {
                let _nobody_waits = sender.send(());
            }
        });
        let watcher = watcher.map_err(WatchError::Start)?;
        let mut changes = Self { watcher, events, folders: BTreeSet::new(), followed: BTreeMap::new(), look: false };
        changes.follow(paths)?;
        Ok(changes)
    }

    /// Follows these paths from now on, and no others. A change in one that was followed before still counts.
    pub(crate) fn follow(&mut self, paths: Vec<PathBuf>) -> Result<(), WatchError> {
        // Watched first: what changes after the look makes an event.
        self.watch(&paths)?;
        let state = |path: &PathBuf| self.followed.get(path).cloned().unwrap_or_else(|| state(path));
        self.followed = paths.into_iter().map(|path| (path.clone(), state(&path))).collect();
        self.look = true;
        Ok(())
    }

    /// Waits until a file is another than before; when its change was first noticed.
    pub(crate) fn wait(&mut self) -> Result<Instant, WatchError> {
        loop {
            if !std::mem::take(&mut self.look) {
                self.events.recv().map_err(|_| WatchError::Ended)?;
            }
            let since = Instant::now();
            while since.elapsed() < PATIENCE {
                match self.events.recv_timeout(QUIET) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Err(WatchError::Ended),
                }
            }
            let paths: Vec<PathBuf> = self.followed.keys().cloned().collect();
            self.watch(&paths)?;
            let now: BTreeMap<PathBuf, State> = paths.into_iter().map(|path| (path.clone(), state(&path))).collect();
            if now != self.followed {
                self.followed = now;
                return Ok(since);
            }
        }
    }

    /// Watches the folders of `paths`, all of them anew: one of the same name may be another than before, and of one
    /// that was moved away the watcher keeps nothing.
    fn watch(&mut self, paths: &[PathBuf]) -> Result<(), WatchError> {
        // A folder may come while the one above it is not yet watched. Where folders come and go faster than that, an
        // event will say so.
        for _ in 0..4 {
            for folder in std::mem::take(&mut self.folders) {
                let _gone = self.watcher.unwatch(&folder);
            }
            let folders = folders_of(paths);
            for folder in &folders {
                match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Err(source) if folder.exists() => {
                        return Err(WatchError::Folder { folder: folder.clone(), source });
                    }
                    _ => self.folders.insert(folder.clone()),
                };
            }
            if folders == folders_of(paths) {
                break;
            }
        }
        Ok(())
    }
}

fn closed_after_writing(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

/// How a path is now.
fn state(path: &Path) -> State {
    match fs::read_dir(path) {
        Ok(entries) => {
            let files = entries.flatten().map(|entry| entry.path()).filter(|path| !path.is_dir());
            files.map(|file| (file.clone(), Stamp::of(&file))).collect()
        }
        Err(_) => State::from([(path.to_owned(), Stamp::of(path))]),
    }
}

/// The folders, behind their links, in which something happens when one of `paths` changes.
fn folders_of(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for path in paths {
        add_folders_of(path, LINKS, &mut folders);
    }
    folders
}

fn add_folders_of(path: &Path, links: usize, folders: &mut BTreeSet<PathBuf>) {
    folders.extend(nearest_above(path));
    if path.is_dir() {
        folders.extend(fs::canonicalize(path));
    }
    for link in path.ancestors() {
        let (Ok(target), Ok(rest), 1..) = (fs::read_link(link), path.strip_prefix(link), links) else { continue };
        folders.extend(nearest_above(link));
        let target = link.parent().unwrap_or(link).join(target);
        // Joining nothing would add a slash, and a file with a slash behind it is none.
        let target = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        add_folders_of(&target, links - 1, folders);
    }
}

/// The folder that holds `path`, or the nearest one above it that is there.
fn nearest_above(path: &Path) -> Option<PathBuf> {
    let named = |folder: &Path| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let mut above = path.ancestors().skip(1).map(named);
    above.find_map(|folder| fs::canonicalize(folder).ok().filter(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests;
