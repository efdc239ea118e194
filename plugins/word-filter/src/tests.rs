//! Random walks over tokenizers that split words in many ways, beside a filter that looks at the whole text.

use std::rc::Rc;

use fastrand::Rng;
use runtime_plugin_sdk::logits::LogitsProcessor;
use runtime_plugin_sdk::serde_json::{Value, json};
use runtime_plugin_sdk::testing::with_host;
use runtime_plugin_sdk::{Failure, Fields, Host, Token, Vocabulary};

use super::WordFilter;

/// Pieces of bytes, the longest first taken; the first is special.
#[derive(Clone)]
struct Tokenizer {
    pieces: Rc<Vec<Vec<u8>>>,
    /// Whether a space at the start of a text is dropped, as SentencePiece does.
    drops_space: bool,
}

impl Tokenizer {
    fn new(pieces: &[&str], bytes: bool, drops_space: bool) -> Self {
        let mut all: Vec<Vec<u8>> = vec![Vec::new()];
        all.extend(pieces.iter().map(|piece| piece.as_bytes().to_vec()));
        if bytes {
            // The bytes of é, É and ß, and two that go over the edge of a character.
            all.extend([vec![0xc3], vec![0xa9], vec![0x89], vec![0x9f], b"f\xc3".to_vec(), b"\xa9.".to_vec()]);
        }
        Self { pieces: Rc::new(all), drops_space }
    }

    fn bytes(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| self.pieces[usize::try_from(*id).expect("small")].clone()).collect()
    }
}

impl Host for Tokenizer {
    fn vocabulary(&self, _: &str) -> Result<Vocabulary, Failure> {
        Ok(Vocabulary::new(self.pieces.iter().map(|piece| Some(piece.as_slice()))))
    }

    fn encode(&self, _: &str, text: &str, _: bool) -> Result<Vec<Token>, Failure> {
        let (mut at, mut tokens) = (0, Vec::new());
        let number = |count: usize| u32::try_from(count).expect("small");
        while at < text.len() {
            let fits = |(_, piece): &(usize, &Vec<u8>)| !piece.is_empty() && text.as_bytes()[at..].starts_with(piece);
            let longest = self.pieces.iter().enumerate().filter(fits).max_by_key(|(_, piece)| piece.len());
            let Some((id, piece)) = longest else { return Ok(Vec::new()) };
            tokens.push(Token { id: number(id), start: number(at), end: number(at + piece.len()) });
            at += piece.len();
        }
        Ok(tokens)
    }

    fn decode(&self, _: &str, ids: &[u32], _: bool) -> Result<String, Failure> {
        let text = String::from_utf8_lossy(&self.bytes(ids)).into_owned();
        Ok(match text.strip_prefix(' ') {
            Some(rest) if self.drops_space => rest.to_owned(),
            _ => text,
        })
    }
}

/// Whether a text has one of the words, by trying each place.
fn has(text: &str, words: &[&str], whole: bool, from: usize) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let is_at = |place: usize, word: &str| {
        let word: Vec<char> = word.chars().collect();
        let end = place + word.len();
        let same = |a: char, b: char| a.to_lowercase().eq(b.to_lowercase()) || (a.is_whitespace() && b.is_whitespace());
        let alike = characters.get(place..end).is_some_and(|part| part.iter().zip(&word).all(|(a, b)| same(*a, *b)));
        let apart =
            |place: Option<usize>| place.and_then(|place| characters.get(place)).is_none_or(|c| !c.is_alphanumeric());
        alike && end > from && (!whole || apart(place.checked_sub(1)) && apart(Some(end)))
    };
    (0..characters.len()).any(|place| words.iter().any(|word| is_at(place, word)))
}

const PIECES: [&str; 30] = [
    "b", "a", "d", "B", "AD", "ba", "ad", "bad", " bad", " b", " ", ",", "ly", "badly", ".bad", "bad.", "(b", "ad)",
    "\n", "-", "c", "caf", "é", "f", "É", "és", "\nbad\n", "x b", "§", "a§",
];

