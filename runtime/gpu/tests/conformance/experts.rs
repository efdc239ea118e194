//! Mixtures of experts.

use runtime_gpu::{Activation, Finish, Gpu, Precision, Read, Stored, Weight};
use runtime_kernels::BlockType;

use crate::product::{matrix, short_sighted};
use crate::rows::activate;
use crate::support::{Random, close, gpus, room};

struct Case {
    rows: usize,
    experts: usize,
    top_k: usize,
    normalise: bool,
    stored: Stored,
}

/// A gated layer of experts from the logits to the sum.
fn check(gpu: &Gpu, random: &mut Random, case: &Case) {
    let Case { rows, experts, top_k, normalise, stored } = *case;
    let (inputs, inner) = if matches!(stored, Stored::Blocks(_)) { (64, 96) } else { (20, 33) };
    let logits: Vec<f32> = random.numbers(rows * experts).iter().map(|x| (x * 8.0).round() / 2.0 + 0.0).collect();
    let x = random.numbers(rows * inputs);
    let [gate, up] = [0, 1].map(|_| matrix(random, stored, experts * inner, inputs));
    let down = matrix(random, stored, experts * inputs, inner);

    let mut expected = Vec::new();
    for (logits, x) in logits.chunks_exact(experts).zip(x.chunks_exact(inputs)) {
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
        let chosen = &order[..top_k];
        let exp = |expert: &usize| f64::from(logits[*expert]).exp();
        let whole: f64 = if normalise { chosen.iter().map(exp).sum() } else { order.iter().map(exp).sum() };
        let mut sum = vec![0.0; inputs];
        for expert in chosen {
            let product = |weight: &[f64], first: usize, x: &[f64]| -> f64 {
                weight[first * x.len()..(first + 1) * x.len()].iter().zip(x).map(|(weight, x)| weight * x).sum()
            };
            let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let middle: Vec<f64> = (expert * inner..(expert + 1) * inner)
                .map(|row| activate(Activation::Silu, product(&gate.numbers, row, &x)) * product(&up.numbers, row, &x))
                .collect();
            for (column, sum) in sum.iter_mut().enumerate() {
                *sum += exp(expert) / whole * product(&down.numbers, expert * inputs + column, &middle);
            }
        }
        expected.extend(sum);
    }

    let upload =
        |bytes: &[u8], inputs| Weight::new(gpu, stored, inputs, &[bytes], Precision::AsStored).expect("memory");
    let [gate, up] = [&gate, &up].map(|weight| upload(&weight.bytes, inputs));
    let down = upload(&down.bytes, inner);
    let mut recorder = gpu.record();
    let [logits, x] = [&logits, &x].map(|numbers| recorder.upload_f32(numbers).expect("there is memory"));
    let places = rows * top_k;
    let [laid_out, opened, closed] = [inputs, inner, inputs].map(|width| room(gpu, places * width));
    let (middle, to) = (room(gpu, places * inner), room(gpu, rows * inputs));
    let routing =
        recorder.route(&logits, rows, experts, top_k, normalise, &x, inputs, &laid_out).expect("there is memory");
    recorder.expert_products(&routing, &laid_out, &up, &Finish::default(), &opened);
    let finish = Finish { activation: Some(Activation::Silu), factor: Some(&opened), ..Finish::default() };
    recorder.expert_products(&routing, &laid_out, &gate, &finish, &middle);
    recorder.expert_products(&routing, &middle, &down, &Finish::default(), &closed);
    recorder.mix(&routing, &closed, inputs, &to);
    let found = recorder.finish(&[Read::new(&to, 0, rows * inputs)]).expect("the recording is right").f32(0);
    // Three products one after the other, each of halves.
    let halved = matches!(stored, Stored::Blocks(_)) && gpu.capabilities().cooperative.is_some();
    let tolerance = if halved { 4e-3 } else { 1e-5 };
    close(&found, &expected, tolerance, &format!("{rows} rows, {top_k} of {experts} experts, {stored:?}"));
}

#[test]
fn mixtures_of_experts() {
    for gpu in gpus() {
        let mut random = Random::new(50);
        for (rows, experts, top_k, normalise) in [
            (0, 4, 2, true),
            (1, 8, 2, true),
            (3, 60, 4, false),
            (17, 5, 5, true),
            (65, 3, 1, false),
            (100, 8, 3, true),
        ] {
            check(gpu, &mut random, &Case { rows, experts, top_k, normalise, stored: Stored::F32 });
        }
        for (rows, stored) in [
            (1, Stored::Blocks(BlockType::Q8_0)),
            (5, Stored::Blocks(BlockType::Q8_0)),
            (70, Stored::Blocks(BlockType::Q8_0)),
            (70, Stored::F16),
        ] {
            check(gpu, &mut random, &Case { rows, experts: 6, top_k: 2, normalise: true, stored });
        }
    }
}

#[test]
fn experts_whose_weights_are_cut_up() {
    for gpu in &short_sighted(1 << 14) {
        let mut random = Random::new(51);
        for (rows, stored) in [(1, Stored::F32), (5, Stored::F32), (45, Stored::F32), (45, Stored::Bf16)] {
            check(gpu, &mut random, &Case { rows, experts: 11, top_k: 2, normalise: true, stored });
        }
    }
}
