//! What [`draw`] writes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use runtime_diagnostics::Source;
use runtime_pipeline::{Format, draw, parse};

fn drawing(text: &str, format: Format) -> String {
    draw(&parse(&Source::new("p.toml", text), &[]).unwrap(), format)
}

#[test]
fn a_ladder_in_mermaid() {
    let expected = r#"flowchart TD
    record(["record"])
    output0(["label"])
    output1(["score"])
    output2(["rung"])
    subgraph group0 ["triage"]
        step0rung0["zero-shot<br/>zero-shot-classification<br/>model nli<br/>accepts score ≥ 0.75"]
        step0rung1["llm<br/>llm<br/>model llm<br/>otherwise escalate-to-llm"]
        step0(["labels: billing, bug report, feature request, account access, other"])
    end
    step0rung0 -->|"accepted"| step0
    step0rung0 -->|"unsure"| step0rung1
    step0rung1 -->|"accepted"| step0
    record -->|"text"| step0rung0
    step0 -->|"label"| output0
    step0 -->|"score"| output1
    step0 -->|"rung"| output2
"#;
    assert_eq!(drawing(include_str!("fixtures/triage.toml"), Format::Mermaid), expected);
}

#[test]
fn both_formats_have_the_same_nodes_and_edges() {
    let text = include_str!("fixtures/warnings.toml");
    let edges = |drawing: &str, arrow: &str| -> Vec<(String, String)> {
        let ends = |line: &str| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), line.split_once(arrow)?.1.to_owned()))
        };
        drawing.lines().filter_map(ends).collect()
    };
    let mermaid = edges(&drawing(text, Format::Mermaid), " -->|\"");
    let dot = edges(&drawing(text, Format::Dot), " -> ");
    assert_eq!(mermaid.len(), 10, "{mermaid:?}");
    for ((from, rest), (dot_from, dot_rest)) in mermaid.iter().zip(&dot) {
        let (label, to) = rest.split_once("\"| ").unwrap();
        assert_eq!((from, format!("{to} [label=\"{label}\"];")), (dot_from, dot_rest.clone()));
    }
    assert_eq!(mermaid.len(), dot.len());
    let into = |node: &str| mermaid.iter().filter(|(_, rest)| rest.ends_with(&format!(" {node}"))).count();
    assert_eq!((into("step2unsure"), into("step2rung1")), (1, 0), "a rung that is never asked has no way to it");
}

#[test]
fn what_a_user_wrote_stays_inside_its_quotes() {
    let text = r##"
        name = 'a "title"\'
        models.nli.source = "./nli"
        [[steps]]
        name = "end"
        kind = "zero-shot-classification"
        text = "text"
        model = "nli"
        labels = ['a "b" <i>', 'c#quot;\', "d\ne"]
    "##;
    let mermaid = drawing(text, Format::Mermaid);
    let label = r#"labels: a #34;b#34; #60;i#62;, c#35;quot#59;#92;, d e<br/>model nli""#;
    assert!(mermaid.contains(label), "{mermaid}");
    let dot = drawing(text, Format::Dot);
    assert!(dot.starts_with(r#"digraph "a \"title\"\\" {"#), "{dot}");
    assert!(dot.contains(r#"labels: a \"b\" <i>, c#quot;\\, d e\nmodel nli""#), "{dot}");
}

#[test]
fn a_task_has_its_parameters_and_an_edge_for_each_thing_that_it_reads() {
    let mermaid = drawing(include_str!("fixtures/tasks.toml"), Format::Mermaid);
    let lines = [
        r#"    subgraph group0 ["moderate"]"#,
        r#"        step0["text-classification<br/>model toxic<br/>top_k: #34;all#34;<br/>function_to_apply: #34;sigmoid#34;"]"#,
        r#"    record -->|"body"| step0"#,
        r#"    record -->|"text_pair: title"| step0"#,
        r#"    step0 -->|"question: label"| step3"#,
        r#"    record -->|"context: body"| step3"#,
        r#"    step1 -->|"documents: words"| step8"#,
        r#"    step8 -->|"best"| output7"#,
    ];
    for line in lines {
        assert!(mermaid.lines().any(|found| found == line), "{line} is not in\n{mermaid}");
    }
}
