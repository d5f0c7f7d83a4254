//! Regular expressions and templates are refused if and only if promtool refuses them.

use std::process::{Command, Stdio};

use test_support::skip_without;
use test_support::store::Directory;
use tower_prometheus_mixin::{Definitions, Query, Rule, RuleGroup, Rules, Severity};

use crate::families;

/// Returns for each file of rules whether `promtool check rules` accepts it.
fn promtool_verdicts(files: &[String]) -> Vec<bool> {
    let directory = Directory::new();
    let name = |number: usize| format!("{number}.yml");
    for (number, text) in files.iter().enumerate() {
        directory.write(&name(number), text);
    }
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .args((0..files.len()).map(name))
        .current_dir(&directory.0)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    // Problems are printed to the standard error output.
    let output = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<_> = output.split("Checking ").skip(1).collect();
    assert_eq!(verdicts.len(), files.len(), "{output}");
    let verdicts = verdicts.iter().zip(0..).map(|(verdict, number)| {
        assert!(verdict.starts_with(&name(number)), "{output}");
        verdict.contains("SUCCESS")
    });
    verdicts.collect()
}

/// Returns a file with one alert.
fn file(expression: &str, summary: &str) -> String {
    let (expression, summary) = (
        serde_json::to_string(expression).unwrap(),
        serde_json::to_string(summary).unwrap(),
    );
    format!(
        "groups: [{{ name: a, rules: [{{ alert: A, expr: {expression}, annotations: {{ summary: {summary} }} }}] }}]\n"
    )
}

/// Patterns that Prometheus accepts.
const VALID_PATTERNS: [&str; 63] = [
    "",
    "GET|POST",
    "5..|error|panicked",
    "|cancelled",
    "/users/(.+)",
    // Route templates: other braces than repetitions are literal.
    "/users/{id}|/orders/{id}/items",
    "{",
    "a{,5}",
    "a{01}",
    "a{x}",
    "x{2}x}y{",
    "|b{",
    "a{0}",
    "a{2}",
    "a{2,}",
    "a{2,1000}",
    "a{1000}",
    "(a{10}){100}",
    "(a{1000}){0}",
    "a*?b+?c??",
    "(a*)*",
    "^*",
    "\\b+",
    "()*",
    "(?i)get",
    "a(?i)*",
    "(?i-s:a)",
    "(?-i)a",
    "(?)",
    "(?:a|b)",
    "(?P<name>a)(?P<other_1>b)",
    "(?sU)a",
    "[a-z]",
    "[]a]",
    "[^]a]",
    "[a-]",
    "[-a]",
    "[a-b-c]",
    "[[a]",
    "[a&&b]",
    "[a[b]",
    "[[:alpha:]]",
    "[[:^word:]x]",
    "[\\d\\s-]",
    "[\\pL\\x41-\\x5a]",
    "[{}]",
    "\\.",
    "\\_\\-\\\"\\/",
    "\\d\\D\\s\\S\\w\\W",
    "\\A\\z\\b\\B",
    "\\pL\\PN",
    "\\p{Lu}\\p{^Greek}\\p{Any}",
    "\\x7f\\x{1F600}",
    "\\12\\012\\0",
    "\\Qa.b(c\\E",
    "\\Q\\E",
    "a\\Q\\E*",
    "\\a\\f\\n\\r\\t\\v",
    "straße|日本",
    "$job",
    "a\\Qb\\E{2}",
    "u{1F600}x",
    "(?P<name>a)(?P<name>b)",
];

