//! Gauges that the services are asked for when Prometheus scrapes.
//!
//! Each service is a collector of its own: one that is not registered is not on the page, one that fails is
//! left out, and neither touches the rest.

use std::sync::Arc;

use tower_prometheus::collect::{Collector, FamilySamples, Samples};
use tower_prometheus::{Error, MetricsHandler};

use super::leases::LeaseService;
use super::metrics::{
    ACTIVE_LEASES, BUFFER_SIZE, BUFFER_UTILIZATION, PARTITION_DEGRADED, PulledGauge,
};
use super::partition::PartitionDetector;
use super::results::ResultBuffer;

/// Asks all three.
pub fn register(
    handler: &MetricsHandler,
    leases: &Arc<LeaseService>,
    buffer: &Arc<ResultBuffer>,
    detector: &Arc<PartitionDetector>,
) -> Result<(), Error> {
    handler.add_collector("leases", of_leases(Arc::clone(leases)))?;
    handler.add_collector("buffer", of_buffer(Arc::clone(buffer)))?;
    handler.add_collector("partition", of_detector(Arc::clone(detector)))
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

/// Fails when nobody watches the network: better no gauge than one that says what was.
pub fn of_detector(detector: Arc<PartitionDetector>) -> impl Collector {
    move |samples: &mut Samples| {
        gauge(samples, PARTITION_DEGRADED).value(detector.is_degraded()?);
        Ok(())
    }
}

fn gauge(samples: &mut Samples, gauge: PulledGauge) -> FamilySamples<'_> {
    samples.gauge(gauge.name, gauge.help)
}
