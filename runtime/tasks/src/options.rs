//! What each task can be told, with the defaults of the Hugging Face pipelines.

use runtime_diagnostics::Explain;
use runtime_generation::GenerationConfig;
use serde_json::{Map, Value};

use crate::{ParamError, Params, TaskKind};

/// The parameters of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOptions {
    /// Of text classification.
    TextClassification(TextClassification),
    /// Of zero-shot classification.
    ZeroShot(ZeroShot),
    /// Of token classification.
    TokenClassification(TokenClassification),
    /// Of question answering.
    QuestionAnswering(QuestionAnswering),
    /// Of fill-mask.
    FillMask(FillMask),
    /// Of feature extraction, which has none.
    FeatureExtraction,
    /// Of sentence embedding and similarity.
    Embedding(TaskKind, Embedding),
    /// Of reranking.
    Rerank(Rerank),
    /// Of text generation.
    Generation(Generation),
    /// Of summarization.
    Summarization(TextToText),
    /// Of translation.
    Translation(Translation),
}

impl TaskOptions {
    /// Reads the parameters of a task.
    ///
    /// # Errors
    /// Where one is unknown, of the wrong type or out of range.
    pub fn read(kind: TaskKind, given: &Map<String, Value>) -> Result<Self, ParamError> {
        let mut params = Params::new(given);
        let options = Self::ask(kind, &mut params)?;
        params.finish(kind.name())?;
        Ok(options)
    }

    /// The names of a task's parameters.
    pub fn names(kind: TaskKind) -> Vec<&'static str> {
        let none = Map::new();
        let mut params = Params::new(&none);
        // What is absent is never wrong, so that each is asked for.
        let _defaults = Self::ask(kind, &mut params);
        params.asked().to_vec()
    }

    fn ask(kind: TaskKind, params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(match kind {
            TaskKind::TextClassification => Self::TextClassification(TextClassification::read(params)?),
            TaskKind::ZeroShotClassification => Self::ZeroShot(ZeroShot::read(params)?),
            TaskKind::TokenClassification => Self::TokenClassification(TokenClassification::read(params)?),
            TaskKind::QuestionAnswering => Self::QuestionAnswering(QuestionAnswering::read(params)?),
            TaskKind::FillMask => Self::FillMask(FillMask::read(params)?),
            TaskKind::FeatureExtraction => Self::FeatureExtraction,
            TaskKind::SentenceEmbedding | TaskKind::Similarity => Self::Embedding(kind, Embedding::read(params)?),
            TaskKind::Rerank => Self::Rerank(Rerank::read(params)?),
            TaskKind::TextGeneration => Self::Generation(Generation::read(params)?),
            TaskKind::Summarization => Self::Summarization(TextToText::read(params)?),
            TaskKind::Translation => Self::Translation(Translation::read(params)?),
        })
    }
}

/// How many results are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopK {
    /// At most so many.
    Best(usize),
    /// All of them.
    All,
}

impl TopK {
    /// `null` asks for all, and so does `"all"`, since TOML knows no `null`; absent, it is `default`.
    fn read(params: &mut Params<'_>, default: Self) -> Result<Self, ParamError> {
        if params.value("top_k").is_some_and(|value| value.is_null() || value == "all") {
            return Ok(Self::All);
        }
        Ok(params.count("top_k", 1)?.map_or(default, Self::Best))
    }
}

/// What becomes of the scores of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `1 / (1 + exp(-x))` of each.
    Sigmoid,
    /// They share 1.
    Softmax,
    /// They stay as they are.
    None,
}

/// `text-classification`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextClassification {
    /// How many labels, the best first.
    pub top_k: TopK,
    /// `None`: by the model's `problem_type`.
    pub function_to_apply: Option<Function>,
}

const FUNCTIONS: &[(&str, Function)] =
    &[("sigmoid", Function::Sigmoid), ("softmax", Function::Softmax), ("none", Function::None)];

impl TextClassification {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            top_k: TopK::read(params, TopK::Best(1))?,
            function_to_apply: params.choice("function_to_apply", FUNCTIONS)?,
        })
    }
}

/// `zero-shot-classification`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeroShot {
    /// The labels, where they are the same for all inputs; otherwise the input brings them.
    pub candidate_labels: Option<Vec<String>>,
    /// With `{}` where the label goes.
    pub hypothesis_template: String,
    /// Whether labels are scored apart, so that several can be likely at once.
    pub multi_label: bool,
}

