//! The public API of each published package equals the listing in `api/<package>.txt`.
//!
//! After an intended change: `UPDATE_API=1 cargo test -p workspace-checks --test public_api`.

use std::{collections::BTreeMap, fs, path::Path};

use workspace_checks::{
    api::Api,
    metadata::{self, Package, array, text},
    source::Source,
};

/// Items that may have a second public path at the crate root, with the reason.
const SECOND_PATHS: &[(&str, &str)] = &[];

/// Crates before 1.0 whose types may occur in public signatures. A breaking release of theirs is a breaking change
/// of ours.
const UNSTABLE_CRATES: &[(&str, &str)] = &[
    (
        "tower_service",
        "middleware implements `Service`; 0.3 since 2019",
    ),
    (
        "tower_layer",
        "middleware is applied by a `Layer`; 0.3 since 2019",
    ),
    (
        "futures_core",
        "`Stream` is the common interface of streams; 0.3 since 2019",
    ),
    (
        "metrics",
        "its `Recorder` and `Unit` are the interface to other exporters",
    ),
    (
        "metrics_exporter_prometheus",
        "feature `exporter`: its handle is converted to a `PageSource`, its only use",
    ),
    (
        "axum",
        "feature `axum`: `MetricsHandler` implements its `Handler`",
    ),
    (
        "prometheus",
        "feature `prometheus` of the bridge: its registry is what is bridged",
    ),
    (
        "prometheus_client",
        "feature `prometheus-client` of the bridge: its registry is what is bridged",
    ),
];

#[test]
fn public_api_equals_its_listing() {
    let mut differences = Vec::new();
    for package in metadata::published(&metadata::metadata()) {
        let source = package.source();
        let actual = Api::of(&source).text();
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("api")
            .join(format!("{}.txt", package.name));
        if std::env::var_os("UPDATE_API").is_some() {
            fs::write(&file, &actual).unwrap();
        }
        let listed = fs::read_to_string(&file).unwrap_or_default();
        let changed = difference(&listed, &actual);
        if !changed.is_empty() {
            differences.push(format!("{}:\n{}", package.name, changed.join("\n")));
        }
    }
    assert!(
        differences.is_empty(),
        "the public API differs from its listing:\n{}\n\nIf this is intended, run \
         `UPDATE_API=1 cargo test -p workspace-checks --test public_api` and commit the listing.",
        differences.join("\n"),
    );
}

#[test]
fn each_item_has_one_public_path() {
    let mut found = Vec::new();
    for package in metadata::published(&metadata::metadata()) {
        let source = package.source();
        let api = Api::of(&source);
        println!(
            "{}: the crate root exports {}: {}",
            package.name,
            api.root_exports.len(),
            api.root_exports.join(", ")
        );
        found.extend(second_paths(&api, SECOND_PATHS));
    }
    assert!(
        found.is_empty(),
        "items with more than one public path:\n{}",
        found.join("\n")
    );
}

#[test]
fn public_signatures_use_no_unstable_crates() {
    let metadata = metadata::metadata();
    let mut found = Vec::new();
    for package in metadata::published(&metadata) {
        let source = package.source();
        let unstable = unstable_dependencies(&metadata, &package);
        found.extend(unstable_types(
            &Api::of(&source),
            &unstable,
            UNSTABLE_CRATES,
        ));
    }
    assert!(
        found.is_empty(),
        "types of crates before 1.0 in public signatures:\n{}",
        found.join("\n")
    );
}

/// Returns the lines of only one of the listings, prefixed with `-` or `+`.
fn difference(listed: &str, actual: &str) -> Vec<String> {
    let removed = listed
        .lines()
        .filter(|line| !actual.lines().any(|other| other == *line));
    let added = actual
        .lines()
        .filter(|line| !listed.lines().any(|other| other == *line));
    removed
        .map(|line| format!("- {line}"))
        .chain(added.map(|line| format!("+ {line}")))
        .collect()
}

fn second_paths(api: &Api<'_>, allowed: &[(&str, &str)]) -> Vec<String> {
    api.items_with_two_paths()
        .iter()
        .filter(|paths| !allowed.iter().any(|(path, _)| paths.contains(path)))
        .map(|paths| paths.join(" = "))
        .collect()
}

fn unstable_types(
    api: &Api<'_>,
    unstable: &BTreeMap<String, String>,
    allowed: &[(&str, &str)],
) -> Vec<String> {
    let mut found: Vec<String> = api
        .foreign
        .iter()
        .filter(|(_, path)| path.len() > 1 && !allowed.iter().any(|(name, _)| *name == path[0]))
        .filter_map(|(line, path)| {
            let version = unstable.get(&path[0])?;
            Some(format!(
                "{line}\n    {} is from {} {version}",
                path.join("::"),
                path[0]
            ))
        })
        .collect();
    found.dedup();
    found
}

/// Returns the dependencies of a package that are before 1.0: the versions by the name that code uses.
fn unstable_dependencies(
    metadata: &serde_json::Value,
    package: &Package,
) -> BTreeMap<String, String> {
    let versions: BTreeMap<&str, &str> = array(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["version"])))
        .collect();
    array(&metadata["resolve"]["nodes"])
        .iter()
        .filter(|node| node["id"] == package.id)
        .flat_map(|node| array(&node["deps"]))
        .map(|dependency| {
            (
                text(&dependency["name"]).to_owned(),
                versions[text(&dependency["pkg"])],
            )
        })
        .filter(|(_, version)| version.starts_with("0."))
        .map(|(name, version)| (name, version.to_owned()))
        .filter(|(name, _)| !name.starts_with("tower_prometheus"))
        .collect()
}

