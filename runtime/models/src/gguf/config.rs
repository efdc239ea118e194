//! `config.json` of a model, from the keys of its file.

use runtime_gguf::{List, Value as FileValue};
use serde_json::{Map, Value, json};

use super::family::Family;
use super::tensors::Tensors;
use super::{Fields, GgufError};
use crate::Error;

/// The fields that the architectures read, under the names of transformers.
pub(super) fn config(family: &Family, fields: &Fields<'_>, tensors: &Tensors) -> Result<Value, Error> {
    let embeddings = if family.name == "gpt2" { "transformer.wte.weight" } else { "model.embed_tokens.weight" };
    let failed = |source| Error::Gguf { path: tensors.path(embeddings).to_owned(), source };
    refuse_unsupported(family, fields).map_err(failed)?;
    let no_table = || failed(GgufError::NoTensor { name: "token_embd.weight".to_owned() });
    let vocabulary = *tensors.shape(embeddings).and_then(<[usize]>::first).ok_or_else(no_table)?;
    let mut config = json!({
        "architectures": [family.class],
        "model_type": family.model_type,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tensors.shape("lm_head.weight").is_none(),
    });
    let special = special_tokens(fields).map_err(failed)?;
    let map = config.as_object_mut().into_iter();
    for map in map {
        map.extend(special.clone());
        match family.name {
            "gpt2" => gpt2(map, fields).map_err(failed)?,
            _ => decoder(map, family, fields, tensors)?,
        }
    }
    Ok(config)
}

fn special_tokens(fields: &Fields<'_>) -> Result<Map<String, Value>, GgufError> {
    let mut map = Map::new();
    for (name, field) in [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("padding", "pad_token_id")] {
        if let Some(id) = fields.token(name)? {
            map.insert(field.to_owned(), id.into());
        }
    }
    Ok(map)
}

/// What would make the model compute something else than the architecture.
fn refuse_unsupported(family: &Family, fields: &Fields<'_>) -> Result<(), GgufError> {
    let refuse = |name: &str, value: String, supported: &str| GgufError::Unsupported {
        key: fields.key(name),
        value,
        supported: supported.to_owned(),
    };
    let with_experts = ["llama", "qwen2moe", "qwen3moe"].contains(&family.name);
    if let Some(experts) = fields.size("expert_count")?.filter(|experts| *experts > 0 && !with_experts) {
        return Err(refuse("expert_count", experts.to_string(), "only models without experts are run"));
    }
    for name in ["attention.clamp_kqv", "attention.max_alibi_bias"] {
        if let Some(number) = fields.number(name)?.filter(|number| *number != 0.0) {
            return Err(refuse(name, number.to_string(), "only models without it are run"));
        }
    }
    for name in ["logit_scale", "residual_scale", "embedding_scale"] {
        if let Some(number) = fields.number(name)?.filter(|number| *number != 0.0 && *number != 1.0) {
            return Err(refuse(name, number.to_string(), "only models without it are run"));
        }
    }
    let (key, value) = (fields.size("attention.key_length")?, fields.size("attention.value_length")?);
    match (key, value) {
        (Some(key), Some(value)) if key != value => {
            let supported = format!("only values as wide as keys, {key}, are run");
            Err(refuse("attention.value_length", value.to_string(), &supported))
        }
        _ => Ok(()),
    }
}

fn gpt2(config: &mut Map<String, Value>, fields: &Fields<'_>) -> Result<(), GgufError> {
    for (field, name) in [
        ("n_layer", "block_count"),
        ("n_head", "attention.head_count"),
        ("n_embd", "embedding_length"),
        ("n_positions", "context_length"),
    ] {
        config.insert(field.to_owned(), fields.required(name)?.into());
    }
    let epsilon = fields.number("attention.layer_norm_epsilon")?;
    config.insert("layer_norm_epsilon".to_owned(), epsilon.unwrap_or(1e-5).into());
    config.insert("activation_function".to_owned(), "gelu_new".into());
    // The converter turned the weights of products, which transformers has as `[inputs, outputs]`.
    config.insert("transposed_weights".to_owned(), true.into());
    Ok(())
}

