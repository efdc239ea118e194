//! What the decoders after Llama have in common: norms before each part, rotary positions, grouped heads, gated
//! feed-forward. Families say where they differ.

use runtime_graph::{Activation, AttentionOptions, Builder, Config, Head, Linear, Refusal, Rope, Rotary, Value};
use serde_json::Value as Json;

use crate::experts::Experts;

/// How the layers of a decoder are wired.
pub(crate) struct Decoder {
    pub(crate) layers: u32,
    pub(crate) heads: u32,
    pub(crate) key_value_heads: u32,
    pub(crate) head_size: u32,
    pub(crate) activation: Activation,
    pub(crate) epsilon: f64,
    /// Added to the weights of norms.
    pub(crate) norm_offset: f64,
    /// The longest text, where frequencies are for no longer one.
    pub(crate) limit: Option<u32>,
    pub(crate) rotary: Rotary,
    /// The rotary embedding of layers with a window, where it is another.
    pub(crate) local_rotary: Option<Rotary>,
    /// For each layer, tokens that a token sees before itself; all where there is none.
    pub(crate) windows: Vec<Option<u32>>,
    /// Factor of the scores where it is not `1 / sqrt(head_size)`.
    pub(crate) scale: Option<f64>,
    pub(crate) soft_cap: Option<f64>,
    pub(crate) final_soft_cap: Option<f64>,
    /// Factor of the embeddings.
    pub(crate) embedding_scale: Option<f64>,
    pub(crate) query_key_value_bias: bool,
    pub(crate) output_bias: bool,
    pub(crate) mlp_bias: bool,
    /// Whether queries and keys are normalised, each head apart.
    pub(crate) query_key_norm: bool,
    /// Whether queries, keys and values are one product, and gate and inner layer as well (Phi-3).
    pub(crate) joined: bool,
    /// Whether results are normalised too, before they are added (Gemma 2).
    pub(crate) norms_after: bool,
    /// Whether the output layer is the table of embeddings where the checkpoint has no other.
    pub(crate) tied: bool,
    /// What some layers have in place of one feed-forward.
    pub(crate) experts: Option<Experts>,
}

/// What a family takes for sizes that `config.json` does not say.
pub(crate) struct Defaults {
    pub(crate) layers: u32,
    pub(crate) hidden: u32,
    pub(crate) heads: u32,
    /// As many as heads where there is none.
    pub(crate) key_value_heads: Option<u32>,
    /// The hidden size over the heads where there is none.
    pub(crate) head_size: Option<u32>,
    pub(crate) positions: u32,
    pub(crate) epsilon: f64,
    /// The base of the rotary frequencies.
    pub(crate) theta: f64,
}

impl Defaults {
    /// Those of Llama.
    pub(crate) const LLAMA: Self = Self {
        layers: 32,
        hidden: 4096,
        heads: 32,
        key_value_heads: None,
        head_size: None,
        positions: 2048,
        epsilon: 1e-6,
        theta: 10_000.0,
    };
}

impl Decoder {
    /// The fields that all families share, with Llama's defaults.
    pub(crate) fn read(config: &Config) -> Result<Self, Refusal> {
        Self::with_defaults(config, &Defaults::LLAMA)
    }

    /// The same with a family's own defaults.
    pub(crate) fn with_defaults(config: &Config, defaults: &Defaults) -> Result<Self, Refusal> {
        let layers = config.layers_or("num_hidden_layers", defaults.layers)?;
        let heads = config.size_or("num_attention_heads", defaults.heads)?;
        let head_size = match (config.get("head_dim"), defaults.head_size) {
            (None, Some(size)) => size,
            (None, None) => config.size_or("hidden_size", defaults.hidden)? / heads,
            (Some(_), _) => config.size("head_dim")?,
        };
        let max_positions = config.size_or("max_position_embeddings", defaults.positions)?;
        let rope = Rope::read(config, head_size, max_positions, defaults.theta)?;
        // `null` is as many as heads.
        let key_value_heads = defaults.key_value_heads.filter(|_| !config.has("num_key_value_heads")).unwrap_or(heads);
        Ok(Self {
            layers,
            heads,
            key_value_heads: config.size_or("num_key_value_heads", key_value_heads)?,
            head_size,
            activation: config.activation_or("hidden_act", Activation::Silu)?,
            epsilon: config.number_or("rms_norm_eps", defaults.epsilon)?,
            norm_offset: 0.0,
            limit: rope.limit,
            rotary: rope.rotary,
            local_rotary: None,
            windows: vec![None; layers as usize],
            scale: None,
            soft_cap: None,
            final_soft_cap: None,
            embedding_scale: None,
            query_key_value_bias: false,
            output_bias: false,
            mlp_bias: false,
            query_key_norm: false,
            joined: false,
            norms_after: false,
            tied: config.flag_or("tie_word_embeddings", false)?,
            experts: None,
        })
    }

    /// Records the graph.
    pub(crate) fn build(&self, graph: &Builder, head: Head) {
        if let Some(limit) = self.limit {
            graph.max_sequence(limit);
        }
        let table = graph.tensor("model.embed_tokens.weight");
        let mut x = table.rows(&graph.token_ids());
        if let Some(scale) = self.embedding_scale {
            x = x.scale(scale);
        }
        for (index, window) in (0..self.layers).zip(&self.windows) {
            x = graph.layer(index, |graph| self.layer(graph, index, *window, &x));
        }
        let output = match head {
            Head::CausalLm => self.predict(graph, &self.norm(graph, "model.norm", &x.select_rows()), &table),
            _ => self.norm(graph, "model.norm", &x),
        };
        graph.output(head.output(), &output);
    }

