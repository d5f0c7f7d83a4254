//! Clients of the services, and their metrics pages as exact series.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use test_support::page::{assert_valid_text, samples};
use test_support::process::curl;
use test_support::store::Directory;

/// Sends a request with curl and returns the status code.
#[track_caller]
pub fn status(arguments: &[&str]) -> u16 {
    let arguments = [arguments, &["-o", "/dev/null", "-w", "%{http_code}"]].concat();
    curl(&arguments).parse().unwrap()
}

/// Sends a GET request and does not read the response. Dropping the connection makes the client leave.
pub fn send_get(address: &str, path: &str, headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

/// Uploads 30 MB of records to the sync server, more than the buffers of a connection take. So a download ends only if
/// its client reads it.
#[track_caller]
pub fn upload_large_records(address: &str, token: &str) {
    let directory = Directory::new();
    let record = directory.write("record", &"x".repeat(1_500_000));
    let record = format!("@{}", record.display());
    let url = format!("http://{address}/records/history");
    for _ in 0..20 {
        assert_eq!(status(&["-H", token, "--data-binary", &record, &url]), 201);
    }
}

/// Starts a download of the records, and reads its response head.
#[track_caller]
pub fn start_download(address: &str, token: &str) -> TcpStream {
    let mut client = send_get(address, "/records/history", &format!("{token}\r\n"));
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    client
}

/// Reads a response head, up to the empty line after it.
fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Asserts that a page is valid and has exactly these series.
///
/// Of histograms, only the counts are compared. The durations of collectors are left out.
#[track_caller]
pub fn assert_series(page: &str, expected: &[(&str, f64)]) {
    assert_valid_text(page);
    let name = |series: &str| series.split('{').next().unwrap().to_owned();
    let differs = |series: &str| {
        let name = name(series);
        name.ends_with("_bucket")
            || name.ends_with("_sum")
            || name == "scrape_collector_duration_seconds"
    };
    let mut found = samples(page);
    found.retain(|series, _| !differs(series));
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(s, v)| ((*s).to_owned(), *v))
        .collect();
    assert_eq!(found, expected, "\n{page}");
}
