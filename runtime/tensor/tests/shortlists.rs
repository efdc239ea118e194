//! Shortlists beside the rows that they stand for, on the processor and on every GPU.

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::sync::Arc;

use runtime_graph::Builder;
use runtime_tensor::{Batch, Device, Greatest, Matrix, Plan, Precision, Rows, Shortlist, Wanted, compile};
use support::{Memory, Random, VOCABULARY, WIDTH, other_devices};

/// Scores of a row.
const SCORES: usize = 5003;

/// A plan whose scores come `alike` times each, so that many tie.
fn plan(device: Device, alike: usize, bias: Option<(usize, f32)>) -> Arc<dyn Plan> {
    let width = WIDTH as usize;
    let scores = u32::try_from(SCORES).expect("small");
    let mut weights = Memory::new(&[
        ("words.weight", &[VOCABULARY, WIDTH]),
        ("out.weight", &[scores, WIDTH]),
        ("out.bias", &[scores]),
    ]);
    let distinct = SCORES.div_ceil(alike);
    let rows = weights.0["out.weight"].1.clone();
    let repeated = (0..SCORES).flat_map(|row| rows[row % distinct * width..][..width].to_vec());
    weights.0.get_mut("out.weight").expect("it is there").1 = repeated.collect();
    let biases = &mut weights.0.get_mut("out.bias").expect("it is there").1;
    biases.fill(0.0);
    if let Some((column, bias)) = bias {
        biases[column] = bias;
    }
    let (builder, recording) = Builder::native("scores", weights.catalog());
    let x = builder.tensor("words.weight").rows(&builder.token_ids());
    builder.output("states", &x);
    builder.output("logits", &builder.linear("out").forward(&x.select_rows()));
    let graph = recording.finish().expect("a graph");
    compile(&graph, &weights, device, Precision::F32).expect("it compiles")
}

fn devices() -> Vec<Device> {
    std::iter::once(Device::Cpu).chain(other_devices()).collect()
}

fn run(plan: &dyn Plan, wanted: &[Wanted]) -> Rows {
    let mut random = Random(5);
    let ids: Vec<u32> = wanted.iter().map(|_| random.below(VOCABULARY)).collect();
    let mut batch = Batch::new();
    batch.push(&ids, &[]);
    (0..).zip(wanted).for_each(|(row, wanted)| batch.ask(row, *wanted));
    let outputs = plan.run(&batch).expect("it runs");
    assert_eq!(outputs.get("states").expect("states").rows, ids.len(), "what has a row for each token is whole");
    outputs.into_rows("logits").expect("logits")
}

/// What of rows that are wanted whole.
fn whole(plan: &dyn Plan, count: usize) -> Matrix {
    let rows = run(plan, &vec![Wanted::Row; count]);
    assert!(rows.shortlists.is_empty());
    rows.whole
}

fn greatest(count: usize, ties: bool, log_sum_exp: bool) -> Wanted {
    Wanted::Greatest(Greatest { count, ties, log_sum_exp })
}

/// Compares a list with a stable sort of its row.
fn agree(list: &Shortlist, row: &[f32], wanted: Wanted) {
    let Wanted::Greatest(Greatest { count, ties, log_sum_exp }) = wanted else { panic!("the row was wanted") };
    let mut columns: Vec<usize> = (0..row.len()).collect();
    columns.sort_by(|a, b| row[*b].partial_cmp(&row[*a]).expect("numbers"));
    let least = row[columns[count - 1]];
    let needed = if ties { columns.iter().filter(|column| row[**column] >= least).count() } else { count };
    assert!(list.columns.len() >= needed && list.columns.len() == list.numbers.len(), "{wanted:?}");
    for ((found, number), expected) in list.columns.iter().zip(&list.numbers).zip(&columns) {
        assert_eq!((*found as usize, number.to_bits()), (*expected, row[*expected].to_bits()), "{wanted:?}");
    }
    let highest = f64::from(row[columns[0]]);
    let sum = highest + row.iter().map(|x| (f64::from(*x) - highest).exp()).sum::<f64>().ln();
    assert_eq!(list.log_sum_exp.is_some(), log_sum_exp);
    assert!(list.log_sum_exp.is_none_or(|found| (found - sum).abs() < 2e-6), "{:?} not {sum}", list.log_sum_exp);
}

#[test]
fn lists_are_heads_of_sorted_rows() {
    let mut random = Random(9);
    for device in devices() {
        for alike in [1, 3, 100] {
            let plan = plan(device.clone(), alike, None);
            let (mut lists, mut rows) = (0, 0);
            for count in [1, 1, 2, 5, 12] {
                let expected = whole(&*plan, count);
                let wanted: Vec<Wanted> = (0..count)
                    .map(|_| match random.below(5) {
                        0 => Wanted::Row,
                        1 => greatest(1, false, false),
                        2 => greatest(248, true, true),
                        3 => greatest(1 + random.below(60) as usize, false, true),
                        _ => greatest(1 + random.below(60) as usize, true, false),
                    })
                    .collect();
                let found = run(&*plan, &wanted);
                if wanted.iter().all(|wanted| *wanted == Wanted::Row) {
                    assert_eq!(found, Rows { whole: expected, shortlists: Vec::new() });
                    continue;
                }
                assert_eq!(found.shortlists.len(), count);
                let mut next = 0;
                for (row, (list, wanted)) in found.shortlists.iter().zip(&wanted).enumerate() {
                    match list {
                        Some(list) => agree(list, expected.row(row), *wanted),
                        None => {
                            assert_eq!(found.whole.row(next), expected.row(row));
                            next += 1;
                        }
                    }
                    let certain = matches!(wanted, Wanted::Greatest(wanted) if !wanted.ties || alike < 4);
                    assert!(list.is_some() || !certain, "{wanted:?} of {alike} alike");
                    // Of a hundred that are equal a list shows no end.
                    assert!(list.is_none() || certain, "{wanted:?} of {alike} alike");
                    lists += u32::from(list.is_some());
                    rows += u32::from(list.is_none() && *wanted != Wanted::Row);
                }
                assert_eq!((found.whole.rows, found.whole.data.len()), (next, next * SCORES));
            }
            assert!(lists > 0 && (rows > 0 || alike < 100), "{lists} lists, {rows} rows");
        }
    }
}

#[test]
fn rows_of_what_is_no_number_are_given_whole() {
    for device in devices() {
        for bias in [f32::NAN, f32::INFINITY, 1e32] {
            let plan = plan(device.clone(), 1, Some((4711, bias)));
            let found = run(&*plan, &[greatest(1, false, true), greatest(9, true, false)]);
            assert_eq!((found.shortlists, found.whole.rows), (vec![None, None], 2), "{bias}");
            assert!(found.whole.row(1)[4711].is_nan() || found.whole.row(1)[4711] >= bias);
        }
        // What is ruled out is no harm.
        let plan = plan(device, 1, Some((4711, f32::NEG_INFINITY)));
        let wanted = [greatest(9, true, true), greatest(300, false, false)];
        let (found, expected) = (run(&*plan, &wanted), whole(&*plan, 2));
        agree(found.shortlists[0].as_ref().expect("a list"), expected.row(0), wanted[0]);
        // So many cost as much as the row.
        assert_eq!((found.shortlists[1].as_ref(), found.whole.row(0)), (None, expected.row(1)));
    }
}
