//! The greatest numbers of rows, and sums of exponentials.

use runtime_gpu::{MOST_LISTED, Read, log_sum_exp, summed_parts};

use crate::support::{Random, gpus, room};

#[test]
fn the_greatest_and_the_first_of_equal_ones() {
    for gpu in gpus() {
        let mut random = Random::new(60);
        let sizes = [
            (0, 5, 1),
            (1, 1, 1),
            (3, 17, 17),
            (2, 257, 5),
            (5, 10_001, 1),
            (3, 4096, 1),
            (2, 1025, MOST_LISTED),
            (1, 20_000, MOST_LISTED),
            (1, 50_000, 40),
        ];
        for (rows, width, count) in sizes {
            // Few different numbers, so that many are equal, zeros of both kinds, and what is no number to calculate with.
            let mut x: Vec<f32> = random.numbers(rows * width).iter().map(|x| (x * 1000.0).round()).collect();
            for (number, row) in x.chunks_exact_mut(width).enumerate().filter(|(_, row)| row.len() > 5) {
                row[2..5].copy_from_slice(&[f32::NEG_INFINITY, f32::INFINITY, f32::MIN]);
                if number == 1 {
                    row[1] = f32::NAN;
                    row[width - 1] = -f32::NAN;
                }
            }
            let (mut ids, mut scores) = (Vec::new(), Vec::new());
            for row in x.chunks_exact(width) {
                let mut columns: Vec<usize> = (0..width).collect();
                let is_nan = |column: usize| row[column].is_nan();
                columns.sort_by(|a, b| {
                    let greater = row[*b].partial_cmp(&row[*a]);
                    is_nan(*b).cmp(&is_nan(*a)).then(greater.unwrap_or(std::cmp::Ordering::Equal)).then(a.cmp(b))
                });
                ids.extend(columns[..count].iter().map(|column| u32::try_from(*column).expect("small")));
                scores.extend(columns[..count].iter().map(|column| row[*column].to_bits()));
            }
            let mut recorder = gpu.record();
            let x = recorder.upload_f32(&x).expect("there is memory");
            let [there, scores_there, alone] = [0, 1, 2].map(|_| room(gpu, rows * count));
            recorder.top(&x, rows, width, count, &there, Some(&scores_there));
            recorder.top(&x, rows, width, count, &alone, None);
            let reads = [&there, &scores_there, &alone].map(|buffer| Read::new(buffer, 0, rows * count));
            let results = recorder.finish(&reads).expect("the recording is right");
            assert_eq!(results.u32(0), ids, "{count} of {width}");
            assert_eq!(results.u32(2), ids, "{count} of {width}");
            assert_eq!(results.u32(1), scores, "{count} of {width}");
        }
    }
}

#[test]
fn sums_are_those_in_double_precision() {
    for gpu in gpus() {
        let mut random = Random::new(61);
        for (rows, width, scale) in [(1, 1, 1.0), (3, 100, 30.0), (2, 4097, 10.0), (4, 20_001, 4.0), (1, 9000, 1e30)] {
            let mut x: Vec<f32> = random.numbers(rows * width).iter().map(|x| x * scale).collect();
            x.chunks_exact_mut(width).filter(|row| row.len() > 5).for_each(|row| row[3] = f32::NEG_INFINITY);
            let mut recorder = gpu.record();
            let (there, parts) = (recorder.upload_f32(&x).expect("there is memory"), 2 * summed_parts(width));
            let to = room(gpu, rows * parts);
            recorder.sum_exp(&there, rows, width, &to);
            let found = recorder.finish(&[Read::new(&to, 0, rows * parts)]).expect("the recording is right").f32(0);
            for (row, parts) in x.chunks_exact(width).zip(found.chunks_exact(parts)) {
                let highest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
                let expected = highest + row.iter().map(|x| (f64::from(*x) - highest).exp()).sum::<f64>().ln();
                let off = (log_sum_exp(parts) - expected).abs();
                assert!(off <= 2e-6 + expected.abs() * 1e-9, "{width}, {scale}: {} not {expected}", log_sum_exp(parts));
            }
        }
    }
}
