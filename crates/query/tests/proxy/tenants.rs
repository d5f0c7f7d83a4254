//! With forced labels, every selector of every query to the upstream has their matchers.

use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use promql_parser::parser::{Expr, parse};
use proptest::prelude::*;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FakeUpstream, FullResponse, ReceivedRequest, get};

/// Returns the target of a range query.
fn range_query(query: &str) -> String {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("/query_range?query={query}&start=0&end=60")
}

/// Parses a query. The tree is comparable, because the printer sorts the matchers.
#[track_caller]
fn tree(query: &str) -> Expr {
    let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    parse(&tree.to_string()).unwrap()
}

async fn upstream_and_proxy() -> (FakeUpstream, QueryProxy) {
    let upstream = FakeUpstream::with_text(r#"{"status":"success","data":{"result":[]}}"#).await;
    let proxy = upstream.proxy().force_label("tenant", "a").build().unwrap();
    (upstream, proxy)
}

/// Sends a query through the proxy and returns the query that the upstream received.
async fn sent(upstream: &FakeUpstream, proxy: &QueryProxy, query: &str) -> String {
    let response = get(proxy, &range_query(query)).await;
    assert_eq!(response.status, 200, "{query}: {response:?}");
    let request: ReceivedRequest = upstream.requests().pop().unwrap();
    request.parameter("query").unwrap()
}

#[tokio::test]
async fn matcher_is_added_to_every_selector() {
    let (upstream, proxy) = upstream_and_proxy().await;
    for (query, expected) in [
        ("up", r#"up{tenant="a"}"#),
        (r#"{__name__=~".+"}"#, r#"{__name__=~".+",tenant="a"}"#),
        (r#"{"utf8.name"}"#, r#"{__name__="utf8.name",tenant="a"}"#),
        (
            "rate(x[5m] offset 1h)",
            r#"rate(x{tenant="a"}[5m] offset 1h)"#,
        ),
        (
            "x @ end() offset -1h",
            r#"x{tenant="a"} @ end() offset -1h"#,
        ),
        (
            "sum by (job) (x) / on (job) group_left y",
            r#"sum by (job) (x{tenant="a"}) / on (job) group_left () y{tenant="a"}"#,
        ),
        (
            "max_over_time(rate(x[1m])[1h:5m])",
            r#"max_over_time(rate(x{tenant="a"}[1m])[1h:5m])"#,
        ),
        // The parser's visitor skips parameters of aggregations.
        (
            "topk(scalar(y), x)",
            r#"topk(scalar(y{tenant="a"}), x{tenant="a"})"#,
        ),
        (
            "quantile(scalar(y), x)",
            r#"quantile(scalar(y{tenant="a"}), x{tenant="a"})"#,
        ),
        (
            "x and y unless z or -v",
            r#"x{tenant="a"} and y{tenant="a"} unless z{tenant="a"} or -v{tenant="a"}"#,
        ),
        ("absent(x)", r#"absent(x{tenant="a"})"#),
        ("sum by () (x)", r#"sum(x{tenant="a"})"#),
        ("1 + 1", "1 + 1"),
        (
            r#"x{a=~"[0-9a-f]{8}-[0-9a-f]{12}",b=~"\\d{3,5}|a{,2}"}"#,
            r#"x{a=~"[0-9a-f]{8}-[0-9a-f]{12}",b=~"\\d{3,5}|a{,2}",tenant="a"}"#,
        ),
        (
            r#"x{a="\x41\u00e9\101\t",b=~"(?P<x>a)|(?i)\\x7b"}"#,
            r#"x{a="A\u00e9A\t",b=~"(?P<x>a)|(?i)\\x7b",tenant="a"}"#,
        ),
    ] {
        let sent = sent(&upstream, &proxy, query).await;
        assert_eq!(tree(&sent), tree(expected), "{query}: {sent}");
    }
}

/// Matchers of the client on the forced label are kept: both must match.
#[tokio::test]
async fn client_matchers_cannot_select_other_tenants() {
    let (upstream, proxy) = upstream_and_proxy().await;
    for (query, expected) in [
        (r#"x{tenant="b"}"#, r#"x{tenant="b",tenant="a"}"#),
        (r#"x{tenant=~".*"}"#, r#"x{tenant=~".*",tenant="a"}"#),
        (r#"x{tenant!="a"}"#, r#"x{tenant!="a",tenant="a"}"#),
        (r#"x{tenant=""}"#, r#"x{tenant="",tenant="a"}"#),
        // Alternatives in VictoriaMetrics' selectors.
        (
            r#"x{tenant="b" or job="y"}"#,
            r#"x{tenant="b",tenant="a" or job="y",tenant="a"}"#,
        ),
        (
            r#"x{a="1",b="2" or c="3" or d="4"}"#,
            r#"x{a="1",b="2",tenant="a" or c="3",tenant="a" or d="4",tenant="a"}"#,
        ),
        // Quotes inside of strings that look like the end of the string.
        (
            r#"x{y="\"} or {z=\""}"#,
            r#"x{y="\"} or {z=\"",tenant="a"}"#,
        ),
        (r"x{y='\'} or {z=\''}", r#"x{y="'} or {z='",tenant="a"}"#),
        ("x{y=`\"} or {z=\"`}", r#"x{y="\"} or {z=\"",tenant="a"}"#),
        (r#"x{y="\\"}"#, r#"x{y="\\",tenant="a"}"#),
        ("x # } or y\n", r#"x{tenant="a"}"#),
        // `label_replace` changes the labels of the result, not the selected series.
        (
            r#"label_replace(x, "tenant", "b", "", "")"#,
            r#"label_replace(x{tenant="a"}, "tenant", "b", "", "")"#,
        ),
    ] {
        let sent = sent(&upstream, &proxy, query).await;
        assert_eq!(tree(&sent), tree(expected), "{query}: {sent}");
    }
}

fn assert_rejected(response: &FullResponse, query: &str) {
    let json = response.json();
    assert_eq!(
        (response.status, &json["errorType"]),
        (400, &"bad_data".into()),
        "{query}: {response:?}"
    );
    assert_eq!(
        json["error"],
        "the forced labels cannot be added to the query"
    );
}

#[tokio::test]
async fn unsupported_queries_are_rejected_only_with_forced_labels() {
    let (upstream, proxy) = upstream_and_proxy().await;
    let unrestricted = upstream.proxy().build().unwrap();
    let unsupported = [
        "WITH (x = up) x",
        "rate(x)",
        "x default 0",
        "x keep_metric_names",
        "range_avg(x)",
        "topk_avg(3, x)",
        "x[5i]",
        "sum(x) limit 3",
        "{a=\"1\"} + ",
        "sum(",
        "info(x)",
        "info(x, {a=\"1\"})",
        "x{tenant=\"a\"",
        "x; y",
        "{}",
        // Regular expressions that take long to compile, in every notation of strings.
        r#"x{a=~"(a{100}){101}"}"#,
        r#"x{a=~"(a{ 100 ,}){ 1 , 101 }"}"#,
        r#"x{a=~"((a{100})'\"`#){101}"}"#,
        r##"x{a=~'((a{100})"#){101}'}"##,
        r#"x{a=~`((a{100})\){101}`}"#,
        "x # \"\n{a=~\"(a{100}){101}\"}",
        "x # \r{a=~\"(a{100}){101}\"}",
        r#"x{a=~"(a\x7b100}){101}"}"#,
        r#"x{a=~"(a\173100}){101}"}"#,
        r#"x{a=~"(a\u007b100}){101}"}"#,
        // Whitespace in front of a count, as an escape and literally.
        r#"x{a=~"(a{\t100}){\t101}"}"#,
        r#"x{a=~'(a{\v\f100}){\r101\n}'}"#,
        r#"x{a=~"(a{\u2003100}){\040101}"}"#,
        "x{a=~`(a{\t100}){\n101}`}",
        // With the flag x, whitespace and comments may be anywhere.
        r#"x{a=~"(?x)(a{1 0 0}){1 0 1}"}"#,
        r#"x{a=~"(?ix:(a{#1\n100}){#1\n101})"}"#,
        r#"x{a=~"(?\u0078)a"}"#,
    ];
    for query in unsupported {
        assert_rejected(&get(&proxy, &range_query(query)).await, query);
    }
    assert!(upstream.requests().is_empty());
    for query in unsupported {
        assert_eq!(sent(&upstream, &unrestricted, query).await, query);
    }
}

/// Deep syntax trees do not overflow the stack, and a panic of the parser is a 400.
#[tokio::test]
async fn deeply_nested_and_malformed_queries_get_a_response() {
    let (upstream, proxy) = upstream_and_proxy().await;
    let nested = |open: &str, inner: &str, close: &str| {
        let times = (8192 - inner.len()) / (open.len() + close.len());
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for query in [
        nested("(", "x", ")"),
        nested("((", "x", ")"),
        nested("-", "x", ""),
        nested("+", "x", ""),
        nested("x+", "x", ""),
        nested("x^", "x", ""),
        nested("x or ", "x", ""),
        nested("sum(", "x", ")"),
        nested("abs(", "x", ")"),
        nested("topk(1,", "x", ")"),
        nested("topk(scalar(", "x", "),x)"),
        nested("", "x", "[1s:]"),
        nested("max_over_time(", "x", "[1s:])"),
        nested("{", "x", "}"),
        nested("[", "x", "]"),
        nested("x{a=\"", "", "\"}"),
        nested("", "x", "{a=~\"(\\\\w{300}){30}\"} or x"),
        nested("\"", "", ""),
        nested("#", "", ""),
        nested("\u{e9}", "", ""),
        "x[1e30]".into(),
        "x[1e300s]".into(),
        "x[-1]".into(),
        "x[-5m]".into(),
        "x[NaN]".into(),
        "x[Inf]".into(),
        "x[5m:-1]".into(),
        "x[5m:1e30]".into(),
        "x offset 1e30".into(),
        "x offset -1e30".into(),
        "x @ 1e30".into(),
        "x @ -1e300".into(),
        "x[99999999999999999999y]".into(),
        "x[999999999y999999999w]".into(),
        "0x".into(),
        "1e".into(),
        "\\".into(),
        "'\\".into(),
        "'\\xff'".into(),
        "'\\ud800'".into(),
        "'\\777'".into(),
    ] {
        let response = get(&proxy, &range_query(&query)).await;
        assert!(
            matches!(response.status, 200 | 400),
            "{query}: {response:?}"
        );
    }
    // Deep trees are not rejected: the query is rewritten.
    let deep = sent(&upstream, &proxy, &nested("(", "x", ")")).await;
    assert!(deep.contains(r#"x{tenant="a"}"#));
}

/// Runs a child process, because the panic hook is global.
#[test]
fn thread_of_a_query_counts_towards_the_concurrency_limit_until_it_ends() {
    let name = "tenants::helper_that_keeps_the_thread_of_a_query_running";
    let output = test_support::child_test::ignored_test(name).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
#[ignore = "started by thread_of_a_query_counts_towards_the_concurrency_limit_until_it_ends"]
async fn helper_that_keeps_the_thread_of_a_query_running() {
    // The parser panics, and the hook keeps the thread running.
    const PANICS: &str = "x[1e30]";
    let (started, mut has_started) = tokio::sync::mpsc::unbounded_channel();
    let (end, ends) = mpsc::channel();
    let ends = Mutex::new(ends);
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("promql") {
            started.send(()).unwrap();
            ends.lock().unwrap().recv().unwrap();
        } else {
            eprintln!("{panic}");
        }
    }));
    for times_out in [false, true] {
        let upstream = FakeUpstream::with_text("").await;
        let proxy = upstream.proxy().force_label("tenant", "a");
        let proxy = proxy.max_concurrent(1).query_timeout(match times_out {
            true => Duration::from_millis(200),
            false => Duration::from_secs(3600),
        });
        let proxy = proxy.build().unwrap();
        let target = range_query(PANICS);
        let query = get(&proxy, &target);
        if times_out {
            let response = query.await;
            response.assert_error(504, "timeout");
            let error = response.json()["error"].clone();
            assert_eq!(error, "the forced labels were not added in time");
            has_started.recv().await.unwrap();
        } else {
            // The client disconnects.
            tokio::select! {
                response = query => panic!("{response:?}"),
                started = has_started.recv() => started.unwrap(),
            }
        }
        let other = async || get(&proxy, &range_query("up")).await;
        other().await.assert_error(503, "too_many_queries");
        assert!(upstream.requests().is_empty());
        end.send(()).unwrap();
        let admitted = async { while other().await.status != 200 {} };
        let admitted = tokio::time::timeout(Duration::from_secs(20), admitted).await;
        admitted.expect("the permit is not released");
    }
}

#[tokio::test]
async fn several_labels_and_values_with_quotes_are_added() {
    let upstream = FakeUpstream::with_text("").await;
    let proxy = upstream
        .proxy()
        .force_label("tenant", "a\"} or {x=\"\\\n")
        .force_label("zone", "b");
    let proxy = proxy.build().unwrap();
    let sent = sent(&upstream, &proxy, "x").await;
    let expected = r#"x{tenant="a\"} or {x=\"\\\n",zone="b"}"#;
    assert_eq!(tree(&sent), tree(expected), "{sent}");
}

#[tokio::test]
async fn services_query_has_the_forced_labels() {
    let (upstream, proxy) = upstream_and_proxy().await;
    get(&proxy, "/services").await;
    let request = upstream.only_request().parameter("query").unwrap();
    assert_eq!(tree(&request), tree(r#"group by (job) (up{tenant="a"})"#));
}

/// A query of the client, and the expected query to the upstream.
#[derive(Clone, Debug)]
struct QueryPair {
    query: String,
    expected: String,
}

impl QueryPair {
    fn plain(text: &str) -> Self {
        Self {
            query: text.into(),
            expected: text.into(),
        }
    }

    fn wrapped(parts: &[&str], inner: &[&Self]) -> Self {
        let join = |text: fn(&Self) -> &str| {
            let mut all = String::new();
            for (position, part) in parts.iter().enumerate() {
                all.push_str(part);
                all.push_str(inner.get(position).map_or("", |inner| text(inner)));
            }
            all
        };
        Self {
            query: join(|queries| &queries.query),
            expected: join(|queries| &queries.expected),
        }
    }
}

fn matcher() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["job", "tenant", "le", "or", "by", "sum", "__name__"]);
    let text = prop_oneof![any::<String>(), "[a-z\"'`\\\\{}#\n,=]{0,8}"];
    let equality = (name.clone(), prop::sample::select(vec!["=", "!="]), text)
        .prop_map(|(name, op, text)| format!("{name}{op}{}", quoted(&text)));
    let regex = (
        name,
        prop::sample::select(vec!["=~", "!~"]),
        "[a-z.|*]{1,6}",
    )
        .prop_filter("a valid regular expression", |(_, _, text)| {
            is_valid_regex(text)
        })
        .prop_map(|(name, op, text)| format!("{name}{op}\"{text}\""));
    prop_oneof![equality, regex]
}

fn is_valid_regex(text: &str) -> bool {
    parse(&format!("x{{a=~\"{text}\"}}")).is_ok()
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn selector() -> impl Strategy<Value = QueryPair> {
    let name = prop::sample::select(vec!["up", "x:y", "start", "http_requests_total"]);
    (name, prop::collection::vec(matcher(), 0..3)).prop_map(|(name, matchers)| {
        let mut expected = matchers.clone();
        expected.push("tenant=\"a\"".to_owned());
        QueryPair {
            query: format!("{name}{{{}}}", matchers.join(",")),
            expected: format!("{name}{{{}}}", expected.join(" , ")),
        }
    })
}

fn vector() -> impl Strategy<Value = QueryPair> {
    let timed = (
        selector(),
        prop::sample::select(vec![
            "",
            " offset 5m",
            " offset -1h",
            " @ 1700000000",
            " @ end()",
            " @ start() offset 1w",
        ]),
    )
        .prop_map(|(selector, time)| QueryPair::wrapped(&["", time], &[&selector]));
    let ranged = (
        selector(),
        prop::sample::select(vec!["[5m]", "[1h30m] offset 5m", "[500ms]", "[1d] @ 1.5"]),
    )
        .prop_map(|(selector, range)| {
            QueryPair::wrapped(&["rate(", &format!("{range})")], &[&selector])
        });
    let leaf = prop_oneof![
        timed,
        ranged,
        Just(QueryPair::plain("vector(1.5e-3)")),
        Just(QueryPair::plain("vector(-Inf)"))
    ];
    leaf.prop_recursive(5, 32, 3, |inner| {
        let unary = prop::sample::select(vec![
            ["sum by (a, b) (", ")"],
            ["avg without (a) (", ")"],
            ["count(", ") by (a)"],
            ["-", ""],
            ["(", ")"],
            ["max_over_time((", ")[1h:5m])"],
            ["avg_over_time((", ")[1h:] offset 5m)"],
            ["histogram_quantile(0.9, ", ")"],
            ["label_replace(", ", \"d\", \"$1\", \"s\", \"(.*)\\\\n\")"],
            ["label_join(", ", \"tenant\", \",\", \"x\")"],
            ["count_values(\"v\\\"\", ", ")"],
            ["absent(", ")"],
            ["vector(scalar(", "))"],
            ["topk(3, ", ")"],
            ["clamp(", ", 0, 0x1F)"],
        ]);
        let binary = prop::sample::select(vec![
            ["", " + ", ""],
            ["", " ^ ", ""],
            ["", " % on (a) ", ""],
            ["", " * ignoring (a, b) group_left (c) ", ""],
            ["", " / on () group_right ", ""],
            ["", " > bool ", ""],
            ["", " == ", ""],
            ["", " and on (a) ", ""],
            ["", " or ", ""],
            ["", " unless ignoring (a) ", ""],
            ["topk(scalar(", "), ", ")"],
            ["quantile(scalar(", "), ", ") by (a)"],
            ["clamp_max(", ", scalar(", "))"],
        ]);
        prop_oneof![
            (unary, inner.clone()).prop_map(|(parts, a)| QueryPair::wrapped(&parts, &[&a])),
            (binary, inner.clone(), inner)
                .prop_map(|(parts, a, b)| QueryPair::wrapped(&parts, &[&a, &b])),
        ]
    })
}

/// The upstream is shared by all generated cases.
static UPSTREAM: LazyLock<(tokio::runtime::Runtime, FakeUpstream, QueryProxy)> =
    LazyLock::new(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (upstream, proxy) = runtime.block_on(upstream_and_proxy());
        (runtime, upstream, proxy)
    });

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rewritten query has the tree of the original, with the matcher in every selector.
    #[test]
    fn rewriting_adds_only_the_matcher(queries in vector()) {
        let (runtime, upstream, proxy) = &*UPSTREAM;
        if parse(&queries.expected).is_err() {
            // Some generated queries are invalid, and the proxy must reject them.
            let response = runtime.block_on(get(proxy, &range_query(&queries.query)));
            prop_assert_eq!(response.status, 400);
            return Ok(());
        }
        let sent = runtime.block_on(sent(upstream, proxy, &queries.query));
        prop_assert_eq!(tree(&sent), tree(&queries.expected), "{}", sent);
    }

    /// The response is 200 or 400, not a panic or a hang.
    #[test]
    fn any_text_gets_a_response(query in "[a-z{}()\\[\\]=~!\"'`\\\\#:@0-9.,+*/ \n-]{1,40}") {
        let (runtime, _, proxy) = &*UPSTREAM;
        let response = runtime.block_on(get(proxy, &range_query(&query)));
        prop_assert!(matches!(response.status, 200 | 400), "{:?}", response);
    }
}
