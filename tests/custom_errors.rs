//! Compile errors of `catalogue!` and `labels!`.
//!
//! Each case is a program of a generated package, checked with the installed compiler and the lock file of this
//! workspace. Only the error messages of this crate are compared, because those of the compiler change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SHOP: &str = r#"
#![allow(dead_code)]
use tower_prometheus::{Counter, Gauge, Histogram, Info, Registry, StateSet, catalogue, labels};
labels! {
    enum Payment("payment") { Card = "card", Cash = "cash" }
    enum Reason("reason") { Late = "late", Broken = "broken" }
    struct Order { payment: Payment, country: open(3) }
}
catalogue! {
    #[prefix = "shop_"]
    struct Shop {
        /// Orders.
        orders_total: Counter<Order>,
        /// Refunds.
        refunds_total: Counter<Payment>,
    }
}
fn main() {
    let shop = Shop::on(&Registry::new()).unwrap();
    shop.orders_total.with(Order { payment: Payment::Card, country: "NZ" }).increment();
"#;

/// Programs that compile: a name, and the code that follows in `main` or after it.
const VALID: [(&str, &str); 7] = [
    ("catalogue", "}"),
    (
        "items_with_the_names_of_fields",
        "} impl Shop {
            #[allow(non_upper_case_globals)]
            const orders_total: u64 = 1;
            fn refunds_total(&self) -> u64 { Self::orders_total }
        }",
    ),
    (
        "one_type_on_a_registry_and_globally",
        "let mut shop = shop; if false { shop = Shop::global(); } shop.refunds_total.with(Payment::Card).increment(); }",
    ),
    (
        "state_sets",
        "} catalogue! { struct States {
            /// State of the shop.
            shop_state: StateSet<Reason>,
            /// State by country.
            country_state: StateSet<Reason, Order>,
            /// Whether the shop is open.
            open: StateSet<bool>,
        } }
        fn set(states: States) {
            states.shop_state.set(Reason::Late);
            states.country_state.with(Order { payment: Payment::Card, country: \"NZ\" }).set(Reason::Broken);
            states.open.set(true);
        }",
    ),
    (
        "metrics_with_unconventional_names",
        "} catalogue! { struct Old {
            /// Hits.
            hits: Counter { unconventional: true },
            /// The build.
            build: Info<Payment> { unconventional: true },
            /// Jobs.
            jobs_total: Gauge { unconventional: true },
        } }",
    ),
    // The macros may use these names in their expansion.
    (
        "fields_named_like_parts_of_the_macro",
        "} catalogue! { struct Named {
            /// A gauge.
            on: Gauge,
            /// A gauge.
            global: Gauge,
            /// A gauge.
            families: Gauge,
            /// A gauge.
            sink: Gauge,
            /// A gauge.
            define: Gauge,
            /// A gauge.
            destination: Gauge,
            /// A gauge.
            catalogue: Gauge,
            /// A gauge.
            problem: Gauge,
        } }",
    ),
    (
        "labels_named_like_types_of_the_macro",
        r#"} labels! {
            enum Problem("problem") { Late = "late" }
            enum Destination("destination") { Home = "home" }
            enum Definition("definition") { Short = "short" }
        }
        catalogue! { struct Named {
            /// Counts problems.
            one_total: Counter<Problem>,
            /// Counts destinations.
            two_total: Counter<Destination>,
            /// Counts definitions.
            three_total: Counter<Definition>,
        } }"#,
    ),
];

