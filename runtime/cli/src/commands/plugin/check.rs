//! `runtime plugin check`.

use runtime_authoring::{Agreement, Check, Difference, Report, check};
use runtime_diagnostics::{Exit, Problem, printable};
use runtime_engine::{Options, PluginFile, Registry};

use crate::args::PluginCheck;
use crate::commands::model::source;
use crate::failure::Failure;
use crate::generating::aside;
use crate::output::{hanging, named, print};

pub(crate) fn run(options: &PluginCheck) -> Result<Exit, Failure> {
    let registry = Registry::new(Options { tell: aside, progress: true, ..Options::default() });
    let folder = registry.folder(&source(&options.model)?)?;
    let plugin = options.plugin.as_deref().map(|name| registry.named_plugin(name)).transpose()?;
    let report = check(
        &registry,
        &Check {
            folder: &folder,
            plugin: plugin.as_ref().map(PluginFile::from),
            head: options.head,
            text: &options.text,
            reference: options.against.as_deref(),
            tolerance: options.tolerance,
        },
    );
    let report = report.map_err(|error| Problem::of(&error))?;
    print(&text(&report))?;
    Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
}

/// The columns of names.
const WIDTH: usize = 13;

/// Names that are listed where there are many.
const LISTED: usize = 5;

/// Characters of an operator's line; the frequencies of a rotary embedding take more.
const LINE: usize = 100;

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&named(WIDTH, name, &printable(value)));
    line("architecture", &report.architecture);
    line("head", report.head.name());
    line("graph", &format!("{} nodes, recorded in {:.2} ms", report.nodes, report.recording.as_secs_f64() * 1e3));
    line("weights", &weights(report));
    let behind = report.source.map(|source| format!(", behind a source of {source}")).unwrap_or_default();
    line("run", &format!("{} tokens{behind}", report.tokens));
    let properties = &report.properties;
    match &properties.not_finite {
        None => line("finite", "yes"),
        Some(name) => line("finite", &format!("NO: `{name}` holds an infinity or no number")),
    }
    let same = |same: bool| if same { "the same bits" } else { "OTHER BITS" };
    line("in a batch", &format!("{} alone and among others", same(properties.alone_as_among_others)));
    if let Some(whole) = properties.whole_as_cut {
        line("in parts", &format!("{} at once and in two runs", same(whole)));
    }
    if let Some(agreement) = &report.agreement {
        text.push_str(&compared(agreement));
    }
    text
}

fn weights(report: &Report) -> String {
    let all = report.read + report.unread.len();
    match report.unread.as_slice() {
        [] => format!("all {all} tensors of the checkpoint are read"),
        unread => format!("{} of {all} tensors of the checkpoint are read, not {}", report.read, listed(unread)),
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(LISTED);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn compared(agreement: &Agreement) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&named(WIDTH, name, &printable(value)));
    for layer in &agreement.layers {
        let name = layer.layer.map_or_else(|| "no layer".to_owned(), |layer| format!("layer {layer}"));
        let largest = format!("largest error {:.1e} in `{}`", layer.largest, layer.worst);
        line(&name, &format!("{} activations agree, {largest}", layer.compared));
    }
    for (name, names) in [
        ("other sizes", &agreement.unlike),
        ("not recorded", &agreement.not_recorded),
        ("not found", &agreement.not_in_graph),
    ] {
        if !names.is_empty() {
            line(name, &listed(names));
        }
    }
    if let Some((name, error)) = &agreement.jump {
        let like = "such as of another kind of GELU, or of a weight that was rounded";
        line(
            "suspicious",
            &format!("`{name}` has an error of {error:.1e}, far above all before it: more than rounding, {like}"),
        );
    }
    match &agreement.first {
        None if agreement.unlike.is_empty() => {
            line(
                "agrees",
                &format!("with the original, in all {} activations that were compared", agreement.compared()),
            );
        }
        None => line("DIFFERS", "from the original in sizes"),
        Some(first) => text.push_str(&difference(first)),
    }
    text
}

fn difference(first: &Difference) -> String {
    let Difference { name, error, row, column, ours, theirs, first_row, from, by } = first;
    let mut text = format!("\nfirst difference: {}\n", printable(name));
    text.push_str(&format!(
        "  row {row}, column {column}: {ours} here, {theirs} in the original (error {error:.1e})\n"
    ));
    text.push_str(&match first_row {
        0 => "  row 0 differs already\n".to_owned(),
        1 => "  row 0 agrees\n".to_owned(),
        rows => format!("  rows 0 to {} agree\n", rows - 1),
    });
    if !from.is_empty() {
        text.push_str(&hanging("  it is computed from what agrees: ", 4, &printable(&listed(from))));
    }
    text.push_str(if by.is_empty() {
        "  with nothing between: the original computes something there\n"
    } else {
        "  by\n"
    });
    for operator in by {
        let operator = printable(operator);
        let cut: String = operator.chars().take(LINE).collect();
        let dots = if cut.len() < operator.len() { "..." } else { "" };
        text.push_str(&format!("    {cut}{dots}\n"));
    }
    text
}
