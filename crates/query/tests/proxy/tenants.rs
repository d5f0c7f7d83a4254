//! A tenant sees its own series: whatever it asks, every selector that reaches the store is bound to it.

use std::sync::LazyLock;

use promql_parser::parser::{Expr, parse};
use proptest::prelude::*;
use tower_prometheus::query::QueryProxy;

use crate::store::{Answer, Asked, Store, get};

/// A range query with that text.
fn asking(query: &str) -> String {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("/query_range?query={query}&start=0&end=60")
}

/// What a query means: the parser's tree, with matchers in one order.
#[track_caller]
fn tree(query: &str) -> Expr {
    let once = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    parse(&once.to_string()).unwrap()
}

async fn store_and_proxy() -> (Store, QueryProxy) {
    let store = Store::saying(r#"{"status":"success","data":{"result":[]}}"#).await;
    let proxy = store.proxy().force_label("tenant", "a").build().unwrap();
    (store, proxy)
}

async fn sent(store: &Store, proxy: &QueryProxy, query: &str) -> String {
    let answer = get(proxy, &asking(query)).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let asked: Asked = store.asked().pop().unwrap();
    asked.parameter("query").unwrap()
}

#[tokio::test]
async fn every_selector_gets_the_matcher() {
    let (store, proxy) = store_and_proxy().await;
    for (query, bound) in [
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
        // What a visitor easily forgets: parameters of aggregations.
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
    ] {
        let sent = sent(&store, &proxy, query).await;
        assert_eq!(tree(&sent), tree(bound), "{query}: {sent}");
    }
}

/// What a user wrote on the forced label stays beside it: both must match.
#[tokio::test]
async fn nothing_widens_it() {
    let (store, proxy) = store_and_proxy().await;
    for (query, bound) in [
        (r#"x{tenant="b"}"#, r#"x{tenant="b",tenant="a"}"#),
        (r#"x{tenant=~".*"}"#, r#"x{tenant=~".*",tenant="a"}"#),
        (r#"x{tenant!="a"}"#, r#"x{tenant!="a",tenant="a"}"#),
        (r#"x{tenant=""}"#, r#"x{tenant="",tenant="a"}"#),
        // VictoriaMetrics' alternatives.
        (
            r#"x{tenant="b" or job="y"}"#,
            r#"x{tenant="b",tenant="a" or job="y",tenant="a"}"#,
        ),
        (
            r#"x{a="1",b="2" or c="3" or d="4"}"#,
            r#"x{a="1",b="2",tenant="a" or c="3",tenant="a" or d="4",tenant="a"}"#,
        ),
        // What looks like the end of a string, and is none.
        (
            r#"x{y="\"} or {z=\""}"#,
            r#"x{y="\"} or {z=\"",tenant="a"}"#,
        ),
        (r"x{y='\'} or {z=\''}", r#"x{y="'} or {z='",tenant="a"}"#),
        ("x{y=`\"} or {z=\"`}", r#"x{y="\"} or {z=\"",tenant="a"}"#),
        (r#"x{y="\\"}"#, r#"x{y="\\",tenant="a"}"#),
        ("x # } or y\n", r#"x{tenant="a"}"#),
        // The labels of what was selected change, not what is selected.
        (
            r#"label_replace(x, "tenant", "b", "", "")"#,
            r#"label_replace(x{tenant="a"}, "tenant", "b", "", "")"#,
        ),
    ] {
        let sent = sent(&store, &proxy, query).await;
        assert_eq!(tree(&sent), tree(bound), "{query}: {sent}");
    }
}

fn assert_refused(answer: &Answer, query: &str) {
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["errorType"]),
        (400, &"bad_data".into()),
        "{query}: {answer:?}"
    );
    assert_eq!(json["error"], "the query cannot be bound to this tenant");
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_and_without_a_tenant_passes_untouched() {
    let (store, proxy) = store_and_proxy().await;
    let free = store.proxy().build().unwrap();
    let extensions = [
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
        // Regular expressions that would take long, however they are dressed up.
        r#"x{a=~"(a{100}){101}"}"#,
        r#"x{a=~"(a{ 100 ,}){ 1 , 101 }"}"#,
        r#"x{a=~"((a{100})'\"`#){101}"}"#,
        r##"x{a=~'((a{100})"#){101}'}"##,
        r#"x{a=~`((a{100})\){101}`}"#,
        "x # \"\n{a=~\"(a{100}){101}\"}",
        r#"x{a=~"(a\x7b100}){101}"}"#,
        r#"x{a=~"(a\173100}){101}"}"#,
        r#"x{a=~"(a\u007b100}){101}"}"#,
    ];
    for query in extensions {
        assert_refused(&get(&proxy, &asking(query)).await, query);
    }
    assert!(store.asked().is_empty());
    for query in extensions {
        assert_eq!(sent(&store, &free, query).await, query);
    }
}

/// Trees as deep as a query is long must not exhaust a stack, and what makes the parser panic is its own affair.
#[tokio::test]
async fn hostile_queries_are_answered() {
    let (store, proxy) = store_and_proxy().await;
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
        let answer = get(&proxy, &asking(&query)).await;
        assert!(matches!(answer.status, 200 | 400), "{query}: {answer:?}");
    }
    // Where both ways are right, the bound tree is deep, too.
    let deep = sent(&store, &proxy, &nested("(", "x", ")")).await;
    assert!(deep.contains(r#"x{tenant="a"}"#));
}

#[tokio::test]
async fn several_labels_and_odd_values() {
    let store = Store::saying("").await;
    let proxy = store
        .proxy()
        .force_label("tenant", "a\"} or {x=\"\\\n")
        .force_label("zone", "b");
    let proxy = proxy.build().unwrap();
    let sent = sent(&store, &proxy, "x").await;
    let bound = r#"x{tenant="a\"} or {x=\"\\\n",zone="b"}"#;
    assert_eq!(tree(&sent), tree(bound), "{sent}");
}

#[tokio::test]
async fn the_list_of_services_is_the_tenants() {
    let (store, proxy) = store_and_proxy().await;
    get(&proxy, "/services").await;
    let asked = store.asked_once().parameter("query").unwrap();
    assert_eq!(tree(&asked), tree(r#"group by (job) (up{tenant="a"})"#));
}

/// A query, and the same query as it must reach the store.
#[derive(Clone, Debug)]
struct Pair {
    query: String,
    bound: String,
}

impl Pair {
    fn plain(text: &str) -> Self {
        Self {
            query: text.into(),
            bound: text.into(),
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
            query: join(|pair| &pair.query),
            bound: join(|pair| &pair.bound),
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
        .prop_filter("a regular expression", |(_, _, text)| regex_is_fine(text))
        .prop_map(|(name, op, text)| format!("{name}{op}\"{text}\""));
    prop_oneof![equality, regex]
}

fn regex_is_fine(text: &str) -> bool {
    parse(&format!("x{{a=~\"{text}\"}}")).is_ok()
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn selector() -> impl Strategy<Value = Pair> {
    let name = prop::sample::select(vec!["up", "x:y", "start", "http_requests_total"]);
    (name, prop::collection::vec(matcher(), 0..3)).prop_map(|(name, matchers)| {
        let mut bound = matchers.clone();
        bound.push("tenant=\"a\"".to_owned());
        Pair {
            query: format!("{name}{{{}}}", matchers.join(",")),
            bound: format!("{name}{{{}}}", bound.join(" , ")),
        }
    })
}

fn vector() -> impl Strategy<Value = Pair> {
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
        .prop_map(|(selector, time)| Pair::wrapped(&["", time], &[&selector]));
    let ranged = (
        selector(),
        prop::sample::select(vec!["[5m]", "[1h30m] offset 5m", "[500ms]", "[1d] @ 1.5"]),
    )
        .prop_map(|(selector, range)| {
            Pair::wrapped(&["rate(", &format!("{range})")], &[&selector])
        });
    let leaf = prop_oneof![
        timed,
        ranged,
        Just(Pair::plain("vector(1.5e-3)")),
        Just(Pair::plain("vector(-Inf)"))
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
            (unary, inner.clone()).prop_map(|(parts, a)| Pair::wrapped(&parts, &[&a])),
            (binary, inner.clone(), inner)
                .prop_map(|(parts, a, b)| Pair::wrapped(&parts, &[&a, &b])),
        ]
    })
}

/// One server for all cases.
static SERVED: LazyLock<(tokio::runtime::Runtime, Store, QueryProxy)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, proxy) = runtime.block_on(store_and_proxy());
    (runtime, store, proxy)
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is sent reads as what was asked, with the matcher in every selector and nothing else changed.
    #[test]
    fn rewriting_keeps_the_tree(pair in vector()) {
        let (runtime, store, proxy) = &*SERVED;
        if parse(&pair.bound).is_err() {
            // Not every vector fits everywhere; what is refused there is refused here.
            let answer = runtime.block_on(get(proxy, &asking(&pair.query)));
            prop_assert_eq!(answer.status, 400);
            return Ok(());
        }
        let sent = runtime.block_on(sent(store, proxy, &pair.query));
        prop_assert_eq!(tree(&sent), tree(&pair.bound), "{}", sent);
    }

    /// Whatever text comes, what is sent is bound.
    #[test]
    fn whatever_is_asked_is_answered(query in "[a-z{}()\\[\\]=~!\"'`\\\\#:@0-9.,+*/ \n-]{1,40}") {
        let (runtime, _, proxy) = &*SERVED;
        let answer = runtime.block_on(get(proxy, &asking(&query)));
        prop_assert!(matches!(answer.status, 200 | 400), "{:?}", answer);
    }
}
