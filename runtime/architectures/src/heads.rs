//! What stands on top of an encoder.

use runtime_graph::{Activation, Builder, Pooling, Value};

/// The first token through a layer, an activation and another layer: `[n, hidden]` to `[s, labels]`.
pub(crate) fn first_token(graph: &Builder, x: &Value, dense: &str, activation: Activation, out: &str) -> Value {
    let pooled = graph.linear(dense).forward(&x.pool(Pooling::First)).activation(activation);
    graph.linear(out).forward(&pooled)
}

/// A layer over each token, such as `classifier` or `qa_outputs`: `[n, hidden]` to `[n, labels]`.
pub(crate) fn each_token(graph: &Builder, x: &Value, linear: &str) -> Value {
    graph.linear(linear).forward(x)
}

/// The tensors of a head over the vocabulary.
pub(crate) struct Vocabulary<'a> {
    pub(crate) dense: &'a str,
    pub(crate) norm: &'a str,
    /// The output layer and what it is tied to: the first that the checkpoint has.
    pub(crate) decoder: &'a [&'a str],
    /// The same for its bias.
    pub(crate) bias: &'a [&'a str],
}

impl Vocabulary<'_> {
    /// Scores of the vocabulary for the rows asked for: `[n, hidden]` to `[r, vocabulary]`.
    pub(crate) fn predict(&self, graph: &Builder, x: &Value, activation: Activation, epsilon: f64) -> Value {
        let x = graph.linear(self.dense).forward(&x.select_rows()).activation(activation);
        let x = graph.norm(self.norm, epsilon).forward(&x);
        x.linear(&graph.first_tensor(self.decoder), Some(&graph.first_tensor(self.bias)))
    }
}
