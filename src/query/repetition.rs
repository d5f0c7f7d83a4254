//! What the regular expressions of a query cost before anyone runs them.

/// The most that all counted repetitions of a query may multiply to. Two identifiers like
/// `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}` are 147,456; what the parser takes tens of milliseconds for, each
/// of hundreds of times, is far beyond.
const MAX_REPETITIONS: u64 = 1_000_000;

/// Refuses a query whose regular expressions would take long to compile, which the parser does as it reads.
///
/// `{300}` repeats what is before it 300 times, and 300 times that in another; everything else is
/// linear in the query's length. Outside of regular expressions no brace is followed by a digit. A brace that
/// is written as an escape would be overlooked, so these escapes are refused.
pub(super) fn check(query: &str) -> Result<(), String> {
    let mut product = 1_u64;
    let mut bytes = query.bytes().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                if let Some((_, b'x' | b'u' | b'U' | b'0'..=b'7')) = bytes.next() {
                    return Err("it has characters written as numbers, like \\x41".into());
                }
            }
            b'{' => {
                let most = most_times(query.get(position + 1..).unwrap_or_default());
                product = product.saturating_mul(most);
            }
            _ => {}
        }
    }
    if product > MAX_REPETITIONS {
        let wrong = format!(
            "its regular expressions repeat {product} times; at most {MAX_REPETITIONS} in all"
        );
        return Err(wrong);
    }
    Ok(())
}

/// The larger number of `3}` or `3,5}`, and 1 if there is none. A regular expression may have spaces there.
fn most_times(after_brace: &str) -> u64 {
    let end = after_brace.find(|c: char| !(c.is_ascii_digit() || c == ',' || c.is_whitespace()));
    let numbers = after_brace.get(..end.unwrap_or(0)).unwrap_or_default();
    let numbers = numbers.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter(|number| !number.is_empty());
    let most = numbers
        .map(|number| number.parse().unwrap_or(u64::MAX))
        .max();
    most.unwrap_or(1).max(1)
}
