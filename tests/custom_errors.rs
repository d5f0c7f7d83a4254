//! What does not compile says why in words that a person understands.
//!
//! Each mistake is a program of a small package, checked with the compiler at hand. Only our own words are
//! compared, because a compiler's are its own. No package is asked for that this one's lock file does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SHOP: &str = r#"
#![allow(dead_code)]
use tower_prometheus::{Counter, Gauge, Histogram, Info, Registry, catalogue, labels};
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

/// What follows in `main`, or after it, and what is said about it.
const MISTAKES: [(&str, &str, &str); 18] = [
    (
        "other_labels",
        "shop.refunds_total.with(Reason::Late).increment(); }",
        "this family has the labels `Payment`, not `Reason`",
    ),
    (
        "no_labels",
        "shop.refunds_total.increment(); }",
        "no method named `increment` found for struct `tower_prometheus::Counter<Payment>`",
    ),
    (
        "text_for_closed",
        r#"shop.orders_total.with(Order { payment: "card", country: "NZ" }).increment(); }"#,
        "expected `Payment`",
    ),
    (
        "missing_label",
        "shop.orders_total.with(Order { payment: Payment::Card }).increment(); }",
        "missing field `country` in initializer of `Order",
    ),
    (
        "text_for_set",
        r#"shop.refunds_total.with("card").increment(); }"#,
        "this family has the labels `Payment`, not `&str`",
    ),
    (
        "not_a_set",
        "} catalogue! { struct Wrong {
            /// One.
            one_total: Counter<String>,
        } }",
        "`String` is not a set of labels",
    ),
    (
        "not_a_label",
        "} labels! { struct Wrong { country: String } }",
        "`String` is not the type of a label",
    ),
    (
        "not_a_metric",
        "} catalogue! { struct Wrong {
            /// One.
            one_total: u64,
        } }",
        "`u64` is not a kind of metric",
    ),
    (
        "counter_name",
        "} catalogue! { struct Wrong {
            /// One.
            orders: Counter,
        } }",
        "`orders` is a counter, and must end in `_total`",
    ),
    (
        "gauge_name",
        "} catalogue! { struct Wrong {
            /// One.
            jobs_total: Gauge,
        } }",
        "`jobs_total` ends in `_total` and is not a counter: rename it, or set `unconventional: true`",
    ),
    (
        "info_name",
        "} catalogue! { struct Wrong {
            /// One.
            build: Info<Payment>,
        } }",
        "`build` is an info, and must end in `_info`",
    ),
    (
        "metric_name",
        r#"} catalogue! { struct Wrong {
            /// One.
            one: Gauge { name: "my.gauge" },
        } }"#,
        "`one` is not a valid metric name: allowed are letters, digits and `_`",
    ),
    (
        "help",
        "} catalogue! { struct Wrong { one: Gauge } }",
        "`one` has no documentation comment, which is its HELP text",
    ),
    (
        "no_buckets",
        "} catalogue! { struct Wrong {
            /// One.
            cost: Histogram,
        } }",
        "`cost` needs `buckets`: the default buckets are for seconds",
    ),
    (
        "wrong_buckets",
        "} catalogue! { struct Wrong {
            /// One.
            cost: Histogram { buckets: [1.0, 0.5] },
        } }",
        "`cost` has buckets that are not finite and increasing",
    ),
    (
        "wrong_option",
        "} catalogue! { struct Wrong {
            /// One.
            cost: Histogram { bucket: [1.0] },
        } }",
        "no method named `bucket` found",
    ),
    (
        "reserved_label",
        "} labels! { struct Wrong { le: open } }",
        "a label cannot be called `le`, `quantile` or `__",
    ),
    (
        "same_value",
        r#"} labels! { enum Wrong { One = "same", Two = "same" } }"#,
        "a value of `Wrong` is there twice",
    ),
];

#[test]
fn mistakes_do_not_compile_and_say_why() {
    let package = package();
    write(&package, "right", "}");
    let (compiles, messages) = check(&package, "right");
    assert!(compiles, "{messages}");
    for (name, mistake, expected) in MISTAKES {
        write(&package, name, mistake);
        let (compiles, messages) = check(&package, name);
        assert!(!compiles, "{name} compiles");
        assert!(messages.contains(expected), "{name}:\n{messages}");
    }
}

fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("custom_errors");
    let programs = package.join("src/bin");
    let _ = fs::remove_dir_all(&programs);
    fs::create_dir_all(&programs).unwrap();
    let manifest = format!(
        "[package]\nname = \"custom-errors\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         tower-prometheus = {{ path = {root:?}, default-features = false }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    package
}

fn write(package: &Path, name: &str, rest: &str) {
    let program = package.join(format!("src/bin/{name}.rs"));
    fs::write(program, format!("{SHOP}{rest}")).unwrap();
}

fn check(package: &Path, name: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--bin", name])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
