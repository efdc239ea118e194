//! Small weights and batches, and results in double precision to compare with.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use runtime_graph::{Builder, Catalog, DType, Value};
use runtime_tensor::{Batch, Device, Gpu, Matrix, Precision, StoredTensor, StoredType, Weights, compile, gpus};

pub(crate) const VOCABULARY: u32 = 23;
pub(crate) const WIDTH: u32 = 12;

/// Weights in memory, by name.
pub(crate) struct Memory(pub(crate) BTreeMap<String, (Vec<u32>, Vec<f32>)>);

impl Memory {
    pub(crate) fn new(shapes: &[(&str, &[u32])]) -> Self {
        let mut random = Random(7);
        let tensors = shapes.iter().map(|(name, shape)| {
            let count = shape.iter().product::<u32>();
            ((*name).to_owned(), (shape.to_vec(), (0..count).map(|_| random.number()).collect()))
        });
        Self(tensors.collect())
    }

    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::new(self.0.iter().map(|(name, (shape, _))| (name.clone(), shape.clone(), DType::F32)), "")
    }

    pub(crate) fn wide(&self, name: &str) -> Vec<f64> {
        self.0[name].1.iter().map(|x| f64::from(*x)).collect()
    }
}

impl Weights for Memory {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        let (shape, numbers) = self.0.get(name).ok_or("no such tensor")?;
        let shape = shape.iter().map(|size| *size as usize).collect();
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into();
        Ok(StoredTensor { dtype: DType::F32.into(), shape, bytes })
    }

    fn stored_type(&self, _: &str) -> Result<StoredType, Box<dyn std::error::Error + Send + Sync>> {
        Ok(DType::F32.into())
    }
}

/// A small generator (xorshift), so that runs are the same.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).expect("below a u32")
    }

    pub(crate) fn number(&mut self) -> f32 {
        f32::from(u16::try_from(self.next() % 4001).expect("below 4001")) / 1000.0 - 2.0
    }
}

pub(crate) fn weights() -> Memory {
    let (v, h) = (VOCABULARY, WIDTH);
    Memory::new(&[
        ("words.weight", &[v, h]),
        ("q.weight", &[h, h]),
        ("q.bias", &[h]),
        ("k.weight", &[h / 2, h]),
        ("v.weight", &[h / 2, h]),
        ("norm.weight", &[h]),
        ("norm.bias", &[h]),
        ("wide.weight", &[37, h]),
        ("wide.bias", &[37]),
        ("gated.weight", &[2 * h + 8, h]),
        ("near.weight", &[h, h, 3]),
        ("near.bias", &[h]),
        ("groups.weight", &[2 * h, h / 3, 5]),
        ("buckets.weight", &[16, 4]),
        ("distances.weight", &[16, h]),
        ("widen.weight", &[4 * h, h]),
        ("near_in_groups.weight", &[3 * 20, 4 * h / 3, 3]),
        ("points.weight", &[5 * h, 4 * h / 2, 1]),
        ("points.bias", &[5 * h]),
    ])
}

/// Sequences of these lengths, with random tokens; every third token's row is asked for.
pub(crate) fn batch(lengths: &[usize]) -> Batch {
    let mut random = Random(11);
    let mut batch = Batch::new();
    for length in lengths {
        let ids: Vec<u32> = (0..*length).map(|_| random.below(VOCABULARY)).collect();
        batch.push(&ids, &[]);
    }
    (0..batch.tokens()).step_by(3).for_each(|token| batch.ask_row(u32::try_from(token).expect("few tokens")));
    batch
}

pub(crate) const BATCHES: &[&[usize]] = &[&[5], &[1], &[3, 0, 1, 70, 2], &[0], &[33, 32, 31]];

pub(crate) fn run(weights: &Memory, batch: &Batch, describe: impl Fn(&Builder, &Value) -> Value) -> Matrix {
    let (builder, recording) = Builder::native("test", weights.catalog());
    let x = builder.embedding("words").rows(&builder.token_ids());
    builder.output("y", &describe(&builder, &x));
    let graph = recording.finish().expect("the graph is well formed");
    let on = |device| {
        let plan = compile(&graph, weights, device, Precision::F32).expect("it compiles");
        plan.run(batch).expect("it runs").get("y").expect("it has an output").clone()
    };
    let found = on(Device::Cpu);
    for device in other_devices() {
        close(&format!("on {device:?}"), 1e-4, &on(device), &found);
    }
    found
}

/// Every device that there is beside the processor's own kernels: GPUs, and candle's, where it is built in.
pub(crate) fn other_devices() -> Vec<Device> {
    let mut devices: Vec<Device> = open_gpus().iter().cloned().map(Device::Gpu).collect();
    #[cfg(feature = "candle")]
    devices.push(Device::Candle(runtime_tensor::Candle::processor()));
    let is_gpu = |device: &runtime_tensor::CudaDevice| device.capability.is_some();
    let cuda = (0..).zip(runtime_tensor::cuda_devices()).filter(|(_, device)| is_gpu(device));
    devices.extend(cuda.map(|(number, _)| Device::cuda(number).expect("it opens")));
    devices
}

/// Every GPU that there is, opened once. There must be one, if only in software, unless `RUNTIME_NO_GPU=1`.
pub(crate) fn open_gpus() -> &'static [Gpu] {
    static OPEN: OnceLock<Vec<Gpu>> = OnceLock::new();
    OPEN.get_or_init(|| {
        let open: Vec<Gpu> = gpus().iter().map(|adapter| Gpu::open(adapter).expect("it opens")).collect();
        let none = std::env::var("RUNTIME_NO_GPU").is_ok_and(|value| value == "1");
        assert!(
            none || !open.is_empty(),
            "no GPU, not even in software (mesa-vulkan-drivers); RUNTIME_NO_GPU=1 goes without"
        );
        open
    })
}

/// Compares results of two devices, which add up in other orders.
pub(crate) fn close(what: &str, within: f32, found: &Matrix, expected: &Matrix) {
    assert_eq!((found.rows, found.width), (expected.rows, expected.width), "{what}");
    for (at, (found, expected)) in found.data.iter().zip(&expected.data).enumerate() {
        let off = (found - expected).abs() / (1.0 + expected.abs());
        assert!(off <= within, "{what}, number {at}: {found}, not {expected}");
    }
}

pub(crate) type Wide = Vec<Vec<f64>>;

pub(crate) fn embedded(weights: &Memory, batch: &Batch) -> Wide {
    let (words, width) = (weights.wide("words.weight"), WIDTH as usize);
    batch.token_ids().iter().map(|id| words[*id as usize * width..][..width].to_vec()).collect()
}

pub(crate) fn product(x: &Wide, weight: &[f64], bias: Option<&[f64]>) -> Wide {
    let row = |x: &Vec<f64>| {
        let outputs = weight.chunks(x.len()).enumerate();
        let dot = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        outputs.map(|(index, w)| dot(w) + bias.map_or(0.0, |bias| bias[index])).collect()
    };
    x.iter().map(row).collect()
}

pub(crate) fn agree(what: &str, found: &Matrix, expected: &Wide) {
    assert_eq!(found.rows, expected.len(), "{what}: rows");
    for (index, expected) in expected.iter().enumerate() {
        for (found, expected) in found.row(index).iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= 2e-5 * (1.0 + expected.abs()), "{what}, row {index}: {found}, not {expected}");
        }
        assert_eq!(found.width, expected.len(), "{what}: width");
    }
}
