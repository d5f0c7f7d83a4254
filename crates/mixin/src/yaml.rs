//! Serialization as YAML, the format of rules and scrape configurations.

use serde::Serialize;

use crate::error::Error;

pub(crate) fn write(value: &impl Serialize, what: &str) -> Result<String, Error> {
    yaml_serde::to_string(value)
        .map_err(|error| Error::format(format!("{what} cannot be written as YAML"), error))
}
