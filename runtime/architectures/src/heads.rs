//! What stands on top of an encoder.

use runtime_graph::{Activation, Builder, Head, Pooling, Value};

/// The first token through a layer, an activation and another layer: `[n, hidden]` to `[s, labels]`.
fn first_token(graph: &Builder, x: &Value, dense: &str, activation: Activation, out: &str) -> Value {
    let pooled = graph.linear(dense).forward(&x.pool(Pooling::First)).activation(activation);
    graph.linear(out).forward(&pooled)
}

/// A layer over each token, such as `classifier` or `qa_outputs`: `[n, hidden]` to `[n, labels]`.
fn each_token(graph: &Builder, x: &Value, linear: &str) -> Value {
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
    fn predict(&self, graph: &Builder, x: &Value, activation: Activation, epsilon: f64) -> Value {
        let x = graph.linear(self.dense).forward(&x.select_rows()).activation(activation);
        let x = graph.norm(self.norm, epsilon).forward(&x);
        x.linear(&graph.first_tensor(self.decoder), Some(&graph.first_tensor(self.bias)))
    }
}

/// The heads of BERT and its kin, which differ in names and activations.
pub(crate) struct Heads<'a> {
    /// Over the first token: a layer, its activation, and the layer behind it.
    pub(crate) first: (&'a str, Activation, &'a str),
    pub(crate) vocabulary: Vocabulary<'a>,
    /// Within the head over the vocabulary.
    pub(crate) activation: Activation,
    pub(crate) epsilon: f64,
}

impl Heads<'_> {
    /// Makes what `head` says of `x` `[n, hidden]` the graph's output.
    pub(crate) fn output(&self, graph: &Builder, x: Value, head: Head) {
        let output = match head {
            Head::Base | Head::CausalLm | Head::Seq2SeqLm => x,
            Head::SequenceClassification => first_token(graph, &x, self.first.0, self.first.1, self.first.2),
            Head::TokenClassification => each_token(graph, &x, "classifier"),
            Head::QuestionAnswering => each_token(graph, &x, "qa_outputs"),
            Head::MaskedLm => self.vocabulary.predict(graph, &x, self.activation, self.epsilon),
        };
        graph.output(head.output(), &output);
    }
}
