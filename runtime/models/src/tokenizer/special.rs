//! Tokens with a role, as the files beside `tokenizer.json` name them.

use serde_json::Value;

use super::Tokenizer;

/// What a special token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `unk_token`
    Unknown,
    /// `mask_token`
    Mask,
    /// `pad_token`
    Padding,
    /// `bos_token`
    Begin,
    /// `eos_token`
    End,
    /// `cls_token`
    Class,
    /// `sep_token`
    Separator,
}

impl Special {
    /// Its field in `tokenizer_config.json` and `special_tokens_map.json`.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Unknown => "unk_token",
            Self::Mask => "mask_token",
            Self::Padding => "pad_token",
            Self::Begin => "bos_token",
            Self::End => "eos_token",
            Self::Class => "cls_token",
            Self::Separator => "sep_token",
        }
    }

    pub(super) const ALL: [Self; 7] =
        [Self::Unknown, Self::Mask, Self::Padding, Self::Begin, Self::End, Self::Class, Self::Separator];
}

impl Tokenizer {
    /// The id of the token with a role, where there is such a token.
    pub fn special(&self, role: Special) -> Option<u32> {
        self.roles.iter().find(|(named, _)| *named == role).map(|(_, id)| *id)
    }
}

/// A token as these files write it: a text, or an object with its `content`.
pub(super) fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}
