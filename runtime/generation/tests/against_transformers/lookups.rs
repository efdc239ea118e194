//! Guesses of prompt lookup.

use runtime_generation::{GenerationConfig, PromptLookup};

use super::{cases, size, tokens};

#[test]
fn guesses_are_those_of_transformers() {
    let mut guessed = 0;
    for case in cases(include_str!("../recorded/lookups.jsonl")) {
        let config = GenerationConfig {
            prompt_lookup_num_tokens: Some(size(&case["tokens"])),
            max_matching_ngram_size: Some(size(&case["ngram"])),
            eos_token_id: vec![5],
            ..GenerationConfig::default()
        };
        let lookup = PromptLookup::new(&config, 1000).expect("it is asked for");
        let sequence = tokens(&case["sequence"]);
        assert_eq!(lookup.candidates(&sequence), tokens(&case["found"]), "{case}");
        guessed += lookup.candidates(&sequence).len();
    }
    assert!(guessed > 50);
}
