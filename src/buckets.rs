//! Predefined bucket bounds for histograms, and functions that compute bounds.
//!
//! | for | use |
//! |---|---|
//! | durations of requests, in seconds | [`DEFAULT`] |
//! | durations of fast operations, in seconds | [`DURATION`] |
//! | sizes in bytes | [`BYTES`] |
//! | numbers of items | [`COUNT`] |
//! | amounts of money | [`COST`] |
//! | a range in which each bound is a multiple of the previous one | [`exponential`] |
//! | bounds at equal distances | [`linear`] |
//!
//! Bounds are inclusive upper bounds, in the unit of the metric. They must be finite and increasing. The bucket
//! `+Inf` is always added. Where buckets are set:
//!
//! | histogram | set by |
//! |---|---|
//! | of an HTTP layer | [`HttpMetrics::duration_buckets`](crate::HttpMetrics::duration_buckets), [`size_buckets`](crate::HttpMetrics::size_buckets), [`connection_buckets`](crate::HttpMetrics::connection_buckets) |
//! | of a gRPC layer | [`GrpcMetrics::handling_buckets`](crate::GrpcMetrics::handling_buckets), [`message_size_buckets`](crate::GrpcMetrics::message_size_buckets) |
//! | all, native buckets without fixed bounds | [`RegistryBuilder::native_histograms`](crate::RegistryBuilder::native_histograms) |
//! | of a catalogue | `{ buckets: … }` in the [catalogue](crate::catalogue!) |
//! | of a macro | [`RegistryBuilder`](crate::RegistryBuilder#how-histograms-are-exported): by name, prefix, suffix or unit. These settings have no effect on catalogues. |
//!
//! ```
//! use tower_prometheus::{Histogram, buckets};
//!
//! const DEPTHS: [f64; 8] = buckets::exponential(1.0, 2.0);
//! assert_eq!(DEPTHS[..4], [1.0, 2.0, 4.0, 8.0]);
//!
//! tower_prometheus::catalogue! {
//!     pub struct Queue {
//!         /// Time that jobs wait in seconds.
//!         pub queue_wait_seconds: Histogram { buckets: buckets::DURATION },
//!         /// Number of waiting jobs when a job is added.
//!         pub queue_depth: Histogram { buckets: DEPTHS },
//!     }
//! }
//! ```

/// The default buckets of the official Prometheus clients, in seconds: 5 ms to 10 s.
///
/// They are the default of histograms, except:
///
/// | histogram | default |
/// |---|---|
/// | sizes of an HTTP layer | [256 B to 64 MiB](crate::HttpMetrics::size_buckets) |
/// | lifetimes of connections | [one second to one day](crate::HttpMetrics::connection_buckets) |
/// | message sizes of a gRPC layer | [16 B to 16 MiB](crate::GrpcMetrics::message_size_buckets) |
/// | durations of the presets of OpenTelemetry | 14 bounds from 0.005 to 10 s |
/// | of a macro, in bytes | [`BYTES`] |
/// | of a [catalogue](crate::catalogue!), if the unit is not seconds | none: set `buckets` |
pub const DEFAULT: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Buckets for durations of fast operations in seconds, from 0.1 ms to 10 s.
pub const DURATION: [f64; 11] = [
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];

/// Buckets for amounts of money, from 0.001 to 1000: in dollars, a tenth of a cent to a thousand dollars.
pub const COST: [f64; 7] = exponential(0.001, 10.0);

/// Buckets for numbers of items, from 1 to 1000.
pub const COUNT: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];

/// Buckets for sizes in bytes, from 1 KiB to 1 GiB. They are the default of histograms of macros in bytes.
pub const BYTES: [f64; 7] = [
    1024.0,
    10_240.0,
    102_400.0,
    1_048_576.0,
    10_485_760.0,
    104_857_600.0,
    1_073_741_824.0,
];

/// Returns `N` bounds that grow by a factor: `start`, `start * factor`, `start * factor * factor` and so on.
///
/// For increasing bounds, `start` must be positive and `factor` greater than 1. This function does not check
/// it; layers, catalogues and [`RegistryBuilder`](crate::RegistryBuilder) reject bounds that do not increase.
///
/// ```
/// # use tower_prometheus::buckets;
/// assert_eq!(buckets::exponential(1.0, 10.0), [1.0, 10.0, 100.0]);
/// ```
#[must_use]
pub const fn exponential<const N: usize>(start: f64, factor: f64) -> [f64; N] {
    let mut bounds = [start; N];
    let mut i = 1;
    while i < N {
        bounds[i] = bounds[i - 1] * factor;
        i += 1;
    }
    bounds
}

/// Returns `N` bounds at equal distances: `start`, `start + width`, `start + 2 * width` and so on.
///
/// For increasing bounds, `width` must be positive. This function does not check it; layers, catalogues and
/// [`RegistryBuilder`](crate::RegistryBuilder) reject bounds that do not increase.
///
/// ```
/// # use tower_prometheus::buckets;
/// assert_eq!(buckets::linear(5.0, 2.5), [5.0, 7.5, 10.0]);
/// ```
#[must_use]
pub const fn linear<const N: usize>(start: f64, width: f64) -> [f64; N] {
    let mut bounds = [start; N];
    let mut i = 1;
    while i < N {
        bounds[i] = start + width * i as f64;
        i += 1;
    }
    bounds
}
