//! Collectors: gauges of the services, gathered at scrape time.
//!
//! Each service has its own collector. If one is not registered or fails, only its gauges are missing.

use std::sync::Arc;

use tower_prometheus::collect::{Collector, FamilySamples, Samples};
use tower_prometheus::{Error, Registry};

use super::leases::LeaseService;
use super::metrics::{
    ACTIVE_LEASES, BUFFER_SIZE, BUFFER_UTILIZATION, PARTITION_DEGRADED, PulledGauge,
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
    registry.collector("leases", of_leases(Arc::clone(leases)))?;
    registry.collector("buffer", of_buffer(Arc::clone(buffer)))?;
    registry.collector("partition", of_detector(Arc::clone(detector)))?;
    Ok(())
}

pub fn of_leases(leases: Arc<LeaseService>) -> impl Collector {
    move |samples: &mut Samples| {
        gauge(samples, ACTIVE_LEASES).value(leases.active());
        Ok(())
    }
}

pub fn of_buffer(buffer: Arc<ResultBuffer>) -> impl Collector {
    move |samples: &mut Samples| {
        let (size, capacity) = (buffer.size(), buffer.capacity());
        gauge(samples, BUFFER_SIZE).value(size);
        gauge(samples, BUFFER_UTILIZATION).value(100.0 * size as f64 / capacity as f64);
        Ok(())
    }
}

/// Fails while no task watches the network: no gauge is better than an outdated one.
pub fn of_detector(detector: Arc<PartitionDetector>) -> impl Collector {
    move |samples: &mut Samples| {
        gauge(samples, PARTITION_DEGRADED).value(detector.is_degraded()?);
        Ok(())
    }
}

fn gauge(samples: &mut Samples, gauge: PulledGauge) -> FamilySamples<'_> {
    samples.gauge(gauge.name, gauge.help)
}
