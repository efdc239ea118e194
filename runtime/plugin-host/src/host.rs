//! What a host does for the plugins that see records and texts. Whoever implements it holds to what is granted.

use std::future::Future;
use std::pin::Pin;

use crate::Fields;

/// Why the host does not do what a plugin asks of it. The plugin is told, and may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not granted.
    #[error("{0}")]
    NotGranted(String),
    /// What is granted is used up.
    #[error("{0}")]
    UsedUp(String),
    /// What was asked cannot be.
    #[error("{0}")]
    Wrong(String),
    /// The model failed.
    #[error("{0}")]
    Failed(String),
}

/// What is answered once a model has answered.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// One token of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Where it begins in the text, in bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

/// What tokens add in the midst of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// The bytes of each token, behind those of the one before. A special token has its name here, which it does not add.
    pub bytes: Vec<u8>,
    /// Where the bytes of each token end, by its number; a number without a token has none.
    pub ends: Vec<u32>,
    /// The special tokens, in ascending order.
    pub special: Vec<u32>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// For whoever looks closely.
    Info,
    /// Something that is hardly meant.
    Warning,
}

/// Tokenizers, and the log.
pub trait TextHost: Send + Sync {
    /// The tokens of a text, with or without special ones around it.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or fails.
    fn encode(&self, tokenizer: &str, text: &str, special: bool) -> Result<Vec<Token>, Failure>;

    /// The text of tokens.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or fails.
    fn decode(&self, tokenizer: &str, ids: &[u32], skip_special: bool) -> Result<String, Failure>;

    /// The number of a token by its name.
    ///
    /// # Errors
    /// Where the tokenizer is not granted.
    fn token_id(&self, tokenizer: &str, token: &str) -> Result<Option<u32>, Failure>;

    /// What the tokens of a vocabulary add to a text.
    ///
    /// # Errors
    /// Where the tokenizer is not granted, or its vocabulary does not say it.
    fn vocabulary(&self, tokenizer: &str) -> Result<Vocabulary, Failure>;

    /// Writes a printable note, if that is granted.
    fn log(&self, level: Level, message: &str);
}

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the model is told beforehand.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As chat templates name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// What a model goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A text, as it is.
    Text(String),
    /// A conversation.
    Chat(Vec<(Role, String)>),
}

/// A text that was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The text, without the prompt.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Whether it ended since it was as long as it might be.
    pub cut_off: bool,
    /// The logarithm of its probability.
    pub log_probability: f64,
}

/// A text that is being generated; dropping it ends that.
pub trait CompletionStream: Send {
    /// The next piece of the text; none where it has ended.
    fn next(&mut self) -> Answer<'_, Option<String>>;
}

/// All that a step may call, for one record.
pub trait StepHost: TextHost {
    /// Scores of a text or a pair, best first.
    fn classify<'a>(&'a self, model: &'a str, text: String, pair: Option<String>) -> Answer<'a, Vec<(String, f32)>>;

    /// A vector for each text.
    fn embed<'a>(&'a self, model: &'a str, texts: Vec<String>) -> Answer<'a, Vec<Vec<f32>>>;

    /// The result of a task, as JSON.
    fn run<'a>(&'a self, model: &'a str, input: Fields) -> Answer<'a, String>;

    /// Completions of a prompt.
    fn complete<'a>(&'a self, model: &'a str, prompt: Prompt, parameters: Fields) -> Answer<'a, Vec<Completion>>;

    /// One completion, piece by piece.
    fn stream<'a>(
        &'a self,
        model: &'a str,
        prompt: Prompt,
        parameters: Fields,
    ) -> Answer<'a, Box<dyn CompletionStream>>;

    /// How likely a model goes on from a prompt with each text: logarithms of probabilities.
    fn score<'a>(&'a self, model: &'a str, prompt: Prompt, continuations: Vec<String>) -> Answer<'a, Vec<f64>>;
}
