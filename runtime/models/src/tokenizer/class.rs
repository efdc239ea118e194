//! What the tokenizer classes of transformers assume where no file says it: special tokens, token types, sides.

use serde_json::Value;

use super::{Side, Special};

/// A tokenizer class of transformers, by what concerns this program.
#[derive(Debug)]
pub(super) struct Class {
    name: String,
    tokens: Option<&'static Tokens>,
}

/// The special tokens that a class names, in the order of [`ROLES`]; empty where it names none.
struct Tokens([&'static str; 7]);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

const ROLES: [Special; 7] = [
    Special::Unknown,
    Special::Begin,
    Special::End,
    Special::Class,
    Special::Separator,
    Special::Padding,
    Special::Mask,
];

const BERT: Tokens = Tokens(["[UNK]", "", "", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]);
const DEBERTA: Tokens = Tokens(["[UNK]", "[CLS]", "[SEP]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]);
const ROBERTA: Tokens = Tokens(["<unk>", "<s>", "</s>", "<s>", "</s>", "<pad>", "<mask>"]);
const MPNET: Tokens = Tokens(["[UNK]", "<s>", "</s>", "<s>", "</s>", "<pad>", "<mask>"]);
const ALBERT: Tokens = Tokens(["<unk>", "[CLS]", "[SEP]", "[CLS]", "[SEP]", "<pad>", "[MASK]"]);
const BIG_BIRD: Tokens = Tokens(["<unk>", "<s>", "</s>", "[CLS]", "[SEP]", "<pad>", "[MASK]"]);
const XLNET: Tokens = Tokens(["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"]);
const T5: Tokens = Tokens(["<unk>", "", "</s>", "", "", "<pad>", ""]);
const PEGASUS: Tokens = Tokens(["<unk>", "", "</s>", "", "", "<pad>", "<mask_2>"]);
const GPT2: Tokens = Tokens(["<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", "", "", ""]);
const GPT_NEOX: Tokens = Tokens(["<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", "", "<|padding|>", ""]);
const QWEN2: Tokens = Tokens(["<|endoftext|>", "", "<|endoftext|>", "", "", "<|endoftext|>", ""]);
const LLAMA: Tokens = Tokens(["<unk>", "<s>", "</s>", "", "", "", ""]);
const GEMMA: Tokens = Tokens(["<unk>", "<bos>", "<eos>", "", "", "<pad>", "<mask>"]);

/// The tokens of a class, by its name without `Tokenizer`.
fn tokens(name: &str) -> Option<&'static Tokens> {
    Some(match name {
        "Bert" | "ConvBert" | "DistilBert" | "Electra" | "LayoutLM" | "LayoutLMv2" | "Lxmert" | "MobileBert"
        | "RoFormer" | "Splinter" | "SqueezeBert" => &BERT,
        "Deberta" | "DebertaV2" => &DEBERTA,
        "Barthez" | "Bart" | "Blenderbot" | "Camembert" | "LED" | "LayoutLMv3" | "Longformer" | "Luke" | "MBart"
        | "MarkupLM" | "Mvp" | "Nllb" | "Roberta" | "XLMRoberta" => &ROBERTA,
        "MPNet" => &MPNET,
        "Albert" | "FNet" | "RemBert" => &ALBERT,
        "BigBird" => &BIG_BIRD,
        "Funnel" | "XLNet" => &XLNET,
        "T5" => &T5,
        "Pegasus" => &PEGASUS,
        "GPT2" | "Whisper" => &GPT2,
        "GPTNeoX" => &GPT_NEOX,
        "Qwen2" => &QWEN2,
        "CodeLlama" | "Llama" => &LLAMA,
        "Gemma" => &GEMMA,
        _ => return None,
    })
}

/// Values of `model_type` for which transformers uses its general class, whatever the files name.
const GENERIC: [&str; 21] = [
    "glm4",
    "granite",
    "internlm2",
    "jamba",
    "minicpm3",
    "ministral",
    "ministral3",
    "mistral",
    "mistral3",
    "mixtral",
    "modernbert",
    "modernbert-decoder",
    "nemotron",
    "nystromformer",
    "olmo2",
    "olmo3",
    "phi3",
    "phimoe",
    "stablelm",
    "umt5",
    "xlm-roberta-xl",
];

/// The class that transformers registers for a `model_type`, without `Tokenizer`.
fn of_model(model_type: &str) -> &'static str {
    match model_type {
        "bert" | "convbert" | "distilbert" | "electra" | "ernie" | "layoutlm" | "lxmert" | "megatron-bert"
        | "mobilebert" | "nomic_bert" | "squeezebert" => "Bert",
        "albert" | "yoso" => "Albert",
        "bart" | "bridgetower" | "data2vec-text" | "ibert" | "led" | "longformer" | "mra" | "roberta" => "Roberta",
        "big_bird" => "BigBird",
        "camembert" => "Camembert",
        "deberta" => "Deberta",
        "deberta-v2" => "DebertaV2",
        "fnet" => "FNet",
        "funnel" => "Funnel",
        "gemma" | "gemma2" | "gemma3" | "gemma3_text" => "Gemma",
        "gpt2" => "GPT2",
        "mpnet" => "MPNet",
        "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => "Qwen2",
        "rembert" => "RemBert",
        "roformer" => "RoFormer",
        "t5" | "mt5" => "T5",
        "xlm-roberta" | "xmod" => "XLMRoberta",
        "xlnet" => "XLNet",
        _ => "",
    }
}

impl Class {
    /// The class that `tokenizer_config.json` names, else `config.json`, else the one of the `model_type`.
    pub(super) fn of(config: &Value, model: &Value) -> Self {
        let model_type = model["model_type"].as_str().unwrap_or_default();
        let named = [config, model].into_iter().find_map(|file| file["tokenizer_class"].as_str());
        let name = named.unwrap_or_else(|| of_model(model_type));
        let name = name.strip_suffix("Fast").unwrap_or(name);
        let name = name.strip_suffix("Tokenizer").unwrap_or(name);
        let name = if GENERIC.contains(&model_type) { "PreTrained" } else { name };
        Self { name: name.to_owned(), tokens: tokens(name) }
    }

    /// The token for a role.
    pub(super) fn token(&self, role: Special) -> Option<&'static str> {
        let tokens = ROLES.into_iter().zip(self.tokens?.0);
        tokens.filter(|(named, token)| *named == role && !token.is_empty()).map(|(_, token)| token).next()
    }

    /// Whether its `model_input_names` have `token_type_ids`.
    pub(super) fn token_types(&self) -> bool {
        let with = [
            "Bert",
            "Canine",
            "ConvBert",
            "DPRQuestionEncoder",
            "DPRContextEncoder",
            "Deberta",
            "DebertaV2",
            "Electra",
            "FNet",
            "LayoutLM",
            "LayoutLMv2",
            "Lxmert",
            "MarkupLM",
            "MobileBert",
            "SqueezeBert",
            "Tapas",
        ];
        with.contains(&self.name.as_str())
    }

    /// Its `padding_side`.
    pub(super) fn padding_side(&self) -> Side {
        let left = ["CodeLlama", "Cohere", "Gemma", "Llama", "XLNet"];
        if left.contains(&self.name.as_str()) { Side::Left } else { Side::Right }
    }

    /// Whether it makes the normalizer of BERT from its arguments, whatever `tokenizer.json` has.
    pub(super) fn normalizes_as_bert(&self) -> bool {
        let as_bert = [
            "Bert",
            "ConvBert",
            "DistilBert",
            "Electra",
            "Funnel",
            "LayoutLM",
            "Lxmert",
            "MPNet",
            "MobileBert",
            "SqueezeBert",
        ];
        as_bert.contains(&self.name.as_str())
    }

    /// Whether it makes normalizer, pre-tokenizer and decoder of Llama's first tokenizers, whatever `tokenizer.json` has.
    pub(super) fn splits_as_llama(&self) -> bool {
        self.name == "Llama"
    }

    /// Whether it sets `add_prefix_space`, whatever `tokenizer.json` has.
    pub(super) fn sets_prefix_space(&self) -> bool {
        ["Bart", "GPT2", "LED", "Longformer", "Mvp", "Roberta"].contains(&self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tokenizer_config_names_the_class_then_the_model() {
        let class = |config: Value, model: Value| Class::of(&config, &model);
        let electra = class(json!({"tokenizer_class": "ElectraTokenizerFast"}), json!({"model_type": "roberta"}));
        assert_eq!((electra.token(Special::Class), electra.token_types()), (Some("[CLS]"), true));
        let roberta = class(json!({}), json!({"model_type": "roberta"}));
        assert_eq!((roberta.token(Special::Class), roberta.token_types()), (Some("<s>"), false));
        let mistral = class(json!({"tokenizer_class": "LlamaTokenizer"}), json!({"model_type": "mistral"}));
        assert_eq!((mistral.token(Special::Begin), mistral.padding_side()), (None, Side::Right));
        let none = class(Value::Null, Value::Null);
        assert_eq!((none.token(Special::Unknown), none.token_types()), (None, false));
    }
}
