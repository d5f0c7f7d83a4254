//! State sets: every metrics page has exactly one current state.

use std::sync::atomic::{AtomicBool, Ordering};

use tower_prometheus::{
    Registry, Sink, StateSet, catalogue, labels,
    model::{LabelValues, MetricKind},
};

use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_open_metrics, samples,
};
use test_support::warnings::Warnings;

labels! {
    pub enum State { Starting = "starting", Ready = "ready", Draining = "draining \"all\"" }
    pub enum Zone("zone") { East = "east", West = "west" }
    pub struct Worker { worker: open(2), zone: Zone }
}

catalogue! {
    #[prefix = "jobs"]
    pub struct Jobs {
        /// State of the queue.
        pub queue_state: StateSet<State>,
        /// State of each zone.
        pub zone_state: StateSet<State, Zone>,
        /// State of each worker.
        pub worker_state: StateSet<State, Worker>,
        /// Whether jobs are accepted.
        pub accepting: StateSet<bool>,
    }
}

fn worker(worker: &str, zone: Zone) -> Worker<&str> {
    Worker { worker, zone }
}

/// The lines of a state set on a page, without the comments.
fn lines<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('{'))
    };
    page.lines().filter(is_of).collect()
}

#[test]
fn state_set_has_a_line_for_each_state_with_the_metric_name_as_the_label() {
    let registry = Registry::builder()
        .constant_label("service", "s")
        .build()
        .unwrap();
    let jobs = Jobs::on(&registry).unwrap();
    // At first, the first state.
    let expected = |current: &str| {
        ["draining \\\"all\\\"", "ready", "starting"].map(|state| {
            let value = u8::from(state == current);
            format!("jobs_queue_state{{service=\"s\",jobs_queue_state=\"{state}\"}} {value}")
        })
    };
    let page = registry.render();
    assert_eq!(lines(&page, "jobs_queue_state"), expected("starting"));
    assert!(page.contains("# TYPE jobs_queue_state gauge\n"), "{page}");

    jobs.queue_state.set(State::Ready);
    jobs.zone_state.with(Zone::West).set(State::Draining);
    jobs.accepting.set(true);
    jobs.worker_state
        .with(worker("a", Zone::East))
        .set(State::Ready);
    jobs.worker_state
        .with(worker("aa", Zone::East))
        .set(State::Draining);
    let page = registry.render();
    assert_valid_text(&page);
    assert_eq!(lines(&page, "jobs_queue_state"), expected("ready"));
    let value = |name, labels: &[(&str, &str)]| registry.sum(name, labels);
    let zone = |zone, state| {
        value(
            "jobs_zone_state",
            &[("zone", zone), ("jobs_zone_state", state)],
        )
    };
    assert_eq!(zone("west", "draining \"all\""), Some(1.0));
    assert_eq!(zone("west", "starting"), Some(0.0));
    assert_eq!(zone("east", "starting"), Some(1.0));
    assert_eq!(
        value("jobs_accepting", &[("jobs_accepting", "true")]),
        Some(1.0)
    );
    // Both zones of two workers have one current state each.
    assert_eq!(value("jobs_worker_state", &[]), Some(4.0));
    assert_eq!(lines(&page, "jobs_worker_state").len(), 4 * 3);

    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    assert!(
        page.contains("# TYPE jobs_queue_state stateset\n"),
        "{page}"
    );
    assert_eq!(lines(&page, "jobs_queue_state"), expected("ready"));
}

/// Setting two gauges, one to 0 and the other to 1, would show both or none on some pages.
#[test]
fn every_page_has_exactly_one_current_state_while_states_change() {
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for offset in 0..2 {
            let done = &done;
            scope.spawn(move || {
                let mut states = State::ALL.iter().cycle().skip(offset);
                while !done.load(Ordering::Relaxed) {
                    let state = *states.next().unwrap();
                    jobs.queue_state.set(state);
                    jobs.worker_state.with(worker("a", Zone::West)).set(state);
                }
            });
        }
        let seen = (0..2000).map(|i| {
            let page = match i % 2 {
                0 => registry.render(),
                _ => render_open_metrics(&registry),
            };
            let current = |line: &&&str| line.ends_with(" 1");
            let queue = lines(&page, "jobs_queue_state")
                .iter()
                .filter(current)
                .count();
            // Each zone is a series with a line for each of its three states, and is registered after the other.
            let of_workers = lines(&page, "jobs_worker_state");
            let (all, workers) = (of_workers.len(), of_workers.iter().filter(current).count());
            (queue, [0, 3, 6].contains(&all) && workers == all / 3)
        });
        let wrong: Vec<_> = seen.filter(|seen| *seen != (1, true)).take(3).collect();
        done.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{wrong:?}");
    });
}

#[test]
fn state_set_beyond_the_limit_is_not_set_and_counts_as_overflow_with_one_warning() {
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    let warnings = Warnings::capture();
    for name in ["a", "b", "c", "d"] {
        let state = jobs.worker_state.with(worker(name, Zone::East));
        state.set(State::Ready);
    }
    let page = registry.render();
    assert_valid_text(&page);
    assert_eq!(lines(&page, "jobs_worker_state").len(), 2 * 2 * 3);
    assert!(!page.contains("worker=\"overflow\""), "{page}");
    let labels = [("family", "jobs_worker_state"), ("label", "worker")];
    let counted = registry.sum("metrics_label_overflow_total", &labels);
    assert_eq!(counted, Some(2.0));
    let expected = "jobs_worker_state: label \"worker\" reached its limit of 2 values; new values are not recorded; raise \
                    the limit of `open` in `labels!`";
    assert_eq!(warnings.about(expected).len(), 1);
    assert_eq!(warnings.about("jobs_worker_state").len(), 1);
}

