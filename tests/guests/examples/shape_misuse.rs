//! Applies a weight that does not fit, in layer 3.

use runtime_plugin_sdk::{Builder, Config, Head, Refusal, Value, export};

export!(guests::guest(build));

fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    let x = graph.embedding("words").rows(&graph.token_ids());
    let x = graph.layer(3, |graph| mix(graph, &x));
    graph.output("hidden_states", &x);
    Ok(())
}

#[inline(never)]
fn mix(graph: &Builder, x: &Value) -> Value {
    x.linear(&graph.tensor("narrow"), None)
}
