//! Whatever a file says, reading it ends: with a pipeline, or with problems whose places are inside the text.

use runtime_diagnostics::{Problem, Source, Style, render};
use runtime_pipeline::parse;

const FIXTURES: [&str; 5] = [
    include_str!("fixtures/triage.toml"),
    include_str!("fixtures/warnings.toml"),
    include_str!("fixtures/mistakes.toml"),
    include_str!("fixtures/references.toml"),
    include_str!("fixtures/tasks.toml"),
];

/// Pieces that mean something in TOML, or are long in UTF-8.
const PIECES: [&str; 18] = [
    "\"", "'", "[", "]]", "{", "}", "=", ",", ".", "#", "\n", "\r\n", "nan", "-1e999", "é", "🦀", "\u{feff}", "\"\"\"",
];

/// `xorshift64`, G. Marsaglia, "Xorshift RNGs" (2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap_or(u64::MAX)).unwrap_or_default()
    }
}

/// The text with a few cuts, copies and insertions.
fn mutated(text: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(4) {
        let from = text.floor_char_boundary(random.below(text.len()));
        let to = text.ceil_char_boundary((from + random.below(40)).min(text.len()));
        match random.below(5) {
            0 => text.truncate(from),
            1 => text.replace_range(from..to, ""),
            2 => text.insert_str(from, PIECES[random.below(PIECES.len())]),
            3 => text.replace_range(from..to, PIECES[random.below(PIECES.len())]),
            _ => {
                let copy = text[from..to].to_owned();
                text.insert_str(text.floor_char_boundary(random.below(text.len())), &copy);
            }
        }
    }
    text
}

fn check(problem: &Problem, text: &str) {
    let labels = problem.labels();
    assert!(!labels.is_empty(), "`{problem}` has no place in:\n{text}");
    for label in labels {
        assert!(text.get(label.span.clone()).is_some(), "`{problem}` at {:?} is outside of:\n{text}", label.span);
    }
    let drawn = render(problem, Style::default());
    assert!(drawn.contains("p.toml:"), "no place in {drawn}of:\n{text}");
}

#[test]
fn no_text_makes_it_panic_and_every_place_is_inside() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut read, mut refused) = (0, 0);
    for round in 0..4_000 {
        let text = mutated(FIXTURES[round % FIXTURES.len()], &mut random);
        match parse(&Source::new("p.toml", text.as_str()), &[]) {
            Ok(pipeline) => {
                read += 1;
                pipeline.warnings.iter().for_each(|problem| check(problem, &text));
            }
            Err(problems) => {
                refused += 1;
                assert!(!problems.is_empty(), "refused for no reason:\n{text}");
                problems.iter().for_each(|problem| check(problem, &text));
            }
        }
    }
    assert!(read > 100 && refused > 2_000, "mutations are too weak or too strong: {read} read, {refused} refused");
}

#[test]
fn every_beginning_of_a_file_is_read() {
    let text = FIXTURES[0];
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        if let Err(problems) = parse(&Source::new("p.toml", &text[..end]), &[]) {
            assert!(!problems.is_empty(), "refused for no reason at {end}");
            problems.iter().for_each(|problem| check(problem, &text[..end]));
        }
    }
}
