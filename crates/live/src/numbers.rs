//! Numbers as JSON.

/// Appends an array of numbers.
pub(crate) fn write_numbers(line: &mut String, numbers: &[f64]) {
    line.push('[');
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            line.push(',');
        }
        write_number(line, *number);
    }
    line.push(']');
}

/// Appends a number. JSON has no infinities and no NaN: they are sent as texts.
pub(crate) fn write_number(line: &mut String, number: f64) {
    match number {
        x if x.is_nan() => line.push_str("\"NaN\""),
        f64::INFINITY => line.push_str("\"Infinity\""),
        f64::NEG_INFINITY => line.push_str("\"-Infinity\""),
        x => line.push_str(&x.to_string()),
    }
}
