//! Modules import only lower layers, without cycles, and each item from its own module.
//!
//! Rules:
//!
//! | rule | example of a violation |
//! |---|---|
//! | A top-level module imports only layers below its own. | `registry` uses `crate::custom::…` |
//! | No cycle between top-level modules, or between folders of one folder. | `http::series` and `http::middleware` use each other |
//! | No cycle between files of one folder, except those in [`CORE`] with a reason. | `call.rs` and `body.rs` use each other |
//! | An item is imported from its module, not through the crate root. | `use crate::Error` |
//!
//! A module and the modules that it contains may use each other. An import counts for the file that defines
//! the item, also if it is named through a re-export. Test modules are exempt. `$crate::…` in an exported
//! macro is exempt too, but must be a public path.

use std::{fs, path::Path};

use workspace_checks::{
    imports::{AllowedCycle, Imports, Rules},
    metadata,
    source::Source,
};

/// The layers of `tower-prometheus`, from the lowest up. DESIGN.md describes each.
const CORE: Rules = Rules {
    layers: &[
        &["error"],
        &["sync"],
        &["clock"],
        &["budget"],
        &["buckets"],
        &["model"],
        &["maps"],
        &["collect"],
        &["registry"],
        &["exposition"],
        &["sink"],
        &["open_labels"],
        &["lifecycle"],
        &["http"],
        &["grpc"],
        &["custom"],
        &["scrape"],
        &["collectors"],
        &["_guide"],
    ],
    allowed_cycles: &[AllowedCycle {
        folder: "http::series",
        modules: &["endpoint", "layer", "request", "row"],
        reason: "the series of a request refer to the index, for other labels, and to the settings of the layer",
    }],
};

/// The packages in `crates/` are small: they have no layers, and may have no cycles.
const SMALL_PACKAGE: Rules = Rules {
    layers: &[],
    allowed_cycles: &[],
};

