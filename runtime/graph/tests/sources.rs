//! Sources in a graph: what is of them, what is of texts, and where the two may meet.

use runtime_graph::{
    AttentionOptions, Builder, Catalog, CrossAttentionOptions, DType, Graph, GraphError, Head, Rotary,
};

fn record(describe: impl Fn(&Builder)) -> Result<Graph, GraphError> {
    let tensors = [("words", vec![10, 12]), ("bias", vec![1, 12]), ("up", vec![12, 12])];
    let catalog = Catalog::new(tensors.map(|(name, shape)| (name, shape, DType::F32)), "");
    let (builder, recording) = Builder::native("test", catalog);
    describe(&builder);
    recording.finish()
}

fn refusal(describe: impl Fn(&Builder)) -> String {
    let error = record(describe).expect_err("a misuse");
    error.fault.to_string()
}

#[test]
fn texts_attend_to_sources_and_nothing_else_mixes_them() {
    let graph = record(|graph| {
        let words = graph.tensor("words");
        let table = graph.sinusoids(5, vec![1.0, 0.5, 0.25, 0.1, 0.05, 0.01]);
        let source = &words.rows(&graph.source_ids()) + &table.rows(&graph.source_positions(2));
        let source = source.attention(&source, &source, AttentionOptions::bidirectional(4));
        let source =
            source.rotary(&Rotary::plain(3, 2, 100.0)).linear(&graph.tensor("up"), Some(&graph.tensor("bias")));
        let text = words.rows(&graph.token_ids());
        let options = CrossAttentionOptions { scale: Some(1.0), ..CrossAttentionOptions::new(4) };
        graph.output("y", &text.cross_attention(&source, &source, options).select_rows());
    });
    let text = graph.expect("it is well formed").to_string();
    let lines = [
        "source-ids : [m]",
        "source-positions first=2 : [m]",
        "sinusoids rows=5 frequencies=[1.0, 0.5, 0.25, 0.1, 0.05, 0.01] : [5, 12]",
        "attention heads=4 %6 %6 %6 : [m, 12]",
        "cross-attention heads=4 scale=1 %13 %11 %11 : [n, 12]",
        "output y = %15 : [r, 12]",
    ];
    for line in lines {
        assert!(text.contains(line), "`{line}` in\n{text}");
    }

    let both = |graph: &Builder| {
        let words = graph.tensor("words");
        (words.rows(&graph.token_ids()), words.rows(&graph.source_ids()))
    };
    let refused = refusal(|graph| {
        let (text, source) = both(graph);
        graph.output("y", &(&text + &source));
    });
    assert_eq!(refused, "`add` cannot take a [n, 12], b [m, 12]: both shapes must be equal");
    let refused = refusal(|graph| {
        let (text, source) = both(graph);
        graph.output("y", &text.attention(&source, &source, AttentionOptions::bidirectional(4)));
    });
    assert!(refused.ends_with("k must be `[n, width]`"), "{refused}");
    let refused = refusal(|graph| {
        let (text, source) = both(graph);
        graph.output("y", &source.cross_attention(&text, &text, CrossAttentionOptions::new(4)));
    });
    assert!(refused.ends_with("q must be `[n, width]`"), "{refused}");
    let refused = refusal(|graph| {
        let (text, _) = both(graph);
        graph.output("y", &text.cross_attention(&text, &text, CrossAttentionOptions::new(4)));
    });
    assert!(refused.ends_with("k must be `[m, width]`"), "{refused}");
    let refused = refusal(|graph| graph.output("y", &both(graph).1));
    assert!(refused.ends_with("what is computed of a source is no result; tokens attend to it"), "{refused}");
    let refused = refusal(|graph| graph.output("y", &both(graph).1.select_rows()));
    assert!(refused.ends_with("x must be `[n, width]`"), "{refused}");
}

#[test]
fn tables_of_sinusoids_are_few_and_bounded() {
    let table = |rows, count: u16| {
        refusal(move |graph| {
            graph.sinusoids(rows, (0..count).map(f64::from).collect());
        })
    };
    assert!(table(0, 1).contains("rows = 0"));
    assert!(table(1 << 21, 1).contains("rows = 2097152"));
    assert!(table(1, 0).contains("frequencies = 0"));
    assert!(table(1, 8193).contains("frequencies = 8193"));
    let same = record(|graph| {
        let tables: Vec<_> = (0..100).map(|_| graph.sinusoids(3, vec![1.0])).collect();
        graph.output("y", &tables[99]);
    });
    assert_eq!(same.expect("one table").nodes.len(), 1);
    let many = refusal(|graph| (1..=17).for_each(|rows| drop(graph.sinusoids(rows, vec![1.0]))));
    assert!(many.ends_with("a graph can have 16 such tables"), "{many}");
}

#[test]
fn constants_are_bounded_and_slopes_fit_the_heads() {
    let refused = |numbers: Vec<f64>| refusal(move |graph| drop(graph.constant(numbers.clone())));
    assert!(refused(vec![]).contains("numbers = 0"));
    assert!(refused(vec![1.0; (1 << 16) + 1]).contains("numbers = 65537"));
    for number in [f64::NAN, f64::NEG_INFINITY, 1e300] {
        let told = refused(vec![0.0, number]);
        assert!(told.ends_with("they must be finite in single precision"), "{told}");
    }
    let many = refusal(|graph| (0..17).for_each(|number| drop(graph.constant(vec![f64::from(number); 1 << 16]))));
    assert!(many.ends_with("a graph can have 2^20 in all"), "{many}");
    let same = record(|graph| {
        let rows: Vec<_> = (0..100).map(|_| graph.ones(1 << 16)).collect();
        graph.output("y", &rows[99]);
    });
    assert_eq!(same.expect("one row").nodes.len(), 1);
    let slopes = refusal(|graph| {
        let text = graph.tensor("words").rows(&graph.token_ids());
        let slopes = graph.constant([0.5, 0.25, 0.125]);
        graph.output("y", &text.attention_alibi(&text, &text, &slopes, AttentionOptions::causal(4, 4)));
    });
    assert!(slopes.ends_with("the slopes must be `[heads]` or `[1, heads]`"), "{slopes}");
}

#[test]
fn classes_of_transformers_name_their_head() {
    for (class, head) in [
        ("T5ForConditionalGeneration", Head::Seq2SeqLm),
        ("T5WithLMHeadModel", Head::Seq2SeqLm),
        ("MarianMTModel", Head::Seq2SeqLm),
        ("GPT2LMHeadModel", Head::CausalLm),
        ("MarianModel", Head::Base),
        ("T5EncoderModel", Head::Base),
    ] {
        assert_eq!(Head::of_class(class), Some(head), "{class}");
    }
}
