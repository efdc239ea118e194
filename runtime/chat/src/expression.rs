//! Writes an expression of Jinja anew, so that minijinja computes it as Python does.
//!
//! It is parsed as Jinja parses it. Operators become filters of `operators`, items and slices calls of methods of
//! `methods`, and what makes or goes through values of any size is counted by filters of `budget`.

use crate::budget::{MADE, USED};
use crate::methods::{self, ATTRIBUTE, ITEM, SLICE};
use crate::tokens::{Kind, Token, literal};

/// Expressions within each other, at most: those that are read, and those that are written, where each link of a chain
/// is within the next.
const DEEPEST: usize = 100;
const HIGHEST: usize = 500;

/// Functions that make nothing of their arguments.
const SMALL: [&str; 5] = ["raise_exception", "strftime_now", "loop", "cycler", "joiner"];

/// Filters that look at no more than one item of a value, or count what they look at.
const CHEAP: [&str; 12] =
    ["default", "d", "tojson", "safe", "attr", "first", "int", "float", "abs", "round", "string", "items"];

/// Why a part of a template is not written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not as Jinja has it: minijinja is to say what is wrong with it.
    Syntax,
    /// Expressions are nested more deeply than the stack allows.
    Deep,
}

type Written = Result<Text, Unread>;

/// A part of an expression as it is written anew.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    binds: Binds,
    /// Whether it is a literal.
    constant: bool,
    /// Expressions within each other.
    height: usize,
}

/// What may follow it without parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binds {
    Nothing,
    Filters,
    All,
}

impl Text {
    fn new(text: String, binds: Binds, height: usize) -> Written {
        if height > HIGHEST {
            return Err(Unread::Deep);
        }
        Ok(Self { text, binds, constant: false, height })
    }

    /// Both, with an operator between them.
    fn joined(self, operator: &str, other: &Self) -> Written {
        let height = self.height.max(other.height) + 1;
        Self::new(self.text + operator + &spaced(&other.text), Binds::Nothing, height)
    }

    fn at_least(self, binds: Binds) -> String {
        if self.binds >= binds { self.text } else { format!("({})", self.text) }
    }

    /// What a filter makes of it; arguments are in parentheses.
    fn piped(self, filter: &str, arguments: &str, height: usize) -> Written {
        let height = self.height.max(height) + 1;
        Self::new(format!("{}|{filter}{arguments}", self.at_least(Binds::Filters)), Binds::Filters, height)
    }

    pub(crate) fn filtered(self, filter: &str) -> Written {
        self.piped(filter, "", 0)
    }

    /// What a filter makes of it and another; both may begin with line breaks.
    fn combined(self, filter: &str, breaks: &str, other: &Self) -> Written {
        self.piped(filter, &format!("({breaks}{})", other.text), other.height)
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

/// Reads tokens.
pub(crate) struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    depth: usize,
    /// Whether what a function gives is counted.
    pub(crate) counts_calls: bool,
}

impl<'t, 'a> Parser<'t, 'a> {
    pub(crate) fn new(tokens: &'t [Token<'a>]) -> Self {
        Self { tokens, at: 0, depth: 0, counts_calls: true }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn look(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    fn is_sign(&self, sign: &str) -> bool {
        self.look(0).is_some_and(|token| token.kind == Kind::Sign && token.text == sign)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.look(0).is_some_and(|token| token.kind == Kind::Name && token.text == word)
    }

    /// The token with the whitespace before it.
    pub(crate) fn take(&mut self) -> Result<String, Unread> {
        let token = self.look(0).ok_or(Unread::Syntax)?;
        let text = format!("{}{}", token.space, token.text);
        self.at += 1;
        Ok(text)
    }

    fn expect(&mut self, sign: &str) -> Result<String, Unread> {
        if self.is_sign(sign) { self.take() } else { Err(Unread::Syntax) }
    }

    /// Expressions with commas between them, which are a tuple.
    pub(crate) fn tuple(&mut self, conditional: bool) -> Written {
        let first = self.expression(conditional)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let (mut out, mut height) = (first.text, first.height);
        while self.is_sign(",") {
            out.push_str(&self.take()?);
            if self.is_done() || self.is_word("recursive") || self.is_word("if") {
                break;
            }
            let item = self.expression(conditional)?;
            height = height.max(item.height);
            out.push_str(&item.text);
        }
        Text::new(format!("({out})"), Binds::All, height + 1)?.filtered(MADE)
    }

    pub(crate) fn expression(&mut self, conditional: bool) -> Written {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unread::Deep);
        }
        let written = if conditional { self.condition() } else { self.or() };
        self.depth -= 1;
        written
    }