#[test]
fn published_packages_import_only_lower_layers() {
    let mut violations = Vec::new();
    for package in metadata::published(&metadata::metadata()) {
        let source = package.source();
        let imports = Imports::of(&source);
        println!("{}\n", imports.summary());
        let rules = if package.is_core() {
            CORE
        } else {
            SMALL_PACKAGE
        };
        let found = imports.violations(&rules);
        violations.extend(
            found
                .into_iter()
                .map(|message| format!("{}: {message}", package.name)),
        );
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// Returns the violations in a crate with these files.
fn check(name: &str, rules: &Rules, files: &[(&str, &str)]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("imports")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    for (file, text) in files {
        let file = folder.join("src").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let source = Source::read("fixture", &folder, Path::new("src/lib.rs"));
    Imports::of(&source).violations(rules)
}

const NO_LAYERS: Rules = SMALL_PACKAGE;
const LAYERS: Rules = Rules {
    layers: &[&["error"], &["registry"], &["http", "grpc"], &["custom"]],
    allowed_cycles: &[],
};
const LAYERED_ROOT: &str =
    "pub mod custom; pub mod error; pub mod grpc; pub mod http; pub mod registry;";

#[test]
fn imports_of_lower_layers_are_accepted() {
    let found = check(
        "down",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            ("error.rs", "pub struct Error;"),
            (
                "registry.rs",
                "use crate::error::Error; pub struct Registry(Error);",
            ),
            (
                "http.rs",
                "use crate::{error, registry::Registry}; fn f(_: Registry) -> error::Error { error::Error }",
            ),
            ("grpc.rs", "fn f(_: super::registry::Registry) {}"),
            ("custom.rs", "use crate::registry::*;"),
        ],
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn upward_import_is_rejected_with_the_defining_file() {
    let found = check(
        "up",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            ("error.rs", ""),
            (
                "registry/mod.rs",
                "use crate::custom::installed;\nfn f() { installed() }",
            ),
            ("http.rs", ""),
            ("grpc.rs", ""),
            (
                "custom/mod.rs",
                "mod hooks; pub(crate) use self::hooks::installed;",
            ),
            ("custom/hooks.rs", "pub(crate) fn installed() {}"),
        ],
    );
    assert_eq!(
        found,
        [
            "src/registry/mod.rs:1 uses crate::custom::installed (defined in src/custom/hooks.rs): \
         registry is below custom",
        ]
    );
}

#[test]
fn re_export_in_a_lower_module_does_not_hide_an_upward_import() {
    let found = check(
        "re_export",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            ("error.rs", "pub(crate) use crate::custom::Hook;"),
            ("registry.rs", "use crate::error::Hook;"),
            ("http.rs", ""),
            ("grpc.rs", ""),
            ("custom.rs", "pub(crate) struct Hook;"),
        ],
    );
    assert_eq!(
        found,
        [
            "src/error.rs:1 uses crate::custom::Hook (defined in src/custom.rs): error is below custom",
            "src/registry.rs:1 uses crate::error::Hook (defined in src/custom.rs): registry is below custom",
        ]
    );
}

#[test]
fn paths_in_code_and_in_macro_arguments_are_imports() {
    for (name, code) in [
        ("expression", "fn f() { crate::custom::g() }"),
        ("super", "fn f() { super::custom::g() }"),
        ("module", "use crate::custom as c; fn f() { c::g() }"),
        ("argument", "fn f() { assert!(crate::custom::g() == ()) }"),
        ("type", "fn f(_: Vec<crate::custom::T>) {}"),
        ("in_function", "fn f() { use crate::custom::g; g() }"),
        ("glob", "use crate::custom::*;"),
        (
            "local_macro",
            "macro_rules! m { () => { $crate::custom::g() } }",
        ),
    ] {
        let found = check(
            name,
            &LAYERS,
            &[
                ("lib.rs", LAYERED_ROOT),
                ("error.rs", ""),
                ("registry.rs", code),
                ("http.rs", ""),
                ("grpc.rs", ""),
                ("custom.rs", "pub fn g() {} pub struct T;"),
            ],
        );
        assert!(
            found
                .iter()
                .any(|message| message.ends_with("registry is below custom")),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn modules_of_one_layer_do_not_import_each_other() {
    let found = check(
        "same_layer",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            ("error.rs", ""),
            ("registry.rs", ""),
            ("http.rs", "pub struct Http;"),
            ("grpc.rs", "use crate::http::Http;"),
            ("custom.rs", ""),
        ],
    );
    assert_eq!(
        found,
        [
            "src/grpc.rs:1 uses crate::http::Http (defined in src/http.rs): grpc is on the same layer as http",
        ]
    );
}

#[test]
fn every_top_level_module_has_a_layer() {
    let found = check(
        "no_layer",
        &LAYERS,
        &[
            (
                "lib.rs",
                "mod custom; mod error; mod http; mod extra; mod registry;",
            ),
            ("custom.rs", ""),
            ("error.rs", ""),
            ("extra.rs", ""),
            ("http.rs", ""),
            ("registry.rs", ""),
        ],
    );
    assert_eq!(
        found,
        [
            "src/extra.rs has no layer: add `extra` to the list of layers",
            "the list of layers names `grpc`, which does not exist",
        ]
    );
}

#[test]
fn import_through_the_crate_root_is_rejected() {
    let files = |import| {
        [
            (
                "lib.rs",
                "mod error; mod user; pub use self::error::Error; pub use metrics::Unit;",
            ),
            ("error.rs", "pub struct Error;"),
            ("user.rs", import),
        ]
    };
    let wrong = "src/user.rs:1 uses crate::Error (defined in src/error.rs) through the crate root: \
                 import it from its module";
    assert_eq!(
        check("facade", &NO_LAYERS, &files("use crate::Error;")),
        [wrong]
    );
    assert_eq!(
        check("facade", &NO_LAYERS, &files("use crate::{Error};")),
        [wrong]
    );
    assert_eq!(
        check("facade", &NO_LAYERS, &files("fn f(_: crate::Error) {}")),
        [wrong]
    );
    assert_eq!(
        check("facade", &NO_LAYERS, &files("use super::Error;")).len(),
        1
    );
    assert_eq!(
        check("facade", &NO_LAYERS, &files("use crate::Unit;")),
        [
            "src/user.rs:1 uses crate::Unit (from metrics::Unit) through the crate root: \
          import it from its module"
        ],
    );
    assert_eq!(
        check("facade", &NO_LAYERS, &files("use crate::error::Error;")),
        [""; 0]
    );
}

#[test]
fn cycle_of_top_level_modules_is_rejected() {
    let found = check(
        "top_cycle",
        &NO_LAYERS,
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "pub(crate) struct A;"),
            ("b/mod.rs", "mod c; pub(crate) struct B(crate::a::A);"),
            ("b/c.rs", "pub(super) struct C;"),
        ],
    );
    assert_eq!(found, [""; 0]);
    let found = check(
        "top_cycle",
        &NO_LAYERS,
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "pub(crate) struct A(crate::b::C);"),
            (
                "b/mod.rs",
                "mod c; pub(crate) use c::C; pub(crate) struct B(crate::a::A);",
            ),
            ("b/c.rs", "pub(super) struct C;"),
        ],
    );
    assert_eq!(
        found,
        [
            "cycle of top-level modules: a, b",
            "    src/a/mod.rs:1 uses crate::b::C (defined in src/b/c.rs)",
            "    src/b/mod.rs:1 uses crate::a::A (defined in src/a/mod.rs)",
        ]
    );
}

