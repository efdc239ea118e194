//! What is wrong with a regular expression, told of it as it was written: the library has it in a form of its own.

use std::convert::Infallible;

use regex_syntax::ast::{self, Assertion, AssertionKind, Ast, Span};

/// Characters of an expression that a message shows, at most.
const SHOWN: usize = 24;

/// What is wrong with a regular expression, and where.
///
/// # Errors
/// Where it is none, or needs what cannot be followed while a text is written.
pub(super) fn check(regex: &str) -> Result<(), String> {
    let (what, span) = match regex_syntax::parse(regex) {
        Ok(_) => match inner_assertion(regex) {
            None => return Ok(()),
            Some(span) => ("boundaries and anchors, other than at its ends, are not supported".to_owned(), span),
        },
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        Err(other) => return Err(other.to_string()),
    };
    let (before, rest) = regex.split_at_checked(span.start.offset).unwrap_or((regex, ""));
    let shown: String = rest.chars().take(SHOWN).collect();
    let more = if shown.len() < rest.len() { "..." } else { "" };
    Err(format!("{what}, at character {}: `{shown}{more}`", before.chars().count() + 1))
}

/// An anchor that is not at the end where it changes nothing, or a boundary.
fn inner_assertion(regex: &str) -> Option<Span> {
    let parsed = ast::parse::Parser::new().parse(regex).ok()?;
    ast::visit(&parsed, Assertions { length: regex.len(), found: None }).unwrap_or_else(|never| match never {})
}

struct Assertions {
    length: usize,
    found: Option<Span>,
}

impl ast::Visitor for Assertions {
    type Output = Option<Span>;
    type Err = Infallible;

    fn finish(self) -> Result<Option<Span>, Infallible> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), Infallible> {
        if let Ast::Assertion(assertion) = part
            && !self.is_outer(assertion)
        {
            self.found.get_or_insert(assertion.span);
        }
        Ok(())
    }
}

impl Assertions {
    fn is_outer(&self, assertion: &Assertion) -> bool {
        match assertion.kind {
            AssertionKind::StartLine => assertion.span.start.offset == 0,
            AssertionKind::EndLine => assertion.span.end.offset == self.length,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_at_its_place_in_what_was_written() {
        let told = |regex: &str| check(regex).expect_err("it is wrong");
        assert_eq!(told(r"a/b\d("), "unclosed group, at character 6: `(`");
        assert_eq!(told("é/b["), "unclosed character class, at character 4: `[`");
        assert_eq!(told(r"(a)\1"), r"backreferences are not supported, at character 4: `\1`");
        assert!(told(r"\bword\b").ends_with(r"are not supported, at character 1: `\bword\b`"));
        assert!(told("a$b").ends_with("at character 2: `$b`"));
        assert!(told(&format!("{}(", "é".repeat(30))).ends_with("at character 31: `(`"));
        assert!(told(&format!("(?=a){}", "b".repeat(300))).ends_with(&format!("`(?=a){}...`", "b".repeat(SHOWN - 5))));
        for right in ["^a$", "a", r"a\$", "[^a]$", "", "(?:^)?"] {
            assert_eq!(check(right).is_ok(), right != "(?:^)?", "{right}");
        }
    }
}
