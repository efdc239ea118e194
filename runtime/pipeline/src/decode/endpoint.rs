//! `[models.NAME]` with a `provider`: a model behind an endpoint. What is written as a key must not be shown, so that a
//! mistake with it has the line instead of the text.

use std::time::Duration;

use runtime_diagnostics::{Exit, Problem};

use super::context::{Context, did_you_mean, hinted};
use super::fields::Fields;
use super::values;
use crate::name::Name;
use crate::pipeline::{Endpoint, Provider};
use crate::spanned::Spanned;
use crate::tree::{Node, Value};

/// The longest time limit, in seconds; what waits for longer than a day has been forgotten.
const LONGEST: f64 = 86_400.0;

/// Whether a model is behind an endpoint, by the keys that it has.
pub(super) fn is_endpoint(node: &Node) -> bool {
    let Value::Table(table) = &node.value else { return false };
    ["provider", "base_url"].iter().any(|key| table.get(key).is_some())
}

pub(super) fn endpoint(name: Option<Spanned<Name>>, node: &Node, cx: &mut Context) -> Option<Endpoint> {
    let mut fields = Fields::of(node, "an endpoint", cx)?;
    let written = fields.required("provider", cx, values::text);
    let provider = written.and_then(|written| provider(&written, cx));
    let base_url = fields.required("base_url", cx, values::text);
    let model = fields.required("model", cx, values::text);
    let api_key_env = fields.optional("api_key_env", cx, variable);
    let timeout = fields.optional("timeout", cx, timeout);
    let retries = fields.optional("retries", cx, retries);
    let concurrency = fields.optional("concurrency", cx, values::count);
    let allow_plain_http = fields.optional("allow_plain_http", cx, values::boolean);
    if let Some(key) = fields.key("api_key") {
        let message = "`api_key` would have the key in the file, where others read it";
        cx.report(unshown(key, message).hint("name the environment variable that holds it: `api_key_env = \"...\"`"));
        return None;
    }
    fields.finish(cx);
    Some(Endpoint {
        name: name?.value,
        provider: provider?,
        base_url: base_url?,
        model: model?.value,
        api_key_env,
        timeout,
        retries,
        concurrency,
        allow_plain_http: allow_plain_http.unwrap_or(false),
    })
}

fn provider(written: &Spanned<String>, cx: &mut Context) -> Option<Provider> {
    let known = Provider::ALL.into_iter().find(|provider| provider.name() == written.value);
    if known.is_none() {
        let problem = written.mistake(format!("no provider is called `{}`", written.value), "");
        let names = Provider::ALL.into_iter().map(Provider::name);
        cx.report(hinted(problem, did_you_mean(written, names, "it can be")));
    }
    known
}

/// The name of an environment variable. What is none may be the key itself.
fn variable(key: &str, node: &Node, cx: &mut Context) -> Option<Spanned<String>> {
    let name = values::text(key, node, cx)?;
    let letters = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if letters && !name.starts_with(|char: char| char.is_ascii_digit()) {
        return Some(name);
    }
    let message = format!("`{key}` is not the name of an environment variable");
    cx.report(unshown(&name, &message).hint("the key stays in the environment: `api_key_env = \"OPENAI_API_KEY\"`"));
    None
}

/// Seconds, fractions included.
fn timeout(key: &str, node: &Node, cx: &mut Context) -> Option<Duration> {
    if matches!(node.value, Value::String(_)) {
        cx.wrong_type(key, node, "a number of seconds", Some("write `timeout = 30`"));
        return None;
    }
    let seconds = values::number(key, node, cx)?;
    if seconds > 0.0 && seconds <= LONGEST {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let message = format!("`{key}` must be above 0 and at most {LONGEST} seconds, not {seconds}");
    cx.report(node.mistake(message, ""));
    None
}

/// 0 to 10.
fn retries(key: &str, node: &Node, cx: &mut Context) -> Option<u32> {
    let Value::Integer(value) = node.value else {
        cx.wrong_type(key, node, "an integer", None);
        return None;
    };
    let retries = u32::try_from(value).ok().filter(|retries| *retries <= 10);
    if retries.is_none() {
        cx.report(node.mistake(format!("`{key}` must be from 0 to 10, not {value}"), ""));
    }
    retries
}

/// A problem that has its line in words, since the text of the line is not to be seen.
fn unshown<T>(place: &Spanned<T>, message: &str) -> Problem {
    let line = place.source.line(place.span.start);
    Problem::new(Exit::Config, format!("{}:{line}: {message}", place.source.name()))
}
