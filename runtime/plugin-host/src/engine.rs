//! How wasmtime is set up: what guests may use of WebAssembly, how they are bounded, where compiled code is kept.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig, Config, Engine};

use crate::Limits;

/// Frames of a backtrace. A chain of calls this long is a recursion, see [`crate::blame`].
pub(crate) const FRAMES: usize = 64;

/// An engine and, where its folder can be used, the cache of what it compiles.
pub(crate) fn engine(cache: Option<PathBuf>, limits: &Limits) -> wasmtime::Result<(Engine, Option<Cache>)> {
    let cache = cache.or_else(platform_cache).and_then(|folder| open_cache(&folder));
    let mut config = Config::new();
    config
        .cache(cache.clone())
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        // The same graph on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .concurrency_support(false)
        // By default each memory reserves 4 GiB of addresses.
        .memory_reservation(limits.memory as u64)
        .memory_guard_size(64 << 10);
    Ok((Engine::new(&config)?, cache))
}

fn platform_cache() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("runtime").join("plugins"))
}

/// A folder that cannot be made or written costs time alone: each load compiles.
fn open_cache(folder: &Path) -> Option<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(std::path::absolute(folder).ok()?);
    Cache::new(config).ok()
}
