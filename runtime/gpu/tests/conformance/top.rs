//! The greatest numbers of rows.

use runtime_gpu::Read;

use crate::support::{Random, gpus, room};

#[test]
fn the_greatest_and_the_first_of_equal_ones() {
    for gpu in gpus() {
        let mut random = Random::new(60);
        for (rows, width, count) in [(0, 5, 1), (1, 1, 1), (3, 17, 17), (2, 257, 5), (5, 10_001, 1), (1, 50_000, 40)] {
            // Few different numbers, so that many are equal, and one kind of zero.
            let mut x: Vec<f32> = random.numbers(rows * width).iter().map(|x| (x * 1000.0).round() + 0.0).collect();
            for row in x.chunks_exact_mut(width).filter(|row| row.len() > 3) {
                row[1] = f32::NAN;
                row[2] = f32::NEG_INFINITY;
            }
            let (mut ids, mut scores) = (Vec::new(), Vec::new());
            for row in x.chunks_exact(width) {
                let order = |x: f32| if x.is_nan() { f32::MIN } else { x.max(f32::MIN) };
                let mut columns: Vec<usize> = (0..width).collect();
                columns.sort_by(|a, b| order(row[*b]).total_cmp(&order(row[*a])).then(a.cmp(b)));
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
