//! From the logits of a mask to the most likely tokens.

use super::super::scores::softmax;

/// The `top_k` most likely tokens with their probabilities, the best first, of equal ones the first; out of `targets`,
/// where there are some. The probabilities are shares among all tokens either way.
pub(super) fn best(logits: &[f32], targets: Option<&[u32]>, top_k: usize) -> Vec<(u32, f32)> {
    let scores = softmax(logits);
    let mut scored: Vec<(u32, f32)> = match targets {
        None => (0..).zip(scores).collect(),
        Some(targets) => {
            let score = |id: &u32| usize::try_from(*id).ok().and_then(|id| scores.get(id)).copied();
            targets.iter().filter_map(|id| Some((*id, score(id)?))).collect()
        }
    };
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    // A vocabulary can be large, and few of it are wanted.
    if top_k < scored.len() {
        scored.select_nth_unstable_by(top_k, order);
        scored.truncate(top_k);
    }
    scored.sort_unstable_by(order);
    scored
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, 2.0];

    /// Their softmax, by Python's `math.exp`.
    const SHARES: [f32; 4] = [0.054_064_59, 0.399_486_3, 0.146_962_8, 0.399_486_3];

    fn close(found: &[(u32, f32)], expected: &[(u32, f32)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((id, score), (expected_id, expected_score)) in found.iter().zip(expected) {
            assert_eq!(id, expected_id, "{found:?}");
            assert!((score - expected_score).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn the_most_likely_come_first_and_equal_ones_in_order() {
        close(&best(&LOGITS, None, 3), &[(1, SHARES[1]), (3, SHARES[3]), (2, SHARES[2])]);
        assert_eq!(best(&LOGITS, None, 9).len(), 4);
    }

    #[test]
    fn targets_keep_their_share_among_all() {
        close(&best(&LOGITS, Some(&[0, 2]), 5), &[(2, SHARES[2]), (0, SHARES[0])]);
        close(&best(&LOGITS, Some(&[3, 0, 2]), 1), &[(3, SHARES[3])]);
        // An id beyond what the model scores is left out.
        close(&best(&LOGITS, Some(&[9, 0]), 5), &[(0, SHARES[0])]);
    }
}
