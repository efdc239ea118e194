//! The nearest valid name to a wrong one.

/// The candidate that `name` was most likely meant to be, or `None` where nothing is close.
///
/// Close means a Jaro-Winkler similarity of at least 0.75, which catches a typo, a swap and a missing ending.
///
/// ```
/// assert_eq!(runtime_diagnostics::nearest("treshold", ["threshold", "margin"]), Some("threshold"));
/// assert_eq!(runtime_diagnostics::nearest("xyz", ["threshold", "margin"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
