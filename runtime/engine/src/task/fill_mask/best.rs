//! From the logits of a mask to the most likely tokens.

use super::super::scores::{descending, softmax};

/// The `top_k` most likely tokens with their probabilities, the best first; out of `targets`, where there are some. The
/// probabilities are shares among all tokens either way.
pub(super) fn best(logits: &[f32], targets: Option<&[u32]>, top_k: usize) -> Vec<(u32, f32)> {
    let scores = softmax(logits);
    match targets {
        None => {
            let ids = descending(&scores).into_iter().take(top_k);
            ids.filter_map(|id| Some((u32::try_from(id).ok()?, scores[id]))).collect()
        }
        Some(targets) => {
            let score = |id: &u32| usize::try_from(*id).ok().and_then(|id| scores.get(id)).copied();
            let scored: Vec<(u32, f32)> = targets.iter().filter_map(|id| Some((*id, score(id)?))).collect();
            let order = descending(&scored.iter().map(|(_, score)| *score).collect::<Vec<_>>());
            order.into_iter().take(top_k).map(|place| scored[place]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy: `x = [0, 2, 1, 2]; exp(x) / exp(x).sum()`.
    const SHARES: [f32; 4] = [0.054_125_7, 0.399_936_03, 0.147_078_9, 0.399_936_03];

    fn close(found: &[(u32, f32)], expected: &[(u32, f32)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((id, score), (expected_id, expected_score)) in found.iter().zip(expected) {
            assert_eq!(id, expected_id, "{found:?}");
            assert!((score - expected_score).abs() < 1e-4, "{found:?}");
        }
    }

    #[test]
    fn the_most_likely_come_first_and_equal_ones_in_order() {
        let logits = SHARES.map(f32::ln);
        close(&best(&logits, None, 3), &[(1, SHARES[1]), (3, SHARES[3]), (2, SHARES[2])]);
        assert_eq!(best(&logits, None, 9).len(), 4);
    }

    #[test]
    fn targets_keep_their_share_among_all() {
        let logits = SHARES.map(f32::ln);
        close(&best(&logits, Some(&[0, 2]), 5), &[(2, SHARES[2]), (0, SHARES[0])]);
        close(&best(&logits, Some(&[3, 0, 2]), 1), &[(3, SHARES[3])]);
        // An id beyond what the model scores is left out.
        close(&best(&logits, Some(&[9, 0]), 5), &[(0, SHARES[0])]);
    }
}