#[test]
fn cycle_of_folders_is_rejected_even_if_it_is_on_the_list() {
    const ALLOWED: Rules = Rules {
        layers: &[],
        allowed_cycles: &[AllowedCycle {
            folder: "http",
            modules: &["a", "b"],
            reason: "",
        }],
    };
    let found = check(
        "folder_cycle",
        &ALLOWED,
        &[
            ("lib.rs", "mod http;"),
            ("http/mod.rs", "mod a; mod b;"),
            ("http/a/mod.rs", "mod x; struct A(super::b::B);"),
            ("http/a/x.rs", "pub(in crate::http) struct X;"),
            ("http/b.rs", "mod y; pub(super) struct B;"),
            ("http/b/y.rs", "use crate::http::a::x::X;"),
        ],
    );
    assert_eq!(found[0], "cycle of folders in http: a, b");
}

#[test]
fn cycle_of_files_must_be_on_the_list() {
    let files = [
        ("lib.rs", "mod http;"),
        ("http/mod.rs", "mod a; mod b; use self::a::A;"),
        ("http/a.rs", "use super::b::B; pub(super) struct A;"),
        ("http/b.rs", "use super::A; pub(super) struct B;"),
    ];
    assert_eq!(
        check("file_cycle", &NO_LAYERS, &files),
        [
            "cycle of files in http: a, b",
            "    src/http/a.rs:1 uses super::b::B (defined in src/http/b.rs)",
            "    src/http/b.rs:1 uses super::A (defined in src/http/a.rs)",
        ]
    );
    const ALLOWED: Rules = Rules {
        layers: &[],
        allowed_cycles: &[AllowedCycle {
            folder: "http",
            modules: &["a", "b"],
            reason: "",
        }],
    };
    assert_eq!(check("file_cycle", &ALLOWED, &files), [""; 0]);
    let without_cycle = [
        files[0],
        files[1],
        files[2],
        ("http/b.rs", "pub(super) struct B;"),
    ];
    assert_eq!(
        check("file_cycle", &ALLOWED, &without_cycle),
        ["the allowed cycle of a, b in http does not exist: remove it from the list",]
    );
}

