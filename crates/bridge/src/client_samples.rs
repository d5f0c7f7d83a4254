//! Adds the families of [`client_text`](crate::client_text) to [`Samples`].

use tower_prometheus::collect::{FamilySamples, HistogramSample, SampleValue, Samples};

use crate::client_text::{Family, Labels, Sample};

/// Adds all families.
///
/// # Errors
///
/// If a family has no type, or samples that its type does not have.
pub(crate) fn add_families(families: Vec<Family<'_>>, samples: &mut Samples) -> Result<(), String> {
    for family in families {
        let name = family.name;
        add(family, samples).map_err(|reason| format!("metric {name:?}: {reason}"))?;
    }
    Ok(())
}

fn add(family: Family<'_>, samples: &mut Samples) -> Result<(), String> {
    let Family {
        name,
        help,
        kind,
        unit,
        samples: lines,
    } = family;
    match kind {
        "counter" => {
            let mut counter = samples.counter(format!("{name}_total"), help);
            add_numbers(&mut counter, unit, "_total", &lines)
        }
        "gauge" => add_numbers(&mut samples.gauge(name, help), unit, "", &lines),
        "histogram" => {
            let mut histogram = samples.histogram(name, help);
            if let Some(unit) = unit {
                histogram.unit_name(unit);
            }
            let mut lines = lines.into_iter().peekable();
            while lines.peek().is_some() {
                let (labels, sample) = read_histogram(&mut lines)?;
                histogram.sample(&pairs(&labels), sample);
            }
            Ok(())
        }
        "info" => {
            for line in &lines {
                check_suffix(line, "_info")?;
                samples.info(format!("{name}_info"), help, &pairs(&line.labels));
            }
            Ok(())
        }
        kind => Err(format!(
            "its type {kind:?} cannot be exported; make it a counter, a gauge, a histogram or an info"
        )),
    }
}

fn add_numbers(
    family: &mut FamilySamples<'_>,
    unit: Option<&str>,
    suffix: &str,
    lines: &[Sample<'_>],
) -> Result<(), String> {
    if let Some(unit) = unit {
        family.unit_name(unit);
    }
    for line in lines {
        check_suffix(line, suffix)?;
        family.sample(&pairs(&line.labels), sample_value(line.value)?);
    }
    Ok(())
}

/// Reads the lines of one series: sum, count and buckets.
fn read_histogram<'a>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = Sample<'a>>>,
) -> Result<(Labels<'a>, HistogramSample), String> {
    let mut next = |suffix: &str| {
        let line = lines
            .next()
            .ok_or_else(|| format!("no sample {suffix:?}"))?;
        check_suffix(&line, suffix).map(|()| line)
    };
    let (sum, count) = (next("_sum")?, next("_count")?);
    if count.labels != sum.labels {
        return Err("its count has other labels than its sum".to_owned());
    }
    let mut buckets = Vec::new();
    while let Some(bucket) = lines.next_if(|line| line.suffix == "_bucket") {
        let (bound, cumulative) = read_bucket(bucket, &sum.labels)?;
        // The bucket of `+Inf` is the count. The encoder's has fewer observations if one was NaN.
        if bound != f64::INFINITY {
            buckets.push((bound, cumulative));
        }
    }
    let (count, total) = (integer(count.value)?, float(sum.value)?);
    Ok((
        sum.labels,
        HistogramSample::cumulative(buckets, count, total),
    ))
}

/// Returns the upper bound and the count.
fn read_bucket(mut line: Sample<'_>, series: &Labels<'_>) -> Result<(f64, u64), String> {
    let bound = line.labels.iter().position(|(name, _)| *name == "le");
    let (_, bound) = line
        .labels
        .remove(bound.ok_or("a bucket without the label \"le\"")?);
    if line.labels != *series {
        return Err("a bucket has other labels than its sum".to_owned());
    }
    Ok((float(&bound)?, integer(line.value)?))
}

fn check_suffix(line: &Sample<'_>, suffix: &str) -> Result<(), String> {
    match line.suffix == suffix {
        true => Ok(()),
        false => Err(format!(
            "expected the sample {suffix:?}, got {:?}",
            line.suffix
        )),
    }
}

/// Returns a number. Integers stay exact.
fn sample_value(text: &str) -> Result<SampleValue, String> {
    match text.parse::<u64>() {
        Ok(integer) => Ok(integer.into()),
        Err(_) => float(text).map(SampleValue::from),
    }
}

fn float(text: &str) -> Result<f64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

fn integer(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a count"))
}

fn pairs<'a>(labels: &'a Labels<'_>) -> Vec<(&'a str, &'a str)> {
    let labels = labels.iter();
    labels.map(|(name, value)| (*name, &**value)).collect()
}
