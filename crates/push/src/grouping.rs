//! [`Grouping`]: the labels that identify a group of metrics on the Pushgateway, as a URL path.

use tower_prometheus::model::names::check_label_name;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Cause, Error, PushError};
use crate::labels::find_label;

#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    labels: Vec<String>,
    /// For example, `/metrics/job/nightly/disk@base64/L2Rldi9zZGE`.
    path: String,
}

impl Grouping {
    pub(crate) fn new(job: &str) -> Result<Self, Error> {
        if job.is_empty() {
            return Err(Error::new("job: must not be empty"));
        }
        Ok(Self {
            labels: vec!["job".to_owned()],
            path: format!("/metrics{}", segment("job", job)),
        })
    }

    pub(crate) fn add(&mut self, label: &str, value: &str) -> Result<(), Error> {
        check_label_name(label)
            .map_err(|error| Error::new(format!("grouping label {label:?}: {error}")))?;
        if self.labels.iter().any(|known| known == label) {
            return Err(Error::new(format!(
                "grouping label {label:?}: is set twice; each label can be set once, and `job` is always set"
            )));
        }
        self.labels.push(label.to_owned());
        self.path.push_str(&segment(label, value));
        Ok(())
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns an error if a metric of the page has a label that is also a grouping label.
    ///
    /// The Pushgateway would overwrite the label's values. If this makes two series equal, it would reject the page.
    pub(crate) fn check(&self, page: &str) -> Result<(), PushError> {
        let Some((metric, label)) = find_label(page, &self.labels) else {
            return Ok(());
        };
        let message = format!(
            "{metric}: label {label:?} is also a grouping label, and the Pushgateway would overwrite its values; rename the \
             label or the grouping label (`job` is always a grouping label)"
        );
        Err(PushError::new(Cause::LabelConflict, message))
    }
}

/// Returns one label as path segments. Values that are not allowed in a path are encoded in base64, an empty value as `=`.
fn segment(label: &str, value: &str) -> String {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    // Dot segments: clients and servers would resolve them to another path.
    let is_only_dots = value.bytes().all(|b| b == b'.');
    if value.is_empty() {
        format!("/{label}@base64/=")
    } else if value.bytes().all(is_unreserved) && !is_only_dots {
        format!("/{label}/{value}")
    } else {
        format!("/{label}@base64/{}", URL_SAFE_NO_PAD.encode(value))
    }
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn values_not_allowed_in_a_path_are_base64() {
        for (value, expected) in [
            ("nightly-1.2_x~", "/job/nightly-1.2_x~"),
            ("", "/job@base64/="),
            ("..", "/job@base64/Li4"),
            ("/var/tmp", "/job@base64/L3Zhci90bXA"),
            ("Προμηθεύς", "/job@base64/zqDPgc6_zrzOt864zrXPjc-C"),
        ] {
            assert_eq!(segment("job", value), expected);
        }
    }
}
