//! Which blocks a tag is in, for `break` and `continue`: minijinja leaves a loop without leaving the blocks between it and
//! the tag, and would panic at the end of the loop.

use crate::tokens::Token;

/// Blocks that are left at their end only.
const HELD: [&str; 5] = ["with", "generation", "set", "filter", "autoescape"];

const LEFT: &str = "`break` and `continue` cannot leave a `with`, `set`, `filter` or `generation` block";

/// The blocks that are open, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a>(Vec<&'a str>);

impl<'a> Blocks<'a> {
    /// Takes the next tag.
    ///
    /// # Errors
    /// Where a loop would be left from within a block that cannot be.
    pub(crate) fn tag(&mut self, tokens: &[Token<'a>]) -> Result<(), &'static str> {
        let Some((name, body)) = tokens.split_first() else { return Ok(()) };
        match name.text {
            "for" | "macro" | "call" | "with" | "generation" | "filter" | "autoescape" => self.0.push(name.text),
            "set" if !body.iter().take_while(|token| token.text != "|").any(|token| token.text == "=") => {
                self.0.push("set");
            }
            "break" | "continue" => {
                let within = self.0.iter().rev().take_while(|name| !matches!(**name, "for" | "macro" | "call"));
                if within.into_iter().any(|name| HELD.contains(name)) {
                    return Err(LEFT);
                }
            }
            end => {
                let named = end.strip_prefix("end").and_then(|name| self.0.iter().rposition(|other| *other == name));
                if let Some(at) = named {
                    self.0.truncate(at);
                }
            }
        }
        Ok(())
    }
}
