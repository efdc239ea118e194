//! Processors and warpers, each alone and several together.

use runtime_generation::{GenerationConfig, Lengths, Processors, Prompt, Warpers};
use serde_json::Value;

use super::{cases, close, floats, size, tokens};

/// The tokens that are kept, with scores and probabilities, or why there are none.
fn process(case: &Value) -> Result<Vec<(u32, f32, f32)>, runtime_generation::Error> {
    let params = case["params"].as_object().expect("parameters");
    let config = GenerationConfig::default().with_params(params)?;
    let (sequence, encoder) = (tokens(&case["sequence"]), tokens(&case["encoder"]));
    let length = size(&case["prompt"]);
    let lengths = Lengths::new(&config, length, None)?;
    let mut scores = floats(&case["scores"]);
    let prompt = Prompt { length, padding: 0, encoder_input: Some(&encoder), lengths };
    Processors::new(&config, prompt, scores.len())?.apply(&sequence, &mut scores);
    let mut warpers = Warpers::new(&config);
    let kept = warpers.distribution(&scores)?;
    let kept: Vec<(u32, f32, f32)> =
        kept.iter().map(|candidate| (candidate.id, candidate.score, candidate.prob)).collect();

    // In place, as beams need it, the same is left.
    warpers.apply(&mut scores)?;
    let left: Vec<(u32, f32)> = (0_u32..).zip(scores).filter(|(_, score)| *score > f32::NEG_INFINITY).collect();
    assert_eq!(left, kept.iter().map(|(id, score, _)| (*id, *score)).collect::<Vec<_>>());
    Ok(kept)
}

#[test]
fn scores_and_probabilities_are_those_of_transformers() {
    let cases = cases(include_str!("../recorded/processors.jsonl"));
    assert!(cases.len() > 200);
    let mut wrong = Vec::new();
    for case in &cases {
        let found = match process(case) {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{error}: {}", case["params"]));
                continue;
            }
        };
        let everything = || (0..u32::try_from(found.len()).expect("few")).collect();
        let kept = if case["kept"].is_null() { everything() } else { tokens(&case["kept"]) };
        let ids: Vec<u32> = found.iter().map(|(id, ..)| *id).collect();
        let scores = floats(&case["found"]);
        let probs = if case["probs"].is_null() { Vec::new() } else { floats(&case["probs"]) };
        let same = ids == kept
            && found.iter().zip(&scores).all(|((_, score, _), recorded)| close(*score, *recorded))
            && found.iter().zip(&probs).all(|((.., prob), recorded)| close(*prob, *recorded));
        if !same {
            wrong.push(format!("{}: {:?} and not {:?} of {:?}", case["params"], found, scores, kept));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
