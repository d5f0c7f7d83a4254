//! Collectors for the gauges of the services.
//!
//! Each service has a separate collector. If a collector is not registered or fails, only its
//! gauges are missing.

use std::sync::Arc;

use tower_prometheus::collect::{Collector, FamilySamples, Samples};
use tower_prometheus::{Error, Registry};

use super::leases::LeaseService;
use super::metrics::{
    ACTIVE_LEASES, BUFFER_SIZE, BUFFER_UTILIZATION, CollectedGauge, PARTITION_DEGRADED,
};
use super::partition::PartitionDetector;
use super::results::ResultBuffer;

/// Registers the collectors of all three services.
pub fn register(
    registry: &Registry,
    leases: &Arc<LeaseService>,
    buffer: &Arc<ResultBuffer>,
    detector: &Arc<PartitionDetector>,
) -> Result<(), Error> {
    registry.collector("leases", lease_collector(Arc::clone(leases)))?;
    registry.collector("buffer", buffer_collector(Arc::clone(buffer)))?;
    registry.collector("partition", partition_collector(Arc::clone(detector)))?;
    Ok(())
}

pub fn lease_collector(leases: Arc<LeaseService>) -> impl Collector {
    move |samples: &mut Samples| {
        gauge(samples, ACTIVE_LEASES).value(leases.active());
        Ok(())
    }
}

pub fn buffer_collector(buffer: Arc<ResultBuffer>) -> impl Collector {
    move |samples: &mut Samples| {
        let (size, capacity) = (buffer.size(), buffer.capacity());
        gauge(samples, BUFFER_SIZE).value(size);
        gauge(samples, BUFFER_UTILIZATION).value(100.0 * size as f64 / capacity as f64);
        Ok(())
    }
}

/// Fails if the detector is stopped, because a missing gauge is better than an outdated one.
pub fn partition_collector(detector: Arc<PartitionDetector>) -> impl Collector {
    move |samples: &mut Samples| {
        gauge(samples, PARTITION_DEGRADED).value(detector.is_degraded()?);
        Ok(())
    }
}

fn gauge(samples: &mut Samples, gauge: CollectedGauge) -> FamilySamples<'_> {
    samples.gauge(gauge.name, gauge.help)
}
