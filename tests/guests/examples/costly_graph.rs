//! Records a graph that is small to describe, and would take the host's time to run.

use runtime_plugin_sdk::{Architecture, Builder, Config, Head, Pooling, Refusal, export};

export!(Architecture { model_types: &["bert"], heads: &[Head::SequenceClassification], ..guests::guest(build) });

fn build(graph: &Builder, _: &Config, _: Head) -> Result<(), Refusal> {
    let square = graph.tensor("bert.encoder.layer.0.attention.output.dense.weight");
    let x = graph.tensor("bert.embeddings.word_embeddings.weight").rows(&graph.token_ids());
    let deep = (0..100_000).fold(x, |x, _| x.linear(&square, None));
    graph.output("logits", &deep.pool(Pooling::First));
    Ok(())
}
