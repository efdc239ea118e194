//! Attention over packed sequences.
//!
//! A task is some rows of one sequence, for all heads. Keys are transposed once per task and head, so that scores of
//! all keys are computed a vector at a time without summing across a vector.

use std::ops::Range;

use rayon::prelude::*;
use runtime_graph::{AttentionOptions, Relative, bias_row, disentangled_row};

use super::math::exp;
use super::reduce::{max, sum};
use super::simd::widest;

/// Query rows in a task.
const ROWS: usize = 32;

/// `softmax(scale * q k^T + relative) v` for each head, within each sequence.
pub(crate) struct Attention<'a> {
    offsets: &'a [usize],
    heads: usize,
    /// Query heads that share a key and value head.
    group: usize,
    head_size: usize,
    causal: bool,
    scale: f32,
    window: usize,
    relative: Option<Relative>,
    /// The operands of `relative`.
    tables: &'a [Vec<f32>],
}

/// The operands: `q [n, heads * d]`, `k` and `v` `[n, key_value_heads * d]`.
#[derive(Clone, Copy)]
struct Operands<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

/// Rows of the result: those of the tokens from `first` on, within `sequence`.
struct Task<'a> {
    sequence: Range<usize>,
    first: usize,
    to: &'a mut [f32],
}

/// What a task needs once for all of its heads.
struct Scratch {
    /// `[d, tokens]`
    keys: Vec<f32>,
    /// `[tokens]`
    scores: Vec<f32>,
}

impl<'a> Attention<'a> {
    /// Over sequences that begin at `offsets`, with queries of `width` numbers and the operands of relative terms.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding to single precision")]
    pub(crate) fn new(options: &AttentionOptions, offsets: &'a [usize], width: usize, tables: &'a [Vec<f32>]) -> Self {
        let heads = options.heads as usize;
        let head_size = width / heads;
        Self {
            offsets,
            heads,
            group: heads / options.key_value_heads as usize,
            head_size,
            causal: options.causal,
            scale: options.scale.unwrap_or_else(|| 1.0 / (head_size as f64).sqrt()) as f32,
            window: options.window.map_or(usize::MAX, |window| window as usize),
            relative: options.relative,
            tables,
        }
    }

    /// Fills `to [n, heads * d]`.
    pub(crate) fn run(&self, q: &[f32], k: &[f32], v: &[f32], to: &mut [f32]) {
        let operands = Operands { q, k, v };
        self.tasks(to).into_par_iter().for_each(|mut task| {
            let tokens = task.sequence.len();
            let mut scratch = Scratch { keys: vec![0.0; self.head_size * tokens], scores: vec![0.0; tokens] };
            for head in 0..self.heads {
                widest(|| self.head(head, operands, &mut scratch, &mut task));
            }
        });
    }

    /// Cuts the result into the rows of each task.
    fn tasks<'t>(&self, mut to: &'t mut [f32]) -> Vec<Task<'t>> {
        let mut tasks = Vec::new();
        for pair in self.offsets.windows(2) {
            for first in (pair[0]..pair[1]).step_by(ROWS) {
                let rows = ROWS.min(pair[1] - first);
                let (mine, rest) = std::mem::take(&mut to).split_at_mut(rows * self.heads * self.head_size);
                tasks.push(Task { sequence: pair[0]..pair[1], first, to: mine });
                to = rest;
            }
        }
        tasks
    }

    #[inline(always)]
    fn head(&self, head: usize, operands: Operands<'_>, scratch: &mut Scratch, task: &mut Task<'_>) {
        let size = self.head_size;
        let (width, kv_width) = (self.heads * size, self.heads / self.group * size);
        let (column, kv_column) = (head * size, head / self.group * size);
        let Range { start, end } = task.sequence;
        let tokens = end - start;

        let keys = operands.k[start * kv_width..end * kv_width].chunks_exact(kv_width);
        for (token, key) in keys.enumerate() {
            for (part, x) in key[kv_column..kv_column + size].iter().enumerate() {
                scratch.keys[part * tokens + token] = *x;
            }
        }
        for (row, to) in task.to.chunks_exact_mut(width).enumerate() {
            let token = task.first + row;
            let seen = if self.causal { token - start + 1 } else { tokens };
            let scores = &mut scratch.scores[..seen];
            scores.fill(0.0);
            let query = &operands.q[token * width + column..][..size];
            for (x, keys) in query.iter().zip(scratch.keys.chunks_exact(tokens)) {
                add_scaled(scores, x * self.scale, keys);
            }
            if self.relative.is_some() {
                for (key, score) in scores.iter_mut().enumerate() {
                    *score += self.relative(head, operands, token, start + key);
                }
            }
            for (key, score) in scores.iter_mut().enumerate() {
                if (start + key).abs_diff(token) > self.window {
                    *score = f32::NEG_INFINITY;
                }
            }
            softmax(scores);
            let to = &mut to[column..column + size];
            to.fill(0.0);
            let values = operands.v[start * kv_width..end * kv_width].chunks_exact(kv_width);
            for (weight, value) in scores.iter().zip(values) {
                add_scaled(to, *weight, &value[kv_column..kv_column + size]);
            }
        }
    }
}

impl Attention<'_> {
    /// What the distance of two tokens adds to their score.
    #[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "positions are below 2^31")]
    fn relative(&self, head: usize, operands: Operands<'_>, query: usize, key: usize) -> f32 {
        let distance = query as i64 - key as i64;
        match self.relative {
            None => 0.0,
            Some(Relative::Bias { max_distance }) => {
                let buckets = (self.tables[0].len() / self.heads) as u32;
                let row = bias_row(-distance, buckets, max_distance, self.causal) as usize;
                self.tables[0][row * self.heads + head]
            }
            Some(Relative::Disentangled { keys, queries, max_distance }) => {
                let width = self.heads * self.head_size;
                let span = (self.tables[0].len() / width / 2) as u32;
                let row = disentangled_row(distance, span, max_distance) as usize;
                let contents = [keys.then_some((operands.q, query)), queries.then_some((operands.k, key))];
                let product = |((x, token), table): ((&[f32], usize), &Vec<f32>)| {
                    let x = &x[token * width + head * self.head_size..][..self.head_size];
                    let y = &table[row * width + head * self.head_size..][..self.head_size];
                    x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>()
                };
                contents.into_iter().flatten().zip(self.tables).map(product).sum::<f32>() * self.scale
            }
        }
    }
}

/// `to += factor * x`, over the shorter of both.
#[inline(always)]
fn add_scaled(to: &mut [f32], factor: f32, x: &[f32]) {
    for (to, x) in to.iter_mut().zip(x) {
        *to += factor * x;
    }
}

#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let highest = max(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - highest);
    }
    let scale = 1.0 / sum(scores, |x| x);
    for score in scores {
        *score *= scale;
    }
}
