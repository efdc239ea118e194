//! The sequences of a batch, as kernels see them.

use runtime_kernels::BLOCK;

use crate::{Buffer, Error, Recorder};

/// Rows of one sequence that a workgroup of attention takes together.
pub(crate) const TILE: usize = 32;

/// Up to so many rows, attention over what is kept goes row by row, and its keys are shared by workgroups.
const FEW: usize = 4;

/// The part of a sequence that is in a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence<'a> {
    /// Its rows.
    pub tokens: usize,
    /// Tokens whose keys and values are kept: those before its rows, or those of its source.
    pub past: usize,
    /// The blocks in which they are, with room for what its rows add.
    pub blocks: &'a [u32],
}

/// The sequences of a batch on a GPU. They are prepared once for all steps of a run.
pub struct Sequences {
    /// First row, rows, past, first block in the table.
    list: Buffer,
    /// The sequence of each row.
    of_rows: Buffer,
    /// The blocks of all sequences.
    table: Buffer,
    /// Sequence and first row within it, of tiles; those of sequences with few rows come last.
    tiles: Buffer,
    tile_count: usize,
    long_tile_count: usize,
    /// The rows of sequences with few rows.
    few: Buffer,
    few_count: usize,
    rows: usize,
    count: usize,
    /// The most tokens that one of those may see of what is kept.
    longest_of_few: usize,
    /// One more than the greatest number of a block.
    blocks: usize,
    /// Whether all have blocks for their past and their rows.
    roomy: bool,
    /// The most tokens of one, with those that are kept.
    longest: usize,
}

impl Recorder {
    /// Prepares sequences, whose rows follow each other.
    ///
    /// # Errors
    /// Where there is no memory for them, or the GPU is lost.
    ///
    /// # Panics
    /// Where a sequence has blocks, but fewer than for its tokens.
    pub fn sequences(&mut self, sequences: &[Sequence<'_>]) -> Result<Sequences, Error> {
        let number = |number: usize| u32::try_from(number).expect("rows and blocks have 32 bits");
        let (mut list, mut of_rows, mut table) = (Vec::new(), Vec::new(), Vec::new());
        let (mut long, mut short, mut few) = (Vec::new(), Vec::new(), Vec::new());
        let (mut row, mut longest_of_few) = (0, 0);
        for (index, sequence) in sequences.iter().enumerate() {
            let Sequence { tokens, past, blocks } = *sequence;
            list.extend([number(row), number(tokens), number(past), number(table.len())]);
            of_rows.extend(std::iter::repeat_n(number(index), tokens));
            table.extend_from_slice(blocks);
            let tiles = if tokens <= FEW { &mut short } else { &mut long };
            (0..tokens).step_by(TILE).for_each(|first| tiles.extend([number(index), number(first)]));
            if tokens <= FEW {
                few.extend((row..row + tokens).map(number));
                longest_of_few = longest_of_few.max(past + tokens);
            }
            assert!(blocks.is_empty() || blocks.len() * BLOCK >= past, "blocks for {past} tokens");
            row += tokens;
        }
        let long_tile_count = long.len() / 2;
        long.append(&mut short);
        Ok(Sequences {
            list: self.upload_u32(&list)?,
            of_rows: self.upload_u32(&of_rows)?,
            table: self.upload_u32(&table)?,
            tiles: self.upload_u32(&long)?,
            tile_count: long.len() / 2,
            long_tile_count,
            few: self.upload_u32(&few)?,
            few_count: few.len(),
            rows: row,
            count: sequences.len(),
            longest_of_few,
            roomy: sequences.iter().all(|sequence| sequence.blocks.len() * BLOCK >= sequence.past + sequence.tokens),
            longest: sequences.iter().map(|sequence| sequence.past + sequence.tokens).max().unwrap_or(0),
            blocks: table.iter().map(|block| *block as usize + 1).max().unwrap_or(0),
        })
    }
}

impl Sequences {
    /// Rows of all of them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn list(&self) -> &Buffer {
        &self.list
    }

    pub(crate) fn of_rows(&self) -> &Buffer {
        &self.of_rows
    }

    pub(crate) fn table(&self) -> &Buffer {
        &self.table
    }

    pub(crate) fn tiles(&self) -> &Buffer {
        &self.tiles
    }

    /// Tiles of all sequences.
    pub(crate) fn tile_count(&self) -> usize {
        self.tile_count
    }

    /// Tiles of sequences with more than a few rows.
    pub(crate) fn long_tile_count(&self) -> usize {
        self.long_tile_count
    }

    /// Rows of the other sequences.
    pub(crate) fn few(&self) -> &Buffer {
        &self.few
    }

    pub(crate) fn few_count(&self) -> usize {
        self.few_count
    }

    /// The most tokens that such a row may see.
    pub(crate) fn longest_of_few(&self) -> usize {
        self.longest_of_few
    }

    /// The most tokens of one, with those that are kept.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether all have blocks for their past and their rows.
    pub(crate) fn roomy(&self) -> bool {
        self.roomy
    }

    /// Whether all blocks have smaller numbers.
    pub(crate) fn blocks_below(&self, count: usize) -> bool {
        self.blocks <= count
    }
}
