//! Generation of many requests at once: each gets what it gets alone, and nothing that they held stays behind.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::join_all;
use runtime_engine::{
    Decode, Error, GenerateRequest, Generated, GenerationStream, LanguageModel, LoadOptions, Options, Registry,
    ScheduleError,
};
use runtime_generation::FinishReason;
use runtime_models::ModelFolder;
use runtime_tests::{Held, Project, in_its_own_process, root, write_lora};
use serde_json::{Value, json};

const TEXTS: [&str; 5] = [
    "The capital of France is",
    "Once upon a time, there was a young engineer who",
    "In the beginning",
    "a",
    "One two three four one two three four one two three four one two",
];

fn load(options: Options) -> LanguageModel {
    let folder = ModelFolder::new(root().join("tests/gguf/models/llama-f16"));
    LanguageModel::load(&Registry::new(options), &folder, None).expect("it loads")
}

fn ask(model: &LanguageModel, text: &str, params: &Value, keep: bool) -> Result<Generated, Error> {
    let config = model.config().with_params(params.as_object().expect("an object"))?;
    block_on(model.generate(model.tokens(text)?, config, keep)?.finish())
}

/// Tokens of each sequence.
fn tokens(generated: &Generated) -> Vec<Vec<u32>> {
    generated.sequences.iter().map(|sequence| sequence.tokens.clone()).collect()
}

/// Parameters of the request number `index`, by which its answer is known.
fn params(index: usize) -> Value {
    match index % 5 {
        0 => json!({"do_sample": false, "max_new_tokens": 24}),
        1 => json!({"do_sample": false, "max_new_tokens": 12, "num_beams": 3, "num_return_sequences": 2}),
        2 => json!({"do_sample": true, "seed": index, "max_new_tokens": 16, "num_return_sequences": 3}),
        3 => json!({"do_sample": false, "max_new_tokens": 20, "prompt_lookup_num_tokens": 4}),
        _ if index.is_multiple_of(2) => json!({"do_sample": false, "max_new_tokens": 12, "regex": "[a-z]{2,6}[0-9]"}),
        _ => json!({"do_sample": false, "max_new_tokens": 3, "repetition_penalty": 1.3}),
    }
}

fn text(index: usize) -> &'static str {
    TEXTS[index % TEXTS.len()]
}

/// Waits until the worker holds nothing.
fn settle(model: &LanguageModel) -> (usize, usize) {
    let generator = model.loaded().generator().expect("it generates");
    generator.forget().expect("the worker is there");
    let start = Instant::now();
    // The worker looks at what it holds when it does something.
    while start.elapsed() < Duration::from_secs(20) && (generator.requests() > 0 || generator.blocks_held() > 0) {
        std::thread::sleep(Duration::from_millis(5));
    }
    (generator.requests(), generator.blocks_held())
}

#[test]
fn two_hundred_mixed_requests_answer_as_alone_and_leave_nothing() {
    in_its_own_process("two_hundred_mixed_requests_answer_as_alone_and_leave_nothing", two_hundred_mixed_requests);
}

fn two_hundred_mixed_requests() {
    let model = load(Options::default());
    let alone: Vec<Vec<Vec<u32>>> =
        (0..25).map(|index| tokens(&ask(&model, text(index / 5), &params(index), false).expect("alone"))).collect();
    let mut held = Vec::new();
    for round in 0..8 {
        let streams = (0..200).map(|number| {
            let index = number % 25;
            // The draws of a request are its own, whatever its number.
            let config = model.config().with_params(params(index).as_object().expect("an object")).expect("parameters");
            let prompt = model.tokens(text(index / 5)).expect("tokens");
            (number, model.generate(prompt, config, number % 3 == 0).expect("it is taken"))
        });
        let answers = streams.map(async |(number, mut stream)| {
            if number % 7 == 3 {
                // The caller goes away midway.
                stream.next().await;
                return None;
            }
            Some((number, stream.finish().await.expect("an answer")))
        });
        for (number, generated) in block_on(join_all(answers.collect::<Vec<_>>())).into_iter().flatten() {
            assert_eq!(tokens(&generated), alone[number % 25], "round {round}, request {number}");
        }
        assert_eq!(settle(&model), (0, 0), "round {round}: requests and blocks that are held");
        if cfg!(target_os = "linux") {
            held.push(Held::now());
        }
    }
    // The first rounds load what is kept for ever: allocators' reserves.
    if let [_, _, first, .., last] = held.as_slice() {
        assert!(last.bytes < first.bytes + first.bytes / 10, "memory grows: {held:?}");
        assert!(last.threads <= first.threads && last.files <= first.files, "{held:?}");
    }
}

