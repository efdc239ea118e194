//! Against what transformers 5.23 gives for the same tokens and logits.

use runtime_models::Encoding;
use runtime_tasks::Aggregation;
use runtime_tensor::Matrix;

use super::entities::{Entity, entities, without_overlaps};
use super::tokens::{Source, Token, Vocabulary, tokens};
use crate::Error;

const LABELS: [&str; 4] = ["O", "B-PER", "I-PER", "x-LOC"];
const TEXT: &str = "Anna Lees in Ōsaka Lee";

/// A WordPiece vocabulary of a few tokens, or one of bytes.
struct Few {
    marks: bool,
}

impl Vocabulary for Few {
    fn token(&self, id: u32) -> String {
        ["[CLS]", "[SEP]", "Ann", "##a", "Lee", "##s", "in", "[UNK]"][id as usize].to_owned()
    }

    fn unknown(&self) -> Option<u32> {
        Some(7)
    }

    fn marks_continuations(&self) -> bool {
        self.marks
    }

    fn join(&self, tokens: Vec<String>) -> Result<String, Error> {
        Ok(tokens.join(" ").replace(" ##", ""))
    }
}

/// A window over tokens that have an id, a place and a word.
fn window(tokens: &[(u32, usize, usize, Option<u32>)]) -> Encoding {
    Encoding {
        token_ids: tokens.iter().map(|token| token.0).collect(),
        special: tokens.iter().map(|token| token.0 < 2).collect(),
        offsets: tokens.iter().map(|token| (token.1, token.2)).collect(),
        words: tokens.iter().map(|token| token.3).collect(),
        ..Encoding::default()
    }
}

fn sample() -> Vec<Token> {
    let window = window(&[
        (0, 0, 0, None),
        (2, 0, 3, Some(0)),
        (3, 3, 4, Some(0)),
        (4, 5, 8, Some(1)),
        (5, 8, 9, Some(1)),
        (6, 10, 12, Some(2)),
        (7, 13, 18, Some(3)),
        (4, 19, 22, Some(4)),
        (1, 0, 0, None),
    ]);
    let logits: [[f32; 4]; 9] = [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 3.0, 0.0],
        [1.0, 0.0, 2.0, 0.0],
        [4.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.5],
        [0.0, 0.0, 0.0, 2.0],
        [0.0, 1.5, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ];
    let logits = Matrix { rows: 9, width: 4, data: logits.concat() };
    tokens(&window, &logits, &Source::whole(TEXT), &Few { marks: true })
}

fn found(strategy: Aggregation) -> Vec<Entity> {
    entities(&sample(), strategy, &|class| LABELS[class].to_owned(), &Few { marks: true }).expect("they join")
}

fn same(found: &[Entity], expected: &[(&str, f32, &str, usize, usize)]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (entity, (label, score, word, start, end)) in found.iter().zip(expected) {
        let place = (entity.label.as_str(), entity.word.as_str(), entity.start, entity.end);
        assert_eq!(place, (*label, *word, *start, *end));
        assert!((entity.score - score).abs() < 1e-6, "{entity:?}, recorded {score}");
    }
}

