//! The services that the store has heard of.

use std::collections::BTreeSet;

use serde_json::Value;

/// More than that is not read: an answer has one name for each service.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// The sorted distinct values of a label in the answer to an instant query, if it is one.
pub(super) fn in_answer(answer: &[u8], label: &str) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    if answer.get("status")?.as_str()? != "success" {
        return None;
    }
    let series = answer.get("data")?.get("result")?.as_array()?;
    let names = series
        .iter()
        .filter_map(|series| series.get("metric")?.get(label)?.as_str());
    let names: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    Some(names.into_iter().map(str::to_owned).collect())
}

/// A JSON array of strings.
pub(super) fn as_json(names: &[String]) -> String {
    Value::from(names.to_vec()).to_string()
}