#[test]
fn a_wrong_request_is_told_and_others_go_on() {
    let model = load(Options::default());
    let right = json!({"do_sample": false, "max_new_tokens": 24});
    let expected = tokens(&ask(&model, TEXTS[1], &right, false).expect("an answer"));
    let config = model.config().with_params(right.as_object().expect("an object")).expect("parameters");
    let under_way = model.generate(model.tokens(TEXTS[1]).expect("tokens"), config, false).expect("it is taken");

    let long = "word ".repeat(4000);
    let vocabulary = model.loaded().model().width;
    let all: Vec<usize> = (0..vocabulary).collect();
    for (text, params, told) in [
        (long.as_str(), json!({"max_new_tokens": 2}), "the model takes"),
        (TEXTS[0], json!({"temperature": -1.0}), "`temperature` must be above 0"),
        (TEXTS[0], json!({"max_new_tokens": 0}), "`max_new_tokens`"),
        (TEXTS[0], json!({"num_beams": 3, "do_sample": false, "suppress_tokens": all}), "no token is left"),
        (TEXTS[0], json!({"num_beams": 2, "num_return_sequences": 3}), "`num_return_sequences`"),
        (TEXTS[0], json!({"logit_bias": {"9999999": 1.0}}), "9999999"),
        (TEXTS[0], json!({"top_q": 1}), "top_q"),
    ] {
        let error = ask(&model, text, &params, false).expect_err("it is refused").to_string();
        assert!(error.contains(told), "{params}: {error}");
    }
    assert_eq!(tokens(&block_on(under_way.finish()).expect("an answer")), expected);
    assert_eq!(settle(&model), (0, 0));
}

#[test]
fn a_conversation_that_goes_on_is_not_read_again() {
    let model = load(Options::default());
    let params = json!({"do_sample": false, "max_new_tokens": 20});
    let text = TEXTS.join(" ");
    let fresh = ask(&model, &text, &params, true).expect("an answer");
    assert_eq!(fresh.cached_tokens, 0);
    let again = ask(&model, &text, &params, true).expect("an answer");
    assert!(again.cached_tokens > 0 && again.cached_tokens < again.prompt_tokens, "{again:?}");
    assert_eq!(tokens(&again), tokens(&fresh));
    let longer = format!("{text} and so on");
    let kept = ask(&model, &longer, &params, true).expect("an answer");
    model.loaded().generator().expect("it generates").forget().expect("the worker is there");
    let read = ask(&model, &longer, &params, false).expect("an answer");
    assert!(kept.cached_tokens > 0 && read.cached_tokens == 0);
    assert_eq!(tokens(&kept), tokens(&read));
}

#[test]
fn adapters_share_runs_and_weights_and_nothing_else() {
    let project = Project::empty();
    let registry = Registry::new(Options::default());
    let folder = ModelFolder::new(root().join("tests/gguf/models/llama-f16"));
    let plain = LanguageModel::load(&registry, &folder, None).expect("it loads");
    let mut all = vec![plain.clone()];
    for module in ["q_proj", "o_proj"] {
        write_lora(&project.path(module), module, 2, 32);
        all.push(plain.with_adapter(&project.path(module)).expect("it fits"));
    }
    let merged = LoadOptions { adapter: Some(&project.path("q_proj")), ..LoadOptions::default() };
    let merged = LanguageModel::load(&registry, &folder, merged).expect("it loads");
    assert_eq!(registry.loads(), 2, "adapters beside a model load no weights");
    let greedy = json!({"do_sample": false, "max_new_tokens": 24});
    let expected = tokens(&ask(&merged, TEXTS[0], &greedy, false).expect("an answer"));
    assert_eq!(tokens(&ask(&all[1], TEXTS[0], &greedy, false).expect("an answer")), expected, "as merged");

    let alone =
        |model: &LanguageModel, at: usize| tokens(&ask(model, text(at / 5), &params(at), false).expect("alone"));
    let alone: Vec<Vec<_>> = all.iter().map(|model| (0..25).map(|at| alone(model, at)).collect()).collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2], "each changes something");
    // What is kept of a text with one adapter is of no use with another, though the tokens are the same.
    let streams = (0..150).map(|number| {
        let (adapter, at) = (number % 3, number / 3 % 25);
        let model = &all[adapter];
        let config = model.config().with_params(params(at).as_object().expect("an object")).expect("parameters");
        let prompt = model.tokens(text(at / 5)).expect("tokens");
        (adapter, at, model.generate(prompt, config, true).expect("it is taken"))
    });
    let answers = streams.map(async |(adapter, at, stream)| (adapter, at, stream.finish().await.expect("an answer")));
    for (adapter, at, generated) in block_on(join_all(answers.collect::<Vec<_>>())) {
        assert_eq!(tokens(&generated), alone[adapter][at], "adapter {adapter}, request {at}");
    }
    plain.loaded().generator().expect("it generates").forget().expect("the worker is there");
    let text = TEXTS.join(" ");
    let asked = |model: &LanguageModel, keep| ask(model, &text, &greedy, keep).expect("an answer");
    let fresh: Vec<Generated> = all.iter().map(|model| asked(model, true)).collect();
    for (model, fresh) in all.iter().zip(&fresh) {
        let again = asked(model, false);
        assert!(fresh.cached_tokens == 0 && again.cached_tokens > 0, "{fresh:?}, then {again:?}");
        assert_eq!(tokens(&again), tokens(fresh));
    }
    assert_eq!(settle(&plain), (0, 0), "requests and blocks that are held");
}