#[test]
fn tokens_are_told_one_by_one() {
    let found = found(Aggregation::None);
    same(
        &found,
        &[
            ("B-PER", 0.610_295_65, "Ann", 0, 3),
            ("I-PER", 0.870_048_6, "##a", 3, 4),
            ("I-PER", 0.610_295_65, "Lee", 5, 8),
            ("O", 0.947_914_9, "##s", 8, 9),
            ("O", 0.426_932_72, "in", 10, 12),
            ("x-LOC", 0.711_234_57, "Ōsaka", 13, 18),
            ("B-PER", 0.599_021_1, "Lee", 19, 22),
        ],
    );
    assert!(found.iter().map(|entity| entity.index).eq((1..8).map(Some)), "counted with the special tokens");
    let told = Entity { score: 0.7, ..found[1].clone() }.json().to_string();
    assert_eq!(told, r###"{"entity":"I-PER","score":0.7,"index":2,"word":"##a","start":3,"end":4}"###);
}

#[test]
fn neighbours_of_one_label_join() {
    let found = found(Aggregation::Simple);
    same(
        &found,
        &[
            ("PER", 0.696_880_04, "Anna Lee", 0, 8),
            ("O", 0.687_423_8, "##s in", 8, 12),
            ("LOC", 0.711_234_57, "Ōsaka", 13, 18),
            ("PER", 0.599_021_1, "Lee", 19, 22),
        ],
    );
    let told = Entity { score: 0.7, ..found[2].clone() }.json().to_string();
    assert_eq!(told, r#"{"entity_group":"LOC","score":0.7,"word":"Ōsaka","start":13,"end":18}"#);
}

#[test]
fn words_get_one_label() {
    let rest = [("LOC", 0.711_234_57, "Ōsaka", 13, 18), ("PER", 0.599_021_1, "Lee", 19, 22)];
    let first = [("PER", 0.610_295_65, "Anna Lees", 0, 9), ("O", 0.426_932_72, "in", 10, 12)];
    same(&found(Aggregation::First), &[first, rest].concat());
    let average = [("PER", 0.547_281_9, "Anna", 0, 4), ("O", 0.506_573_9, "Lees in", 5, 12)];
    same(&found(Aggregation::Average), &[average, rest].concat());
    let max = [("PER", 0.870_048_6, "Anna", 0, 4), ("O", 0.687_423_8, "Lees in", 5, 12)];
    same(&found(Aggregation::Max), &[max, rest].concat());
}

#[test]
fn words_start_where_the_vocabulary_or_else_a_space_says() {
    let starts = |tokens: &[Token]| tokens.iter().map(|token| !token.continues).collect::<Vec<_>>();
    assert_eq!(starts(&sample()), [true, false, true, false, true, true, true]);
    // "é, b" without marks: a comma continues, and so does an unknown token only where it is no unknown token.
    let window = window(&[(2, 0, 1, Some(0)), (3, 1, 2, Some(1)), (4, 2, 4, Some(2)), (7, 1, 2, Some(1))]);
    let logits = Matrix { rows: 4, width: 2, data: vec![0.0; 8] };
    let tokens = tokens(&window, &logits, &Source::whole("é, b"), &Few { marks: false });
    assert_eq!(starts(&tokens), [true, false, true, true]);
    assert_eq!(tokens[3].word, ",");
}

#[test]
fn places_in_words_are_places_in_the_joined_text() {
    let words = ["Åse".to_owned(), "in".to_owned(), "Lee".to_owned()];
    let window = window(&[(0, 0, 0, None), (7, 0, 3, Some(0)), (6, 0, 2, Some(1)), (7, 1, 3, Some(2))]);
    let logits = Matrix { rows: 4, width: 2, data: vec![0.0; 8] };
    let tokens = tokens(&window, &logits, &Source::words("Åse, in, Lee", &words, ", "), &Few { marks: true });
    let places: Vec<_> = tokens.iter().map(|token| (token.start, token.end, token.word.as_str())).collect();
    assert_eq!(places, [(0, 3, "Åse"), (5, 7, "in"), (10, 12, "ee")]);
}

#[test]
fn of_entities_that_overlap_the_longest_stays() {
    let entity = |word: &str, score, start, end| Entity {
        label: "PER".to_owned(),
        score,
        index: None,
        word: word.to_owned(),
        start,
        end,
    };
    let windows = vec![
        entity("a", 0.9, 0, 4),
        entity("b", 0.5, 10, 14),
        entity("c", 0.5, 20, 22),
        entity("longer", 0.1, 2, 7),
        entity("surer", 0.6, 10, 14),
        entity("less sure", 0.4, 20, 22),
        // It starts where "longer" ends, and "a" is gone.
        entity("next", 0.3, 7, 8),
    ];
    let found = without_overlaps(windows);
    let words: Vec<_> = found.iter().map(|entity| entity.word.as_str()).collect();
    assert_eq!(words, ["longer", "next", "surer", "c"]);
    assert!(without_overlaps(Vec::new()).is_empty());
}
