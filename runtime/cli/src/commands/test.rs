//! `runtime test`: the tests that a pipeline carries.

use futures::StreamExt;
use futures::executor::block_on;
use futures::stream;
use runtime_diagnostics::{Exit, chain, printable};
use runtime_engine::{Generation, Registry};
use runtime_pipeline::Test as Case;
use serde_json::Value;

use crate::args::Test;
use crate::commands::devices;
use crate::failure::Failure;
use crate::output::print;
use crate::project::Project;

/// Tests under way at once, so that they share batches.
const WINDOW: usize = 32;

pub(crate) fn run(options: &Test) -> Result<Exit, Failure> {
    let registry = Registry::new(devices::options(&options.device));
    let project = Project::from(&options.pipeline);
    let generation = project.build(project.read()?, &registry)?;
    let cases = &generation.pipeline().tests;
    let outcomes = stream::iter(cases).map(|case| check(&generation, case)).buffered(WINDOW).collect::<Vec<_>>();
    let mut failed = 0;
    for (case, wrong) in cases.iter().zip(block_on(outcomes)) {
        print(&outcome(case, &wrong))?;
        failed += usize::from(!wrong.is_empty());
    }
    print(&format!("{} passed, {failed} failed\n", cases.len() - failed))?;
    Ok(if failed > 0 { Exit::Failed } else { Exit::Ok })
}

/// A line that says how it went, and one for each thing that is wrong.
fn outcome(case: &Case, wrong: &[String]) -> String {
    if wrong.is_empty() {
        return format!("ok     {}\n", printable(&case.name));
    }
    let (source, span) = &case.place;
    let place = format!("{}:{}", source.name(), source.line(span.start));
    let wrong: String = wrong.iter().map(|wrong| format!("       {}\n", printable(wrong))).collect();
    format!("FAILED {} ({})\n{wrong}", printable(&case.name), printable(&place))
}

/// What is not as the test expects it.
async fn check(generation: &Generation, case: &Case) -> Vec<String> {
    let answer = match generation.answer(&case.input).await {
        Ok(answer) => answer,
        Err(error) => return vec![chain(&error)],
    };
    let found = |field: &str| answer.outputs.get(field).cloned().unwrap_or(Value::Null);
    let expectations = case.expect.iter().map(|(field, expected)| (field, expected, found(field)));
    let wrong = expectations.filter(|(_, expected, found)| !expected.holds(found));
    wrong.map(|(field, expected, found)| format!("{field} is {found}, not {expected}")).collect()
}

#[cfg(test)]
mod tests {
    use runtime_diagnostics::Source;
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_failed_test_is_told_with_its_place_and_cannot_command_the_terminal() {
        let source = Source::new("triage.toml", "name = \"triage\"\n\n[[tests]]\n");
        let name = "a\u{1b}[2Jb".to_owned();
        let case = Case { name, input: Map::new(), expect: Vec::new(), place: (source, 17..26) };
        let told = outcome(&case, &["label is \"\u{7}\"".to_owned()]);
        assert_eq!(told, "FAILED a [2Jb (triage.toml:3)\n       label is \" \"\n");
        assert_eq!(outcome(&case, &[]), "ok     a [2Jb\n");
    }
}