/// Patterns that Prometheus refuses.
const INVALID_PATTERNS: [&str; 56] = [
    "/users/(.+",
    "a)",
    "(",
    "(?:a",
    "*",
    "a|*",
    "(*)",
    "(?i)*",
    "{2}",
    "+a",
    "a**",
    "a*+",
    "a{2}{3}",
    "a*??",
    "a??*",
    "a{1001}",
    "a{2,1001}",
    "a{2,1}",
    "a{99999999999}",
    "(a{100}){100}",
    "((a{10}){11}){10}",
    "(?x)a",
    "(?i",
    "(?",
    "(?-)a",
    "(?i--s)a",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?<name>a)",
    "(?P<>a)",
    "(?P<a-b>a)",
    "(?P<a",
    "(?P=a)",
    "(?#comment)",
    "[",
    "[a",
    "[]",
    "[^]",
    "[z-a]",
    "[a-\\d]",
    "[a--]x",
    "[[:alhpa:]]",
    "[\\Q]",
    "\\",
    "\\1",
    "\\8",
    "\\C",
    "\\Z",
    "\\h",
    "\\x1",
    "\\x{110000}",
    "\\p{Letter}",
    "\\p{greek",
    "\\u0041",
    "\\Qa(",
];

fn check_pattern(pattern: &str) -> Result<String, String> {
    let definitions = Definitions::from(families::aria());
    let query = Query::rate("aria_requests_total").matching("method", pattern);
    let same = Query::rate("aria_requests_total").not_matching("method", pattern);
    let error = |error: tower_prometheus_mixin::Error| error.to_string();
    assert_eq!(
        query.to_promql(&definitions).is_ok(),
        same.to_promql(&definitions).is_ok()
    );
    query.to_promql(&definitions).map_err(error)
}

#[test]
fn patterns_that_prometheus_refuses_are_refused() {
    let refused = VALID_PATTERNS.map(check_pattern).into_iter();
    let refused: Vec<_> = refused.filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    for pattern in INVALID_PATTERNS {
        let error = check_pattern(pattern).expect_err(pattern);
        assert!(
            error.starts_with(&format!(
                "regular expression {pattern:?} is not valid in Prometheus: "
            )),
            "{error}"
        );
    }
    assert_eq!(
        check_pattern("/users/(.+").unwrap_err(),
        "regular expression \"/users/(.+\" is not valid in Prometheus: missing `)`"
    );
}

