//! Operators as Python has them, as filters: minijinja's own differ for booleans, mixed types and strings.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]

use std::cmp::Ordering;

use minijinja::value::{Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::budget::{count, spend, spend_items};
use crate::printf::formatted;
use crate::{markup, python};

/// Adds them under the names that `expression` writes.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("__add__", plus);
    environment.add_filter("__sub__", |a: Value, b: Value| arithmetic("-", &a, &b, i128::checked_sub, |a, b| a - b));
    environment.add_filter("__mul__", times);
    environment.add_filter("__div__", divided);
    environment.add_filter("__floordiv__", |a: Value, b: Value| Ok::<_, Error>(floored("//", &a, &b)?.0));
    environment.add_filter("__mod__", modulo);
    environment.add_filter("__pow__", power);
    environment.add_filter("__neg__", |a: Value| arithmetic("-", &Value::from(0), &a, i128::checked_sub, |_, a| -a));
    environment.add_filter("__pos__", |a: Value| arithmetic("+", &Value::from(0), &a, i128::checked_add, |_, a| a));
    environment.add_filter("__concat__", concatenated);
    environment.add_filter("__eq__", |a: Value, b: Value| equal(&a, &b));
    environment.add_filter("__ne__", |a: Value, b: Value| Ok::<_, Error>(!equal(&a, &b)?));
    environment
        .add_filter("__lt__", |a: Value, b: Value| Ok::<_, Error>(ordered("<", &a, &b)?.is_some_and(Ordering::is_lt)));
    environment
        .add_filter("__le__", |a: Value, b: Value| Ok::<_, Error>(ordered("<=", &a, &b)?.is_some_and(Ordering::is_le)));
    environment
        .add_filter("__gt__", |a: Value, b: Value| Ok::<_, Error>(ordered(">", &a, &b)?.is_some_and(Ordering::is_gt)));
    environment
        .add_filter("__ge__", |a: Value, b: Value| Ok::<_, Error>(ordered(">=", &a, &b)?.is_some_and(Ordering::is_ge)));
    environment.add_filter("__in__", |a: Value, b: Value| contains(&b, &a));
    environment.add_filter("__not_in__", |a: Value, b: Value| Ok::<_, Error>(!contains(&b, &a)?));
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

fn unsupported(sign: &str, a: &Value, b: &Value) -> Error {
    match a.is_undefined() || b.is_undefined() {
        true => Error::new(ErrorKind::UndefinedError, format!("an operand of `{sign}` is undefined")),
        false => invalid(format!("`{sign}` is not for {} and {}", python::kind(a), python::kind(b))),
    }
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value.kind() {
            ValueKind::Bool => Some(Self::Whole(i128::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Self::Whole),
            ValueKind::Number => f64::try_from(value.clone()).ok().map(Self::Float),
            _ => None,
        }
    }

    fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Python's conversion rounds too")]
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

fn numbers(sign: &str, a: &Value, b: &Value) -> Result<(Number, Number), Error> {
    Number::of(a).zip(Number::of(b)).ok_or_else(|| unsupported(sign, a, b))
}

fn too_large() -> Error {
    invalid("the number is too large")
}

/// A whole number in the smallest type, as minijinja has them itself.
fn whole(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}

fn arithmetic(
    sign: &str,
    a: &Value,
    b: &Value,
    wholes: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    match numbers(sign, a, b)? {
        (Number::Whole(a), Number::Whole(b)) => wholes(a, b).map(whole).ok_or_else(too_large),
        (a, b) => Ok(Value::from(floats(a.float(), b.float()))),
    }
}

/// Whether it is a list, and not a tuple or something that is merely gone through.
fn is_list(value: &Value) -> bool {
    value.kind() == ValueKind::Seq && !value.is_tuple()
}

fn plus(a: Value, b: Value) -> Result<Value, Error> {
    let (a, b) = markup::alike(a, b)?;
    if let (Some(first), Some(second)) = (a.as_str(), b.as_str()) {
        spend(first.len() + second.len())?;
        return Ok(markup::like(&a, Value::from([first, second].concat())));
    }
    if is_list(&a) && is_list(&b) || a.is_tuple() && b.is_tuple() {
        spend_items(a.len().unwrap_or_default() + b.len().unwrap_or_default())?;
        let items: Vec<Value> = a.try_iter()?.chain(b.try_iter()?).collect();
        return Ok(if a.is_tuple() { Value::from(Tuple::from(items)) } else { Value::from(items) });
    }
    arithmetic("+", &a, &b, i128::checked_add, |a, b| a + b)
}

fn times(a: Value, b: Value) -> Result<Value, Error> {
    let repeated = |value: &Value| value.as_str().is_some() || value.kind() == ValueKind::Seq;
    let (many, value) = if repeated(&a) { (&b, &a) } else { (&a, &b) };
    if !repeated(value) {
        return arithmetic("*", &a, &b, i128::checked_mul, |a, b| a * b);
    }
    let Some(Number::Whole(many)) = Number::of(many) else { return Err(unsupported("*", &a, &b)) };
    let many = usize::try_from(many.max(0)).map_err(|_| too_large())?;
    if let Some(text) = value.as_str() {
        spend(text.len().saturating_mul(many))?;
        return Ok(markup::like(value, Value::from(text.repeat(many))));
    }
    spend_items(value.len().unwrap_or_default().saturating_mul(many))?;
    let items: Vec<Value> = value.try_iter()?.collect();
    let items: Vec<Value> =
        std::iter::repeat_n(items, if value.len() == Some(0) { 0 } else { many }).flatten().collect();
    Ok(if value.is_tuple() { Value::from(Tuple::from(items)) } else { Value::from(items) })
}

fn divided(a: Value, b: Value) -> Result<Value, Error> {
    let (a, b) = numbers("/", &a, &b)?;
    if b.float() == 0.0 {
        return Err(invalid("division by zero"));
    }
    Ok(Value::from(a.float() / b.float()))
}

/// `divmod(a, b)`.
fn floored(sign: &str, a: &Value, b: &Value) -> Result<(Value, Value), Error> {
    match numbers(sign, a, b)? {
        (_, b) if b.float() == 0.0 => Err(invalid("division by zero")),
        (Number::Whole(a), Number::Whole(b)) => {
            let rest = a.checked_rem(b).ok_or_else(too_large)?;
            let rest = if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest };
            let quotient = a.checked_sub(rest).and_then(|whole| whole.checked_div(b)).ok_or_else(too_large)?;
            Ok((whole(quotient), whole(rest)))
        }
        (a, b) => {
            let (a, b) = (a.float(), b.float());
            let rest = a % b;
            let rest = if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest };
            Ok((Value::from(((a - rest) / b).round()), Value::from(rest)))
        }
    }
}

