//! A pipeline as a picture, in the language of Mermaid or of Graphviz.
//!
//! Both are written from one list of nodes, groups and edges; only the syntax and the escaping differ.

use std::fmt;

use crate::name::Name;
use crate::pipeline::{Classifier, Endpoint, Labels, Ladder, Pipeline, Reference, RungKind, StepKind};

/// The language of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Mermaid `flowchart`, which GitHub and many editors show.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// The pipeline as text in `format`: the record, each step with its rungs, what they accept, and the output's fields.
pub fn draw(pipeline: &Pipeline, format: Format) -> String {
    let graph = graph_of(pipeline);
    match format {
        Format::Mermaid => mermaid(&graph),
        Format::Dot => dot(&graph),
    }
}

#[derive(Default)]
struct Graph {
    title: String,
    /// Nodes outside of any step.
    nodes: Vec<Node>,
    groups: Vec<Group>,
    edges: Vec<Edge>,
}

/// A step.
struct Group {
    title: String,
    nodes: Vec<Node>,
}

struct Node {
    id: String,
    lines: Vec<String>,
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    /// What asks a model.
    Box,
    /// Where records come from, and what comes of them.
    Round,
}

struct Edge {
    from: String,
    to: String,
    label: String,
}

impl Graph {
    fn edge(&mut self, from: impl Into<String>, to: impl Into<String>, label: impl Into<String>) {
        self.edges.push(Edge { from: from.into(), to: to.into(), label: label.into() });
    }
}

fn node(id: impl Into<String>, shape: Shape, lines: impl IntoIterator<Item = String>) -> Node {
    Node { id: id.into(), lines: lines.into_iter().collect(), shape }
}

fn graph_of(pipeline: &Pipeline) -> Graph {
    let mut graph = Graph { title: pipeline.name.clone(), ..Graph::default() };
    graph.nodes.push(node("record", Shape::Round, ["record".to_owned()]));
    // A step's outputs leave from the node where its answers meet.
    let end_of = |step: &str| {
        let index = pipeline.steps.iter().position(|other| other.name.as_str() == step);
        index.map_or_else(|| "record".to_owned(), |index| format!("step{index}"))
    };
    for (index, step) in pipeline.steps.iter().enumerate() {
        let id = format!("step{index}");
        let labels = step.kind.labels().map(|labels| match labels {
            Labels::Inline(labels) => format!("labels: {}", labels.join(", ")),
            Labels::File(path) => format!("labels of {}", path.display()),
        });
        let mut group = Group { title: step.name.to_string(), nodes: Vec::new() };
        let first = match &step.kind {
            StepKind::Ladder(ladder) => {
                rungs(ladder, &id, &pipeline.endpoints, &mut group, &mut graph);
                group.nodes.push(node(&id, Shape::Round, labels));
                format!("{id}rung0")
            }
            StepKind::ZeroShot(step) => {
                let lines = [StepKind::ZERO_SHOT.to_owned()].into_iter().chain(labels);
                group.nodes.push(node(&id, Shape::Box, lines.chain(classifier_lines(&step.classifier))));
                id
            }
            StepKind::Generate(generate) => {
                let lines = [step.kind.name().to_owned(), model_line(&generate.model, &pipeline.endpoints)];
                let params = generate.params.iter().map(|(name, value)| format!("{name}: {}", value.value));
                group.nodes.push(node(&id, Shape::Box, lines.into_iter().chain(params)));
                id
            }
            StepKind::Plugin(step) => {
                let lines = [StepKind::PLUGIN.to_owned(), format!("plugin {}", step.plugin.value)];
                group.nodes.push(node(&id, Shape::Box, lines));
                id
            }
            StepKind::Task(step) => {
                let lines = [step.task.to_string(), format!("model {}", step.model.value)];
                let params = step.params.iter().map(|(name, value)| format!("{name}: {}", value.value));
                group.nodes.push(node(&id, Shape::Box, lines.into_iter().chain(params)));
                id
            }
        };
        graph.groups.push(group);
        for input in step.kind.inputs() {
            let (from, read) = match input.from {
                Reference::Field(field) => ("record".to_owned(), field),
                Reference::Output { step, output } => (end_of(step.as_str()), output),
            };
            // Which of several things that a step reads it is, unless the name says so.
            let named = matches!(input.key, "text" | "prompt") || input.key == read;
            graph.edge(from, &first, if named { read.clone() } else { format!("{}: {read}", input.key) });
        }
    }
    for (index, output) in pipeline.output.iter().enumerate() {
        let id = format!("output{index}");
        graph.edge(end_of(output.step.as_str()), &id, &output.output);
        graph.nodes.push(node(id, Shape::Round, [output.field.clone()]));
    }
    graph
}

