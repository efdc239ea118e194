//! `--set KEY=VALUE`: values from the command line instead of the file's, or beside them.
//!
//! A key is a dotted path from the top of the file; an element of an array is addressed by its `name` or its index.
//! A path that does not exist yet is added, tables on the way included, as TOML's own dotted keys do; what the schema
//! does not know is then reported like any other unknown key. In place of a whole path its end is enough where only
//! one path of the file ends so. The `[[tests]]` are left out of that: they repeat the names of everything else.

use std::str::FromStr;

use runtime_diagnostics::{Exit, Problem, Source, nearest};

use crate::decode::TOP_LEVEL;
use crate::spanned::Spanned;
use crate::tree::{self, Entry, Node, Table, Value};

/// One `--set KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `steps.triage.rungs.zero-shot.accept.threshold`, `steps.0.kind` or the end of just one such path.
    pub key: String,
    /// A TOML value; what is not TOML is a string.
    pub value: String,
}

impl FromStr for Override {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err(Problem::new(Exit::Usage, format!("`{text}` is not an override"))
                .hint("write `KEY=VALUE`, such as `threshold=0.6`")),
        }
    }
}

/// How many keys a hint lists at most.
const LISTED: usize = 12;

impl Override {
    /// Puts the value into the tree.
    ///
    /// # Errors
    /// Where the key leads nowhere or to several places.
    pub(crate) fn apply(&self, root: &mut Node) -> Result<(), Problem> {
        let text = format!("{}={}", self.key, self.value);
        let source = Source::new(format!("--set {text}"), text);
        let from = self.key.len() + 1;
        let value = tree::parse_value(&source, from).unwrap_or_else(|| {
            let span = from..source.text().len();
            Spanned { value: Value::String(self.value.clone()), source: source.clone(), span }
        });
        let key = Spanned { value: self.key.clone(), source, span: 0..self.key.len() };

        let mut found = Vec::new();
        matches(root, &key, &Address::default(), &mut found);
        if found.is_empty() {
            let all = addresses(root);
            for (address, node) in &all {
                matches(node, &key, address, &mut found);
            }
            if found.is_empty() {
                let all: Vec<Address> = all.into_iter().map(|(address, _)| address).collect();
                return create(root, &key, value).ok_or_else(|| unknown(&key, &all));
            }
        }
        match &found[..] {
            [Address { path, .. }] => {
                if let Some(node) = node_at(root, path) {
                    *node = value;
                }
                Ok(())
            }
            _ => {
                let names = found.iter().map(|address| address.name.as_str());
                Err(key
                    .problem(Exit::Usage, format!("`{}` could be one of {} keys", self.key, found.len()))
                    .hint(format!("write more of the path: {}", quoted(names))))
            }
        }
    }
}

/// The name of a node and the way to it: at each table or array, the number of the entry or element.
#[derive(Clone, Debug, Default)]
struct Address {
    name: String,
    path: Vec<usize>,
    leaf: bool,
}

impl Address {
    fn child(&self, index: usize, label: &str, node: &Node) -> Self {
        let name = if self.name.is_empty() { label.to_owned() } else { format!("{}.{label}", self.name) };
        let path = self.path.iter().copied().chain([index]).collect();
        Self { name, path, leaf: !matches!(node.value, Value::Table(_) | Value::Array(_)) }
    }
}

/// What is directly below `node`, each with its key, or its name or index.
fn children(node: &Node) -> Vec<(String, &Node)> {
    match &node.value {
        Value::Table(table) => table.0.iter().map(|entry| (entry.key.value.clone(), &entry.node)).collect(),
        Value::Array(items) => {
            let label = |(index, item): (usize, &Node)| item.name().map_or_else(|| index.to_string(), str::to_owned);
            items.iter().enumerate().map(|(index, item)| (label((index, item)), item)).collect()
        }
        _ => Vec::new(),
    }
}

