//! Checks of the workspace, run by `cargo test -p workspace-checks`.
//!
//! | test | checks |
//! |---|---|
//! | `imports` | modules import only lower layers, without cycles |
//! | `public_api` | the public API is what `api/<package>.txt` lists, and each item has one path |
//! | `packaging` | the published packages contain what their documents link to, and no tests or tools |
//! | `dependencies` | licences, duplicate versions, and the number of crates that a user compiles |
//!
//! The first two read the source with `syn`: [`source`] is the module tree of a package, and [`imports`] and
//! [`api`] are computed from it. The last two use `cargo metadata` and other commands: [`metadata`].

pub mod api;
pub mod cfg;
pub mod expand;
pub mod imports;
pub mod metadata;
pub mod source;
pub mod tokens;
