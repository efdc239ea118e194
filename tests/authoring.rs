//! What authors of plugins go through: a new folder builds and passes its tests; an architecture is compared with what its
//! original computed in Python, and the first place where they differ is told.
//!
//! The references in `authoring` are what `record.py`, as `runtime plugin new` writes it, recorded with transformers 5.23
//! of `families/llama-causallm`, `mistral-causallm`, `gpt2-lmheadmodel`, `bart-conditionalgeneration` (8 tokens) and
//! `mamba/model` (4 tokens).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use runtime_tests::{Finished, Project, copy_folder, guest, root};
use serde_json::{Value, json};

fn reference(name: &str) -> String {
    root().join(format!("tests/authoring/{name}.safetensors")).display().to_string()
}

fn family(name: &str) -> PathBuf {
    root().join("tests/families").join(name)
}

fn check(project: &Project, model: &Path, more: &[&str]) -> Finished {
    let model = model.display().to_string();
    project.run([&["plugin", "check", "--model", &model][..], more].concat())
}

/// A copy of a model with other values in its configuration.
fn changed(project: &Project, model: &str, values: &Value) -> PathBuf {
    let folder = project.path("changed");
    copy_folder(&family(model), &folder);
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).expect("it is there")).expect("JSON");
    for (key, value) in values.as_object().expect("an object") {
        config[key] = value.clone();
    }
    fs::write(path, config.to_string()).expect("written");
    folder
}

#[test]
fn a_sound_architecture_agrees_with_its_original_in_every_activation() {
    let project = Project::empty();
    let plugin = guest("mamba_plugin").display().to_string();
    let mamba = check(&project, &root().join("tests/mamba/model"), &[&plugin, "--against", &reference("mamba")]);
    let llama = check(&project, &family("llama-causallm"), &["--against", &reference("llama")]);
    // Layers, and activations of each: 8 of Mamba's are products and norms, 18 of Llama's.
    for (finished, layers, compared) in [(mamba.exits(0), 3, 8), (llama.exits(0), 2, 18)] {
        for layer in 0..layers {
            let line = finished.stdout.lines().find(|line| line.starts_with(&format!("layer {layer} ")));
            let line = line.unwrap_or_else(|| panic!("no layer {layer}:\n{}", finished.stdout));
            assert!(line.contains(&format!(" {compared} activations agree")), "{line}");
        }
        for part in
            ["head          causal-lm", "all", "finite        yes", "the same bits at once and in two runs", "agrees"]
        {
            assert!(finished.stdout.contains(part), "{part}:\n{}", finished.stdout);
        }
    }
}

#[test]
fn the_first_activation_that_differs_is_told_with_what_it_is_computed_by() {
    for (values, name, operator, row) in [
        (json!({"rms_norm_eps": 0.5}), "model.layers.0.input_layernorm.output", "rms-norm", None),
        // The first token is not rotated, and sees itself alone.
        (
            json!({"rope_parameters": {"rope_theta": 3.0}}),
            "model.layers.0.self_attn.o_proj.input",
            "attention",
            Some("1"),
        ),
        (json!({"hidden_act": "relu"}), "model.layers.0.mlp.down_proj.input", "multiply", None),
    ] {
        let project = Project::empty();
        let finished =
            check(&project, &changed(&project, "llama-causallm", &values), &["--against", &reference("llama")]);
        let finished = finished.exits(1);
        let (_, told) = finished.stdout.split_once("first difference: ").expect("it is told");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], name, "{values}");
        assert!(lines.iter().any(|line| line.contains(&format!("= {operator}"))), "{operator}:\n{told}");
        let found: &str = lines[1].trim().strip_prefix("row ").and_then(|rest| rest.split(',').next()).expect("a row");
        assert!(row.is_none_or(|least| found >= least), "{told}");
        let agrees = if row.is_some() { "  row 0 agrees" } else { "  row 0 differs already" };
        assert!(lines.contains(&agrees), "{told}");
        let weight = lines.iter().any(|line| line.contains("= weight `model.layers.0.input_layernorm.weight` : [16]"));
        assert!(weight || operator != "rms-norm", "which weights it takes: {told}");
        assert!(!finished.stdout.contains("agrees        with"), "{}", finished.stdout);
    }
}