/// Programs that do not compile: a name, the code that follows in `main` or after it, and a part of the messages.
const INVALID: [(&str, &str, &str); 36] = [
    (
        "labels_of_another_type",
        "shop.refunds_total.with(Reason::Late).increment(); }",
        "this metric has the labels `Payment`, not `Reason`",
    ),
    (
        "no_labels",
        "shop.refunds_total.increment(); }",
        "this metric has the labels `Payment`: call `.with(…)` first, which returns one of its series",
    ),
    (
        "no_open_labels",
        "shop.orders_total.add(2); }",
        "this metric has the labels `Order`: call `.with(…)` first, which returns one of its series",
    ),
    (
        "gauge_without_its_labels",
        "} fn set(gauge: Gauge<Payment>) { gauge.set(1.0); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "gauge_changed_without_its_labels",
        "} fn change(gauge: Gauge<Payment>) { gauge.decrement(); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "float_counter_without_its_labels",
        "} fn add(counter: tower_prometheus::FloatCounter<Payment>) { counter.add(0.5); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "histogram_without_its_labels",
        "} fn observe(histogram: Histogram<Payment>) { histogram.observe(1.0); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "operation_without_its_labels",
        "} fn start(running: tower_prometheus::InProgress<Payment>) { let _running = running.start(); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "state_set_without_its_labels",
        "} fn set(states: StateSet<Reason, Payment>) { states.set(Reason::Late); }",
        "this metric has the labels `Payment`: call `.with(…)` first",
    ),
    (
        "state_of_another_enum",
        "} fn set(states: StateSet<Reason>) { states.set(Payment::Card); }",
        "expected `Reason`, found `Payment`",
    ),
    (
        "state_as_text",
        r#"} fn set(states: StateSet<Reason>) { states.set("lost"); }"#,
        "expected `Reason`, found `&str`",
    ),
    (
        "states_that_are_no_enum",
        "} catalogue! { struct Wrong {
            /// A state.
            state: StateSet<String>,
        } }",
        "`String` is not a label type",
    ),
    (
        "state_set_with_the_name_of_its_label",
        "} catalogue! { struct Wrong {
            /// A state.
            payment: StateSet<Reason, Payment>,
        } }",
        "`payment`: the name of a state set is also the name of its label for the state, so it must not be the name of \
         another label, `le` or `quantile`, nor start with `__`",
    ),
    (
        "too_many_states",
        "} labels! { struct Many {
            a: bool, b: bool, c: bool, d: bool, e: bool, f: bool, g: bool,
            h: bool, i: bool, j: bool, k: bool, l: bool, m: bool,
        } }
        catalogue! { struct Wrong {
            /// A state.
            state: StateSet<Reason, Many>,
        } }",
        "`state`: a state set must have at least one state, and can have at most 10,000 combinations of states and values of \
         closed labels",
    ),
    (
        "text_for_an_enum_label",
        r#"shop.orders_total.with(Order { payment: "card", country: "NZ" }).increment(); }"#,
        "expected `Payment`",
    ),
    (
        "missing_label",
        "shop.orders_total.with(Order { payment: Payment::Card }).increment(); }",
        "missing field `country` in initializer of `Order",
    ),
    (
        "text_instead_of_labels",
        r#"shop.refunds_total.with("card").increment(); }"#,
        "this metric has the labels `Payment`, not `&str`",
    ),
    (
        "type_that_is_no_label_set",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            one_total: Counter<String>,
        } }",
        "`String` is not a set of labels",
    ),
    (
        "type_that_is_no_label",
        "} labels! { struct Wrong { country: String } }",
        "`String` is not a label type",
    ),
    (
        "type_that_is_no_metric",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            one_total: u64,
        } }",
        "`u64` is not a metric type",
    ),
    (
        "counter_name",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            orders: Counter,
        } }",
        "`orders`: the name of a counter must end in `_total`; rename it, or set `unconventional: true`",
    ),
    (
        "gauge_name",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            jobs_total: Gauge,
        } }",
        "`jobs_total`: only the name of a counter may end in `_total`; rename it, or set `unconventional: true`",
    ),
    (
        "info_name",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            build: Info<Payment>,
        } }",
        "`build`: the name of an info metric must end in `_info`; rename it, or set `unconventional: true`",
    ),
    (
        "metric_name",
        r#"} catalogue! { struct Wrong {
            /// Counts problems.
            one: Gauge { name: "my.gauge" },
        } }"#,
        "`one`: the metric name must be letters, digits and `_`, and must not start with a digit",
    ),
    (
        "no_help",
        "} catalogue! { struct Wrong { one: Gauge } }",
        "`one`: the doc comment is missing; its first paragraph is the HELP text",
    ),
    (
        "no_buckets",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            cost: Histogram,
        } }",
        "`cost`: set `buckets`; the default buckets are only for metrics in seconds",
    ),
    (
        "decreasing_buckets",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            cost: Histogram { buckets: [1.0, 0.5] },
        } }",
        "`cost`: `buckets` must be finite and in increasing order",
    ),
    (
        "unknown_option",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            cost: Histogram { bucket: [1.0] },
        } }",
        "no method named `bucket` found",
    ),
    (
        "reserved_label",
        "} labels! { struct Wrong { le: open } }",
        "`Wrong`: a label name must not be `le` or `quantile` and must not start with `__`",
    ),
    (
        "duplicate_value",
        r#"} labels! { enum Wrong { One = "same", Two = "same" } }"#,
        "`Wrong`: two variants have the same label value",
    ),
    (
        "histogram_sample_name",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            jobs_count: Gauge,
        } }",
        "`jobs_count`: a name that ends in `_bucket`, `_sum` or `_count` looks like a sample of a histogram; \
         rename it, or set `unconventional: true`",
    ),
    (
        "buckets_of_a_gauge",
        "} catalogue! { struct Wrong {
            /// Counts problems.
            jobs: Gauge { buckets: [1.0] },
        } }",
        "`jobs`: only a histogram can have `buckets`",
    ),
    (
        "label_name",
        r#"} labels! { enum Wrong("1st") { One = "one" } }"#,
        "`Wrong`: a label name must be letters, digits and `_`, and must not start with a digit",
    ),
    (
        "open_label_without_values",
        "} labels! { struct Wrong { country: open(0) } }",
        "`Wrong`: the limit of an open label must be at least 1, got `open(0)`",
    ),
    (
        "seven_open_labels",
        "} labels! { struct Wrong { a: open, b: open, c: open, d: open, e: open, f: open, g: open } }",
        "`Wrong`: a label set can have at most 6 open labels",
    ),
    (
        "too_many_combinations",
        "} labels! { struct Wrong {
            a: bool, b: bool, c: bool, d: bool, e: bool, f: bool, g: bool,
            h: bool, i: bool, j: bool, k: bool, l: bool, m: bool, n: bool,
        } }",
        "`Wrong`: the closed labels of a set can have at most 10,000 combinations of values",
    ),
];

