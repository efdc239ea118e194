//! Attention over packed sequences, and over keys and values that are kept.

use crate::call::Call;
use crate::sequences::TILE;
use crate::{Buffer, Columns, Kept, Recorder, Sequences};

/// Shared memory that a workgroup takes at most, which all but the smallest GPUs have.
const SHARED_BYTES: usize = 32 << 10;

/// Keys that a workgroup takes of a row where few rows go through many keys. It does not depend on the batch, so that
/// neither does the order in which a row adds up.
const SPAN: usize = 256;

/// Threads of such a workgroup.
const THREADS: usize = 128;

/// The most heads that share keys in such a workgroup.
const TOGETHER: usize = 8;

/// `softmax(scale * q k^T + bias) v` for each head, within each sequence.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`.
    pub key_value_heads: usize,
    /// Numbers of a head.
    pub head_size: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// The greatest distance at which a token is seen.
    pub window: Option<usize>,
    /// Factor of the scores.
    pub scale: f32,
    /// `c` in `c tanh(score / c)` of scaled scores.
    pub soft_cap: Option<f32>,
    /// What the distance of two tokens adds to their scaled score.
    pub relative: Option<Relative<'a>>,
}

/// What the distance of two tokens adds to their score. Distances run from `-reach` on; `reach` is at least that of the
/// longest sequence.
#[derive(Clone, Copy, Debug)]
pub enum Relative<'a> {
    /// A number for each head and each `key - query`.
    Bias {
        /// `[heads, 2 * reach + 1]`
        table: &'a Buffer,
        /// The greatest distance.
        reach: usize,
    },
    /// Products of contents and rows of tables, times the scale (DeBERTa). Not over what is kept.
    Disentangled {
        /// The row for each `query - key`, whole numbers `[2 * reach + 1]`.
        rows: &'a Buffer,
        /// The greatest distance.
        reach: usize,
        /// `[rows, heads * head_size]`, whose products with queries count.
        keys: Option<&'a Buffer>,
        /// `[rows, heads * head_size]`, whose products with keys count.
        queries: Option<&'a Buffer>,
    },
}

impl Recorder {
    /// Fills `to [n, heads * head_size]` with attention within each sequence of a batch.
    pub fn attention(
        &mut self,
        sequences: &Sequences,
        [q, k, v]: [Columns<'_>; 3],
        attention: &Attention<'_>,
        to: &Buffer,
    ) {
        let (rows, width) = (sequences.rows(), attention.key_value_heads * attention.head_size);
        [k, v].iter().for_each(|columns| columns.hold(rows, width));
        let vectors = [q, k, v].iter().all(|columns| columns.aligned(attention.head_size));
        let call = attention.begin("attention", sequences, q, vectors, to);
        let call = columns("k", k, vectors, columns("v", v, vectors, call)).flag("kept", false);
        attention.run_tiles(self, sequences, sequences.tile_count(), call, to);
    }

    /// Fills `to [n, heads * head_size]` with attention to what is kept. Where it is causal, that is the past of each sequence
    /// and its own rows, which must be [kept](Self::keep) before; else all of the past, which is of a source.
    pub fn attention_over_kept(
        &mut self,
        sequences: &Sequences,
        kept: &Kept,
        q: Columns<'_>,
        attention: &Attention<'_>,
        to: &Buffer,
    ) {
        assert!(!matches!(attention.relative, Some(Relative::Disentangled { .. })), "keys are kept without positions");
        assert!(
            attention.causal || (attention.window.is_none() && attention.relative.is_none()),
            "a source is seen whole"
        );
        let fits = (kept.heads(), kept.head_size()) == (attention.key_value_heads, attention.head_size);
        assert!(fits, "what is kept is of this attention");
        assert!(!attention.causal || sequences.roomy(), "blocks for what is kept and what is added");
        assert!(sequences.blocks_below(kept.blocks()), "blocks that there are");
        let vectors = q.aligned(attention.head_size);
        let begin = |name: &'static str| {
            let call = attention.begin(name, sequences, q, vectors, to);
            kept.bind(call.flag("kept", true), false).read("table", "u32", sequences.table())
        };
        let quads = attention.head_size.div_ceil(4);
        if quads > THREADS {
            return attention.run_tiles(self, sequences, sequences.tile_count(), begin("attention"), to);
        }
        attention.run_tiles(self, sequences, sequences.long_tile_count(), begin("attention"), to);
        if sequences.few_count() > 0 {
            self.attention_of_few(sequences, attention, begin("attention_split"), to);
        }
    }

