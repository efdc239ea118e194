//! Attacks that no compiler of a safe language makes (`tests/guests/wat`), and all attacks again and again: each ends in its
//! one error within its bounds, a plugin beside it goes on, and nothing is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use runtime_graph::{Catalog, DType, Graph, Head};
use runtime_plugin_host::{
    Answer, Completion, CompletionStream, Error, Failure, Fields, Granted, Level, Limits, PluginHost, Prompt, StepHost,
    TextHost, Token, Vocabulary, World,
};
#[cfg(target_os = "linux")]
use runtime_tests::{Held, in_its_own_process};
use runtime_tests::{attack, attacks, guest};
use serde_json::json;

/// An attack, and what is said of it: where it is found out, and why it is ended.
struct Case {
    attack: &'static str,
    says: &'static str,
}

const fn case(attack: &'static str, says: &'static str) -> Case {
    Case { attack, says }
}

/// What a call gets before it is ended: enough that on a busy machine nothing else is as slow.
const PATIENT: Duration = Duration::from_millis(500);

const MEMORY: usize = 8 << 20;

const CASES: &[Case] = &[
    // Memory, tables, stack and time.
    case("table_growth", "in `build`, was ended: it asked for tables of more than 65536 elements"),
    case("large_table", "in `describe`, was ended: it asked for tables of more than 65536 elements"),
    case("many_tables", "in `describe`, was ended: it asked for tables of more than 65536 elements"),
    case("many_memories", "in `build`, was ended: it asked for more than 8388608 bytes of memory"),
    case("large_memory", "in `describe`, was ended: it asked for more than 8388608 bytes of memory"),
    case("endless_start", "in `spin`, was ended: it ran for more than 500 ms"),
    case("endless_realloc", "in `spin`, was ended: it ran for more than 500 ms"),
    case("endless_post_return", "in `spin`, was ended: it ran for more than 500 ms"),
    case("deep_calls", "in `descend`, was ended: its calls nest too deep for the stack"),
    // Calls at the wrong time.
    case("reentry_from_realloc", "in `reenter`, was ended: wasm trap: cannot leave component instance"),
    case("reentry_from_post_return", "in `reenter`, was ended: wasm trap: cannot leave component instance"),
    // Texts and lists over the boundary.
    case("room_outside", "in `build`, was ended: realloc return: beyond end of memory"),
    case("room_unaligned", "in `build`, was ended: realloc return: result not aligned"),
    case("not_utf8", "in `ask`, was ended: invalid utf-8 sequence of 1 bytes from index 5"),
    case("half_surrogate", "in `describe`, was ended: invalid utf-8 sequence of 1 bytes from index 0"),
    case("text_outside", "in `ask`, was ended: string pointer/length out of bounds of memory"),
    case("endless_list", "in `describe`, was ended: list pointer/length out of bounds of memory"),
    case("amplified_list", "in `describe`, was ended: too much data is being copied between the host and the guest"),
    // Values.
    case("dropped_twice", "in `twice`, was ended: unknown handle index"),
    case("unknown_function", "in `apply`, was ended: unexpected discriminant: 99"),
    case("nan_factor", "in `multiply`, misused the graph: `scale` cannot take factor = NaN: it must be finite"),
    case(
        "infinite_epsilon",
        "in `normalise`, misused the graph: `rms-norm` cannot take epsilon = inf: it must be finite",
    ),
    case("overflowing_columns", "in `take`, misused the graph: `columns` cannot take columns = 4294967295 + 2"),
    case("overflowing_table", "in `compute`, misused the graph: `sinusoids` cannot take rows = 4294967295"),
    // What there is not.
    case("asks_files", "in `reach`, was ended: it asked for `wasi:filesystem/preopens`, which no plugin is granted"),
    case("asks_date", "in `reach`, was ended: it asked for `wasi:clocks/wall-clock`, which no plugin is granted"),
    case("asks_clock", "in `reach`, was ended: it asked for `wasi:clocks/monotonic-clock`, which no plugin is granted"),
    case("asks_random", "in `reach`, was ended: it asked for `wasi:random/random`, which no plugin is granted"),
    case(
        "asks_insecure_random",
        "in `reach`, was ended: it asked for `wasi:random/insecure`, which no plugin is granted",
    ),
    case(
        "asks_network",
        "in `reach`, was ended: it asked for `wasi:sockets/instance-network`, which no plugin is granted",
    ),
    case(
        "opens_socket",
        "in `reach`, was ended: it asked for `wasi:sockets/tcp-create-socket`, which no plugin is granted",
    ),
    case("asks_folder", "in `reach`, was ended: it asked for `wasi:cli/environment`, which no plugin is granted"),
    case("asks_environment", "in `build`, was ended: it gave up"),
    case("exits", "in `reach`, was ended: it asked for `wasi:cli/exit`, which no plugin is granted"),
    case(
        "sends_request",
        "in `reach`, was ended: it asked for `wasi:http/outgoing-handler`, which no plugin is granted",
    ),
    // Steps.
    case("step_nan", "are not those that it describes: the field `number` is NaN, which JSON has not"),
    case("step_infinity", "are not those that it describes: the field `number` is inf, which JSON has not"),
    case("step_not_utf8", "in `process`, was ended: invalid utf-8 sequence of 1 bytes from index 0"),
    case("step_deep_json", "are not those that it describes: the field `number` is no JSON: recursion limit exceeded"),
    case("step_endless_post_return", "in `spin`, was ended: it ran for more than 500 ms"),
    // Processors of scores.
    case("drops_its_text", "in `destroy`, was ended: it gave up"),
    case("endless_destructor", "in `process`, was ended: it ran for more than 500 ms"),
    case("keeps_scores", "in `process`, was ended: borrow handles still remain at the end of the call"),
    case("scores_after_call", "in `process`, was ended: unknown handle index"),
    case("infinite_score", "made the score of token 2 inf"),
    case("forged_text", "in `start`, was ended: unknown handle index 9999"),
];

