//! BART (<https://arxiv.org/abs/1910.13461>), with the weight names and defaults of transformers' `modeling_bart.py`.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::seq2seq::{Family, HEADS, Positions};

/// BART's encoder, alone and with its decoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "bart", model_types: &["bart"], base_prefix: "model", heads: &HEADS, build };

/// The table has two rows before the first position, of which BART has no use.
const FAMILY: Family = Family { norms_first: false, embedding_norm: true, positions: Positions::Learned { first: 2 } };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    FAMILY.build(graph, config, head)
}
