//! What is read of files and calls, what is refused, and in which words.

use serde_json::json;

use super::*;

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn read(file: &Value, params: &Value) -> Result<GenerationConfig, Error> {
    GenerationConfig::from_file(&fields(file))?.with_params(&fields(params))
}

#[test]
fn a_call_goes_over_the_file_and_the_file_over_the_defaults() {
    let file = json!({"do_sample": true, "temperature": 0.6, "top_k": null, "eos_token_id": [3, 4], "pad_token_id": -1,
        "transformers_version": "4.46.0", "cache_implementation": "hybrid", "anything": [1]});
    let config = read(&file, &json!({"temperature": 0.9, "top_p": 0.8, "max_new_tokens": 5})).expect("right");
    assert_eq!(config.temperature.to_bits(), 0.9_f64.to_bits());
    assert_eq!((config.top_k, config.max_new_tokens), (50, Some(5)));
    assert_eq!((config.eos_token_id.as_slice(), config.pad_token_id), ([3, 4].as_slice(), None));
    assert_eq!((config.fill_token(), config.mode()), (Some(3), Mode::Sample));
    // In a call, null turns off what the file or the default turns on.
    let config = read(&file, &json!({"top_k": null, "eos_token_id": null})).expect("right");
    assert_eq!((config.top_k, config.eos_token_id.len()), (0, 0));
    let config = read(&json!({"eos_token_id": 7, "pad_token_id": 0}), &json!({"num_beams": 2})).expect("right");
    assert_eq!((config.fill_token(), config.mode()), (Some(7), Mode::Beam));
}

#[test]
fn older_models_have_the_fields_in_their_own_configuration() {
    let read = |value: &Value| GenerationConfig::from_model_config(&fields(value));
    let bart = json!({"num_beams": 4, "no_repeat_ngram_size": 3, "forced_bos_token_id": null, "vocab_size": 50264,
        "decoder": {"num_beams": 2, "max_length": 62, "forced_bos_token_id": 0}, "seed": "none", "logprobs": -1});
    let config = read(&bart).expect("right");
    assert_eq!((config.num_beams, config.max_length, config.no_repeat_ngram_size), (4, Some(62), 3));
    assert_eq!((config.forced_bos_token_id, config.seed, config.logprobs), (Some(0), None, None));
    let error = read(&json!({"num_beams": "many"})).expect_err("no number");
    assert_eq!(error.to_string(), "in `config.json`, `num_beams` must be a whole number of at least 0, not `\"many\"`");
}

#[test]
fn each_type_is_read() {
    let params = json!({"stop_strings": "x", "logit_bias": {"5": -1, "6": 2.5}, "early_stopping": "never",
        "sequence_bias": [[[1, 2], 1.0], [[1, 2], -2]], "exponential_decay_length_penalty": [2, 1.4],
        "forced_eos_token_id": [1, 2], "logprobs": true, "suppress_tokens": 4, "seed": 9});
    let config = read(&json!({"eos_token_id": 1}), &params).expect("right");
    assert_eq!(config.stop_strings, ["x"]);
    assert_eq!(config.logit_bias, [(5, -1.0), (6, 2.5)]);
    assert_eq!(config.sequence_bias, [SequenceBias { tokens: vec![1, 2], bias: -2.0 }]);
    assert_eq!(config.early_stopping, EarlyStopping::Never);
    assert_eq!(config.exponential_decay_length_penalty, Some((2, 1.4)));
    assert_eq!((config.forced_eos_token_id, config.suppress_tokens), (vec![1, 2], vec![4]));
    assert_eq!((config.logprobs, config.seed), (Some(0), Some(9)));
}

