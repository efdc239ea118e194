//! Parts of an expression as they are written anew.

/// Expressions within each other, at most, where each link of a chain is within the next.
const HIGHEST: usize = 500;

/// Why a part of a template is not written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not as Jinja has it: minijinja is to say what is wrong with it.
    Syntax,
    /// Expressions are nested more deeply than the stack allows.
    Deep,
}

pub(crate) type Written = Result<Text, Unread>;

/// A part of an expression as it is written anew.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) binds: Binds,
    /// Whether it is a literal.
    pub(crate) constant: bool,
    /// Expressions within each other.
    pub(crate) height: usize,
}

/// What may follow it without parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Binds {
    Nothing,
    Filters,
    All,
}

impl Text {
    pub(crate) fn new(text: String, binds: Binds, height: usize) -> Written {
        if height > HIGHEST {
            return Err(Unread::Deep);
        }
        Ok(Self { text, binds, constant: false, height })
    }

    /// Both, with an operator between them.
    pub(crate) fn joined(self, operator: &str, other: &Self) -> Written {
        let height = self.height.max(other.height) + 1;
        Self::new(self.text + operator + &spaced(&other.text), Binds::Nothing, height)
    }

    pub(crate) fn at_least(self, binds: Binds) -> String {
        if self.binds >= binds { self.text } else { format!("({})", self.text) }
    }

    /// What a filter makes of it; arguments are in parentheses.
    pub(crate) fn piped(self, filter: &str, arguments: &str, height: usize) -> Written {
        let height = self.height.max(height) + 1;
        Self::new(format!("{}|{filter}{arguments}", self.at_least(Binds::Filters)), Binds::Filters, height)
    }

    pub(crate) fn filtered(self, filter: &str) -> Written {
        self.piped(filter, "", 0)
    }

    /// What a filter makes of it and another; both may begin with line breaks.
    pub(crate) fn combined(self, filter: &str, breaks: &str, other: &Self) -> Written {
        self.piped(filter, &format!("({breaks}{})", other.text), other.height)
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

/// The line breaks of the whitespace before a token that is not written.
pub(crate) fn breaks(token: &str) -> String {
    token.chars().filter(|char| *char == '\n').collect()
}

/// With whitespace before it, so that it does not run into a word.
pub(crate) fn spaced(text: &str) -> String {
    if text.starts_with(char::is_whitespace) { text.to_owned() } else { format!(" {text}") }
}
