//! Invariants of the repository, checked over the text of its files. Each check is a function from files to findings,
//! and each is shown to find a bad example.
//!
//! Left out: what the compiler, clippy and rustfmt say already.

use std::collections::BTreeSet;
use std::process::Command;

use runtime_diagnostics::Source;
use runtime_pipeline::parse;
use runtime_tests::root;
use serde_json::Value;

/// A file: its path from the root with `/`, and its text.
type File = (String, String);

/// No file holds more than this; one idea rarely needs a third of it.
const MOST_LINES: usize = 800;

/// Libraries that one crate wraps for all others: word by word, as manifests and sources name them.
const WRAPPED: [(&[&str], &str); 4] = [
    (&["wasmtime"], "runtime/plugin-host/"),
    (&["hf-hub", "hf_hub"], "runtime/hub/"),
    (&["wgpu.workspace"], "runtime/gpu/"),
    (&["candle-core", "candle_core", "candle_nn"], "runtime/tensor/"),
];

/// Crates that compute on what they are given.
const OPEN_NOTHING: [&str; 4] =
    ["runtime/pipeline/src/", "runtime/graph/src/", "runtime/architectures/src/", "plugins/"];

/// Programs that misbehave on purpose.
const GUESTS: &str = "tests/guests/";

/// The files that git knows, or would take up, and that are text.
fn repository() -> Vec<File> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let output = git.output().expect("git is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?));
    let files: Vec<File> = names.split_terminator('\0').filter_map(read).collect();
    assert!(files.iter().any(|(path, _)| path == "tests/tidy.rs"), "this file is one of them");
    files
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// The lines of the files that `takes`, each with its place.
fn lines(files: &[File], takes: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, &str)> {
    let taken = files.iter().filter(move |(path, _)| takes(path));
    taken.flat_map(|(path, text)| text.lines().enumerate().map(move |(at, line)| (format!("{path}:{}", at + 1), line)))
}

/// Whether `line` has `word` with no letter, digit or underscore on either side.
fn has_word(line: &str, word: &str) -> bool {
    let part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part) && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// A line without its comment. A `//` in a text counts as one too, which at worst hides the rest of that line.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn long_files(files: &[File]) -> Vec<String> {
    let counted = files.iter().filter(|(path, _)| is_rust(path) || path.ends_with(".wit"));
    let counted = counted.map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES);
    counted.map(|(path, lines)| format!("{path} has {lines} lines")).collect()
}

/// Uses of a wrapped library outside the crate that wraps it. The root's manifest only says which version it is, and
/// this file has the list.
fn uses_of_wrapped_libraries(files: &[File]) -> Vec<String> {
    let counts =
        |path: &str| (is_rust(path) || path.ends_with("Cargo.toml")) && path != "Cargo.toml" && path != "tests/tidy.rs";
    let mut found = Vec::new();
    for (names, home) in WRAPPED {
        let elsewhere = |path: &str| counts(path) && !path.starts_with(home);
        for (place, line) in lines(files, elsewhere) {
            let named = names.iter().filter(|name| has_word(code(line), name));
            found.extend(named.map(|name| format!("{place} names {name}, which is for {home} alone")));
        }
    }
    found
}

/// Files and networks opened by crates that open nothing.
fn opened_files(files: &[File]) -> Vec<String> {
    let opens = |line: &str| {
        let line = code(line);
        let modules = ["fs", "net", "process", "env"];
        let from_std = |module: &str| {
            has_word(line, &format!("std::{module}")) || (line.contains("std::{") && has_word(line, module))
        };
        has_word(line, "File::open") || has_word(line, "File::create") || modules.into_iter().any(from_std)
    };
    let checked = |path: &str| is_rust(path) && OPEN_NOTHING.iter().any(|home| path.starts_with(home));
    lines(files, checked)
        .filter(|(_, line)| opens(line))
        .map(|(place, line)| format!("{place}: {}", line.trim()))
        .collect()
}

/// A workspace of its own, which cannot take anything from the other.
const FUZZ: &str = "fuzz/";

