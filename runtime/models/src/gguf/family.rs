//! The architectures of GGUF files that there is one for here, and the Hugging Face names of their tensors.

use super::GgufError;

/// An architecture as llama.cpp names it (`general.architecture`), and what its converter does to a model.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    /// The `model_type` and class of transformers.
    pub(super) model_type: &'static str,
    pub(super) class: &'static str,
    /// Parts of a layer by their names there and here.
    layer: &'static [(&'static str, &'static str)],
    /// The others.
    rest: &'static [(&'static str, &'static str)],
    /// What parts of layer `n` begin with here, before the `n`.
    layers: &'static str,
    /// Whether the rows of queries and keys are reordered, so that those that rotary positions pair are neighbours.
    pub(super) paired: bool,
    /// Whether 1 is added to the weights of norms, as the model itself does when it runs.
    pub(super) norms_plus_one: bool,
}

const DECODER: &[(&str, &str)] =
    &[("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

const LLAMA: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.gate_proj"),
    ("ffn_up_exps", "mlp.experts.up_proj"),
    ("ffn_gate_up_exps", "mlp.experts.gate_up_proj"),
    ("ffn_down_exps", "mlp.experts.down_proj"),
    ("ffn_gate_inp_shexp", "mlp.shared_expert_gate"),
    ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_expert.up_proj"),
    ("ffn_down_shexp", "mlp.shared_expert.down_proj"),
];

/// With norms behind each part too.
const GEMMA_2: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

const PHI_3: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const GPT_2: &[(&str, &str)] = &[
    ("attn_norm", "ln_1"),
    ("attn_qkv", "attn.c_attn"),
    ("attn_output", "attn.c_proj"),
    ("ffn_norm", "ln_2"),
    ("ffn_up", "mlp.c_fc"),
    ("ffn_down", "mlp.c_proj"),
];

const fn family(
    name: &'static str,
    model_type: &'static str,
    class: &'static str,
    layer: &'static [(&'static str, &'static str)],
) -> Family {
    Family {
        name,
        model_type,
        class,
        layer,
        rest: DECODER,
        layers: "model.layers",
        paired: false,
        norms_plus_one: false,
    }
}

static FAMILIES: [Family; 10] = [
    // Mistral and Mixtral too; a window, if any, makes it the one, experts the other.
    Family { paired: true, ..family("llama", "llama", "LlamaForCausalLM", LLAMA) },
    family("qwen2", "qwen2", "Qwen2ForCausalLM", LLAMA),
    family("qwen3", "qwen3", "Qwen3ForCausalLM", LLAMA),
    family("qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM", LLAMA),
    family("qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", LLAMA),
    family("phi3", "phi3", "Phi3ForCausalLM", PHI_3),
    Family { norms_plus_one: true, ..family("gemma", "gemma", "GemmaForCausalLM", LLAMA) },
    Family { norms_plus_one: true, ..family("gemma2", "gemma2", "Gemma2ForCausalLM", GEMMA_2) },
    Family { norms_plus_one: true, ..family("gemma3", "gemma3_text", "Gemma3ForCausalLM", GEMMA_2) },
    Family {
        rest: &[
            ("token_embd", "transformer.wte"),
            ("position_embd", "transformer.wpe"),
            ("output_norm", "transformer.ln_f"),
            ("output", "lm_head"),
        ],
        layers: "transformer.h",
        ..family("gpt2", "gpt2", "GPT2LMHeadModel", GPT_2)
    },
];

impl Family {
    /// The family of a `general.architecture`.
    pub(super) fn named(name: &str) -> Result<&'static Self, GgufError> {
        FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
            GgufError::Unsupported {
                key: "general.architecture".to_owned(),
                value: name.to_owned(),
                supported: format!("GGUF files of these architectures are read: {}", known.join(", ")),
            }
        })
    }

    /// The Hugging Face name of a tensor; its own where it has none.
    pub(super) fn hugging_face_name(&self, name: &str) -> String {
        let renamed = name.rsplit_once('.').and_then(|(part, kind)| {
            let named = |names: &[(&str, &'static str)], part: &str| {
                names.iter().find(|(there, _)| *there == part).map(|(_, here)| *here)
            };
            match part.strip_prefix("blk.").and_then(|part| part.split_once('.')) {
                Some((layer, part)) => Some(match (part.split_once('.'), part) {
                    // Older files have the matrices of experts one by one.
                    (Some((part, expert)), _) => {
                        let part = named(self.layer, part)?.strip_prefix("mlp.")?;
                        format!("{}.{layer}.mlp.experts.{expert}.{part}.{kind}", self.layers)
                    }
                    (None, part) => format!("{}.{layer}.{}.{kind}", self.layers, named(self.layer, part)?),
                }),
                None => Some(format!("{}.{kind}", named(self.rest, part)?)),
            }
        });
        renamed.unwrap_or_else(|| name.to_owned())
    }

    /// Whether a tensor is one of a layer's.
    pub(super) fn is_layer_part(name: &str, parts: &[&str]) -> bool {
        let part = name.strip_prefix("blk.").and_then(|part| part.split_once('.')?.1.rsplit_once('.'));
        part.is_some_and(|(part, _)| parts.contains(&part))
    }
}
