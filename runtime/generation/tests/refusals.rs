//! What cannot be generated is one clear error, of whatever kind the search is.

use runtime_diagnostics::{Exit, Explain};
use runtime_generation::{
    BeamOptions, BeamSearch, Error, GenerationConfig, Lengths, Processors, Prompt, Sampler, Warpers, argmax,
    log_softmax,
};
use serde_json::{Value, json};

const VOCABULARY: usize = 5;

fn config(params: &Value) -> Result<GenerationConfig, Error> {
    GenerationConfig::default().with_params(params.as_object().expect("an object"))
}

/// The scores behind a prompt of two tokens.
fn processed(config: &GenerationConfig, mut scores: Vec<f32>) -> Result<Vec<f32>, Error> {
    let lengths = Lengths::new(config, 2, None)?;
    let prompt = Prompt { length: 2, padding: 0, encoder_input: None, lengths };
    Processors::new(config, prompt, VOCABULARY)?.apply(&[0, 1], &mut scores);
    Ok(scores)
}

/// A step of the search that `params` asks for.
fn step(params: &Value, scores: &[f32]) -> Result<(), Error> {
    let config = config(params)?;
    let mut scores = scores.to_vec();
    if config.num_beams > 1 {
        log_softmax(&mut scores);
    }
    let mut scores = processed(&config, scores)?;
    let mut warpers = Warpers::new(&config);
    if config.num_beams > 1 {
        warpers.apply(&mut scores)?;
        let sampler = config.do_sample.then(|| Sampler::new(Some(0), 0));
        return BeamSearch::new(BeamOptions::new(&config, 5)?, &[0, 1], sampler).step(&[scores], |_| false).map(drop);
    }
    if config.do_sample { warpers.distribution(&scores).map(drop) } else { argmax(&scores).map(drop) }
}

#[test]
fn parameters_that_leave_no_token_are_refused_in_every_search() {
    let everything: Vec<usize> = (0..VOCABULARY).collect();
    for search in [
        json!({}),
        json!({"do_sample": true}),
        json!({"do_sample": true, "top_k": 0, "top_p": 0.5, "typical_p": 0.5, "min_p": 0.1, "eta_cutoff": 0.1}),
        json!({"num_beams": 3}),
        json!({"num_beams": 3, "do_sample": true, "top_k": 2}),
        json!({"num_beams": 2, "renormalize_logits": true}),
    ] {
        let mut params = search.clone();
        assert_eq!(step(&params, &[0.0, 1.0, 2.0, 3.0, 4.0]), Ok(()), "{search}");
        params["suppress_tokens"] = json!(everything);
        let error = step(&params, &[0.0, 1.0, 2.0, 3.0, 4.0]).expect_err("nothing is left");
        assert_eq!(error, Error::NothingLeft { vocabulary: VOCABULARY }, "{search}");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.hint().is_some_and(|hint| hint.contains("suppress_tokens")));
        let error = step(&search, &[0.0, f32::NAN, 2.0, 3.0, 4.0]).expect_err("NaN");
        assert!(matches!(error, Error::NoNumber { .. }), "{search}: {error}");
    }
}

#[test]
fn a_beam_without_continuation_leaves_the_others_alone() {
    let params = json!({"num_beams": 2, "do_sample": true, "top_k": 3});
    let config = config(&params).expect("right");
    let mut search =
        BeamSearch::new(BeamOptions::new(&config, 5).expect("right"), &[0], Some(Sampler::new(Some(0), 0)));
    let mut warpers = Warpers::new(&config);
    let _first = search.step(&[vec![-1.0; VOCABULARY]], |_| false).expect("there are tokens");
    let (mut none, mut some) = (vec![f32::NEG_INFINITY; VOCABULARY], vec![-1.5; VOCABULARY]);
    warpers.apply(&mut none).expect("others may go on");
    warpers.apply(&mut some).expect("right");
    let next = search.step(&[none, some], |_| false).expect("one goes on");
    assert!(next.iter().all(|next| next.beam == 1), "{next:?}");
}

