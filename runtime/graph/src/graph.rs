//! The recorded graph.

use crate::{DType, Element, Op, Shape};

/// A value of a graph: the result of the node with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// The index of the node that computes it.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The value with this number, as a guest's recorder hands them out.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number, the inverse of [`Self::from_number`].
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One operator, applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// Its operands, all of them earlier nodes.
    pub inputs: Vec<ValueId>,
    /// The shape of its result.
    pub shape: Shape,
    /// What its result holds.
    pub element: Element,
    /// For a weight, the type it is stored in.
    pub stored: Option<DType>,
    /// The layer it belongs to; embeddings and heads belong to none.
    pub layer: Option<u32>,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name, such as `logits`.
    pub name: String,
    /// Its value.
    pub value: ValueId,
}

/// A model's computation: nodes in an order in which they can be computed, and named outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// What it is called in print: the architecture's name.
    pub name: String,
    /// The nodes; a node's inputs come before it.
    pub nodes: Vec<Node>,
    /// The results, at least one.
    pub outputs: Vec<Output>,
    /// The longest sequence it can take, in tokens.
    pub max_sequence: Option<u32>,
}

impl Graph {
    /// The node that computes `value`.
    pub fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.index()]
    }

    /// The value of the output called `name`.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|output| output.name == name).map(|output| output.value)
    }
}
