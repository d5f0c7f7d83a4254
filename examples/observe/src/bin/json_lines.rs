//! Writes the metrics of a program to the standard output as JSON lines, every second, without a Prometheus.
//!
//! ```text
//! $ cargo run --release -p observe --bin json_lines -- 1
//! {"labels":{"kind":"book"},"name":"orders_total","time":1764331200,"type":"counter","value":1}
//! {"labels":{},"name":"queue_length","time":1764331200,"type":"gauge","value":3}
//! …
//! ```
//!
//! The argument is the number of snapshots; 3 by default.

use std::time::{Duration, SystemTime};

use observe::{Result, json_lines};
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;

#[tokio::main]
async fn main() -> Result<()> {
    let snapshots = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 3,
    };
    let registry = Registry::builder().install()?;
    registry.collector("queue", |samples: &mut Samples| {
        samples
            .gauge("queue_length", "Number of jobs in the queue.")
            .value(3_u64);
        Ok(())
    })?;
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..snapshots {
        every_second.tick().await;
        metrics::counter!("orders_total", "kind" => "book").increment(1);
        metrics::histogram!("order_seconds").record(0.03);
        let snapshot = registry.gather().await;
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        json_lines::write(&snapshot, time.as_secs(), &mut std::io::stdout())?;
    }
    Ok(())
}
