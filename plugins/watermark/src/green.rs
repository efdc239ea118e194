//! Which tokens are green behind another, and how sure one is of a text that it was written by choosing them.
//!
//! After Kirchenbauer et al. 2023, "A Watermark for Large Language Models". There a generator shuffles the vocabulary
//! behind each token; here each pair of tokens is hashed with the key, which needs no list and gives the same share.

/// The green tokens of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Green {
    key: u64,
    share: f64,
    /// A hash below it is green.
    below: u64,
}

impl Green {
    /// The key is a secret text; `share`, between 0 and 1, is how many of all tokens are green.
    pub fn new(key: &str, share: f64) -> Self {
        let key = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mixed(hash ^ u64::from(byte)));
        Self { key, share, below: share_of_all(share) }
    }

    /// Whether a token is green behind another.
    pub fn is_green(&self, before: u32, token: u32) -> bool {
        mixed(self.key ^ mixed((u64::from(before) << 32) | u64::from(token))) < self.below
    }

    /// The green ones of the tokens below `len`.
    pub fn tokens(&self, before: u32, len: u32) -> Vec<u32> {
        (0..len).filter(|token| self.is_green(before, *token)).collect()
    }

    /// How many standard deviations more of a text's tokens are green than of a text that nobody chose them for; 4 is one
    /// text of 30 000. Each pair of tokens counts once, for a text that repeats itself says nothing new.
    pub fn z_score(&self, tokens: &[u32]) -> f64 {
        let pairs: std::collections::HashSet<[u32; 2]> = tokens.windows(2).map(|two| [two[0], two[1]]).collect();
        let float = |count: usize| u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
        let (count, green) =
            (pairs.len(), pairs.iter().filter(|[before, token]| self.is_green(*before, *token)).count());
        if count == 0 {
            return 0.0;
        }
        (float(green) - self.share * float(count)) / (float(count) * self.share * (1.0 - self.share)).sqrt()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 0 to 1 is within, and need not be exact"
)]
fn share_of_all(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 18_446_744_073_709_551_615.0) as u64
}

/// The last steps of SplitMix64, which reach every bit.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
