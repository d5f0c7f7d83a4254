//! The global registry. A test binary of its own, because a process has one global recorder.

use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Layer, Service, service_fn};
use tower_prometheus::{HttpMetrics, Registry, Sink};

#[test]
fn one_of_many_threads_installs_and_the_errors_of_the_others_name_its_place() {
    assert!(Registry::global().is_none());
    let error = Sink::global().unwrap_err().to_string();
    assert!(error.contains("no global recorder is installed"), "{error}");
    local_recorder_is_used_without_a_global_one();

    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| Registry::builder().install()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let place = format!("already installed as the global recorder, at {}:", file!());
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.to_string().contains(&place), "{error}");
        assert!(error.is_already_installed() && !error.is_conflict());
    }

    // Macros of every thread record into it.
    metrics::counter!("c_total").increment(1);
    std::thread::spawn(|| metrics::counter!("c_total").increment(1))
        .join()
        .unwrap();
    let global = Registry::global().unwrap();
    assert_eq!(global.sum("c_total", &[]), Some(2.0));

    // A layer on the global sink uses this registry, so a second one with other buckets conflicts.
    HttpMetrics::server()
        .build(Sink::global().unwrap())
        .unwrap();
    let conflict = HttpMetrics::server().duration_buckets([1.0]).build(&global);
    assert!(
        conflict
            .unwrap_err()
            .to_string()
            .contains("with other buckets")
    );

    // Without another handle, a layer still registers series in it.
    let layer = global.http_layer();
    drop((results, global));
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        ready(Ok::<_, ()>(Response::new(Empty::<Bytes>::new())))
    }));
    let response = service.call(Request::new(())).now_or_never().unwrap();
    drop(response);
    let global = Registry::global().unwrap();
    assert_eq!(global.sum("http_requests_total", &[]), Some(1.0));
}

/// A series belongs to the local recorder that is current when it is registered, here as 0 with `build`.
fn local_recorder_is_used_without_a_global_one() {
    let [first, second] = [Registry::new(), Registry::new()];
    let sink = metrics::with_local_recorder(&first, || Sink::global().unwrap());
    let layer = HttpMetrics::server().preregister(http::Method::GET, "/a", [200]);
    metrics::with_local_recorder(&second, || layer.build(sink).unwrap());
    let labels = [("endpoint", "/a"), ("status", "200")];
    assert_eq!(first.sum("http_requests_total", &labels), None);
    assert_eq!(second.sum("http_requests_total", &labels), Some(0.0));
    assert!(Sink::global().is_err());
}
