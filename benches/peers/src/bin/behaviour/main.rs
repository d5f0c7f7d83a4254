//! Sends the same requests through each layer and prints what each exports, as the tables of COMPARE.md.
//!
//! Services are called directly. Streams are driven by channels, so nothing depends on time.

mod exported;
mod grpc;
mod http;
mod native;
mod settings;
mod streams;

use peers::layers::{self, Peer};

/// A row of a table: the input, a cell for each layer, and the tests of tower-prometheus.
pub struct Row {
    pub input: &'static str,
    pub cells: Vec<String>,
    pub tests: &'static [&'static str],
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tonic = layers::tonic_prometheus_layer();
    print_table(&[&layers::our_grpc(), &tonic], grpc::rows).await;

    let peers = [
        layers::ours(),
        layers::axum_prometheus(),
        layers::prometheus_axum_middleware(),
        layers::axum_otel_metrics(),
        layers::tower_otel_http_metrics(),
        layers::opentelemetry_instrumentation_tower(),
        tonic,
    ];
    print_table(&peers.each_ref(), http::rows).await;
    native::print_table();
}

async fn print_table(peers: &[&Peer], rows: impl AsyncFn(&[&Peer]) -> Vec<Row>) {
    let names: Vec<_> = peers.iter().map(|peer| peer.name).collect();
    let versions: Vec<_> = names.iter().filter_map(|name| version(name)).collect();
    println!("{}:\n", versions.join(", "));
    println!("| | {} | test |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len() + 1));
    for row in rows(peers).await {
        let tests: Vec<_> = row.tests.iter().map(|test| link(test)).collect();
        let (cells, tests) = (row.cells.join(" | "), tests.join(", "));
        println!("| {} | {cells} | {tests} |", row.input);
    }
    println!();
}

fn link(test: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(path.join(test).is_file(), "{test} does not exist");
    format!("[{}]({test})", test.rsplit('/').next().unwrap_or(test))
}

/// Returns the name and the version of a dependency in `Cargo.lock`. Not for tower-prometheus, which is a path dependency.
fn version(name: &str) -> Option<String> {
    let packages = include_str!("../../../Cargo.lock").split("[[package]]");
    let mut packages = packages.filter(|package| package.contains("source = "));
    let package = packages.find(|package| package.contains(&format!("name = \"{name}\"\n")))?;
    let (_, version) = package.split_once("version = \"")?;
    Some(format!("{name} {}", version.split('"').next()?))
}
