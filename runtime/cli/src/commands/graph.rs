//! `runtime graph`: a pipeline as a drawing.

use runtime_diagnostics::Exit;
use runtime_pipeline::draw;

use crate::args::{Graph, GraphFormat};
use crate::failure::Failure;
use crate::output::print;
use crate::project::Project;

pub(crate) fn run(options: &Graph) -> Result<Exit, Failure> {
    let pipeline = Project::from(&options.pipeline).read_without_tests()?;
    let format = match options.format {
        GraphFormat::Mermaid => runtime_pipeline::Format::Mermaid,
        GraphFormat::Dot => runtime_pipeline::Format::Dot,
    };
    print(&format!("{}\n", draw(&pipeline, format).trim_end()))
}