#[test]
fn a_search_that_is_cut_short_has_what_it_was_at() {
    let config = config(&json!({"num_beams": 2, "num_return_sequences": 2})).expect("right");
    let mut search = BeamSearch::new(BeamOptions::new(&config, 5).expect("right"), &[7, 7], None);
    let _first = search.step(&[[-1.0_f32, -3.0, -2.0]], |_| false).expect("there are tokens");
    let found = search.into_hypotheses();
    let found: Vec<(&[u32], f32)> = found.iter().map(|found| (found.tokens.as_slice(), found.score)).collect();
    assert_eq!(found, [([0].as_slice(), -1.0), ([2].as_slice(), -2.0)]);
}

#[test]
fn tokens_outside_of_the_vocabulary_are_refused_where_they_would_be_forced() {
    for (params, key) in [
        (json!({"forced_eos_token_id": [1, 9]}), "forced_eos_token_id"),
        (json!({"forced_bos_token_id": 9}), "forced_bos_token_id"),
        (json!({"logit_bias": {"9": 1.0}}), "logit_bias"),
        (json!({"sequence_bias": [[[9], 1.0]]}), "sequence_bias"),
        (json!({"bad_words_ids": [[1, 9]]}), "bad_words_ids"),
    ] {
        assert_eq!(step(&params, &[0.0; VOCABULARY]), Err(Error::OutsideVocabulary { key, token: 9, last: 4 }));
    }
    assert_eq!(step(&json!({"suppress_tokens": [9], "eos_token_id": 9, "min_length": 9}), &[0.0; VOCABULARY]), Ok(()));
}

#[test]
fn a_length_penalty_beyond_the_range_of_scores_is_refused() {
    let search = |penalty: f64, tokens: usize| {
        let config = config(&json!({"num_beams": 2, "num_return_sequences": 2, "length_penalty": penalty}))?;
        let mut search = BeamSearch::new(BeamOptions::new(&config, tokens)?, &[0], None);
        let _first = search.step(&[[-100.0_f32, -3.0, -2.0]], |_| false)?;
        while !search.finished() {
            let rows = vec![[-100.0_f32, -30.0, -2.0]; search.rows()];
            let _next = search.step(&rows, |sequence| sequence.last() == Some(&1))?;
        }
        Ok::<_, Error>(search.into_hypotheses())
    };
    for (penalty, tokens) in [(1e308, 5), (-1e308, 5), (1e6, 2), (-300.0, 2), (50.0, 6), (-50.0, 6)] {
        let error = search(penalty, tokens).expect_err("transformers fails too, or has -1e9 as every score");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().starts_with("`length_penalty` is "), "{error}");
    }
    // One token to any power is one.
    for (penalty, tokens) in [(1e308, 1), (20.0, 6), (-20.0, 6), (3.0, 1000), (15.0, 50), (-15.0, 50)] {
        let found = search(penalty, tokens).expect("it is in range");
        assert!(!found.is_empty() && found.iter().all(|found| found.score.is_finite()), "{penalty}: {found:?}");
    }
}

#[test]
fn bad_words_without_tokens_are_refused_where_a_call_gives_them() {
    let told = |words: Value| config(&json!({"bad_words_ids": words})).expect_err("it is refused").to_string();
    assert_eq!(told(json!([])), "`bad_words_ids` is empty");
    assert_eq!(told(json!([[1], []])), "`bad_words_ids` has a word without tokens, number 2 of its list");
    assert!(config(&json!({"bad_words_ids": null})).is_ok_and(|config| config.bad_words_ids.is_empty()));
    // A model's file is not the caller's to mend, and transformers does nothing by it.
    let file = json!({"bad_words_ids": [[]]});
    assert!(GenerationConfig::from_file(file.as_object().expect("an object")).is_ok());
}

#[test]
fn a_prompt_without_room_is_refused_before_the_model_is_asked() {
    let error = step(&json!({"max_length": 2}), &[0.0; VOCABULARY]).expect_err("no room");
    assert_eq!(error.to_string(), "the prompt has 2 tokens, and `max_length` is 2");
    assert_eq!(error.exit(), Exit::Data);
}
