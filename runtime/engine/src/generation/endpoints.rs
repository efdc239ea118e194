//! What is wrong with an endpoint, at the place that names it.

use runtime_diagnostics::{Exit, Explain, Problem};
use runtime_pipeline::Endpoint;
use runtime_provider::Error as ProviderError;

use crate::Error;
use crate::hosted::endpoint_of;

/// What can be said of an endpoint without the network and the key.
pub(super) fn check(endpoint: &Endpoint) -> Option<Problem> {
    endpoint_of(endpoint).check().err().map(|error| placed(&error.into(), endpoint))
}

/// A failure at the key that it comes from.
pub(super) fn placed(error: &Error, endpoint: &Endpoint) -> Problem {
    let about_key =
        matches!(error, Error::NoKey { .. } | Error::Provider(ProviderError::Key { .. } | ProviderError::Plain { .. }));
    let place = match &endpoint.api_key_env {
        Some(variable) if about_key => variable,
        _ => &endpoint.base_url,
    };
    // There may be a password in the address, which is not for the terminal.
    if endpoint.base_url.contains(['@', '?']) {
        let line = place.source.line(place.span.start);
        let problem = Problem::new(Exit::Config, format!("{}:{line}: {error}", place.source.name()));
        return error.hint().into_iter().fold(problem, Problem::hint);
    }
    Problem::of(error).at(&place.source, place.span.clone(), "")
}
