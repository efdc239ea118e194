//! From spans of tokens to answers: widened to words, equal ones merged, the best first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use runtime_models::Encoding;
use runtime_tasks::QuestionAnswering as Options;
use runtime_tensor::Matrix;

use super::super::points::CodePoints;
use super::spans::{Span, spans};

/// An answer, by its place in the context in code points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer<'a> {
    /// The sum over its spans, which is in f64 there too.
    pub(super) score: f64,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: &'a str,
}

/// Where the context is in the encodings, and which token stands for no answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Whether the question comes first, as it does where padding is on the right.
    pub(super) question_first: bool,
    /// `cls_token`
    pub(super) class_token: Option<u32>,
}

/// The answers to be found in windows over a context; one with no text where there is none. `logits`: `[tokens, 2]` for
/// each window, starts and ends.
pub(super) fn answers<'a>(
    windows: &[Encoding],
    logits: &[Matrix],
    context: &'a str,
    layout: Layout,
    options: &Options,
) -> Vec<Answer<'a>> {
    let context = CodePoints::new(context);
    // Some become equal when they are widened to words.
    let count = if options.align_to_words { options.top_k * 2 + 10 } else { options.top_k };
    let mut found: Vec<Answer<'a>> = Vec::new();
    // By their text, ignoring case.
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut none = f32::INFINITY;
    for (window, logits) in windows.iter().zip(logits) {
        let column = |column: usize| (0..logits.rows).map(|row| logits.row(row)[column]).collect::<Vec<f32>>();
        let allowed = layout.allowed(window);
        let (spans, no_answer) = spans(&column(0), &column(1), &allowed, count, options.max_answer_len);
        none = none.min(no_answer);
        for span in spans {
            let (start, end) = layout.place(window, span, options.align_to_words);
            let text = context.slice(start, end);
            let score = f64::from(span.score);
            match places.entry(text.to_lowercase()) {
                Entry::Occupied(place) => found[*place.get()].score += score,
                Entry::Vacant(place) => {
                    place.insert(found.len());
                    found.push(Answer { score, start, end, text });
                }
            }
        }
    }
    if options.handle_impossible_answer {
        found.push(Answer { score: f64::from(none), start: 0, end: 0, text: "" });
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(options.top_k);
    found
}

impl Layout {
    /// Which text of the pair the context is.
    fn context(self) -> usize {
        usize::from(self.question_first)
    }

    /// The tokens that an answer can have. Where the context comes first the pipeline leaves out none, those of the
    /// question included.
    fn allowed(self, window: &Encoding) -> Vec<bool> {
        let tokens = window.sequences.iter().zip(&window.token_ids);
        let allowed = tokens.map(|(sequence, id)| {
            !self.question_first || *sequence == Some(self.context()) || Some(*id) == self.class_token
        });
        allowed.collect()
    }

    /// The place of a span in the context, widened to words where both its ends are in one.
    fn place(self, window: &Encoding, span: Span, align_to_words: bool) -> (usize, usize) {
        let word = |token: usize| self.word(window, window.words[token]?);
        let words = align_to_words.then(|| word(span.start).zip(word(span.end))).flatten();
        match words {
            Some(((start, _), (_, end))) => (start, end),
            None => (window.offsets[span.start].0, window.offsets[span.end].1),
        }
    }

    /// The place of the context's word of this number, as far as it is in the window.
    fn word(self, window: &Encoding, word: u32) -> Option<(usize, usize)> {
        let is_of_word =
            |token: &usize| window.sequences[*token] == Some(self.context()) && window.words[*token] == Some(word);
        let mut tokens = (0..window.len()).filter(is_of_word);
        let first = tokens.next()?;
        let last = tokens.next_back().unwrap_or(first);
        Some((window.offsets[first].0, window.offsets[last].1))
    }
}