#[test]
fn an_encoder_and_its_decoder_are_compared_and_each_is_told_of() {
    let project = Project::empty();
    let against = ["--against", &reference("bart")];
    let whole = check(&project, &family("bart-conditionalgeneration"), &against).exits(0).stdout;
    for part in
        ["8 tokens, behind a source of 8", "the same bits alone and among", "the same bits at once and in two runs"]
    {
        assert!(whole.contains(part), "{part}:\n{whole}");
    }
    let agreeing = whole.lines().filter(|line| line.contains(" activations agree, ")).count();
    assert!(agreeing >= 4, "layers of both sides:\n{whole}");
    // Both embeddings and the output layer share one tensor, and each is compared under its own name; what the output layer
    // gives is not, since the graph adds the bias that the original adds behind it.
    assert!(!whole.contains("not recorded") && !whole.contains("`lm_head.input`, `lm_head.output`"), "{whole}");
    assert!(whole.contains("in all 68 activations"), "{whole}");

    for (values, side) in [
        (json!({"encoder_attention_heads": 1}), "model.encoder.layers.0.self_attn.out_proj.input"),
        (json!({"decoder_attention_heads": 1}), "model.decoder.layers.0.self_attn.out_proj.input"),
    ] {
        let project = Project::empty();
        let model = changed(&project, "bart-conditionalgeneration", &values);
        let told = check(&project, &model, &against).exits(1).stdout;
        assert!(told.contains(&format!("first difference: {side}\n")), "{told}");
    }
    // Without a reference the source is the text, and the decoder's own tokens are those behind its first.
    let alone = check(&project, &family("t5-conditionalgeneration"), &["--head", "seq2seq-lm"]).exits(0).stdout;
    assert!(alone.contains("12 tokens, behind a source of 12"), "{alone}");
}

#[test]
fn an_error_far_above_those_before_it_is_told_even_where_it_is_small() {
    let project = Project::empty();
    let gpt2 = ["--against", &reference("gpt2"), "--tolerance", "0.01"];
    let sound = check(&project, &family("gpt2-lmheadmodel"), &gpt2).exits(0).stdout;
    assert!(!sound.contains("suspicious"), "{sound}");
    let other = changed(&project, "gpt2-lmheadmodel", &json!({"activation_function": "gelu"}));
    let told = check(&project, &other, &gpt2).exits(0).stdout;
    assert!(told.contains("suspicious    `transformer.h.0.mlp.c_proj.input`"), "{told}");
    // It grows from layer to layer, and what is tolerated where nothing is said is less.
    let told = check(&project, &other, &gpt2[..2]).exits(1).stdout;
    assert!(told.contains("suspicious    `transformer.h.0.mlp.c_proj.input`"), "{told}");
    assert!(told.contains("first difference: transformer.h.1."), "{told}");
}

#[test]
fn what_is_no_reference_of_this_model_is_refused() {
    let project = Project::empty();
    project.write("text", "no safetensors");
    let text = project.path("text").display().to_string();
    for (against, exit, why) in [
        (text.as_str(), 65, "no recorded reference"),
        (&reference("mamba"), 65, "none of the 36 activations"),
        ("nowhere", 66, "nowhere"),
    ] {
        let finished = check(&project, &family("llama-causallm"), &["--against", against]).exits(exit);
        assert!(finished.stderr.contains(why), "{}", finished.stderr);
    }
}

/// Runs cargo in a folder, with one target folder for all that is written here.
fn cargo(folder: &Path, arguments: &[&str]) {
    let output = Command::new("cargo").args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target()).output();
    let output = output.expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn target() -> PathBuf {
    root().join("target/authoring")
}

