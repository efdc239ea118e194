//! Plugins: each guest of `tests/guests` ends in its one clear error, and the built-in BERT and its plugin form build
//! the same graphs.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_architectures::bert;
use runtime_diagnostics::{Exit, Explain, Problem, Style, render};
use runtime_graph::{Builder, Catalog, DType, Fault, Graph, GraphError, Head, Refusal};
use runtime_plugin_host::{Cause, Error, Limits, Plugin, PluginHost};
use runtime_tests::{guest, root};
use serde_json::Value;

/// A guest, the function that is to be named, and how to know its error.
struct Case {
    guest: &'static str,
    function: &'static str,
    expected: fn(&Error) -> bool,
    /// What the message or its causes say.
    says: &'static str,
}

const CASES: &[Case] = &[
    Case {
        guest: "allocation_bomb",
        function: "allocation_bomb::hoard",
        expected: |error| matches!(cause(error), Some(Cause::Memory { limit: 0x400_0000 })),
        says: "it asked for more than 67108864 bytes of memory",
    },
    Case {
        guest: "deep_recursion",
        function: "deep_recursion::descend",
        expected: |error| matches!(cause(error), Some(Cause::Stack)),
        says: "its calls nest too deep for the stack",
    },
    Case {
        guest: "endless_loop",
        function: "endless_loop::spin",
        expected: |error| matches!(cause(error), Some(Cause::Deadline { .. })),
        says: "it ran for more than 2000 ms",
    },
    Case {
        guest: "guest_trap",
        function: "guest_trap::give_up",
        expected: |error| matches!(cause(error), Some(Cause::Panic { message: Some(_) })),
        says: "guest_trap.rs:14:5: cannot wire 7 experts [2J",
    },
    Case {
        guest: "handle_flood",
        function: "handle_flood::flood",
        expected: |error| matches!(cause(error), Some(Cause::Other(_))),
        says: "handle limit exceeded",
    },
    Case {
        guest: "huge_graph",
        function: "huge_graph::build",
        expected: |error| matches!(fault(error), Some(Fault::TooLarge { .. })),
        says: "the graph has more than 262144 nodes",
    },
    Case {
        guest: "long_names",
        function: "long_names::build",
        expected: |error| matches!(cause(error), Some(Cause::Rule(_))),
        says: "it passed a name of 1048575 bytes; there can be 1024",
    },
    Case {
        guest: "missing_weight",
        function: "missing_weight::build",
        expected: |error| matches!(fault(error), Some(Fault::NoWeight { .. })),
        says: "the checkpoint has no tensor `word.weight`; the nearest is `words.weight`",
    },
    Case {
        guest: "no_output",
        function: "build",
        expected: |error| matches!(fault(error), Some(Fault::NoOutput)),
        says: "the graph has no output",
    },
    Case {
        guest: "out_of_range_handle",
        function: "out_of_range_handle::forge",
        expected: |error| matches!(cause(error), Some(Cause::Other(_))),
        says: "unknown handle index 9999",
    },
    Case {
        guest: "reads_files",
        function: "reads_files::snoop",
        expected: |error| matches!(cause(error), Some(Cause::NotGranted { .. })),
        says: "it asked for `wasi:filesystem/preopens`, which no plugin is granted",
    },
    Case {
        guest: "shape_misuse",
        function: "shape_misuse::mix",
        expected: |error| matches!(fault(error), Some(Fault::Shapes { operator: "linear", .. })),
        says: "`linear` cannot take x [n, 4], weight `narrow` [5]: the weight must be a matrix of known sizes, in layer 3",
    },
    Case {
        guest: "tells_time",
        function: "tells_time::watch",
        expected: |error| matches!(cause(error), Some(Cause::NotGranted { .. })),
        says: "it asked for `wasi:clocks/monotonic-clock`, which no plugin is granted",
    },
    Case {
        guest: "two_outputs",
        function: "two_outputs::build",
        expected: |error| matches!(fault(error), Some(Fault::TwoOutputs { .. })),
        says: "there are two outputs called `hidden_states`",
    },
    Case {
        guest: "value_after_drop",
        function: "value_after_drop::revive",
        expected: |error| matches!(cause(error), Some(Cause::Other(_))),
        says: "unknown handle index",
    },
];

fn cause(error: &Error) -> Option<&Cause> {
    if let Error::Trap { cause, .. } = error { Some(cause) } else { None }
}

fn fault(error: &Error) -> Option<&Fault> {
    if let Error::Misuse { error, .. } = error { Some(&error.fault) } else { None }
}

