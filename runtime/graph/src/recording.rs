//! Records operators into a graph, checking each as it comes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::error::Fault;
use crate::infer::infer;
use crate::{
    Catalog, Dim, Element, Graph, GraphError, Input, Node, Op, Output, Place, Recorder, Shape, TensorInfo, ValueId,
};

/// The most layers a graph may have; known models have up to about 130.
pub const MAX_LAYERS: u32 = 1 << 12;

/// The most nodes a graph may have: a 100-layer mixture of experts has about 20,000.
pub const MAX_NODES: usize = 1 << 18;

/// The most tables of sinusoids that a graph may have: known models have one.
const MAX_SINUSOIDS: usize = 16;

/// The most numbers that a graph may have in all of its constants.
const MAX_NUMBERS: usize = 1 << 20;

/// The most experts that a graph may have, in all of its mixtures: known models have about 20,000.
const MAX_EXPERTS: usize = 1 << 18;

/// A graph in the making. Each step either succeeds or says what is wrong, and what is wrong changes nothing.
#[derive(Debug)]
pub struct Recording {
    graph: Graph,
    catalog: Catalog,
    layer: Option<u32>,
    known: HashMap<Source, ValueId>,
    /// In all mixtures so far.
    experts: usize,
    /// In all constants so far.
    numbers: usize,
}

/// What has no operands and is therefore recorded once.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Source {
    Input(Input),
    Weight(String),
    /// Rows, and the bits of the frequencies.
    Sinusoids(u32, Vec<u64>),
    /// The bits of the numbers.
    Constant(Vec<u64>),
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

impl Recording {
    /// An empty graph over the weights of `catalog`.
    pub fn new(name: impl Into<String>, catalog: Catalog) -> Self {
        let graph = Graph { name: name.into(), nodes: Vec::new(), outputs: Vec::new(), max_sequence: None };
        Self { graph, catalog, layer: None, known: HashMap::new(), experts: 0, numbers: 0 }
    }

    /// Adds an operator and returns its value. An input or weight that is already there is not added again.
    ///
    /// # Errors
    /// Where the operands do not fit, a weight is not in the catalog, or the graph is full.
    pub fn record(&mut self, op: Op, inputs: &[ValueId], at: Place) -> Result<ValueId, GraphError> {
        self.try_record(op, inputs).map_err(|fault| self.error(fault, at))
    }