/// The component of a folder, as `runtime plugin build` prints it.
fn build(project: &Project, name: &str) -> (PathBuf, Finished) {
    let mut command = project.command(["plugin", "build", name]);
    command.env("CARGO_TARGET_DIR", target());
    let finished = Finished::of(command, &[]).exits(0);
    let component = finished.stderr.lines().last().map(PathBuf::from).expect("its path is told");
    assert!(component.is_file(), "{}", finished.stderr);
    (component, finished)
}

#[test]
fn a_new_folder_of_each_world_builds_and_passes_its_tests() {
    let project = Project::empty();
    for (name, world) in [("mistral", "architecture"), ("cut-short", "step"), ("no_repeats", "logits-processor")] {
        let new = project.run(["plugin", "new", name, "--world", world]).exits(0);
        assert!(new.stdout.contains("src/lib.rs") && new.stdout.contains("plugin build"), "{}", new.stdout);
        cargo(&project.path(name), &["test"]);
        let (component, built) = build(&project, name);
        assert!(built.stdout.contains(&format!("world        {world} of")), "{}", built.stdout);
        let size = fs::metadata(&component).expect("it is there").len();
        assert!(built.stdout.contains(&format!("size         {size} bytes")) && size < 300_000, "{}", built.stdout);
        let again = project.run(["plugin", "new", name]);
        assert!(again.exits(64).stderr.contains("is there already"));
    }

    // The step's own pipeline runs, and its test passes.
    let built = "target/wasm32-wasip2/release/cut_short.wasm";
    project.edit(
        "cut-short/pipeline.toml",
        built,
        &root().join("target/authoring").join(&built["target/".len()..]).display().to_string(),
    );
    let pipeline = "cut-short/pipeline.toml";
    let tested = project.run(["test", pipeline]).exits(0);
    assert!(tested.stdout.contains("1 passed, 0 failed"), "{}", tested.stdout);
    assert_eq!(project.run(["run", pipeline, "--format", "jsonl"]).exits(0).stdout.lines().count(), 2);

    // A decoder with a window, which the folder's does not have: from the token on that it hides, they differ.
    let model = family("mistral-causallm");
    let (component, _) = build(&project, "mistral");
    let against = |component: &Path| {
        check(&project, &model, &[&component.display().to_string(), "--against", &reference("mistral")])
    };
    let without = against(&component).exits(1).stdout;
    assert!(without.contains("first difference: model.layers.0.self_attn.o_proj.input\n  row 6,"), "{without}");
    // And with it they do not.
    let options = "AttentionOptions::causal(settings.heads, settings.key_value_heads)";
    project.edit("mistral/src/lib.rs", options, &format!("AttentionOptions {{ window: Some(5), ..{options} }}"));
    let (component, _) = build(&project, "mistral");
    let with = against(&component).exits(0).stdout;
    assert!(with.contains("agrees        with the original"), "{with}");
}

#[test]
fn a_folder_that_cannot_be_built_says_why() {
    let project = Project::empty();
    project.write("plain/Cargo.toml", "[package]\nname = \"plain\"\nedition = \"2024\"\n[workspace]\n");
    project.write("plain/src/lib.rs", "//! Nothing.\n");
    let plain = project.run(["plugin", "build", "plain"]).exits(65);
    assert!(plain.stderr.contains("gives no component") && plain.stderr.contains("cdylib"), "{}", plain.stderr);
    project.write("plain/src/lib.rs", "fn wrong( {}\n");
    assert!(project.run(["plugin", "build", "plain"]).exits(1).stderr.contains("cargo did not build"));
    assert!(project.run(["plugin", "build", "nowhere"]).exits(66).stderr.contains("no Cargo.toml"));
    let mut command = project.command(["plugin", "build", "plain"]);
    command.env("RUSTC", "no-such-rustc");
    let without = Finished::of(command, &[]).exits(69);
    assert!(without.stderr.contains("rustup"), "{}", without.stderr);
}
