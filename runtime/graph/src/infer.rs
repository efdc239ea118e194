//! The shape of an operator's result, or the rule that its operands break.

use crate::error::Fault;
use crate::{
    AttentionOptions, Binary, CrossAttentionOptions, Dim, Element, ExpertsOptions, Op, Relative, Rotary, Shape,
};

/// An operand: its shape and what it holds.
pub(crate) type Operand<'a> = (&'a Shape, Element);

/// Shape and element of `op` applied to `operands`. Weights are inferred by the recording, which has the catalog.
pub(crate) fn infer(op: &Op, operands: &[Operand<'_>]) -> Result<(Shape, Element), Fault> {
    check_arity(op, operands)?;
    let broken = |rule: &str| Fault::Shapes {
        operator: op.name(),
        operands: op
            .operands()
            .iter()
            .map(|name| (*name).to_owned())
            .zip(operands.iter().map(|(shape, _)| (*shape).clone()))
            .collect(),
        rule: rule.to_owned(),
    };
    let shapes: Vec<&Shape> = operands.iter().map(|(shape, _)| *shape).collect();
    let real_from = if matches!(op, Op::Rows) { operands.len() - 1 } else { operands.len() };
    if operands[..real_from].iter().any(|(_, element)| *element != Element::Real) {
        return Err(broken("indices are no numbers to compute with; look them up with `rows`"));
    }
    let shape = match op {
        Op::Input(input) => return Ok((Shape::new([input.rows()]), Element::Index)),
        Op::Weight { .. } => return Err(broken("a weight's shape is the checkpoint's")),
        Op::Rows => {
            let Some((Dim::Fixed(_), width)) = shapes[0].as_matrix() else {
                return Err(broken("the table must be a matrix of known sizes"));
            };
            if operands[1].1 != Element::Index || shapes[1].rank() != 1 {
                return Err(broken("the ids must be a vector of indices"));
            }
            Shape::matrix(shapes[1].dims()[0], width)
        }
        Op::Linear => linear(&shapes).map_err(|rule| broken(&rule))?,
        Op::RmsNorm { epsilon, offset } => {
            check_epsilon(op, *epsilon)?;
            if !offset.is_finite() {
                let rule = "it must be finite";
                return Err(Fault::Option { operator: op.name(), option: "offset", value: offset.to_string(), rule });
            }
            let width = shapes[0].width().ok_or_else(|| broken("x must have a last size that is known"))?;
            match shapes[1].dims() {
                [Dim::Fixed(part)] | [Dim::Fixed(1), Dim::Fixed(part)] if *part > 0 && width % part == 0 => {}
                _ => {
                    return Err(broken(&format!(
                        "the weight must be a vector `[{width}]`, or one whose size divides that"
                    )));
                }
            }
            shapes[0].clone()
        }
        Op::LayerNorm { epsilon } => {
            check_epsilon(op, *epsilon)?;
            let width = shapes[0].width().ok_or_else(|| broken("x must have a last size that is known"))?;
            if shapes[1..].iter().any(|shape| !is_vector(shape, width)) {
                return Err(broken(&format!(
                    "weight and bias must be vectors `[{width}]`, as long as the last size of x"
                )));
            }
            shapes[0].clone()
        }
        Op::Activation(_) => shapes[0].clone(),
        Op::Scale { factor } => {
            if !factor.is_finite() {
                let rule = "it must be finite";
                return Err(Fault::Option { operator: op.name(), option: "factor", value: factor.to_string(), rule });
            }
            shapes[0].clone()
        }
        Op::Columns { start, width } => {
            let (rows, columns) = shapes[0].as_matrix().ok_or_else(|| broken("x must be a matrix of known width"))?;
            if *width == 0 || start.checked_add(*width).is_none_or(|end| end > columns) {
                let value = format!("{start} + {width}");
                let rule = "there must be at least one, all of them columns of x";
                return Err(Fault::Option { operator: op.name(), option: "columns", value, rule });
            }
            Shape::matrix(rows, *width)
        }
        Op::Join { parts } => join(*parts, &shapes, broken)?,
        Op::Transpose => match shapes[0].dims() {
            [Dim::Fixed(rows), Dim::Fixed(columns)] => Shape::fixed(&[*columns, *rows]),
            _ => return Err(broken("x must be a matrix of known sizes")),
        },
        Op::Rotary(options) => rotary(options, shapes[0], broken)?,
        Op::Convolution { groups } => convolution(*groups, &shapes, broken)?,
        Op::CausalConvolution => causal_convolution(&shapes).map_err(|rule| broken(&rule))?,
        Op::SelectiveScan => selective_scan(&shapes).map_err(|rule| broken(&rule))?,
        Op::Binary(binary) => {
            let column = || match (shapes[0].as_matrix(), shapes[1].as_matrix()) {
                (Some((rows, _)), Some((other, 1))) => rows == other && *binary == Binary::Multiply,
                _ => false,
            };
            if shapes[0] != shapes[1] && !column() {
                return Err(broken("both shapes must be equal"));
            }
            shapes[0].clone()
        }
        Op::Attention(options) => attention(options, &shapes, broken)?,
        Op::CrossAttention(options) => cross_attention(options, &shapes, broken)?,
        Op::Experts(options) => experts(options, &shapes, broken)?,
        Op::Constant { numbers } => constant(numbers)?,
        Op::Sinusoids { rows, frequencies } => sinusoids(*rows, frequencies)?,
        Op::Pool(_) => per_token(shapes[0], Dim::Sequences).map_err(broken)?,
        Op::Received { .. } => return Err(broken("it is of a graph that was cut, and cannot be recorded")),
        Op::SelectRows => per_token(shapes[0], Dim::Rows).map_err(broken)?,
    };
    Ok((shape, Element::Real))
}

fn check_arity(op: &Op, operands: &[Operand<'_>]) -> Result<(), Fault> {
    let expected = op.operands().len();
    if matches!(op, Op::Experts(_)) && operands.len() >= expected && (operands.len() - expected).is_multiple_of(3) {
        return Ok(());
    }
    let optional = matches!(
        op,
        Op::Linear | Op::LayerNorm { .. } | Op::Convolution { .. } | Op::CausalConvolution | Op::SelectiveScan
    );
    let least = if optional { expected - 1 } else { expected };
    if (least..=expected).contains(&operands.len()) {
        return Ok(());
    }
    Err(Fault::Arity { operator: op.name(), expected, given: operands.len() })
}

fn check_epsilon(op: &Op, epsilon: f64) -> Result<(), Fault> {
    if epsilon.is_finite() && epsilon >= 0.0 {
        return Ok(());
    }
    let rule = "it must be finite and not negative";
    Err(Fault::Option { operator: op.name(), option: "epsilon", value: epsilon.to_string(), rule })
}

/// Whether this is `[size]`, or a matrix of one such row.
fn is_vector(shape: &Shape, size: u32) -> bool {
    *shape == Shape::fixed(&[size]) || *shape == Shape::fixed(&[1, size])
}

fn linear(shapes: &[&Shape]) -> Result<Shape, String> {
    let Some((Dim::Fixed(outputs), inputs)) = shapes[1].as_matrix() else {
        return Err("the weight must be a matrix of known sizes".to_owned());
    };
    let Some((rows, width)) = shapes[0].as_matrix() else {
        return Err("x must be a matrix of known width".to_owned());
    };
    if width != inputs {
        return Err(format!("the weight must be `[{outputs}, {width}]`, whose last size is that of x"));
    }
    if shapes.get(2).is_some_and(|bias| !is_vector(bias, outputs)) {
        return Err(format!("the bias must be a vector `[{outputs}]`, as long as the weight's first size"));
    }
    Ok(Shape::matrix(rows, outputs))
}

fn join(parts: u32, shapes: &[&Shape], broken: impl Fn(&str) -> Fault) -> Result<Shape, Fault> {
    let (Some((rows, a)), Some((other, b))) = (shapes[0].as_matrix(), shapes[1].as_matrix()) else {
        return Err(broken("a and b must be matrices of known width"));
    };
    if rows != other {
        return Err(broken("a and b must have the same rows"));
    }
    if parts == 0 || a == 0 || b == 0 || !a.is_multiple_of(parts) || !b.is_multiple_of(parts) {
        let rule =
            format!("there must be at least one column of each in every part, and {parts} do not divide {a} and {b}");
        return Err(broken(&rule));
    }
    let width = a.checked_add(b).ok_or_else(|| broken("the sum of their widths is no size"))?;
    Ok(Shape::matrix(rows, width))
}

/// Whether these are the tokens of texts.
fn of_texts(rows: Dim) -> bool {
    matches!(rows, Dim::Tokens | Dim::Source)
}

fn attention(options: &AttentionOptions, shapes: &[&Shape], broken: impl Fn(&str) -> Fault) -> Result<Shape, Fault> {
    let AttentionOptions { heads, key_value_heads, scale, soft_cap, relative, .. } = *options;
    let rows = match shapes[0].as_matrix() {
        Some((rows, _)) if of_texts(rows) => rows,
        _ => return Err(broken("q, k and v must be `[n, width]`")),
    };
    let width = check_heads("attention", (heads, key_value_heads, scale), shapes, [rows; 3], &broken)?;
    if soft_cap.is_some_and(|cap| !cap.is_finite() || cap <= 0.0) {
        let (option, value, rule) = ("soft_cap", format!("{soft_cap:?}"), "it must be finite and positive");
        return Err(Fault::Option { operator: "attention", option, value, rule });
    }
    if let Some(relative) = relative {
        check_relative(relative, options, width, &shapes[3..], broken)?;
    }
    Ok(shapes[0].clone())
}

fn cross_attention(
    options: &CrossAttentionOptions,
    shapes: &[&Shape],
    broken: impl Fn(&str) -> Fault,
) -> Result<Shape, Fault> {
    let CrossAttentionOptions { heads, key_value_heads, scale } = *options;
    let rows = [Dim::Tokens, Dim::Source, Dim::Source];
    check_heads("cross-attention", (heads, key_value_heads, scale), shapes, rows, &broken)?;
    Ok(shapes[0].clone())
}

/// Checks heads, their scale, and queries, keys and values of these `rows`; returns the width of the queries.
fn check_heads(
    operator: &'static str,
    (heads, key_value_heads, scale): (u32, u32, Option<f64>),
    shapes: &[&Shape],
    rows: [Dim; 3],
    broken: &impl Fn(&str) -> Fault,
) -> Result<u32, Fault> {
    let wrong = |option, value: String, rule| Fault::Option { operator, option, value, rule };
    if heads == 0 {
        return Err(wrong("heads", heads.to_string(), "there must be at least one"));
    }
    if key_value_heads == 0 || heads % key_value_heads != 0 {
        return Err(wrong("key_value_heads", key_value_heads.to_string(), "it must divide the number of heads"));
    }
    if scale.is_some_and(|scale| !scale.is_finite()) {
        return Err(wrong("scale", format!("{scale:?}"), "it must be finite"));
    }
    let mut widths = [0; 3];
    for (((width, shape), rows), name) in widths.iter_mut().zip(shapes).zip(rows).zip(["q", "k", "v"]) {
        *width = match shape.as_matrix() {
            Some((found, width)) if found == rows && width > 0 => width,
            _ => return Err(broken(&format!("{name} must be `[{rows}, width]`"))),
        };
    }
    let [q, k, v] = widths;
    if q % heads != 0 {
        return Err(broken("the number of heads must divide the width of q"));
    }
    if k != v || u64::from(k) != u64::from(q / heads) * u64::from(key_value_heads) {
        return Err(broken("k and v must be `key_value_heads` heads wide, of the head size of q"));
    }
    Ok(q)
}

fn experts(options: &ExpertsOptions, shapes: &[&Shape], broken: impl Fn(&str) -> Fault) -> Result<Shape, Fault> {
    let Some((rows, hidden)) = shapes[0].as_matrix().filter(|(rows, _)| of_texts(*rows)) else {
        return Err(broken("x must be `[n, width]`"));
    };
    let experts = &shapes[2..];
    let count = u32::try_from(experts.len() / 3).unwrap_or(u32::MAX);
    if *shapes[1] != Shape::matrix(rows, count) {
        return Err(broken(&format!("the logits must be `[{rows}, {count}]`, one for each expert")));
    }
    let Some((Dim::Fixed(inner), _)) = experts[0].as_matrix() else {
        return Err(broken("the gate must be a matrix of known sizes"));
    };
    let expected = [[inner, hidden], [inner, hidden], [hidden, inner]].map(|sizes| Shape::fixed(&sizes));
    for (expert, shapes) in experts.chunks_exact(3).enumerate() {
        if shapes.iter().zip(&expected).any(|(shape, expected)| **shape != *expected) {
            let [gate, up, down] = &expected;
            let rule = format!(
                "gate, up and down must be `{gate}`, `{up}` and `{down}`, and those of expert {expert} are not"
            );
            return Err(broken(&rule));
        }
    }
    if options.top_k == 0 || options.top_k > count {
        let (option, value, rule) =
            ("top_k", options.top_k.to_string(), "there must be at least one, and no more than experts");
        return Err(Fault::Option { operator: "experts", option, value, rule });
    }
    Ok(shapes[0].clone())
}

/// The most numbers of a constant.
pub(crate) const MOST_NUMBERS: u32 = 1 << 16;

fn constant(numbers: &[f64]) -> Result<Shape, Fault> {
    let wrong = |value: String, rule| Err(Fault::Option { operator: "constant", option: "numbers", value, rule });
    if let Some(number) = numbers.iter().find(|number| number.is_nan() || number.abs() > f64::from(f32::MAX)) {
        return wrong(number.to_string(), "they must be finite in single precision");
    }
    match u32::try_from(numbers.len()) {
        Ok(count @ 1..=MOST_NUMBERS) => Ok(Shape::fixed(&[1, count])),
        _ => wrong(numbers.len().to_string(), "there must be 1 to 2^16 of them"),
    }
}

/// The most rows of a computed table; known models have up to 16,384.
const MOST_SINUSOIDS: u32 = 1 << 20;

/// The most frequencies of it; known models have up to 1,024.
const MOST_FREQUENCIES: u32 = 1 << 13;

fn sinusoids(rows: u32, frequencies: &[f64]) -> Result<Shape, Fault> {
    let wrong = |option, value: String, rule| Err(Fault::Option { operator: "sinusoids", option, value, rule });
    if rows == 0 || rows > MOST_SINUSOIDS {
        return wrong("rows", rows.to_string(), "there must be 1 to 2^20 of them");
    }
    if frequencies.iter().any(|frequency| !frequency.is_finite()) {
        return wrong("frequencies", format!("{frequencies:?}"), "they must be finite");
    }
    match u32::try_from(frequencies.len()) {
        Ok(count @ 1..=MOST_FREQUENCIES) => Ok(Shape::fixed(&[rows, 2 * count])),
        _ => wrong("frequencies", frequencies.len().to_string(), "there must be 1 to 8192 of them"),
    }
}

/// The most rows of a table of distances; known models have up to 1,024.
const MOST_DISTANCES: u32 = 1 << 16;

fn check_relative(
    relative: Relative,
    options: &AttentionOptions,
    width: u32,
    tables: &[&Shape],
    broken: impl Fn(&str) -> Fault,
) -> Result<(), Fault> {
    let wrong =
        |rule| Err(Fault::Option { operator: "attention", option: "relative", value: format!("{relative:?}"), rule });
    let rows = |table: &Shape, width| match table.as_matrix() {
        Some((Dim::Fixed(rows), found)) if found == width && rows <= MOST_DISTANCES => Some(rows),
        _ => None,
    };
    match relative {
        Relative::Bias { max_distance } => match rows(tables[0], options.heads) {
            Some(buckets) if buckets >= 4 && buckets % 4 == 0 && max_distance > buckets / 2 => Ok(()),
            Some(_) => wrong("the buckets must be a multiple of 4, and fewer than twice the greatest distance"),
            None => Err(broken("the bias must be `[buckets, heads]`")),
        },
        Relative::Alibi => match tables[0].dims() {
            [Dim::Fixed(1), Dim::Fixed(count)] | [Dim::Fixed(count)] if *count == options.heads => Ok(()),
            _ => Err(broken("the slopes must be `[heads]` or `[1, heads]`")),
        },
        Relative::Disentangled { max_distance, .. } => {
            if tables.is_empty() || options.heads != options.key_value_heads {
                return wrong("there must be at least one term, and as many key and value heads as query heads");
            }
            for table in tables {
                match rows(table, width) {
                    Some(rows) if rows >= 4 && rows % 2 == 0 && max_distance.is_none_or(|far| far > rows / 4 + 1) => {}
                    Some(_) => return wrong("a table must have an even number of rows, more distances than buckets"),
                    None => return Err(broken("positions must be `[2 * span, heads * d]`, as wide as q")),
                }
            }
            if tables.iter().any(|table| *table != tables[0]) {
                return Err(broken("both tables of positions must be of one shape"));
            }
            Ok(())
        }
    }
}

fn rotary(options: &Rotary, x: &Shape, broken: impl Fn(&str) -> Fault) -> Result<Shape, Fault> {
    let Rotary { head_size, frequencies, factor } = options;
    let wrong = |option, value: String, rule| Err(Fault::Option { operator: "rotary", option, value, rule });
    if *head_size == 0 {
        return wrong("head_size", head_size.to_string(), "it must not be 0");
    }
    if frequencies.is_empty() || frequencies.len() > *head_size as usize / 2 {
        return wrong("frequencies", frequencies.len().to_string(), "there must be 1 to `head_size` / 2 of them");
    }
    if !factor.is_finite() || frequencies.iter().any(|frequency| !frequency.is_finite()) {
        return wrong("frequencies", format!("{frequencies:?}"), "they and their factor must be finite");
    }
    match x.as_matrix() {
        Some((rows, width)) if of_texts(rows) && width.is_multiple_of(*head_size) => Ok(x.clone()),
        _ => Err(broken("x must be `[n, heads * head_size]`")),
    }
}

fn convolution(groups: u32, shapes: &[&Shape], broken: impl Fn(&str) -> Fault) -> Result<Shape, Fault> {
    let Some((rows, inputs)) = shapes[0].as_matrix().filter(|(rows, _)| of_texts(*rows)) else {
        return Err(broken("x must be `[n, width]`"));
    };
    let &[Dim::Fixed(outputs), Dim::Fixed(inner), Dim::Fixed(size)] = shapes[1].dims() else {
        return Err(broken("the weight must be `[o, i / groups, k]`"));
    };
    if size % 2 == 0 {
        return Err(broken("the size of the kernel must be odd"));
    }
    let fits = groups > 0 && outputs % groups == 0 && u64::from(inner) * u64::from(groups) == u64::from(inputs);
    if !fits {
        return Err(broken("the weight must be `[o, i / groups, k]`, and groups must divide both widths"));
    }
    if shapes.get(2).is_some_and(|bias| **bias != Shape::fixed(&[outputs])) {
        return Err(broken(&format!("the bias must be a vector `[{outputs}]`, as long as the weight's first size")));
    }
    Ok(Shape::matrix(rows, outputs))
}

/// The width of a value that has a row for each token of a text.
fn width_of_texts(shape: &Shape) -> Option<u32> {
    shape.as_matrix().filter(|(rows, _)| *rows == Dim::Tokens).map(|(_, width)| width)
}

fn causal_convolution(shapes: &[&Shape]) -> Result<Shape, String> {
    let width = width_of_texts(shapes[0]).ok_or("x must be `[n, width]`")?;
    if !matches!(shapes[1].dims(), [Dim::Fixed(w), Dim::Fixed(_)] | [Dim::Fixed(w), Dim::Fixed(1), Dim::Fixed(_)] if *w == width)
    {
        return Err(format!("the weight must be `[{width}, k]` or `[{width}, 1, k]`, with a row for each column of x"));
    }
    if shapes.get(2).is_some_and(|bias| **bias != Shape::fixed(&[width])) {
        return Err(format!("the bias must be a vector `[{width}]`, as long as the last size of x"));
    }
    Ok(shapes[0].clone())
}

fn selective_scan(shapes: &[&Shape]) -> Result<Shape, String> {
    let width = width_of_texts(shapes[0]).ok_or("x must be `[n, width]`")?;
    let Some((Dim::Fixed(rows), states)) = shapes[2].as_matrix().filter(|(rows, _)| *rows == Dim::Fixed(width)) else {
        return Err(format!("a must be `[{width}, states]`, with a row for each column of x"));
    };
    if shapes[1] != shapes[0] {
        return Err("delta must have the shape of x".to_owned());
    }
    if shapes[3..5].iter().any(|shape| **shape != Shape::matrix(Dim::Tokens, states)) {
        return Err(format!("b and c must be `[n, {states}]`, with a column for each of a"));
    }
    if shapes.get(5).is_some_and(|d| **d != Shape::fixed(&[rows])) {
        return Err(format!("d must be a vector `[{width}]`, as long as the last size of x"));
    }
    Ok(shapes[0].clone())
}

fn per_token(shape: &Shape, rows: Dim) -> Result<Shape, &'static str> {
    match shape.as_matrix() {
        Some((Dim::Tokens, width)) => Ok(Shape::matrix(rows, width)),
        _ => Err("x must be `[n, width]`"),
    }
}
