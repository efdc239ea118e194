//! What is particular to candle's backend: every type of blocks, and what it refuses. All else is tested on it beside the
//! other devices.

#![cfg(feature = "candle")]

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use runtime_graph::{AttentionOptions, Builder, Catalog, DType, Graph};
use runtime_tensor::{
    Batch, BlockType, Candle, Device, Error, Matrix, Precision, StoredTensor, StoredType, Weights, compile,
};
use support::{Random, close};

const ROWS: u32 = 67;
const WIDTH: u32 = 512;

/// Every type, with the places of its halves and what they are: 0x2000 is 2^-7.
const TYPES: [(BlockType, &[(usize, u16)]); 12] = [
    (BlockType::Q4_0, &[(0, 0x2000)]),
    (BlockType::Q4_1, &[(0, 0x2000), (2, 0xac00)]),
    (BlockType::Q5_0, &[(0, 0x1c00)]),
    (BlockType::Q5_1, &[(0, 0x1c00), (2, 0xac00)]),
    (BlockType::Q8_0, &[(0, 0x1000)]),
    (BlockType::Q8_1, &[(0, 0x1000), (2, 0)]),
    (BlockType::Q2_K, &[(80, 0x1800), (82, 0x1800)]),
    (BlockType::Q3_K, &[(108, 0x0c00)]),
    (BlockType::Q4_K, &[(0, 0x0e00), (2, 0x1800)]),
    (BlockType::Q5_K, &[(0, 0x0a00), (2, 0x1800)]),
    (BlockType::Q6_K, &[(208, 0x0400)]),
    // A single, of which this is the upper half: 2^-10.
    (BlockType::Q8_K, &[(0, 0), (2, 0x3a80)]),
];

/// One weight, in blocks or as the singles that these stand for.
struct Stored {
    kind: BlockType,
    bytes: Vec<u8>,
    expanded: bool,
}

impl Stored {
    fn new(kind: BlockType, halves: &[(usize, u16)], expanded: bool) -> Self {
        let mut random = Random(5);
        let count = (ROWS * WIDTH) as usize / kind.elements() * kind.bytes();
        let mut bytes: Vec<u8> = (0..count).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect();
        for block in bytes.chunks_exact_mut(kind.bytes()) {
            for (at, half) in halves {
                block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
            }
        }
        Self { kind, bytes, expanded }
    }
}

impl Weights for Stored {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        let (dtype, shape) = (self.stored_type(name)?, vec![ROWS as usize, WIDTH as usize]);
        let bytes = if self.expanded {
            let mut numbers = vec![0.0; shape.iter().product()];
            self.kind.dequantize(&self.bytes, &mut numbers);
            numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
        } else {
            self.bytes.clone()
        };
        Ok(StoredTensor { dtype, shape, bytes: bytes.into() })
    }

    fn stored_type(&self, _: &str) -> Result<StoredType, Box<dyn std::error::Error + Send + Sync>> {
        Ok(if self.expanded { DType::F32.into() } else { self.kind.into() })
    }
}

/// Rows of a table, and their products with all of it.
fn graph() -> Graph {
    let catalog = Catalog::new([("table".to_owned(), vec![ROWS, WIDTH], DType::F32)], "");
    let (builder, recording) = Builder::native("test", catalog);
    let table = builder.tensor("table");
    let rows = table.rows(&builder.token_ids());
    builder.output("rows", &rows);
    builder.output("products", &rows.linear(&table, None));
    recording.finish().expect("a graph")
}

/// Few rows and many are multiplied by different kernels.
fn run(weights: &Stored, device: Device, count: u32) -> [Matrix; 2] {
    let plan = compile(&graph(), weights, device, Precision::F32).expect("a plan");
    let mut batch = Batch::new();
    batch.push(&(0..count).map(|at| at * 7919 % ROWS).collect::<Vec<u32>>(), &[]);
    let outputs = plan.run(&batch).expect("it runs");
    ["rows", "products"].map(|name| outputs.get(name).expect("an output").clone())
}

