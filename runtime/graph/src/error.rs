//! Why a graph cannot be built.

use crate::Shape;

/// A misuse of the graph API, with the operator, its operands and the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}{}", place(*.layer, .at.as_deref()))]
pub struct GraphError {
    /// What is wrong.
    pub fault: Fault,
    /// The layer that was being built.
    pub layer: Option<u32>,
    /// File and line of the call, where it was made natively.
    pub at: Option<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Operands do not fit an operator.
    #[error("`{operator}` cannot take {}: {rule}", list(.operands))]
    Shapes {
        /// The operator.
        operator: &'static str,
        /// Its operands' names, with the tensor's name of those that are weights, and shapes.
        operands: Vec<(String, Shape)>,
        /// The rule that is broken, with the shape that is expected where that is known.
        rule: String,
    },
    /// A number among an operator's options is out of its range.
    #[error("`{operator}` cannot take {option} = {value}: {rule}")]
    Option {
        /// The operator.
        operator: &'static str,
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// The checkpoint has no such tensor.
    #[error("the checkpoint has no tensor `{name}`{}", suggestion(.nearest.as_deref()))]
    NoWeight {
        /// The name asked for.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// The checkpoint's tensor is of a type that cannot be computed with.
    #[error("the checkpoint's tensor `{name}` is of type {dtype}; weights must be f32, f16 or bf16")]
    Type {
        /// The name asked for.
        name: String,
        /// Its type, as the checkpoint's format calls it.
        dtype: String,
    },
    /// A value that this graph does not have.
    #[error("`{operator}` was given value {number}, which is none of this graph's {count}")]
    NoValue {
        /// The operator.
        operator: &'static str,
        /// The value's number.
        number: u32,
        /// How many values the graph has.
        count: usize,
    },
    /// An operator got too few or too many operands.
    #[error("`{operator}` takes {expected} operands, not {given}")]
    Arity {
        /// The operator.
        operator: &'static str,
        /// How many it takes.
        expected: usize,
        /// How many it was given.
        given: usize,
    },
    /// The graph has as many nodes as are allowed.
    #[error("the graph has more than {limit} nodes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Two outputs have one name.
    #[error("there are two outputs called `{name}`")]
    TwoOutputs {
        /// The name.
        name: String,
    },
    /// Nothing was marked as an output.
    #[error("the graph has no output")]
    NoOutput,
}

fn place(layer: Option<u32>, at: Option<&str>) -> String {
    let layer = layer.map(|layer| format!(", in layer {layer}"));
    let at = at.map(|at| format!(", at {at}"));
    format!("{}{}", layer.unwrap_or_default(), at.unwrap_or_default())
}

fn list(operands: &[(String, Shape)]) -> String {
    operands.iter().map(|(name, shape)| format!("{name} {shape}")).collect::<Vec<_>>().join(", ")
}

fn suggestion(name: Option<&str>) -> String {
    name.map(|name| format!("; the nearest is `{name}`")).unwrap_or_default()
}
