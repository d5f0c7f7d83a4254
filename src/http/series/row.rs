//! [`HttpRow`]: the series of a layer with the same values of open labels, if series can expire.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock, Weak};

use crate::http::config::families::LabelSource;
use crate::http::config::http_label::MAX_LABELS;
use crate::http::config::http_metric::HttpMetric;
use crate::http::labels::method::Method;
use crate::http::series::connection::ConnectionSeries;
use crate::http::series::custom_values::{CustomValues, OpenTexts};
use crate::http::series::endpoint::EndpointSeries;
use crate::http::series::label_values::LabelIds;
use crate::http::series::layer::LayerSeries;
use crate::http::series::request::RequestSeries;
use crate::http::series::series_ref::SeriesRef;
use crate::maps::slots::{SlotKey, Slots};
use crate::open_labels::cache::{Cached, RowCache};
use crate::open_labels::rows::{OpenRows, Row};
use crate::registry::lifetime::Lifetime;

/// The series of a layer with the same values of open labels.
#[derive(Default)]
pub(crate) struct HttpRow {
    requests: Slots<RowKey<Method>, Arc<RequestSeries>>,
    /// By endpoint and kind. Allocated when the first connection opens.
    connections: OnceLock<Box<Slots<RowKey<&'static str>, Arc<ConnectionSeries>>>>,
}

/// The key of series within a row.
#[derive(Clone, Copy)]
struct RowKey<K> {
    endpoint: &'static EndpointSeries,
    /// A method, or the kind of a connection.
    kind: K,
    labels: LabelIds,
}

impl<K: PartialEq> PartialEq for RowKey<K> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.endpoint, other.endpoint)
            && self.kind == other.kind
            && self.labels == other.labels
    }
}

impl<K: SlotKey> SlotKey for RowKey<K> {
    fn bits(self) -> u64 {
        let endpoint = std::ptr::from_ref(self.endpoint).addr() as u64;
        endpoint ^ self.kind.bits() ^ self.labels.bits()
    }
}

impl SlotKey for Method {
    fn bits(self) -> u64 {
        self.index() as u64
    }
}

thread_local! {
    static ROWS: RefCell<RowCache<HttpRow>> = const { RefCell::new(RowCache::new()) };
}

impl Cached for HttpRow {
    #[inline]
    fn with_cache<T>(then: impl FnOnce(&RefCell<RowCache<Self>>) -> T) -> Option<T> {
        ROWS.try_with(then).ok()
    }
}

/// The values of the custom labels of series.
#[derive(Clone)]
pub(crate) struct SeriesLabels {
    pub(super) ids: LabelIds,
    /// `None` if series never expire, or if all open labels are absent.
    pub(super) open: Option<OpenLabels>,
}

/// The values of the open labels of series in a row.
#[derive(Clone)]
pub(crate) struct OpenLabels {
    /// Weak, because the row has the series.
    row: Weak<Row<HttpRow>>,
    /// Those of the row, which the series may outlive.
    values: Arc<[Box<str>]>,
    pub(super) is_overflow: bool,
}

impl SeriesLabels {
    pub(super) fn listed(ids: LabelIds) -> Self {
        Self { ids, open: None }
    }

    /// The values of the open labels; none if all are absent.
    pub(super) fn open(&self) -> impl Iterator<Item = &str> + Clone {
        let open = self.open.iter().flat_map(|open| &*open.values);
        open.map(|value| &**value)
    }
}

impl OpenLabels {
    fn of(row: &Arc<Row<HttpRow>>) -> Self {
        Self {
            row: Arc::downgrade(row),
            values: Arc::clone(row.shared_values()),
            is_overflow: row.is_overflow(),
        }
    }

    /// The lifetime of a new series. If the row is forgotten, because the request has outlived it, the series belongs to
    /// the row that replaces it, so that its values count.
    fn lifetime(&self, rows: &'static OpenRows<HttpRow>) -> Lifetime {
        let row = self.row.upgrade().filter(|row| !row.is_forgotten());
        let row = row.or_else(|| {
            let values = OpenTexts::of(self.values.iter().map(|value| &**value));
            rows.admit_all(values.as_slice(), HttpRow::default)
        });
        let row = row.map_or_else(|| Weak::clone(&self.row), |row| Arc::downgrade(&row));
        Lifetime::OfRow(row)
    }
}

