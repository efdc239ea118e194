//! Texts of a model that knows nothing, with and without the mark.

use fastrand::Rng;
use runtime_plugin_sdk::logits::LogitsProcessor;
use runtime_plugin_sdk::serde_json::{Value, json};

use super::{Green, Watermark};

const SIZE: usize = 400;

fn start(parameters: &Value, prompt: &[u32]) -> Result<Watermark, String> {
    Watermark::start(parameters.as_object().expect("an object"), prompt)
}

/// A token by its score, as sampling at temperature 1 draws it.
fn drawn(row: &[f32], rng: &mut Rng) -> u32 {
    let weights: Vec<f64> = row.iter().map(|score| f64::from(*score).exp()).collect();
    let mut left = rng.f64() * weights.iter().sum::<f64>();
    let at = weights.iter().position(|weight| {
        left -= weight;
        left <= 0.0
    });
    u32::try_from(at.unwrap_or(0)).expect("small")
}

/// A text over random scores of a spread.
fn written(parameters: Option<&Value>, spread: f32, length: usize, rng: &mut Rng) -> Vec<u32> {
    let mut mark = parameters.map(|parameters| start(parameters, &[5]).expect("it starts"));
    let mut tokens = vec![5];
    for _ in 0..length {
        let mut row: Vec<f32> = (0..SIZE).map(|_| spread * rng.f32()).collect();
        let new = if tokens.len() > 1 { &tokens[tokens.len() - 1..] } else { &[] };
        mark.as_mut().into_iter().for_each(|mark| mark.process(new, &mut row));
        tokens.push(drawn(&row, rng));
    }
    tokens
}

#[test]
fn marked_texts_are_told_from_all_others() {
    let mut rng = Rng::with_seed(6);
    let parameters = json!({"key": "secret"});
    let (green, other) = (Green::new("secret", 0.25), Green::new("Secret", 0.25));
    for _ in 0..50 {
        let marked = written(Some(&parameters), 6.0, 200, &mut rng);
        assert!(green.z_score(&marked) > 6.0, "{}", green.z_score(&marked));
        let plain = written(None, 6.0, 200, &mut rng);
        for (text, green) in [(&plain, green), (&marked, other)] {
            assert!(green.z_score(text).abs() < 4.5, "{}", green.z_score(text));
        }
    }
}

#[test]
fn green_is_as_common_as_the_formula_says() {
    let mut rng = Rng::with_seed(7);
    for (share, bias) in [(0.25_f64, 2.0_f64), (0.5, 1.0), (0.1, 0.0)] {
        let parameters = json!({"key": "k", "share": share, "bias": bias});
        let tokens = written(Some(&parameters), 0.0, 6000, &mut rng);
        let green = Green::new("k", share);
        let count = tokens.windows(2).filter(|two| green.is_green(two[0], two[1])).count();
        let found = f64::from(u32::try_from(count).expect("small")) / 6000.0;
        // Of scores that are all the same: share e^bias / (share e^bias + 1 - share).
        let expected = share * bias.exp() / (share * bias.exp() + 1.0 - share);
        assert!((found - expected).abs() < 0.03, "{found} for {expected}");
    }
}

#[test]
fn a_text_that_repeats_itself_says_nothing_new() {
    let green = Green::new("k", 0.25);
    let token = green.tokens(3, 400).into_iter().find(|token| green.is_green(*token, 3)).expect("one is");
    let once = green.z_score(&[3, token, 3]);
    let often = green.z_score(&[3, token].repeat(500));
    assert!((once - often).abs() < 1e-9 && once < 4.0, "{once} {often}");
    assert!(green.z_score(&[]).abs() < 1e-9 && green.z_score(&[1]).abs() < 1e-9);
}

#[test]
fn what_cannot_be_is_refused() {
    for (parameters, said) in [
        (json!({"key": ""}), "`key` is empty"),
        (json!({"key": "k", "share": 1}), "`share` is 1"),
        (json!({"key": "k", "bias": -1}), "`bias` is -1"),
    ] {
        assert!(start(&parameters, &[]).err().is_some_and(|refused| refused.contains(said)), "{parameters}");
    }
    let mut row = vec![0.5; SIZE];
    start(&json!({"key": "k"}), &[]).expect("it starts").process(&[], &mut row);
    assert_eq!(row, vec![0.5; SIZE], "nothing is before the first token");
}
