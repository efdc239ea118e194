//! Measures what a step costs beside the model: `cargo run --release -p runtime-generation --example step_cost`.

use std::hint::black_box;
use std::time::Instant;

use runtime_generation::{
    BeamOptions, BeamSearch, Error, GenerationConfig, Lengths, Processors, Prompt, Sampler, Warpers, argmax,
    log_softmax, token_log_probs,
};
use serde_json::{Value, json};

const VOCABULARY: usize = 151_936;

/// Scores as a model gives them: about normal, with a few that stand out.
fn scores(seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 65536.0
    };
    let mut score = |place| {
        let normal: f32 = (0..8).map(|_| uniform() - 0.5).sum::<f32>() * 3.0;
        if place % 9973 == 0 { normal + 12.0 } else { normal }
    };
    (0..VOCABULARY).map(&mut score).collect()
}

/// Microseconds for one, the middle of many.
fn measure(name: &str, mut step: impl FnMut()) {
    let mut times: Vec<f64> = (0..101)
        .map(|_| {
            let start = Instant::now();
            step();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<44} {:>9.1} µs", times[50]);
}

fn config(params: &Value) -> Result<GenerationConfig, Error> {
    GenerationConfig::default().with_params(params.as_object().unwrap_or(&serde_json::Map::new()))
}

fn main() -> Result<(), Error> {
    let scores = scores(1);
    let sequence: Vec<u32> = (0..512).map(|place| place * 7 % 200).collect();
    let mut row = scores.clone();
    println!("{VOCABULARY} tokens, a sequence of {}", sequence.len());
    measure("a copy of the row", || row.copy_from_slice(black_box(&scores)));
    measure("argmax", || assert!(argmax(black_box(&scores)).is_ok()));
    measure("log_softmax, in place", || {
        row.copy_from_slice(&scores);
        log_softmax(black_box(&mut row));
    });
    measure("logprobs with 5 alternatives", || {
        black_box(token_log_probs(black_box(&scores), 3, 5));
    });

    let banned: Vec<u32> = (0..1000).map(|token| token * 3).collect();
    for params in [
        json!({"repetition_penalty": 1.1}),
        json!({"presence_penalty": 0.5, "frequency_penalty": 0.5}),
        json!({"no_repeat_ngram_size": 3}),
        json!({"suppress_tokens": banned}),
    ] {
        let config = config(&params)?;
        let lengths = Lengths::new(&config, 128, None)?;
        let prompt = Prompt { length: 128, padding: 0, encoder_input: None, lengths };
        let mut processors = Processors::new(&config, prompt, VOCABULARY)?;
        let name: String = params.to_string().chars().take(40).collect();
        row.copy_from_slice(&scores);
        measure(&name, || processors.apply(black_box(&sequence), black_box(&mut row)));
    }

    for params in [
        json!({"top_k": 50}),
        json!({"top_k": 50, "top_p": 0.9}),
        json!({"top_k": 1000, "top_p": 0.9, "temperature": 0.7}),
        json!({"top_k": 0, "top_p": 0.9}),
        json!({"top_k": 0, "top_p": 0.9, "temperature": 3.0}),
        json!({"top_k": 0, "min_p": 0.05}),
        json!({"top_k": 0}),
        json!({"top_k": 0, "typical_p": 0.9}),
    ] {
        let mut config = config(&params)?;
        config.do_sample = true;
        let (mut warpers, mut sampler) = (Warpers::new(&config), Sampler::new(Some(1), 0));
        measure(&format!("sampling {params}"), || {
            let left = warpers.distribution(black_box(&scores)).expect("something is left");
            black_box(sampler.draw(left));
        });
    }

    row.copy_from_slice(&scores);
    log_softmax(&mut row);
    let mut config = config(&json!({"num_beams": 4}))?;
    let mut search = BeamSearch::new(BeamOptions::new(&config, 1000)?, &[1], None);
    let _first = search.step(&[&row], |_| false)?;
    let rows = [&row, &row, &row, &row];
    measure("4 beams, without log_softmax", || assert!(search.step(black_box(&rows), |_| false).is_ok()));
    config.do_sample = true;
    let mut search = BeamSearch::new(BeamOptions::new(&config, 1000)?, &[1], Some(Sampler::new(Some(1), 0)));
    let _first = search.step(&[&row], |_| false)?;
    measure("4 beams, drawn", || assert!(search.step(black_box(&rows), |_| false).is_ok()));
    Ok(())
}
