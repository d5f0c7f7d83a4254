//! Tests of the live page in Chromium. `tests/run` installs `chromium` and `chromium-driver`.

mod example;
mod interaction;
mod names;
mod native;
mod numbers;
mod robustness;
mod service;
