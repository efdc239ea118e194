//! Rewrites what minijinja reads differently, before it parses a template. No line is moved.
//!
//! - Expressions are written anew by `expression`.
//! - `{% generation %}` marks what the model wrote; its body is rendered in a scope of its own, as `{% with %}` does.
//! - A line break behind `{% raw %}` stays, and all line breaks are `\n`.

use crate::blocks::Blocks;
use crate::budget::{KEPT, MADE};
use crate::expression::Parser;
use crate::tokens::{Token, is_name, tokens};
use crate::written::Unread;

/// The filter of what a `for` goes through.
pub(crate) const LOOPED: &str = "__looped__";

/// The template as minijinja is to read it.
///
/// # Errors
/// The line of a tag that is not read, and why.
pub(crate) fn rewrite(source: &str) -> Result<String, (usize, &'static str)> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len() + source.len() / 4);
    let mut rest = source.as_str();
    let mut blocks = Blocks::default();
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let rewritten = if tag.starts_with("{#") {
            let end = tag.get(2..).and_then(|inner| inner.find("#}")).map_or(tag.len(), |end| end + 4);
            Ok(copied(&mut out, tag, end))
        } else if tag.starts_with("{%") {
            match raw_end(tag) {
                Some(end) => Ok(raw(&mut out, tag, end)),
                None => tagged(&mut out, tag, "%}", |tokens| blocks.tag(tokens), statement),
            }
        } else if tag.starts_with("{{") {
            tagged(&mut out, tag, "}}", |_| Ok(()), printed)
        } else {
            Ok(copied(&mut out, tag, 1))
        };
        let line = || 1 + source[..source.len() - tag.len()].matches('\n').count();
        rest = rewritten.map_err(|reason| (line(), reason))?;
    }
    out.push_str(rest);
    Ok(out)
}

/// An expression that is printed.
fn printed(tokens: &[Token<'_>]) -> Result<String, Unread> {
    let mut parser = Parser::new(tokens);
    let written = parser.tuple(true)?.into_string();
    if parser.is_done() { Ok(written) } else { Err(Unread::Syntax) }
}

/// Tokens of a tag that is left to minijinja as it is, at most: it may be nested as deeply as it has tokens.
const MOST_TOKENS: usize = 500;

const TOO_DEEP: &str = "expressions are nested too deeply";

fn copied<'a>(out: &mut String, text: &'a str, length: usize) -> &'a str {
    let (copied, rest) = text.split_at(length);
    out.push_str(copied);
    rest
}

