//! The grammar of metric names and label names.

pub(crate) fn is_metric_name(name: &str) -> bool {
    is_label_name(&name.replace(':', "_"))
}

/// Also the names that Prometheus reserves, such as `__name__`.
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