    fn try_record(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, Fault> {
        let (op, inferred, stored) = match op {
            Op::Weight { name } => {
                let info = self.weight(&name)?;
                let inferred = (Shape::fixed(&info.shape), Element::Real);
                (Op::Weight { name: info.name }, inferred, Some(info.dtype))
            }
            op => {
                let operands = inputs.iter().map(|input| self.operand(&op, *input)).collect::<Result<Vec<_>, _>>()?;
                let inferred = infer(&op, &operands).map_err(|fault| self.with_names(fault, inputs))?;
                (op, inferred, None)
            }
        };
        let source = match &op {
            Op::Input(input) => Some(Source::Input(*input)),
            Op::Weight { name } => Some(Source::Weight(name.clone())),
            Op::Constant { numbers } => Some(Source::Constant(bits(numbers))),
            Op::Sinusoids { rows, frequencies } => Some(Source::Sinusoids(*rows, bits(frequencies))),
            _ => None,
        };
        if let Some(known) = source.as_ref().and_then(|source| self.known.get(source)) {
            return Ok(*known);
        }
        let is_sinusoids = |source: &Source| matches!(source, Source::Sinusoids(..));
        if let Op::Sinusoids { rows, .. } = &op
            && self.known.keys().filter(|source| is_sinusoids(source)).count() >= MAX_SINUSOIDS
        {
            let (operator, option, value) = (op.name(), "rows", rows.to_string());
            return Err(Fault::Option { operator, option, value, rule: "a graph can have 16 such tables" });
        }
        if matches!(op, Op::Experts(_)) {
            let experts = inputs.len() / 3;
            if self.experts + experts > MAX_EXPERTS {
                let (operator, option, value) = (op.name(), "experts", experts.to_string());
                return Err(Fault::Option { operator, option, value, rule: "a graph can have 2^18 in all" });
            }
            self.experts += experts;
        }
        if let Op::Constant { numbers } = &op {
            if self.numbers + numbers.len() > MAX_NUMBERS {
                let (operator, option, value) = (op.name(), "numbers", numbers.len().to_string());
                return Err(Fault::Option { operator, option, value, rule: "a graph can have 2^20 in all" });
            }
            self.numbers += numbers.len();
        }
        let full = Fault::TooLarge { limit: MAX_NODES };
        if self.graph.nodes.len() >= MAX_NODES {
            return Err(full);
        }
        let value = ValueId(u32::try_from(self.graph.nodes.len()).map_err(|_| full)?);
        let (shape, element) = inferred;
        let layer = self.layer;
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), shape, element, stored, layer });
        if let Some(source) = source {
            self.known.insert(source, value);
        }
        Ok(value)
    }

    fn weight(&self, name: &str) -> Result<TensorInfo, Fault> {
        let info = self.catalog.find(name).ok_or_else(|| match self.catalog.unusable(name) {
            Some(dtype) => Fault::Type { name: name.to_owned(), dtype: dtype.to_owned() },
            None => {
                let nearest = self.catalog.nearest(name).map(str::to_owned);
                Fault::NoWeight { name: name.to_owned(), nearest }
            }
        })?;
        // A size of 0 would make room for one of any other size at no cost in the file.
        if info.shape.contains(&0) {
            let operands = vec![(format!("tensor `{}`", info.name), Shape::fixed(&info.shape))];
            return Err(Fault::Shapes {
                operator: "weight",
                operands,
                rule: "no size of a weight may be 0".to_owned(),
            });
        }
        Ok(info)
    }

    fn operand(&self, op: &Op, value: ValueId) -> Result<(&Shape, Element), Fault> {
        let node = self.graph.nodes.get(value.index());
        let missing = || Fault::NoValue { operator: op.name(), number: value.0, count: self.graph.nodes.len() };
        node.map(|node| (&node.shape, node.element)).ok_or_else(missing)
    }

    /// The tensor that `name` stands for in the checkpoint.
    pub fn find(&self, name: &str) -> Option<TensorInfo> {
        self.catalog.find(name)
    }

    /// The shape of a recorded value.
    pub fn shape(&self, value: ValueId) -> Option<&Shape> {
        self.graph.nodes.get(value.index()).map(|node| &node.shape)
    }

    /// The layer that what follows belongs to.
    pub fn set_layer(&mut self, layer: Option<u32>) {
        self.layer = layer;
    }

    /// The longest sequence that the model takes, in tokens.
    pub fn set_max_sequence(&mut self, tokens: u32) {
        self.graph.max_sequence = Some(tokens);
    }

    /// Makes `value` a result of the graph.
    ///
    /// # Errors
    /// Where the value is none of this graph's, holds indices, or the name is taken.
    pub fn output(&mut self, name: &str, value: ValueId, at: Place) -> Result<(), GraphError> {
        let fault = match self.graph.nodes.get(value.index()) {
            None => Fault::NoValue { operator: "output", number: value.0, count: self.graph.nodes.len() },
            Some(node) if node.element == Element::Index || node.shape.as_matrix().is_none() => Fault::Shapes {
                operator: "output",
                operands: vec![("value".to_owned(), node.shape.clone())],
                rule: "a result must be a matrix of numbers, of known width".to_owned(),
            },
            Some(node) if matches!(node.shape.as_matrix(), Some((Dim::Source, _))) => Fault::Shapes {
                operator: "output",
                operands: vec![("value".to_owned(), node.shape.clone())],
                rule: "what is computed of a source is no result; tokens attend to it".to_owned(),
            },
            Some(_) if self.graph.output(name).is_some() => Fault::TwoOutputs { name: name.to_owned() },
            Some(_) => {
                self.graph.outputs.push(Output { name: name.to_owned(), value });
                return Ok(());
            }
        };
        Err(self.error(fault, at))
    }

    /// The graph.
    ///
    /// # Errors
    /// Where it has no output.
    pub fn finish(self) -> Result<Graph, GraphError> {
        if self.graph.outputs.is_empty() {
            return Err(GraphError { fault: Fault::NoOutput, layer: None, at: None });
        }
        Ok(self.graph)
    }

    /// A fault of shapes, with the names of the tensors among its operands.
    fn with_names(&self, mut fault: Fault, inputs: &[ValueId]) -> Fault {
        if let Fault::Shapes { operands, .. } = &mut fault {
            for ((what, _), input) in operands.iter_mut().zip(inputs) {
                if let Some(Op::Weight { name }) = self.graph.nodes.get(input.index()).map(|node| &node.op) {
                    *what = format!("{what} `{name}`");
                }
            }
        }
        fault
    }

    fn error(&self, fault: Fault, at: Place) -> GraphError {
        let at = at.map(|at| format!("{}:{}", at.file(), at.line()));
        GraphError { fault, layer: self.layer, at }
    }
}

