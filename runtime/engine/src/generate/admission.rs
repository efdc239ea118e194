//! Blocks that a request may need at its longest.

use runtime_tensor::BLOCK;

/// Blocks for `sequences` that share a prompt of `prompt` tokens and get `new` tokens each, plus `ahead` that are tried.
pub(super) fn blocks(prompt: usize, new: usize, sequences: usize, ahead: usize) -> usize {
    let whole = prompt.saturating_add(new).saturating_add(ahead).div_ceil(BLOCK);
    let shared = prompt / BLOCK;
    // Each has its own copy of the block in which the prompt ends; one more is held while a block is copied.
    let own = whole - shared;
    match sequences {
        1 => whole,
        _ => sequences.saturating_mul(own.max(1)).saturating_add(shared + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_shared_and_what_follows_is_not() {
        assert_eq!(blocks(3 * BLOCK, 1, 1, 0), 4);
        assert_eq!(blocks(3 * BLOCK + 1, BLOCK, 4, 0), 3 + 4 * 2 + 1);
        assert_eq!(blocks(1, BLOCK - 1, 1, 0), 1);
    }
}
