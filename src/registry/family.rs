//! [`Family`]: one metric name, and the series below it in the order of the page.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::vec;

use metrics::{Key, Unit};

use super::buckets::Buckets;
use super::cells::CellId;
use super::exemplars::Exemplars;
use super::names::are_sound_label_names;
use super::series::{label_text, line_start};
#[cfg(feature = "summary")]
use super::window::Window;
use crate::Error;
use crate::app::FamilyKind;
use crate::budget::Budget;
use crate::sync::lock;

/// What a family measures with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Counter,
    /// Its number is in the cell of a sum.
    FractionalCounter,
    Gauge,
    InProgress,
    Histogram(Buckets),
    /// Always 1, and in no cell.
    Info,
    #[cfg(feature = "summary")]
    Summary,
}

impl Kind {
    /// What its samples' names have after the family's, where its series are of several lines; a reader
    /// of OpenMetrics expects `_created`.
    pub(crate) fn parts(&self) -> &'static [&'static str] {
        match self {
            Self::Histogram(_) => &ALL_PARTS,
            #[cfg(feature = "summary")]
            Self::Summary => &ALL_PARTS[1..],
            _ => &[],
        }
    }

    /// Whether its series are of several lines.
    pub(crate) fn has_parts(&self) -> bool {
        !self.parts().is_empty()
    }

    /// As a definition calls it.
    pub(crate) fn described(&self) -> FamilyKind {
        match self {
            Self::Counter | Self::FractionalCounter => FamilyKind::Counter,
            Self::Gauge | Self::InProgress => FamilyKind::Gauge,
            Self::Histogram(_) => FamilyKind::Histogram,
            Self::Info => FamilyKind::Info,
            #[cfg(feature = "summary")]
            Self::Summary => FamilyKind::Summary,
        }
    }
}

/// What a family's samples can be called beside its own name.
pub(crate) const ALL_PARTS: [&str; 4] = ["_bucket", "_sum", "_count", "_created"];

/// The cells of a series, as far as its kind has them: the first of its own, and the one of its sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) cell: CellId,
    pub(crate) sum: CellId,
}

/// One metric name with its kind and its series.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The label names that every series has, once the family is declared with them.
    label_names: OnceLock<Vec<String>>,
    about: Mutex<About>,
    /// Registered since the last scrape. Apart from the index, so that registration never waits for a
    /// scrape that is merging.
    newcomers: Mutex<Newcomers>,
    indexed: Mutex<Indexed>,
    /// Of each series by its first cell, once the family is declared with them.
    exemplars: OnceLock<Mutex<HashMap<CellId, Arc<Exemplars>>>>,
    /// The samples of each summary, by its first cell.
    #[cfg(feature = "summary")]
    windows: OnceLock<Box<Windows>>,
    /// Heads of series whose label names had to be mended, and whose they are.
    claims: Mutex<HashMap<String, Key>>,
    has_claims: AtomicBool,
}

#[cfg(feature = "summary")]
type Windows = Mutex<HashMap<CellId, Arc<Window>>>;

/// What a family is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) help: Option<Arc<str>>,
    pub(crate) unit: Option<Unit>,
}

/// Series by their heads, in the order they came, and how long the heads are together.
#[derive(Default)]
struct Newcomers {
    series: Vec<(Box<str>, Place)>,
    len: usize,
}

#[derive(Default)]
struct Indexed {
    index: Arc<Index>,
    merge: Option<Merge>,
}

impl Family {
    pub(super) fn new(name: String, kind: Kind, about: About) -> Self {
        Self {
            name,
            kind,
            label_names: OnceLock::new(),
            about: Mutex::new(about),
            newcomers: Mutex::default(),
            indexed: Mutex::default(),
            exemplars: OnceLock::new(),
            #[cfg(feature = "summary")]
            windows: OnceLock::new(),
            claims: Mutex::default(),
            has_claims: AtomicBool::new(false),
        }
    }

    pub(crate) fn about(&self) -> About {
        lock(&self.about).clone()
    }

    pub(super) fn describe(&self, about: About) {
        *lock(&self.about) = about;
    }

