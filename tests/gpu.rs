//! `--device` and `runtime devices`, as a user meets them; on the GPUs that there are, if only in software.

use runtime_tests::{Project, golden_model, root, without_gpu};
use serde_json::json;

/// Recorded cases of these models are compared: encoders of several heads and a decoder. More would compile many more
/// variants of kernels, of which software drivers are slow.
const MODELS: &str = "bert-ner,bert-embed,llama-chat";

#[test]
fn devices_are_listed() {
    let found = Project::empty().run(["devices"]).exits(0);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert!(lines[0].contains("device") && lines[1].trim_start().starts_with("cpu"), "{}", found.stdout);
    assert!(without_gpu() || found.stdout.contains("wgpu:0"), "{}", found.stdout);
}

#[test]
fn a_device_that_is_not_there_is_one_clear_error() {
    let model = golden_model("llama-chat").to_string_lossy().into_owned();
    let generate = |device: &str| {
        let arguments = ["generate", "--model", &model, "hi", "--max-new-tokens", "2", "--device", device];
        Project::empty().run(arguments)
    };
    let _told = generate("wgpu:99").exits(69).says(&["there is no device `wgpu:99`", "cpu"]);
    let _told = generate("cuda").exits(69).says(&["CUDA is not built into this program", "--device wgpu"]);
    let _told = generate("gpu").exits(64).says(&["it can be auto, cpu, wgpu"]);
    let project = Project::empty();
    let pipeline = "name = \"p\"\n[models.m]\nsource = \"org/m\"\ndevice = \"gpu:0\"\n";
    project.write("p.toml", pipeline);
    let _told = project.run(["validate", "p.toml"]).exits(78).says(&["`device` cannot be `gpu:0`", "it can be auto"]);
}

#[test]
fn a_device_is_told_where_a_pipeline_names_it() {
    let project = Project::empty();
    let pipeline = |device: &str| {
        format!(
            "name = \"p\"\n[models.m]\nsource = {:?}\ndevice = \"{device}\"\ndtype = \"int8\"\n[[steps]]\nname = \"s\"\n\
             kind = \"generate\"\nmodel = \"m\"\nprompt = \"x\"\n[output]\nsaid = \"s.text\"\n",
            golden_model("llama-chat")
        )
    };
    project.write("p.toml", pipeline("wgpu:77"));
    let told = project.run_on(b"{}", ["run", "p.toml", "--input", "-"]).exits(69);
    let _told = told.says(&["there is no device `wgpu:77`", "p.toml:4:10"]);
    if !without_gpu() {
        project.write("p.toml", pipeline("wgpu"));
        let told = project.run_on(b"{}", ["run", "p.toml", "--input", "-"]).exits(64);
        let _told = told.says(&["`int8` cannot be computed on a GPU", "p.toml:4:10", "--device cpu"]);
    }
}

#[test]
fn devices_that_cannot_share_a_model_are_refused() {
    let model = golden_model("llama-chat").to_string_lossy().into_owned();
    let generate = |device: &str| {
        let arguments = ["generate", "--model", &model, "hi", "--max-new-tokens", "2", "--device", device];
        Project::empty().run(arguments)
    };
    for (device, says) in [
        ("cpu,gpu", "`gpu` is no device: it can be auto"),
        ("wgpu:0,cpu,wgpu", "`wgpu` is named twice"),
        ("wgpu,auto", "`auto` finds devices by itself"),
        ("cpu,wgpu", "it is named last"),
        ("wgpu=0-1,cpu", "`cpu` is given no layers"),
        ("wgpu=0-1,cpu=3-4", "the layers of `cpu` begin with 3 instead of 2"),
        ("wgpu=0-1,cpu=1-4", "the layers of `cpu` begin with 1 instead of 2"),
        ("wgpu=0-,cpu=1-4", "`0-` are no layers"),
    ] {
        let _told = generate(device).exits(64).says(&[says]);
    }
    let _told = generate("cpu=0-7").exits(78).says(&["the model has the layers 0-1, and a device is to have 0-7"]);
    let _told =
        generate("cpu=0-0").exits(78).says(&["the model has the layers 0-1, and those behind 0 are on no device"]);

    let project = Project::empty();
    let pipeline = |device: &str| {
        format!(
            "name = \"p\"\n[models.m]\nsource = {model:?}\ndevice = \"{device}\"\n[[steps]]\nname = \"s\"\n\
             kind = \"generate\"\nmodel = \"m\"\nprompt = \"x\"\n[output]\nsaid = \"s.text\"\n"
        )
    };
    project.write("p.toml", pipeline("wgpu:3=0-1,cpu=3-4"));
    let told = project.run(["validate", "p.toml"]).exits(78);
    let _told = told.says(&["`device` cannot be `wgpu:3=0-1,cpu=3-4`", "begin with 3 instead of 2", "p.toml:4:10"]);
    project.write("p.toml", pipeline("wgpu:3=0-1,cpu=2-4"));
    let _valid = project.run(["validate", "p.toml"]).exits(0);
    project.write("p.toml", pipeline("cpu=0-4"));
    let told = project.run_on(b"{}", ["run", "p.toml", "--input", "-"]).exits(78);
    let _told = told.says(&["the model has the layers 0-1", "p.toml:4:10"]);
}

