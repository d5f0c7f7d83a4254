//! Runs the examples of the guides that use crates which the core does not depend on. The blocks of `recipes.md` are modules:
//! the test `recipes` compiles and runs them.

#[doc = include_str!("../../../docs/guide/dashboards.md")]
#[doc = include_str!("../../../docs/guide/kubernetes.md")]
#[doc = include_str!("../../../docs/guide/securing.md")]
#[doc = include_str!("../../../docs/guide/shutdown.md")]
#[cfg(doctest)]
struct Documentation;