impl ZeroShot {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            candidate_labels: params.labels("candidate_labels")?,
            hypothesis_template: params.text("hypothesis_template")?.unwrap_or("This example is {}.").to_owned(),
            multi_label: params.boolean("multi_label")?.unwrap_or(false),
        })
    }
}

/// How tokens become entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Each token is told.
    None,
    /// Neighbours with the same label are one entity.
    Simple,
    /// As simple, with the label of each word's first token.
    First,
    /// As simple, with the label of each word's mean distribution.
    Average,
    /// As simple, with the label of each word's surest token.
    Max,
}

/// `token-classification`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClassification {
    /// How tokens become entities.
    pub aggregation_strategy: Aggregation,
    /// Labels that are left out.
    pub ignore_labels: Vec<String>,
    /// Tokens by which windows over a long text overlap; `None` cuts the text off instead.
    pub stride: Option<usize>,
    /// Whether the input is a list of words.
    pub is_split_into_words: bool,
    /// What stands between the words in the text that offsets count in.
    pub delimiter: String,
}

const AGGREGATIONS: &[(&str, Aggregation)] = &[
    ("none", Aggregation::None),
    ("simple", Aggregation::Simple),
    ("first", Aggregation::First),
    ("average", Aggregation::Average),
    ("max", Aggregation::Max),
];

impl TokenClassification {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        let aggregation = params.choice("aggregation_strategy", AGGREGATIONS)?;
        let stride = params.count("stride", 0)?;
        // Where neither is given the pipeline merges the windows' tokens; asked for both, it refuses.
        if stride.is_some() && aggregation == Some(Aggregation::None) {
            return Err(ParamError {
                key: "stride".to_owned(),
                message: "`stride` does not go with `aggregation_strategy` `none`".to_owned(),
                hint: Some("choose another strategy".to_owned()),
            });
        }
        Ok(Self {
            aggregation_strategy: aggregation.unwrap_or(Aggregation::None),
            ignore_labels: params.texts("ignore_labels")?.unwrap_or_else(|| vec!["O".to_owned()]),
            stride,
            is_split_into_words: params.boolean("is_split_into_words")?.unwrap_or(false),
            delimiter: params.text("delimiter")?.unwrap_or(" ").to_owned(),
        })
    }
}

/// `question-answering`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionAnswering {
    /// How many answers.
    pub top_k: usize,
    /// Tokens by which windows over a long context overlap; by default half of `max_seq_len`, at most 128.
    pub doc_stride: Option<usize>,
    /// The longest answer, in tokens.
    pub max_answer_len: usize,
    /// The longest window, in tokens; by default the model's limit, at most 384.
    pub max_seq_len: Option<usize>,
    /// Whether "no answer" is one.
    pub handle_impossible_answer: bool,
    /// Whether answers are widened to whole words.
    pub align_to_words: bool,
}

impl QuestionAnswering {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            top_k: params.count("top_k", 1)?.unwrap_or(1),
            doc_stride: params.count("doc_stride", 0)?,
            max_answer_len: params.count("max_answer_len", 1)?.unwrap_or(15),
            max_seq_len: params.count("max_seq_len", 1)?,
            handle_impossible_answer: params.boolean("handle_impossible_answer")?.unwrap_or(false),
            align_to_words: params.boolean("align_to_words")?.unwrap_or(true),
        })
    }
}

/// `fill-mask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillMask {
    /// How many words for each mask.
    pub top_k: usize,
    /// The only words to choose from.
    pub targets: Option<Vec<String>>,
}

impl FillMask {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self { top_k: params.count("top_k", 1)?.unwrap_or(5), targets: params.texts("targets")? })
    }
}

/// How the tokens of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over the tokens.
    Mean,
    /// The first token.
    Cls,
    /// The greatest of each column.
    Max,
    /// The last token.
    LastToken,
}