    /// Refuses another declaration than the one before; the first says what macros left unsaid.
    pub(super) fn redeclare(
        &self,
        kind: &Kind,
        label_names: &[String],
        about: &About,
    ) -> Result<(), Error> {
        let name = &self.name;
        if self.kind != *kind {
            return Err(Error::new(format!(
                "histogram {name:?} is already registered with other buckets"
            )));
        }
        let known = self.label_names.get_or_init(|| label_names.to_vec());
        if known != label_names {
            return Err(Error::new(format!(
                "{name:?} is already registered with the labels {known:?}, now with {label_names:?}"
            )));
        }
        let mut known = lock(&self.about);
        if known.help.is_none() {
            known.clone_from(about);
        }
        Ok(())
    }

    /// Gives an exemplar for each bucket to every series that is registered from now on.
    pub(super) fn keep_exemplars(&self) {
        self.exemplars.get_or_init(Mutex::default);
    }

    pub(super) fn new_exemplars(&self, cell: CellId, buckets: usize) -> Option<Arc<Exemplars>> {
        let known = self.exemplars.get()?;
        let exemplars = Arc::new(Exemplars::new(buckets));
        lock(known).insert(cell, Arc::clone(&exemplars));
        Some(exemplars)
    }

    /// The exemplars of the series with that first cell.
    pub(crate) fn exemplars(&self, cell: CellId) -> Option<Arc<Exemplars>> {
        lock(self.exemplars.get()?).get(&cell).cloned()
    }

    #[cfg(feature = "summary")]
    pub(super) fn new_window(&self, cell: CellId) -> Arc<Window> {
        let window = Arc::new(Window::new());
        let windows = self.windows.get_or_init(Box::default);
        lock(windows).insert(cell, Arc::clone(&window));
        window
    }

    /// The samples of the summary with that first cell.
    #[cfg(feature = "summary")]
    pub(crate) fn window(&self, cell: CellId) -> Option<Arc<Window>> {
        lock(self.windows.get()?).get(&cell).cloned()
    }

    /// Whether label names can stay as they are: those it was declared with were looked at then.
    pub(super) fn has_sound_names<'a>(
        &self,
        names: &(impl Iterator<Item = &'a str> + Clone),
        taken: &[(String, String)],
    ) -> bool {
        let declared = self.label_names.get();
        if declared.is_some_and(|declared| names.clone().eq(declared)) && taken.is_empty() {
            return true;
        }
        are_sound_label_names(names, taken)
    }

    /// Adds a series by its [head](Self::head); it is on every page whose scrape begins after this returns.
    pub(super) fn add(&self, head: String, place: Place) {
        let head = head.into_boxed_str();
        let mut newcomers = lock(&self.newcomers);
        newcomers.len += head.len();
        newcomers.series.push((head, place));
    }

    /// The part of a line that never changes: for a kind of several lines its labels, for
    /// any other all before the value.
    pub(super) fn head<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        match self.kind.has_parts() {
            true => label_text(labels),
            false => line_start(&self.name, labels),
        }
    }

    /// The labels of a head.
    pub(super) fn labels_of<'a>(&self, head: &'a str) -> &'a str {
        match self.kind.has_parts() {
            true => head,
            false => head[self.name.len()..].trim_matches(['{', '}', ' ']),
        }
    }

    /// Claims a head for a series with mended names; false if another series has claimed it.
    pub(super) fn claim(&self, head: &str, key: &Key) -> bool {
        let mut claims = lock(&self.claims);
        self.has_claims.store(true, Ordering::SeqCst);
        claims.entry(head.to_owned()).or_insert_with(|| key.clone()) == key
    }

    pub(super) fn is_claimed(&self, head: &str) -> bool {
        self.has_claims.load(Ordering::SeqCst) && lock(&self.claims).contains_key(head)
    }

    /// The index with every series registered before the first call with this `merged`, which
    /// starts as false; `None` when the budget is spent first.
    pub(super) fn index(&self, merged: &mut bool, budget: &mut Budget) -> Option<Arc<Index>> {
        let Indexed { index, merge } = &mut *lock(&self.indexed);
        loop {
            // A merge that another scrape began is finished by whoever comes next.
            if let Some(running) = merge {
                *index = running.advance(budget)?;
                *merge = None;
                continue;
            }
            let newcomers = match *merged {
                true => Newcomers::default(),
                false => std::mem::take(&mut *lock(&self.newcomers)),
            };
            if newcomers.series.is_empty() {
                return Some(Arc::clone(index));
            }
            *merged = true;
            *merge = Some(Merge::new(Arc::clone(index), newcomers));
        }
    }
}

