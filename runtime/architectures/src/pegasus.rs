//! Pegasus (<https://arxiv.org/abs/1912.08777>), with the weight names and defaults of transformers'
//! `modeling_pegasus.py`: mBART with sinusoids for positions and without a norm of the embeddings.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::seq2seq::{Family, HEADS, Positions};

/// Pegasus' encoder, alone and with its decoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "pegasus", model_types: &["pegasus"], base_prefix: "model", heads: &HEADS, build };

const FAMILY: Family = Family { norms_first: true, embedding_norm: false, positions: Positions::Sinusoids };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    FAMILY.build(graph, config, head)
}
