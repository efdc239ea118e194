//! Every `fixtures/NAME.toml` reads as `NAME.json` says, or fails as `NAME.err` says. `BLESS=1` rewrites both; look at
//! what it wrote.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use runtime_diagnostics::{Problem, Source, Style, render};
use runtime_pipeline::{Pipeline, parse};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[test]
fn every_file_reads_or_fails_as_recorded() -> Outcome<()> {
    let bless = std::env::var_os("BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files: BTreeSet<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    let (inputs, mut recorded): (BTreeSet<_>, BTreeSet<_>) =
        files.into_iter().partition(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(inputs.len() > 5, "the fixtures are gone");

    let mut wrong = Vec::new();
    for input in inputs {
        let name = input.file_name().and_then(|name| name.to_str()).ok_or("a fixture's name is no text")?;
        let (extension, found) = match parse(&Source::new(name, fs::read_to_string(&input)?), &[]) {
            Ok(pipeline) => ("json", json(&pipeline)?),
            Err(problems) => ("err", problems.iter().map(|problem| render(problem, Style::default())).collect()),
        };
        let path = input.with_extension(extension);
        if bless {
            fs::write(&path, &found)?;
        } else if fs::read_to_string(&path).unwrap_or_default() != found {
            wrong.push(format!("{} should be:\n{found}", path.display()));
        }
        recorded.remove(&path);
    }
    wrong.extend(recorded.iter().map(|orphan| format!("{} belongs to no fixture", orphan.display())));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The settings, then the warnings with their lines.
fn json(pipeline: &Pipeline) -> Outcome<String> {
    let line = |problem: &Problem| {
        let source = problem.source_text()?;
        Some(source.line(problem.labels().first()?.span.start))
    };
    let warning = |problem: &Problem| format!("line {}: {problem}", line(problem).unwrap_or_default());
    let mut all: serde_json::Map<_, _> = pipeline.settings().into_iter().collect();
    all.insert("(warnings)".to_owned(), pipeline.warnings.iter().map(warning).collect());
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
