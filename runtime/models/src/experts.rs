//! The matrices of experts, where a checkpoint has them in stacks.
//!
//! Architectures ask for each matrix by a name of its own, as most checkpoints have it: `mlp.experts.3.gate_proj.weight`.
//! transformers 5 holds all experts of a layer in one tensor, `mlp.experts.gate_up_proj`, with the rows of the gate before
//! those of the inner layer; GGUF files have one for each kind of matrix. Of such a stack, one matrix is read at a time.

use std::ops::Range;

/// A stack: how its name ends, which part of an expert's rows a matrix is, and of how many.
type Stack = (&'static str, usize, usize);

/// The stacks that may hold each kind of matrix.
const STACKS: [(&str, &[Stack]); 3] = [
    ("gate_proj.weight", &[("gate_up_proj", 0, 2), ("gate_up_proj.weight", 0, 2), ("gate_proj.weight", 0, 1)]),
    ("up_proj.weight", &[("gate_up_proj", 1, 2), ("gate_up_proj.weight", 1, 2), ("up_proj.weight", 0, 1)]),
    ("down_proj.weight", &[("down_proj", 0, 1), ("down_proj.weight", 0, 1)]),
];

/// One expert's matrix in a stack.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    /// The name of the stack.
    pub(crate) stack: String,
    /// Its rows, of those of all experts.
    pub(crate) rows: Range<usize>,
    /// Its sizes.
    pub(crate) shape: [usize; 2],
}

impl Matrix {
    /// The matrix called `name` in one of the stacks whose sizes `shape_of` knows.
    pub(crate) fn find<'s>(name: &str, shape_of: impl Fn(&str) -> Option<&'s [usize]>) -> Option<Self> {
        let (layer, rest) = name.split_once(".experts.")?;
        let (expert, kind) = rest.split_once('.')?;
        let expert: usize = expert.parse().ok()?;
        let (_, stacks) = STACKS.iter().find(|(known, _)| *known == kind)?;
        stacks.iter().find_map(|(ending, part, parts)| {
            let stack = format!("{layer}.experts.{ending}");
            let [experts, rows, columns] = *shape_of(&stack)? else { return None };
            if expert >= experts || rows % parts != 0 {
                return None;
            }
            let count = rows / parts;
            let first = expert.checked_mul(rows)?.checked_add(part * count)?;
            Some(Self { stack, rows: first..first.checked_add(count)?, shape: [count, columns] })
        })
    }

    /// The names of the matrices in the tensor called `stack`, if it is a stack of so many experts.
    pub(crate) fn names(stack: &str, shape: &[usize]) -> Vec<String> {
        let (Some((layer, ending)), [experts, _, _]) = (stack.rsplit_once(".experts."), shape) else {
            return Vec::new();
        };
        let has = |stacks: &[Stack]| stacks.iter().any(|(known, _, _)| *known == ending);
        let kinds = STACKS.iter().filter(|(_, stacks)| has(stacks));
        let kinds: Vec<&str> = kinds.map(|(kind, _)| *kind).collect();
        if kinds.is_empty() {
            return Vec::new();
        }
        let of_expert = |expert| kinds.iter().map(move |kind| format!("{layer}.experts.{expert}.{kind}"));
        // A file may claim any number of experts of no size.
        (0..(*experts).min(MOST)).flat_map(of_expert).collect()
    }

    /// Where its bytes are among the `bytes` of its stack.
    pub(crate) fn bytes(&self, stack: &[usize], bytes: u64) -> Range<u64> {
        let rows = stack[..2].iter().map(|size| *size as u64).fold(1, u64::saturating_mul);
        let row = bytes / rows.max(1);
        self.rows.start as u64 * row..self.rows.end as u64 * row
    }
}

/// The most experts of a layer that are looked for; known models have up to 512.
const MOST: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_found_in_stacks_of_either_form() {
        let joined = |name: &str| match name {
            "l.0.mlp.experts.gate_up_proj" => Some([4, 24, 16].as_slice()),
            "l.0.mlp.experts.down_proj" => Some([4, 16, 12].as_slice()),
            _ => None,
        };
        let found = |name: &str| Matrix::find(name, joined).map(|found| (found.rows.clone(), found.shape));
        assert_eq!(found("l.0.mlp.experts.3.gate_proj.weight"), Some((72..84, [12, 16])));
        assert_eq!(found("l.0.mlp.experts.3.up_proj.weight"), Some((84..96, [12, 16])));
        assert_eq!(found("l.0.mlp.experts.1.down_proj.weight"), Some((16..32, [16, 12])));
        for none in ["4.gate_proj.weight", "x.gate_proj.weight", "0.gate_proj.bias", "0.w1.weight"] {
            assert_eq!(found(&format!("l.0.mlp.experts.{none}")), None, "{none}");
        }
        assert_eq!(found("l.0.mlp.shared_expert.gate_proj.weight"), None);

        let apart = |name: &str| name.ends_with(".experts.up_proj.weight").then_some([4, 12, 16].as_slice());
        let matrix = Matrix::find("l.0.mlp.experts.2.up_proj.weight", apart).expect("it is there");
        assert_eq!((matrix.rows.clone(), matrix.shape), (24..36, [12, 16]));
        assert_eq!(matrix.bytes(&[4, 12, 16], 48 * 18), 24 * 18..36 * 18);
    }

    #[test]
    fn the_names_in_a_stack_are_those_that_are_found() {
        let names = Matrix::names("l.0.mlp.experts.gate_up_proj", &[2, 24, 16]);
        let expected = ["0.gate_proj", "0.up_proj", "1.gate_proj", "1.up_proj"];
        assert_eq!(names, expected.map(|name| format!("l.0.mlp.experts.{name}.weight")));
        assert!(Matrix::names("l.0.mlp.experts.0.down_proj.weight", &[16, 12]).is_empty());
        assert!(Matrix::names("l.0.mlp.down_proj.weight", &[2, 16, 12]).is_empty());
    }
}
