//! The programs, configurations and manifests of the guides in `docs/guide`, run as their readers run them.
//! `tests/run` installs the programs that these tests need.

mod dashboards;
mod kubernetes;
mod page;
mod securing;
mod shutdown;
mod versions;
