//! `text % values`: formats of C's `printf`, as Python reads them.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use crate::budget::{count, spend};
use crate::methods::invalid;
use crate::python;

/// One place of a format: `%(name)-5.2f`.
struct Place<'a> {
    name: Option<&'a str>,
    flags: &'a str,
    width: &'a str,
    precision: Option<&'a str>,
    conversion: char,
}

/// Characters that a place is filled up to, at most.
const WIDEST: usize = 100_000;

/// Refuses a format of `str.format` whose places have a width or a precision above [`WIDEST`].
pub(crate) fn refuse_wide(format: &str) -> Result<(), Error> {
    let specs = format.split('{').filter_map(|after| after.split('}').next()?.split_once(':'));
    let mut numbers = specs.flat_map(|(_, spec)| spec.split(|char: char| !char.is_ascii_digit()));
    match numbers.any(|digits| digits.trim_start_matches('0').len() > 5) {
        true => Err(invalid(format!("a place of a format is filled up to less than {WIDEST} characters"))),
        false => Ok(()),
    }
}

/// The text with the values in its places; `named` holds those that a place names.
pub(crate) fn formatted(text: &str, values: &[Value], named: Option<&Value>) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = text;
    let mut values = values.iter();
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        let (place, after) = place(&rest[start + 1..]).ok_or_else(|| invalid("incomplete format"))?;
        rest = after;
        if place.conversion == '%' {
            out.push('%');
            continue;
        }
        let value = match (place.name, named) {
            (Some(name), Some(named)) => {
                let found = named.get_item(&Value::from(name))?;
                if found.is_undefined() {
                    return Err(invalid(format!("the format names `{name}`, and there is no such value")));
                }
                found
            }
            (Some(_), None) => return Err(invalid("format requires a mapping")),
            (None, _) => values.next().cloned().ok_or_else(|| invalid("not enough arguments for format string"))?,
        };
        let before = out.len();
        write(&mut out, &place, &value)?;
        spend(out.len() - before)?;
    }
    out.push_str(rest);
    spend(text.len())?;
    match values.next() {
        Some(_) if named.is_none() => Err(invalid("not all arguments converted during string formatting")),
        _ => Ok(out),
    }
}

/// The place that begins behind a percent sign, and what follows it.
fn place(text: &str) -> Option<(Place<'_>, &str)> {
    let (name, text) = match text.strip_prefix('(') {
        Some(inner) => inner.split_once(')').map(|(name, rest)| (Some(name), rest))?,
        None => (None, text),
    };
    let part = |text: &'static str| move |char: char| !text.contains(char);
    let split = |text, end: Option<usize>| -> Option<(&str, &str)> { str::split_at_checked(text, end?) };
    let (flags, text) = split(text, text.find(part("#0- +")))?;
    let (width, text) = split(text, text.find(part("0123456789")))?;
    let (precision, text) = match text.strip_prefix('.') {
        Some(inner) => split(inner, inner.find(part("0123456789"))).map(|(digits, rest)| (Some(digits), rest))?,
        None => (None, text),
    };
    let text = text.trim_start_matches(['h', 'l', 'L']);
    let conversion = text.chars().next()?;
    Some((Place { name, flags, width, precision, conversion }, &text[conversion.len_utf8()..]))
}

fn write(out: &mut String, place: &Place<'_>, value: &Value) -> Result<(), Error> {
    let size = |digits: &str| -> Result<usize, Error> {
        let size = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
        size.filter(|size| *size <= WIDEST).ok_or_else(|| invalid(format!("a width above {WIDEST}")))
    };
    let (width, precision) = (size(place.width)?, place.precision.map(size).transpose()?);
    let text = match place.conversion {
        's' => python::str(value)?,
        'r' | 'a' => python::repr(value)?,
        conversion => {
            let value = match (conversion, value.kind()) {
                ('d' | 'i' | 'u', ValueKind::Number) if !value.is_integer() => {
                    let number = f64::try_from(value.clone())?;
                    let whole = number.is_finite() && number.abs() < 9e18;
                    #[expect(clippy::cast_possible_truncation, reason = "the number is within the range")]
                    let number = if whole { number.trunc() as i64 } else { return Err(invalid("not a whole number")) };
                    Value::from(number)
                }
                (_, ValueKind::Bool) => Value::from(i64::from(value.is_true())),
                _ => value.clone(),
            };
            let precision = place.precision.map(|digits| format!(".{digits}")).unwrap_or_default();
            let format_of_one = format!("%{}{}{precision}{conversion}", place.flags, place.width);
            out.push_str(&format(FormatStyle::Printf, &format_of_one, &[value])?);
            return Ok(());
        }
    };
    count(&Value::from(text.as_str()))?;
    let text: String = text.chars().take(precision.unwrap_or(usize::MAX)).collect();
    let missing = " ".repeat(width.saturating_sub(text.chars().count()));
    let left = place.flags.contains('-');
    out.extend(if left { [text.as_str(), missing.as_str()] } else { [missing.as_str(), text.as_str()] });
    Ok(())
}
