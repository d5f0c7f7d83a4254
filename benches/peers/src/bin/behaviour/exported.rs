//! Describes in words what a layer exported for a request.

use peers::layers::Peer;
use peers::samples::Samples;

/// Metrics that only some layers have, with the label to show and the words for them.
const MORE: [(&str, &str, &str); 3] = [
    ("http_connections_open", "kind", "open connection"),
    (
        "http_response_bodies_aborted_total",
        "reason",
        "response body aborted",
    ),
    (
        "http_request_bodies_aborted_total",
        "reason",
        "request body aborted",
    ),
];

/// The samples of a layer before the requests of one input.
pub struct Before<'a> {
    peer: &'a Peer,
    samples: Samples,
}

impl<'a> Before<'a> {
    pub fn new(peer: &'a Peer) -> Self {
        Self {
            peer,
            samples: peer.samples(),
        }
    }

    fn changes(&self) -> Samples {
        self.peer.samples().since(&self.samples)
    }

    /// Describes the state while the request is running.
    pub fn running(&self) -> String {
        self.describe("in progress", "not in progress, not counted")
    }

    /// Describes the state after everything that belongs to the request was dropped.
    pub fn ended(&self) -> String {
        self.describe("in progress forever", "not counted")
    }

    fn describe(&self, in_progress: &str, nothing: &str) -> String {
        let (changes, names) = (self.changes(), self.peer.names);
        let mut words = Vec::new();
        if changes.sum(names.in_progress) > 0.0 {
            words.push(in_progress.to_owned());
        }
        for status in changes.values(names.requests, names.status) {
            words.push(match status {
                Some(status) => format!("counted `{status}`"),
                None => "counted without status".to_owned(),
            });
        }
        if changes.sum(names.durations) > 0.0 {
            words.push("timed".to_owned());
        }
        for (metric, label, word) in MORE {
            let values = changes.values(metric, label).into_iter().flatten();
            words.extend(values.map(|value| format!("{word} `{value}`")));
        }
        match words.is_empty() {
            true => nothing.to_owned(),
            false => words.join(", "),
        }
    }

    /// Describes the endpoints of the counted requests.
    pub fn endpoints(&self) -> String {
        self.values(self.peer.names.endpoint)
    }

    /// Describes the methods of the counted requests.
    pub fn methods(&self) -> String {
        self.values(self.peer.names.method)
    }

    /// Returns the number of new series.
    pub fn new_series(&self) -> usize {
        self.peer.samples().len() - self.samples.len()
    }

    /// Shows the only value of a label, or the number of values.
    fn values(&self, label: &str) -> String {
        let changes = self.changes();
        let values = changes.values(self.peer.names.labelled, label);
        let mut each = values.iter();
        match (each.next(), each.next()) {
            (None, _) => "not counted".to_owned(),
            (Some(Some("")), None) => "`\"\"`".to_owned(),
            (Some(Some(value)), None) => format!("`{value}`"),
            (Some(None), None) => "no label".to_owned(),
            _ => format!("{} label values", values.len()),
        }
    }
}