#[test]
fn requests_wait_for_room_and_what_never_fits_is_refused() {
    let plenty = load(Options::default());
    let params = json!({"do_sample": false, "max_new_tokens": 24});
    let expected = tokens(&ask(&plenty, TEXTS[0], &params, false).expect("an answer"));
    let block = plenty.loaded().model().plan.cache(1).expect("a cache").block_bytes();
    let tight = load(Options { kv_cache: 3 * block, ..Options::default() });
    let config = tight.config().with_params(params.as_object().expect("an object")).expect("parameters");
    let prompt = tight.tokens(TEXTS[0]).expect("tokens");
    let streams: Vec<_> =
        (0..12).map(|_| tight.generate(prompt.clone(), config.clone(), true).expect("it is taken")).collect();
    for generated in block_on(join_all(streams.into_iter().map(GenerationStream::finish))) {
        assert_eq!(tokens(&generated.expect("an answer")), expected);
    }
    let error = ask(&tight, TEXTS[4], &json!({"max_new_tokens": 100, "num_beams": 4, "do_sample": false}), false);
    assert!(matches!(error, Err(Error::CacheTooSmall { .. })), "{error:?}");
    assert_eq!(settle(&tight), (0, 0));
}

#[test]
fn what_is_guessed_from_the_prompt_changes_nothing() {
    let model = load(Options::default());
    for text in TEXTS {
        let plain = json!({"do_sample": false, "max_new_tokens": 40});
        let guessing = json!({"do_sample": false, "max_new_tokens": 40, "prompt_lookup_num_tokens": 6});
        let (plain, guessed) = (ask(&model, text, &plain, false), ask(&model, text, &guessing, false));
        assert_eq!(tokens(&guessed.expect("an answer")), tokens(&plain.expect("an answer")), "{text}");
    }
}

#[test]
fn a_beam_that_a_stop_string_ends_says_so() {
    let model = load(Options::default());
    let with = |stop: Option<&str>| {
        let params = json!({"do_sample": false, "max_new_tokens": 12, "num_beams": 3, "stop_strings": stop});
        ask(&model, TEXTS[1], &params, false).expect("an answer").sequences.remove(0)
    };
    let whole = with(None);
    assert_eq!(whole.finish_reason, FinishReason::Length);
    let text = model.decode(&whole.tokens[..6], false).expect("a text");
    let stop = text.chars().rev().find(char::is_ascii_alphabetic).expect("a letter").to_string();
    let stopped = with(Some(&stop));
    assert_eq!(stopped.finish_reason, FinishReason::StopString(0), "{stop:?}");
    assert!(model.decode(&stopped.tokens, false).expect("a text").contains(&stop));
}

/// A request as [`ask`] makes it, with another way to decode.
fn request(model: &LanguageModel, text: &str, params: &Value, decode: Decode) -> GenerateRequest {
    GenerateRequest {
        source: None,
        prompt: model.tokens(text).expect("tokens"),
        config: model.config().with_params(params.as_object().expect("an object")).expect("parameters"),
        padding: 0,
        encoder_input: None,
        limit: model.context(),
        keep: false,
        decode,
        plugins: Vec::new(),
        matcher: None,
        adapter: None,
    }
}

fn is_of_panic(result: &Result<Generated, Error>) -> bool {
    matches!(result, Err(Error::Schedule(ScheduleError::Panicked { .. })))
}