/// The rungs of the ladder whose answers meet in the node `end`.
fn rungs(ladder: &Ladder, end: &str, endpoints: &[Endpoint], group: &mut Group, graph: &mut Graph) {
    for (index, rung) in ladder.rungs.iter().enumerate() {
        let id = format!("{end}rung{index}");
        let mut lines = vec![rung.name.to_string(), rung.kind.name().to_owned()];
        match &rung.kind {
            RungKind::ZeroShot(classifier) => {
                lines.extend(classifier_lines(classifier));
                lines.push(format!("accepts {}", rung.accept));
            }
            RungKind::Llm { model, otherwise, .. } => {
                lines.push(model_line(model, endpoints));
                lines.push(format!("otherwise {otherwise}"));
                if !rung.accept.is_empty() {
                    lines.push(format!("accepts {}", rung.accept));
                }
            }
        }
        group.nodes.push(node(&id, Shape::Box, lines));
        graph.edge(&id, end, "accepted");
        // What an endpoint writes need not be a label; behind the last rung, that is its `otherwise`.
        let hosted =
            matches!(&rung.kind, RungKind::Llm { model, .. } if endpoints.iter().any(|known| known.name == **model));
        let last = index + 1 == ladder.rungs.len();
        if !rung.accept.is_empty() || (hosted && !last) {
            if !last {
                graph.edge(&id, format!("{end}rung{}", index + 1), "unsure");
            } else {
                let nothing = format!("{end}unsure");
                graph.edge(&id, &nothing, "unsure");
                group.nodes.push(node(nothing, Shape::Round, ["no label".to_owned()]));
            }
        }
    }
}

/// The model, and where it is, unless that is here.
fn model_line(name: &Name, endpoints: &[Endpoint]) -> String {
    match endpoints.iter().find(|endpoint| endpoint.name == *name) {
        Some(endpoint) => format!("model {name}: {} at {}", endpoint.model, host(&endpoint.base_url)),
        None => format!("model {name}"),
    }
}

/// The host of an address, without what may be a password.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn classifier_lines(classifier: &Classifier) -> Vec<String> {
    let mut lines = vec![format!("model {}", classifier.model.value)];
    if classifier.multi_label {
        lines.push("several labels at once".to_owned());
    }
    lines
}

fn mermaid(graph: &Graph) -> String {
    let write_node = |node: &Node, indent: &str, text: &mut String| {
        let (open, close) = match node.shape {
            Shape::Box => ("[", "]"),
            Shape::Round => ("([", "])"),
        };
        let lines: Vec<String> = node.lines.iter().map(|line| mermaid_text(line)).collect();
        line(text, format_args!("{indent}{}{open}\"{}\"{close}", node.id, lines.join("<br/>")));
    };
    let mut text = String::from("flowchart TD\n");
    for node in &graph.nodes {
        write_node(node, "    ", &mut text);
    }
    for (index, group) in graph.groups.iter().enumerate() {
        line(&mut text, format_args!("    subgraph group{index} [\"{}\"]", mermaid_text(&group.title)));
        for node in &group.nodes {
            write_node(node, "        ", &mut text);
        }
        text.push_str("    end\n");
    }
    for Edge { from, to, label } in &graph.edges {
        line(&mut text, format_args!("    {from} -->|\"{}\"| {to}", mermaid_text(label)));
    }
    text
}

fn dot(graph: &Graph) -> String {
    let write_node = |node: &Node, indent: &str, text: &mut String| {
        let style = match node.shape {
            Shape::Box => "solid",
            Shape::Round => "rounded",
        };
        let lines: Vec<String> = node.lines.iter().map(|line| dot_text(line)).collect();
        line(text, format_args!("{indent}{} [label=\"{}\", style={style}];", node.id, lines.join("\\n")));
    };
    let mut text = format!("digraph \"{}\" {{\n    node [shape=box];\n", dot_text(&graph.title));
    for node in &graph.nodes {
        write_node(node, "    ", &mut text);
    }
    for (index, group) in graph.groups.iter().enumerate() {
        line(&mut text, format_args!("    subgraph cluster{index} {{"));
        line(&mut text, format_args!("        label=\"{}\";", dot_text(&group.title)));
        for node in &group.nodes {
            write_node(node, "        ", &mut text);
        }
        text.push_str("    }\n");
    }
    for Edge { from, to, label } in &graph.edges {
        line(&mut text, format_args!("    {from} -> {to} [label=\"{}\"];", dot_text(label)));
    }
    text.push_str("}\n");
    text
}

fn line(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.push_str(&fmt::format(arguments));
    text.push('\n');
}

/// `text` inside Mermaid's quotes, where letters, digits and plain punctuation stand for themselves. All else that
/// could end the quotes, begin an entity, HTML or Markdown is written as a character number.
fn mermaid_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '*' => {
                escaped.push_str(&format!("#{};", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// `text` inside Graphviz's quotes.
fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}
