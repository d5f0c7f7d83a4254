//! What the regular expressions of a query cost before anyone compiles them.

/// The most that counted repetitions may come to: multiplied within a string, added over all strings. A UUID,
/// `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, is 6,144.
const MAX_REPETITIONS: u64 = 10_000;

/// Refuses a query whose regular expressions would take long to compile, which the parser does as it reads.
///
/// `{300}` repeats what is before it 300 times, and 300 times that in another; everything else is linear in the
/// query's length. Whether a string is a regular expression is not looked at. A brace that is written as an
/// escape would be overlooked, so such escapes are refused.
pub(super) fn check(query: &str) -> Result<(), String> {
    let mut all = 0_u64;
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
            all = all.saturating_add(repetitions(inner));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    if all > MAX_REPETITIONS {
        let wrong =
            format!("its regular expressions repeat {all} times; at most {MAX_REPETITIONS} in all");
        return Err(wrong);
    }
    Ok(())
}

/// Where the quote is that no backslash precedes.
fn end_of_string(text: &str, quote: &str) -> Result<Option<usize>, String> {
    let mut bytes = text.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        if quote.as_bytes() == [byte] {
            return Ok(Some(position));
        }
        if byte == b'\\'
            && let Some((_, b'x' | b'u' | b'U' | b'0'..=b'7')) = bytes.next()
        {
            return Err("it has characters written as numbers, like \\x41".into());
        }
    }
    Ok(None)
}

/// The product of all `{3}` and `{3,5}` of a string, 0 if there are none.
fn repetitions(string: &str) -> u64 {
    let counts = string.split('{').skip(1).filter_map(most_times);
    counts
        .reduce(|product, times| product.saturating_mul(times))
        .unwrap_or(0)
}

/// The larger number of `3}` or `3,5}`. A regular expression may have spaces there.
fn most_times(after_brace: &str) -> Option<u64> {
    let is_count = |c: char| c.is_ascii_digit() || c == ',' || c.is_whitespace();
    let end = after_brace.find(|c: char| !is_count(c))?;
    let numbers = after_brace.get(..end)?.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter(|number| !number.is_empty());
    let most = numbers
        .map(|number| number.parse().unwrap_or(u64::MAX))
        .max();
    most.map(|times| times.max(1))
}