fn fixture(name: &str, files: &[(&str, &str)]) -> Source {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("public_api")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    for (file, text) in files {
        let file = folder.join("src").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    Source::read("shop", &folder, Path::new("src/lib.rs"))
}

#[test]
fn listing_contains_the_items_that_users_can_name() {
    let source = fixture(
        "listing",
        &[
            (
                "lib.rs",
                "mod inner; pub mod open; #[cfg(feature = \"tls\")] pub use inner::Tls; \
             pub use inner::{Kind, Order as Bill, Price}; pub use metrics::Unit; \
             #[cfg(test)] pub mod tests { pub fn f() {} }",
            ),
            (
                "inner.rs",
                "/// An order.\n #[derive(Clone, Debug)] pub struct Order { pub id: u64, secret: u8 } \
             impl Order { pub fn new(mut id: u64) -> Self { id += 1; todo!() } fn private() {} \
             #[doc(hidden)] pub fn hidden() {} #[cfg(feature = \"tls\")] pub fn secure(&mut self) {} } \
             impl std::fmt::Display for Order {} impl From<Order> for String {} impl Secret for Order {} \
             trait Secret {} pub struct Tls(pub u8, u16); pub struct Unreachable; \
             #[non_exhaustive] pub enum Kind { Small, Large(u64), Named { name: String } } \
             pub trait Price<T>: Sized { type Currency; const FREE: bool; fn cents(self) -> T; fn euros(self) {} } \
             impl<T> Iterator for Kind where T: Copy { type Item = u8; }",
            ),
            (
                "open.rs",
                "pub const LIMIT: usize = 1; pub type Id = u64; #[doc(hidden)] pub struct Hidden; \
             pub fn list<T: Copy>(items: &[T], each: impl Fn(T) -> bool) -> Vec<T> { todo!() } \
             #[macro_export] macro_rules! shop { () => {} } \
             macro_rules! kinds { ($($name:ident)*) => { $(pub struct $name<L = ()>(L); \
             impl<L: Copy> $name<L> { pub fn with(self) -> $name { todo!() } })* } } kinds! { Counter }",
            ),
        ],
    );
    let api = Api::of(&source);
    assert_eq!(
        api.text(),
        "\
field shop::Bill.id: u64
fn shop::Bill::new(id: u64) -> Self
fn shop::Bill::secure(&mut self) [feature = \"tls\"]
impl Clone for shop::Bill
impl Debug for shop::Bill
impl Display for shop::Bill
impl From<Order> for String
struct shop::Bill
enum shop::Kind #[non_exhaustive]
impl<T> Iterator for shop::Kind where T: Copy
type <shop::Kind as Iterator>::Item = u8
variant shop::Kind::Large(u64)
variant shop::Kind::Named { name: String }
variant shop::Kind::Small
const shop::Price::FREE: bool
fn shop::Price::cents(self) -> T
provided fn shop::Price::euros(self)
trait shop::Price<T>: Sized
type shop::Price::Currency
field shop::Tls.0: u8 [feature = \"tls\"]
struct shop::Tls [feature = \"tls\"]
use shop::Unit = metrics::Unit
mod shop::open
fn shop::open::Counter::with(self) -> Counter [impl<L: Copy> Counter<L>]
struct shop::open::Counter<L = ()>
type shop::open::Id = u64
const shop::open::LIMIT: usize
fn shop::open::list<T: Copy>(items: &[T], each: impl Fn(T) -> bool) -> Vec<T>
macro shop::shop!
"
    );
    assert_eq!(
        api.root_exports,
        ["Bill", "Kind", "Price", "Tls", "Unit", "shop"]
    );
}

#[test]
fn changed_signature_is_reported() {
    let before = fixture("before", &[("lib.rs", "pub fn f(a: u8) {} pub fn g() {}")]);
    let after = fixture("after", &[("lib.rs", "pub fn f(a: u16) {} pub fn g() {}")]);
    let (before, after) = (Api::of(&before).text(), Api::of(&after).text());
    assert_eq!(difference(&before, &before), [""; 0]);
    assert_eq!(
        difference(&before, &after),
        ["- fn shop::f(a: u8)", "+ fn shop::f(a: u16)"]
    );
}

#[test]
fn second_public_path_must_be_on_the_list() {
    let source = fixture(
        "second_path",
        &[(
            "lib.rs",
            "pub mod http { pub struct Layer; } pub use http::Layer;",
        )],
    );
    let api = Api::of(&source);
    assert_eq!(second_paths(&api, &[]), ["shop::Layer = shop::http::Layer"]);
    assert_eq!(second_paths(&api, &[("shop::Layer", "")]), [""; 0]);
}

#[test]
fn unstable_crate_in_a_signature_must_be_on_the_list() {
    let source = fixture(
        "unstable",
        &[(
            "lib.rs",
            "use early::Handle; pub fn f(_: &Handle) {} fn private(_: Handle) {} pub struct S<T: early::Bound>(T); \
         impl From<Handle> for S<u8> {} pub enum E { V(early::Part) } pub use early::Other; \
         pub fn late(_: late::Type) -> impl ::early::Trait {}",
        )],
    );
    let api = Api::of(&source);
    let unstable = BTreeMap::from([("early".to_owned(), "0.3.1".to_owned())]);
    let found = unstable_types(&api, &unstable, &[]);
    assert_eq!(found.len(), 6, "{found:#?}");
    assert!(
        found.contains(&"fn shop::f(_: &Handle)\n    early::Handle is from early 0.3.1".to_owned())
    );
    assert_eq!(unstable_types(&api, &unstable, &[("early", "")]), [""; 0]);
}