fn modulo(a: Value, b: Value) -> Result<Value, Error> {
    let Some(text) = a.as_str() else { return Ok(floored("%", &a, &b)?.1) };
    let mut places: Vec<Value> = if b.is_tuple() { b.try_iter()?.collect() } else { vec![b.clone()] };
    let mut named = (b.kind() == ValueKind::Map).then(|| b.clone());
    if a.is_safe() {
        places = places.iter().map(markup::shown).collect::<Result<_, _>>()?;
        named = named.map(|map| markup::shown_items(&map)).transpose()?;
    }
    formatted(text, &places, named.as_ref()).map(|made| markup::like(&a, Value::from(made)))
}

fn power(a: Value, b: Value) -> Result<Value, Error> {
    match numbers("**", &a, &b)? {
        (Number::Whole(a), Number::Whole(b)) if b >= 0 => {
            let power = u32::try_from(b).ok().and_then(|b| a.checked_pow(b));
            power.map(whole).ok_or_else(too_large)
        }
        (a, b) if a.float() == 0.0 && b.float() < 0.0 => Err(invalid("zero has no negative power")),
        (a, b) => Ok(Value::from(a.float().powf(b.float()))),
    }
}

fn concatenated(first: Value, others: Rest<Value>) -> Result<Value, Error> {
    let mut out = python::str(&first)?;
    for other in others.iter() {
        out.push_str(&python::str(other)?);
    }
    // What is written of values that are no strings was counted then.
    spend(out.len())?;
    Ok(Value::from(out))
}

/// `a == b`.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    match (a.kind(), b.kind()) {
        (ValueKind::Seq, ValueKind::Seq) => {
            if a.is_tuple() != b.is_tuple() || a.len() != b.len() {
                return Ok(false);
            }
            count(a)?;
            for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
                if !equal(&a, &b)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (ValueKind::Map, ValueKind::Map) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            count(a)?;
            for key in a.try_iter()? {
                if !has(b, &key) || !equal(&a.get_item(&key)?, &b.get_item(&key)?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (ValueKind::String, ValueKind::String) => {
            count(a)?;
            Ok(a == b)
        }
        _ => Ok(a == b),
    }
}

/// Whether a mapping has the key, with a value or with none that is defined.
fn has(map: &Value, key: &Value) -> bool {
    map.as_object().is_some_and(|map| map.get_value(key).is_some())
}

/// How `a` and `b` are ordered; `None` where one is no number (`nan`).
fn ordered(sign: &str, a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    if let Some((a, b)) = Number::of(a).zip(Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        });
    }
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        spend(a.len().min(b.len()))?;
        return Ok(Some(a.cmp(b)));
    }
    if a.kind() == ValueKind::Seq && b.kind() == ValueKind::Seq && a.is_tuple() == b.is_tuple() {
        count(a)?;
        for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
            if !equal(&a, &b)? {
                return ordered(sign, &a, &b);
            }
        }
        return Ok(Some(a.len().cmp(&b.len())));
    }
    Err(unsupported(sign, a, b))
}

/// `item in container`.
pub(crate) fn contains(container: &Value, item: &Value) -> Result<bool, Error> {
    count(container)?;
    match (container.as_str(), container.kind()) {
        (Some(text), _) => match item.as_str() {
            Some(part) => Ok(text.contains(part)),
            None => Err(invalid(format!("only a string can be in a string, not {}", python::kind(item)))),
        },
        (None, ValueKind::Undefined) => Ok(false),
        (None, ValueKind::Map) => match item.kind() {
            ValueKind::Map => Err(invalid("a mapping cannot be a key")),
            ValueKind::Seq if !item.is_tuple() => Err(invalid("a list cannot be a key")),
            _ => Ok(has(container, item)),
        },
        (None, ValueKind::Seq | ValueKind::Iterable) => {
            for other in container.try_iter()? {
                if equal(&other, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(invalid(format!("nothing can be in {}", python::kind(container)))),
    }
}