impl LayerSeries {
    /// The series of requests with these values, of which at least one is open, if it is registered.
    pub(crate) fn find_in_row(
        &'static self,
        endpoint: &'static EndpointSeries,
        method: Method,
        values: &CustomValues<'_>,
    ) -> Option<Arc<RequestSeries>> {
        let rows = self.rows.as_ref()?;
        let key = RowKey {
            endpoint,
            kind: method,
            labels: values.ids,
        };
        let find = |row: &Arc<Row<HttpRow>>| row.content().requests.get(key).cloned();
        values.with_open(|texts| match rows.with_cached(texts.as_slice(), find) {
            Some(found) => found,
            None => find(&rows.lookup_shared(texts.as_slice())?),
        })
    }

    /// The series of requests with these values, registered on first use.
    pub(crate) fn series_of(
        &'static self,
        endpoint: &'static EndpointSeries,
        method: Method,
        values: &CustomValues<'_>,
    ) -> SeriesRef<RequestSeries> {
        let Some(rows) = self.rows.as_ref().filter(|_| values.has_open()) else {
            return SeriesRef::Static(endpoint.make(self, method, values.ids));
        };
        let known = self.find_in_row(endpoint, method, values);
        SeriesRef::InRow(known.unwrap_or_else(|| {
            let admit =
                |texts: &OpenTexts<'_>| rows.admit_shared(texts.as_slice(), HttpRow::default);
            let row = values.with_open(admit);
            let key = RowKey {
                endpoint,
                kind: method,
                labels: values.ids,
            };
            let new = || {
                let labels = SeriesLabels {
                    ids: values.ids,
                    open: Some(OpenLabels::of(&row)),
                };
                Arc::new(RequestSeries::new(self, endpoint, method, labels))
            };
            Arc::clone(row.content().requests.get_or_insert(key, new))
        }))
    }

    /// The series of long-lived connections in the row of `labels`. `None` if no label is open.
    pub(super) fn connections_in_row(
        &'static self,
        endpoint: &'static EndpointSeries,
        kind: &'static str,
        labels: &SeriesLabels,
        new: impl Fn() -> ConnectionSeries,
    ) -> Option<Arc<ConnectionSeries>> {
        let open = labels.open.as_ref()?;
        let Some(row) = open.row.upgrade() else {
            return Some(Arc::new(new()));
        };
        let key = RowKey {
            endpoint,
            kind,
            labels: labels.ids,
        };
        let connections = row.content().connections.get_or_init(Box::default);
        Some(Arc::clone(
            connections.get_or_insert(key, || Arc::new(new())),
        ))
    }

    /// Keeps the labels that a metric has, and makes the others absent.
    pub(super) fn labels_of(
        &'static self,
        family: HttpMetric,
        labels: &SeriesLabels,
    ) -> SeriesLabels {
        let sources = &self.label_sources[family as usize];
        let has = |label| sources.contains(&LabelSource::Custom(label));
        let open = labels.open.as_ref();
        SeriesLabels {
            ids: labels.ids.only(LabelIds::mask((0..MAX_LABELS).map(has))),
            open: open.and_then(|open| self.open_labels_of(has, open)),
        }
    }

    fn open_labels_of(
        &'static self,
        has: impl Fn(usize) -> bool,
        open: &OpenLabels,
    ) -> Option<OpenLabels> {
        let rows = self.rows.as_ref()?;
        let values = self.custom.open_labels().zip(&*open.values);
        let kept = values.map(|(label, value)| if has(label) { &**value } else { "" });
        let kept = OpenTexts::of(kept);
        let kept = kept.as_slice();
        if kept.iter().all(|text| text.is_empty()) {
            return None;
        }
        let mut all = open.values.iter().zip(kept);
        if all.all(|(value, kept)| **value == **kept) {
            return Some(open.clone());
        }
        let row = rows.admit_all(kept, HttpRow::default);
        let row = row.unwrap_or_else(|| rows.detached(kept, HttpRow::default()));
        Some(OpenLabels::of(&row))
    }

    /// The lifetime of series with these labels.
    pub(super) fn lifetime(&'static self, labels: &SeriesLabels) -> Lifetime {
        match (&labels.open, &self.rows) {
            (Some(open), Some(rows)) => open.lifetime(rows),
            _ => self.custom.lifetime(labels.ids),
        }
    }
}
