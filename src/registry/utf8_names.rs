//! [`Utf8Names`]: the names of a family as macros have them, for scrapers that accept UTF-8.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use metrics::Key;

use crate::model::names::is_label_name;
use crate::sync::lock;

/// The names of a family that differ from the exported ones because they are not valid without UTF-8.
#[derive(Default)]
pub(crate) struct Utf8Names {
    /// `None` if the exported name is that of the macro, or if another family has the name.
    metric: Option<Box<str>>,
    /// By the exported labels of the series, in the text format.
    labels: Mutex<HashMap<Box<str>, Arc<[RenamedLabel]>>>,
    has_labels: AtomicBool,
}

/// A label whose name in macros is not the exported one.
#[derive(Debug)]
pub(crate) struct RenamedLabel {
    pub(crate) exported: Box<str>,
    pub(crate) utf8: Box<str>,
}

impl Utf8Names {
    pub(crate) fn new(metric: Option<String>) -> Self {
        let metric = metric.map(String::into_boxed_str);
        Self {
            metric,
            ..Self::default()
        }
    }

    /// The name of the metric; `None` if it is the exported one.
    pub(crate) fn metric(&self) -> Option<&str> {
        self.metric.as_deref()
    }

    /// Whether all names are the exported ones.
    pub(crate) fn is_empty(&self) -> bool {
        self.metric.is_none() && !self.has_labels.load(Ordering::Acquire)
    }

    /// Adds the label names of a series. `labels` are the exported labels, `exported` the exported names of those of
    /// `key`. Returns whether all names of `key` are kept.
    pub(crate) fn add_labels(&self, labels: &str, key: &Key, exported: &[String]) -> bool {
        let mut renamed: Vec<RenamedLabel> = Vec::new();
        let mut keeps_all = true;
        for (label, exported) in key.labels().zip(exported) {
            let name = label.key();
            if name == exported {
                continue;
            }
            let is_twice = renamed.iter().any(|other| *other.utf8 == *name);
            if name.is_empty() || is_label_name(name) || is_twice {
                keeps_all = false;
                continue;
            }
            renamed.push(RenamedLabel {
                exported: exported.as_str().into(),
                utf8: name.into(),
            });
        }
        if !renamed.is_empty() {
            lock(&self.labels).insert(labels.into(), renamed.into());
            self.has_labels.store(true, Ordering::Release);
        }
        keeps_all
    }

    /// Removes the label names of a series that has expired.
    pub(crate) fn remove_labels(&self, exported: &str) {
        if self.has_labels.load(Ordering::Acquire) {
            lock(&self.labels).remove(exported);
        }
    }

    /// Returns the renamed labels of the series with these exported labels.
    pub(crate) fn labels(&self, exported: &str) -> Option<Arc<[RenamedLabel]>> {
        if !self.has_labels.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.labels).get(exported).cloned()
    }
}
