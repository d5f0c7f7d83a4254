//! [`from_prometheus_client`]: the registry of `prometheus-client` as a collector.

use std::borrow::Borrow;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;
use tower_prometheus::collect::{CollectError, Samples};

use crate::client_samples::add_families;
use crate::client_text::parse;

/// Returns a collector for the metrics of a registry of the crate `prometheus-client`.
///
/// The registry can be passed by value, as a `&'static Registry` or as an `Arc<Registry>`. For a registry behind a
/// lock, use [`collect_prometheus_client`].
///
/// ```
/// use prometheus_client::metrics::counter::Counter;
/// use tower_prometheus::Registry;
/// use tower_prometheus_bridge::from_prometheus_client;
///
/// let mut legacy = prometheus_client::registry::Registry::default();
/// let orders: Counter = Counter::default();
/// legacy.register("orders", "Total number of orders", orders.clone()); // orders_total
///
/// let metrics = Registry::new();
/// metrics.collector("legacy", from_prometheus_client(legacy))?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// At each scrape it encodes the registry as text and reads that text, because the crate has no other access to the
/// values of its metrics.
///
/// [What is exported](crate#what-is-exported) and [when it fails](crate#conflicts-and-errors) is described for both
/// bridges. Metrics with the same name, as two sub-registries can have them, are exported as one.
pub fn from_prometheus_client(
    registry: impl Borrow<Registry> + Send + Sync + 'static,
) -> impl Fn(&mut Samples) -> Result<(), CollectError> + Send + Sync + 'static {
    move |samples: &mut Samples| collect_prometheus_client(registry.borrow(), samples)
}

/// Adds the metrics of a registry of the crate `prometheus-client` to the samples of a collector.
///
/// Use it for a registry behind a lock:
///
/// ```
/// use std::sync::{Arc, RwLock};
/// use tower_prometheus::Registry;
/// use tower_prometheus::collect::Samples;
/// use tower_prometheus_bridge::collect_prometheus_client;
///
/// let legacy = Arc::new(RwLock::new(prometheus_client::registry::Registry::default()));
/// let metrics = Registry::new();
/// metrics.collector("legacy", move |samples: &mut Samples| {
///     let legacy = legacy.read().map_err(|_| "the lock is poisoned")?;
///     collect_prometheus_client(&legacy, samples)
/// })?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
///
/// # Errors
///
/// Returns an error if the text of the registry cannot be written or read, or if a metric cannot be exported, see
/// [conflicts and errors](crate#conflicts-and-errors). It names the line or the metric. Some metrics may have been
/// added to `samples` then.
pub fn collect_prometheus_client(
    registry: &Registry,
    samples: &mut Samples,
) -> Result<(), CollectError> {
    let mut text = String::new();
    encode_registry(&mut text, registry).map_err(|_| "a metric failed to encode itself")?;
    add_families(parse(&text)?, samples)?;
    Ok(())
}