#[test]
fn a_panic_at_the_end_of_a_request_is_its_own() {
    let model = load(Options::default());
    let generator = model.loaded().generator().expect("it generates");
    let long = json!({"do_sample": false, "max_new_tokens": 60});
    let expected = tokens(&ask(&model, TEXTS[1], &long, false).expect("an answer"));
    let beams = json!({"do_sample": false, "max_new_tokens": 6, "num_beams": 2, "stop_strings": ["no such text"]});
    // The last time is when the answer is put together.
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |panics_at: Option<usize>| -> Decode {
        let calls = Arc::clone(&calls);
        calls.store(0, Ordering::SeqCst);
        Arc::new(move |_| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            assert!(Some(call + 1) != panics_at, "call {call} panics");
            Ok(String::new())
        })
    };
    let counted = generator.generate(request(&model, TEXTS[0], &beams, count(None))).expect("it is taken");
    block_on(counted.finish()).expect("an answer");
    let last = calls.load(Ordering::SeqCst);
    let neighbour = model.generate(
        model.tokens(TEXTS[1]).expect("tokens"),
        model.config().with_params(long.as_object().expect("an object")).expect("parameters"),
        false,
    );
    let panics = generator.generate(request(&model, TEXTS[0], &beams, count(Some(last)))).expect("it is taken");
    assert!(is_of_panic(&block_on(panics.finish())));
    let neighbour = block_on(neighbour.expect("it is taken").finish()).expect("an answer");
    assert_eq!(tokens(&neighbour), expected);
    assert_eq!(settle(&model), (0, 0));
}

/// Panics where it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_panic_of_the_worker_fails_what_is_under_way_and_nothing_else() {
    let block = load(Options::default()).loaded().model().plan.cache(1).expect("a cache").block_bytes();
    let model = load(Options { kv_cache: 20 * block, ..Options::default() });
    let generator = model.loaded().generator().expect("it generates");
    let long = json!({"do_sample": false, "max_new_tokens": 120});
    let short = json!({"do_sample": false, "max_new_tokens": 12});
    let expected = tokens(&ask(&model, TEXTS[0], &short, false).expect("an answer"));
    let bomb = Bomb;
    let decode: Decode = Arc::new(move |_| {
        let _held = &bomb;
        Ok(String::new())
    });
    let mut panics = generator.generate(request(&model, TEXTS[1], &long, decode)).expect("it is taken");
    let plain: Decode = Arc::new(|_| Ok(String::new()));
    let take = |params: &Value| {
        generator.generate(request(&model, TEXTS[0], params, Arc::clone(&plain))).expect("it is taken")
    };
    let mut under_way = take(&long);
    block_on(async {
        panics.next().await.expect("an event").expect("a token");
        under_way.next().await.expect("an event").expect("a token");
    });
    // More than there is room for wait.
    let waiting: Vec<_> = (0..40).map(|_| take(&short)).collect();
    drop(panics);
    assert!(is_of_panic(&block_on(under_way.finish())));
    let answers = block_on(join_all(waiting.into_iter().map(GenerationStream::finish)));
    let (failed, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|result| is_of_panic(result));
    assert!(failed.len() < 20, "{} of those that wait fail", failed.len());
    for answer in answered {
        assert_eq!(tokens(answer.as_ref().expect("an answer")), expected);
    }
    assert_eq!(tokens(&ask(&model, TEXTS[0], &short, false).expect("an answer")), expected);
    assert_eq!(settle(&model), (0, 0));
}

#[test]
fn what_is_to_be_scored_has_its_turn_among_those_that_fill_the_cache() {
    let block = load(Options::default()).loaded().model().plan.cache(1).expect("a cache").block_bytes();
    let model = load(Options { kv_cache: 16 * block, ..Options::default() });
    let generator = model.loaded().generator().expect("it generates");
    let prompt = model.tokens("a").expect("tokens");
    // Each leaves room for one of its kind, and never for as much as is needed to score; they end at different times.
    let take = |number: usize| {
        let params = json!({"do_sample": false, "max_new_tokens": 70 + 13 * (number % 4)});
        let config = model.config().with_params(params.as_object().expect("an object")).expect("parameters");
        model.generate(prompt.clone(), config, false).expect("it is taken")
    };
    let order = Mutex::new(Vec::new());
    let done = |what: &'static str| order.lock().expect("not poisoned").push(what);
    let continuations: Vec<Vec<u32>> = (0..13).map(|token| vec![token, 3]).collect();
    let before: Vec<_> = (0..4).map(take).collect();
    let scored = async {
        let scored = generator.score(prompt.clone(), continuations.clone(), None, None).await;
        done("scored");
        scored
    };
    // It has been asked for when it is first polled; those that follow come later.
    let mut scored = Box::pin(scored);
    assert!(block_on(futures::future::poll_fn(|context| Poll::Ready(scored.as_mut().poll(context).is_pending()))));
    let later: Vec<_> = (4..24).map(take).collect();
    let finish = |stream: GenerationStream| {
        let done = &done;
        async move {
            stream.finish().await.expect("an answer");
            done("generated");
        }
    };
    let all = join_all(before.into_iter().chain(later).map(finish));
    let (scored, _) = block_on(futures::future::join(scored, all));
    assert_eq!(scored.expect("an answer").log_probs.len(), 13);
    let order = order.lock().expect("not poisoned");
    let place = order.iter().position(|what| *what == "scored").expect("it is scored");
    assert!(place <= 8, "behind {place} of {}", order.len());
}
