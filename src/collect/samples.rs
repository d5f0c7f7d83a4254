//! [`Samples`]: the metrics that a collector returns.

use std::time::Duration;

use metrics::Unit;

use crate::model::kind::MetricKind;
use crate::model::numbers::Number;

/// The metrics of one collector for one scrape.
///
/// ```
/// # use metrics::Unit;
/// # use tower_prometheus::collect::{CollectError, Samples};
/// fn collect(samples: &mut Samples) -> Result<(), CollectError> {
///     samples.gauge("db_pool_size", "Connections in the pool.").value(12_u64);
///     samples
///         .gauge("process_memory_bytes", "Memory of the process.")
///         .unit(Unit::Bytes)
///         .sample(&[("type", "rss")], 52_000_000_u64)
///         .sample(&[("type", "vms")], 310_000_000_u64);
///     samples.counter("db_queries_total", "Queries.").value(1017_u64);
///     samples.info("build_info", "What runs here.", &[("version", "1.2.0")]);
///     Ok(())
/// }
/// ```
///
/// A metric without samples is not exported. Samples are validated when the collector returns. The collector
/// fails, and the reason is logged, if:
///
/// - a metric name or a label name is invalid
/// - a label is set twice in a series, or is a constant label of the registry
/// - a series is added twice
/// - a counter is negative or NaN
/// - a name is used for two metric types
/// - another metric on the metrics page has the same name
#[derive(Debug, Default)]
pub struct Samples {
    pub(crate) families: Vec<SampledFamily>,
}

/// A family as a collector added it.
#[derive(Debug)]
pub(crate) struct SampledFamily {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
    pub(crate) samples: Vec<(Vec<(String, String)>, Number)>,
}

impl Samples {
    /// Adds a gauge: a number that increases and decreases.
    ///
    /// Further calls with the same name add samples to the same gauge. The `help` of the first call applies.
    pub fn gauge(&mut self, name: impl Into<String>, help: impl Into<String>) -> FamilySamples<'_> {
        self.family(MetricKind::Gauge, name.into(), help.into())
    }

    /// Adds a counter: a total that only increases, such as one that a library keeps.
    ///
    /// The value is the total, not the increase since the last scrape. The name should end in `_total`:
    /// without it, the counter has the type `unknown` in OpenMetrics. Further calls with the same name add
    /// samples to the same counter. The `help` of the first call applies.
    pub fn counter(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
    ) -> FamilySamples<'_> {
        self.family(MetricKind::Counter, name.into(), help.into())
    }

    /// Adds an info: a metric with the value 1 whose labels hold the information.
    ///
    /// The name should end in `_info`: without it, the info has the type `gauge` in OpenMetrics. In the text
    /// format, every info is a gauge.
    pub fn info(
        &mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        labels: &[(&str, &str)],
    ) {
        self.family(MetricKind::Info, name.into(), help.into())
            .sample(labels, 1_u64);
    }

    /// Returns the family with this name and kind, adding it if it does not exist.
    fn family(&mut self, kind: MetricKind, name: String, help: String) -> FamilySamples<'_> {
        let same = |family: &SampledFamily| family.name == name && family.kind == kind;
        let known = self.families.iter().position(same);
        let i = known.unwrap_or_else(|| {
            self.families.push(SampledFamily {
                name,
                kind,
                help,
                unit: None,
                samples: Vec::new(),
            });
            self.families.len() - 1
        });
        FamilySamples {
            family: &mut self.families[i],
        }
    }
}

/// A metric in [`Samples`], to which samples are added.
#[derive(Debug)]
pub struct FamilySamples<'a> {
    family: &'a mut SampledFamily,
}

impl FamilySamples<'_> {
    /// Sets the unit, which OpenMetrics exports as `UNIT`.
    ///
    /// It is exported if it is seconds, bytes or percent and the name, without `_total`, ends with it.
    pub fn unit(&mut self, unit: Unit) -> &mut Self {
        self.family.unit = Some(unit);
        self
    }

    /// Adds a sample without labels.
    pub fn value(&mut self, value: impl Into<SampleValue>) -> &mut Self {
        self.sample(&[], value)
    }

    /// Adds a sample with labels. Their order does not matter.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<SampleValue>) -> &mut Self {
        if let Some(number) = value.into().0 {
            let owned = labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            self.family.samples.push((owned.collect(), number));
        }
        self
    }
}

/// The value of a sample, converted from a number, a `Duration`, a `bool` or an `Option` of these.
///
/// | from | value |
/// |---|---|
/// | integer, `f64` | the number |
/// | `Duration` | seconds |
/// | `bool` | 1 or 0 |
/// | `None` | the sample is left out |
#[derive(Clone, Copy, Debug)]
pub struct SampleValue(Option<Number>);

impl From<u64> for SampleValue {
    fn from(n: u64) -> Self {
        Self(Some(Number::Integer(n)))
    }
}

impl From<f64> for SampleValue {
    fn from(x: f64) -> Self {
        Self(Some(Number::Float(x)))
    }
}

impl From<usize> for SampleValue {
    fn from(n: usize) -> Self {
        Self::from(n as u64)
    }
}

impl From<u32> for SampleValue {
    fn from(n: u32) -> Self {
        Self::from(u64::from(n))
    }
}

impl From<i64> for SampleValue {
    fn from(n: i64) -> Self {
        u64::try_from(n).map_or_else(|_| Self::from(n as f64), Self::from)
    }
}

impl From<i32> for SampleValue {
    fn from(n: i32) -> Self {
        Self::from(i64::from(n))
    }
}

impl From<bool> for SampleValue {
    fn from(is: bool) -> Self {
        Self::from(u64::from(is))
    }
}

impl From<Duration> for SampleValue {
    fn from(time: Duration) -> Self {
        Self::from(time.as_secs_f64())
    }
}

impl<V: Into<SampleValue>> From<Option<V>> for SampleValue {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self(None), Into::into)
    }
}