/// Manifests of members that set their own lints, or the version of a dependency.
fn manifests_of_their_own(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let members = files.iter().filter(|(path, _)| path.ends_with("/Cargo.toml") && !path.starts_with(FUZZ));
    for (path, text) in members {
        if !text.contains("[lints]\nworkspace = true\n") {
            found.push(format!("{path} does not take the lints of the workspace"));
        }
        let mut section = "";
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']);
                // A dependency as a table of its own has its version on another line.
                if section.contains("dependencies.") {
                    found.push(format!("{path}: [{section}] belongs on one line"));
                }
            } else if section.ends_with("dependencies") && !line.contains("workspace = true") {
                found.push(format!("{path}: `{line}` is not of the workspace"));
            }
        }
    }
    found
}

/// Recorded cases that no test reads: outside the folders that `tests/goldens.rs` goes through, or of no model.
fn orphan_goldens(files: &[File]) -> Vec<String> {
    let has = |name: &str| files.iter().any(|(path, _)| path == name);
    let mut found = Vec::new();
    let driver = files.iter().find(|(path, _)| path == "tests/goldens.rs").map_or("", |(_, text)| text);
    if !driver.contains("goldens/cases") {
        found.push("tests/goldens.rs does not go through tests/goldens/cases".to_owned());
    }
    let cases: Vec<&File> = files.iter().filter(|(path, _)| path.starts_with("tests/goldens/cases/")).collect();
    for (path, text) in &cases {
        let name = path.trim_start_matches("tests/goldens/cases/").trim_end_matches(".json");
        if name.matches('/').count() != 1 || !path.ends_with(".json") {
            found.push(format!("{path} is not at cases/MODEL/CASE.json"));
            continue;
        }
        let case: Value = text.parse().unwrap_or_default();
        if case["id"] != name {
            found.push(format!("{path} is called {}", case["id"]));
        }
        let model = case["model"].as_str().unwrap_or_default();
        // Relative to `tests/goldens`, where small models are; or two up, from the root.
        let home = model.strip_prefix("../../").map_or(format!("tests/goldens/{model}"), str::to_owned);
        // Those of sentence-transformers may have their transformer in a folder of its own.
        if !has(&format!("{home}/config.json")) && !has(&format!("{home}/modules.json")) {
            found.push(format!("{path} is of the model `{model}`, which is not there"));
        }
    }
    let models = files.iter().filter_map(|(path, _)| {
        let (model, file) = path.strip_prefix("tests/goldens/models/")?.split_once('/')?;
        ["config.json", "modules.json"].contains(&file).then_some(model)
    });
    let models: BTreeSet<&str> = models.collect();
    for model in
        models.into_iter().filter(|model| !cases.iter().any(|(_, text)| text.contains(&format!("models/{model}\""))))
    {
        found.push(format!("tests/goldens/models/{model} has no case"));
    }
    found
}

/// What is left behind while working, and what switches a check off.
fn leftovers(files: &[File]) -> Vec<String> {
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!"));
    let attributes = ["allow(", "ignore"].map(|name| [format!("#[{name}"), format!("#![{name}")]);
    let words: Vec<String> = macros.into_iter().chain(attributes.into_iter().flatten()).collect();
    let mut found = Vec::new();
    for (place, line) in lines(files, is_rust) {
        let here = words.iter().filter(|word| code(line).contains(word.as_str()));
        found.extend(here.map(|word| format!("{place} has {word}")));
    }
    found
}

/// Files of instructions and tiles, and an allocator, where a reason for the whole file is enough: each function there is unsafe for
/// the same one.
const WHOLE: [&str; 3] =
    ["runtime/kernels/src/simd/", "runtime/gguf/tests/hostile.rs", "runtime/kernels/src/blocks/tile.rs"];

/// `unsafe` without a reason in the three lines before. Guests misbehave on purpose.
fn unexplained_unsafe(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| is_rust(path) && !path.starts_with(GUESTS)) {
        if WHOLE.iter().any(|place| path.starts_with(place)) && text.contains("#![expect(unsafe_code, reason") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let keyword =
                ["{", "fn", "impl", "extern", "trait"].map(|next| format!("{} {next}", concat!("un", "safe")));
            let explained = lines[at.saturating_sub(3)..=at].iter().any(|line| line.contains("#[expect(unsafe_code"));
            if keyword.iter().any(|keyword| has_word(code(line), keyword)) && !explained {
                found.push(format!("{path}:{} does not expect it with a reason", at + 1));
            }
        }
    }
    found
}

