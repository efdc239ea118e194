//! The filters `sort` and `dictsort`, which take their arguments by place or by name.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]

use std::collections::BTreeSet;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, State, Value};

use crate::filters::looped;
use crate::methods::invalid;

/// `sort(value, reverse=False, case_sensitive=False, attribute=None)`.
pub(crate) fn sort(state: &State, value: Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    let value = looped(value)?;
    let mixed = |value: &Value| -> Result<bool, Error> {
        let kinds: BTreeSet<bool> = value.try_iter()?.map(|item| item.kind() == ValueKind::String).collect();
        Ok(kinds.len() > 1)
    };
    let names = named(&places, &["reverse", "case_sensitive", "attribute"], names);
    if !names.has("attribute") && mixed(&value)? {
        return Err(invalid("strings and other values have no order"));
    }
    minijinja::filters::sort(state, value, names)
}

/// `dictsort(value, case_sensitive=False, by='key', reverse=False)`.
pub(crate) fn dictsort(value: &Value, places: Rest<Value>, names: Kwargs) -> Result<Value, Error> {
    minijinja::filters::dictsort(value, named(&places, &["case_sensitive", "by", "reverse"], names))
}

/// Arguments by name, of which the first few may also be given by place.
fn named(places: &[Value], order: &[&str], names: Kwargs) -> Kwargs {
    let given = names.args().map(|name| (name.to_owned(), names.peek::<Value>(name).unwrap_or_default()));
    let given: Vec<(String, Value)> = given.collect();
    order.iter().map(|name| (*name).to_owned()).zip(places.iter().cloned()).chain(given).collect()
}
