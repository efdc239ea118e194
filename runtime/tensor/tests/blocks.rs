//! Weights in blocks: a plan of them is near one of the numbers that they stand for, takes no more memory than they do, and
//! gives the same for a sequence in any batch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_graph::{Activation, AttentionOptions, Builder, Catalog, DType};
use runtime_tensor::{Batch, BlockType, Device, Matrix, Plan, Precision, StoredTensor, StoredType, Weights, compile};

/// The system's allocator, counting the bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
unsafe impl GlobalAlloc for Counting {
    #[expect(unsafe_code, reason = "the trait's")]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        #[expect(unsafe_code, reason = "the trait's")]
        unsafe {
            System.alloc(layout)
        }
    }

    #[expect(unsafe_code, reason = "the trait's")]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        #[expect(unsafe_code, reason = "the trait's")]
        unsafe {
            System.dealloc(pointer, layout);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VOCABULARY: u32 = 1003;
const WIDTH: u32 = 256;
const INNER: u32 = 512;

/// Weights in memory, by name; if they are to be expanded, they are read as the singles that they stand for.
struct Stored {
    tensors: BTreeMap<&'static str, (Vec<u32>, StoredType, Vec<u8>)>,
    expanded: bool,
}

/// A small generator (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Random blocks of numbers of about one size around 0.
    fn blocks(&mut self, kind: BlockType, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count * kind.bytes()).map(|_| self.next().to_le_bytes()[3]).collect();
        // Halves, where they are and what they are: 0x2000 is 2^-7.
        let factors: &[(usize, u16)] = match kind {
            BlockType::Q4_1 => &[(0, 0x2000), (2, (0x2000 + (3 << 10)) | 0x8000)],
            BlockType::Q8_0 => &[(0, 0x1000)],
            BlockType::Q4_K => &[(0, 0x0e00), (2, 0x1800)],
            BlockType::Q6_K => &[(208, 0x0400)],
            _ => &[(0, 0x2000)],
        };
        for block in bytes.chunks_exact_mut(kind.bytes()) {
            for (at, half) in factors {
                block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
            }
        }
        bytes
    }
}

impl Stored {
    fn new(query: BlockType, value: BlockType, expanded: bool) -> Self {
        let mut random = Random(77);
        let mut tensors = BTreeMap::new();
        for (name, shape, kind) in [
            ("words.weight", [VOCABULARY, WIDTH], BlockType::Q8_0),
            ("q.weight", [WIDTH, WIDTH], query),
            ("k.weight", [WIDTH / 2, WIDTH], query),
            ("v.weight", [WIDTH / 2, WIDTH], value),
            ("gate_up.weight", [2 * INNER, WIDTH], BlockType::Q4_K),
            ("down.weight", [WIDTH, INNER], BlockType::Q6_K),
        ] {
            let blocks = (shape[0] * shape[1]) as usize / kind.elements();
            tensors.insert(name, (shape.to_vec(), kind.into(), random.blocks(kind, blocks)));
        }
        for name in ["norm.weight", "last.weight"] {
            let ones = (0..WIDTH).flat_map(|_| 1f32.to_le_bytes()).collect();
            tensors.insert(name, (vec![WIDTH], DType::F32.into(), ones));
        }
        Self { tensors, expanded }
    }

    fn bytes(&self) -> usize {
        self.tensors.values().map(|(_, _, bytes)| bytes.len()).sum()
    }

    /// A layer of a decoder, whose table of words is its output layer too.
    fn plan(&self) -> Arc<dyn Plan> {
        self.plan_on(Device::Cpu)
    }

