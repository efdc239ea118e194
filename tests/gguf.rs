//! Models in GGUF: tiny ones of each family, recorded with transformers by `gguf/record.py`, and files that are none.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Exit, Explain};
use runtime_engine::{CaseSet, Options, Registry};
use runtime_graph::Head;
use runtime_models::{Error, ModelFolder};
use runtime_tests::{Finished, Project, root};
use tempfile::TempDir;

fn place() -> PathBuf {
    root().join("tests/gguf")
}

/// The file of a recorded model, the first where it has several parts.
fn file(name: &str) -> PathBuf {
    let folder = ModelFolder::new(place().join("models").join(name));
    folder.gguf_file().expect("it can be told").expect("it is there")
}

/// Everything that is read of a model but its weights.
fn read(path: &Path) -> Result<(), Error> {
    let folder = ModelFolder::new(path);
    let config = folder.config()?;
    for name in ["tokenizer_config.json", "generation_config.json"] {
        folder.json(name)?;
    }
    folder.tokenizer()?;
    let architecture = runtime_models::Model::built_in(&folder, &config)?;
    runtime_models::Model::graph(&folder, &config, architecture, Head::CausalLm).map(|_| ())
}

fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

#[test]
fn every_case_is_as_recorded() {
    let cases = CaseSet::open(&place()).expect("the cases can be read");
    let (mut told, mut failed) = (0, Vec::new());
    cases.run(&Registry::new(Options::default()), |outcome| {
        told += 1;
        failed.extend(outcome.failure.map(|failure| format!("{}: {failure}", outcome.id)));
    });
    assert!(failed.is_empty(), "{} of {told} cases fail:\n{}", failed.len(), failed.join("\n"));
    let models = fs::read_dir(place().join("models")).expect("it is there").count();
    assert!(models >= 12 && told >= 8 * models, "{told} cases of {models} models");
}

#[test]
fn a_file_is_named_by_itself_or_by_its_folder() {
    for name in ["llama-f16", "llama-mixed"] {
        read(&file(name)).expect("the file");
        read(file(name).parent().expect("a folder")).expect("its folder");
    }
    let other = place().join("models/llama-mixed/llama-mixed-00002-of-00004.gguf");
    read(&other).expect("any of the parts stands for all");
}

#[test]
fn one_of_several_files_has_to_be_named() {
    let folder = TempDir::new().expect("a folder");
    for name in ["a.gguf", "b.gguf"] {
        fs::copy(file("gpt2-q8_0"), folder.path().join(name)).expect("copied");
    }
    let error = read(folder.path()).expect_err("it is not clear which");
    assert!(error.to_string().ends_with("has several GGUF files: `a.gguf`, `b.gguf`"), "{error}");
    read(&folder.path().join("b.gguf")).expect("it is named");
}

#[test]
fn parts_belong_together() {
    let folder = TempDir::new().expect("a folder");
    let part = |part: usize| folder.path().join(format!("llama-mixed-{part:05}-of-00004.gguf"));
    let source = |part: usize| place().join(format!("models/llama-mixed/llama-mixed-{part:05}-of-00004.gguf"));
    for number in 1..=3 {
        fs::copy(source(number), part(number)).expect("copied");
    }
    let missing = read(&part(1)).expect_err("one is missing");
    assert!(missing.to_string().contains("00004-of-00004"), "{missing}");
    assert_eq!(missing.exit(), Exit::NoInput);
    fs::copy(source(3), part(4)).expect("copied");
    let twice = told(&read(&part(1)).expect_err("one is there twice"));
    assert!(twice.contains("it is to be part 4 of 4, and says that it is part 3 of 4"), "{twice}");
    let alone = folder.path().join("alone.gguf");
    fs::copy(source(1), &alone).expect("copied");
    let alone = told(&read(&alone).expect_err("its name tells no others"));
    assert!(alone.contains("is one of 4 parts, but is not named"), "{alone}");
}

/// Replaces a text in a file by one of the same length.
fn with(name: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file(name)).expect("readable");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is there");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("changed.gguf");
    fs::write(&path, bytes).expect("written");
    (folder, path)
}

#[test]
fn what_is_not_supported_is_told_with_what_is() {
    for (name, from, to, says, hints) in [
        (
            "llama-f16",
            "architecture\u{5}\0\0\0\0\0\0\0llama",
            "architecture\u{5}\0\0\0\0\0\0\0mamba",
            "`mamba`",
            "qwen3",
        ),
        ("llama-f16", "llama-bpe", "llama-xyz", "`llama-xyz`", "smollm"),
        ("llama-f16", "token_embd.weight", "token_emXX.weight", "no tensor `token_embd.weight`", ""),
        ("llama-f16", "llama.block_count", "llama.block_cXXXX", "it has no `llama.block_count`", ""),
        ("llama-f16", "tokenizer.ggml.model", "tokenizer.ggml.mXXXX", "no `tokenizer.ggml.model`", ""),
        ("llama-f16", "tokenizer.ggml.merges", "tokenizer.ggml.mXXXXX", "no `tokenizer.ggml.merges`", ""),
        ("phi3-f16", "phi3.attention.head_count", "phi3.attention.head_cXXXX", "no `phi3.attention.head_count`", ""),
    ] {
        // A text stands behind its type, 8, and its length.
        let text = |text: &str| text.replacen("architecture\u{5}", "architecture\u{8}\0\0\0\u{5}", 1);
        let (_folder, path) = with(name, &text(from), &text(to));
        let error = read(&path).expect_err(to);
        let message = told(&error);
        assert!(message.contains(says) && message.contains("changed.gguf"), "{to}: {message}");
        assert!(error.hint().unwrap_or_default().contains(hints), "{to}: {:?}", error.hint());
        assert_eq!(error.exit(), Exit::Config, "{to}");
    }
}

#[test]
fn a_damaged_file_is_read_or_refused_and_never_more() {
    let whole = fs::read(file("gpt2-q8_0")).expect("readable");
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("damaged.gguf");
    let header = runtime_gguf::Header::read(&whole[..], whole.len() as u64).expect("it is whole");
    let data = header.tensors.iter().map(|tensor| tensor.offset).min().expect("it has tensors");
    let data = usize::try_from(data).expect("in memory");
    let mut refused = 0;
    for at in (0..data).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, damaged).expect("written");
        refused += usize::from(read(&path).is_err());
    }
    assert!(refused > 100, "{refused} of {}", data / 11);
}

#[test]
fn commands_take_a_file_where_they_take_a_folder() {
    let project = Project::empty();
    let path = file("qwen3-f16").display().to_string();
    let graph = project.run(["model", "graph", &path]);
    assert_eq!(graph.code, Some(0), "{}", graph.stderr);
    assert!(graph.stdout.contains("model.layers.1.self_attn.q_norm.weight"), "{}", graph.stdout);
    let verified = project.run(["verify", &place().display().to_string(), "--model", "qwen3-f16"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let refused: Finished = project.run(["model", "graph", "no/such.gguf"]);
    assert!(refused.stderr.contains("no/such.gguf"), "{}", refused.stderr);
    assert_ne!(refused.code, Some(0));
}
