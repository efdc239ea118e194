//! Plugins that are loaded: each once while its file stays as it is, and not in silence where it takes long.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use runtime_diagnostics::printable;
use runtime_plugin_host::{Error as PluginError, PluginFile};

use crate::{Error, Stamp};

/// After so long of loading a plugin somebody wonders. One that is in the cache takes milliseconds, an interpreter that
/// is not takes half a minute.
const PATIENCE: Duration = Duration::from_secs(1);

/// The result of `load`; `tell` is called once that takes long.
pub(crate) fn told<T>(tell: fn(&str), path: &Path, load: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (loaded, loading) = channel::<()>();
        scope.spawn(move || {
            if loading.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
                let name = printable(&path.display().to_string());
                tell(&format!(
                    "loading `{name}` ({} KiB); what is compiled of it is kept for the next time",
                    size >> 10
                ));
            }
        });
        let result = load();
        drop(loaded);
        result
    })
}

/// Plugins of one kind by their files, each loaded once while its file stays as it is.
pub(crate) struct Loaded<P>(Mutex<HashMap<PathBuf, (Option<Stamp>, P)>>);

impl<P> Default for Loaded<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P: Clone> Loaded<P> {
    pub(crate) fn get(
        &self,
        file: PluginFile<'_>,
        digest: impl Fn(&P) -> &str,
        load: impl FnOnce(PluginFile<'_>) -> Result<P, Error>,
    ) -> Result<P, Error> {
        let stamp = Stamp::of(file.path);
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plugin)) = loaded.get(file.path).filter(|(known, _)| known.is_some() && *known == stamp) {
            let found = digest(plugin);
            return match file.sha256.filter(|expected| !expected.eq_ignore_ascii_case(found)) {
                None => Ok(plugin.clone()),
                Some(expected) => Err(PluginError::OtherDigest {
                    path: file.path.to_owned(),
                    expected: expected.to_owned(),
                    found: found.to_owned(),
                }
                .into()),
            };
        }
        let plugin = load(file)?;
        loaded.insert(file.path.to_owned(), (stamp, plugin.clone()));
        Ok(plugin)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn loading_is_told_where_it_takes_long() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        fn tell(said: &str) {
            assert!(said.starts_with("loading `plugin.wasm`"), "{said}");
            TOLD.fetch_add(1, Ordering::SeqCst);
        }
        let path = Path::new("plugin.wasm");
        assert_eq!(told(tell, path, || 7), 7);
        assert_eq!(TOLD.load(Ordering::SeqCst), 0);
        told(tell, path, || thread::sleep(PATIENCE + PATIENCE / 2));
        assert_eq!(TOLD.load(Ordering::SeqCst), 1);
    }
}
