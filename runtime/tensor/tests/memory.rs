//! A steady batch allocates its results and nothing that grows with it.

#[expect(dead_code, reason = "this test needs weights and batches alone")]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_graph::{Activation, AttentionOptions, Builder, Expert, ExpertsOptions};
use runtime_tensor::{Device, Precision, compile};
use support::{Memory, VOCABULARY, batch};

/// The system's allocator, counting bytes.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
unsafe impl GlobalAlloc for Counting {
    #[expect(unsafe_code, reason = "the trait's")]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        #[expect(unsafe_code, reason = "the trait's")]
        unsafe {
            System.alloc(layout)
        }
    }

    #[expect(unsafe_code, reason = "the trait's")]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        #[expect(unsafe_code, reason = "the trait's")]
        unsafe {
            System.dealloc(pointer, layout);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What handing a run to the threads of the pool may take, whatever its size.
const HANDING_OVER: usize = 4096;

#[test]
fn a_steady_batch_allocates_its_results_alone() {
    // Wide enough for products that are held in less than single precision.
    let weights = Memory::new(&[
        ("words.weight", &[VOCABULARY, 64]),
        ("q.weight", &[64, 64]),
        ("q.bias", &[64]),
        ("norm.weight", &[64]),
        ("norm.bias", &[64]),
        ("wide.weight", &[130, 64]),
        ("wide.bias", &[130]),
    ]);
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let (builder, recording) = Builder::native("test", weights.catalog());
        let x = builder.embedding("words").rows(&builder.token_ids());
        let q = builder.linear("q");
        let attended = q.forward(&x).attention(&q.forward(&x), &x, AttentionOptions::bidirectional(4));
        let x = builder.norm("norm", 1e-5).forward(&(&q.forward(&attended) + &x));
        let expert = Expert { gate: q.weight.clone(), up: q.weight.clone(), down: q.weight.clone() };
        let options = ExpertsOptions { top_k: 2, normalise: true, activation: Activation::Silu };
        let x = x.experts(&q.forward(&x).columns(0, 3), &vec![expert; 3], options);
        builder.output("y", &builder.linear("wide").forward(&x).activation(Activation::Gelu));
        let graph = recording.finish().expect("well formed");
        let plan = compile(&graph, &weights, Device::Cpu, precision).expect("it compiles");

        let (large, small) = (batch(&[400, 3, 90, 511]), batch(&[20, 1]));
        for batch in [&large, &large, &small, &large] {
            plan.run(batch).expect("it runs");
        }
        for batch in [&large, &small, &large] {
            let before = BYTES.load(Ordering::Relaxed);
            let outputs = plan.run(batch).expect("it runs");
            let allocated = BYTES.load(Ordering::Relaxed) - before;
            let results = outputs.get("y").expect("it is there").data.len() * size_of::<f32>();
            assert!(allocated >= results, "results are counted");
            assert!(allocated - results < HANDING_OVER, "{precision:?}: {allocated} bytes for results of {results}");
        }
    }
}
