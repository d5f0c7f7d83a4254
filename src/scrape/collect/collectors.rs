//! [`Collectors`]: those of one handler, and the handler's methods that add them.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::HeaderMap;

use super::call::{Answer, Call, Calls};
use super::{Collection, Collector, Deadline, SampleValue, Samples};
use crate::error::start_up;
use crate::sync::lock;
use crate::{Error, MetricsHandler};

/// The collectors of a handler and of its clones.
pub(in crate::scrape) struct Collectors {
    constant_labels: Arc<[(String, String)]>,
    slots: Mutex<Vec<Slot>>,
}

struct Slot {
    name: Arc<str>,
    collector: Arc<dyn Collect>,
    /// The latest call; not kept alive, because a call that nobody waits for is gone.
    call: Weak<Call>,
}

/// A [`Collector`] whose type is forgotten.
trait Collect: Send + Sync {
    fn start(self: Arc<Self>, deadline: Deadline) -> Answer;
}

impl<C: Collector> Collect for C {
    fn start(self: Arc<Self>, deadline: Deadline) -> Answer {
        Box::pin(async move {
            let mut samples = Samples::default();
            C::collect(&self, deadline, &mut samples).await?;
            Ok(samples)
        })
    }
}

impl Collectors {
    pub(in crate::scrape) fn new(constant_labels: &[(String, String)]) -> Self {
        Self {
            constant_labels: constant_labels.into(),
            slots: Mutex::default(),
        }
    }

    pub(in crate::scrape) fn is_empty(&self) -> bool {
        lock(&self.slots).is_empty()
    }

    fn add(&self, name: &str, collector: Arc<dyn Collect>) -> Result<(), Error> {
        let mut slots = lock(&self.slots);
        if slots.iter().any(|slot| *slot.name == *name) {
            return Err(Error::new(format!(
                "collector {name:?} is there already: each has a name of its own"
            )));
        }
        slots.push(Slot {
            name: name.into(),
            collector,
            call: Weak::new(),
        });
        Ok(())
    }

    /// Calls every collector that is not being called already.
    pub(in crate::scrape) fn call(&self, deadline: Deadline) -> Calls {
        let mut slots = lock(&self.slots);
        let calls = slots.iter_mut().map(|slot| {
            let under_way = slot.call.upgrade().filter(|call| !call.is_over());
            under_way.unwrap_or_else(|| {
                let answer = Arc::clone(&slot.collector).start(deadline);
                let constant_labels = Arc::clone(&self.constant_labels);
                let name = Arc::clone(&slot.name);
                let call = Arc::new(Call::new(name, constant_labels, deadline, answer));
                slot.call = Arc::downgrade(&call);
                call
            })
        });
        calls.collect()
    }
}

/// How one handler treats its collectors.
#[derive(Clone, Copy, Debug)]
pub(in crate::scrape) struct Settings {
    timeout: Duration,
    fails: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            fails: false,
        }
    }
}

impl Settings {
    /// Whether a collector that fails makes the scrape fail.
    pub(in crate::scrape) fn fails(&self) -> bool {
        self.fails
    }

    /// What a scrape that begins now waits for, if anything.
    pub(in crate::scrape) fn collection(
        &self,
        collectors: &Collectors,
        headers: &HeaderMap,
    ) -> Option<Collection> {
        let deadline = || Deadline::of(headers, self.timeout);
        (!collectors.is_empty()).then(|| Collection::new(deadline()))
    }
}

/// Collectors, see [`collect`](crate::collect); with the feature `collect`.
impl MetricsHandler {
    /// Adds a collector to every page of this handler and its clones.
    ///
    /// The name is its `collector` label, and what the log calls it.
    ///
    /// # Panics
    ///
    /// When there is one of that name already; [`add_collector`](Self::add_collector) says so instead.
    #[track_caller]
    pub fn collector(self, name: &str, collector: impl Collector) -> Self {
        start_up(self.add_collector(name, collector));
        self
    }

    /// Adds a gauge that is read when the page is; `None` leaves it out. It is a collector called like the gauge.
    ///
    /// # Panics
    ///
    /// When there is a collector of that name already.
    #[track_caller]
    pub fn gauge<V: Into<SampleValue>>(
        self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> V + Send + Sync + 'static,
    ) -> Self {
        self.collector(name, move |samples: &mut Samples| {
            samples.gauge(name, help).value(read());
            Ok(())
        })
    }

    /// Adds a collector at any time, for what is there only later: it is on the next page.
    ///
    /// # Errors
    ///
    /// When there is one of that name already.
    pub fn add_collector(&self, name: &str, collector: impl Collector) -> Result<(), Error> {
        self.collectors().add(name, Arc::new(collector))
    }

    /// Answers a scrape with 500 and the reasons when a collector fails, for who would rather have no page than
    /// one with a part missing.
    ///
    /// Then the page's head waits for the collectors. Which of them cannot stand beside another family
    /// of the page is known only after it: such samples are left out all the same.
    pub fn fail_on_collect_error(mut self) -> Self {
        self.collect_settings().fails = true;
        self
    }

    /// How long a scraper waits that does not say it; 10 s if not set, as Prometheus does.
    pub fn scrape_timeout(mut self, timeout: Duration) -> Self {
        self.collect_settings().timeout = timeout;
        self
    }
}

impl fmt::Debug for Collectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = lock(&self.slots)
            .iter()
            .map(|slot| Arc::clone(&slot.name))
            .collect();
        f.debug_list().entries(names).finish()
    }
}
