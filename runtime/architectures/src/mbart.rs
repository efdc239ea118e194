//! mBART (<https://arxiv.org/abs/2001.08210>), with the weight names and defaults of transformers' `modeling_mbart.py`:
//! BART with norms before each part and behind the last layer.

use runtime_graph::{Architecture, Builder, Config, Head, Refusal};

use crate::seq2seq::{Family, HEADS, Positions};

/// mBART's encoder, alone and with its decoder.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "mbart", model_types: &["mbart"], base_prefix: "model", heads: &HEADS, build };

const FAMILY: Family = Family { norms_first: true, embedding_norm: true, positions: Positions::Learned { first: 2 } };

fn build(graph: &Builder, config: &Config, head: Head) -> Result<(), Refusal> {
    FAMILY.build(graph, config, head)
}