/// The series of a family in order, flat in memory, so that writing them follows no pointers.
#[derive(Default)]
pub(crate) struct Index {
    heads: String,
    entries: Vec<(usize, Place)>,
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The head and the cells of series `i`.
    pub(crate) fn get(&self, i: usize) -> (&str, Place) {
        let start = i.checked_sub(1).map_or(0, |before| self.entries[before].0);
        let (end, place) = self.entries[i];
        (&self.heads[start..end], place)
    }

    fn push(&mut self, head: &str, place: Place) {
        self.heads.push_str(head);
        self.entries.push((self.heads.len(), place));
    }
}

/// An index being made from the last one and the newcomers, a bit at a time.
struct Merge {
    /// In the order they came.
    unsorted: vec::IntoIter<(Box<str>, Place)>,
    sorted: BTreeMap<Box<str>, Place>,
    old: Arc<Index>,
    next_old: usize,
    merged: Index,
}

impl Merge {
    fn new(old: Arc<Index>, newcomers: Newcomers) -> Self {
        let Newcomers { series, len } = newcomers;
        // Room for all at once: what grows is copied, in one turn.
        let merged = Index {
            heads: String::with_capacity(old.heads.len() + len),
            entries: Vec::with_capacity(old.len() + series.len()),
        };
        Self {
            unsorted: series.into_iter(),
            sorted: BTreeMap::new(),
            old,
            next_old: 0,
            merged,
        }
    }

    fn advance(&mut self, budget: &mut Budget) -> Option<Arc<Index>> {
        self.sort(budget)?;
        self.merge(budget)
    }

    fn sort(&mut self, budget: &mut Budget) -> Option<()> {
        /// About what a step costs, in nanoseconds.
        const STEP: usize = 1500;
        while !budget.is_spent() {
            let Some((head, place)) = self.unsorted.next() else {
                return Some(());
            };
            self.sorted.insert(head, place);
            budget.spend(STEP);
        }
        None
    }

    fn merge(&mut self, budget: &mut Budget) -> Option<Arc<Index>> {
        /// About what a step costs, in nanoseconds.
        const STEP: usize = 30;
        while !budget.is_spent() {
            budget.spend(STEP);
            let old = (self.next_old < self.old.len()).then(|| self.old.get(self.next_old));
            let new = self.sorted.first_entry();
            match (new, old) {
                (Some(new), old) if old.is_none_or(|(head, _)| **new.key() < *head) => {
                    let (head, place) = new.remove_entry();
                    self.merged.push(&head, place);
                }
                (_, Some((head, place))) => {
                    self.merged.push(head, place);
                    self.next_old += 1;
                }
                (_, None) => return Some(Arc::new(std::mem::take(&mut self.merged))),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_every_series_added_before_it_was_asked_for() {
        fn add(family: &Family, i: &str) {
            let head = family.head([("i", i)].into_iter());
            family.add(head, Place { cell: 0, sum: 0 });
        }
        let counter = || Family::new("c".to_owned(), Kind::Counter, About::default());
        let family = counter();
        for i in 0..10 {
            add(&family, &i.to_string());
        }
        let (mut first, mut second) = (false, false);
        assert!(family.index(&mut first, &mut Budget::of(1)).is_none());
        add(&family, "late");
        let index = |merged: &mut bool| family.index(merged, &mut Budget::unlimited()).unwrap();
        assert_eq!(index(&mut first).len(), 10);
        assert_eq!(index(&mut second).len(), 11);

        let family = counter();
        add(&family, "1");
        add(&family, "2");
        assert!(family.index(&mut false, &mut Budget::of(1)).is_none());
        add(&family, "late");
        let index = family.index(&mut false, &mut Budget::unlimited());
        assert_eq!(index.unwrap().len(), 3);
    }
}
