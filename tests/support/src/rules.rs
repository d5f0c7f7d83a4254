//! Checks of generated rule files.

use promql_parser::parser;

/// The values of a key in a YAML file, at any depth. `key` ends in `: `.
pub fn yaml_values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let lines = yaml.lines().map(|line| line.trim_start_matches(['-', ' ']));
    lines.filter_map(|line| line.strip_prefix(key)).collect()
}

/// Asserts that every alert has a severity, a summary and a description, and that every expression is PromQL.
/// Returns the number of alerts.
#[track_caller]
pub fn assert_valid_rules(file: &str, yaml: &str) -> usize {
    let alerts = yaml_values(yaml, "alert: ").len();
    for key in ["severity: ", "summary: ", "description: "] {
        assert_eq!(yaml_values(yaml, key).len(), alerts, "{key} in {file}");
    }
    for expression in yaml_values(yaml, "expr: ") {
        let expression = expression.trim_matches('\'').replace("''", "'");
        parser::parse(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    }
    alerts
}
