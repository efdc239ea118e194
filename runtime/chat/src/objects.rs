//! Objects of Python that templates meet: ranges, the views of a mapping, methods that are not called.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use crate::budget::spend_items;
use crate::methods;

/// Whether it is what `namespace` gives, which is minijinja's own.
pub(crate) fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace"))
}

/// `range(start, stop, step)`.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) stop: i64,
    pub(crate) step: i64,
}

/// Items of a range, at most: the limit of Jinja's sandbox.
const LONGEST: u64 = 100_000;

impl Range {
    pub(crate) fn new(start: i64, stop: i64, step: i64) -> Result<Self, Error> {
        if step == 0 {
            return Err(methods::invalid("the step of a range cannot be zero"));
        }
        let range = Self { start, stop, step };
        if range.length() > LONGEST {
            return Err(methods::invalid(format!("a range of more than {LONGEST} items")));
        }
        spend_items(range.items().count())?;
        Ok(range)
    }

    fn length(&self) -> u64 {
        let (from, to) = if self.step > 0 { (self.start, self.stop) } else { (self.stop, self.start) };
        if to <= from { 0 } else { (from.abs_diff(to) - 1) / self.step.unsigned_abs() + 1 }
    }

    fn items(&self) -> impl Iterator<Item = i64> + Send + Sync + use<> {
        let (step, length) = (self.step, self.length());
        let mut next = self.start;
        (0..length).map(move |_| {
            let item = next;
            next = next.saturating_add(step);
            item
        })
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = key.as_i64()?;
        let length = i64::try_from(self.length()).ok()?;
        let index = if index < 0 { index + length } else { index };
        (0..length).contains(&index).then(|| Value::from(self.start + index * self.step))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().map(Value::from).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        usize::try_from(self.length()).ok()
    }
}

/// What `keys`, `values` and `items` of a mapping give.
#[derive(Debug)]
pub(crate) struct View {
    /// Python's name of its type.
    pub(crate) name: &'static str,
    pub(crate) items: Vec<Value>,
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A method of a value that a template names and does not call, or calls later.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) of: Value,
    pub(crate) name: String,
}

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        methods::call(state, &self.of, &self.name, args)
    }
}
