//! Tests of Jinja (`x is sequence`) that minijinja has otherwise.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use crate::objects::{Range, is_namespace};
use crate::operators::{contains, equal};

/// Puts them in the place of minijinja's.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_test("sequence", |value: &Value| {
        let indexed =
            matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined);
        indexed || value.downcast_object_ref::<Range>().is_some()
    });
    environment.add_test("iterable", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Seq | Map | Iterable | String | Undefined)
    });
    environment.add_test("mapping", |value: &Value| value.kind() == ValueKind::Map && !is_namespace(value));
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    for name in ["eq", "equalto", "=="] {
        environment.add_test(name, |a: &Value, b: &Value| equal(a, b));
    }
    for name in ["ne", "!="] {
        environment.add_test(name, |a: &Value, b: &Value| Ok::<_, Error>(!equal(a, b)?));
    }
    environment.add_test("in", |item: &Value, container: &Value| contains(container, item));
}