/// All but GPT-2.
fn decoder(
    config: &mut Map<String, Value>,
    family: &Family,
    fields: &Fields<'_>,
    tensors: &Tensors,
) -> Result<(), Error> {
    let embeddings = "model.embed_tokens.weight";
    let failed = |source| Error::Gguf { path: tensors.path(embeddings).to_owned(), source };
    let shape = Shape::read(fields).map_err(failed)?;
    config.extend(shape.fields());
    let biased = |name: &str| tensors.shape(&format!("model.layers.0.{name}.bias")).is_some();
    for field in ["attention_bias", "qkv_bias"] {
        config.insert(field.to_owned(), biased("self_attn.q_proj").into());
    }
    config.insert("mlp_bias".to_owned(), biased("mlp.up_proj").into());
    let gemma = family.name.starts_with("gemma");
    let activation = if gemma { "gelu_pytorch_tanh" } else { "silu" };
    config.insert("hidden_act".to_owned(), activation.into());
    config.insert("hidden_activation".to_owned(), activation.into());
    if !gemma && shape.rotated != shape.head_size {
        let share = ratio(shape.rotated, shape.head_size);
        config.insert("partial_rotary_factor".to_owned(), share.into());
    }
    window(config, family, fields).map_err(failed)?;
    experts(config, family, fields).map_err(failed)?;
    if gemma {
        scores(config, family, &shape, fields).map_err(failed)?;
    }
    rope(config, &shape, fields, tensors)
}

/// The sizes of a decoder.
struct Shape {
    layers: u64,
    hidden: u64,
    inner: Option<u64>,
    heads: u64,
    key_value_heads: u64,
    head_size: u64,
    /// Columns of a head that rotate.
    rotated: u64,
    positions: u64,
    epsilon: f64,
}

impl Shape {
    fn read(fields: &Fields<'_>) -> Result<Self, GgufError> {
        let (hidden, heads) = (fields.required("embedding_length")?, fields.required("attention.head_count")?);
        let head_size = match fields.size("attention.key_length")? {
            Some(size) => size,
            None => hidden.checked_div(heads).unwrap_or(0),
        };
        let epsilon = fields.number("attention.layer_norm_rms_epsilon")?;
        let missing = || GgufError::Missing { key: fields.key("attention.layer_norm_rms_epsilon") };
        Ok(Self {
            layers: fields.required("block_count")?,
            hidden,
            inner: fields.size("feed_forward_length").unwrap_or(None),
            heads,
            key_value_heads: fields.size("attention.head_count_kv")?.unwrap_or(heads),
            head_size,
            rotated: fields.size("rope.dimension_count")?.unwrap_or(head_size),
            positions: fields.required("context_length")?,
            epsilon: epsilon.ok_or_else(missing)?,
        })
    }

