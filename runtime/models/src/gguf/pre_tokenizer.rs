//! How byte-level tokenizers split a text before their merges: what `tokenizer.ggml.pre` names.
//!
//! llama.cpp knows tokenizers by name (`llama-vocab.cpp`); the expressions here are those of each one's
//! `tokenizer.json`, and where only llama.cpp's are known, those. Several are applied one after the other, each to the
//! pieces of the one before.

use serde_json::{Value, json};

use super::GgufError;

/// A way to split.
pub(super) struct PreTokenizer {
    names: &'static [&'static str],
    expressions: &'static [&'static str],
    /// Whether texts are first composed (NFC).
    pub(super) composed: bool,
    /// Whether a piece that is a token is not put together from merges.
    pub(super) ignore_merges: bool,
    /// Whether a text begins with the begin token, where the file does not say it.
    pub(super) add_bos: bool,
}

const PLAIN: PreTokenizer =
    PreTokenizer { names: &[], expressions: &[], composed: false, ignore_merges: false, add_bos: false };

const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Llama 3's with so many digits at a time.
macro_rules! llama_3 {
    ($digits:literal) => {
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// Words by their capitals, those that begin in lower case and those that do not, with what may follow both.
macro_rules! by_capitals {
    ($suffix:literal, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $suffix,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $suffix,
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// The letters of cased scripts, as DeepSeek's first tokenizer lists them.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ",
    r"Ὗ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ",
    r"𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
);

static KNOWN: [PreTokenizer; 15] = [
    PreTokenizer {
        names: &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
            "gigachat",
            "mellum",
        ],
        expressions: &[GPT_2],
        ..PLAIN
    },
    PreTokenizer {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
        expressions: &[r"\p{N}", GPT_2],
        ..PLAIN
    },
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        expressions: &[llama_3!(r"\p{N}{1,3}")],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        expressions: &[llama_3!(r"\p{N}{1,3}")],
        ..PLAIN
    },
    PreTokenizer {
        names: &["qwen2", "megrez", "stablelm2"],
        expressions: &[llama_3!(r"\p{N}")],
        composed: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-r1-qwen", "hunyuan", "solar-open", "grok-2", "kormo"],
        expressions: &[llama_3!(r"\p{N}")],
        ..PLAIN
    },
    PreTokenizer {
        names: &["tekken"],
        expressions: &[by_capitals!("", r"\p{N}")],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["gpt-4o", "llama4", "kanana2", "minimax-m2"],
        expressions: &[by_capitals!(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", r"\p{N}{1,3}")],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-llm"],
        expressions: &[
            r"[\r\n]",
            DEEPSEEK_LETTERS,
            r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
            r"\s+$",
            r"[一-龥ࠀ-一가-퟿]+",
            r"\p{N}+",
        ],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        expressions: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        expressions: &[
            r"\p{N}{1,3}",
            r"[一-龥぀-ゟ゠-ヿ]+",
            concat!(
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
                r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
        ],
        ..PLAIN
    },
    PreTokenizer { names: &["falcon"], expressions: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT_2, r"[0-9][0-9][0-9]"], ..PLAIN },
    PreTokenizer {
        names: &["bloom", "gpt3-finnish", "poro-chat"],
        expressions: &[r" ?[^(\s|.,!?…。，、।۔،)]+"],
        ..PLAIN
    },
    PreTokenizer {
        names: &["seed-coder"],
        expressions: &[concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
            r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
        )],
        ..PLAIN
    },
    PreTokenizer {
        names: &["default"],
        expressions: &[r"[\p{P}\$\+<=>\^~\|]+", GPT_2, r"\p{N}+", r"[0-9][0-9][0-9]"],
        ..PLAIN
    },
];

impl PreTokenizer {
    /// What a name stands for; files from before there were names have `default`.
    pub(super) fn named(name: Option<&str>) -> Result<&'static Self, GgufError> {
        let name = name.unwrap_or("default");
        KNOWN.iter().find(|known| known.names.contains(&name)).ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
            GgufError::Unsupported {
                key: "tokenizer.ggml.pre".to_owned(),
                value: name.to_owned(),
                supported: format!("byte-level tokenizers that are known: {}", known.join(", ")),
            }
        })
    }

    /// The same as `tokenizer.json` writes it.
    pub(super) fn json(&self) -> Value {
        let split = |expression: &&str| json!({ "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false });
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
        let steps: Vec<Value> = self.expressions.iter().map(split).chain([bytes]).collect();
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tokenizers::{PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper};

    use super::*;

    #[test]
    fn every_expression_can_be_read_and_every_name_stands_for_one() {
        let mut names = HashSet::new();
        for known in &KNOWN {
            assert!(known.names.iter().all(|name| names.insert(*name)), "{:?}", known.names);
            let splitter: PreTokenizerWrapper = serde_json::from_value(known.json()).expect("it is understood");
            let mut text = PreTokenizedString::from("It's 12345 naïve\n\n  cafés, 数字２ x");
            splitter.pre_tokenize(&mut text).expect("it splits");
        }
        assert!(PreTokenizer::named(Some("of-tomorrow")).is_err());
    }
}
