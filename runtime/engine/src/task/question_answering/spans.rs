//! From the logits of one window to its most likely spans of tokens.

use super::super::scores::softmax;

/// What takes the place of the logits of tokens that no answer can have.
const MASKED: f32 = -10_000.0;

/// A span of tokens, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) score: f32,
}

/// The `count` most likely spans of at most `longest` tokens, the best first, and the score of there being no answer.
///
/// `allowed` are the tokens of the context, and the class token, which stands for no answer. Probabilities are shared
/// by these alone. Spans are counted before those with the class token elsewhere than in front are taken out, and of
/// equal ones the first are taken. A span whose score is 0 is none.
pub(super) fn spans(start: &[f32], end: &[f32], allowed: &[bool], count: usize, longest: usize) -> (Vec<Span>, f32) {
    let probabilities = |logits: &[f32]| {
        let masked: Vec<f32> =
            logits.iter().zip(allowed).map(|(logit, allowed)| if *allowed { *logit } else { MASKED }).collect();
        softmax(&masked)
    };
    let (mut start, mut end) = (probabilities(start), probabilities(end));
    let mut none = 0.0;
    if let (Some(start), Some(end)) = (start.first_mut(), end.first_mut()) {
        none = *start * *end;
        (*start, *end) = (0.0, 0.0);
    }
    let mut found = Vec::new();
    for (first, start) in start.iter().enumerate().filter(|(_, start)| **start > 0.0) {
        let ends = end.iter().enumerate().skip(first).take(longest);
        let spans = ends.map(|(last, end)| Span { start: first, end: last, score: start * end });
        found.extend(spans.filter(|span| span.score > 0.0));
    }
    // They come in order of their places, which equal ones keep.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(count);
    found.retain(|span| allowed[span.start] && allowed[span.end]);
    (found, none)
}