#[test]
fn what_is_wrong_is_said_by_name() {
    let sampling = |key: &str, value: Value| {
        let mut params = fields(&json!({"do_sample": true}));
        params.insert(key.to_owned(), value);
        read(&json!({}), &Value::Object(params))
    };
    let wrong = [
        ("temperature", json!(-0.5), "`temperature` must be above 0, not -0.5"),
        ("temperature", json!(0), "`temperature` must be above 0, not 0"),
        ("temperature", json!("hot"), "`temperature` must be a number, not `\"hot\"`"),
        ("top_p", json!(1.5), "`top_p` must be from 0 to 1, not 1.5"),
        ("top_p", json!(-0.1), "`top_p` must be from 0 to 1, not -0.1"),
        ("top_k", json!(-3), "`top_k` must be a whole number, of which 0 keeps all tokens, not `-3`"),
        ("min_p", json!(2), "`min_p` must be from 0 to 1, not 2"),
        ("typical_p", json!(0), "`typical_p` must be above 0 and at most 1, not 0"),
        ("top_h", json!(0), "`top_h` must be above 0 and at most 1, not 0"),
        ("epsilon_cutoff", json!(1), "`epsilon_cutoff` must be at least 0 and below 1, not 1"),
        ("eta_cutoff", json!(-1), "`eta_cutoff` must be at least 0 and below 1, not -1"),
        ("repetition_penalty", json!(0), "`repetition_penalty` must be above 0, not 0"),
        ("frequency_penalty", json!(2.5), "`frequency_penalty` must be from -2 to 2, not 2.5"),
        ("max_new_tokens", json!(0), "`max_new_tokens` must be at least 1, not 0"),
        ("num_beams", json!(0), "`num_beams` must be at least 1, not 0"),
        ("num_beams", json!(3_000_000_000_u64), "`num_beams` must be at most 1000, not 3000000000"),
        ("num_return_sequences", json!(1001), "`num_return_sequences` must be at most 1000, not 1001"),
        ("logprobs", json!(u64::MAX), "`logprobs` must be at most 1000, not 18446744073709551615"),
        ("prompt_lookup_num_tokens", json!(1001), "`prompt_lookup_num_tokens` must be at most 1000, not 1001"),
        ("num_beams", json!(1.5), "`num_beams` must be a whole number of at least 0, not `1.5`"),
        ("early_stopping", json!("soon"), "`early_stopping` must be `true`, `false` or \"never\", not `\"soon\"`"),
        ("stop_strings", json!(["a", ""]), "`stop_strings` has an empty text, which would end all at once"),
        ("guidance_scale", json!(2.0), "`guidance_scale` is not supported"),
        ("temprature", json!(1), "generation has no parameter `temprature`"),
    ];
    for (key, value, message) in wrong {
        assert_eq!(sampling(key, value).expect_err(key).to_string(), message);
    }
    let hint = |error: &Error| runtime_diagnostics::Explain::hint(error);
    assert_eq!(
        sampling("temprature", json!(1)).err().as_ref().and_then(hint).as_deref(),
        Some("did you mean `temperature`?")
    );
    assert!(sampling("temperature", json!(1e-300)).is_err(), "scores are singles");
    for (key, value) in [("top_p", json!(0)), ("guidance_scale", json!(1)), ("use_cache", json!(true))] {
        assert!(sampling(key, value).is_ok(), "{key}");
    }
}

#[test]
fn combinations_that_contradict_each_other_are_refused() {
    let refused = |params: &Value| read(&json!({}), params).expect_err("contradicts itself").to_string();
    let several = json!({"num_return_sequences": 2});
    assert_eq!(refused(&several), "`num_return_sequences` is 2, and the likeliest token gives one sequence");
    let more = json!({"num_return_sequences": 3, "num_beams": 2});
    assert_eq!(refused(&more), "`num_return_sequences` is 3, and `num_beams` only 2");
    let forced = json!({"forced_bos_token_id": 3, "suppress_tokens": [3, 4]});
    assert_eq!(refused(&forced), "`forced_bos_token_id` forces what `suppress_tokens` rules out");
    assert!(read(&json!({}), &json!({"forced_eos_token_id": [3, 5], "suppress_tokens": [3, 4]})).is_ok());
}

#[test]
fn a_files_limits_of_sampling_count_only_where_it_samples() {
    let file = json!({"temperature": 0.0, "top_p": 7.0});
    assert!(read(&file, &json!({})).is_ok());
    let error = read(&json!({"do_sample": true, "top_p": 7.0}), &json!({})).expect_err("out of range");
    assert_eq!(error.to_string(), "in `generation_config.json`, `top_p` must be from 0 to 1, not 7");
    // A call that samples with them is refused, and so is one that gives a wrong one for nothing.
    assert!(read(&file, &json!({"do_sample": true})).is_err());
    assert!(read(&json!({}), &json!({"temperature": -1})).is_err());
    assert!(read(&json!({}), &json!({"temperature": 0})).is_ok());
}

#[test]
fn every_name_is_told_once() {
    let names = GenerationConfig::names();
    assert!(names.len() > 40 && names.contains(&"stop_strings") && names.contains(&"eos_token_id"));
    let distinct: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
