//! The parts of `adapter_config.json` that matter once an adapter is trained.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// What it says.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) base_model: Option<String>,
    alpha: f64,
    rslora: bool,
    /// Other alphas, by the modules that they are of; the first that fits holds.
    alphas: Vec<(Regex, f64)>,
    /// Ids of tokens whose rows the adapter brings, by the modules that hold the table.
    tokens: Vec<(String, Vec<usize>)>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    peft_type: String,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    alpha_pattern: Option<Map<String, Value>>,
    base_model_name_or_path: Option<String>,
    trainable_token_indices: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What changes how an adapter acts, and is not done here.
const UNKNOWN: [&str; 9] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

/// Beginnings that change the model's own weights before they are trained.
const CHANGES_BASE: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

impl Settings {
    pub(super) fn read(settings: Value, path: &Path) -> Result<Self, Error> {
        let not_json = |source| Error::Json { path: path.to_owned(), source };
        let refused = |reason: String| Err(Error::Adapter { path: path.to_owned(), reason });
        let raw: Raw = serde_json::from_value(settings).map_err(not_json)?;
        if raw.peft_type != "LORA" {
            return refused(format!("its `peft_type` is `{}`, and only LORA is known", raw.peft_type));
        }
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        };
        if let Some(key) = UNKNOWN.iter().find(|key| raw.others.get(**key).is_some_and(is_set)) {
            return refused(format!("it has `{key}`, which is not known here"));
        }
        if let Some(Value::String(how)) = raw.others.get("init_lora_weights")
            && CHANGES_BASE.iter().any(|name| how.starts_with(name))
        {
            return refused(format!(
                "its training began by changing the model's own weights (`init_lora_weights` is `{how}`); save it with \
                 `path_initial_model_for_weight_conversion` in PEFT, which makes a plain one of it"
            ));
        }
        let mut alphas = Vec::new();
        for (pattern, alpha) in raw.alpha_pattern.unwrap_or_default() {
            // As `get_pattern_key` of PEFT has it.
            match (Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$")), alpha.as_f64()) {
                (Ok(regex), Some(alpha)) => alphas.push((regex, alpha)),
                _ => return refused(format!("`{pattern}: {alpha}` in `alpha_pattern` cannot be used")),
            }
        }
        let tokens = match raw.trainable_token_indices {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(ids)) => vec![("embed_tokens".to_owned(), indices(ids.into(), path)?)],
            Some(Value::Object(tables)) => {
                let tables = tables.into_iter().map(|(table, ids)| Ok((table, indices(ids, path)?)));
                tables.collect::<Result<_, Error>>()?
            }
            Some(other) => return refused(format!("`trainable_token_indices` is {other}")),
        };
        let Raw { lora_alpha: alpha, use_rslora: rslora, base_model_name_or_path: base_model, .. } = raw;
        Ok(Self { base_model, alpha, rslora, alphas, tokens })
    }

    /// The factor of a module's matrices, of rank `rank`.
    pub(super) fn scale(&self, module: &str, rank: usize) -> f64 {
        let own = self.alphas.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, alpha)| *alpha);
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = rank as f64;
        own.unwrap_or(self.alpha) / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The tokens whose rows of a module's table the adapter brings.
    pub(super) fn tokens(&self, module: &str) -> &[usize] {
        let of = |table: &str| module == table || module.ends_with(&format!(".{table}"));
        self.tokens.iter().find(|(table, _)| of(table)).map_or(&[], |(_, ids)| ids)
    }
}

fn indices(ids: Value, path: &Path) -> Result<Vec<usize>, Error> {
    serde_json::from_value(ids).map_err(|source| Error::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(more: Value) -> Result<Settings, String> {
        let mut settings = json!({"peft_type": "LORA", "lora_alpha": 6, "r": 4});
        let Value::Object(more) = more else { unreachable!("the fields of an object") };
        settings.as_object_mut().expect("an object").extend(more);
        Settings::read(settings, Path::new("a")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_pattern_that_ends_in_the_module_has_its_alpha() {
        let settings = read(json!({"use_rslora": true, "alpha_pattern": {
            "q_proj": 8, r"layers\.1\.mlp\.(up|down)_proj": 2, "up_proj": 10,
        }}));
        let settings = settings.expect("settings");
        for (module, scale) in [
            ("model.layers.0.self_attn.q_proj", 4.0),
            ("q_proj", 4.0),
            ("model.layers.0.self_attn.my_q_proj", 3.0),
            ("model.layers.1.mlp.up_proj", 1.0),
            ("model.layers.0.mlp.up_proj", 5.0),
            ("model.layers.0.mlp.down_proj", 3.0),
        ] {
            assert_eq!(settings.scale(module, 4), scale, "{module}");
        }
    }

    #[test]
    fn what_acts_in_another_way_is_refused() {
        for (more, part) in [
            (json!({"peft_type": "IA3"}), "only LORA"),
            (json!({"layer_replication": [[0, 4], [2, 5]]}), "`layer_replication`"),
            (json!({"target_parameters": ["experts.gate_up_proj"]}), "`target_parameters`"),
            (json!({"init_lora_weights": "pissa_niter_4"}), "path_initial_model_for_weight_conversion"),
            (json!({"alpha_pattern": {"(": 1}}), "`alpha_pattern`"),
        ] {
            let error = read(more).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        let plain =
            json!({"layer_replication": null, "use_qalora": false, "target_parameters": [], "velora_config": null});
        assert!(read(plain).is_ok() && read(json!({"init_lora_weights": "gaussian"})).is_ok());
        let settings = read(json!({"trainable_token_indices": {"wte": [3, 1]}})).expect("settings");
        assert_eq!(settings.tokens("transformer.wte"), [3, 1]);
        assert_eq!(settings.tokens("transformer.other_wte"), [0_usize; 0]);
    }
}
