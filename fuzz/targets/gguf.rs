//! A GGUF file: its header, then all that the program makes of one: configuration, tokenizer, settings and weights.
//!
//! The first byte says how many KiB of zeros follow the rest, so that the tensors of a header may lie in the file.

#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runtime_fuzz::{Scratch, let_panics_be_caught};
use runtime_gguf::Header;
use runtime_models::{EncodeOptions, ModelFolder, Text};
use runtime_tensor::Weights;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::new("gguf"));

fuzz_target!(|data: &[u8]| {
    let_panics_be_caught();
    let Some((zeros, bytes)) = data.split_first() else { return };
    let length = bytes.len() as u64 + (u64::from(*zeros) << 10);
    let Ok(header) = Header::read(Cursor::new(bytes), length) else { return };
    for tensor in &header.tensors {
        assert!(tensor.offset.checked_add(tensor.bytes).is_some_and(|end| end <= length), "{} is outside", tensor.name);
    }
    let folder = ModelFolder::new(SCRATCH.write("model.gguf", bytes, Some(length)));
    let _ = folder.config().map(|config| assert!(!config.model_type.is_empty()));
    for file in ["tokenizer_config.json", "generation_config.json"] {
        let _ = folder.json(file);
    }
    if let Ok(tokenizer) = folder.tokenizer()
        && let Ok(windows) = tokenizer.encode(Text::Whole("Hi, é 12\u{1f600}"), None, &EncodeOptions::default())
    {
        for window in windows {
            let _ = tokenizer.decode(&window.token_ids, false, None);
        }
    }
    let Ok(checkpoint) = folder.checkpoint() else { return };
    let catalog = checkpoint.catalog("");
    for name in checkpoint.names() {
        let Ok(tensor) = checkpoint.read(name) else { continue };
        let numbers: usize = tensor.shape.iter().product();
        assert_eq!(tensor.to_f32().len(), numbers, "{name}");
        assert!(checkpoint.stored_type(name).is_ok_and(|stored| stored == tensor.dtype), "{name}");
        assert!(catalog.find(name).is_some(), "{name} can be read and is not in the catalog");
    }
});
