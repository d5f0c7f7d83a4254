//! Splits an action of a Go template, the text between `{{` and `}}`, into tokens.

use crate::error::{Checked, problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Space,
    /// A keyword, or the name of a function.
    Word(&'a str),
    /// `$name`, or `$` alone.
    Variable(&'a str),
    /// `.name`, without the dot.
    Field(&'a str),
    Dot,
    /// A string, a character, a number or a Boolean.
    Constant(&'a str),
    Declare,
    Assign,
    Pipe,
    Comma,
    Open,
    Close,
}

impl Token<'_> {
    /// Returns the token as it is written, for messages.
    pub(super) fn text(self) -> String {
        match self {
            Self::Space => "space".to_owned(),
            Self::Word(text) | Self::Variable(text) | Self::Constant(text) => text.to_owned(),
            Self::Field(name) => format!(".{name}"),
            Self::Dot => ".".to_owned(),
            Self::Declare => ":=".to_owned(),
            Self::Assign => "=".to_owned(),
            Self::Pipe => "|".to_owned(),
            Self::Comma => ",".to_owned(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
        }
    }
}

/// Reads the action at the start of `text`, after its `{{`. Returns its tokens, or `None` for a comment, and the text
/// after its `}}`.
pub(super) fn action(text: &str) -> Checked<(Option<Vec<Token<'_>>>, &str)> {
    let is_trimmed = text.starts_with('-') && text[1..].starts_with(is_space);
    let mut rest = if is_trimmed { &text[1..] } else { text };
    if let Some(comment) = rest.trim_start_matches(is_space).strip_prefix("/*") {
        let is_directly_after = is_trimmed || rest.starts_with('/');
        let after = comment.split_once("*/").map(|(_, after)| after);
        let after = after.filter(|_| is_directly_after);
        return match after.and_then(end) {
            Some(after) => Ok((None, after)),
            None => problem("a comment must be `{{/* … */}}`"),
        };
    }
    let mut tokens = Vec::new();
    loop {
        if let Some(after) = end(rest) {
            while tokens.last() == Some(&Token::Space) {
                tokens.pop();
            }
            return Ok((Some(tokens), after));
        }
        let (token, after) = token(rest)?;
        rest = after;
        let is_leading_space = token == Token::Space && tokens.is_empty();
        if !is_leading_space {
            tokens.push(token);
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Returns the text after `}}` or ` -}}`.
fn end(text: &str) -> Option<&str> {
    let trimmed = text
        .strip_prefix(is_space)
        .and_then(|text| text.strip_prefix("-}}"));
    trimmed.or_else(|| text.strip_prefix("}}"))
}

fn token(text: &str) -> Checked<(Token<'_>, &str)> {
    let Some(first) = text.chars().next() else {
        return problem("`{{` without `}}`");
    };
    let single = |token| Ok((token, &text[1..]));
    match first {
        c if is_space(c) => {
            let after = text.trim_start_matches(is_space);
            // ` -}}` needs its space.
            let is_trimmed_end = after.starts_with("-}}");
            let after = match is_trimmed_end {
                true => &text[text.len() - after.len() - 1..],
                false => after,
            };
            Ok((Token::Space, after))
        }
        '|' => single(Token::Pipe),
        ',' => single(Token::Comma),
        '(' => single(Token::Open),
        ')' => single(Token::Close),
        '=' => single(Token::Assign),
        ':' if text.starts_with(":=") => Ok((Token::Declare, &text[2..])),
        '"' | '\'' | '`' => quoted(text, first),
        '$' => {
            let (length, after) = word(&text[1..])?;
            Ok((Token::Variable(&text[..=length]), after))
        }
        '.' if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let (length, after) = word(&text[1..])?;
            match length {
                0 => Ok((Token::Dot, after)),
                _ => Ok((Token::Field(&text[1..=length]), after)),
            }
        }
        c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => number(text),
        c if is_word(c) => {
            let (length, after) = word(text)?;
            let word = &text[..length];
            match word {
                "true" | "false" => Ok((Token::Constant(word), after)),
                _ => Ok((Token::Word(word), after)),
            }
        }
        c => problem(format!("unexpected {c:?}")),
    }
}

/// Returns the length of the word at the start of a text, and the text after it.
fn word(text: &str) -> Checked<(usize, &str)> {
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let after = &text[length..];
    let is_end = |c: char| is_space(c) || matches!(c, '.' | ',' | '|' | ':' | '(' | ')');
    match after.is_empty() || after.starts_with(is_end) || after.starts_with("}}") {
        true => Ok((length, after)),
        false => {
            let next = after.chars().next().unwrap_or_default();
            problem(format!("unexpected {next:?} after {:?}", &text[..length]))
        }
    }
}

fn number(text: &str) -> Checked<(Token<'_>, &str)> {
    let is_part = |(at, c): (usize, char)| {
        let is_exponent_sign = at > 0 && text[..at].ends_with(['e', 'E']);
        c == '.' || is_word(c) || (matches!(c, '+' | '-') && (at == 0 || is_exponent_sign))
    };
    let end = text.char_indices().find(|part| !is_part(*part));
    let (number, after) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let digits = number.trim_start_matches(['+', '-']).replace('_', "");
    let radix = |prefix: &str, radix| {
        let digits = digits.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok()
    };
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let is_float = is_decimal && digits.parse::<f64>().is_ok();
    let is_integer = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, number)| radix(prefix, *number).is_some());
    match is_float || is_integer {
        true => Ok((Token::Constant(number), after)),
        false => problem(format!("{number:?} is not a number")),
    }
}

fn quoted(text: &str, quote: char) -> Checked<(Token<'_>, &str)> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let (constant, after) = text.split_at(at + 1);
                let is_char = quote != '\'' || is_one_char(&constant[1..at]);
                return match is_char {
                    true => Ok((Token::Constant(constant), after)),
                    false => problem(format!("{constant} is not one character")),
                };
            }
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => {
                let escaped = chars.next().map(|(_, c)| c);
                let digits = match escaped {
                    Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => 0,
                    Some(c) if c == quote => 0,
                    Some('x') => 2,
                    Some('u') => 4,
                    Some('U') => 8,
                    Some('0'..='7') => 2,
                    _ => return problem(format!("invalid escape sequence in {text:?}")),
                };
                let digits: Vec<_> = chars.by_ref().take(digits).collect();
                if !digits.iter().all(|(_, c)| c.is_ascii_hexdigit()) {
                    return problem(format!("invalid escape sequence in {text:?}"));
                }
            }
            _ => {}
        }
    }
    problem(format!("missing {quote} at the end of a text"))
}

fn is_one_char(text: &str) -> bool {
    text.starts_with('\\') || text.chars().count() == 1
}
