//! Mixtures of experts in a graph: what they are written as, and what they refuse.

use runtime_graph::{Activation, Builder, Catalog, DType, Expert, ExpertsOptions, Fault, Graph, GraphError, Value};

const OPTIONS: ExpertsOptions = ExpertsOptions { top_k: 2, normalise: true, activation: Activation::Silu };

fn record(describe: impl Fn(&Builder, &Value)) -> Result<Graph, GraphError> {
    let tensors = [("words", vec![10, 12]), ("in", vec![8, 12]), ("out", vec![12, 8]), ("router", vec![3, 12])];
    let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
    let (builder, recording) = Builder::native("test", catalog);
    describe(&builder, &builder.tensor("words").rows(&builder.token_ids()));
    recording.finish()
}

fn experts(graph: &Builder, count: usize) -> Vec<Expert> {
    let expert = Expert { gate: graph.tensor("in"), up: graph.tensor("in"), down: graph.tensor("out") };
    vec![expert; count]
}

fn refusal(options: ExpertsOptions, change: impl Fn(&Builder, &mut Vec<Expert>)) -> Fault {
    let recorded = record(|graph, x| {
        let mut experts = experts(graph, 3);
        change(graph, &mut experts);
        graph.output("y", &x.experts(&x.linear(&graph.tensor("router"), None), &experts, options));
    });
    recorded.expect_err("a misuse").fault
}

#[test]
fn a_mixture_is_one_operator_over_all_of_its_experts() {
    let graph = record(|graph, x| {
        let logits = x.linear(&graph.tensor("router"), None);
        graph.output("y", &(&x.experts(&logits, &experts(graph, 3), OPTIONS) * &logits.columns(0, 1)));
    });
    let text = graph.expect("it is well formed").to_string();
    for line in
        ["experts top-k=2 silu normalised %2 %4 %5 %5 %6 %5 %5 %6 %5 %5 %6 : [n, 12]", "multiply %7 %8 : [n, 12]"]
    {
        assert!(text.contains(line), "`{line}` in\n{text}");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let told = |options, change: fn(&Builder, &mut Vec<Expert>)| refusal(options, change).to_string();
    let few = told(OPTIONS, |_, experts| experts.truncate(2));
    assert!(few.ends_with("the logits must be `[n, 2]`, one for each expert"), "{few}");
    let none = refusal(OPTIONS, |_, experts| experts.clear());
    assert!(matches!(none, Fault::Arity { operator: "experts", .. }), "{none}");
    let turned = told(OPTIONS, |graph, experts| experts[2].down = graph.tensor("in"));
    let rule = "gate, up and down must be `[8, 12]`, `[8, 12]` and `[12, 8]`, and those of expert 2 are not";
    assert!(turned.ends_with(rule), "{turned}");
    for top_k in [0, 4] {
        let greedy = told(ExpertsOptions { top_k, ..OPTIONS }, |_, _| ());
        let expected =
            format!("`experts` cannot take top_k = {top_k}: there must be at least one, and no more than experts");
        assert_eq!(greedy, expected);
    }
    let fixed = record(|graph, x| {
        let logits = x.linear(&graph.tensor("router"), None);
        graph.output("y", &graph.tensor("words").experts(&logits, &experts(graph, 3), OPTIONS));
    });
    let fixed = fixed.expect_err("a misuse").fault.to_string();
    assert!(fixed.ends_with("x must be `[n, width]`"), "{fixed}");
    let sum = record(|_, x| {
        let _ = x + &x.columns(0, 1);
    });
    let sum = sum.expect_err("a misuse").fault.to_string();
    assert!(sum.ends_with("both shapes must be equal"), "{sum}");
}

#[test]
fn a_graph_with_no_end_of_experts_is_refused() {
    let tensors = [("words", vec![10, 2]), ("one", vec![2, 2]), ("router", vec![50_000, 2])];
    let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
    let (graph, recording) = Builder::native("test", catalog);
    let x = graph.tensor("words").rows(&graph.token_ids());
    let (one, logits) = (graph.tensor("one"), x.linear(&graph.tensor("router"), None));
    let experts = vec![Expert { gate: one.clone(), up: one.clone(), down: one }; 50_000];
    let last = (0..6).fold(x, |x, _| x.experts(&logits, &experts, OPTIONS));
    graph.output("y", &last);
    let error = recording.finish().expect_err("too many").fault.to_string();
    assert_eq!(error, "`experts` cannot take experts = 50000: a graph can have 2^18 in all");
}
