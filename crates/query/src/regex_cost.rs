//! Estimates how long the regular expressions of a query take to compile, before the parser compiles them.

/// The maximum cost of a query: the product of all repetition counts in a string literal, summed over all literals. The
/// regular expression of a UUID, `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, costs 6,144.
const MAX_REPETITIONS: u64 = 10_000;

/// Returns an error if the regular expressions of a query would take too long to compile.
///
/// The parser compiles them while it parses. `{300}` repeats the expression before it 300 times, and nested repetitions
/// multiply. All other operators cost time linear in the length of the query. All string literals are checked, because it
/// is not known before parsing which of them are regular expressions. Numeric escapes such as `\x7b` are rejected, because
/// they could hide a brace.
pub(crate) fn check(query: &str) -> Result<(), String> {
    let mut total = 0_u64;
    let mut rest = query;
    while let Some(start) = rest.find(['"', '\'', '`', '#']) {
        let (mark, after) = rest.split_at(start).1.split_at(1);
        let end = match mark {
            "#" => after.find('\n'),
            "`" => after.find('`'),
            quote => end_of_string(after, quote)?,
        };
        let (inner, after) = after.split_at(end.unwrap_or(after.len()));
        if mark != "#" {
            total = total.saturating_add(repetitions(inner));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    if total > MAX_REPETITIONS {
        let reason =
            format!("its regular expressions have {total} repetitions; at most {MAX_REPETITIONS}");
        return Err(reason);
    }
    Ok(())
}

/// Returns the position of the first unescaped quote.
fn end_of_string(text: &str, quote: &str) -> Result<Option<usize>, String> {
    let mut bytes = text.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        if quote.as_bytes() == [byte] {
            return Ok(Some(position));
        }
        if byte == b'\\'
            && let Some((_, b'x' | b'u' | b'U' | b'0'..=b'7')) = bytes.next()
        {
            return Err("it has a numeric escape such as \\x41".into());
        }
    }
    Ok(None)
}

/// Returns the product of all repetition counts (`{3}`, `{3,5}`) in a string, or 0 without repetitions.
fn repetitions(string: &str) -> u64 {
    let counts = string.split('{').skip(1).filter_map(max_count);
    counts
        .reduce(|product, times| product.saturating_mul(times))
        .unwrap_or(0)
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