/// Attacks that come to nothing, and have a test of their own below.
const HARMLESS: &[&str] = &["trapping_destructor", "value_of_another_graph"];

/// A host that has nothing.
struct Nothing;

fn none<T>() -> Result<T, Failure> {
    Err(Failure::NotGranted("nothing is granted".to_owned()))
}

impl TextHost for Nothing {
    fn encode(&self, _: &str, _: &str, _: bool) -> Result<Vec<Token>, Failure> {
        none()
    }

    fn decode(&self, _: &str, _: &[u32], _: bool) -> Result<String, Failure> {
        none()
    }

    fn token_id(&self, _: &str, _: &str) -> Result<Option<u32>, Failure> {
        none()
    }

    fn vocabulary(&self, _: &str) -> Result<Vocabulary, Failure> {
        none()
    }

    fn log(&self, _: Level, _: &str) {}
}

impl StepHost for Nothing {
    fn classify<'a>(&'a self, _: &'a str, _: String, _: Option<String>) -> Answer<'a, Vec<(String, f32)>> {
        Box::pin(async { none() })
    }

    fn embed<'a>(&'a self, _: &'a str, _: Vec<String>) -> Answer<'a, Vec<Vec<f32>>> {
        Box::pin(async { none() })
    }

    fn run<'a>(&'a self, _: &'a str, _: Fields) -> Answer<'a, String> {
        Box::pin(async { none() })
    }

    fn complete<'a>(&'a self, _: &'a str, _: Prompt, _: Fields) -> Answer<'a, Vec<Completion>> {
        Box::pin(async { none() })
    }

    fn stream<'a>(&'a self, _: &'a str, _: Prompt, _: Fields) -> Answer<'a, Box<dyn CompletionStream>> {
        Box::pin(async { none() })
    }

    fn score<'a>(&'a self, _: &'a str, _: Prompt, _: Vec<String>) -> Answer<'a, Vec<f64>> {
        Box::pin(async { none() })
    }
}

fn host(deadline: Duration) -> PluginHost {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attacks");
    let limits = Limits { deadline, memory: MEMORY, ..Limits::default() };
    PluginHost::new(Some(cache), limits).expect("this machine runs WebAssembly")
}

/// Does all that a host does with a plugin, whatever its world, until it is refused.
fn use_fully(host: &PluginHost, file: &Path, time: Duration) -> Result<(), Error> {
    let granted = Granted { memory: MEMORY, time, log_text: true, by_pipeline: true };
    let inspection = host.inspect(file)?;
    match inspection.world {
        World::Architecture => host.load(file)?.build("{}", Head::Base, catalog()).map(|_| ()),
        World::Step => {
            let step = host.load_step(file)?;
            let nothing = Arc::new(Nothing);
            let used = block_on(async {
                let mut step = step.start(Fields::new(), granted, Arc::clone(&nothing) as Arc<dyn StepHost>).await?;
                let record = Fields::from_iter([("text".to_owned(), json!("a"))]);
                step.process(record, Arc::clone(&nothing) as Arc<dyn StepHost>).await
            });
            assert_eq!(Arc::strong_count(&nothing), 1, "an instance is left");
            used.map(|_| ())
        }
        World::LogitsProcessor => {
            let nothing = Arc::new(Nothing);
            let plugin = host.load_logits(file)?;
            let processor = plugin.start(Fields::new(), &[1], granted, Arc::clone(&nothing) as Arc<dyn TextHost>);
            let used = processor.and_then(|mut processor| {
                processor.process(&[2], &mut [0.5; 8])?;
                processor.process(&[3], &mut [0.5; 8])
            });
            assert_eq!(Arc::strong_count(&nothing), 1, "an instance is left");
            used
        }
    }
}