#[test]
fn module_and_its_children_may_use_each_other() {
    let found = check(
        "children",
        &NO_LAYERS,
        &[
            ("lib.rs", "mod http; mod grpc;"),
            ("http/mod.rs", "mod a; pub(crate) struct Http(a::A);"),
            (
                "http/a.rs",
                "pub(super) struct A(Option<&'static super::Http>);",
            ),
            ("grpc.rs", "mod call; struct Grpc(call::Call);"),
            (
                "grpc/call.rs",
                "pub(super) struct Call(Option<&'static crate::grpc::Grpc>);",
            ),
        ],
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn test_modules_are_exempt() {
    let found = check(
        "tests",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            (
                "error.rs",
                "#[cfg(test)] mod tests { use crate::custom::C; }",
            ),
            ("registry.rs", "#[cfg(all(test, not(loom)))] mod tests;"),
            ("registry/tests.rs", "use crate::custom::C;"),
            ("http.rs", "#[cfg(test)] use crate::custom::C;"),
            ("grpc.rs", "#[cfg(not(test))] use crate::custom::C;"),
            ("custom.rs", "pub(crate) struct C;"),
        ],
    );
    assert_eq!(
        found,
        ["src/grpc.rs:1 uses crate::custom::C (defined in src/custom.rs): grpc is below custom",]
    );
}

#[test]
fn modules_with_a_path_attribute_are_followed() {
    let found = check(
        "path_attribute",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            ("error.rs", ""),
            (
                "registry/mod.rs",
                "#[cfg(not(x))] #[path = \"no_hooks.rs\"] mod hooks;",
            ),
            ("registry/no_hooks.rs", "use crate::custom::C;"),
            ("http.rs", ""),
            ("grpc.rs", ""),
            ("custom.rs", "pub(crate) struct C;"),
        ],
    );
    assert_eq!(
        found,
        [
            "src/registry/no_hooks.rs:1 uses crate::custom::C (defined in src/custom.rs): \
         registry is below custom",
        ]
    );
}

#[test]
fn exported_macros_use_only_public_paths() {
    let files = |macros| {
        [
            ("lib.rs", "mod inner; pub mod outer; pub use inner::Shown;"),
            ("inner.rs", "pub struct Shown; pub struct Hidden;"),
            ("outer.rs", macros),
        ]
    };
    let public = "#[macro_export] macro_rules! m { () => { $crate::Shown; $crate::outer::f(); $crate::m!() } } \
                  #[doc(hidden)] pub fn f() {}";
    assert_eq!(check("macros", &NO_LAYERS, &files(public)), [""; 0]);
    let private = "#[macro_export] macro_rules! m { () => { $crate::inner::Hidden } }";
    assert_eq!(
        check("macros", &NO_LAYERS, &files(private)),
        ["src/outer.rs:1 uses $crate::inner::Hidden in an exported macro: no public path",]
    );
}

#[test]
fn items_that_macros_define_are_found() {
    let found = check(
        "expanded",
        &LAYERS,
        &[
            ("lib.rs", LAYERED_ROOT),
            (
                "error.rs",
                "pin_project! { pub struct Pinned { #[pin] inner: crate::custom::Counter<()> } }",
            ),
            ("registry.rs", "use crate::custom::Counter;"),
            ("http.rs", ""),
            ("grpc.rs", ""),
            ("custom/mod.rs", "mod kinds; pub use kinds::Counter;"),
            (
                "custom/kinds.rs",
                "macro_rules! kinds { ($($(#[$meta:meta])* $name:ident: $of:ty),*) => { \
             $($(#[$meta])* pub struct $name<L>($of, L);)* } } \
             kinds! { /// One.\n Counter: u64, Gauge: f64 }",
            ),
        ],
    );
    assert_eq!(
        found,
        [
            "src/error.rs:1 uses crate::custom::Counter (defined in src/custom/kinds.rs): error is below custom",
            "src/registry.rs:1 uses crate::custom::Counter (defined in src/custom/kinds.rs): \
         registry is below custom",
        ]
    );
}
