//! client_golang and this crate observe the same values.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use test_support::skip_without;
use tower_prometheus::{NativeHistogram, Registry};

use crate::messages::{Histogram, decode};
use crate::{PROMETHEUS_2, families};

/// A growth factor whose schema is `schema`.
fn factor(schema: i32) -> f64 {
    // A little more than the growth of the schema, which the logarithms of the libraries may round down.
    2_f64.powf(2_f64.powi(-schema)).powf(1.000_1)
}

/// Random values over the whole range, and values where mistakes are likely. Without NaN, which client_golang counts.
fn values(schema: i32) -> Vec<f64> {
    let mut values = vec![
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
    ];
    values.extend([f64::MIN_POSITIVE, 5e-324, 2e-308, -1e-310, 2_f64.powi(-128)]);
    for power in -1074..1024 {
        let power = 2_f64.powi(power);
        values.extend([power, power.next_up(), power.next_down(), -power]);
    }
    // The bounds of the schema, from above and below.
    let growth = 2_f64.powi(-schema);
    for i in -4000..4000 {
        let bound = 2_f64.powf(f64::from(i) * growth);
        values.extend([bound, bound.next_up(), bound.next_down(), -bound]);
    }
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    while values.len() < 1_000_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        values.push(match values.len() % 4 {
            // Any bits.
            0 => f64::from_bits(random),
            // From 1e-9 to 1e9, as durations and sizes.
            _ => 10_f64.powf((random >> 11) as f64 / 2_f64.powi(53) * 18.0 - 9.0),
        });
    }
    values.retain(|value| !value.is_nan());
    if schema < 0 {
        // client_golang 1.14 rounds towards zero where the specification rounds up: below 1, its coarse buckets are off
        // by one.
        values.retain(|value| value.abs() >= 1.0 || value.abs() <= 2_f64.powi(-128));
    }
    values
}

/// Builds the Go program once, in a directory of this test. Returns its path.
fn go_program() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native");
    let program = directory.join("observe");
    std::fs::create_dir_all(&directory).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/native/observe.go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &source.into()])
        // Debian's libraries are not modules.
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", directory.join("cache"))
        .status();
    assert!(built.unwrap().success());
    program
}

fn of_go(program: &PathBuf, factor: f64, values: &[f64]) -> Histogram {
    let mut running = Command::new(program)
        .arg(factor.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    running.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success());
    let family = decode(&output.stdout).remove(0);
    family.metric[0].histogram.clone().unwrap()
}

async fn of_this_crate(factor: f64, values: &[f64]) -> Histogram {
    let settings = NativeHistogram::new(factor)
        .max_buckets(usize::MAX)
        .without_classic_buckets();
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        let histogram = metrics::histogram!("observed_seconds");
        values.iter().for_each(|value| histogram.record(*value));
    });
    let family = families(&registry, PROMETHEUS_2).await.remove(0);
    family.metric[0].histogram.clone().unwrap()
}

#[tokio::test]
async fn messages_equal_those_of_client_golang_at_every_schema() {
    skip_without!(ClientGolang);
    let program = go_program();
    for schema in -4..=8 {
        let values = values(schema);
        let (mut theirs, mut ours) = (
            of_go(&program, factor(schema), &values),
            of_this_crate(factor(schema), &values).await,
        );
        assert_eq!(ours.schema, Some(schema));
        assert_eq!(ours.bucket_total(), values.len() as u64);
        // client_golang adds infinities to the sum, and does not have creation times yet.
        for histogram in [&mut theirs, &mut ours] {
            histogram.sample_sum = None;
            histogram.created_timestamp = None;
        }
        assert_eq!(ours, theirs, "schema {schema}");
    }
    let finite: Vec<f64> = (0..10_000).map(|i| f64::from(i) * 0.37 - 900.0).collect();
    let theirs = of_go(&program, 1.1, &finite);
    let ours = of_this_crate(1.1, &finite).await;
    assert_eq!(ours.sample_sum, theirs.sample_sum);
}
