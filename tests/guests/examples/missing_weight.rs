//! Asks for a tensor that the checkpoint does not have.

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    graph.output("hidden_states", &graph.tensor("word.weight"));
    Ok(())
}
