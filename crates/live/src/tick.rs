//! [`Tick`]: the changes between two samples, and their lines in the stream of a viewer.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::layers::LayerInfo;
use crate::native::NativeReading;
use crate::numbers::{write_number, write_numbers};

/// The value of a series.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Number(f64),
    /// Of a histogram: the sum, then the count of each bucket, not cumulative. Of a summary: count, sum, then each
    /// quantile.
    Numbers(Arc<[f64]>),
    /// Of a histogram with native buckets.
    Native {
        now: Arc<NativeReading>,
        /// The value before, if viewers have it: then only changed buckets are sent.
        before: Option<Arc<NativeReading>>,
    },
    /// An info, or a kind of value that this version does not know.
    LabelsOnly,
}

impl Reading {
    /// Whether two values are the same, also if they are NaN.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::Numbers(a), Self::Numbers(b)) => {
                let bits =
                    |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                a.len() == b.len() && bits(a) == bits(b)
            }
            (Self::Native { now: a, .. }, Self::Native { now: b, .. }) => a.is_same(b),
            (Self::LabelsOnly, Self::LabelsOnly) => true,
            _ => false,
        }
    }

    /// The value to send to viewers that have this value before it.
    pub(crate) fn changed_from(self, known: &Self) -> Self {
        match (self, known) {
            (Self::Native { now, .. }, Self::Native { now: before, .. }) => {
                let before = Some(Arc::clone(before));
                Self::Native { now, before }
            }
            (reading, _) => reading,
        }
    }

    /// The value for viewers that do not have the value before it.
    pub(crate) fn whole(&self) -> Self {
        match self {
            Self::Native { now, .. } => Self::Native {
                now: Arc::clone(now),
                before: None,
            },
            reading => reading.clone(),
        }
    }

    /// The approximate memory in units of a number, without the value before.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Number(_) | Self::LabelsOnly => 4,
            Self::Numbers(numbers) => 6 + numbers.len(),
            Self::Native { now, .. } => now.size(),
        }
    }

    fn write(&self, line: &mut String) {
        match self {
            Self::Number(number) => write_number(line, *number),
            Self::Numbers(numbers) => write_numbers(line, numbers),
            Self::Native { now, before } => now.write(before.as_deref(), line),
            Self::LabelsOnly => line.push('1'),
        }
    }
}

/// A metric family, as viewers need it.
#[derive(Debug)]
pub(crate) struct FamilyInfo {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) help: String,
    pub(crate) unit: Option<&'static str>,
    /// The upper bounds of a histogram without `+Inf`, or the quantiles of a summary. Families of one name whose series
    /// have different bounds are announced once for each.
    pub(crate) bounds: Vec<f64>,
    /// Whether a histogram has native buckets. Its classic buckets are then not sent.
    pub(crate) is_native: bool,
}

/// A series, as viewers need it.
#[derive(Debug)]
pub(crate) struct SeriesInfo {
    pub(crate) id: u32,
    pub(crate) family: u32,
    pub(crate) labels: Vec<(String, String)>,
    /// When the series was registered, in Unix milliseconds. Before that, a counter was 0. Unknown for collectors.
    pub(crate) created: Option<u64>,
}

/// The changes from one sample to the next: new layers, families and series, changed
/// values, and series that no longer exist.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    /// Unix milliseconds.
    pub(crate) time: u64,
    pub(crate) layers: Vec<Arc<LayerInfo>>,
    pub(crate) families: Vec<Arc<FamilyInfo>>,
    pub(crate) series: Vec<Arc<SeriesInfo>>,
    pub(crate) values: Vec<(u32, Reading)>,
    pub(crate) gone: Vec<u32>,
    /// The number of series that are not sent, because there are too many.
    pub(crate) hidden: usize,
}

/// A line ends after this many bytes: writing them takes about 0.1 ms.
const LINE_LENGTH: usize = 8 << 10;

/// How many entries of a tick are in the lines before.
#[derive(Debug, Default)]
pub(crate) struct Position {
    layers: usize,
    families: usize,
    series: usize,
    values: usize,
    has_ended: bool,
}

impl Tick {
    /// Returns the line at a position, and advances it; `None` after the last line.
    ///
    /// The lines with layers, families, series and values precede the line that names the time and ends the tick.
    pub(crate) fn line(&self, at: &mut Position) -> Option<String> {
        let Position {
            layers,
            families,
            series,
            values,
            has_ended,
        } = at;
        list("layers", &self.layers, layers, |layer, line| {
            layer.write(line);
        })
        .or_else(|| {
            list("families", &self.families, families, |family, line| {
                family.write(line);
            })
        })
        .or_else(|| {
            list("series", &self.series, series, |series, line| {
                series.write(line);
            })
        })
        .or_else(|| {
            list("values", &self.values, values, |(id, reading), line| {
                line.push_str(&format!("{id},"));
                reading.write(line);
            })
        })
        .or_else(|| (!std::mem::replace(has_ended, true)).then(|| self.end()))
    }

    fn end(&self) -> String {
        let gone = self.gone.iter().map(u32::to_string);
        let gone = gone.collect::<Vec<_>>().join(",");
        let Self { time, hidden, .. } = self;
        format!("{{\"tick\":{time},\"hidden\":{hidden},\"gone\":[{gone}]}}\n")
    }

    /// The approximate memory in units of a number.
    pub(crate) fn size(&self) -> usize {
        let values: usize = self.values.iter().map(|(_, reading)| reading.size()).sum();
        values + 32 * self.series.len()
    }
}

impl FamilyInfo {
    fn write(&self, line: &mut String) {
        line.push_str(&format!("[{},", self.id));
        write_text(line, &self.name);
        line.push_str(&format!(",\"{}\",", self.kind));
        write_text(line, &self.help);
        line.push(',');
        write_text(line, self.unit.unwrap_or_default());
        line.push(',');
        write_numbers(line, &self.bounds);
        line.push_str(&format!(",{}]", self.is_native));
    }
}

impl SeriesInfo {
    fn write(&self, line: &mut String) {
        line.push_str(&format!("[{},{},[", self.id, self.family));
        for (i, (name, value)) in self.labels.iter().enumerate() {
            if i > 0 {
                line.push(',');
            }
            write_text(line, name);
            line.push(',');
            write_text(line, value);
        }
        let created = self.created.unwrap_or_default();
        line.push_str(&format!("],{created}]"));
    }
}

/// Returns `{"name":[…]}` and a newline, with the entries from `next`; `None` after the last one.
fn list<T>(
    name: &str,
    entries: &[T],
    next: &mut usize,
    write: impl Fn(&T, &mut String),
) -> Option<String> {
    let rest = entries.get(*next..).filter(|rest| !rest.is_empty())?;
    let mut line = format!("{{\"{name}\":[");
    for (i, entry) in rest.iter().enumerate() {
        if line.len() > LINE_LENGTH {
            break;
        }
        if i > 0 {
            line.push(',');
        }
        write(entry, &mut line);
        *next += 1;
    }
    line.push_str("]}\n");
    Some(line)
}

fn write_text(line: &mut String, text: &str) {
    line.push_str(&Json::from(text).to_string());
}
