//! Calls of a graph builder with hostile values: recorded or refused, compiled or refused, and where that is cheap run. What
//! comes of a text is the same bit for bit, alone and beside others, in one run and in several.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use runtime_fuzz::calls;
use runtime_fuzz::weights::Numbers;
use runtime_graph::{Dim, Graph};
use runtime_tensor::{Batch, Cache, Cached, Device, Outputs, Plan, Precision, compile};

/// Texts, as tokens: of several lengths, one of them empty, one longer than a block of a cache.
const TEXTS: [&[u32]; 4] = [
    &[3, 1, 15],
    &[],
    &[7],
    &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 2, 1, 9, 4, 4, 8, 3, 1, 0, 5, 6, 7, 1, 2, 3, 4, 9, 9],
];

/// Blocks of a cache: enough for the texts and their sources.
const BLOCKS: usize = 16;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Unstructured::new(data);
    let Ok(mode) = bytes.arbitrary::<u8>() else { return };
    let Ok(Ok(graph)) = calls::graph(&mut bytes) else { return };
    assert!(!graph.to_string().is_empty());
    let precision = [Precision::F32, Precision::Bf16, Precision::Int8][usize::from(mode % 3)];
    let weights = Numbers { odd: mode & 64 != 0 };
    let Ok(plan) = compile(&graph, &weights, Device::Cpu, precision) else { return };
    if calls::reads_sources(&graph) {
        with_sources(&graph, &plan);
        return;
    }
    let Some(alone) = TEXTS.iter().map(|text| whole(&graph, &plan, &[text])).collect::<Option<Vec<_>>>() else {
        return;
    };
    if let Some(together) = whole(&graph, &plan, &TEXTS) {
        for (text, alone) in alone.iter().enumerate() {
            assert_eq!(together[text], alone[0], "the text {text} is not the same beside others");
        }
    }
    in_parts(&graph, &plan, &alone);
});

/// The bits of each output that belong to each text; `None` where the batch is refused.
fn whole(graph: &Graph, plan: &Arc<dyn Plan>, texts: &[&[u32]]) -> Option<Vec<Vec<u32>>> {
    let mut batch = Batch::new();
    texts.iter().for_each(|text| batch.push(text, &[0, 1]));
    ask_last(&mut batch);
    Some(of_texts(graph, &plan.run(&batch).ok()?, &batch))
}

/// A number's bits. Of NaN all are alike: which sign one gets depends on the order of the operands, which is the compiler's.
fn bits(number: f32) -> u32 {
    if number.is_nan() { f32::NAN.to_bits() } else { number.to_bits() }
}

/// Asks for the last token of each text that has one.
fn ask_last(batch: &mut Batch) {
    let last: Vec<usize> = batch.spans().filter(|span| !span.is_empty()).map(|span| span.end - 1).collect();
    last.into_iter().for_each(|token| batch.ask_row(u32::try_from(token).expect("there are few")));
}

fn of_texts(graph: &Graph, outputs: &Outputs, batch: &Batch) -> Vec<Vec<u32>> {
    let mut texts = vec![Vec::new(); batch.sequences()];
    for output in &graph.outputs {
        let (rows, width) = graph.node(output.value).shape.as_matrix().expect("a result is a matrix");
        let found = outputs.get(&output.name).expect("there is each result");
        assert_eq!(found.width, width as usize, "`{}` is of another width", output.name);
        assert_eq!(found.data.len(), found.rows * found.width);
        let mut asked = 0;
        for (text, span) in batch.spans().enumerate() {
            let of_text = match rows {
                Dim::Tokens => span,
                Dim::Sequences => text..text + 1,
                Dim::Rows => {
                    asked += usize::from(!span.is_empty());
                    asked - usize::from(!span.is_empty())..asked
                }
                Dim::Fixed(rows) => 0..rows as usize,
                Dim::Source => panic!("what is computed of a source is no result"),
            };
            texts[text].extend(of_text.flat_map(|row| found.row(row)).map(|number| bits(*number)));
        }
    }
    texts
}