fn catalog() -> Catalog {
    Catalog::new([("words.weight", vec![8, 4], DType::F32), ("narrow", vec![5], DType::F32)], "")
}

/// The graph of a plugin that does what it should.
fn ordinary(host: &PluginHost) -> Graph {
    let plugin = host.load(&attack("value_of_another_graph")).expect("it loads");
    plugin.build("{}", Head::Base, catalog()).expect("it builds")
}

fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[test]
fn every_attack_ends_in_its_one_error_and_others_go_on() {
    let host = host(PATIENT);
    let before = ordinary(&host);
    let mut wrong = Vec::new();
    for Case { attack: name, says } in CASES {
        let file = attack(name);
        // What is compiled once is not part of the attack.
        let _ = host.inspect(&file);
        let started = Instant::now();
        let error = use_fully(&host, &file, PATIENT).err().unwrap_or_else(|| panic!("{name} is not refused"));
        let took = started.elapsed();
        let text = said(&error);
        println!("{name}: {text} ({} ms)", took.as_millis());
        if !text.contains("the plugin `guest` 0.1.0") && !text.contains(&format!("runtime-attack-{name}")) {
            wrong.push(format!("{name} does not say of which plugin it is: {text}"));
        }
        if !text.contains(says) {
            wrong.push(format!("{name} is something else: {text}"));
        }
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        assert_eq!(ordinary(&host), before, "after {name}");
        fs::remove_file(file).expect("it was written");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_attack_is_without_test() {
    let tested = CASES.iter().map(|case| case.attack).chain(HARMLESS.iter().copied()).map(str::to_owned);
    assert_eq!(attacks().into_iter().collect::<BTreeSet<_>>(), tested.collect());
}

#[test]
fn there_is_no_value_of_another_graph() {
    // An instance builds one graph. One that kept a value would trap when it builds the next.
    let host = host(PATIENT);
    let plugin = host.load(&attack("value_of_another_graph")).expect("it loads");
    let first = plugin.build("{}", Head::Base, catalog()).expect("it builds");
    assert_eq!(plugin.build("{}", Head::Base, catalog()).expect("it builds again"), first);
}

#[test]
fn weights_of_another_model_are_not_there() {
    let host = host(PATIENT);
    let plugin = host.load(&attack("value_of_another_graph")).expect("it loads");
    plugin.build("{}", Head::Base, catalog()).expect("the first model has the tensor");
    let other = Catalog::new([("other.weight", vec![8, 4], DType::F32)], "");
    let error = plugin.build("{}", Head::Base, other).expect_err("the second has not");
    assert!(said(&error).contains("the checkpoint has no tensor `words.weight`"), "{}", said(&error));
}

#[test]
fn a_destructor_that_traps_is_never_run() {
    // A text is freed with its whole instance, and nothing of the plugin's runs then.
    let host = host(PATIENT);
    use_fully(&host, &attack("trapping_destructor"), PATIENT).expect("it does what it should until then");
}

/// Times that each attack is repeated.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 20;

/// The attacks that are guests in Rust.
#[cfg(target_os = "linux")]
const GUESTS: &[&str] =
    &["allocation_bomb", "deep_recursion", "guest_trap", "out_of_range_handle", "reads_files", "value_after_drop"];

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_left_behind() {
    in_its_own_process("nothing_is_left_behind", repeat_attacks);
}

#[cfg(target_os = "linux")]
fn repeat_attacks() {
    // What is ended by its deadline is ended soon; whatever else is too slow for it is refused all the same.
    let short = Duration::from_millis(50);
    let host = host(short);
    let mut files: Vec<_> = CASES.iter().map(|case| attack(case.attack)).collect();
    files.extend(GUESTS.iter().map(|name| guest(&format!("examples/{name}"))));
    let round = || files.iter().for_each(|file| assert!(use_fully(&host, file, short).is_err(), "{}", file.display()));
    // The first rounds load what is kept for ever: allocators' reserves, the compiler's threads.
    round();
    round();
    let before = Held::now();
    for _ in 0..ROUNDS {
        round();
    }
    let after = Held::now();
    println!("{} attacks, {ROUNDS} times: before {before:?}, after {after:?}", files.len());
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert!(after.files <= before.files, "{before:?} {after:?}");
    // An instance is at least three mappings: its memory, the guards around it.
    assert!(after.mappings < before.mappings + files.len(), "{before:?} {after:?}");
    assert!(after.bytes < before.bytes + (16 << 20), "{before:?} {after:?}");
    files.iter().filter(|file| file.starts_with(std::env::temp_dir())).for_each(|file| _ = fs::remove_file(file));
}
