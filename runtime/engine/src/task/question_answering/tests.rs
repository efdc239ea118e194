//! Spans against what transformers 4.57 gives for the same logits, and what becomes of them.

use runtime_models::Encoding;
use runtime_tasks::QuestionAnswering as Options;
use runtime_tensor::Matrix;

use super::answers::{Answer, Layout, answers};
use super::spans::spans;

const START: [f32; 7] = [1.0, 5.0, 0.5, 2.0, 1.0, 0.0, 3.0];
const END: [f32; 7] = [2.0, 5.0, 1.0, 0.0, 2.5, 0.25, 9.0];
/// The class token in front, a token of the question, four of the context, a separator.
const ALLOWED: [bool; 7] = [true, false, true, true, true, true, false];

fn best(count: usize, longest: usize, expected: &[(usize, usize, f32)]) {
    let (found, none) = spans(&START, &END, &ALLOWED, count, longest);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (span, (start, end, score)) in found.iter().zip(expected) {
        assert_eq!((span.start, span.end), (*start, *end));
        assert!((span.score - score).abs() < 1e-7, "{span:?}, recorded {score}");
    }
    assert!((none - 0.052_819_95).abs() < 1e-7, "{none}");
}

#[test]
fn spans_are_the_most_likely_of_the_context() {
    best(1, 15, &[(3, 4, 0.236_722_59)]);
    best(4, 15, &[(3, 4, 0.236_722_59), (4, 4, 0.087_085_37), (2, 4, 0.052_819_95), (3, 5, 0.024_950_38)]);
    best(4, 2, &[(3, 4, 0.236_722_59), (4, 4, 0.087_085_37), (3, 3, 0.019_431_38), (2, 2, 0.011_785_72)]);
    best(4, 1, &[(4, 4, 0.087_085_37), (3, 3, 0.019_431_38), (2, 2, 0.011_785_72), (5, 5, 0.003_376_67)]);
    // All that there are: 4 + 3 + 2 + 1.
    assert_eq!(spans(&START, &END, &ALLOWED, 99, 15).0.len(), 10);
}

const CONTEXT: &str = "Ōsaka, or ŌSAKA";

/// `[CLS] q [SEP]`, then the context as `Ō ##saka , or ŌSAKA`.
fn window() -> Encoding {
    Encoding {
        token_ids: vec![1, 50, 2, 60, 61, 62, 63, 64, 2],
        offsets: vec![(0, 0), (0, 1), (0, 0), (0, 1), (1, 5), (5, 6), (7, 9), (10, 15), (0, 0)],
        words: vec![None, Some(0), None, Some(0), Some(0), Some(1), Some(2), Some(3), None],
        sequences: vec![None, Some(0), None, Some(1), Some(1), Some(1), Some(1), Some(1), None],
        ..Encoding::default()
    }
}

/// Logits with which these tokens are starts and ends with these probabilities, and others hardly.
fn logits(starts: &[(usize, f32)], ends: &[(usize, f32)]) -> Matrix {
    let mut data = vec![-60.0; 18];
    starts.iter().for_each(|(token, share)| data[token * 2] = share.ln());
    ends.iter().for_each(|(token, share)| data[token * 2 + 1] = share.ln());
    Matrix { rows: 9, width: 2, data }
}

fn options() -> Options {
    Options {
        top_k: 3,
        doc_stride: None,
        max_answer_len: 15,
        max_seq_len: None,
        handle_impossible_answer: false,
        align_to_words: true,
    }
}

const LAYOUT: Layout = Layout { question_first: true, class_token: Some(1) };

fn found(windows: &[Matrix], layout: Layout, options: &Options) -> Vec<(String, usize, usize, f64)> {
    let encodings = vec![window(); windows.len()];
    let found = answers(&encodings, windows, CONTEXT, layout, options).into_iter().filter(|answer| answer.score > 1e-9);
    found.map(|Answer { score, start, end, text }| (text.to_owned(), start, end, (score * 1e4).round() / 1e4)).collect()
}

#[test]
fn answers_widen_to_words_and_equal_ones_merge() {
    // The start alone and the whole of the first word, and the second in other letters: one answer, at the place of the
    // best.
    let window = logits(&[(3, 0.7), (4, 0.2), (7, 0.1)], &[(4, 0.9), (7, 0.1)]);
    let whole = options();
    assert_eq!(
        found(std::slice::from_ref(&window), LAYOUT, &whole),
        [("Ōsaka".to_owned(), 0, 5, 0.82), (CONTEXT.to_owned(), 0, 15, 0.09)]
    );
    // As tokens have them.
    let tokens = Options { align_to_words: false, ..options() };
    assert_eq!(
        found(&[window], LAYOUT, &tokens),
        [("Ōsaka".to_owned(), 0, 5, 0.63), ("saka".to_owned(), 1, 5, 0.18), (CONTEXT.to_owned(), 0, 15, 0.07)]
    );
}

#[test]
fn answers_add_up_over_windows() {
    let windows = [logits(&[(6, 0.5)], &[(6, 0.5)]), logits(&[(6, 0.5)], &[(6, 0.5)])];
    let one = found(&windows[..1], LAYOUT, &options());
    assert_eq!(one[0], ("or".to_owned(), 7, 9, 1.0), "only the context shares the probability");
    assert_eq!(found(&windows, LAYOUT, &options())[0], ("or".to_owned(), 7, 9, 2.0));
}

#[test]
fn no_answer_has_the_least_score_of_the_windows() {
    let impossible = Options { handle_impossible_answer: true, ..options() };
    let windows =
        [logits(&[(0, 0.5), (6, 0.5)], &[(0, 0.8), (6, 0.2)]), logits(&[(0, 0.9), (6, 0.1)], &[(0, 0.4), (6, 0.6)])];
    assert_eq!(found(&windows, LAYOUT, &impossible), [(String::new(), 0, 0, 0.36), ("or".to_owned(), 7, 9, 0.16)]);
    assert_eq!(found(&windows, LAYOUT, &options()), [("or".to_owned(), 7, 9, 0.16)]);
}

#[test]
fn with_the_context_first_no_token_is_left_out() {
    // The pipeline then masks nothing: the token of the other text (here the second) is an answer with its own place,
    // and the class token in front has the score 0 as ever.
    let context_first = Layout { question_first: false, ..LAYOUT };
    let window = logits(&[(0, 0.2), (1, 0.4), (6, 0.4)], &[(0, 0.2), (1, 0.4), (6, 0.4)]);
    let found = found(&[window], context_first, &options());
    let places: Vec<_> = found.iter().map(|(text, start, ..)| (text.as_str(), *start)).collect();
    assert_eq!(places, [("Ō", 0), ("Ōsaka, or", 0), ("or", 7)]);
}