#[test]
fn catalogues_on_one_registry_share_a_state_set_and_other_states_are_a_conflict() {
    mod other {
        use super::{State, Zone};
        tower_prometheus::labels! {
            pub enum Phase { Starting = "starting", Stopped = "stopped" }
        }
        tower_prometheus::catalogue! {
            pub struct States {
                /// With other states.
                pub jobs_queue_state: tower_prometheus::StateSet<Phase>,
            }
        }
        tower_prometheus::catalogue! {
            pub struct Labels {
                /// With labels.
                pub jobs_queue_state: tower_prometheus::StateSet<State, Zone>,
            }
        }
    }
    let registry = Registry::new();
    Jobs::on(&registry).unwrap().queue_state.set(State::Ready);
    Jobs::on(&registry).unwrap();
    let ready = [("jobs_queue_state", "ready")];
    assert_eq!(registry.sum("jobs_queue_state", &ready), Some(1.0));
    let errors = [
        (
            other::States::on(&registry).unwrap_err(),
            "\"jobs_queue_state\" is already registered with the states",
        ),
        (
            other::Labels::on(&registry).unwrap_err(),
            "\"jobs_queue_state\" is already registered with the labels [\"jobs_queue_state\"], now with [\"zone\", \
             \"jobs_queue_state\"]",
        ),
    ];
    for (error, expected) in errors {
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.is_conflict(), "{error}");
    }
    let constant = Registry::builder().constant_label("jobs_queue_state", "x");
    let error = Jobs::on(constant.build().unwrap()).unwrap_err().to_string();
    let expected = "label \"jobs_queue_state\" is a constant label of the registry and a label of \"jobs_queue_state\"";
    assert!(error.contains(expected), "{error}");
}

/// Another recorder gets a gauge for each state.
#[test]
fn state_set_on_another_recorder_is_a_gauge_for_each_state() {
    let foreign = Registry::new();
    let jobs = Jobs::on(Sink::recorder(foreign.clone())).unwrap();
    let zone = |zone, state| {
        let labels = [("zone", zone), ("jobs_zone_state", state)];
        foreign.sum("jobs_zone_state", &labels)
    };
    assert_eq!(zone("west", "starting"), Some(1.0));
    jobs.zone_state.with(Zone::West).set(State::Ready);
    jobs.zone_state.with(Zone::West).set(State::Ready);
    assert_eq!(zone("west", "starting"), Some(0.0));
    assert_eq!(zone("west", "ready"), Some(1.0));
    assert_eq!(foreign.sum("jobs_zone_state", &[]), Some(2.0));
    // Threads that set the state at the same time leave one.
    std::thread::scope(|scope| {
        for state in State::ALL {
            scope.spawn(move || (0..1000).for_each(|_| jobs.queue_state.set(*state)));
        }
    });
    assert_eq!(foreign.sum("jobs_queue_state", &[]), Some(1.0));
    assert_eq!(lines(&foreign.render(), "jobs_queue_state").len(), 3);
}

#[test]
fn definition_of_a_state_set_has_its_states_as_a_label() {
    let families = Jobs::families();
    let zones = families
        .iter()
        .find(|family| family.name == "jobs_zone_state");
    let zones = zones.unwrap();
    assert_eq!(zones.kind, MetricKind::StateSet);
    let labels: Vec<_> = zones.labels.iter().map(|label| &*label.name).collect();
    assert_eq!(labels, ["zone", "jobs_zone_state"]);
    let states = State::ALL.iter().map(|state| state.as_str().into());
    assert_eq!(
        zones.labels[1].values,
        LabelValues::Closed(states.collect())
    );
}

#[tokio::test]
async fn snapshot_has_exactly_one_current_state() {
    use tower_prometheus::snapshot::Value;
    let registry = Registry::new();
    let jobs = Jobs::on(&registry).unwrap();
    let before = registry.gather().await;
    jobs.queue_state.set(State::Ready);
    let after = registry.gather().await;
    for (snapshot, expected) in [(before, "starting"), (after, "ready")] {
        let family = snapshot.family("jobs_queue_state").unwrap();
        assert_eq!(family.kind(), MetricKind::StateSet);
        let current = family
            .series()
            .filter(|series| matches!(series.value(), Value::State(true)));
        let states: Vec<_> = current
            .map(|series| series.labels().next().unwrap().1.into_owned())
            .collect();
        assert_eq!(states, [expected]);
    }
}

#[test]
fn handles_are_copy_send_and_sync_and_their_debug_output_names_the_state_set() {
    fn assert_copy_send_sync<T: Send + Sync + Copy + 'static>(_: T) {}
    let jobs = Jobs::on(Registry::new()).unwrap();
    let west = jobs.zone_state.with(Zone::West);
    assert_copy_send_sync(west);
    let text = format!("{west:?}");
    assert_eq!(text, "StateSet jobs_zone_state{\"zone\": \"west\"}");
    let page = Registry::new();
    Jobs::on(&page).unwrap().accepting.set(false);
    let current = samples(&page.render());
    assert_eq!(current["jobs_accepting{jobs_accepting=\"false\"}"], 1.0);
}
