//! What BERT and its kin have in common: fields of `config.json`, and a layer that normalises after each sum.

use runtime_graph::{Activation, AttentionOptions, Builder, Config, Refusal, Value};

/// The fields of `config.json` that shape an encoder; sizes of weights are the checkpoint's own.
#[derive(Clone, Copy)]
pub(crate) struct EncoderConfig {
    /// `num_hidden_layers`
    pub(crate) layers: u32,
    /// `num_attention_heads`
    pub(crate) heads: u32,
    /// `hidden_act`
    pub(crate) activation: Activation,
    /// `layer_norm_eps`
    pub(crate) epsilon: f64,
    /// `max_position_embeddings`
    pub(crate) max_positions: u32,
}

impl EncoderConfig {
    /// The defaults of BERT, which most others share.
    pub(crate) const BERT: Self =
        Self { layers: 12, heads: 12, activation: Activation::Gelu, epsilon: 1e-12, max_positions: 512 };

    /// What `config` says, and these values for what it leaves out.
    pub(crate) fn read(self, config: &Config) -> Result<Self, Refusal> {
        Ok(Self {
            layers: config.layers_or("num_hidden_layers", self.layers)?,
            heads: config.size_or("num_attention_heads", self.heads)?,
            activation: config.activation_or("hidden_act", self.activation)?,
            epsilon: config.number_or("layer_norm_eps", self.epsilon)?,
            max_positions: config.size_or("max_position_embeddings", self.max_positions)?,
        })
    }

    /// Attention of every token to every other, in these heads.
    pub(crate) fn attend(&self, query: &Value, key: &Value, value: &Value) -> Value {
        query.attention(key, value, AttentionOptions::bidirectional(self.heads))
    }
}

/// Refuses a decoder of the same family, and position embeddings other than one learned vector for each position.
pub(crate) fn require_plain_encoder(config: &Config) -> Result<(), Refusal> {
    if config.flag_or("is_decoder", false)? {
        return Err(Refusal::Unsupported {
            field: "is_decoder".to_owned(),
            value: "true".to_owned(),
            supported: "`false`".to_owned(),
        });
    }
    match config.text_or("position_embedding_type", "absolute")? {
        "absolute" => Ok(()),
        other => Err(Refusal::Unsupported {
            field: "position_embedding_type".to_owned(),
            value: other.to_owned(),
            supported: "`absolute`".to_owned(),
        }),
    }
}

/// The names of a layer's tensors, without the prefix of the layer.
///
/// Attention and feed-forward are each added to their input, and the sum is normalised.
pub(crate) struct PostNorm {
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    /// From what was attended to, back to the hidden size.
    pub(crate) attended: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    pub(crate) norm: &'static str,
}

impl PostNorm {
    /// The names of BERT, RoBERTa and ELECTRA.
    pub(crate) const BERT: Self = Self {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attended: "attention.output.dense",
        attention_norm: "attention.output.LayerNorm",
        up: "intermediate.dense",
        down: "output.dense",
        norm: "output.LayerNorm",
    };

    /// The layer whose tensors begin with `prefix`: `[n, hidden]` to `[n, hidden]`.
    pub(crate) fn layer(
        &self,
        graph: &Builder,
        prefix: &str,
        config: &EncoderConfig,
        x: &Value,
        attend: impl FnOnce(&Value, &Value, &Value) -> Value,
    ) -> Value {
        let linear = |part: &str, x: &Value| graph.linear(&format!("{prefix}.{part}")).forward(x);
        let norm = |part: &str, x: &Value| graph.norm(&format!("{prefix}.{part}"), config.epsilon).forward(x);

        let attended = attend(&linear(self.query, x), &linear(self.key, x), &linear(self.value, x));
        let x = norm(self.attention_norm, &(&linear(self.attended, &attended) + x));

        let inner = linear(self.up, &x).activation(config.activation);
        norm(self.norm, &(&linear(self.down, &inner) + &x))
    }
}