/// Source files that do not begin by saying what they do.
fn silent_modules(files: &[File]) -> Vec<String> {
    let silent = files.iter().filter(|(path, text)| is_rust(path) && !text.starts_with("//! "));
    silent.map(|(path, _)| path.clone()).collect()
}

/// Example pipelines that are wrong, doubtful, or carry no test.
fn bad_pipelines(files: &[File]) -> Vec<String> {
    let is_pipeline = |path: &str| path.starts_with("pipelines/") && path.ends_with(".toml");
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| is_pipeline(path)) {
        match parse(&Source::new(path, text), &[]) {
            Err(problems) => found.push(format!("{path}: {problems}")),
            Ok(pipeline) => {
                let warnings = pipeline.warnings.iter().map(|warning| format!("{path}: {warning}"));
                found.extend(warnings.chain(pipeline.tests.is_empty().then(|| format!("{path} has no tests"))));
            }
        }
    }
    found
}

/// Fails with all findings of a check over the repository.
#[track_caller]
fn none(check: fn(&[File]) -> Vec<String>) {
    let found = check(&repository());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// What a check finds in one file.
fn found(check: fn(&[File]) -> Vec<String>, path: &str, text: &str) -> usize {
    check(&[(path.to_owned(), text.to_owned())]).len()
}

#[test]
fn no_file_is_long() {
    none(long_files);
    assert_eq!(found(long_files, "a/b.rs", &"\n".repeat(MOST_LINES + 1)), 1);
    assert_eq!(found(long_files, "wit/b.wit", &"\n".repeat(MOST_LINES + 1)), 1);
    assert_eq!(found(long_files, "a/b.rs", &"\n".repeat(MOST_LINES)), 0);
}

#[test]
fn a_wrapped_library_is_named_by_its_wrapper_only() {
    none(uses_of_wrapped_libraries);
    for (names, home) in WRAPPED {
        for name in names {
            assert_eq!(found(uses_of_wrapped_libraries, "runtime/x/src/lib.rs", &format!("use {name}::A;")), 1);
            assert_eq!(found(uses_of_wrapped_libraries, "tests/Cargo.toml", &format!("{name}.workspace = true")), 1);
            assert_eq!(found(uses_of_wrapped_libraries, &format!("{home}src/lib.rs"), &format!("use {name}::A;")), 0);
            assert_eq!(found(uses_of_wrapped_libraries, "runtime/x/src/lib.rs", &format!("// as {name} does")), 0);
        }
        // The rule is of use while the wrapper is there.
        let wraps = |(path, text): &File| path.starts_with(home) && names.iter().any(|name| text.contains(name));
        assert!(repository().iter().any(wraps), "{home} wraps {names:?}");
    }
}

#[test]
fn pipeline_graph_and_architectures_open_nothing() {
    none(opened_files);
    let bad = ["use std::fs;", "use std::{fmt, fs};", "let a = std::net::TcpStream::connect(a);", "File::open(a)"];
    for line in bad {
        assert_eq!(found(opened_files, "runtime/graph/src/a.rs", line), 1, "{line}");
        assert_eq!(found(opened_files, "runtime/hub/src/a.rs", line), 0, "{line}");
    }
    assert_eq!(found(opened_files, "runtime/pipeline/src/a.rs", "use std::fmt; // not std::fs"), 0);
    for home in OPEN_NOTHING {
        assert!(repository().iter().any(|(path, _)| path.starts_with(home)), "{home} is there");
    }
}

#[test]
fn every_member_takes_lints_and_dependencies_of_the_workspace() {
    none(manifests_of_their_own);
    let good =
        "[lints]\nworkspace = true\n\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [] }\n";
    let check = |text: &str| found(manifests_of_their_own, "a/Cargo.toml", text);
    assert_eq!(check(good), 0);
    assert_eq!(check("[dependencies]\n"), 1);
    assert_eq!(check(&good.replace("a.workspace = true", "a = \"1\"")), 1);
    assert_eq!(check(&format!("{good}[dev-dependencies]\nc = {{ path = \"../c\" }}\n")), 1);
    assert_eq!(check(&format!("{good}[target.'cfg(unix)'.dependencies]\nc = \"1\"\n")), 1);
    assert_eq!(check(&format!("{good}[dependencies.c]\nversion = \"1\"\n")), 1);
}

#[test]
fn every_golden_is_read() {
    none(orphan_goldens);
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let driver = file("tests/goldens.rs", "\"tests/goldens/cases\"");
    let model = file("tests/goldens/models/m/config.json", "{}");
    let case = file("tests/goldens/cases/m/1.json", "{\"id\": \"m/1\", \"model\": \"models/m\"}");
    let check = |files: &[&File]| orphan_goldens(&files.iter().map(|file| (*file).clone()).collect::<Vec<_>>()).len();
    assert_eq!(check(&[&driver, &model, &case]), 0);
    assert_eq!(check(&[&model, &case]), 1, "nothing reads them");
    assert_eq!(check(&[&driver, &case]), 1, "its model is not there");
    assert_eq!(check(&[&driver, &model]), 1, "the model has no case");
    let deep = file("tests/goldens/cases/m/old/1.json", &case.1);
    assert_eq!(check(&[&driver, &model, &case, &deep]), 1, "a folder too deep");
    let copied = file("tests/goldens/cases/m/2.json", &case.1);
    assert_eq!(check(&[&driver, &model, &case, &copied]), 1, "it has the name of another");
}

#[test]
fn nothing_is_left_behind_or_switched_off() {
    none(leftovers);
    for word in ["todo", "unimplemented", "dbg"] {
        assert_eq!(found(leftovers, "a.rs", &format!("    {word}!()")), 1, "{word}");
    }
    for name in ["allow(dead_code)]", "ignore]", "ignore = \"slow\"]"] {
        assert_eq!(found(leftovers, "a.rs", &format!("#[{name}")), 1, "{name}");
        assert_eq!(found(leftovers, "a.rs", &format!("#![{name}")), 1, "{name}");
    }
    assert_eq!(found(leftovers, "a.rs", "#[expect(dead_code, reason = \"\")]"), 0);
}

#[test]
fn every_unsafe_block_has_a_reason() {
    none(unexplained_unsafe);
    let block = format!("{} {{ f() }}", concat!("un", "safe"));
    assert_eq!(found(unexplained_unsafe, "a.rs", &block), 1);
    assert_eq!(found(unexplained_unsafe, "a.rs", &format!("#[expect(unsafe_code, reason = \"r\")]\n{block}")), 0);
    assert_eq!(found(unexplained_unsafe, "a.rs", &format!("#[expect(unsafe_code, reason = \"r\")]\n\n\n\n{block}")), 1);
    let file = format!("#![expect(unsafe_code, reason = \"r\")]\n\n\n\n{block}");
    assert_eq!(found(unexplained_unsafe, "a.rs", &file), 1);
    assert_eq!(found(unexplained_unsafe, "runtime/kernels/src/simd/a.rs", &file), 0);
    assert_eq!(found(unexplained_unsafe, "runtime/kernels/src/simd/a.rs", &block), 1);
    assert!(lines(&repository(), is_rust).any(|(_, line)| line.contains("#[expect(unsafe_code")), "there is some");
}

#[test]
fn every_module_says_what_it_does() {
    none(silent_modules);
    assert_eq!(found(silent_modules, "a.rs", "use std::fmt;\n"), 1);
    assert_eq!(found(silent_modules, "a.rs", ""), 1);
    assert_eq!(found(silent_modules, "a.rs", "//! What it does.\n"), 0);
}

#[test]
fn every_example_pipeline_is_valid_and_tested() {
    none(bad_pipelines);
    let files = repository();
    let (_, triage) = files.iter().find(|(path, _)| path == "pipelines/triage.toml").expect("it is the main example");
    let untested = triage.split("[[tests]]").next().unwrap_or_default();
    assert_eq!(found(bad_pipelines, "pipelines/a.toml", untested), 1);
    assert_eq!(found(bad_pipelines, "pipelines/a.toml", &triage.replace("threshold", "treshold")), 1);
}
