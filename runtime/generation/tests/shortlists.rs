//! What is chosen from a shortlist is what is chosen from its row.

use runtime_generation::{
    Candidate, GenerationConfig, Lengths, Needs, Processors, Prompt, Sampler, Shortlist, Warpers, argmax,
    token_log_probs,
};
use serde_json::{Value, json};

/// A small generator (xorshift), so that runs are the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).expect("64 bits") % limit
    }

    /// From 0 to 1.
    fn share(&mut self) -> f32 {
        f32::from(u16::try_from(self.next() >> 48).expect("16 bits")) / 65536.0
    }

    /// A row as models give them, or one with many equal or nearly equal scores.
    fn row(&mut self) -> Vec<f32> {
        let width = [3, 7, 60, 500, 2000][self.below(5)];
        let (kind, scale) = (self.below(5), [0.01, 1.0, 30.0, 1e4][self.below(4)]);
        let mut number = |_| {
            let normal = (0..6).map(|_| self.share() - 0.5).sum::<f32>() * scale;
            match kind {
                0 | 1 => normal,
                2 => normal.round(),
                // Neighbours, some of which are equal once they are divided.
                3 => f32::from_bits(scale.to_bits() + u32::try_from(self.below(40)).expect("small")),
                _ if self.below(3) == 0 => f32::NEG_INFINITY,
                _ => [0.0, -0.0, 1.0, normal][self.below(4)],
            }
        };
        let mut row: Vec<f32> = (0..width).map(&mut number).collect();
        row[self.below(width)] = scale;
        row
    }
}

/// The least list that is as good as the row, and sometimes more; by a stable sort of the row.
fn listed(row: &[f32], count: usize, ties: bool, more: usize) -> (Vec<u32>, Vec<f32>, f64) {
    let mut all: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
    all.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("numbers"));
    let least = all[count.clamp(1, all.len()) - 1].1;
    let near = |score: f32| score >= least - least.abs() * 1e-6 - 1e-30;
    let tied = if ties { all.iter().filter(|(_, score)| near(*score)).count() } else { 0 };
    all.truncate(tied.max(count.max(1)) + more);
    let highest = f64::from(all[0].1);
    let sum: f64 = row.iter().map(|score| (f64::from(*score) - highest).exp()).sum();
    let (tokens, scores) = all.into_iter().unzip();
    (tokens, scores, highest + sum.ln())
}

fn config(params: &Value) -> GenerationConfig {
    GenerationConfig::default().with_params(params.as_object().expect("an object")).expect("parameters")
}

fn bits(candidates: &[Candidate]) -> Vec<(u32, u32, u32)> {
    candidates.iter().map(|found| (found.id, found.score.to_bits(), found.prob.to_bits())).collect()
}

#[test]
fn draws_are_those_of_the_row_to_the_last_bit() {
    let mut random = Random(5);
    let params = [
        json!({}),
        json!({"top_k": 1}),
        json!({"top_k": 3, "temperature": 0.3}),
        json!({"top_k": 40, "top_p": 0.7, "temperature": 1.7}),
        json!({"top_k": 200, "min_p": 0.05}),
        json!({"top_k": 20, "top_p": 0.95, "typical_p": 0.8, "temperature": 0.01}),
        json!({"top_k": 30, "epsilon_cutoff": 0.01, "eta_cutoff": 0.02, "renormalize_logits": true, "logprobs": 60}),
        json!({"top_h": 0.4}),
        json!({"top_h": 0.9, "top_k": 10, "temperature": 900.0}),
    ];
    for params in params {
        let mut params = params;
        params["do_sample"] = true.into();
        let config = config(&params);
        let Needs::Shortlist { count, ties: true, .. } = Needs::new(&config) else { panic!("{params} needs the row") };
        let (mut whole, mut short) = (Warpers::new(&config), Warpers::new(&config));
        let (mut of_whole, mut of_short) = (Sampler::new(Some(3), 0), Sampler::new(Some(3), 0));
        for _ in 0..2000 {
            let row = random.row();
            let more = random.below(3) * 4;
            let (tokens, scores, log_sum_exp) = listed(&row, count, true, more);
            let list = Shortlist { tokens: &tokens, scores: &scores, log_sum_exp: Some(log_sum_exp) };
            let expected = whole.distribution(&row).expect("something is left");
            let found = short.distribution_of(list).expect("something is left");
            assert_eq!(bits(found), bits(expected), "{params} of {row:?}");
            assert_eq!(of_short.draw(found), of_whole.draw(expected));
        }
    }
}

