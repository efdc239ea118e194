//! Where special tokens stand around a text or a pair, read off from what the post-processor makes of two words.
//!
//! The library puts sequences together from whole encodings. A caller that needs ids alone has them copied to their
//! places here instead.

use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper, Token};

use super::Sequence;

/// The places of a sequence, each with its token type.
#[derive(Debug)]
pub(super) struct Template(Vec<(Place, u32)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Special(u32),
    Text,
    Pair,
}

impl Template {
    /// What the processor does with one text, or with a pair.
    pub(super) fn learn(processor: &PostProcessorWrapper, pair: bool) -> tokenizers::Result<Self> {
        let run = |text: &[u32], second: &[u32]| {
            processor.process(encoding(text, Place::Text), pair.then(|| encoding(second, Place::Pair)), true)
        };
        let shown = run(&[0], &[0])?;
        let tokens = shown.get_ids().iter().zip(shown.get_type_ids()).zip(shown.get_word_ids());
        let place = |id: u32, word: Option<u32>| match word {
            Some(TEXT) => Place::Text,
            Some(_) => Place::Pair,
            None => Place::Special(id),
        };
        let template = Self(tokens.map(|((id, token_type), word)| (place(*id, *word), *token_type)).collect());
        // No processor of the library's depends on the tokens themselves; one that did would be found out here.
        let (text, second): (&[u32], &[u32]) = (&[1, 2], if pair { &[3, 4, 5] } else { &[] });
        let (library, own) = (run(text, second)?, template.fill(text, second));
        if library.get_ids() != own.token_ids || library.get_type_ids() != own.token_types {
            return Err("the post-processor does more than to put special tokens around the text".into());
        }
        Ok(template)
    }

    /// How many special tokens there are.
    pub(super) fn added(&self) -> usize {
        self.0.iter().filter(|(place, _)| matches!(place, Place::Special(_))).count()
    }

    /// The highest id among the special tokens.
    pub(super) fn highest(&self) -> Option<u32> {
        let special = |(place, _): &(Place, u32)| if let Place::Special(id) = place { Some(*id) } else { None };
        self.0.iter().filter_map(special).max()
    }

    /// The sequence of these tokens.
    pub(super) fn fill(&self, text: &[u32], pair: &[u32]) -> Sequence {
        let length = self.added() + text.len() + pair.len();
        let (mut token_ids, mut token_types) = (Vec::with_capacity(length), Vec::with_capacity(length));
        for (place, token_type) in &self.0 {
            match place {
                Place::Special(id) => token_ids.push(*id),
                Place::Text => token_ids.extend_from_slice(text),
                Place::Pair => token_ids.extend_from_slice(pair),
            }
            token_types.resize(token_ids.len(), *token_type);
        }
        Sequence { token_ids, token_types, rows: Vec::new() }
    }
}

/// The word that marks the tokens of the text; special tokens are of no word.
const TEXT: u32 = 0;

fn encoding(ids: &[u32], place: Place) -> Encoding {
    let token = |id: &u32| Token::new(*id, String::new(), (0, 0));
    let mut encoding = Encoding::from_tokens(ids.iter().map(token).collect(), 0);
    let word = if place == Place::Text { TEXT } else { TEXT + 1 };
    encoding.get_word_ids_mut().fill(Some(word));
    encoding
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_put_together_as_by_every_processor_of_the_library() {
        let token = |id: u32| json!({"id": id.to_string(), "ids": [id, id + 1], "tokens": ["a", "b"]});
        let template = json!({
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 3}}, {"SpecialToken": {"id": "7", "type_id": 1}}],
            "pair": [
                {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "9", "type_id": 2}},
                {"Sequence": {"id": "A", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 4}},
            ],
            "special_tokens": {"7": token(7), "9": token(9)},
        });
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        let bert = json!({"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]});
        let roberta = json!({
            "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true,
            "add_prefix_space": true,
        });
        let sequence = json!({"type": "Sequence", "processors": [byte_level, template]});
        for processor in [template, byte_level, bert, roberta, sequence] {
            let processor: PostProcessorWrapper = serde_json::from_value(processor).expect("a processor");
            for lengths in [(0, None), (3, None), (0, Some(0)), (4, Some(1)), (1, Some(4))] {
                let text: Vec<u32> = (1000..).take(lengths.0).collect();
                let pair: Option<Vec<u32>> = lengths.1.map(|length| (2000..).take(length).collect());
                let template = Template::learn(&processor, pair.is_some()).expect("a template");
                let own = template.fill(&text, pair.as_deref().unwrap_or_default());
                let second = pair.as_deref().map(|pair| encoding(pair, Place::Pair));
                let library = processor.process(encoding(&text, Place::Text), second, true).expect("an encoding");
                assert_eq!(own.token_ids, library.get_ids(), "{processor:?}");
                assert_eq!(own.token_types, library.get_type_ids(), "{processor:?}");
            }
        }
    }
}
