//! How much of scores is held at once and given out, over plans that count it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use futures::executor::block_on;
use futures::future::join_all;
use runtime_generation::GenerationConfig;
use runtime_models::ModelFolder;
use runtime_tensor::{Batch, Cache, Error as PlanError, LowRanks, Matrix, Outputs, PlanAdapter};
use serde_json::json;

use super::*;
use crate::{LanguageModel, Options, Registry};

/// Tokens of a large vocabulary.
const WIDTH: usize = 150_000;

/// A plan with more tokens than it has, all unlikely.
struct Wide {
    inner: Arc<dyn Plan>,
    head: Head,
    /// Rows of each run.
    rows: Mutex<Vec<usize>>,
}

impl Plan for Wide {
    fn run(&self, batch: &Batch) -> Result<Outputs, PlanError> {
        self.inner.run(batch)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, PlanError> {
        self.inner.cache(blocks)
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, PlanError> {
        let name = self.head.output();
        let narrow = self.inner.run_after(batch, cache)?.into_result(name).expect("it has scores");
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(narrow.rows);
        let mut data = vec![-1e4; narrow.rows * WIDTH];
        for (wide, row) in data.chunks_exact_mut(WIDTH).zip(narrow.data.chunks_exact(narrow.width)) {
            wide[..row.len()].copy_from_slice(row);
        }
        Ok(Outputs::new(vec![(name.to_owned(), Matrix { rows: narrow.rows, width: WIDTH, data })]))
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, PlanError> {
        self.inner.adapter(low_ranks)
    }
}

fn request(prompt: Vec<u32>, config: GenerationConfig) -> GenerateRequest {
    GenerateRequest {
        source: None,
        prompt,
        config,
        padding: 0,
        encoder_input: None,
        limit: None,
        keep: false,
        decode: Arc::new(|_| Ok(String::new())),
        plugins: Vec::new(),
        matcher: None,
        adapter: None,
    }
}

#[test]
fn scores_of_many_requests_are_not_held_at_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gguf/models/llama-f16");
    let registry = Registry::new(Options::default());
    let model = LanguageModel::load(&registry, &ModelFolder::new(folder), None).expect("it loads");
    let model = model.loaded().model();
    let plan = Arc::new(Wide { inner: Arc::clone(&model.plan), head: model.head, rows: Mutex::default() });
    let start = Generator::start(Arc::clone(&plan) as Arc<dyn Plan>, model.head, WIDTH, Some(256), 64 << 20);
    let generator = start.expect("it starts");
    let ask = |number: u32| {
        let config = json!({"do_sample": false, "num_beams": 60, "num_return_sequences": 2, "max_new_tokens": 3});
        let config = GenerationConfig::default().with_params(config.as_object().expect("an object"));
        let request = request(vec![1, 2 + number, 3], config.expect("parameters"));
        generator.generate(request).expect("it is taken").finish()
    };
    let alone: Vec<_> = (0..6).map(|number| block_on(ask(number)).expect("an answer").sequences).collect();
    let rows = || std::mem::take(&mut *plan.rows.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(rows().iter().max(), Some(&60));
    let together = block_on(join_all((0..6).map(ask)));
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(together.expect("an answer").sequences, *alone);
    }
    let rows = rows();
    let most = (128 << 20) / (4 * WIDTH);
    assert!(rows.iter().all(|rows| *rows <= most), "at most {most} rows: {rows:?}");
    assert!(rows.iter().any(|rows| *rows > 60), "and yet of several requests: {rows:?}");
}

/// A plan that counts the rows that it gives whole.
struct Counting {
    inner: Arc<dyn Plan>,
    whole: AtomicUsize,
}

impl Plan for Counting {
    fn run(&self, batch: &Batch) -> Result<Outputs, PlanError> {
        self.inner.run(batch)
    }

    fn cache(&self, blocks: usize) -> Result<Cache, PlanError> {
        self.inner.cache(blocks)
    }

    fn run_after(&self, batch: &Batch, cache: &mut Cache) -> Result<Outputs, PlanError> {
        let outputs = self.inner.run_after(batch, cache)?;
        self.whole.fetch_add(outputs.get("logits").map_or(0, |rows| rows.rows), Ordering::AcqRel);
        Ok(outputs)
    }

    fn adapter(&self, low_ranks: &LowRanks) -> Result<PlanAdapter, PlanError> {
        self.inner.adapter(low_ranks)
    }
}

#[test]
fn what_needs_few_scores_is_given_few_and_chooses_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gguf/models/llama-f16");
    let registry = Registry::new(Options::default());
    let model = LanguageModel::load(&registry, &ModelFolder::new(folder), None).expect("it loads");
    let vocabulary = model.loaded().model().width;
    let (inner, head) = (Arc::clone(&model.loaded().model().plan), model.loaded().model().head);
    let plan = Arc::new(Counting { inner, whole: AtomicUsize::new(0) });
    let start = Generator::start(Arc::clone(&plan) as Arc<dyn Plan>, head, vocabulary, Some(256), 64 << 20);
    let generator = start.expect("it starts");
    let ask = |params: &serde_json::Value| {
        let config = GenerationConfig::default().with_params(params.as_object().expect("an object"));
        let request = request(vec![1, 20, 3, 20, 3], config.expect("parameters"));
        block_on(generator.generate(request).expect("it is taken").finish()).expect("an answer").sequences
    };
    for params in [
        json!({"do_sample": false}),
        json!({"do_sample": false, "prompt_lookup_num_tokens": 3}),
        json!({"do_sample": false, "logprobs": 4}),
        json!({"do_sample": true, "seed": 1}),
        json!({"do_sample": true, "seed": 2, "top_k": 12, "top_p": 0.9, "temperature": 1.4, "num_return_sequences": 3}),
        json!({"do_sample": true, "seed": 3, "top_h": 0.7, "logprobs": 0}),
    ] {
        let mut params = params;
        params["max_new_tokens"] = 30.into();
        let short = ask(&params);
        assert_eq!(plan.whole.swap(0, Ordering::AcqRel), 0, "{params}");
        // What adds nothing looks at the whole row all the same.
        params["logit_bias"] = json!({"7": 0.0});
        assert_eq!(short, ask(&params));
        assert!(plan.whole.swap(0, Ordering::AcqRel) > 0, "{params}");
        // Where the end is ruled out at first, the row is needed for as long.
        let mut later = params;
        let fields = later.as_object_mut().expect("an object");
        fields.remove("logit_bias");
        fields.insert("eos_token_id".to_owned(), 2.into());
        fields.insert("min_new_tokens".to_owned(), 2.into());
        ask(&later);
        let whole = plan.whole.swap(0, Ordering::AcqRel);
        assert!((1..30).contains(&whole), "{later}: {whole}");
    }
}
