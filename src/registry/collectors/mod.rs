//! The collectors of a registry.

pub(crate) mod call;
pub(crate) mod collection;
pub(crate) mod merge;

use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};

use crate::collect::Collector;
use crate::collect::checker::SampleRules;
use crate::collect::deadline::Deadline;
use crate::collect::sample_value::SampleValue;
use crate::collect::samples::Samples;
use crate::error::Error;
use crate::registry::{Registry, WeakRegistry};
use crate::sync::lock;

use self::call::{CollectFuture, CollectorCall, CollectorCalls};

/// The collectors of a registry, in the order of registration.
pub(crate) struct Collectors {
    rules: Arc<SampleRules>,
    entries: Mutex<Vec<CollectorEntry>>,
}

struct CollectorEntry {
    name: Arc<str>,
    collector: Arc<dyn DynCollector>,
    /// The latest call. Weak, so that a call is dropped with the last scrape that waits for it.
    call: Weak<CollectorCall>,
    /// Whether a warning about dropped series was logged.
    warned_of_dropped: Arc<AtomicBool>,
}

/// A dyn-compatible version of [`Collector`].
trait DynCollector: Send + Sync {
    fn start(self: Arc<Self>, deadline: Deadline) -> CollectFuture;
}

impl<C: Collector> DynCollector for C {
    fn start(self: Arc<Self>, deadline: Deadline) -> CollectFuture {
        Box::pin(async move {
            let mut samples = Samples::default();
            C::collect(&self, deadline, &mut samples).await?;
            Ok(samples)
        })
    }
}

impl Collectors {
    /// A page of this many gauges has about 1 MB, ten times what most programs export. More series are most often
    /// a mistake, such as a label with a user id.
    pub(crate) const DEFAULT_MAX_SERIES: usize = 10_000;

    pub(crate) fn new(rules: SampleRules) -> Self {
        Self {
            rules: Arc::new(rules),
            entries: Mutex::default(),
        }
    }

    /// Returns the constant labels of the registry, in the text format.
    pub(crate) fn constant_labels(&self) -> Arc<str> {
        Arc::clone(&self.rules.constant_labels)
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    fn add(
        &self,
        name: &str,
        collector: Arc<dyn DynCollector>,
    ) -> Result<Weak<dyn DynCollector>, Error> {
        let mut entries = lock(&self.entries);
        if entries.iter().any(|entry| *entry.name == *name) {
            return Err(Error::conflict(format!(
                "collector {name:?} is already registered; use another name, or remove it first"
            )));
        }
        let registered = Arc::downgrade(&collector);
        entries.push(CollectorEntry {
            name: name.into(),
            collector,
            call: Weak::new(),
            warned_of_dropped: Arc::default(),
        });
        Ok(registered)
    }

    fn remove(&self, collector: &Weak<dyn DynCollector>) {
        let is_it = |entry: &CollectorEntry| {
            std::ptr::addr_eq(Arc::as_ptr(&entry.collector), collector.as_ptr())
        };
        let mut entries = lock(&self.entries);
        let removed = entries.iter().position(is_it).map(|i| entries.remove(i));
        drop(entries);
        // Dropped outside the lock: destructors may register or remove collectors.
        drop(removed);
    }

    /// Starts a call of each collector, or joins the call that is running.
    pub(crate) fn call(&self, deadline: Deadline) -> CollectorCalls {
        let mut entries = lock(&self.entries);
        let calls = entries.iter_mut().map(|entry| {
            let running = entry.call.upgrade().filter(|call| !call.is_over());
            running.unwrap_or_else(|| {
                let future = Arc::clone(&entry.collector).start(deadline);
                let (name, rules) = (Arc::clone(&entry.name), Arc::clone(&self.rules));
                let warned = Arc::clone(&entry.warned_of_dropped);
                let call = CollectorCall::new(name, rules, warned, deadline, future);
                let call = Arc::new(call);
                entry.call = Arc::downgrade(&call);
                call
            })
        });
        calls.collect()
    }
}

/// A handle that removes a collector from its registry.
///
/// Dropping the handle does not remove the collector; call [`remove`](Self::remove). Handles are returned by
/// [`Registry::collector`] and [`Registry::gauge`]. Clones are handles to the same collector.
#[derive(Clone)]
pub struct CollectorHandle {
    /// Weak, because the collector may hold its own handle.
    registry: WeakRegistry,
    name: Arc<str>,
    collector: Weak<dyn DynCollector>,
}

impl CollectorHandle {
    /// Removes the collector from its registry.
    ///
    /// A running call continues, and its metrics are exported. Scrapes that start later do not call the
    /// collector. If it was already removed, or the registry was dropped, this has no effect.
    pub fn remove(self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.collectors().remove(&self.collector);
        }
    }
}

/// Collectors: see [`collect`](crate::collect).
impl Registry {
    /// Registers a [collector](crate::collect), which adds metrics at scrape time.
    ///
    /// The collector must not block its thread; wrap it in [`Blocking`](crate::collect::Blocking) if it does.
    /// Its metrics are validated at scrape time. If a metric is invalid, all metrics of the collector are missing
    /// from the page and a warning is logged.
    ///
    /// Collectors can be registered at any time. Every scrape, push and [`gather`](Self::gather) that
    /// starts later calls the collector. [`render`](Self::render) and [`sum`](Self::sum) are synchronous
    /// and do not call collectors.
    ///
    /// `name` is the value of the label `collector` of `scrape_collector_success` and
    /// `scrape_collector_duration_seconds`, and appears in warnings.
    ///
    /// # Errors
    ///
    /// Returns an error if a collector with this name is already registered, or if the collector is this registry.
    pub fn collector(
        &self,
        name: &str,
        collector: impl Collector,
    ) -> Result<CollectorHandle, Error> {
        let registry = (&collector as &dyn Any).downcast_ref::<Self>();
        if registry.is_some_and(|registry| Arc::ptr_eq(&registry.inner, &self.inner)) {
            return Err(Error::new(format!(
                "collector {name:?} is the registry itself, whose metrics are already on its page; register another \
                 registry"
            )));
        }
        let collector = self.collectors().add(name, Arc::new(collector))?;
        Ok(CollectorHandle {
            registry: self.downgrade(),
            name: name.into(),
            collector,
        })
    }

    /// Registers a gauge without labels that is read at scrape time.
    ///
    /// `read` must not block its thread; if it does, use [`collector`](Self::collector) with
    /// [`Blocking`](crate::collect::Blocking). If `read` returns `None`, the gauge is missing from the page.
    ///
    /// The gauge is registered as a collector with the name of the gauge. To add labels or other metric types,
    /// use [`collector`](Self::collector).
    ///
    /// # Errors
    ///
    /// Returns an error if a collector with this name is already registered. An invalid name is not an error
    /// here: the gauge is then missing from the page and a warning is logged at each scrape.
    pub fn gauge<V: Into<SampleValue>>(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> V + Send + Sync + 'static,
    ) -> Result<CollectorHandle, Error> {
        self.collector(name, move |samples: &mut Samples| {
            samples.gauge(name, help).value(read());
            Ok(())
        })
    }
}

impl fmt::Debug for Collectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = lock(&self.entries);
        let names: Vec<_> = entries
            .iter()
            .map(|entry| Arc::clone(&entry.name))
            .collect();
        drop(entries);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for CollectorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CollectorHandle").field(&self.name).finish()
    }
}
