//! Adapters, random numbers, comparison.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use runtime_gpu::{Buffer, Capabilities, Gpu, Read, Recorder, adapters};

/// Sizes that divide by nothing much, and some that do.
pub(crate) const SIZES: [usize; 7] = [1, 3, 17, 64, 65, 100, 257];

static GPUS: LazyLock<Vec<Gpu>> = LazyLock::new(|| {
    let adapters = adapters();
    let none = std::env::var("RUNTIME_NO_GPU").is_ok_and(|value| value == "1");
    assert!(
        none || !adapters.is_empty(),
        "there is no GPU, and no software Vulkan (on Debian: mesa-vulkan-drivers); RUNTIME_NO_GPU=1 goes without"
    );
    let mut gpus = Vec::new();
    for adapter in &adapters {
        let had = adapter.capabilities;
        let least = Capabilities { f16: false, subgroups: None, cooperative: None, immediates: false, ..had };
        gpus.push(Gpu::open(adapter).expect("an adapter opens"));
        gpus.push(Gpu::open_with(adapter, least).expect("an adapter opens"));
        if adapter.used() != had {
            gpus.push(Gpu::open_with(adapter, had).expect("an adapter opens"));
        }
    }
    gpus
});

/// Every adapter, twice, and once more where it has what it does not use by itself.
pub(crate) fn gpus() -> &'static [Gpu] {
    &GPUS
}

/// Random numbers of a seed.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.next_u64() % count as u64).expect("it is small")
    }

    /// One of them.
    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// From -1 to 1.
    pub(crate) fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.next_u32().cast_signed() as f32 / 2_147_483_648.0).collect()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Lengths of sequences, an empty one among them.
    pub(crate) fn lengths(&mut self, longest: usize) -> Vec<usize> {
        let mut lengths = vec![1, 0, longest];
        lengths.extend((0..self.below(4)).map(|_| self.below(longest + 1)));
        let at = self.below(lengths.len());
        lengths.swap(0, at);
        lengths
    }
}

/// Numbers in double precision.
pub(crate) fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

/// Reads all of a buffer that has `count` numbers.
pub(crate) fn read(recorder: Recorder, buffer: &Buffer, count: usize) -> Vec<f32> {
    recorder.finish(&[Read::new(buffer, 0, count)]).expect("the recording is right").f32(0)
}

/// Scratch for so many numbers.
pub(crate) fn room(gpu: &Gpu, count: usize) -> Buffer {
    gpu.scratch(4 * count).expect("there is memory")
}

/// Fails where a number is off by more than `tolerance` times the largest one that is expected.
#[track_caller]
pub(crate) fn close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30f64, |largest, x| largest.max(x.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - expected).abs();
        assert!(off <= tolerance * largest, "{what}: {found} instead of {expected} at {at}, of at most {largest}");
    }
}