/// Writes what is in a tag anew, or as it is where it cannot be read, and returns what follows.
fn tagged<'a>(
    out: &mut String,
    tag: &'a str,
    end: &str,
    see: impl FnOnce(&[Token<'a>]) -> Result<(), &'static str>,
    write: impl Fn(&[Token<'_>]) -> Result<String, Unread>,
) -> Result<&'a str, &'static str> {
    let head = if matches!(tag.as_bytes().get(2), Some(b'-' | b'+')) { 3 } else { 2 };
    let Some((tokens, length)) = tokens(&tag[head..], end) else { return Err("the tag has no end") };
    see(&tokens)?;
    let rest = copied(out, tag, head);
    match write(&tokens) {
        Ok(written) => out.push_str(&written),
        Err(Unread::Syntax) if tokens.len() <= MOST_TOKENS => out.push_str(&rest[..length]),
        Err(_) => return Err(TOO_DEEP),
    }
    // Whitespace that is no part of a token, then the end.
    let rest = &rest[length..];
    let close = rest.find(end).map_or(0, |at| at + end.len());
    Ok(copied(out, rest, close))
}

/// The marker of whitespace control and the name of a tag that begins with `{%`: bytes up to the name, and the name.
fn tag_name(tag: &str) -> (usize, &str) {
    let inner = tag.get(2..).unwrap_or_default();
    let marked = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let name = marked.trim_start();
    let length = name.find(|char: char| !is_name(char)).unwrap_or(name.len());
    (tag.len() - name.len(), &name[..length])
}

/// Where a `{% raw %}` ends, with its end tag; `None` where the tag is another.
fn raw_end(tag: &str) -> Option<usize> {
    let (start, name) = tag_name(tag);
    if name != "raw" {
        return None;
    }
    let mut from = start;
    while let Some(at) = tag[from..].find("{%") {
        let (inner, name) = tag_name(&tag[from + at..]);
        from += at + inner;
        if name == "endraw" {
            return Some(from + name.len());
        }
    }
    Some(tag.len())
}

/// Copies a `{% raw %}` with what it holds, and returns what follows.
fn raw<'a>(out: &mut String, tag: &'a str, end: usize) -> &'a str {
    let (start, name) = tag_name(tag);
    let head = start + name.len();
    let before_mark = tag[head..].find(|char: char| !char.is_whitespace()).map_or(tag.len(), |at| head + at);
    let rest = copied(out, tag, before_mark);
    if rest.starts_with("%}") {
        // With the mark, the line break behind the tag is not taken away.
        out.push('+');
    }
    copied(out, rest, end - before_mark)
}

/// A tag, without its marks.
fn statement(tokens: &[Token<'_>]) -> Result<String, Unread> {
    let (name, body) = tokens.split_first().ok_or(Unread::Syntax)?;
    let mut parser = Parser::new(body);
    let written = match name.text {
        "generation" => "with".to_owned(),
        "endgeneration" => "endwith".to_owned(),
        "if" | "elif" => spaced(name.text, &parser.tuple(false)?.into_string()),
        "for" => spaced(name.text, &each(&mut parser)?),
        "set" => return set(name, body),
        "with" => spaced(name.text, &with(&mut parser)?),
        "macro" => spaced(name.text, &(parser.take()? + &parser.arguments()?.0)),
        "call" => {
            parser.counts_calls = false;
            let signed = body.first().is_some_and(|token| token.text == "(");
            let signature = if signed { parser.arguments()?.0 } else { String::new() };
            spaced(&(name.text.to_owned() + &signature), &parser.expression(true)?.into_string())
        }
        _ => return Err(Unread::Syntax),
    };
    if parser.is_done() { Ok(name.space.to_owned() + &written) } else { Err(Unread::Syntax) }
}

fn spaced(name: &str, rest: &str) -> String {
    if rest.starts_with(char::is_whitespace) { name.to_owned() + rest } else { format!("{name} {rest}") }
}

fn each(parser: &mut Parser<'_, '_>) -> Result<String, Unread> {
    let mut out = String::new();
    while !parser.is_word("in") {
        out.push_str(&parser.take()?);
    }
    out.push_str(&parser.take()?);
    let items = parser.tuple(false)?.into_string();
    out.push_str(&format!(" ({items})|{LOOPED}"));
    if parser.is_word("if") {
        out.push_str(&spaced(&parser.take()?, &parser.expression(true)?.into_string()));
    }
    if parser.is_word("recursive") {
        out.push_str(&parser.take()?);
    }
    Ok(out)
}

fn with(parser: &mut Parser<'_, '_>) -> Result<String, Unread> {
    let mut out = String::new();
    while !parser.is_done() {
        while !out.trim_end().ends_with('=') {
            out.push_str(&parser.take()?);
        }
        out.push_str(&parser.expression(true)?.into_string());
        if !parser.is_done() {
            out.push_str(&parser.take()?);
        }
    }
    Ok(out)
}

/// `set` of a value, or of the text up to its end.
fn set(name: &Token<'_>, body: &[Token<'_>]) -> Result<String, Unread> {
    let plain = |tokens: &[Token<'_>]| tokens.iter().flat_map(|token| [token.space, token.text]).collect::<String>();
    let equals = body.iter().position(|token| token.text == "=");
    let target = &body[..equals.unwrap_or(body.len())];
    let namespace = target.first().filter(|_| target.get(1).is_some_and(|token| token.text == "."));
    let Some(equals) = equals else {
        // As for `KEPT`, which a filter of a `set` does not do.
        let looked_up = namespace.map(|token| format!("if {} %}}{{% endif %}}{{% ", token.text)).unwrap_or_default();
        return Ok(format!("{}{looked_up}set{}|{MADE}", name.space, plain(body)));
    };
    if target.iter().any(|token| token.text == "|") {
        return Err(Unread::Syntax);
    }
    let mut parser = Parser::new(&body[equals + 1..]);
    let mut value = parser.tuple(true)?;
    if !parser.is_done() {
        return Err(Unread::Syntax);
    }
    if let Some(namespace) = namespace {
        value = value.filtered(&format!("{KEPT}({})", namespace.text))?;
    }
    let value = value.into_string();
    Ok(format!("{}set{}{value}", name.space, plain(&body[..=equals])))
}
