//! A pipeline's text and overrides of it: parsed, or refused with problems that can be shown; what was parsed can be
//! drawn, listed and compared with itself.
//!
//! Parts between bytes `0xff`: the file, then an override.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_diagnostics::{Source, Style, render};
use runtime_fuzz::parts;
use runtime_pipeline::{Format, diff, draw, parse, parse_without_tests};

fuzz_target!(|data: &[u8]| {
    let [text, overridden] = parts(data);
    let (Ok(text), Ok(overridden)) = (std::str::from_utf8(text), std::str::from_utf8(overridden)) else { return };
    let source = Source::new("fuzz.toml", text);
    let overrides: Vec<_> = overridden.parse().ok().into_iter().collect();
    match parse(&source, &overrides) {
        Ok(pipeline) => {
            for format in [Format::Dot, Format::Mermaid] {
                assert!(!draw(&pipeline, format).is_empty());
            }
            assert!(diff(&pipeline, &pipeline).is_empty(), "a pipeline differs from itself");
            assert!(!pipeline.settings().is_empty(), "it has a name at least");
            assert!(
                parse_without_tests(&source, &overrides).is_ok(),
                "without tests there is no more to complain about"
            );
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a reason");
            for problem in problems.iter() {
                let shown = render(problem, Style { colour: false, width: 100 });
                assert!(!shown.contains('\u{1b}'), "it can steer the terminal");
            }
        }
    }
});
