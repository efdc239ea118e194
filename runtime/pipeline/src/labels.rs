//! The labels that a classifier chooses from.

use runtime_diagnostics::{Exit, Problem, Problems, Source};

use crate::spanned::Spanned;

/// Reads a label file: one label a line, trimmed; blank lines and lines that begin with `#` are skipped.
///
/// `text` is the text of `source`.
///
/// # Errors
/// Where a label comes twice, or there is none at all.
pub fn parse_labels(text: &str, source: &Source) -> Result<Vec<String>, Problems> {
    let mut labels = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // Editors on Windows begin a file with a byte order mark, which is no white space.
        let label = line.trim_start_matches('\u{feff}').trim();
        if !label.is_empty() && !label.starts_with('#') {
            let from = start + line.find(label).unwrap_or_default();
            let span = from..from + label.len();
            labels.push(Spanned { value: label.to_owned(), source: source.clone(), span });
        }
        start += line.len();
    }
    let mut problems = Problems::new();
    if labels.is_empty() {
        let problem = Problem::new(Exit::Config, "a label file needs at least one label").at(source, 0..0, "");
        problems.push(problem.hint("one label a line; lines that begin with `#` are comments"));
    }
    refuse_duplicates(&labels, &mut problems);
    problems.into_result(labels.into_iter().map(|label| label.value).collect())
}

/// Points at every label that came before.
pub(crate) fn refuse_duplicates(labels: &[Spanned<String>], problems: &mut Problems) {
    for (index, label) in labels.iter().enumerate() {
        if let Some(first) = labels[..index].iter().find(|first| first.value == label.value) {
            let message = format!("the label `{}` is given twice", label.value);
            problems.push(label.mistake(message, format!("first given on {}", first.line_seen_from(&label.source))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Problems> {
        parse_labels(text, &Source::new("labels.txt", text))
    }

    #[test]
    fn a_label_a_line_with_comments_and_blanks() {
        let labels = read("\u{feff}# ours\r\nbilling\r\n\r\n  bug report \n#x\nother").expect("legal");
        assert_eq!(labels, ["billing", "bug report", "other"]);
    }

    #[test]
    fn duplicates_are_pointed_at_and_none_is_refused() {
        let text = "\u{feff}one\ntwo\n one\n";
        let problems = read(text).expect_err("a duplicate");
        let places: Vec<_> = problems.iter().flat_map(Problem::labels).collect();
        let [place] = places[..] else { panic!("one place, not {places:?}") };
        assert_eq!((&text[place.span.clone()], place.span.start), ("one", text.len() - 4));
        assert!(place.text.contains("line 1"), "{}", place.text);
        assert_eq!(read("# nothing\n\n").expect_err("none").len(), 1);
    }
}