/// Adds to `found` what `key` leads to from `node`, which is at `at`. Names are compared as a whole rather than split
/// at dots, so that a key of a record may hold one.
fn matches(node: &Node, key: &str, at: &Address, found: &mut Vec<Address>) {
    let in_array = matches!(node.value, Value::Array(_));
    for (index, (label, child)) in children(node).into_iter().enumerate() {
        let by_index = || in_array.then(|| index.to_string()).and_then(|index| key.strip_prefix(&index));
        let Some(rest) =
            key.strip_prefix(&label).filter(|rest| is_end(rest)).or_else(|| by_index().filter(|rest| is_end(rest)))
        else {
            continue;
        };
        let address = at.child(index, &label, child);
        match rest.strip_prefix('.') {
            Some(rest) => matches(child, rest, &address, found),
            None => found.push(address),
        }
    }
}

/// Whether a name ends where `rest` begins.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// All that is below `root` in the order of the file, except for the pipeline's tests.
fn addresses(root: &Node) -> Vec<(Address, &Node)> {
    let mut all = Vec::new();
    let mut below = vec![(Address::default(), root)];
    while let Some((at, node)) = below.pop() {
        for (index, (label, child)) in children(node).into_iter().enumerate().rev() {
            if !(at.name.is_empty() && label == "tests") {
                below.push((at.child(index, &label, child), child));
            }
        }
        // A key that starts at the root has been looked for already.
        if !at.path.is_empty() {
            all.push((at, node));
        }
    }
    all
}

fn node_at<'a>(root: &'a mut Node, path: &[usize]) -> Option<&'a mut Node> {
    path.iter().try_fold(root, |node, index| match &mut node.value {
        Value::Table(table) => table.0.get_mut(*index).map(|entry| &mut entry.node),
        Value::Array(items) => items.get_mut(*index),
        _ => None,
    })
}

/// Adds the entry `key`, and the tables on the way to it; `None` where the way is barred.
fn create(root: &mut Node, key: &Spanned<String>, value: Node) -> Option<()> {
    let parts: Vec<&str> = key.split('.').collect();
    let [way @ .., last] = &parts[..] else { return None };
    if !TOP_LEVEL.contains(&parts[0]) || parts.contains(&"") {
        return None;
    }
    let parent = way.iter().try_fold(root, |node, part| child(node, part, key))?;
    let Value::Table(table) = &mut parent.value else { return None };
    table.0.push(Entry { key: key.with((*last).to_owned()), node: value });
    Some(())
}

/// The entry or element `part` of `node`; a table gets a new one where it has none, an array does not.
fn child<'a>(node: &'a mut Node, part: &str, key: &Spanned<String>) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Table(table) => {
            let index = table.0.iter().position(|entry| *entry.key == part).unwrap_or_else(|| {
                let empty = key.with(Value::Table(Table::default()));
                table.0.push(Entry { key: key.with(part.to_owned()), node: empty });
                table.0.len() - 1
            });
            table.0.get_mut(index).map(|entry| &mut entry.node)
        }
        Value::Array(items) => {
            let named = items.iter().position(|item| item.name() == Some(part));
            items.get_mut(named.or_else(|| part.parse().ok())?)
        }
        _ => None,
    }
}

/// There is no such key: the nearest end of a path with as many parts, else what keys there are.
fn unknown(key: &Spanned<String>, addresses: &[Address]) -> Problem {
    let parts = key.matches('.').count();
    let ends = addresses.iter().map(|address| {
        let cut = address.name.rmatch_indices('.').nth(parts).map_or(0, |(at, _)| at + 1);
        &address.name[cut..]
    });
    let hint = match nearest(key, ends) {
        Some(end) => format!("did you mean `{end}`?"),
        None => {
            let leaves = addresses.iter().filter(|address| address.leaf).map(|address| address.name.as_str());
            format!("the keys are {}", quoted(leaves))
        }
    };
    key.problem(Exit::Usage, format!("the pipeline has no key `{}`", key.value)).hint(hint)
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.get(LISTED..) {
        Some(rest) if !rest.is_empty() => format!("{} and {} more", names[..LISTED].join(", "), rest.len()),
        _ => names.join(", "),
    }
}
