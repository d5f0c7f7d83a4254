//! The mixins of the example systems: their generated files, and what their teams asked for.

#![expect(
    unreachable_pub,
    reason = "modules of a test; the compositions are the examples' own"
)]

mod golden;
mod system_files;
mod systems;
