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
    r"\s?[",
    r"\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}",
    r"\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}-\x{377}\x{37B}-\x{37D}\x{37F}\x{386}",
    r"\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}",
    r"\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}",
    r"\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}",
    r"\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}",
    r"\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}",
    r"\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}",
    r"\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}",
    r"\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}-\x{2184}\x{2C00}-\x{2C7B}",
    r"\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}-\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}",
    r"\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}",
    r"\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}",
    r"\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}",
    r"]+"
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
