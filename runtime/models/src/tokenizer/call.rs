//! Calls as Python makes them: arguments of `tokenizer(...)` and `tokenizer.batch_decode(...)` by name, results as JSON
//! in the form of recorded cases (tasks `tokenize` and `detokenize`).

use serde_json::{Map, Value, json};

use super::{EncodeOptions, Encoding, PadOptions, Padding, Side, Text, Tokenizer, Truncation};
use crate::Error;

/// Arguments by name.
pub type Arguments = Map<String, Value>;

/// `tokenizer(text, text_pair, ...)` with offsets and masks: `encodings`, and with `return_overflowing_tokens` the
/// `overflow_to_sample_mapping`.
///
/// # Errors
/// Where transformers fails too: arguments of a wrong kind or that do not go together, texts that cannot be cut as they
/// say.
pub fn tokenize_call(tokenizer: &Tokenizer, params: &Arguments, input: &Arguments) -> Result<Value, Error> {
    let (options, padding) = options(tokenizer, params)?;
    let overflow = flag(params, "return_overflowing_tokens")?.unwrap_or(false);
    let mut batch = Vec::new();
    for (text, pair) in inputs(input, flag(params, "is_split_into_words")?.unwrap_or(false))? {
        let (text, pair) = (text.borrow(), pair.as_ref().map(Written::borrow));
        batch.push(if overflow {
            tokenizer.encode(text, pair, &options)?
        } else {
            vec![tokenizer.encode_first(text, pair, &options)?]
        });
    }
    tokenizer.pad(&mut batch, &padding)?;
    let types = flag(params, "return_token_type_ids")?.unwrap_or_else(|| tokenizer.takes_token_types());
    let encodings: Vec<Value> = batch.iter().flatten().map(|encoding| record(encoding, types)).collect();
    let mut result = json!({ "encodings": encodings });
    if overflow {
        let samples = batch.iter().enumerate().flat_map(|(sample, windows)| std::iter::repeat_n(sample, windows.len()));
        result["overflow_to_sample_mapping"] = samples.collect();
    }
    Ok(result)
}

/// `tokenizer.decode` of each list of `ids`: `texts`.
///
/// # Errors
/// Where arguments are of a wrong kind, or the tokens cannot be made a text.
pub fn detokenize_call(tokenizer: &Tokenizer, params: &Arguments, input: &Arguments) -> Result<Value, Error> {
    let skip = flag(params, "skip_special_tokens")?.unwrap_or(false);
    let clean_up = flag(params, "clean_up_tokenization_spaces")?;
    let mut texts = Vec::new();
    for ids in given(input, "ids").and_then(Value::as_array).ok_or_else(|| wrong(input, "ids", LISTS_OF_IDS))? {
        let ids = ids.as_array().map(|ids| ids.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect());
        let ids: Vec<u32> = ids.flatten().ok_or_else(|| wrong(input, "ids", LISTS_OF_IDS))?;
        texts.push(tokenizer.decode(&ids, skip, clean_up)?);
    }
    Ok(json!({ "texts": texts }))
}

const LISTS_OF_IDS: &str = "lists of ids";

/// How texts are encoded and padded, as transformers understands the arguments.
fn options(tokenizer: &Tokenizer, params: &Arguments) -> Result<(EncodeOptions, PadOptions), Error> {
    let mut max_length = number(params, "max_length")?;
    let padding = match params.get("padding") {
        None | Some(Value::Bool(false)) => "do_not_pad",
        Some(Value::Bool(true)) => "longest",
        Some(value) => value.as_str().unwrap_or_default(),
    };
    let truncation = match given(params, "truncation") {
        // A length alone asks for truncation.
        None if max_length.is_some() && matches!(params.get("padding"), None | Some(Value::Bool(false))) => {
            "longest_first"
        }
        None | Some(Value::Bool(false)) => "do_not_truncate",
        Some(Value::Bool(true)) => "longest_first",
        Some(value) => value.as_str().unwrap_or_default(),
    };
    let truncation = match truncation {
        "do_not_truncate" => Truncation::None,
        "longest_first" => Truncation::LongestFirst,
        "only_first" => Truncation::OnlyFirst,
        "only_second" => Truncation::OnlySecond,
        _ => return Err(wrong(params, "truncation", "a boolean, `longest_first`, `only_first` or `only_second`")),
    };
    max_length = max_length.or(tokenizer.max_length());
    let padding = match (padding, max_length) {
        ("do_not_pad", _) | ("max_length", None) => Padding::None,
        ("longest", _) => Padding::Longest,
        ("max_length", Some(length)) => Padding::Length(length),
        _ => return Err(wrong(params, "padding", "a boolean, `longest` or `max_length`")),
    };
    let multiple_of = number(params, "pad_to_multiple_of")?;
    if let (Some(length), Some(multiple)) = (max_length, multiple_of)
        && truncation != Truncation::None
        && padding != Padding::None
        && (multiple == 0 || length % multiple != 0)
    {
        return Err(wrong(params, "pad_to_multiple_of", &format!("a divisor of `max_length`, {length}")));
    }
    let options = EncodeOptions {
        special_tokens: flag(params, "add_special_tokens")?.unwrap_or(true),
        truncation,
        max_length,
        stride: number(params, "stride")?.unwrap_or(0),
        truncation_side: side(params, "truncation_side")?,
    };
    Ok((options, PadOptions { padding, multiple_of, side: side(params, "padding_side")? }))
}

