//! Layers that have several feed-forwards, of which each token goes through a few.

use runtime_graph::{Activation, Builder, Config, Expert, ExpertsOptions, Refusal, Value};
use serde_json::Value as Json;

use crate::decoder::gated;

/// What a layer of a mixture of experts is called, and what it is made of.
pub(crate) struct Experts {
    /// How many.
    pub(crate) count: u32,
    pub(crate) options: ExpertsOptions,
    /// For each layer, whether it has them.
    pub(crate) layers: Vec<bool>,
    /// Whether each token goes through one more, by a share of its own (Qwen2).
    pub(crate) shared: bool,
}

/// What the parts of a layer are called; the first is transformers' own, as files in its form of version 5 have them.
const NAMES: [[&str; 4]; 2] = [["mlp", "gate_proj", "up_proj", "down_proj"], ["block_sparse_moe", "w1", "w3", "w2"]];

impl Experts {
    /// Qwen's fields; `count` and `top_k` are the family's defaults.
    pub(crate) fn of_qwen(
        config: &Config,
        layers: u32,
        activation: Activation,
        count: u32,
        top_k: u32,
    ) -> Result<Self, Refusal> {
        let step = config.size_or("decoder_sparse_step", 1)?;
        let plain = plain_layers(config)?;
        let count = number(config, count)?;
        let has_experts = |layer: u32| count > 0 && (layer + 1).is_multiple_of(step) && !plain.contains(&layer);
        Ok(Self {
            count,
            options: ExpertsOptions {
                top_k: config.size_or("num_experts_per_tok", top_k)?,
                normalise: config.flag_or("norm_topk_prob", false)?,
                activation,
            },
            layers: (0..layers).map(has_experts).collect(),
            shared: false,
        })
    }

    /// Whether a layer has them.
    pub(crate) fn are_in(&self, layer: u32) -> bool {
        self.layers.get(layer as usize) == Some(&true)
    }

    /// What the experts of a layer make of `x`, `[n, hidden]`.
    pub(crate) fn forward(&self, graph: &Builder, layer: u32, x: &Value) -> Value {
        let [own, older] = NAMES.map(|[name, ..]| format!("model.layers.{layer}.{name}"));
        let is_older = graph.find(&format!("{own}.gate.weight")).is_none()
            && graph.find(&format!("{older}.gate.weight")).is_some();
        let (name, [_, gate, up, down]) = if is_older { (older, NAMES[1]) } else { (own, NAMES[0]) };
        let part = |expert: u32, part: &str| graph.tensor(&format!("{name}.experts.{expert}.{part}.weight"));
        let experts: Vec<Expert> = (0..self.count)
            .map(|expert| Expert { gate: part(expert, gate), up: part(expert, up), down: part(expert, down) })
            .collect();
        let logits = graph.linear_no_bias(&format!("{name}.gate")).forward(x);
        let mixed = x.experts(&logits, &experts, self.options);
        if !self.shared {
            return mixed;
        }
        let shared = gated(graph, &format!("{name}.shared_expert"), self.options.activation, false, x);
        let share = graph.linear_no_bias(&format!("{name}.shared_expert_gate")).forward(x);
        &mixed + &(&shared * &share.activation(Activation::Sigmoid))
    }
}

/// How many experts there are: transformers writes the one field, and reads both.
pub(crate) fn number(config: &Config, default: u32) -> Result<u32, Refusal> {
    let field = if config.has("num_local_experts") { "num_local_experts" } else { "num_experts" };
    config.token_or(field, default)
}

/// `mlp_only_layers`: those without experts.
fn plain_layers(config: &Config) -> Result<Vec<u32>, Refusal> {
    let Some(value) = config.get("mlp_only_layers") else { return Ok(Vec::new()) };
    let layer = |layer: &Json| layer.as_u64().and_then(|layer| u32::try_from(layer).ok());
    let layers: Option<Vec<u32>> = value.as_array().and_then(|layers| layers.iter().map(layer).collect());
    layers.ok_or_else(|| Refusal::Wrong {
        field: "mlp_only_layers".to_owned(),
        expected: "a list of numbers of layers".to_owned(),
        found: value.to_string(),
    })
}
