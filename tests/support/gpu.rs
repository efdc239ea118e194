//! The GPUs that tests run on.

use std::sync::OnceLock;

use runtime_tensor::{Gpu, gpus};

/// Every GPU that there is, opened once. `tests/run` sees to it that there is one, if only in software; where it cannot, it
/// sets `RUNTIME_NO_GPU=1`, and there are none.
///
/// # Panics
/// Where there is none without that, or one does not open.
pub fn open_gpus() -> &'static [Gpu] {
    static OPEN: OnceLock<Vec<Gpu>> = OnceLock::new();
    OPEN.get_or_init(|| {
        if without_gpu() {
            eprintln!("left out, since RUNTIME_NO_GPU=1 says that there is no GPU");
            return Vec::new();
        }
        let open: Vec<Gpu> = gpus().iter().map(|adapter| Gpu::open(adapter).expect("it opens")).collect();
        assert!(!open.is_empty(), "no GPU, not even in software (mesa-vulkan-drivers); RUNTIME_NO_GPU=1 goes without");
        open
    })
}

/// Whether tests go without a GPU.
pub fn without_gpu() -> bool {
    std::env::var("RUNTIME_NO_GPU").is_ok_and(|value| value == "1")
}
