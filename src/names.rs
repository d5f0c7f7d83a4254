//! The grammar of metric names, label names and label values.
//!
//! Crates that write PromQL, rules or exposition formats beside this one use it, so that a name is valid in
//! all of them or in none.

pub use crate::registry::names::{check_label_name, check_metric_name, escape_label_value};
