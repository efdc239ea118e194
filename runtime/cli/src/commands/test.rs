//! `runtime test`: the tests that a pipeline carries.

use futures::StreamExt;
use futures::executor::block_on;
use futures::stream;
use runtime_diagnostics::Exit;
use runtime_engine::{Generation, Options, Registry};
use runtime_pipeline::Test as Case;
use serde_json::Value;

use crate::args::Test;
use crate::failure::Failure;
use crate::output::print;
use crate::project::Project;

/// Tests under way at once, so that they share batches.
const WINDOW: usize = 32;

pub(crate) fn run(options: &Test) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { progress: true, ..Options::default() });
    let generation = Project::from(&options.pipeline).build(&registry)?;
    let cases = &generation.pipeline().tests;
    let outcomes = stream::iter(cases).map(|case| check(&generation, case)).buffered(WINDOW).collect::<Vec<_>>();
    let mut failed = 0;
    for (case, wrong) in cases.iter().zip(block_on(outcomes)) {
        print(&format!("{} {}\n", if wrong.is_empty() { "ok    " } else { "FAILED" }, case.name))?;
        for wrong in &wrong {
            print(&format!("       {wrong}\n"))?;
        }
        failed += usize::from(!wrong.is_empty());
    }
    print(&format!("{} passed, {failed} failed\n", cases.len() - failed))?;
    Ok(if failed > 0 { Exit::Failed } else { Exit::Ok })
}

/// What is not as the test expects it.
async fn check(generation: &Generation, case: &Case) -> Vec<String> {
    let answer = match generation.answer(&case.input).await {
        Ok(answer) => answer,
        Err(error) => return vec![error.to_string()],
    };
    let found = |field: &str| answer.outputs.get(field).cloned().unwrap_or(Value::Null);
    let expectations = case.expect.iter().map(|(field, expected)| (field, expected, found(field)));
    let wrong = expectations.filter(|(_, expected, found)| !expected.holds(found));
    wrong.map(|(field, expected, found)| format!("{field} is {found}, not {expected}")).collect()
}