#[test]
fn valid_catalogues_compile() {
    let package = package("valid");
    let mut failed = Vec::new();
    for (name, program) in VALID {
        write(&package, name, program);
        let (compiles, messages) = check(&package, name);
        if !compiles {
            failed.push(format!("{name}:\n{messages}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn invalid_catalogues_do_not_compile_and_the_error_says_why() {
    let package = package("invalid");
    for (name, program, expected) in INVALID {
        write(&package, name, program);
        let (compiles, messages) = check(&package, name);
        assert!(!compiles, "{name} must not compile");
        assert!(messages.contains(expected), "{name}:\n{messages}");
    }
}

/// Creates a package that depends on this crate.
fn package(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("custom_errors");
    let package = packages.join(name);
    let programs = package.join("src/bin");
    let _ = fs::remove_dir_all(&programs);
    fs::create_dir_all(&programs).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         tower-prometheus = {{ path = {root:?}, default-features = false }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    package
}

/// Writes a program that begins with `SHOP`.
fn write(package: &Path, name: &str, rest: &str) {
    let program = package.join(format!("src/bin/{name}.rs"));
    fs::write(program, format!("{SHOP}{rest}")).unwrap();
}

/// Checks a program with cargo. Returns whether it compiles, and the messages.
fn check(package: &Path, name: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--bin", name])
        .current_dir(package)
        // Both tests share a target directory, so that the dependencies are built once.
        .env("CARGO_TARGET_DIR", package.with_file_name("target"))
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