/// Runs each text in two parts with what is kept of the first one.
fn in_parts(graph: &Graph, plan: &Arc<dyn Plan>, alone: &[Vec<Vec<u32>>]) {
    let of_tokens = |rows| matches!(rows, Dim::Tokens);
    if !graph
        .outputs
        .iter()
        .all(|output| graph.node(output.value).shape.as_matrix().is_some_and(|(rows, _)| of_tokens(rows)))
    {
        return;
    }
    let Ok(mut cache) = plan.cache(BLOCKS) else { return };
    let widths: Vec<usize> =
        graph.outputs.iter().map(|output| graph.node(output.value).shape.width().unwrap_or(0) as usize).collect();
    for (text, alone) in TEXTS.iter().zip(alone) {
        let mut cached = Cached::new();
        let (first, second) = text.split_at(text.len() / 2);
        let mut parts = Vec::new();
        for part in [first, second] {
            let mut batch = Batch::new();
            cache.reserve(&mut cached, part.len()).expect("there is room");
            batch.push_after(&cached, part);
            let Ok(outputs) = plan.run_after(&batch, &mut cache) else { return };
            cached.advance(part.len());
            parts.push(outputs);
        }
        // Token types are 0 behind a past; a graph that reads them gives something else.
        if graph.nodes.iter().any(|node| node.op.name() == "token-types") {
            continue;
        }
        let mut joined = Vec::new();
        for (output, width) in graph.outputs.iter().zip(&widths) {
            for (part, length) in parts.iter().zip([first.len(), second.len()]) {
                let found = part.get(&output.name).expect("there is each result");
                assert_eq!((found.rows, found.width), (length, *width));
                joined.extend(found.data.iter().map(|number| bits(*number)));
            }
        }
        // A token that is not seen yet weighs nothing, and an infinite number times nothing is none: beside tokens behind them,
        // results may be NaN that are numbers without.
        if joined.iter().chain(&alone[0]).all(|bits| f32::from_bits(*bits).is_finite()) {
            assert_eq!(joined, alone[0], "a text in parts is not the text");
        }
    }
    assert_eq!(cache.held(), 0, "blocks are lost");
}

/// Reads sources, and runs texts that attend to them.
fn with_sources(graph: &Graph, plan: &Arc<dyn Plan>) {
    let Ok(mut cache) = plan.cache(BLOCKS) else { return };
    let texts = [(TEXTS[0], TEXTS[2]), (TEXTS[2], TEXTS[3])];
    let Some(apart) =
        texts.iter().map(|text| after_sources(graph, plan, &mut cache, &[*text])).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let Some(together) = after_sources(graph, plan, &mut cache, &texts) else { return };
    for (text, apart) in apart.iter().enumerate() {
        assert_eq!(together[text], apart[0], "the text {text} is not the same beside others");
    }
    assert_eq!(cache.held(), 0, "blocks are lost");
}

fn after_sources(
    graph: &Graph,
    plan: &Arc<dyn Plan>,
    cache: &mut Cache,
    texts: &[(&[u32], &[u32])],
) -> Option<Vec<Vec<u32>>> {
    let mut kept: Vec<(Cached, Cached)> = texts.iter().map(|_| (Cached::new(), Cached::new())).collect();
    let mut sources = Batch::new();
    for ((source, _), (read, _)) in kept.iter_mut().zip(texts) {
        cache.reserve(source, read.len()).expect("there is room");
        sources.push_after(source, read);
    }
    plan.read_sources(&sources, cache).ok()?;
    let mut batch = Batch::new();
    for ((source, past), (read, text)) in kept.iter_mut().zip(texts) {
        source.advance(read.len());
        cache.reserve(past, text.len()).expect("there is room");
        batch.push_after_source(past, source, text);
    }
    ask_last(&mut batch);
    Some(of_texts(graph, &plan.run_after(&batch, cache).ok()?, &batch))
}