#[test]
fn the_greatest_and_the_probabilities_are_those_of_the_row() {
    let mut random = Random(6);
    for alternatives in [None, Some(0), Some(1), Some(5), Some(100)] {
        let config = config(&json!({"do_sample": false, "logprobs": alternatives}));
        let Needs::Shortlist { count, ties: false, log_sum_exp } = Needs::new(&config) else { panic!("the row") };
        assert_eq!((count, log_sum_exp), (alternatives.unwrap_or(0).max(1), alternatives.is_some()));
        for _ in 0..2000 {
            let row = random.row();
            let (tokens, scores, log_sum_exp) = listed(&row, count, false, 0);
            let list = Shortlist { tokens: &tokens, scores: &scores, log_sum_exp: Some(log_sum_exp) };
            let chosen = list.argmax().expect("a token");
            assert_eq!(Ok(chosen), argmax(&row));
            let alternatives = alternatives.unwrap_or(0);
            let (found, expected) = (list.log_probs(chosen, alternatives), token_log_probs(&row, chosen, alternatives));
            let (found, others) = found.expect("it is listed");
            for (found, expected) in
                std::iter::once(&found).chain(&others).zip(std::iter::once(&expected.0).chain(&expected.1))
            {
                assert_eq!(found.token, expected.token, "{row:?}");
                let off = (found.log_prob - expected.log_prob).abs();
                assert!(off <= 1e-6 * (1.0 + expected.log_prob.abs()) || found.log_prob == expected.log_prob);
            }
            assert_eq!(others.len(), expected.1.len());
        }
    }
}

#[test]
fn what_looks_at_all_scores_needs_the_row() {
    for params in [
        json!({"num_beams": 2}),
        json!({"do_sample": true, "top_k": 0}),
        json!({"do_sample": true, "top_k": 0, "top_p": 0.9}),
        json!({"do_sample": true, "temperature": 1e-7}),
        json!({"do_sample": true, "temperature": 1e7}),
        json!({"regex": "a+"}),
    ] {
        assert_eq!(Needs::new(&config(&params)), Needs::Row, "{params}");
    }
}

#[test]
fn processors_say_where_they_act() {
    let act = |mut params: Value| -> Vec<usize> {
        params["eos_token_id"] = 2.into();
        let config = config(&params);
        let lengths = Lengths::new(&config, 3, None).expect("lengths");
        let prompt = Prompt { length: 3, padding: 0, encoder_input: None, lengths };
        let mut processors = Processors::new(&config, prompt, 6).expect("processors");
        let acting = (3..13).filter(|length| processors.act_at(*length)).collect();
        for length in 3..13 {
            let row = [0.5, -1.0, 2.0, 3.0, 0.25, 1.0];
            let mut changed = row;
            processors.apply(&vec![3; length], &mut changed);
            assert!(changed == row || processors.act_at(length), "{params} at {length}");
        }
        acting
    };
    assert_eq!(act(json!({"max_new_tokens": 10})), [0_usize; 0]);
    assert_eq!(act(json!({"max_new_tokens": 10, "min_new_tokens": 2})), [3, 4]);
    assert_eq!(act(json!({"max_new_tokens": 10, "forced_eos_token_id": 2})), [12]);
    assert_eq!(act(json!({"max_new_tokens": 10, "begin_suppress_tokens": [3]})), [3]);
    assert_eq!(act(json!({"max_new_tokens": 10, "exponential_decay_length_penalty": [7, 1.1]})), [11, 12]);
    assert_eq!(act(json!({"max_new_tokens": 10, "repetition_penalty": 1.1})), (3..13).collect::<Vec<_>>());
}
