//! The greedy choice.

use crate::Error;
use crate::passes::highest_number;

/// The token with the highest score, of several the one with the lowest id, as `torch.argmax` on a CPU.
///
/// # Errors
/// Where every score is `-inf`, or one is no number.
///
/// ```
/// assert_eq!(runtime_generation::argmax(&[0.5, 2.0, -1.0, 2.0]), Ok(1));
/// ```
pub fn argmax(scores: &[f32]) -> Result<u32, Error> {
    let highest = highest_number(scores)?;
    if highest == f32::NEG_INFINITY {
        return Err(Error::NothingLeft { vocabulary: scores.len() });
    }
    let found = (0_u32..).zip(scores).find(|(_, score)| **score == highest);
    found.map(|(token, _)| token).ok_or(Error::NothingLeft { vocabulary: scores.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_equal_ids_wins_wherever_it_stands() {
        let mut scores = vec![-3.0_f32; 100];
        scores[97] = 1.0;
        assert_eq!(argmax(&scores), Ok(97));
        scores[35] = 1.0;
        assert_eq!(argmax(&scores), Ok(35));
        scores[3] = f32::NEG_INFINITY;
        assert_eq!(argmax(&scores), Ok(35));
        scores[99] = f32::INFINITY;
        assert_eq!(argmax(&scores), Ok(99));
    }

    #[test]
    fn nothing_and_no_number_are_refused() {
        assert_eq!(argmax(&[f32::NEG_INFINITY; 40]), Err(Error::NothingLeft { vocabulary: 40 }));
        let mut scores = [0.0; 40];
        scores[7] = f32::NAN;
        assert_eq!(argmax(&scores), Err(Error::NoNumber { token: 7 }));
        scores[7] = 0.0;
        scores[39] = f32::NAN;
        assert_eq!(argmax(&scores), Err(Error::NoNumber { token: 39 }));
    }
}
