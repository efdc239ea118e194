//! The tokens of a model, their kinds and scores.

use super::{Fields, GgufError};

/// What a token is (`llama_token_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// The tokens of a model, by their ids.
pub(super) struct Vocabulary<'a> {
    tokens: &'a [String],
    kinds: &'a [i64],
    /// How likely each is, where the file says it.
    scores: &'a [f64],
}

impl<'a> Vocabulary<'a> {
    pub(super) fn read(fields: &Fields<'a>) -> Result<Self, GgufError> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        let tokens = fields.texts(TOKENS)?.ok_or_else(|| GgufError::Missing { key: TOKENS.to_owned() })?;
        let kinds = fields.integers("tokenizer.ggml.token_type")?.unwrap_or_default();
        let scores = fields.floats("tokenizer.ggml.scores")?.unwrap_or_default();
        let lists = [("tokenizer.ggml.token_type", kinds.len()), ("tokenizer.ggml.scores", scores.len())];
        if let Some((key, length)) = lists.into_iter().find(|(_, length)| ![0, tokens.len()].contains(length)) {
            let expected = format!("a list of {}, as there are tokens", tokens.len());
            let found = format!("one of {length}");
            return Err(GgufError::Wrong { key: key.to_owned(), expected, found });
        }
        Ok(Self { tokens, kinds, scores })
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = (u32, &'a str)> {
        (0u32..).zip(self.tokens.iter().map(String::as_str))
    }

    pub(super) fn token(&self, id: u32) -> Option<&'a str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// The first id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.tokens().find(|(_, known)| *known == token).map(|(id, _)| id)
    }

    pub(super) fn kind(&self, id: u32) -> Kind {
        match self.kinds.get(id as usize) {
            Some(2) => Kind::Unknown,
            Some(3) => Kind::Control,
            Some(4) => Kind::UserDefined,
            Some(5) => Kind::Unused,
            Some(6) => Kind::Byte,
            _ => Kind::Normal,
        }
    }

    /// 0 where there is none.
    pub(super) fn score(&self, id: u32) -> f64 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }
}