#[test]
fn every_guest_ends_in_its_one_error_and_the_host_stays_healthy() {
    let host = host();
    for Case { guest: name, function, expected, says } in CASES {
        let plugin = host.load(&guest(&format!("examples/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        let started = Instant::now();
        let error = plugin.build("{}", Head::Base, small_catalog()).expect_err(name);
        let took = started.elapsed();
        let text = shown(&error);
        assert!(expected(&error), "{name} is another error:\n{text}");
        for part in ["the plugin `guest` 0.1.0", &format!("in `{function}`"), says] {
            assert!(text.contains(part), "{name} does not say {part}:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{name} can steer the terminal");
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    }
    let bert = host.load(&guest("bert_plugin")).expect("the host is healthy");
    assert!(bert.build(&config(TRIAGE), Head::Base, catalog(tensors(TRIAGE))).is_ok());
}

#[test]
fn a_description_that_steers_the_terminal_is_refused() {
    let error = host().load(&guest("examples/steering_description")).err().expect("it is refused");
    assert!(matches!(error, Error::Description { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.ends_with("describes itself wrongly: the name is not printable"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_plugin_that_never_describes_itself_is_ended() {
    // What is compiled once, on a machine that may be busy, is not part of it.
    let _ = host().load(&guest("examples/loops_in_describe"));
    let started = Instant::now();
    let error = host().load(&guest("examples/loops_in_describe")).err().expect("it is ended");
    assert!(matches!(cause(&error), Some(Cause::Deadline { .. })), "{error:?}");
    assert!(shown(&error).contains("loops_in_describe::ponder"), "{}", shown(&error));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Guests with a test of their own: above, and `costly_graph` in `parity.rs`, since it is refused after it was built.
const NOT_BUILT: &[&str] = &["costly_graph", "logits_probe", "loops_in_describe", "steering_description", "step_probe"];

#[test]
fn no_guest_is_without_test_and_no_test_without_guest() {
    let folder = root().join("tests/guests/examples");
    let files = fs::read_dir(folder).expect("there are guests").map(|entry| entry.expect("it is readable").path());
    let guests: BTreeSet<String> =
        files.map(|file| file.file_stem().expect("it has a name").to_string_lossy().into_owned()).collect();
    let tested = CASES.iter().map(|case| case.guest).chain(NOT_BUILT.iter().copied()).map(str::to_owned).collect();
    assert_eq!(guests, tested);
}

#[test]
fn the_plugin_describes_itself_as_the_built_in_form_does() {
    let plugin = bert_plugin();
    let description = plugin.description();
    let built_in = bert::ARCHITECTURE;
    assert_eq!(description.name, built_in.name);
    assert_eq!(description.model_types, built_in.model_types);
    assert_eq!(description.base_prefix, built_in.base_prefix);
    assert_eq!(description.heads, built_in.heads);
    assert_eq!(plugin.digest().len(), 64);
}

#[test]
fn plugin_and_built_in_form_build_equal_graphs() {
    let plugin = bert_plugin();
    let mut nodes = 0;
    for (config, catalog) in models() {
        for head in [Head::Base, Head::SequenceClassification] {
            let built_in = build_natively(&config, head, catalog.clone()).expect("it is refused by neither");
            let graph = plugin.build(&config, head, catalog.clone()).map_err(|error| shown(&error)).expect("it builds");
            assert_eq!(graph, built_in);
            nodes += graph.nodes.len();
        }
    }
    assert!(nodes > 500, "{nodes} nodes are too few to have compared models");
}

#[test]
fn plugin_and_built_in_form_refuse_alike() {
    let plugin = bert_plugin();
    for config in [
        "[]",
        "{",
        r#"{"num_hidden_layers": 0}"#,
        r#"{"hidden_act": "cube"}"#,
        r#"{"hidden_act": 3}"#,
        r#"{"position_embedding_type": "relative_key"}"#,
        r#"{"layer_norm_eps": "small"}"#,
    ] {
        let built_in = build_natively(config, Head::Base, catalog(tensors(TRIAGE))).expect_err(config);
        let Built::Refused(built_in) = built_in else { panic!("{config} is no refusal but {built_in:?}") };
        let error = plugin.build(config, Head::Base, catalog(tensors(TRIAGE))).expect_err(config);
        let Error::Refused { refusal, .. } = &error else { panic!("{config} is no refusal but {error:?}") };
        assert_eq!(**refusal, built_in);
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn plugin_and_built_in_form_misuse_alike() {
    let plugin = bert_plugin();
    // The first layer is there, the second is not; and a number of heads that the width is no multiple of.
    let one_layer = catalog(tensors(TRIAGE).into_iter().filter(|(name, ..)| !name.contains(".layer.1.")));
    for (config, catalog) in [("{}", one_layer), (r#"{"num_attention_heads": 5}"#, catalog(tensors(TRIAGE)))] {
        let built_in = build_natively(config, Head::Base, catalog.clone()).expect_err(config);
        let Built::Misused(built_in) = built_in else { panic!("{config} is no misuse but {built_in:?}") };
        let error = plugin.build(config, Head::Base, catalog).expect_err(config);
        let Error::Misuse { site, error: misuse } = &error else { panic!("{config} is no misuse but {error:?}") };
        assert_eq!(misuse.fault, built_in.fault);
        assert_eq!(misuse.layer, built_in.layer);
        assert!(site.function.starts_with("runtime_architectures::bert::"), "{site:?}");
    }
}

#[test]
fn a_head_that_the_plugin_lacks_is_refused() {
    let plugin = host().load(&guest("examples/no_output")).expect("it loads");
    let error = plugin.build("{}", Head::SequenceClassification, small_catalog()).expect_err("there is no such head");
    assert!(matches!(error, Error::NoHead { head: Head::SequenceClassification, .. }), "{error:?}");
}

#[test]
fn calls_run_at_the_same_time() {
    let plugin = bert_plugin();
    let built_in = build_natively("{}", Head::Base, deep_catalog()).expect("it builds");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(plugin.build("{}", Head::Base, deep_catalog()).expect("it builds"), built_in));
        }
    });
}

#[test]
fn a_tighter_limit_holds_too() {
    let limits = Limits { deadline: Duration::from_millis(50), ..Limits::default() };
    let host = PluginHost::new(Some(cache()), limits).expect("it starts");
    let plugin = host.load(&guest("examples/endless_loop")).expect("it loads");
    let started = Instant::now();
    let error = plugin.build("{}", Head::Base, small_catalog()).expect_err("it never ends");
    assert!(matches!(cause(&error), Some(Cause::Deadline { .. })), "{error:?}");
    assert!(started.elapsed() >= limits.deadline);

    let small = Limits { component: 1000, ..Limits::default() };
    let host = PluginHost::new(Some(cache()), small).expect("it starts");
    let error = host.load(&guest("bert_plugin")).err().expect("it is too large");
    assert!(matches!(error, Error::TooLarge { limit: 1000, .. }), "{error:?}");
}

#[test]
fn a_second_load_comes_from_the_cache() {
    let folder = tempfile::tempdir().expect("there is room");
    for hits in 0..2 {
        let host = PluginHost::new(Some(folder.path().join("compiled")), Limits::default()).expect("it starts");
        host.load(&guest("bert_plugin")).expect("it loads");
        assert_eq!(host.cache_hits(), hits);
    }
}

#[test]
fn without_a_usable_cache_folder_plugins_load() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("taken");
    fs::write(&file, "").expect("there is room");
    let host = PluginHost::new(Some(file.join("compiled")), Limits::default()).expect("it starts");
    host.load(&guest("bert_plugin")).expect("it loads");
    assert_eq!(host.cache_hits(), 0);
}

#[test]
fn what_is_no_plugin_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("there is room");
    let whole = fs::read(guest("bert_plugin")).expect("it is built");
    let text = |text: &str| text.as_bytes().to_vec();
    let core = b"\0asm\x01\0\0\0".to_vec();
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    for (name, bytes, says) in [
        ("text", text("(component)"), "is not a WebAssembly component: it does not begin as WebAssembly does"),
        ("nothing", Vec::new(), "is not a WebAssembly component: it does not begin as WebAssembly does"),
        ("compiled", text("\x7fELF"), "is not a WebAssembly component: it does not begin as WebAssembly does"),
        ("core", core, "is not a WebAssembly component: it is a core module"),
        ("truncated", whole[..whole.len() / 2].to_vec(), "truncated` is not a WebAssembly component: "),
        (
            "empty",
            empty,
            "does not fit the interface `inference:runtime@0.1`: it exports nothing, which is the export of no world",
        ),
        ("future", importing("inference:runtime/graph@0.2.0"), "it imports `inference:runtime/graph@0.2.0`"),
        ("foreign", importing("acme:net/sockets"), "imports `acme:net/sockets`, which no plugin is given"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("there is room");
        let text = host().load(&path).err().unwrap_or_else(|| panic!("{name} is refused")).to_string();
        assert!(text.contains(says) && text.contains(name), "{name}: {text}");
    }
    let error = host().load(&folder.path().join("absent")).err().expect("it is absent");
    assert!(matches!(error, Error::Read { .. }) && error.exit() == Exit::NoInput && error.source().is_some());
}

/// A component that imports an empty interface: the preamble, a type section and an import section.
fn importing(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("it is short");
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // One type: an instance (0x42) with no declarations.
    bytes.extend([7, 3, 1, 0x42, 0]);
    // One import: a plain name (0x00), then an instance (0x05) of type 0.
    bytes.extend([10, length + 5, 1, 0, length]);
    bytes.extend(name.bytes());
    bytes.extend([5, 0]);
    bytes
}

/// One cache for the tests of a build, that each compiles what it needs once.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins")
}

fn host() -> PluginHost {
    PluginHost::new(Some(cache()), Limits::default()).expect("it starts")
}

fn bert_plugin() -> Plugin {
    host().load(&guest("bert_plugin")).expect("it loads")
}

/// The error as the command line prints it, unwrapped.
fn shown(error: &Error) -> String {
    render(&Problem::of(error), Style { colour: false, width: 10_000 })
}

fn small_catalog() -> Catalog {
    Catalog::new([("words.weight", vec![8, 4], DType::F32), ("narrow", vec![5], DType::F32)], "")
}

#[derive(Debug)]
enum Built {
    Refused(Refusal),
    Misused(GraphError),
}

fn build_natively(config: &str, head: Head, catalog: Catalog) -> Result<Graph, Built> {
    let config = config.parse().map_err(Built::Refused)?;
    let (builder, recording) = Builder::native(bert::ARCHITECTURE.name, catalog);
    (bert::ARCHITECTURE.build)(&builder, &config, head).map_err(Built::Refused)?;
    recording.finish().map_err(Built::Misused)
}

/// Configurations and catalogs: real checkpoints, one of them with TensorFlow's names, one without the prefix, and one
/// that leaves most to the defaults.
fn models() -> Vec<(String, Catalog)> {
    let folders =
        ["pipelines/models/triage-nli", "tests/goldens/models/bert-nli", "tests/goldens/models/bert-nli-first"];
    let mut models = Vec::from(folders.map(|folder| (config(folder), catalog(tensors(folder)))));
    let bare = tensors(TRIAGE).into_iter();
    let bare = bare.map(|(name, shape, dtype)| (name.trim_start_matches("bert.").to_owned(), shape, dtype));
    models.push((config(TRIAGE), catalog(bare)));
    models.push((r#"{"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}"#.to_owned(), deep_catalog()));
    models
}

/// As many layers as a configuration without `num_hidden_layers` has, all shaped as the first of the small model.
fn deep_catalog() -> Catalog {
    let mut deep = tensors(TRIAGE);
    let first: Vec<Tensor> = deep.iter().filter(|(name, ..)| name.contains(".layer.0.")).cloned().collect();
    for layer in 0..12 {
        let name = |name: &str| name.replace(".layer.0.", &format!(".layer.{layer}."));
        deep.extend(first.iter().map(|(first, shape, dtype)| (name(first), shape.clone(), *dtype)));
    }
    catalog(deep)
}

const TRIAGE: &str = "pipelines/models/triage-nli";

type Tensor = (String, Vec<u32>, DType);

fn config(folder: &str) -> String {
    fs::read_to_string(root().join(folder).join("config.json")).expect("the model lies in the repository")
}

fn catalog(tensors: impl IntoIterator<Item = Tensor>) -> Catalog {
    Catalog::new(tensors, bert::ARCHITECTURE.base_prefix)
}

/// What the safetensors files of a folder hold.
fn tensors(folder: &str) -> Vec<Tensor> {
    let files = fs::read_dir(root().join(folder)).expect("the model lies in the repository");
    let files = files.map(|file| file.expect("it is readable").path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "safetensors")).flat_map(header).collect()
}

/// The header of a safetensors file: its length as 8 bytes, then JSON.
fn header(path: PathBuf) -> Vec<Tensor> {
    let mut file = File::open(path).expect("it is readable");
    let mut length = [0; 8];
    file.read_exact(&mut length).expect("it has a header");
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).expect("it is readable");
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&header).expect("the header is JSON");
    let tensors = header.into_iter().filter_map(|(name, info)| {
        let dtype = match info["dtype"].as_str() {
            Some("F32") => DType::F32,
            Some("F16") => DType::F16,
            Some("BF16") => DType::BF16,
            // The metadata, and position ids, which are no weights.
            None | Some("I64") => return None,
            Some(other) => panic!("{other} is not expected"),
        };
        Some((name, serde_json::from_value(info["shape"].clone()).expect("the shape is a list of sizes"), dtype))
    });
    tensors.collect()
}
