//! The environment that templates are rendered in: that of transformers, which is Jinja's sandbox with `trim_blocks`,
//! `lstrip_blocks`, loop controls, and functions of its own.

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::{budget, date, filters, json, methods, operators, python, tests};

/// Steps of one rendering, at most. A message takes some hundred.
const MOST_STEPS: u64 = 20_000_000;

/// Calls of macros and loops within each other, at most.
const DEEPEST: usize = 150;

/// The name that the template has in its environment.
pub(crate) const NAME: &str = "chat_template";

/// What a template says with `raise_exception`.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) String);

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Raised {}

/// The environment, with the template in it.
pub(crate) fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_unknown_method_callback(methods::call);
    environment.set_recursion_limit(DEEPEST);
    environment.set_formatter(|out, _, value| match value.as_str() {
        Some(text) => budget::spend(text.len()).and_then(|()| out.write_str(text).map_err(Error::from)),
        None => out.write_str(&python::str(value)?).map_err(Error::from),
    });
    environment.add_filter(budget::MADE, budget::made);
    environment.add_filter(budget::USED, budget::used);
    environment.add_filter(budget::KEPT, budget::kept);
    operators::add(&mut environment);
    tests::add(&mut environment);
    environment.add_filter("tojson", json::tojson);
    filters::add(&mut environment);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", date::strftime_now);
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    Err(Error::from(ErrorKind::InvalidOperation).with_source(Raised(python::str(message)?)))
}
