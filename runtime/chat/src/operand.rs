//! What operators stand between: literals, names, calls, items, filters and tests.

use crate::budget::{MADE, USED};
use crate::expression::Parser;
use crate::methods::{self, ATTRIBUTE, ITEM, SLICE};
use crate::tokens::{Kind, literal};
use crate::written::{Binds, Text, Unread, Written, breaks, spaced};

/// Functions that make nothing of their arguments.
const SMALL: [&str; 5] = ["raise_exception", "strftime_now", "loop", "cycler", "joiner"];

/// Filters that look at no more than one item of a value, or count what they look at.
const CHEAP: [&str; 12] =
    ["default", "d", "tojson", "safe", "attr", "first", "int", "float", "abs", "round", "string", "items"];

impl Parser<'_, '_> {
    pub(crate) fn primary(&mut self) -> Written {
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

    pub(crate) fn postfix(&mut self, mut text: Text) -> Written {
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

    pub(crate) fn filters(&mut self, mut text: Text) -> Written {
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
