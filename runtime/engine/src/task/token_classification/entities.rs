//! From tokens to entities: words get one label each, neighbours with the same label join, and what windows that overlap
//! say twice is said once.

use runtime_tasks::Aggregation;
use serde_json::{Value, json};

use super::super::scores::number;
use super::tokens::{Token, Vocabulary};
use crate::Error;

/// A token, a word or a group of them with its label.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity {
    pub(super) label: String,
    pub(super) score: f32,
    /// The token's place in its window, where tokens are not grouped.
    pub(super) index: Option<usize>,
    pub(super) word: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Entity {
    /// In the form of the pipeline.
    pub(super) fn json(&self) -> Value {
        let Self { label, score, index, word, start, end } = self;
        let score = number(*score);
        match index {
            Some(index) => {
                json!({"entity": label, "score": score, "index": index, "word": word, "start": start, "end": end})
            }
            None => json!({"entity_group": label, "score": score, "word": word, "start": start, "end": end}),
        }
    }

    fn length(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// The entities of one window. `name` is the label of a class.
///
/// # Errors
/// Where the tokens cannot be joined to a text.
pub(super) fn entities(
    tokens: &[Token],
    strategy: Aggregation,
    name: &dyn Fn(usize) -> String,
    vocabulary: &impl Vocabulary,
) -> Result<Vec<Entity>, Error> {
    match strategy {
        Aggregation::None => Ok(tokens.iter().map(|token| single(token, name)).collect()),
        Aggregation::Simple => group(&tokens.iter().map(|token| single(token, name)).collect::<Vec<_>>(), vocabulary),
        Aggregation::First | Aggregation::Average | Aggregation::Max => {
            // A word starts at each token that does not continue one, and at the first token of the window.
            let words = tokens.chunk_by(|_, token| token.continues);
            let words = words.map(|tokens| word(tokens, strategy, name, vocabulary));
            group(&words.collect::<Result<Vec<_>, _>>()?, vocabulary)
        }
    }
}

/// One entity for each place, out of those of windows that overlap: the longest, of equal ones that with the higher
/// score.
pub(super) fn without_overlaps(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.sort_by_key(|entity| entity.start);
    let mut entities = entities.into_iter();
    let Some(mut kept) = entities.next() else { return Vec::new() };
    let mut apart = Vec::new();
    // The pipeline compares the first entity with itself, which tells it twice where it covers no text.
    if kept.start == kept.end {
        apart.push(kept.clone());
    }
    for entity in entities {
        if (kept.start..kept.end).contains(&entity.start) {
            let longer = entity.length().cmp(&kept.length()).then(entity.score.total_cmp(&kept.score)).is_gt();
            if longer {
                kept = entity;
            }
        } else {
            apart.push(std::mem::replace(&mut kept, entity));
        }
    }
    apart.push(kept);
    apart
}

/// The class with the highest score, the first of equal ones, and that score.
fn best(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, scores.first().copied().unwrap_or(f32::NEG_INFINITY));
    for (class, score) in scores.iter().enumerate() {
        if *score > best.1 {
            best = (class, *score);
        }
    }
    best
}

fn single(token: &Token, name: &dyn Fn(usize) -> String) -> Entity {
    let (class, score) = best(&token.scores);
    let Token { word, index, start, end, .. } = token;
    Entity { label: name(class), score, index: Some(*index), word: word.clone(), start: *start, end: *end }
}

/// The tokens of a word as one entity.
fn word(
    tokens: &[Token],
    strategy: Aggregation,
    name: &dyn Fn(usize) -> String,
    vocabulary: &impl Vocabulary,
) -> Result<Entity, Error> {
    let (class, score) = match strategy {
        Aggregation::Average => best(&average(tokens)),
        Aggregation::Max => {
            let mut highest = best(&tokens[0].scores);
            for token in &tokens[1..] {
                let other = best(&token.scores);
                if other.1 > highest.1 {
                    highest = other;
                }
            }
            highest
        }
        Aggregation::First | Aggregation::Simple | Aggregation::None => best(&tokens[0].scores),
    };
    Ok(Entity {
        label: name(class),
        score,
        index: None,
        word: vocabulary.join(tokens.iter().map(|token| token.word.clone()).collect())?,
        start: tokens[0].start,
        end: tokens[tokens.len() - 1].end,
    })
}

#[expect(clippy::cast_precision_loss, reason = "tokens of a word")]
fn average(tokens: &[Token]) -> Vec<f32> {
    let sum = |class: usize| tokens.iter().map(|token| token.scores[class]).sum::<f32>();
    (0..tokens[0].scores.len()).map(|class| sum(class) / tokens.len() as f32).collect()
}

/// The label without `B-` or `I-`, and whether it was `B-`, which starts an entity.
fn tag(label: &str) -> (&str, bool) {
    match (label.strip_prefix("B-"), label.strip_prefix("I-")) {
        (Some(tag), _) => (tag, true),
        (None, Some(tag)) => (tag, false),
        (None, None) => (label, false),
    }
}

/// Joins neighbours of the same label; another label, or `B-`, starts a new group.
#[expect(clippy::cast_precision_loss, reason = "tokens of an entity")]
fn group(entities: &[Entity], vocabulary: &impl Vocabulary) -> Result<Vec<Entity>, Error> {
    let joins = |before: &Entity, entity: &Entity| {
        let (label, begins) = tag(&entity.label);
        label == tag(&before.label).0 && !begins
    };
    let group = |parts: &[Entity]| {
        let label = &parts[0].label;
        Ok(Entity {
            // What the pipeline cuts off here is all up to the first hyphen, also of a label without `B-` or `I-`.
            label: label.split_once('-').map_or(label.as_str(), |(_, tag)| tag).to_owned(),
            score: parts.iter().map(|part| part.score).sum::<f32>() / parts.len() as f32,
            index: None,
            word: vocabulary.join(parts.iter().map(|part| part.word.clone()).collect())?,
            start: parts[0].start,
            end: parts[parts.len() - 1].end,
        })
    };
    entities.chunk_by(joins).map(group).collect()
}
