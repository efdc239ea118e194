//! What the builder puts together of several operators, and what it refuses.

use runtime_graph::{Builder, Catalog, Config, DType, Graph, GraphError, Refusal, Shape, Value};

fn record(describe: impl Fn(&Builder, &Value)) -> Result<Graph, GraphError> {
    let tensors = [("words", vec![10, 12]), ("fused", vec![12, 4]), ("bias", vec![20_001])];
    let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
    let (builder, recording) = Builder::native("test", catalog);
    describe(&builder, &builder.tensor("words").rows(&builder.token_ids()));
    recording.finish()
}

#[test]
fn parts_are_split_in_equal_pieces_or_refused() {
    let graph = record(|graph, x| {
        let [query, key] = graph.tensor("fused").transpose().split_each(3);
        assert_eq!((query.shape(), key.shape()), (Shape::fixed(&[4, 6]), Shape::fixed(&[4, 6])));
        graph.output("y", &x.columns(0, 4).linear(&key.transpose(), None));
    });
    let text = graph.expect("it is well formed").to_string();
    for columns in [2, 6, 10] {
        assert!(text.contains(&format!("columns start={columns} width=2 ")), "the second piece of a part:\n{text}");
    }
    for parts in [5, 12, u32::MAX] {
        let refused = record(|graph, x| graph.output("y", &x.split_each::<2>(parts)[0])).map(|_| ());
        assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("columns")), "{parts}: {refused:?}");
    }
}

#[test]
fn constants_and_rows_may_be_as_wide_as_a_fused_product() {
    let graph = record(|graph, x| {
        for width in [1, 8192, 8193, 20_001] {
            assert_eq!(graph.ones(width).shape(), Shape::fixed(&[1, width]));
            assert_eq!(graph.zeros(width).shape(), Shape::fixed(&[1, width]));
        }
        assert_eq!(graph.row(&graph.tensor("bias")).shape(), Shape::fixed(&[1, 20_001]));
        graph.output("y", x);
    });
    graph.expect("it is well formed");
    assert!(record(|graph, x| graph.output("y", &(x * &graph.ones(0)))).is_err());
}

#[test]
fn a_default_takes_the_place_of_what_is_absent_alone() {
    let config: Config = r#"{"rotary_pct": 0.5, "rope_theta": null}"#.parse().expect("an object");
    let share = config.number_or("rotary_pct", 0.25).expect("a number");
    let config = config.with_default("partial_rotary_factor", share).with_default("rope_theta", 5.0);
    assert_eq!(config.number_or("partial_rotary_factor", 1.0), Ok(0.5));
    assert_eq!(config.number_or("rope_theta", 1.0), Ok(5.0));
    assert_eq!(config.with_default("rotary_pct", 0.1).number_or("rotary_pct", 1.0), Ok(0.5));
    let refusal = Refusal::unsupported("slow_but_exact", true, "`false`").to_string();
    assert_eq!(refusal, "`slow_but_exact` = `true` in `config.json` is not supported; it can be `false`");
}