/// The native recorder behind a [`crate::Builder`]: it keeps the first error, and goes on with a value that nothing
/// else is made of, so that authors write no error handling and the error is of the line that caused it.
#[derive(Debug)]
pub struct NativeRecording(Rc<Native>);

#[derive(Debug)]
pub(crate) struct Native {
    recording: RefCell<Recording>,
    error: RefCell<Option<GraphError>>,
}

/// Stands for the result of an operator that failed.
const POISON: ValueId = ValueId(u32::MAX);

impl NativeRecording {
    pub(crate) fn new(recording: Recording) -> (Rc<Native>, Self) {
        let native = Rc::new(Native { recording: RefCell::new(recording), error: RefCell::new(None) });
        (Rc::clone(&native), Self(native))
    }

    /// The graph, once the architecture has described it.
    ///
    /// # Errors
    /// The first misuse, or a graph without output.
    pub fn finish(self) -> Result<Graph, GraphError> {
        if let Some(error) = self.0.error.borrow_mut().take() {
            return Err(error);
        }
        let empty = Recording::new(String::new(), Catalog::default());
        self.0.recording.replace(empty).finish()
    }
}

impl Native {
    fn keep<T>(&self, result: Result<T, GraphError>) -> Option<T> {
        result.map_err(|error| self.error.borrow_mut().get_or_insert(error).clone()).ok()
    }
}

impl Recorder for Native {
    fn record(&self, op: Op, inputs: &[ValueId], at: Place) -> ValueId {
        // After the first misuse nothing counts; what is left to describe shall cost nothing.
        if self.error.borrow().is_some() {
            return POISON;
        }
        let result = self.recording.borrow_mut().record(op, inputs, at);
        self.keep(result).unwrap_or(POISON)
    }

    fn find(&self, name: &str) -> Option<TensorInfo> {
        self.recording.borrow().find(name)
    }

    fn shape(&self, value: ValueId) -> Shape {
        let recording = self.recording.borrow();
        recording.shape(value).cloned().unwrap_or_else(|| Shape::new([]))
    }

    fn set_layer(&self, layer: Option<u32>) {
        self.recording.borrow_mut().set_layer(layer);
    }

    fn set_max_sequence(&self, tokens: u32) {
        self.recording.borrow_mut().set_max_sequence(tokens);
    }

    fn output(&self, name: &str, value: ValueId, at: Place) {
        if self.error.borrow().is_none() {
            let result = self.recording.borrow_mut().output(name, value, at);
            self.keep(result);
        }
    }
}