    fn predict(&self, graph: &Builder, x: &Value, table: &Value) -> Value {
        let tied = self.tied && graph.find("lm_head.weight").is_none();
        let weight = if tied { table.clone() } else { graph.tensor("lm_head.weight") };
        let logits = x.linear(&weight, None);
        match self.final_soft_cap {
            Some(cap) => logits.scale(1.0 / cap).activation(Activation::Tanh).scale(cap),
            None => logits,
        }
    }

    /// Attention and feed-forward, each over a norm and added to its input: `[n, hidden]` to `[n, hidden]`.
    fn layer(&self, graph: &Builder, index: u32, window: Option<u32>, x: &Value) -> Value {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let normed = self.norm(graph, &name("input_layernorm"), x);
        let attended = self.attention(graph, &name("self_attn"), window, &normed);
        if !self.norms_after {
            let x = x + &attended;
            let normed = self.norm(graph, &name("post_attention_layernorm"), &x);
            let inner = match self.experts.as_ref().filter(|experts| experts.are_in(index)) {
                Some(experts) => experts.forward(graph, index, &normed),
                None => self.feed_forward(graph, &name("mlp"), &normed),
            };
            return &x + &inner;
        }
        let x = x + &self.norm(graph, &name("post_attention_layernorm"), &attended);
        let normed = self.norm(graph, &name("pre_feedforward_layernorm"), &x);
        let inner = self.feed_forward(graph, &name("mlp"), &normed);
        &x + &self.norm(graph, &name("post_feedforward_layernorm"), &inner)
    }

    fn attention(&self, graph: &Builder, name: &str, window: Option<u32>, x: &Value) -> Value {
        let part = |part: &str| format!("{name}.{part}");
        let [query, key, value] = if self.joined {
            let all = linear(graph, &part("qkv_proj"), self.query_key_value_bias).forward(x);
            let (wide, narrow) = (self.heads * self.head_size, self.key_value_heads * self.head_size);
            [all.columns(0, wide), all.columns(wide, narrow), all.columns(wide + narrow, narrow)]
        } else {
            ["q_proj", "k_proj", "v_proj"].map(|name| linear(graph, &part(name), self.query_key_value_bias).forward(x))
        };
        let [query, key] = [(query, "q_norm"), (key, "k_norm")].map(|(x, name)| {
            let rotary = self.local_rotary.as_ref().filter(|_| window.is_some()).unwrap_or(&self.rotary);
            if self.query_key_norm { self.norm(graph, &part(name), &x) } else { x }.rotary(rotary)
        });
        let options = AttentionOptions {
            scale: self.scale,
            window,
            soft_cap: self.soft_cap,
            ..AttentionOptions::causal(self.heads, self.key_value_heads)
        };
        linear(graph, &part("o_proj"), self.output_bias).forward(&query.attention(&key, &value, options))
    }

    fn feed_forward(&self, graph: &Builder, name: &str, x: &Value) -> Value {
        let part = |part: &str| linear(graph, &format!("{name}.{part}"), self.mlp_bias);
        if !self.joined {
            return gated(graph, name, self.activation, self.mlp_bias, x);
        }
        let [gate, up] = part("gate_up_proj").forward(x).split();
        part("down_proj").forward(&(&gate.activation(self.activation) * &up))
    }

    fn norm(&self, graph: &Builder, name: &str, x: &Value) -> Value {
        x.rms_norm_offset(&graph.tensor(&format!("{name}.weight")), self.epsilon, self.norm_offset)
    }
}

/// A gated feed-forward of three products: `down (activation(gate x) * (up x))`.
pub(crate) fn gated(graph: &Builder, name: &str, activation: Activation, bias: bool, x: &Value) -> Value {
    let part = |part: &str| linear(graph, &format!("{name}.{part}"), bias);
    let [gate, up] = ["gate_proj", "up_proj"].map(|name| part(name).forward(x));
    part("down_proj").forward(&(&gate.activation(activation) * &up))
}

fn linear(graph: &Builder, name: &str, bias: bool) -> Linear {
    if bias { graph.linear(name) } else { graph.linear_no_bias(name) }
}

/// `sliding_window` in tokens, with the token itself, as what is seen before it; `null` is none.
pub(crate) fn window(config: &Config, default: Option<u32>) -> Result<Option<u32>, Refusal> {
    let window = match config.get("sliding_window") {
        Some(_) => Some(config.size("sliding_window")?),
        None => default.filter(|_| !config.has("sliding_window")),
    };
    Ok(window.map(|tokens| tokens - 1))
}

/// Which layers have the window: those that `layer_types` says, else those that `otherwise` holds for.
pub(crate) fn windows(
    config: &Config,
    layers: u32,
    window: Option<u32>,
    otherwise: impl Fn(u32) -> bool,
) -> Result<Vec<Option<u32>>, Refusal> {
    let Some(types) = config.get("layer_types").and_then(Json::as_array) else {
        return Ok((0..layers).map(|layer| window.filter(|_| otherwise(layer))).collect());
    };
    let unsupported = |value: String, supported: &str| Refusal::Unsupported {
        field: "layer_types".to_owned(),
        value,
        supported: supported.to_owned(),
    };
    if types.len() != layers as usize {
        return Err(unsupported(format!("{} entries", types.len()), "one entry for each layer"));
    }
    let of = |kind: &Json| match kind.as_str() {
        Some("full_attention") => Ok(None),
        Some("sliding_attention") => Ok(window),
        _ => Err(unsupported(kind.to_string(), "`full_attention` and `sliding_attention`")),
    };
    types.iter().map(of).collect()
}

/// The heads of decoders.
pub(crate) const HEADS: [Head; 2] = [Head::Base, Head::CausalLm];
