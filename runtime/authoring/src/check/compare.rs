//! How far two tensors are apart that may lie in memory differently.

use runtime_tensor::Matrix;

use super::reference::Recorded;

/// What errors are over where the original has nothing but smaller numbers: noise about zero is no difference.
const SMALLEST: f64 = 1e-6;

/// Where two tensors are furthest apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Apart {
    /// The difference there over the largest magnitude of the original's; infinite where one of them is no number.
    pub(crate) error: f64,
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) ours: f32,
    pub(crate) theirs: f32,
    /// The first row with a number that is further apart than is tolerated.
    pub(crate) first_row: Option<usize>,
}

/// How far `ours` is from what was recorded, in the layout in which it is nearest; `None` where no layout fits.
pub(crate) fn apart(ours: &Matrix, recorded: &Recorded, tolerance: f64) -> Option<Apart> {
    let layouts = layouts(recorded, ours.rows, ours.width);
    layouts.iter().map(|theirs| furthest(ours, theirs, tolerance)).min_by(|a, b| a.error.total_cmp(&b.error))
}

fn furthest(ours: &Matrix, theirs: &[f32], tolerance: f64) -> Apart {
    let finite = theirs.iter().filter(|number| number.is_finite());
    let largest = finite.fold(SMALLEST, |largest, number| largest.max(f64::from(*number).abs()));
    let error = |ours: f32, theirs: f32| {
        let error = (f64::from(ours) - f64::from(theirs)).abs() / largest;
        // Masked scores are infinities that agree.
        if ours.to_bits() == theirs.to_bits() {
            0.0
        } else if error.is_nan() {
            f64::INFINITY
        } else {
            error
        }
    };
    let errors = ours.data.iter().zip(theirs).map(|(ours, theirs)| error(*ours, *theirs)).enumerate();
    let width = ours.width.max(1);
    let first_row = errors.clone().find(|(_, error)| *error > tolerance).map(|(at, _)| at / width);
    let (at, error) = errors.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let number = |numbers: &[f32]| numbers.get(at).copied().unwrap_or_default();
    Apart { error, row: at / width, column: at % width, ours: number(&ours.data), theirs: number(theirs), first_row }
}

/// What was recorded as a matrix of these sizes, row by row, in each way that it could be meant: as it lies, with the tokens
/// behind the columns (as convolutions take them; what is beyond the tokens is padding), or with heads before tokens.
fn layouts(recorded: &Recorded, rows: usize, width: usize) -> Vec<Vec<f32>> {
    let outer = recorded.shape.iter().take_while(|size| **size == 1).count();
    let (shape, numbers) = (&recorded.shape[outer..], &recorded.numbers);
    let mut layouts = Vec::new();
    if numbers.len() == rows * width {
        layouts.push(numbers.clone());
    }
    match shape {
        [columns, tokens] if *columns == width && *tokens >= rows => {
            let at = |row: usize, column: usize| numbers[column * tokens + row];
            layouts.push((0..rows).flat_map(|row| (0..width).map(move |column| at(row, column))).collect());
        }
        [heads, tokens, size] if *tokens == rows && heads * size == width => {
            let at = |row: usize, column: usize| numbers[(column / size * tokens + row) * size + column % size];
            layouts.push((0..rows).flat_map(|row| (0..width).map(move |column| at(row, column))).collect());
        }
        _ => {}
    }
    layouts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(shape: &[usize]) -> Recorded {
        let numbers =
            (0..shape.iter().product::<usize>()).map(|index| u16::try_from(index).expect("few").into()).collect();
        Recorded { shape: shape.to_vec(), numbers }
    }

    fn matrix(rows: usize, width: usize, data: &[f32]) -> Matrix {
        Matrix { rows, width, data: data.to_vec() }
    }

    #[test]
    fn a_tensor_is_found_in_each_layout() {
        let ours = |data: &[f32]| matrix(2, 4, data);
        for (shape, data) in [
            (&[1, 2, 4][..], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            (&[1, 2, 2, 2], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            (&[1, 2, 2, 2], [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]),
            (&[1, 4, 2], [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]),
            (&[4, 3], [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0]),
        ] {
            assert_eq!(apart(&ours(&data), &recorded(shape), 1e-3).map(|apart| apart.error), Some(0.0), "{shape:?}");
        }
        assert_eq!(apart(&ours(&[0.0; 8]), &recorded(&[1, 2, 3]), 1e-3), None);
    }

    #[test]
    fn the_furthest_number_is_told_with_its_place() {
        let mut data = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        data[4] = 3.5;
        let found = apart(&matrix(2, 3, &data), &recorded(&[2, 3]), 1e-3).expect("the sizes fit");
        assert_eq!(found, Apart { error: 0.1, row: 1, column: 1, ours: 3.5, theirs: 4.0, first_row: Some(1) });
        let infinite = Recorded { shape: vec![1, 2], numbers: vec![f32::INFINITY, 1.0] };
        let found = apart(&matrix(1, 2, &[f32::INFINITY, 5.0]), &infinite, 1e-3).expect("the sizes fit");
        assert_eq!((found.error, found.column), (4.0, 1), "beside an infinity that agrees");
        let nothing = Recorded { shape: vec![1, 1], numbers: vec![0.0] };
        assert!(
            apart(&matrix(1, 1, &[1e-12]), &nothing, 1e-3).is_some_and(|found| found.error < 1e-5),
            "noise about zero"
        );
        data[2] = f32::NAN;
        let found = apart(&matrix(2, 3, &data), &recorded(&[2, 3]), 1e-3).expect("the sizes fit");
        assert_eq!((found.error, found.row, found.column), (f64::INFINITY, 0, 2));
    }
}
