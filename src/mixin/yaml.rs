//! YAML, as the files of Prometheus are written in.

use serde::Serialize;

use crate::Error;

pub(super) fn write(value: &impl Serialize, what: &str) -> Result<String, Error> {
    yaml_serde::to_string(value)
        .map_err(|error| Error::new(format!("{what} cannot be written as YAML: {error}")))
}