/// Walks over allowed tokens; at each step what is ruled out is exactly what would complete a word.
fn walk(tokenizer: &Tokenizer, words: &[&str], whole: bool, rng: &mut Rng, steps: usize) -> String {
    let parameters: Value = json!({"words": words, "whole": whole});
    let mut tokens: Vec<u32> = Vec::new();
    let mut filter = WordFilter::start(parameters.as_object().expect("an object"), &[]).expect("it starts");
    let size = u32::try_from(tokenizer.pieces.len()).expect("small");
    let mut new = Vec::new();
    for _ in 0..steps {
        let mut row: Vec<f32> = (0..size).map(|_| rng.f32()).collect();
        filter.process(&new, &mut row);
        let allowed: Vec<u32> =
            (0..size).filter(|token| row[usize::try_from(*token).expect("small")] > f32::NEG_INFINITY).collect();
        let before = String::from_utf8_lossy(&tokenizer.bytes(&tokens)).into_owned();
        for token in 0..size {
            let after = String::from_utf8_lossy(&tokenizer.bytes(&[&tokens[..], &[token]].concat())).into_owned();
            let complete = has(&after, words, whole, before.trim_end_matches('\u{fffd}').chars().count());
            assert_eq!(!allowed.contains(&token), complete, "{after:?} after {before:?}, {words:?}, whole: {whole}");
        }
        new = vec![*rng.choice(&allowed).expect("something is allowed")];
        tokens.extend(&new);
    }
    String::from_utf8_lossy(&tokenizer.bytes(&tokens)).into_owned()
}

#[test]
fn a_word_is_never_written_and_nothing_else_ruled_out() {
    let mut rng = Rng::with_seed(4);
    for (bytes, drops_space) in [(false, false), (false, true), (true, false)] {
        let tokenizer = Tokenizer::new(&PIECES, bytes, drops_space);
        for (words, whole) in
            [(&["bad"][..], true), (&["bad"], false), (&["café", "ad", "bad bad"], true), (&["É", "ab"], false)]
        {
            for _ in 0..12 {
                let text = with_host(tokenizer.clone(), || walk(&tokenizer, words, whole, &mut rng, 60));
                // Where a word that was begun goes on it is none; at the end of a text it would be.
                assert!(!has(&text, words, whole, 0), "{text}");
            }
        }
    }
    let tokenizer = Tokenizer::new(&PIECES, true, false);
    let free = |rng: &mut Rng| {
        let tokens: Vec<u32> = (0..60).map(|_| rng.u32(0..36)).collect();
        String::from_utf8_lossy(&tokenizer.bytes(&tokens)).into_owned()
    };
    let with_word = (0..100).filter(|_| has(&free(&mut rng), &["bad"], true, 0)).count();
    assert!(with_word > 50, "without a filter such a walk has one: {with_word} of 100");
}

#[test]
fn a_word_that_the_prompt_has_begun_is_not_ended() {
    let tokenizer = Tokenizer::new(&PIECES, false, false);
    with_host(tokenizer.clone(), || {
        let id = |piece: &str| tokenizer.encode("", piece, false).expect("it is one")[0].id;
        let prompt: Vec<u32> = std::iter::repeat_n(id("c"), 100).chain([id(" "), id("b"), id("a")]).collect();
        let parameters = Fields::from_iter([("words".to_owned(), json!(["bad"]))]);
        let mut row = vec![0.0; tokenizer.pieces.len()];
        WordFilter::start(&parameters, &prompt).expect("it starts").process(&[], &mut row);
        let out = |piece: &str| row[usize::try_from(id(piece)).expect("small")] == f32::NEG_INFINITY;
        assert!(out("d") && !out("ad") && out(".bad") && !out("badly"));
    });
}

#[test]
fn tokens_beyond_the_scores_are_left_alone() {
    // "bad" and " bad" are tokens of the tokenizer that the model has no scores for.
    let row = with_host(Tokenizer::new(&["b", "a", "d", "bad", " bad"], false, false), || {
        let parameters = json!({"words": ["bad"], "whole": false});
        let parameters = parameters.as_object().expect("an object");
        let mut filter = WordFilter::start(parameters, &[1, 2]).expect("it starts");
        let mut row = vec![0.0; 4];
        filter.process(&[], &mut row);
        row
    });
    assert_eq!(row, [0.0, 0.0, 0.0, f32::NEG_INFINITY]);
}

#[test]
fn a_tokenizer_that_does_not_say_what_tokens_add_is_refused() {
    struct WordPiece;
    impl Host for WordPiece {
        fn vocabulary(&self, _: &str) -> Result<Vocabulary, Failure> {
            Err(Failure::Wrong("it does not say".to_owned()))
        }
    }
    let parameters = json!({"words": ["bad"]});
    let started = with_host(WordPiece, || WordFilter::start(parameters.as_object().expect("an object"), &[]).map(drop));
    assert!(started.is_err_and(|said| said.contains("it does not say")));
}
