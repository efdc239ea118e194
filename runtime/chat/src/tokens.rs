//! The tokens of a tag, as Jinja's lexer makes them.

/// A token with the whitespace before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) space: &'a str,
    pub(crate) text: &'a str,
    pub(crate) kind: Kind,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Number,
    String,
    Sign,
}

/// Signs of two characters.
const PAIRS: [&str; 6] = ["==", "!=", "<=", ">=", "//", "**"];

/// The tokens up to the end of a tag, such as `%}`, and how many bytes they take; the end may be marked by `-` or `+`.
/// `None` where the tag has no end, or a string in it.
pub(crate) fn tokens<'a>(text: &'a str, end: &str) -> Option<(Vec<Token<'a>>, usize)> {
    let mut tokens: Vec<Token<'a>> = Vec::new();
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        let space = &rest[..rest.len() - trimmed.len()];
        if depth == 0 && trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed).starts_with(end) {
            return Some((tokens, at));
        }
        let char = trimmed.chars().next()?;
        let behind_dot = tokens.last().is_some_and(|token| token.text == ".");
        let (kind, length) = match char {
            '\'' | '"' => (Kind::String, string_length(trimmed, char)?),
            '0'..='9' => (Kind::Number, number_length(trimmed, behind_dot)),
            _ if is_name(char) => (Kind::Name, trimmed.find(|char| !is_name(char)).unwrap_or(trimmed.len())),
            _ if PAIRS.iter().any(|pair| trimmed.starts_with(pair)) => (Kind::Sign, 2),
            _ => (Kind::Sign, char.len_utf8()),
        };
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { space, text: &trimmed[..length], kind });
        at += space.len() + length;
    }
}

pub(crate) fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The length of a string literal, quotes included.
fn string_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a number; behind a dot, it is an index.
fn number_length(text: &str, behind_dot: bool) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
        from + bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is_digit(byte)).count()
    };
    if matches!(bytes.get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) && bytes[0] == b'0' {
        return text.find(|char| !is_name(char)).unwrap_or(text.len());
    }
    let mut end = digits(0);
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if behind_dot {
        return end;
    }
    if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if is_digit(end + 1 + sign) {
            end = digits(end + 1 + sign);
        }
    }
    end
}

/// The string that literals next to each other stand for, as a literal that minijinja reads as Python reads them: escapes
/// are those of Python, and line breaks follow behind.
pub(crate) fn literal(parts: &[Token<'_>]) -> String {
    let mut out = parts.first().map_or("", |part| part.space).to_owned();
    let mut breaks = 0;
    out.push('"');
    for (index, part) in parts.iter().enumerate() {
        breaks += part.text.matches('\n').count();
        if index > 0 {
            breaks += part.space.matches('\n').count();
        }
        for char in unescaped(&part.text[1..part.text.len() - 1]) {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                _ => out.push(char),
            }
        }
    }
    out.push('"');
    out.extend(std::iter::repeat_n('\n', breaks));
    out
}

/// Python's `unicode-escape`.
fn unescaped(text: &str) -> Vec<char> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        if char != '\\' {
            out.push(char);
            continue;
        }
        let Some(mark) = rest.chars().next() else { break };
        let mut length = mark.len_utf8();
        let mut coded = |digits: usize, radix: u32, from: usize| {
            let code = rest.get(from..).unwrap_or_default();
            let count = code.chars().take(digits).take_while(|char| char.is_digit(radix)).count();
            length = from + count;
            u32::from_str_radix(&code[..count], radix).ok().and_then(char::from_u32)
        };
        let found = match mark {
            '\n' => None,
            '\\' | '\'' | '"' => Some(mark),
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'v' => Some('\u{b}'),
            '0'..='7' => coded(3, 8, 0),
            'x' => coded(2, 16, 1),
            'u' => coded(4, 16, 1),
            'U' => coded(8, 16, 1),
            _ => {
                out.push('\\');
                Some(mark)
            }
        };
        rest = &rest[length..];
        out.extend(found);
    }
    out
}
