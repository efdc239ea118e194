//! Gives two outputs one name.

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, export};

export!(guests::guest(build));

fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    let x = graph.tensor("words.weight");
    graph.output("hidden_states", &x);
    graph.output("hidden_states", &x);
    Ok(())
}
