//! Estimates how long the regular expressions of a query take to compile, before the parser compiles them.

use promql_parser::util::unquote_string;

/// The maximum cost of a query: the product of all repetition counts in a string literal, summed over all literals. The
/// regular expression of a UUID, `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, costs 6,144.
const MAX_REPETITIONS: u64 = 10_000;

/// Returns an error if the regular expressions of a query would take too long to compile.
///
/// The parser compiles them while it parses. `{300}` repeats the expression before it 300 times, and nested repetitions
/// multiply. All other operators cost time linear in the length of the query. All string literals are checked, because
/// it is not known before parsing which of them are regular expressions. They are found and decoded as by the parser,
/// so that an escape cannot hide a count.
pub(crate) fn check(query: &str) -> Result<(), String> {
    let mut total = 0_u64;
    let mut rest = query;
    while let Some(start) = rest.find(['"', '\'', '`', '#']) {
        let (_, from_mark) = rest.split_at(start);
        rest = if from_mark.starts_with('#') {
            let end = from_mark.find(['\r', '\n']).unwrap_or(from_mark.len());
            from_mark.split_at(end).1
        } else {
            let (literal, after) = split_literal(from_mark)?;
            total = total.saturating_add(cost(&unquote_string(literal)?)?);
            after
        };
    }
    if total > MAX_REPETITIONS {
        let reason =
            format!("its regular expressions have {total} repetitions; at most {MAX_REPETITIONS}");
        return Err(reason);
    }
    Ok(())
}

/// Splits a text that starts with a string literal after the first unescaped quote. As in the parser, a backslash
/// escapes a backtick, too.
fn split_literal(text: &str) -> Result<(&str, &str), String> {
    let mut bytes = text.bytes().enumerate();
    let quote = bytes.next().map(|(_, quote)| quote);
    while let Some((position, byte)) = bytes.next() {
        if Some(byte) == quote {
            return Ok(text.split_at(position + 1));
        }
        // `unquote_string` panics after `\` if the next character is not ASCII.
        if byte == b'\\' && !bytes.next().is_some_and(|(_, escaped)| escaped.is_ascii()) {
            return Err("it has an invalid escape in a string".into());
        }
    }
    Err("it has a string without an end".into())
}

/// Returns the product of all repetition counts (`{3}`, `{3,5}`) in a string, or 0 without repetitions.
fn cost(string: &str) -> Result<u64, String> {
    if sets_flag_x(string) {
        return Err("it has a regular expression with the flag x".into());
    }
    let counts = string.split('{').skip(1).filter_map(max_count);
    let product = counts.reduce(|product, times| product.saturating_mul(times));
    Ok(product.unwrap_or(0))
}

/// Whether a regular expression has the flag `x`: `(?x)`, `(?ix:…)`. With it, whitespace and comments can be within
/// counts.
fn sets_flag_x(string: &str) -> bool {
    let groups = string.split("(?").skip(1);
    let mut flags = groups.filter_map(|group| {
        let is_flag = |c: char| c.is_ascii_alphabetic() || c == '-';
        group.split(|c| !is_flag(c)).next()
    });
    flags.any(|flags| flags.contains('x'))
}

/// Parses `3}` or `3,5}`, with optional whitespace, and returns the larger number.
fn max_count(after_brace: &str) -> Option<u64> {
    let is_count = |c: char| c.is_ascii_digit() || c == ',' || c.is_whitespace();
    let end = after_brace.find(|c: char| !is_count(c))?;
    let numbers = after_brace.get(..end)?.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter(|number| !number.is_empty());
    let max = numbers
        .map(|number| number.parse().unwrap_or(u64::MAX))
        .max();
    max.map(|times| times.max(1))
}

#[cfg(test)]
mod tests {
    use super::check;

    /// The parser rejects these queries, too, but only after it has compiled their regular expressions.
    #[test]
    fn strings_end_where_they_end_for_the_parser() {
        for query in [
            r#"x{z=`\`} or y{z=`} or y{a=~"(a{\t100}){\t101}"} or y{z=`a`}"#,
            r#"x{a="\'",b=~"(a{100}){101}"}"#,
            "x{a=\"\\\u{e9}\",b=~\"(a{100}){101}\"}",
            r#"x{a="\"#,
            r#"x{a="b"#,
        ] {
            assert!(check(query).is_err(), "{query}");
        }
        assert_eq!(check(r#"x{z=`a\`b`}"#).ok(), None);
        assert_eq!(check(r#"x{z=`a`,b="c`d"} # " ' ("#), Ok(()));
    }
}
