//! [`Tick`]: the changes between two samples, and their lines in the stream of a viewer.

use std::sync::Arc;

use serde_json::Value as Json;

/// The value of a series.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Number(f64),
    /// Of a histogram: the sum, then the count of each bucket, not cumulative. Of a summary: count, sum, then each
    /// quantile.
    Numbers(Arc<[f64]>),
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
            (Self::LabelsOnly, Self::LabelsOnly) => true,
            _ => false,
        }
    }

    /// The approximate memory in units of a number.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Number(_) | Self::LabelsOnly => 4,
            Self::Numbers(numbers) => 6 + numbers.len(),
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

/// The changes from one sample to the next: new families and series, changed values, and series that no longer exist.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    /// Unix milliseconds.
    pub(crate) time: u64,
    pub(crate) families: Vec<Arc<FamilyInfo>>,
    pub(crate) series: Vec<Arc<SeriesInfo>>,
    pub(crate) values: Vec<(u32, Reading)>,
    pub(crate) gone: Vec<u32>,
    /// The number of series that are not sent, because there are too many.
    pub(crate) hidden: usize,
}

/// Entries per line: writing a line takes about 0.1 ms.
const CHUNK: usize = 200;

impl Tick {
    /// Returns the line with this number; `None` after the last one.
    ///
    /// The lines with families, series and values precede the line that names the time and ends the tick.
    pub(crate) fn line(&self, number: usize) -> Option<String> {
        let families = self.families.len().div_ceil(CHUNK);
        let series = self.series.len().div_ceil(CHUNK);
        let values = self.values.len().div_ceil(CHUNK);
        let (before_values, before_end) = (families + series, families + series + values);
        let line = match number {
            n if n < families => list("families", chunk(&self.families, n), |line, family| {
                family.write(line);
            }),
            n if n < before_values => list(
                "series",
                chunk(&self.series, n - families),
                |line, series| {
                    series.write(line);
                },
            ),
            n if n < before_end => list(
                "values",
                chunk(&self.values, n - before_values),
                |line, (id, reading)| {
                    line.push_str(&format!("{id},"));
                    write_reading(line, reading);
                },
            ),
            n if n == before_end => self.end(),
            _ => return None,
        };
        Some(line)
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
        line.push(']');
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

fn chunk<T>(all: &[T], n: usize) -> &[T] {
    &all[n * CHUNK..all.len().min((n + 1) * CHUNK)]
}

/// Returns `{"name":[…]}` and a newline.
fn list<T>(name: &str, entries: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut line = format!("{{\"{name}\":[");
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            line.push(',');
        }
        write(&mut line, entry);
    }
    line.push_str("]}\n");
    line
}

fn write_reading(line: &mut String, reading: &Reading) {
    match reading {
        Reading::Number(number) => write_number(line, *number),
        Reading::Numbers(numbers) => write_numbers(line, numbers),
        Reading::LabelsOnly => line.push('1'),
    }
}

fn write_numbers(line: &mut String, numbers: &[f64]) {
    line.push('[');
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            line.push(',');
        }
        write_number(line, *number);
    }
    line.push(']');
}

/// JSON has no infinities and no NaN: they are sent as texts.
fn write_number(line: &mut String, number: f64) {
    match number {
        x if x.is_nan() => line.push_str("\"NaN\""),
        f64::INFINITY => line.push_str("\"Infinity\""),
        f64::NEG_INFINITY => line.push_str("\"-Infinity\""),
        x => line.push_str(&x.to_string()),
    }
}

fn write_text(line: &mut String, text: &str) {
    line.push_str(&Json::from(text).to_string());
}
