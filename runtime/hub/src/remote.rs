//! One repository at one commit, over the network.
//!
//! `hf-hub` does the transfers, the locks and the layout of the cache. It sets no time limit on a connection and has
//! no way to set one, it panics on some malformed answers, and its own retries append to the wrong place of a file
//! that was partly there. So each transfer runs on a thread that is listened to, and a failed one is begun anew,
//! which continues the part that was kept.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use std::{fs, io, thread};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::api::{Progress, RepoInfo};
use hf_hub::{Cache, RepoType};
use indicatif::ProgressBar;

use crate::source::is_name;
use crate::{Error, Repo, Settings, cache};

/// How often a transfer is begun, in all.
const ATTEMPTS: u32 = 3;

/// The wait before the second attempt; doubled before the third.
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) struct Remote<'a> {
    settings: &'a Settings,
    repo: &'a Repo,
    api: Api,
    info: RepoInfo,
    snapshot: PathBuf,
    patience: Duration,
    progress: bool,
}

impl<'a> Remote<'a> {
    /// Asks the hub for the commit that the revision stands for, and for its files.
    pub(crate) fn connect(
        settings: &'a Settings,
        repo: &'a Repo,
        patience: Duration,
        progress: bool,
    ) -> Result<Self, Error> {
        let explain = |error| explain(settings, repo, None, error);
        let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .build()
            .map_err(explain)?;
        let info: RepoInfo = api
            .repo(hub_repo(repo, &repo.revision))
            .info_request()
            .config()
            .timeout_global(Some(patience))
            .build()
            .call()
            .and_then(|mut response| response.body_mut().read_json())
            .map_err(|error| explain(ApiError::RequestError(Box::new(error))))?;
        // It becomes a folder's name.
        if !is_name(&info.sha) {
            return Err(Error::UnsafeName { repo: repo.clone(), name: info.sha });
        }
        let snapshot = cache::snapshot_at(&settings.cache, repo, &info.sha);
        Ok(Self { settings, repo, api, info, snapshot, patience, progress })
    }

    /// The names of the repository's files, as the hub gave them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.info.siblings.iter().map(|file| file.rfilename.as_str())
    }

    /// The folder that the files are downloaded to.
    pub(crate) fn snapshot(&self) -> &Path {
        &self.snapshot
    }

    /// Downloads one file into the cache, unless it is there.
    pub(crate) fn download(&self, file: &str) -> Result<(), Error> {
        let target = self.snapshot.join(file);
        if target.exists() {
            return Ok(());
        }
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.attempt(file) {
                Err(Failure::Api(error)) if is_passing(&error) => thread::sleep(pause),
                outcome => return self.check(file, &target, outcome),
            }
            pause *= 2;
        }
        let last = self.attempt(file);
        self.check(file, &target, last)
    }

    /// Lets the revision stand for the commit, now that all its files are there.
    pub(crate) fn finish(self) -> Result<PathBuf, Error> {
        let cache = Cache::new(self.settings.cache.clone());
        if self.repo.revision != self.info.sha {
            cache
                .repo(hub_repo(self.repo, &self.repo.revision))
                .create_ref(&self.info.sha)
                .map_err(|source| Error::Write { cache: self.settings.cache.clone(), source })?;
        }
        // hf-hub also notes that the commit stands for itself; `huggingface_hub` would list that as a branch.
        let own = cache::repo_folder(&self.settings.cache, self.repo).join("refs").join(&self.info.sha);
        match fs::remove_file(own) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Write { cache: self.settings.cache.clone(), source })
            }
            _ => Ok(self.snapshot),
        }
    }

    /// One transfer, on a thread of its own. Where it falls silent the thread is left behind: a blocked read cannot
    /// be interrupted, and it holds nothing but the file's lock, which keeps a second transfer off the same part.
    fn attempt(&self, file: &str) -> Result<PathBuf, Failure> {
        let (sender, receiver) = sync_channel(1);
        let remote = self.api.repo(hub_repo(self.repo, &self.info.sha));
        let parts = self.api.clone();
        let blobs = cache::repo_folder(&self.settings.cache, self.repo).join("blobs");
        let name = file.to_owned();
        let progress = Heartbeat { bar: self.progress.then(|| ProgressBar::new(0)), sender: sender.clone() };
        let transfer = move || {
            let result = remote.download_with_progress(&name, progress);
            if result.as_ref().is_err_and(is_spoiled) {
                discard_part(&parts, &remote, &name, &blobs);
            }
            // Nobody listens any more where patience ran out.
            let _ = sender.send(Message::Done(result));
        };
        thread::Builder::new().name("download".to_owned()).spawn(transfer).map_err(ApiError::IoError)?;
        loop {
            match receiver.recv_timeout(self.patience) {
                Ok(Message::Bytes) => {}
                Ok(Message::Done(result)) => return Ok(result?),
                Err(RecvTimeoutError::Timeout) => return Err(Failure::Silence),
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Panic),
            }
        }
    }

    fn check(&self, file: &str, target: &Path, outcome: Result<PathBuf, Failure>) -> Result<(), Error> {
        let (repo, endpoint) = (self.repo.clone(), self.settings.endpoint.clone());
        match outcome {
            Ok(path) if path == target => Ok(()),
            Ok(_) => Err(Error::OtherCommit { repo, endpoint, file: file.to_owned() }),
            Err(Failure::Api(error)) => Err(explain(self.settings, self.repo, Some(file), error)),
            Err(Failure::Silence) => Err(Error::Stalled { endpoint, file: file.to_owned(), patience: self.patience }),
            Err(Failure::Panic) => {
                Err(Error::Network { repo, endpoint, source: format!("the answer for `{file}` is malformed").into() })
            }
        }
    }
}