    fn fields(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (field, size) in [
            ("num_hidden_layers", self.layers),
            ("hidden_size", self.hidden),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.key_value_heads),
            ("head_dim", self.head_size),
            ("max_position_embeddings", self.positions),
        ] {
            map.insert(field.to_owned(), size.into());
        }
        map.extend(self.inner.map(|inner| ("intermediate_size".to_owned(), inner.into())));
        map.insert("rms_norm_eps".to_owned(), self.epsilon.into());
        map
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of heads")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The experts of a mixture. Whether their weights are divided by their sum is not in the file: llama.cpp knows it by the
/// architecture.
fn experts(config: &mut Map<String, Value>, family: &Family, fields: &Fields<'_>) -> Result<(), GgufError> {
    let Some(count) = fields.size("expert_count")?.filter(|count| *count > 0) else { return Ok(()) };
    if family.name == "llama" {
        config.insert("model_type".to_owned(), "mixtral".into());
        config.insert("architectures".to_owned(), json!(["MixtralForCausalLM"]));
    }
    config.insert("num_local_experts".to_owned(), count.into());
    config.insert("num_experts".to_owned(), count.into());
    config.insert("num_experts_per_tok".to_owned(), fields.required("expert_used_count")?.into());
    config.insert("norm_topk_prob".to_owned(), (family.name != "qwen2moe").into());
    for (field, name) in [
        ("moe_intermediate_size", "expert_feed_forward_length"),
        ("shared_expert_intermediate_size", "expert_shared_feed_forward_length"),
    ] {
        config.extend(fields.size(name)?.map(|size| (field.to_owned(), size.into())));
    }
    Ok(())
}

/// What tokens see of those before them.
fn window(config: &mut Map<String, Value>, family: &Family, fields: &Fields<'_>) -> Result<(), GgufError> {
    let window = fields.size("attention.sliding_window")?.filter(|window| *window > 0);
    // A missing field would stand for the family's default.
    config.insert("sliding_window".to_owned(), window.map_or(Value::Null, Value::from));
    if window.is_some() && family.name == "llama" {
        config.insert("model_type".to_owned(), "mistral".into());
        config.insert("architectures".to_owned(), json!(["MistralForCausalLM"]));
    }
    // Every so many layers one sees all, or each layer says whether it has the window.
    let pattern = "attention.sliding_window_pattern";
    match fields.value(&fields.key(pattern)) {
        Some(FileValue::List(List::Bools(layers))) => {
            let kind = |windowed: &bool| if *windowed { "sliding_attention" } else { "full_attention" };
            config.insert("layer_types".to_owned(), layers.iter().map(kind).collect());
        }
        Some(_) if family.name == "gemma3" => {
            config.insert("sliding_window_pattern".to_owned(), fields.size(pattern)?.into());
        }
        _ => {}
    }
    Ok(())
}

/// How Gemma scales and bounds scores. The scale is not in the file: it is that of the head's size, but in the largest of
/// Gemma 2 and 3 that of the hidden size by heads, which llama.cpp knows by the number of their layers.
fn scores(
    config: &mut Map<String, Value>,
    family: &Family,
    shape: &Shape,
    fields: &Fields<'_>,
) -> Result<(), GgufError> {
    let largest = matches!((family.name, shape.layers), ("gemma2", 46) | ("gemma3", 62));
    let by_size = if largest { shape.hidden / shape.heads.max(1) } else { shape.head_size };
    let scalar = match fields.number("attention.scale")?.filter(|scale| *scale > 0.0) {
        Some(scale) => (scale * scale).recip(),
        None => ratio(by_size, 1),
    };
    config.insert("query_pre_attn_scalar".to_owned(), scalar.into());
    for (field, name) in
        [("attn_logit_softcapping", "attn_logit_softcapping"), ("final_logit_softcapping", "final_logit_softcapping")]
    {
        let cap = fields.number(name)?.filter(|cap| *cap > 0.0);
        // In the file as in llama.cpp, a missing bound is none in Gemma 3, and the model's own in Gemma 2.
        match cap {
            Some(cap) => config.insert(field.to_owned(), cap.into()),
            None if family.name == "gemma3" => config.insert(field.to_owned(), Value::Null),
            None => None,
        };
    }
    Ok(())
}

/// Rotary positions, in the form of transformers 4.
fn rope(config: &mut Map<String, Value>, shape: &Shape, fields: &Fields<'_>, tensors: &Tensors) -> Result<(), Error> {
    let embeddings = "model.embed_tokens.weight";
    let failed = |source| Error::Gguf { path: tensors.path(embeddings).to_owned(), source };
    let number = |name: &str| fields.number(name).map_err(failed);
    if let Some(theta) = number("rope.freq_base")? {
        config.insert("rope_theta".to_owned(), theta.into());
    }
    if let Some(theta) = number("rope.freq_base_swa")? {
        config.insert("rope_local_base_freq".to_owned(), theta.into());
    }
    let original = fields.size("rope.scaling.original_context_length").map_err(failed)?.unwrap_or(shape.positions);
    let factors = match tensors.numbers("rope_factors_short.weight")? {
        Some(factors) => Some(factors),
        None => tensors.numbers("rope_freqs.weight")?,
    };
    if let Some(factors) = factors {
        // Factors of their own for each frequency; those of Llama 3 are in the file as what its formula gives.
        let factor = number("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let factors: Vec<Value> = factors.iter().map(|factor| f64::from(*factor).into()).collect();
        config.insert("original_max_position_embeddings".to_owned(), original.into());
        let scaling = json!({ "rope_type": "longrope", "short_factor": factors, "attention_factor": factor });
        config.insert("rope_scaling".to_owned(), scaling);
        return Ok(());
    }
    let factor = number("rope.scaling.factor")?;
    let older = number("rope.scale_linear")?.filter(|factor| *factor != 1.0);
    let key = fields.key("rope.scaling.type");
    let scaling = match (fields.text(&key).map_err(failed)?, factor, older) {
        (None | Some("none"), _, None) => Value::Null,
        (None, _, Some(factor)) => json!({ "rope_type": "linear", "factor": factor }),
        (Some("linear"), factor, older) => json!({ "rope_type": "linear", "factor": factor.or(older).unwrap_or(1.0) }),
        (Some("yarn"), Some(factor), _) => {
            let mut scaling = json!({
                "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original,
            });
            for (field, name) in
                [("beta_fast", "rope.scaling.yarn_beta_fast"), ("beta_slow", "rope.scaling.yarn_beta_slow")]
            {
                if let Some(beta) = number(name)? {
                    scaling[field] = beta.into();
                }
            }
            let own = match number("rope.scaling.yarn_attn_factor")? {
                Some(factor) => Some(factor),
                None => number("rope.scaling.attn_factor")?,
            };
            // llama.cpp multiplies it with what YaRN has by itself.
            if let Some(own) = own.filter(|own| *own != 1.0) {
                scaling["attention_factor"] = (own * (0.1 * factor.ln() + 1.0)).into();
            }
            scaling
        }
        (other, _, _) => {
            let (value, supported) = (
                other.unwrap_or("none").to_owned(),
                "`none`, `linear`, `yarn` with a factor, or factors of their own (`rope_freqs`) are",
            );
            return Err(failed(GgufError::Unsupported { key, value, supported: supported.to_owned() }));
        }
    };
    config.insert("rope_scaling".to_owned(), scaling);
    Ok(())
}
