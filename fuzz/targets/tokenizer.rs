//! The files of a tokenizer, and a text: opened, or refused; what it makes of the text is consistent with itself.
//!
//! Parts between bytes `0xff`: `tokenizer.json`, `tokenizer_config.json`, a text, its pair.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_fuzz::{Scratch, let_panics_be_caught, parts};
use runtime_models::{EncodeOptions, Encoding, ModelFolder, PadOptions, Side, Text, Truncation};

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("tokenizer"));

fn is_consistent(encoding: &Encoding, highest: u32) {
    assert!(encoding.token_ids.iter().all(|id| *id <= highest), "an id is beyond the highest");
    assert_eq!(encoding.token_ids.len(), encoding.token_types.len());
    assert_eq!(encoding.token_ids.len(), encoding.offsets.len());
}

fuzz_target!(|data: &[u8]| {
    let_panics_be_caught();
    let [tokenizer, config, text, pair] = parts(data);
    let (Ok(text), Ok(pair)) = (std::str::from_utf8(text), std::str::from_utf8(pair)) else { return };
    SCRATCH.write("tokenizer.json", tokenizer, None);
    SCRATCH.remove("tokenizer_config.json");
    if !config.is_empty() {
        SCRATCH.write("tokenizer_config.json", config, None);
    }
    let Ok(tokenizer) = ModelFolder::new(SCRATCH.path()).tokenizer() else { return };
    let highest = tokenizer.highest_id();
    // It has a place for each id; models have as many embeddings, which is checked before.
    if highest < 1 << 20 {
        let _ = tokenizer.token_bytes();
    }
    let cut = EncodeOptions {
        truncation: Truncation::LongestFirst,
        max_length: Some(8),
        stride: 2,
        truncation_side: Some(Side::Left),
        ..EncodeOptions::default()
    };
    for options in [EncodeOptions::default(), cut] {
        for pair in [None, Some(Text::Whole(pair))] {
            let Ok(windows) = tokenizer.encode(Text::Whole(text), pair, &options) else { continue };
            windows.iter().for_each(|window| is_consistent(window, highest));
            for window in &windows {
                let _ = tokenizer.decode(&window.token_ids, true, None);
                let _ = tokenizer.decode(&window.token_ids, false, Some(true));
            }
            let _ = tokenizer.pad(&mut [windows], &PadOptions::default());
        }
    }
    if let Ok(pieces) = tokenizer.pieces(text, 64)
        && let Ok(sequence) = tokenizer.single(&pieces, 8)
    {
        assert!(sequence.token_ids.iter().all(|id| *id <= highest));
    }
});
