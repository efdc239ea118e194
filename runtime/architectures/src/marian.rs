//! Marian (<https://arxiv.org/abs/1804.00344>), with the weight names and defaults of transformers' `modeling_marian.py`:
//! BART with sinusoids for positions and without a norm of the embeddings.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::seq2seq::{Family, HEADS, Positions};

/// Marian's encoder, alone and with its decoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "marian", model_types: &["marian"], base_prefix: "model", heads: &HEADS, build };

const FAMILY: Family = Family { norms_first: false, embedding_norm: false, positions: Positions::Sinusoids };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    FAMILY.build(graph, config, head)
}