/// `sentence-embedding` and `similarity`. What is `None` is as the folder's sentence-transformers files say, else the
/// mean over the tokens, not normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// How the tokens become one vector.
    pub pooling: Option<Pooling>,
    /// Whether vectors are scaled to length 1; false leaves out a normalising module of the folder.
    pub normalize: Option<bool>,
    /// Numbers of each vector that are kept (Matryoshka): before `normalize`, but behind a normalising module of the
    /// folder, as sentence-transformers has it.
    pub truncate_dim: Option<usize>,
    /// The longest text, in tokens.
    pub max_seq_length: Option<usize>,
    /// A text that is put in front of each.
    pub prompt: Option<String>,
    /// The same by its name in `config_sentence_transformers.json`.
    pub prompt_name: Option<String>,
    /// Whether the folder's sentence-transformers files are followed, where it has some.
    pub sentence_transformers: bool,
}

const POOLINGS: &[(&str, Pooling)] =
    &[("mean", Pooling::Mean), ("cls", Pooling::Cls), ("max", Pooling::Max), ("last_token", Pooling::LastToken)];

impl Embedding {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            pooling: params.choice("pooling", POOLINGS)?,
            normalize: params.boolean("normalize")?,
            truncate_dim: params.count("truncate_dim", 1)?,
            max_seq_length: params.count("max_seq_length", 1)?,
            prompt: params.text("prompt")?.map(str::to_owned),
            prompt_name: params.text("prompt_name")?.map(str::to_owned),
            sentence_transformers: params.boolean("sentence_transformers")?.unwrap_or(true),
        })
    }
}

/// `rerank`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerank {
    /// How many documents, the best first.
    pub top_k: TopK,
    /// `None`: sigmoid for a single label, as sentence-transformers' `CrossEncoder` has it.
    pub function_to_apply: Option<Function>,
}

impl Rerank {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        let top_k = TopK::read(params, TopK::All)?;
        Ok(Self { top_k, function_to_apply: params.choice("function_to_apply", FUNCTIONS)? })
    }
}

/// `text-generation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Whether the result has the prompt in front.
    pub return_full_text: Option<bool>,
    /// Whether the result is tokens instead of a text.
    pub return_tensors: bool,
    /// Whether spaces before punctuation go; `None`: as the tokenizer's files say.
    pub clean_up_tokenization_spaces: Option<bool>,
    /// Parameters of `generate`, which go over the model's own. They are checked.
    pub generate: Map<String, Value>,
}

impl Generation {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            return_full_text: params.boolean("return_full_text")?,
            return_tensors: params.boolean("return_tensors")?.unwrap_or(false),
            clean_up_tokenization_spaces: params.boolean("clean_up_tokenization_spaces")?,
            generate: generate(params)?,
        })
    }
}

/// `summarization`, and what translation has in common with it.
#[derive(Clone, Debug, PartialEq)]
pub struct TextToText {
    /// What is put in front of each text; `None`: as `task_specific_params` in `config.json` says.
    pub prefix: Option<String>,
    /// Whether spaces before punctuation go; `None`: as the tokenizer's files say.
    pub clean_up_tokenization_spaces: Option<bool>,
    /// Parameters of `generate`, which go over the model's own. They are checked.
    pub generate: Map<String, Value>,
}

impl TextToText {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            prefix: params.text("prefix")?.map(str::to_owned),
            clean_up_tokenization_spaces: params.boolean("clean_up_tokenization_spaces")?,
            generate: generate(params)?,
        })
    }
}

/// `translation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The language of the texts, as the model calls it: `en` or `en_XX`.
    pub src_lang: Option<String>,
    /// The language that is wanted.
    pub tgt_lang: Option<String>,
    /// The rest.
    pub text: TextToText,
}

impl Translation {
    fn read(params: &mut Params<'_>) -> Result<Self, ParamError> {
        Ok(Self {
            src_lang: params.text("src_lang")?.map(str::to_owned),
            tgt_lang: params.text("tgt_lang")?.map(str::to_owned),
            text: TextToText::read(params)?,
        })
    }
}

/// The parameters of `generate`, checked without a model.
fn generate(params: &mut Params<'_>) -> Result<Map<String, Value>, ParamError> {
    let names = GenerationConfig::names().into_iter();
    let given: Map<String, Value> =
        names.filter_map(|name| Some((name.to_owned(), params.value(name)?.clone()))).collect();
    GenerationConfig::default().with_params(&given).map_err(|error| ParamError {
        key: match &error {
            runtime_generation::Error::Param { key, .. } => key.clone(),
            _ => String::new(),
        },
        message: error.to_string(),
        hint: error.hint(),
    })?;
    Ok(given)
}
