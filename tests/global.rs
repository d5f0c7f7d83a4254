//! One global registry, whoever comes first. A binary of its own, because there is one a process.

use tower_prometheus::{HttpMetrics, Registry, Sink};

#[test]
fn one_of_many_threads_installs_and_the_others_learn_who() {
    assert!(Registry::global().is_none());
    let none = Sink::global().unwrap_err().to_string();
    assert!(none.contains("no global recorder is installed"), "{none}");

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
    let first = format!("already installed as the global recorder, at {}:", file!());
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.to_string().contains(&first), "{error}");
        assert!(error.is_already_installed() && !error.is_conflict());
    }

    // From any thread, before or after: the same registry.
    metrics::counter!("c_total").increment(1);
    std::thread::spawn(|| metrics::counter!("c_total").increment(1))
        .join()
        .unwrap();
    let global = Registry::global().unwrap();
    assert_eq!(global.sum("c_total", &[]), Some(2.0));

    // On purpose, a layer records there, with all that a registry of ours can do.
    HttpMetrics::server()
        .build(Sink::global().unwrap())
        .unwrap();
    let other = HttpMetrics::server().duration_buckets([1.0]).build(&global);
    assert!(
        other
            .unwrap_err()
            .to_string()
            .contains("with other buckets")
    );
}