    fn plan_on(&self, device: Device) -> Arc<dyn Plan> {
        let tensors = self.tensors.iter().map(|(name, (shape, _, _))| ((*name).to_owned(), shape.clone(), DType::F16));
        let (graph, recording) = Builder::native("decoder", Catalog::new(tensors, ""));
        let table = graph.tensor("words.weight");
        let x = table.rows(&graph.token_ids());
        let states = x.rms_norm(&graph.tensor("norm.weight"), 1e-5);
        let [q, k, v] = ["q", "k", "v"].map(|name| graph.linear_no_bias(name).forward(&states));
        let x = &x + &q.attention(&k, &v, AttentionOptions::causal(4, 2));
        let states = x.rms_norm(&graph.tensor("norm.weight"), 1e-5);
        let [gate, up] = graph.linear_no_bias("gate_up").forward(&states).split();
        let inner = &gate.activation(Activation::Silu) * &up;
        let x = &x + &graph.linear_no_bias("down").forward(&inner);
        let states = x.rms_norm(&graph.tensor("last.weight"), 1e-5);
        graph.output("logits", &states.linear(&table, None));
        let graph = recording.finish().expect("a graph");
        compile(&graph, self, device, Precision::F32).expect("a plan")
    }
}

impl Weights for Stored {
    fn read(&self, name: &str) -> Result<StoredTensor<'_>, Box<dyn std::error::Error + Send + Sync>> {
        let (shape, dtype, bytes) = self.tensors.get(name).ok_or("no such tensor")?;
        let shape = shape.iter().map(|size| *size as usize).collect();
        match dtype {
            StoredType::Blocks(kind) if self.expanded => {
                let mut numbers = vec![0.0; bytes.len() / kind.bytes() * kind.elements()];
                kind.dequantize(bytes, &mut numbers);
                let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
                Ok(StoredTensor { dtype: DType::F32.into(), shape, bytes: bytes.into() })
            }
            dtype => Ok(StoredTensor { dtype: *dtype, shape, bytes: bytes.into() }),
        }
    }

    fn stored_type(&self, name: &str) -> Result<StoredType, Box<dyn std::error::Error + Send + Sync>> {
        let (_, dtype, _) = self.tensors.get(name).ok_or("no such tensor")?;
        Ok(if self.expanded { DType::F32.into() } else { *dtype })
    }
}

fn batch(sequences: &[&[u32]]) -> Batch {
    let mut batch = Batch::new();
    sequences.iter().for_each(|ids| batch.push(ids, &[]));
    batch
}

fn logits(plan: &dyn Plan, sequences: &[&[u32]]) -> Matrix {
    plan.run(&batch(sequences)).expect("it runs").get("logits").expect("logits").clone()
}

fn tokens(count: u32) -> Vec<u32> {
    (0..count).map(|index| index * 7919 % VOCABULARY).collect()
}

// One test, since memory is counted for the whole process.
#[test]
fn a_plan_of_blocks_is_near_one_of_singles_in_the_memory_of_the_blocks() {
    // The products of queries, keys and values are joined where their blocks are of one type.
    for (query, value) in [(BlockType::Q4_1, BlockType::Q4_1), (BlockType::Q4_1, BlockType::Q5_0)] {
        let (stored, expanded) = (Stored::new(query, value, false), Stored::new(query, value, true));
        let before = HELD.load(Ordering::Relaxed);
        let plan = stored.plan();
        let held = HELD.load(Ordering::Relaxed) - before;
        assert!(held <= stored.bytes() * 21 / 20 + 20_000, "{held} bytes are held for {}", stored.bytes());

        let (first, second) = (tokens(70), tokens(3));
        let found = logits(&*plan, &[&first, &second]);
        let expected = logits(&*expanded.plan(), &[&first, &second]);
        let square = |difference: f32| f64::from(difference) * f64::from(difference);
        let error: f64 = found.data.iter().zip(&expected.data).map(|(a, b)| square(a - b)).sum();
        let size: f64 = expected.data.iter().map(|x| square(*x)).sum();
        let relative = (error / size).sqrt();
        // Activations of one part in 127 at most, rounded: a percent; and never what a wrong order of rows would give.
        assert!(relative > 0.0 && relative < 0.03, "{query:?}, {value:?}: off by {relative}");

        let alone = logits(&*plan, &[&second]);
        let rows = found.data.len() / found.rows * first.len();
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&alone.data), bits(&found.data[rows..]), "{query:?}, {value:?}");
    }
}
