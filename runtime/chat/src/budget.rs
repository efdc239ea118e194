//! What one rendering may use: bytes of values made and gone through.
//!
//! Steps of the virtual machine are counted by minijinja; a single step can make or go through a value of any size,
//! which is counted here. A rendering is one call on one thread, so that the count is the thread's.

use std::cell::Cell;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::objects::is_namespace;

/// The filter of values that are made: it counts all that is in them.
pub(crate) const MADE: &str = "__made__";

/// The filter of values that a filter goes through: it counts their length.
pub(crate) const USED: &str = "__used__";

/// The filter of values that a namespace is to hold.
pub(crate) const KEPT: &str = "__kept__";

/// Bytes of one rendering.
const BYTES: usize = 1 << 30;

/// Bytes of one value, at most.
const LARGEST: usize = 64 << 20;

/// Bytes that an item of a list counts as.
const ITEM: usize = 16;

/// Bytes that a list or a mapping counts as when all that is in it is gone through.
const CONTAINER: usize = 256;

/// Values within each other, at most.
const DEEPEST: usize = 150;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(BYTES) };
}

/// Begins a rendering.
pub(crate) fn refill() {
    LEFT.set(BYTES);
}

/// Counts what is about to be made.
pub(crate) fn spend(bytes: usize) -> Result<(), Error> {
    match LEFT.get().checked_sub(bytes) {
        Some(left) if bytes <= LARGEST => {
            LEFT.set(left);
            Ok(())
        }
        _ => {
            Err(Error::new(ErrorKind::OutOfFuel, "the template makes or goes through too much text or too many items"))
        }
    }
}

/// Counts so many items.
pub(crate) fn spend_items(count: usize) -> Result<(), Error> {
    spend(count.saturating_mul(ITEM))
}

/// The filter [`MADE`].
pub(crate) fn made(value: Value) -> Result<Value, Error> {
    measure(&value, 0)?;
    Ok(value)
}

/// The filter [`USED`].
pub(crate) fn used(value: Value) -> Result<Value, Error> {
    count(&value)?;
    Ok(value)
}

/// The filter [`KEPT`]: values that hold themselves could be gone through for ever. The namespace itself is given so that
/// it is looked up: a macro of minijinja knows no name that it only assigns to.
pub(crate) fn kept(value: Value, _namespace: &Value) -> Result<Value, Error> {
    if is_namespace(&value) { Err(held()) } else { Ok(value) }
}

fn held() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a namespace cannot be held by another value")
}

/// Counts the length of a value.
pub(crate) fn count(value: &Value) -> Result<(), Error> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) => spend(text.len()),
        (None, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) => spend_items(value.len().unwrap_or_default()),
        _ => Ok(()),
    }
}

fn measure(value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(Error::new(ErrorKind::InvalidOperation, "values are nested too deeply"));
    }
    if depth > 0 && is_namespace(value) {
        return Err(held());
    }
    count(value)?;
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        spend(CONTAINER)?;
    }
    match value.kind() {
        ValueKind::Seq => value.try_iter()?.try_for_each(|item| measure(&item, depth + 1)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| {
            measure(&key, depth + 1)?;
            measure(&value.get_item(&key)?, depth + 1)
        }),
        _ => Ok(()),
    }
}