fn devices() -> Vec<Device> {
    let all = support::other_devices().into_iter();
    all.filter(|device| matches!(device, Device::Candle(_))).collect()
}

#[test]
fn every_type_of_blocks_is_looked_up_and_multiplied() {
    for (kind, halves) in TYPES {
        let (stored, expanded) = (Stored::new(kind, halves, false), Stored::new(kind, halves, true));
        for (device, count) in devices().into_iter().flat_map(|device| [(device.clone(), 3), (device, 50)]) {
            let [rows, products] = run(&stored, device.clone(), count);
            let [expected_rows, expected] = run(&expanded, Device::Cpu, count);
            let what = format!("{kind:?} on {device:?}");
            close(&what, 1e-6, &rows, &expected_rows);
            let square = |x: f32| f64::from(x) * f64::from(x);
            let error: f64 = products.data.iter().zip(&expected.data).map(|(a, b)| square(a - b)).sum();
            let size: f64 = expected.data.iter().map(|x| square(*x)).sum();
            let off = (error / size).sqrt();
            // Rounded as activations are: a percent; and never what a wrong order of rows would give.
            assert!(size > 0.0 && off < 0.02, "{what}: off by {off}");
        }
    }
}

#[test]
fn long_sequences_are_cut_into_parts() {
    let weights = support::weights();
    let attention = |options: AttentionOptions, biased: bool| {
        let (builder, recording) = Builder::native("test", weights.catalog());
        let x = builder.embedding("words").rows(&builder.token_ids());
        let [k, v] = ["k", "v"].map(|name| builder.linear_no_bias(name).forward(&x));
        let (q, bias) = (builder.linear("q").forward(&x), builder.tensor("buckets.weight"));
        let y = if biased { q.attention_biased(&k, &v, &bias, 30, options) } else { q.attention(&k, &v, options) };
        builder.output("y", &y);
        recording.finish().expect("a graph")
    };
    let (near, batch) = (Some(100), support::batch(&[1300, 7, 600, 1290]));
    let both = AttentionOptions { key_value_heads: 2, ..AttentionOptions::bidirectional(4) };
    for (options, biased) in [
        (both, false),
        (AttentionOptions { window: near, ..both }, true),
        (AttentionOptions::causal(4, 2), true),
        (AttentionOptions { window: near, ..AttentionOptions::causal(4, 2) }, false),
    ] {
        let graph = attention(options, biased);
        let run = |device| {
            let plan = compile(&graph, &weights, device, Precision::F32).expect("a plan");
            plan.run(&batch).expect("it runs").get("y").expect("an output").clone()
        };
        let expected = run(Device::Cpu);
        devices().into_iter().for_each(|device| close(&format!("{options:?}"), 1e-4, &run(device), &expected));
    }
}

#[test]
fn what_it_cannot_do_is_refused() {
    let weights = support::weights();
    let (builder, recording) = Builder::native("test", weights.catalog());
    let x = builder.embedding("words").rows(&builder.token_ids());
    let [k, v] = ["k", "v"].map(|name| builder.linear_no_bias(name).forward(&x));
    let options = AttentionOptions::causal(4, 2);
    builder.output("y", &builder.linear("q").forward(&x).attention(&k, &v, options));
    let graph = recording.finish().expect("a graph");
    for device in devices() {
        let wide = Stored::new(BlockType::Q8_0, TYPES[4].1, true);
        let error = compile(&self::graph(), &wide, device.clone(), Precision::Int8).err().expect("it is refused");
        assert!(matches!(error, Error::NotOnGpu { what: "int8" }), "{error}");

        let plan = compile(&graph, &weights, device, Precision::F32).expect("a plan");
        let other = compile(&graph, &weights, Device::Cpu, Precision::F32).expect("a plan");
        let (batch, mut cache) = (Batch::new(), other.cache(4).expect("it is causal"));
        let error = plan.run_after(&batch, &mut cache).expect_err("it is of another device");
        assert!(matches!(error, Error::OtherCache), "{error}");
        assert!(plan.is_usable());
    }
    assert_eq!(Candle::processor().number(), None);
}