/// A text of the input.
enum Written {
    Whole(String),
    Words(Vec<String>),
}

impl Written {
    fn borrow(&self) -> Text<'_> {
        match self {
            Self::Whole(text) => Text::Whole(text),
            Self::Words(words) => Text::Words(words),
        }
    }

    fn read(value: &Value, in_words: bool) -> Option<Self> {
        if !in_words {
            return value.as_str().map(|text| Self::Whole(text.to_owned()));
        }
        let words = value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>();
        words.map(Self::Words)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_empty(),
            Self::Words(words) => words.is_empty(),
        }
    }
}

/// The texts, each with its pair.
fn inputs(input: &Arguments, in_words: bool) -> Result<Vec<(Written, Option<Written>)>, Error> {
    let text = given(input, "text").ok_or_else(|| wrong(input, "text", "a text or a list of texts"))?;
    let pair = given(input, "text_pair");
    let expected = if in_words { "words or a list of those" } else { "a text or a list of texts" };
    let read = |value: &Value, name| Written::read(value, in_words).ok_or_else(|| wrong(input, name, expected));
    let batch = text.as_array().filter(|texts| !in_words || texts.first().is_some_and(Value::is_array));
    let Some(texts) = batch else {
        // A single empty pair counts as none, unlike one in a list.
        let pair = pair.map(|pair| read(pair, "text_pair")).transpose()?.filter(|pair| !pair.is_empty());
        return Ok(vec![(read(text, "text")?, pair)]);
    };
    if texts.is_empty() {
        return Err(wrong(input, "text", "one text at least"));
    }
    let pairs = pair.map(|pairs| pairs.as_array().filter(|pairs| pairs.len() == texts.len()));
    let Some(pairs) = pairs.map_or(Some(None), |pairs| pairs.map(Some)) else {
        return Err(wrong(input, "text_pair", "a list as long as `text`"));
    };
    let pair = |at: usize| pairs.map(|pairs| read(&pairs[at], "text_pair")).transpose();
    texts.iter().enumerate().map(|(at, text)| Ok((read(text, "text")?, pair(at)?))).collect()
}

fn record(encoding: &Encoding, types: bool) -> Value {
    let mask = |flags: &[bool]| flags.iter().map(|flag| u8::from(*flag)).collect::<Vec<_>>();
    let mut record = json!({
        "input_ids": encoding.token_ids,
        "attention_mask": mask(&encoding.attention),
        "special_tokens_mask": mask(&encoding.special),
        "offset_mapping": encoding.offsets,
        "tokens": encoding.tokens,
        "word_ids": encoding.words,
        "sequence_ids": encoding.sequences,
    });
    if types {
        record["token_type_ids"] = encoding.token_types.clone().into();
    }
    record
}

/// An argument that is there and not null, which Python takes for its absence.
fn given<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a Value> {
    arguments.get(name).filter(|value| !value.is_null())
}

fn flag(arguments: &Arguments, name: &'static str) -> Result<Option<bool>, Error> {
    let flag = |value: &Value| value.as_bool().ok_or_else(|| wrong(arguments, name, "true or false"));
    given(arguments, name).map(flag).transpose()
}

fn number(arguments: &Arguments, name: &'static str) -> Result<Option<usize>, Error> {
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let number = |value| number(value).ok_or_else(|| wrong(arguments, name, "a whole number, not negative"));
    given(arguments, name).map(number).transpose()
}

fn side(arguments: &Arguments, name: &'static str) -> Result<Option<Side>, Error> {
    given(arguments, name)
        .map(|value| Side::read(value).ok_or_else(|| wrong(arguments, name, "`left` or `right`")))
        .transpose()
}

fn wrong(arguments: &Arguments, name: &'static str, expected: &str) -> Error {
    let found = arguments.get(name).map_or_else(|| "nothing".to_owned(), |value| short(&value.to_string()));
    Error::Argument { name, expected: expected.to_owned(), found }
}

/// The beginning of what may be a long text.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}
