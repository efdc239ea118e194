//! Beams that are sampled give each result as often as transformers'.

use std::collections::BTreeMap;

use runtime_generation::Sampler;

use super::searches::Request;
use super::{cases, tokens};

#[test]
fn results_of_sampled_beams_are_as_frequent() {
    for case in cases(include_str!("../recorded/draws.jsonl")) {
        let runs = case["runs"].as_u64().expect("a number");
        let recorded: BTreeMap<Vec<u32>, u64> = case["counts"]
            .as_array()
            .expect("counts")
            .iter()
            .map(|pair| (tokens(&pair[0]), pair[1].as_u64().expect("a count")))
            .collect();
        let mut request = Request::new(&case).expect("right");
        let mut found: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
        for run in 0..runs {
            let best = request.beams(Some(Sampler::new(Some(7), run))).expect("there is a result").swap_remove(0);
            *found.entry(best.tokens).or_default() += 1;
        }
        // Two samples of the same distribution: the sum of (a - b)^2 / (a + b) is chi-squared. Rare results are one.
        let all: std::collections::BTreeSet<&Vec<u32>> = recorded.keys().chain(found.keys()).collect();
        let (mut chi, mut degrees, mut rare) = (0.0, 0.0_f64, (0_u64, 0_u64));
        let mut add = |a: u64, b: u64| {
            let sum = a + b;
            if sum > 0 {
                #[expect(clippy::cast_precision_loss, reason = "thousands")]
                let term = (a.abs_diff(b).pow(2)) as f64 / sum as f64;
                chi += term;
                degrees += 1.0;
            }
        };
        for result in all {
            let (a, b) = (recorded.get(result).copied().unwrap_or(0), found.get(result).copied().unwrap_or(0));
            if a + b < 20 { rare = (rare.0 + a, rare.1 + b) } else { add(a, b) }
        }
        add(rare.0, rare.1);
        assert!(degrees > 3.0, "several results are found");
        // Six standard deviations.
        assert!(chi < degrees + 6.0 * (2.0 * degrees).sqrt(), "{}: {chi} of {degrees}", case["params"]);
    }
}