    fn condition(&mut self) -> Written {
        let mut first = self.or()?;
        while self.is_word("if") {
            first = first.joined(&self.take()?, &self.or()?)?;
            if self.is_word("else") {
                first = first.joined(&self.take()?, &self.expression(true)?)?;
            }
        }
        Ok(first)
    }

    fn or(&mut self) -> Written {
        let mut left = self.and()?;
        while self.is_word("or") {
            left = left.joined(&self.take()?, &self.and()?)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Written {
        let mut left = self.not()?;
        while self.is_word("and") {
            left = left.joined(&self.take()?, &self.not()?)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Written {
        let (mut nots, mut many) = (String::new(), 0);
        while self.is_word("not") {
            nots.push_str(&self.take()?);
            nots.push(' ');
            many += 1;
        }
        let compared = self.compare()?;
        if nots.is_empty() {
            return Ok(compared);
        }
        Text::new(nots + &compared.text, Binds::Nothing, compared.height + many)
    }

    fn compare(&mut self) -> Written {
        let left = self.sum()?;
        let mut others: Vec<(String, &'static str, Text)> = Vec::new();
        loop {
            let sign = self.look(0).map_or("", |token| token.text);
            let filter = match sign {
                "==" => "__eq__",
                "!=" => "__ne__",
                "<" => "__lt__",
                "<=" => "__le__",
                ">" => "__gt__",
                ">=" => "__ge__",
                "in" => "__in__",
                "not" if self.look(1).is_some_and(|next| next.text == "in") => "__not_in__",
                _ => break,
            };
            let mut operator = self.take()?;
            if filter == "__not_in__" {
                operator.push_str(&self.take()?);
            }
            others.push((operator, filter, self.sum()?));
        }
        if others.len() == 1 {
            let (operator, filter, right) = others.remove(0);
            return left.combined(filter, &breaks(&operator), &right);
        }
        others.into_iter().try_fold(left, |left, (operator, _, right)| left.joined(&operator, &right))
    }

    fn sum(&mut self) -> Written {
        self.operators(Self::concatenation, &[("+", "__add__"), ("-", "__sub__")])
    }

    fn concatenation(&mut self) -> Written {
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let (mut others, mut height) = (String::new(), 0);
        while self.is_sign("~") {
            others.push(if others.is_empty() { '(' } else { ',' });
            others.push_str(&breaks(&self.take()?));
            let other = self.product()?;
            height = height.max(other.height);
            others.push_str(&other.text);
        }
        others.push(')');
        first.piped("__concat__", &others, height)
    }

    fn product(&mut self) -> Written {
        self.operators(Self::power, &[("*", "__mul__"), ("/", "__div__"), ("//", "__floordiv__"), ("%", "__mod__")])
    }

    fn power(&mut self) -> Written {
        self.operators(|parser| parser.unary(true), &[("**", "__pow__")])
    }

    fn operators(&mut self, operand: impl Fn(&mut Self) -> Written, operators: &[(&str, &str)]) -> Written {
        let mut left = operand(self)?;
        while let Some((_, filter)) = operators.iter().find(|(sign, _)| self.is_sign(sign)) {
            let breaks = breaks(&self.take()?);
            let right = operand(self)?;
            left = left.combined(filter, &breaks, &right)?;
        }
        Ok(left)
    }

    fn unary(&mut self, filters: bool) -> Written {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unread::Deep);
        }
        let text = if self.is_sign("-") || self.is_sign("+") {
            let negative = self.is_sign("-");
            let space = breaks(&self.take()?);
            let operand = self.unary(false)?;
            let number = operand.text.trim_start().starts_with(|char: char| char.is_ascii_digit()) && operand.constant;
            match (number, negative) {
                (true, true) => Text { text: format!("{space}(-{})", operand.text), ..operand },
                (true, false) => operand,
                (false, _) => operand.filtered(if negative { "__neg__" } else { "__pos__" })?,
            }
        } else {
            self.primary()?
        };
        let text = self.postfix(text)?;
        let text = if filters { self.filters(text)? } else { text };
        self.depth -= 1;
        Ok(text)
    }

    fn primary(&mut self) -> Written {
        let token = *self.look(0).ok_or(Unread::Syntax)?;
        match (token.kind, token.text) {
            (Kind::String, _) => {
                let from = self.at;
                while self.look(0).is_some_and(|token| token.kind == Kind::String) {
                    self.at += 1;
                }
                Ok(Text { text: literal(&self.tokens[from..self.at]), binds: Binds::All, constant: true, height: 1 })
            }
            (Kind::Number, _) => Ok(Text { text: self.take()?, binds: Binds::All, constant: true, height: 1 }),
            (Kind::Name, "not" | "and" | "or" | "is" | "in" | "if" | "else") => Err(Unread::Syntax),
            (Kind::Name, name) => {
                let constant = matches!(name, "true" | "false" | "none" | "True" | "False" | "None");
                Ok(Text { text: self.take()?, binds: Binds::All, constant, height: 1 })
            }
            (_, "(") => self.items(")"),
            (_, "[") => self.items("]"),
            (_, "{") => self.items("}"),
            _ => Err(Unread::Syntax),
        }
    }

    /// What is in parentheses, a list or a mapping.
    fn items(&mut self, close: &str) -> Written {
        let mut out = self.take()?;
        let (mut constant, mut commas, mut height) = (true, false, 0);
        while !self.is_sign(close) {
            let item = self.expression(true)?;
            constant &= item.constant;
            height = height.max(item.height);
            out.push_str(&item.text);
            if close == "}" {
                out.push_str(&self.expect(":")?);
                let item = self.expression(true)?;
                constant &= item.constant;
                height = height.max(item.height);
                out.push_str(&item.text);
            }
            if !self.is_sign(",") {
                break;
            }
            commas = true;
            out.push_str(&self.take()?);
        }
        out.push_str(&self.expect(close)?);
        let parentheses = close == ")" && !commas;
        let text = Text { constant, ..Text::new(out, Binds::All, height + 1)? };
        if constant || parentheses { Ok(text) } else { text.filtered(MADE) }
    }

    fn postfix(&mut self, mut text: Text) -> Written {
        let mut function = text.text.trim().to_owned();
        loop {
            text = if self.is_sign(".") {
                self.attribute(text)?
            } else if self.is_sign("[") {
                self.subscript(text)?
            } else if self.is_sign("(") {
                let call = self.call(text)?;
                let small = function.is_empty() || SMALL.contains(&function.as_str());
                if small || !self.counts_calls { call } else { call.filtered(MADE)? }
            } else {
                return Ok(text);
            };
            function.clear();
        }
    }

    fn call(&mut self, text: Text) -> Written {
        let height = text.height;
        let out = text.at_least(Binds::All);
        let (arguments, within) = self.arguments()?;
        Text::new(out + &arguments, Binds::All, height.max(within) + 1)
    }

    fn attribute(&mut self, text: Text) -> Written {
        let dot = self.take()?;
        let token = *self.look(0).ok_or(Unread::Syntax)?;
        let name = self.take()?;
        let height = text.height + 1;
        let out = text.at_least(Binds::All);
        let out = match token.kind {
            Kind::Number => format!("{out}{}.{ITEM}({name})", breaks(&dot)),
            Kind::Name if !self.is_sign("(") && methods::is_one(token.text) => {
                format!("{out}{}.{ATTRIBUTE}(\"{}\")", breaks(&dot), token.text)
            }
            Kind::Name => format!("{out}{dot}{name}"),
            _ => return Err(Unread::Syntax),
        };
        Text::new(out, Binds::All, height)
    }

    fn subscript(&mut self, text: Text) -> Written {
        let open = self.take()?;
        let plain = self.look(0).filter(|key| match key.kind {
            Kind::String => !key.text.contains('\\') && !methods::is_one(&key.text[1..key.text.len() - 1]),
            _ => false,
        });
        let mut height = text.height;
        let out = text.at_least(Binds::All);
        if plain.is_some() && self.look(1).is_some_and(|token| token.text == "]") {
            return Text::new(out + &open + &self.take()? + &self.take()?, Binds::All, height + 1);
        }
        let mut parts: Vec<String> = Vec::new();
        let mut empty = true;
        let mut sliced = false;
        parts.push(String::new());
        while !self.is_sign("]") {
            if self.is_sign(":") {
                sliced = true;
                if let (true, Some(part)) = (empty, parts.last_mut()) {
                    part.push_str("none");
                }
                parts.push(breaks(&self.take()?));
                empty = true;
                continue;
            }
            if !empty {
                return Err(Unread::Syntax);
            }
            let part = self.tuple(true)?;
            height = height.max(part.height);
            parts.last_mut().ok_or(Unread::Syntax)?.push_str(&part.text);
            empty = false;
        }
        if let (true, Some(part)) = (empty, parts.last_mut()) {
            part.push_str("none");
        }
        if parts.len() > 3 || !sliced && empty {
            return Err(Unread::Syntax);
        }
        let method = if sliced { SLICE } else { ITEM };
        let breaks = breaks(&open) + &breaks(&self.take()?);
        Text::new(format!("{out}.{method}({}{breaks})", parts.join(",")), Binds::All, height + 1)
    }

    /// The arguments of a call, parentheses included, and the expressions within each other in them.
    pub(crate) fn arguments(&mut self) -> Result<(String, usize), Unread> {
        let mut out = self.expect("(")?;
        let mut height = 0;
        while !self.is_sign(")") {
            if self.is_sign("*") || self.is_sign("**") {
                out.push_str(&self.take()?);
            } else if self.look(0).is_some_and(|token| token.kind == Kind::Name)
                && self.look(1).is_some_and(|token| token.text == "=")
            {
                out.push_str(&self.take()?);
                out.push_str(&self.take()?);
            }
            let argument = self.expression(true)?;
            height = height.max(argument.height);
            out.push_str(&argument.text);
            if !self.is_sign(",") {
                break;
            }
            out.push_str(&self.take()?);
        }
        out.push_str(&self.expect(")")?);
        Ok((out, height))
    }

    fn filters(&mut self, mut text: Text) -> Written {
        loop {
            if self.is_sign("|") {
                let pipe = self.take()?;
                if self.look(0).is_none_or(|token| token.kind != Kind::Name) {
                    return Err(Unread::Syntax);
                }
                let cheap = self.look(0).is_some_and(|token| CHEAP.contains(&token.text));
                let name = breaks(&pipe) + &self.take()?;
                let (arguments, height) = if self.is_sign("(") { self.arguments()? } else { (String::new(), 0) };
                if !cheap {
                    text = text.filtered(USED)?;
                }
                text = text.piped(&name, &arguments, height)?;
            } else if self.is_word("is") {
                text = self.test(text)?;
            } else if self.is_sign("(") {
                text = self.call(text)?;
            } else {
                return Ok(text);
            }
        }
    }

    fn test(&mut self, text: Text) -> Written {
        let mut height = text.height;
        let mut out = text.at_least(Binds::Filters) + &spaced(&self.take()?);
        if self.is_word("not") {
            out.push_str(&self.take()?);
        }
        if self.look(0).is_none_or(|token| token.kind != Kind::Name) {
            return Err(Unread::Syntax);
        }
        out.push_str(&self.take()?);
        let argument = self.look(0).is_some_and(|token| match token.kind {
            Kind::Name => !matches!(token.text, "else" | "or" | "and" | "if" | "is" | "in" | "not" | "recursive"),
            Kind::Sign => matches!(token.text, "[" | "{"),
            _ => true,
        });
        if self.is_sign("(") {
            let (arguments, within) = self.arguments()?;
            height = height.max(within);
            out.push_str(&arguments);
        } else if argument {
            let operand = self.primary()?;
            let operand = self.postfix(operand)?;
            height = height.max(operand.height);
            out.push_str(&format!("({})", operand.text));
        }
        Text::new(out, Binds::Nothing, height + 1)
    }
}

/// The line breaks of the whitespace before a token that is not written.
fn breaks(token: &str) -> String {
    token.chars().filter(|char| *char == '\n').collect()
}

/// With whitespace before it, so that it does not run into a word.
fn spaced(text: &str) -> String {
    if text.starts_with(char::is_whitespace) { text.to_owned() } else { format!(" {text}") }
}