#[test]
fn several_devices_share_a_model() {
    if without_gpu() {
        return;
    }
    let model = golden_model("llama-chat").to_string_lossy().into_owned();
    let generate = |device: &str| {
        let prompt = "The capital of France is";
        let arguments = ["generate", "--model", &model, prompt, "--max-new-tokens", "8", "--device", device];
        Project::empty().run(arguments).exits(0)
    };
    let expected = generate("cpu").stdout;
    for (device, says) in [
        ("wgpu=0-0,cpu=1-1", "layers 0-0 on wgpu:0, 1-1 on cpu"),
        ("cpu=0,wgpu:0=1", "layers 0-0 on cpu, 1-1 on wgpu:0"),
        ("wgpu,cpu", "layers 0-1 on wgpu:0, none on cpu"),
    ] {
        let found = generate(device);
        assert_eq!(found.stdout, expected, "{device}");
        let _told = found.says(&[says]);
    }
    let cases = root().join("tests/goldens").to_string_lossy().into_owned();
    let verify = ["verify", &cases, "--device", "wgpu=0-0,cpu=1-1", "--model", "bert-ner"];
    let found = Project::empty().run(verify).exits(0);
    assert!(found.stdout.ends_with(" passed, 0 failed\n"), "{}", found.stdout);
}

#[test]
fn any_device_is_the_processor_where_there_is_no_gpu() {
    let model = golden_model("llama-chat").to_string_lossy().into_owned();
    let generate = |device: &str| {
        let arguments = ["generate", "--model", &model, "hi", "--max-new-tokens", "8", "--device", device];
        Project::empty().run(arguments).exits(0)
    };
    let auto = generate("auto");
    assert_eq!(auto.stdout, generate("cpu").stdout);
    // A driver in software is no GPU that anybody means.
    let listed = Project::empty().run(["devices"]).exits(0).stdout;
    if !listed.contains("GPU  ") {
        let _told = auto.says(&["there is no GPU; the processor computes"]);
    }
}

#[test]
fn recorded_cases_hold_on_a_gpu() {
    if without_gpu() {
        return;
    }
    let cases = root().join("tests/goldens").to_string_lossy().into_owned();
    let found = Project::empty().run(["verify", &cases, "--device", "wgpu", "--model", MODELS]).exits(0);
    assert!(found.stdout.ends_with("31 passed, 0 failed\n"), "{}", found.stdout);
}

#[test]
fn a_pipeline_says_where_its_models_run() {
    if without_gpu() {
        return;
    }
    let project = Project::empty();
    let pipeline = |device: &str| {
        format!(
            "name = \"p\"\n[models.m]\nsource = {:?}\ndevice = \"{device}\"\n[[steps]]\nname = \"s\"\nkind = \"generate\"\n\
             model = \"m\"\nprompt = \"{{{{ text }}}}\"\nmax_new_tokens = 8\n[output]\nsaid = \"s.text\"\n",
            golden_model("llama-chat")
        )
    };
    let input = json!({"text": "The capital of France is"}).to_string();
    let said = |device: &str| {
        project.write("p.toml", pipeline(device));
        project.run_on(input.as_bytes(), ["run", "p.toml", "--input", "-"]).exits(0).field("said")
    };
    assert_eq!(said("wgpu:0"), said("cpu"));
}
