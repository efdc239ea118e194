//! Rewrites what minijinja reads differently, before it parses a template. No line is moved.
//!
//! - `{% generation %}` marks what the model wrote; its body is rendered in a scope of its own, as `{% with %}` does.
//! - What a `for` goes through is filtered, since minijinja goes through `none` as through an empty list.
//! - A line break behind `{% raw %}` stays, and all line breaks are `\n`.
//! - Slices, `x[a:b:c]`, become a call of a method of ours: minijinja's differ from Python's where the step is negative.

/// The method that stands for a slice.
pub(crate) const SLICE: &str = "__slice__";

/// The filter of what a `for` goes through.
pub(crate) const LOOPED: &str = "__looped__";

/// The template as minijinja is to read it.
pub(crate) fn rewrite(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len() + source.len() / 8);
    let mut rest = source.as_str();
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        rest = if tag.starts_with("{#") {
            let end = tag.get(2..).and_then(|inner| inner.find("#}")).map_or(tag.len(), |end| end + 4);
            copied(&mut out, tag, end)
        } else if tag.starts_with("{%") {
            match raw_end(tag) {
                Some(end) => raw(&mut out, tag, end),
                None => block(&mut out, tag),
            }
        } else if tag.starts_with("{{") {
            out.push_str("{{");
            expression(&mut out, &tag[2..], "}}")
        } else {
            copied(&mut out, tag, 1)
        };
    }
    out.push_str(rest);
    out
}

fn copied<'a>(out: &mut String, text: &'a str, length: usize) -> &'a str {
    let (copied, rest) = text.split_at(length);
    out.push_str(copied);
    rest
}

/// The marker of whitespace control and the name of a tag that begins with `{%`: bytes up to the name, and the name.
fn tag_name(tag: &str) -> (usize, &str) {
    let inner = tag.get(2..).unwrap_or_default();
    let marked = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let name = marked.trim_start();
    let length = name.find(|char: char| !is_name(char)).unwrap_or(name.len());
    (tag.len() - name.len(), &name[..length])
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
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

/// Rewrites a tag and returns what follows it.
fn block<'a>(out: &mut String, tag: &'a str) -> &'a str {
    let (start, name) = tag_name(tag);
    let rest = copied(out, tag, start);
    out.push_str(match name {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => name,
    });
    let written = out.len();
    let rest = expression(out, &rest[name.len()..], "%}");
    if name == "for" {
        filter_items(out, written);
    }
    rest
}

/// Puts what is behind `in` in the tag that begins at `from` through the filter.
fn filter_items(out: &mut String, from: usize) {
    let tag = out.split_off(from);
    let mut depth = 0_usize;
    let (mut start, mut end) = (None, tag.trim_end_matches(['-', '+', ' ', '\t', '\n']).len());
    let mut at = 0;
    while let Some(char) = tag[at..].chars().next() {
        let length = token_length(&tag[at..], char);
        match (&tag[at..at + length], start) {
            ("(" | "[" | "{", _) => depth += 1,
            (")" | "]" | "}", _) => depth = depth.saturating_sub(1),
            ("in", None) if depth == 0 => start = Some(at + length),
            ("if" | "recursive", Some(start)) if depth == 0 && at > start => {
                end = at;
                break;
            }
            _ => {}
        }
        at += length;
    }
    match start.filter(|start| *start < end) {
        Some(start) => {
            let (before, items, after) = (&tag[..start], &tag[start..end], &tag[end..]);
            out.extend([before, " (", items, ")|", LOOPED, " ", after]);
        }
        None => out.push_str(&tag),
    }
}

/// A bracket that is open in an expression.
struct Open {
    /// Where it is in the text written.
    at: usize,
    /// Whether it takes items of what is before it.
    subscript: bool,
    /// Where its colons are in the text written.
    colons: Vec<usize>,
}

/// Words behind which a bracket begins a list.
const OPERATORS: [&str; 9] = ["and", "or", "not", "in", "is", "if", "elif", "else", "recursive"];