    fn attention_of_few<'a>(
        &mut self,
        sequences: &'a Sequences,
        attention: &Attention<'a>,
        call: Call<'a>,
        to: &'a Buffer,
    ) {
        let (heads, quads) = (attention.heads, attention.head_size.div_ceil(4));
        let sharing = heads / attention.key_value_heads;
        let most = self.shared_bytes();
        let fits = |together: &usize| {
            let bytes = together * (16 * quads + 8 * THREADS) + 16 * THREADS;
            sharing.is_multiple_of(*together) && bytes <= most
        };
        let together = (1..=TOGETHER).rev().find(fits).unwrap_or(1);
        let splits = sequences.longest_of_few().div_ceil(SPAN).max(1);
        let few = sequences.few_count();
        let parts = if splits > 1 {
            let Some(parts) = self.own_scratch(few * heads * splits * (quads + 1) * 16) else { return };
            Some(parts)
        } else {
            None
        };
        let call = call
            .number("together", together)
            .number("span", SPAN)
            .number("threads", THREADS)
            .number("lanes", quads.next_power_of_two())
            .flag("joined", parts.is_none())
            .flag("subgroups", self.gpu.shared.capabilities.subgroups.is_some())
            .read("few", "u32", sequences.few())
            .read("row_sequences", "u32", sequences.of_rows())
            .size("splits", splits);
        let call = match &parts {
            None => call.write("to", "f32", to),
            Some(parts) => call.write("parts", "vec4<f32>", parts),
        };
        call.run(self, few * (heads / together) * splits);
        if let Some(parts) = &parts {
            Call::new("attention_join")
                .number("head_size", attention.head_size)
                .read("few", "u32", sequences.few())
                .read("parts", "vec4<f32>", parts)
                .write("to", "f32", to)
                .size("heads", heads)
                .size("splits", splits)
                .run_each(self, few * heads * attention.head_size, THREADS);
        }
    }
}

impl Recorder {
    /// Shared memory that a workgroup of attention may have.
    fn shared_bytes(&self) -> usize {
        let limit = self.gpu.shared.limits.max_compute_workgroup_storage_size;
        usize::try_from(limit).map_or(SHARED_BYTES, |limit| limit.min(SHARED_BYTES))
    }
}

impl<'a> Attention<'a> {
    /// What all kernels of attention are given.
    fn begin(
        &self,
        name: &'static str,
        sequences: &'a Sequences,
        q: Columns<'a>,
        vectors: bool,
        to: &Buffer,
    ) -> Call<'a> {
        let rows = sequences.rows();
        q.hold(rows, self.heads * self.head_size);
        to.holds(rows * self.heads * self.head_size);
        let call = Call::new(name)
            .number("head_size", self.head_size)
            .flag("vectors", vectors)
            .flag("causal", self.causal)
            .flag("window", self.window.is_some())
            .flag("soft_cap", self.soft_cap.is_some())
            .read("sequences", "vec4<u32>", sequences.list())
            .size("heads", self.heads)
            .size("key_value_heads", self.key_value_heads)
            // No distance is greater, and the sum of this and a token still has 32 bits.
            .size("window", self.window.unwrap_or(0).min(1 << 30))
            .float("scale", self.scale)
            .float("soft_cap", self.soft_cap.unwrap_or(1.0));
        let call = columns("q", q, vectors, call);
        let reaches = |reach: usize| assert!(reach + 1 >= sequences.longest(), "distances up to {reach}");
        match self.relative {
            None => call.text("relative", ""),
            Some(Relative::Bias { table, reach }) => {
                reaches(reach);
                table.holds(self.heads * (2 * reach + 1));
                call.text("relative", "bias").read("bias", "f32", table).size("reach", reach)
            }
            Some(Relative::Disentangled { rows, reach, keys, queries }) => {
                reaches(reach);
                rows.holds(2 * reach + 1);
                call.text("relative", "disentangled")
                    .read("buckets", "u32", rows)
                    .maybe("position_keys", "f32", keys)
                    .maybe("position_queries", "f32", queries)
                    .size("reach", reach)
            }
        }
    }

    fn run_tiles(
        &self,
        recorder: &mut Recorder,
        sequences: &'a Sequences,
        count: usize,
        call: Call<'a>,
        to: &'a Buffer,
    ) {
        let quads = self.head_size.div_ceil(4);
        let most = recorder.shared_bytes();
        // Queries, keys, and threads that have queries; a thread of a row has four keys.
        let shapes = [(TILE, 32, 8), (16, 32, 8), (16, 16, 8), (8, 16, 8), (8, 8, 8), (4, 8, 4)];
        let bytes = |queries: usize, keys: usize| 16 * (queries * quads + keys * (quads + 1)) + 5 * queries * keys;
        // Short sequences do not fill a tile.
        let filled = sequences.rows().div_ceil(sequences.tile_count().max(1));
        let fits = |(queries, keys, _): &(usize, usize, usize)| {
            bytes(*queries, *keys) <= most && (*queries < TILE || filled > TILE / 2)
        };
        let (queries, keys, down) = shapes.into_iter().find(fits).unwrap_or((4, 8, 4));
        call.number("queries", queries)
            .number("keys", keys)
            .number("down", down)
            .number("tile", TILE)
            .read("tiles", "vec2<u32>", sequences.tiles())
            .write("to", "f32", to)
            .run(recorder, count * (TILE / queries) * self.heads);
    }
}

impl Columns<'_> {
    /// Whether heads can be read as vectors of four numbers.
    pub(crate) fn aligned(&self, head_size: usize) -> bool {
        [self.stride, self.first, head_size].iter().all(|number| number.is_multiple_of(4))
    }
}

/// Binds columns of heads under a name of one letter.
pub(crate) fn columns<'a>(name: &'static str, columns: Columns<'a>, vectors: bool, call: Call<'a>) -> Call<'a> {
    let (stride, first) = match name {
        "q" => ("q_stride", "q_first"),
        "k" => ("k_stride", "k_first"),
        _ => ("v_stride", "v_first"),
    };
    let element = if vectors { "vec4<f32>" } else { "f32" };
    call.read(name, element, columns.buffer).size(stride, columns.stride).size(first, columns.first)
}