#[test]
fn promtool_agrees_on_every_pattern() {
    skip_without!(Promtool);
    let patterns: Vec<_> = VALID_PATTERNS
        .iter()
        .map(|pattern| (*pattern, true))
        .chain(INVALID_PATTERNS.iter().map(|pattern| (*pattern, false)))
        .collect();
    let files: Vec<_> = patterns
        .iter()
        .map(|(pattern, _)| {
            let escaped = pattern.replace('\\', "\\\\").replace('"', "\\\"");
            file(&format!("up{{job=~\"{escaped}\"}} == 0"), "")
        })
        .collect();
    let verdicts = promtool_verdicts(&files);
    let verdicts = patterns.into_iter().zip(verdicts);
    let wrong: Vec<_> = verdicts
        .filter(|((_, expected), verdict)| expected != verdict)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Templates that Prometheus accepts.
const VALID_TEMPLATES: [&str; 51] = [
    "{{define \"t\"}}{{ $.arg0 }}{{end}}{{ template \"t\" (args $value) }}",
    "plain text } with { braces }}",
    "{{ $labels.method }} is at {{ $value }}",
    "{{$labels.method}}{{- $value -}} x",
    "{{ .Labels.method }} {{ .Value }} {{ $.Labels.method }} {{ .ExternalURL }}",
    "{{ $value | humanizePercentage }}",
    "{{ $value | printf \"%.2f\" }}",
    "{{ printf \"%s: %.2f\" $labels.method $value }}",
    "{{ humanize (printf \"%f\" $value | len) }}",
    "{{ reReplaceAll \"(.*):\\\\d+\" `$1` $labels.method | toUpper | title }}",
    "{{ if gt $value 1.5 }}a{{ else if eq $labels.method \"GET\" }}b{{ else }}c{{ end }}",
    "{{ if and (gt $value 1e3) (lt $value 0x10) (not true) }}a{{ end }}",
    "{{ with $labels.method }}{{ . }}{{ else }}none{{ end }}",
    "{{ range $i, $label := $labels }}{{ $i }}={{ $label }}{{ end }}",
    "{{ range $label := $labels }}{{ $label }}{{ break }}{{ end }}",
    "{{ range query \"up\" }}{{ .Labels.job }}{{ .Value }}{{ continue }}{{ else }}none{{ end }}",
    "{{ query \"up\" | first | value }}",
    "{{ with query \"up\" }}{{ . | first | label \"job\" }}{{ end }}",
    "{{ $x := $value }}{{ $x = 2.0 }}{{ $x }}",
    "{{ range query \"up\" | sortByLabel \"job\" }}{{ strvalue . }}{{ end }}",
    "{{/* a comment */}}",
    "{{- /* a comment */ -}}",
    "{{ index $labels \"method\" }}",
    "{{ (index (query \"up\") 0).Labels.job }}",
    "{{ $externalLabels.cluster }} {{ $externalURL }}",
    "{{ define \"a\" }}{{ . }}{{ end }}{{ template \"a\" $value }}",
    "{{ block \"a\" $value }}{{ . }}{{ end }}",
    "{{ template \"a\" }}",
    "{{ 'a' }} {{ -3 }} {{ +.5 }} {{ 1_000 }} {{ \"\\t\\u00e9\\x41\" }} {{ `raw \" text` }}",
    "{{ true }}",
    "{{ . }}",
    "{{ $ }}",
    "{{ print nil }}",
    "{{ print . }}",
    "{{ print 1 2 }}",
    "{{ args 1 2 | print }}",
    "{{ $value\n | humanize\n}}",
    "{{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizeTimestamp $value }}",
    "{{ toTime $value }} {{ parseDuration \"5m\" }} {{ stripPort \"a:1\" }} {{ stripDomain \"a.b\" }}",
    "{{ match \"a.*\" $labels.method }} {{ toLower \"A\" }} {{ safeHtml \"a\" }}",
    "{{ graphLink \"up\" }} {{ tableLink \"up\" }} {{ externalURL }} {{ pathPrefix }}",
    "{{ len $labels }} {{ slice \"abc\" 1 2 }} {{ html \"a\" }} {{ js \"a\" }} {{ urlquery \"a\" }}",
    "{{ eq 1 1 }} {{ ne 1 2 }} {{ le 1 2 }} {{ ge 1 2 }} {{ or 1 0 }} {{ println \"a\" }}",
    "{{ if true }}{{ $x := 1 }}{{ $x }}{{ end }}",
    "{{ if true }}{{ if false }}{{ end }}{{ end }}",
    "{{ with $x := $value }}{{ $x }}{{ end }}",
    "{{ call $value }}",
    "{{ \"a\" | print }}",
    "{{ ( $value ) }}",
    "100 % of {{ $value | humanize }}: {{ \"{{\" }}",
    "{{ $value | }}",
];

/// Templates that Prometheus refuses.
const INVALID_TEMPLATES: [&str; 44] = [
    "{{ $x := 1 }}{{$x=2}}",
    "{{ $lables.method }}",
    "{{ $value | humanizePercent }}",
    "{{ humanise $value }}",
    "{{ $value ",
    "{{ $value }",
    "{{",
    "{{ }}",
    "{{}}",
    "{{ | humanize }}",
    "{{ $value | 1 }}",
    "{{ $value | . }}",
    "{{ $value | \"a\" }}",
    "{{ if $value }}a",
    "{{ if }}a{{ end }}",
    "{{ end }}",
    "{{ else }}",
    "{{ if $value }}a{{ else }}b{{ else }}c{{ end }}",
    "{{ if $value }}a{{ else range $value }}b{{ end }}",
    "{{ range $a, $b, $c := $labels }}{{ end }}",
    "{{ if $a, $b := $labels }}{{ end }}",
    "{{ break }}",
    "{{ if true }}{{ continue }}{{ end }}",
    "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}",
    "{{ $x }}",
    "{{ (print 1 }}",
    "{{ print 1) }}",
    "{{ \"text }}",
    "{{ `text }}",
    "{{ \"a\\q\" }}",
    "{{ 'ab' }}",
    "{{ 12x }}",
    "{{ nil.x }}",
    "{{ \"a\".x }}",
    "{{ 1 . x }}",
    "{{ $value & 1 }}",
    "{{ $value | | humanize }}",
    "{{ tmpl \"a\" $value }}",
    "{{ $value, 1 }}",
    "{{ template }}",
    "{{ template $value }}",
    "{{ define \"a\" }}",
    "{{ define \"a\" }}{{ $labels.method }}{{ end }}",
    "{{ /* a comment */}}",
];

fn alert(summary: &str) -> Rule {
    let query = Query::rate("aria_requests_total").by(["method"]).above(1.0);
    Rule::alert("Busy", query)
        .severity(Severity::Warning)
        .summary(summary)
        .description("Look.")
}

fn check_rule(rule: Rule) -> Result<String, String> {
    let rules = Rules::new(families::aria()).group(RuleGroup::new("aria").rule(rule));
    rules.to_yaml().map_err(|error| error.to_string())
}

#[test]
fn templates_that_prometheus_refuses_are_refused() {
    let refused = VALID_TEMPLATES.map(|template| check_rule(alert(template)));
    let refused: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    for template in INVALID_TEMPLATES {
        let error = check_rule(alert(template)).expect_err(template);
        assert!(
            error.starts_with(&format!("rule \"Busy\": template {template:?}: ")),
            "{error}"
        );
    }
    assert_eq!(
        check_rule(alert("{{ $lables.method }}")).unwrap_err(),
        "rule \"Busy\": template \"{{ $lables.method }}\": no variable has the name \
         `$lables`; Prometheus defines $labels, $value, $externalLabels, $externalURL"
    );
}

#[test]
fn promtool_agrees_on_every_template() {
    skip_without!(Promtool);
    let templates: Vec<_> = VALID_TEMPLATES
        .iter()
        .map(|template| (*template, true))
        .chain(INVALID_TEMPLATES.iter().map(|template| (*template, false)))
        .collect();
    let files: Vec<_> = templates
        .iter()
        .map(|(template, _)| file("up == 0", template))
        .collect();
    let verdicts = promtool_verdicts(&files);
    let verdicts = templates.into_iter().zip(verdicts);
    let wrong: Vec<_> = verdicts
        .filter(|((_, expected), verdict)| expected != verdict)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Prometheus accepts these files, but the texts of a firing alert would be empty or an error.
#[test]
fn templates_use_only_labels_that_the_query_keeps() {
    for template in [
        "{{ $labels.model }}",
        "{{ .Labels.model }}",
        "{{ $.Labels.model }}",
        "{{ if true }}{{ $labels.model }}{{ end }}",
        "{{ with $value }}{{ $labels.model }}{{ end }}",
        // The rule adds this label after the templates are evaluated.
        "{{ $labels.severity }}",
    ] {
        let error = check_rule(alert(template)).expect_err(template);
        assert!(error.contains("it keeps \"method\""), "{error}");
    }
    let error = check_rule(alert("{{ .Labls.method }}")).unwrap_err();
    assert!(error.contains("no field has the name `.Labls`"), "{error}");
    let error = check_rule(alert("{{ $x = 1 }}")).unwrap_err();
    assert!(error.contains("no variable has the name `$x`"), "{error}");
    // Fields of other values are not checked.
    let of_samples = "{{ range query \"up\" }}{{ .Labels.job }}{{ end }}";
    assert!(check_rule(alert(of_samples)).is_ok());
}

#[test]
fn descriptions_labels_and_runbooks_are_templates_too() {
    let undefined = "{{ $lables.method }}";
    for rule in [
        alert("Busy").description(undefined),
        alert("Busy").label("team", undefined),
        alert("Busy").runbook_url(format!("https://wiki.example/{undefined}")),
    ] {
        let error = check_rule(rule).unwrap_err();
        assert!(error.contains("no variable has the name"), "{error}");
    }
    // Prometheus does not expand the labels of recorded series.
    let recorded = Rule::record(
        "method:aria_requests:rate5m",
        Query::rate("aria_requests_total").by(["method"]),
    );
    assert!(check_rule(recorded.label("team", undefined)).is_ok());
}
