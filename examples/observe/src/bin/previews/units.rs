//! Formats values as Grafana does.

/// Formats a value. `unit` is Grafana's id of the unit.
pub(crate) fn text(value: f64, unit: &str) -> String {
    match unit {
        "s" => seconds(value),
        "percentunit" => format!("{} %", short(value * 100.0)),
        "percent" => format!("{} %", short(value)),
        "bytes" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
        "mbytes" => scaled(value, 1024.0, &["MiB", "GiB", "TiB"]),
        "decmbytes" => scaled(value, 1000.0, &["MB", "GB", "TB"]),
        "binBps" => scaled(value, 1024.0, &["B/s", "KiB/s", "MiB/s", "GiB/s"]),
        "reqps" => format!("{} req/s", short(value)),
        "ops" => format!("{} ops/s", short(value)),
        "currencyUSD" => format!("${}", short(value)),
        "bool_yes_no" => if value > 0.0 { "Yes" } else { "No" }.to_owned(),
        _ => scaled(value, 1000.0, &["", "K", "Mil", "Bil"]),
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        ..1e-3 => format!("{} µs", short(value * 1e6)),
        ..1.0 => format!("{} ms", short(value * 1e3)),
        ..60.0 => format!("{} s", short(value)),
        ..3600.0 => format!("{} min", short(value / 60.0)),
        _ => format!("{} h", short(value / 3600.0)),
    }
}

fn scaled(mut value: f64, factor: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next();
    while value.abs() >= factor
        && let Some(next) = units.next()
    {
        value /= factor;
        unit = Some(next);
    }
    let unit = unit.copied().unwrap_or_default();
    format!("{} {unit}", short(value)).trim_end().to_owned()
}

/// Formats a value with about three significant digits, without trailing zeros.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..0.1 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