/// Why a transfer gave no file.
enum Failure {
    Api(ApiError),
    Silence,
    Panic,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// What a transfer tells whoever waits for it.
enum Message {
    Bytes,
    Done(Result<PathBuf, ApiError>),
}

/// Reports that bytes arrive, to the waiting thread and to the user.
struct Heartbeat {
    bar: Option<ProgressBar>,
    sender: SyncSender<Message>,
}

impl Progress for Heartbeat {
    fn init(&mut self, size: usize, filename: &str) {
        if let Some(bar) = &mut self.bar {
            Progress::init(bar, size, filename);
        }
    }

    fn update(&mut self, size: usize) {
        // A full channel already says that bytes arrive.
        let _ = self.sender.try_send(Message::Bytes);
        if let Some(bar) = &mut self.bar {
            Progress::update(bar, size);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = &mut self.bar {
            Progress::finish(bar);
        }
    }
}

fn hub_repo(repo: &Repo, revision: &str) -> hf_hub::Repo {
    hf_hub::Repo::with_revision(repo.id.clone(), RepoType::Model, revision.to_owned())
}

/// Whether the part of a file that was kept cannot be continued: it is whole already, or too long.
fn is_spoiled(error: &ApiError) -> bool {
    matches!(error, ApiError::InvalidResume) || status(error) == Some(416)
}

/// Removes the kept part of a file, so that the next attempt begins it anew.
fn discard_part(api: &Api, remote: &ApiRepo, file: &str, blobs: &Path) {
    // Where this fails the next attempt does too, and says why.
    if let Ok(metadata) = api.metadata(&remote.url(file))
        && is_name(metadata.etag())
    {
        let _ = fs::remove_file(blobs.join(metadata.etag()).with_extension("part"));
    }
}

/// Whether the next attempt may well succeed.
fn is_passing(error: &ApiError) -> bool {
    match error {
        ApiError::LockAcquisition(_) => false,
        ApiError::IoError(error) => !is_local(error),
        _ => is_spoiled(error) || status(error).is_none_or(|status| status == 429 || status >= 500),
    }
}

/// Whether an I/O error speaks of the disk rather than of the connection.
fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{
        IsADirectory, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let kind = error.kind();
    matches!(kind, IsADirectory | NotADirectory | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// The HTTP status that a request failed with. hf-hub wraps an error type that it does not re-export, so its text
/// is all there is to go by; the tests of refusals hold this to the text.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => error.to_string().strip_prefix("http status: ")?.parse().ok(),
        _ => None,
    }
}

fn explain(settings: &Settings, repo: &Repo, file: Option<&str>, error: ApiError) -> Error {
    let (repo, endpoint) = (repo.clone(), settings.endpoint.clone());
    match (status(&error), file) {
        (Some(status @ (401 | 403)), _) => {
            return Error::Refused { repo, endpoint, status, token: settings.token.is_some() };
        }
        (Some(404), None) => return Error::NotFound { repo, endpoint },
        (Some(404), Some(file)) => return Error::Lacks { repo, file: file.to_owned() },
        _ => {}
    }
    match error {
        ApiError::LockAcquisition(lock) => Error::Busy { lock },
        ApiError::IoError(source) if is_local(&source) => Error::Write { cache: settings.cache.clone(), source },
        // One level less in the chain of causes: the wrapper repeats the text of what it wraps.
        ApiError::RequestError(source) => Error::Network { repo, endpoint, source },
        other => Error::Network { repo, endpoint, source: Box::new(other) },
    }
}