/// Rewrites an expression up to `end` and returns what follows.
fn expression<'a>(out: &mut String, text: &'a str, end: &str) -> &'a str {
    let mut rest = text;
    let mut open: Vec<Open> = Vec::new();
    // Whether what is before is a value, which a bracket then takes items of.
    let mut value = false;
    while let Some(char) = rest.chars().next() {
        if open.is_empty() && rest.starts_with(end) {
            break;
        }
        let length = token_length(rest, char);
        let token = &rest[..length];
        match char {
            '[' | '(' | '{' => {
                open.push(Open { at: out.len(), subscript: char == '[' && value, colons: Vec::new() });
                out.push(char);
                value = false;
            }
            ']' | ')' | '}' => {
                out.push(char);
                if let Some(bracket) = open.pop().filter(|bracket| bracket.subscript && !bracket.colons.is_empty()) {
                    slice(out, &bracket);
                }
                value = true;
            }
            ':' => {
                if let Some(bracket) = open.last_mut() {
                    bracket.colons.push(out.len());
                }
                out.push(char);
                value = false;
            }
            _ => {
                out.push_str(token);
                if !char.is_whitespace() {
                    value = matches!(char, '\'' | '"') || is_name(char) && !OPERATORS.contains(&token);
                }
            }
        }
        rest = &rest[length..];
    }
    rest
}

/// The length of the token that begins with the character.
fn token_length(text: &str, char: char) -> usize {
    match char {
        '\'' | '"' => string_length(text, char),
        _ if is_name(char) => text.find(|char| !is_name(char)).unwrap_or(text.len()),
        _ => char.len_utf8(),
    }
}

/// The length of a string literal, quotes included.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Makes the bracket at the end of the text, `[a:b:c]`, a call: `.__slice__(a,b,c)`.
fn slice(out: &mut String, bracket: &Open) {
    let written = out.split_off(bracket.at);
    let mut from = bracket.at + 1;
    out.push('.');
    out.push_str(SLICE);
    out.push('(');
    let ends = bracket.colons.iter().copied().chain([bracket.at + written.len() - 1]);
    for (index, end) in ends.enumerate() {
        let part = &written[from - bracket.at..end - bracket.at];
        if index > 0 {
            out.push(',');
        }
        if part.trim().is_empty() {
            out.push_str("none");
        }
        out.push_str(part);
        from = end + 1;
    }
    out.push(')');
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn slices_and_generation_are_rewritten_and_nothing_else() {
        let pairs = [
            ("{% generation %}a{% endgeneration %}", "{% with %}a{% endwith %}"),
            ("{%- generation -%}a{%+ endgeneration +%}", "{%- with -%}a{%+ endwith +%}"),
            ("{{ x[1:] }}", "{{ x.__slice__(1,none) }}"),
            ("{{ x[::-1][0].y }}", "{{ x.__slice__(none,none,-1)[0].y }}"),
            ("{{ f(a)[x[:n]\n:] }}", "{{ f(a).__slice__(x.__slice__(none,n)\n,none) }}"),
            ("{% if x in [{'a': b}] %}{{ y[{'a':1}['a']] }}", "{% if x in [{'a': b}] %}{{ y[{'a':1}['a']] }}"),
            (
                "{% raw %}{{ x[1:] }}{% generation %}{% endraw %}{{ x[:1] }}",
                "{% raw +%}{{ x[1:] }}{% generation %}{% endraw %}{{ x.__slice__(none,1) }}",
            ),
            ("{# x[1:] {{ #}{{ 'x[1:] }}\\'' }}", "{# x[1:] {{ #}{{ 'x[1:] }}\\'' }}"),
            ("{% for a, b in x[1:] if a in b -%}", "{% for a, b in ( x.__slice__(1,none) )|__looped__ if a in b -%}"),
            ("{% for a in f('in', [if]) %}", "{% for a in ( f('in', [if]))|__looped__  %}"),
            ("{%- raw -%}\r\n{%- endraw %}", "{%- raw -%}\n{%- endraw %}"),
            ("a { b {c", "a { b {c"),
            ("{{ {'a': {}} }}[1:]", "{{ {'a': {}} }}[1:]"),
        ];
        for (source, written) in pairs {
            assert_eq!(rewrite(source), written);
        }
    }
}
