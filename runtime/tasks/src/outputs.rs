//! What a pipeline step of each task puts out: single values and lists with names, taken from the task's result. CSV has
//! them as its columns.

use serde_json::Value;

use crate::TaskKind;

/// What an output holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A list.
    List,
}

/// An output's name and type.
pub type TaskOutput = (&'static str, OutputType);

impl TaskKind {
    /// The outputs of a step. Each may be null where the result has none of it, as a text without an entity.
    pub fn outputs(self) -> &'static [TaskOutput] {
        use OutputType::{List, Number, Text};
        match self {
            Self::TextClassification | Self::ZeroShotClassification => {
                &[("label", Text), ("score", Number), ("labels", List), ("scores", List)]
            }
            Self::TokenClassification => &[("entities", List), ("words", List), ("labels", List)],
            Self::QuestionAnswering => {
                &[("answer", Text), ("score", Number), ("start", Number), ("end", Number), ("answers", List)]
            }
            Self::FillMask => &[("sequence", Text), ("token", Text), ("score", Number), ("candidates", List)],
            Self::FeatureExtraction => &[("features", List)],
            Self::SentenceEmbedding => &[("embedding", List)],
            Self::Similarity => &[("score", Number)],
            Self::Rerank => &[("best", Text), ("score", Number), ("ranking", List)],
            Self::TextGeneration => &[("text", Text), ("texts", List)],
            Self::Summarization => &[("summary", Text), ("summaries", List)],
            Self::Translation => &[("translation", Text), ("translations", List)],
        }
    }

    /// The values of [`outputs`](Self::outputs), in their order, from the task's result for one input.
    pub fn output_values(self, result: &Value) -> Vec<Value> {
        match self {
            Self::TextClassification => {
                let found = items(result);
                let (labels, scores) = (column(found, "label"), column(found, "score"));
                vec![first(&labels), first(&scores), Value::Array(labels), Value::Array(scores)]
            }
            Self::ZeroShotClassification => {
                let result = items(result).first().unwrap_or(result);
                let list = |name: &str| items(&result[name]).to_vec();
                let (labels, scores) = (list("labels"), list("scores"));
                vec![first(&labels), first(&scores), Value::Array(labels), Value::Array(scores)]
            }
            Self::TokenClassification => {
                // Of a text that comes as words, the entities are a list within a list.
                let found = items(result);
                let found = found.first().filter(|first| first.is_array()).map_or(found, items);
                let grouped = found.first().is_none_or(|entity| entity.get("entity_group").is_some());
                let label = if grouped { "entity_group" } else { "entity" };
                vec![found.into(), column(found, "word").into(), column(found, label).into()]
            }
            Self::QuestionAnswering => {
                let found = if result.is_array() { items(result) } else { std::slice::from_ref(result) };
                let of_best = |name: &str| found.first().map_or(Value::Null, |best| best[name].clone());
                vec![of_best("answer"), of_best("score"), of_best("start"), of_best("end"), found.into()]
            }
            Self::FillMask => {
                // Of several masks, the first.
                let found = items(result);
                let masks = found.first().filter(|first| first.is_array());
                let best = masks.map_or(found, items).first();
                let of_best = |name: &str| best.map_or(Value::Null, |best| best[name].clone());
                vec![of_best("sequence"), of_best("token_str"), of_best("score"), result.clone()]
            }
            Self::FeatureExtraction | Self::SentenceEmbedding | Self::Similarity => vec![result.clone()],
            Self::Rerank => {
                let best = |name: &str| items(result).first().map_or(Value::Null, |best| best[name].clone());
                vec![best("text"), best("score"), result.clone()]
            }
            Self::TextGeneration | Self::Summarization | Self::Translation => {
                let field = match self {
                    Self::Summarization => "summary_text",
                    Self::Translation => "translation_text",
                    _ => "generated_text",
                };
                let texts = column(items(result), field);
                vec![first(&texts), Value::Array(texts)]
            }
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn column(items: &[Value], name: &str) -> Vec<Value> {
    items.iter().map(|item| item[name].clone()).collect()
}

fn first(items: &[Value]) -> Value {
    items.first().cloned().unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A result of each task, in the form of the Hugging Face pipeline, and what a step makes of it.
    #[test]
    fn each_output_comes_from_its_place_in_the_result_and_has_its_type() {
        let entity = json!({"entity_group": "PER", "score": 0.9, "word": "Ada", "start": 0, "end": 3});
        let token = json!({"entity": "B-PER", "score": 0.9, "index": 1, "word": "Ada", "start": 0, "end": 3});
        let answer = json!({"score": 0.5, "start": 3, "end": 6, "answer": "Ada"});
        let filled = json!({"score": 0.5, "token": 7, "token_str": "cat", "sequence": "a cat"});
        let ranked = json!([{"corpus_id": 1, "score": 2.5, "text": "b"}, {"corpus_id": 0, "score": -1.0, "text": "a"}]);
        use TaskKind as K;
        let cases = [
            (
                K::TextClassification,
                json!([{"label": "a", "score": 0.7}, {"label": "b", "score": 0.3}]),
                json!(["a", 0.7, ["a", "b"], [0.7, 0.3]]),
            ),
            (
                K::ZeroShotClassification,
                json!({"sequence": "s", "labels": ["a", "b"], "scores": [0.7, 0.3]}),
                json!(["a", 0.7, ["a", "b"], [0.7, 0.3]]),
            ),
            (K::TokenClassification, json!([entity]), json!([[entity], ["Ada"], ["PER"]])),
            (K::TokenClassification, json!([[token]]), json!([[token], ["Ada"], ["B-PER"]])),
            (K::TokenClassification, json!([]), json!([[], [], []])),
            (K::QuestionAnswering, answer.clone(), json!(["Ada", 0.5, 3, 6, [answer]])),
            (K::QuestionAnswering, json!([answer, answer]), json!(["Ada", 0.5, 3, 6, [answer, answer]])),
            (K::FillMask, json!([filled]), json!(["a cat", "cat", 0.5, [filled]])),
            (K::FillMask, json!([[filled], []]), json!(["a cat", "cat", 0.5, [[filled], []]])),
            (K::FeatureExtraction, json!([[0.5], [1.0]]), json!([[[0.5], [1.0]]])),
            (K::SentenceEmbedding, json!([0.5, 1.0]), json!([[0.5, 1.0]])),
            (K::Similarity, json!(0.25), json!([0.25])),
            (K::Rerank, ranked.clone(), json!(["b", 2.5, ranked])),
            (K::TextGeneration, json!([{"generated_text": "a"}, {"generated_text": "b"}]), json!(["a", ["a", "b"]])),
        ];
        for (kind, result, expected) in cases {
            let found = kind.output_values(&result);
            assert_eq!(Value::Array(found.clone()), expected, "{kind}");
            assert_eq!(found.len(), kind.outputs().len(), "{kind}");
            for (value, (name, holds)) in found.iter().zip(kind.outputs()) {
                let fits = match holds {
                    OutputType::Text => value.is_string(),
                    OutputType::Number => value.is_number(),
                    OutputType::List => value.is_array(),
                };
                assert!(fits, "{kind}: {name} is {value}");
            }
        }
    }
}
