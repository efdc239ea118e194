//! Why a graph cannot be compiled or run.

use crate::BLOCK;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the graph computes of a token depends on tokens behind it, or on distances.
    #[error("the keys and values of this model cannot be kept, since `{operator}` {reason}")]
    NotCausal {
        /// The operator.
        operator: &'static str,
        /// What it does.
        reason: &'static str,
    },
    /// A batch with sequences without a past where keys and values are to be kept, or with a past where not.
    #[error("{with} of {sequences} sequences follow tokens that are kept; all must, or none")]
    Pasts {
        /// Sequences with a past.
        with: usize,
        /// All of them.
        sequences: usize,
    },
    /// A sequence that was shortened to a place of which the model has no state.
    #[error(
        "sequence {sequence} of the batch goes on behind {tokens} tokens, of which the model keeps no state any more; it \
         can go back to multiples of {BLOCK}"
    )]
    Rewound {
        /// Which sequence, from 0.
        sequence: usize,
        /// Tokens that it was shortened to.
        tokens: usize,
    },
    /// A sequence that goes on from a state that a run was changing when it failed.
    #[error("a run that failed has changed the state that sequence {sequence} of the batch goes on from; read it anew")]
    TornState {
        /// Which sequence, from 0.
        sequence: usize,
    },
    /// The model reads sources, and some sequences have none that was read.
    #[error("the model reads a source for each text, and {with} of {sequences} sequences have one that was read")]
    NeedsSources {
        /// Sequences with a source.
        with: usize,
        /// All of them.
        sequences: usize,
    },
    /// A cache of a plan on another device.
    #[error("the cache is of another device than the plan")]
    OtherCache,
    /// Experts of one kind whose weights are stored in several types.
    #[error("the experts of one layer are stored in several types, which this device cannot multiply")]
    MixedExperts,
    /// What the device does not do.
    #[error("{what} cannot be done on a GPU yet")]
    NotOnGpu {
        /// What was asked for.
        what: &'static str,
    },
    /// A GPU with too little memory for a model's weights.
    #[error("the weights take {needs} bytes, and the GPU `{adapter}` has {free} free{}", fitting(*.fits))]
    TooSmall {
        /// The GPU.
        adapter: String,
        /// Bytes of the weights.
        needs: u64,
        /// Bytes that nothing else holds.
        free: u64,
        /// A type in which they would fit.
        fits: Option<&'static str>,
    },
    /// GPUs with too little memory for the layers of a model.
    #[error("the weights take {needs} bytes, and the GPUs have {free} free, of which a quarter is for what runs need")]
    NoRoom {
        /// Bytes of the weights.
        needs: u64,
        /// Bytes that nothing else holds.
        free: u64,
    },
    /// A GPU that does not tell how many layers it has room for.
    #[error("it is not known how much memory the GPU `{adapter}` has, so that its layers have to be said")]
    UnknownMemory {
        /// The GPU.
        adapter: String,
    },
    /// Layers that are not those of the model, each once in their order.
    #[error("{}", layers(*.from, *.to, *.has))]
    Layers {
        /// The first that a device is given.
        from: usize,
        /// The one behind the last.
        to: usize,
        /// Layers of the model.
        has: usize,
    },
    /// A failure of the GPU.
    #[error(transparent)]
    Gpu(#[from] runtime_gpu::Error),
    /// A device that this build cannot use.
    #[error("CUDA is not built into this program")]
    NoCuda,
    /// A failure of CUDA, or of the tensors over it.
    #[error("CUDA fails: {message}")]
    Cuda {
        /// What the driver says.
        message: String,
    },
    /// The model reads no sources.
    #[error("the model reads no sources")]
    NoSources,
    /// A source that goes on where another run has ended.
    #[error("sequence {sequence} of the batch follows {tokens} tokens, but a source is read in one run")]
    SourceInParts {
        /// Which sequence, from 0.
        sequence: usize,
        /// Tokens before it.
        tokens: usize,
    },
    /// A weight that the graph names cannot be read.
    #[error("cannot read the weight `{name}`")]
    Weight {
        /// Its name in the checkpoint.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored tensor has not the shape that the graph was recorded for.
    #[error("the weight `{name}` has the shape {found:?}, but the graph was built for {expected}")]
    WeightShape {
        /// Its name in the checkpoint.
        name: String,
        /// The graph's.
        expected: runtime_graph::Shape,
        /// The checkpoint's.
        found: Vec<usize>,
    },
    /// A stored tensor is not as long as its shape says.
    #[error("the weight `{name}` has {found} bytes, but its shape needs {expected}")]
    WeightSize {
        /// Its name in the checkpoint.
        name: String,
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// The rows of a stored tensor are no whole blocks.
    #[error("the rows of the weight `{name}` have {width} numbers, but `{dtype}` has blocks of {together}")]
    WeightBlocks {
        /// Its name in the checkpoint.
        name: String,
        /// Numbers in a row.
        width: usize,
        /// The type of the blocks.
        dtype: &'static str,
        /// Numbers in a block.
        together: usize,
    },
    /// An adapter changes what is no weight of a product of its own, such as a table or a norm.
    #[error("the adapter changes `{name}`, which cannot be done beside the model's weights")]
    NoProduct {
        /// The weight's name in the checkpoint.
        name: String,
    },
    /// An adapter's numbers do not fit a weight.
    #[error("the adapter has {found} numbers for `{name}`, where {expected} are needed")]
    AdapterSize {
        /// The weight's name in the checkpoint.
        name: String,
        /// Numbers there should be.
        expected: usize,
        /// Numbers there are.
        found: usize,
    },
    /// An adapter that another plan has made.
    #[error("sequence {sequence} of the batch has an adapter of another model")]
    OtherAdapter {
        /// Which sequence, from 0.
        sequence: usize,
    },
    /// Running the graph would cost far more than its weights suggest.
    #[error("the graph needs {needs} {what}, and at most {limit} are allowed for its weights")]
    TooCostly {
        /// What it needs too many of.
        what: &'static str,
        /// How many.
        needs: u64,
        /// The limit.
        limit: u64,
    },
    /// A sequence is longer than the model takes.
    #[error("sequence {sequence} of the batch has {tokens} tokens, and the model takes at most {limit}")]
    TooLong {
        /// Which sequence, from 0.
        sequence: usize,
        /// Its length.
        tokens: usize,
        /// The limit.
        limit: u32,
    },
    /// An index lies outside the table it is looked up in.
    #[error("`{operator}` was given index {index}, and there are {count} rows")]
    Index {
        /// The operator.
        operator: &'static str,
        /// The index.
        index: u32,
        /// Rows of the table.
        count: usize,
    },
}

fn fitting(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("; in {name} they would fit"),
        None => "; in no type would they fit".to_owned(),
    }
}

fn layers(from: usize, to: usize, has: usize) -> String {
    let last = has.wrapping_sub(1);
    match has {
        0 => "the model has no layers that several devices could share".to_owned(),
        _ if to < has => {
            format!("the model has the layers 0-{last}, and those behind {} are on no device", to.max(1) - 1)
        }
        _ => format!("the model has the layers 0-{last}, and a device is to have {from}-{}", to.max(1) - 1),
    }
}

#[cfg(feature = "candle")]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Cuda { message: error.to_string() }
    }
}
