//! Writes an expression of Jinja anew, so that minijinja computes it as Python does.
//!
//! It is parsed as Jinja parses it. Operators become filters of `operators`, items and slices calls of methods of
//! `methods`, and what makes or goes through values of any size is counted by filters of `budget`.

use crate::budget::MADE;
use crate::tokens::{Kind, Token};
use crate::written::{Binds, Text, Unread, Written, breaks};

/// Expressions within each other that are read, at most.
const DEEPEST: usize = 100;

/// Reads tokens.
pub(crate) struct Parser<'t, 'a> {
    pub(crate) tokens: &'t [Token<'a>],
    pub(crate) at: usize,
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

    pub(crate) fn look(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
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

    pub(crate) fn expect(&mut self, sign: &str) -> Result<String, Unread> {
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
}
