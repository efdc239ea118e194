//! A model whose scores are a function of the last two tokens and the length, the same as in `record.py`.

/// The scores behind `sequence`.
pub(crate) fn scores(seed: u32, vocabulary: u32, sequence: &[u32]) -> Vec<f32> {
    let last = sequence[sequence.len() - 1];
    let before = if sequence.len() > 1 { sequence[sequence.len() - 2] } else { 0 };
    let length = u32::try_from(sequence.len()).expect("short");
    let score = |token: u32| {
        let mut x = seed;
        for value in [before, last, length, token] {
            x = (x ^ value).wrapping_mul(0x85EB_CA6B);
            x ^= x >> 13;
        }
        let steps = u16::try_from((x >> 8) & 0xFFFF).expect("16 bits");
        (f32::from(steps) - 32768.0) / 8192.0
    };
    (0..vocabulary).map(score).collect()
}
