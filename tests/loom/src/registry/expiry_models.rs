//! Models of series that expire: recording against expiry and return, cells that another series reuses, and a page that
//! is read at the same time.

use loom::sync::{Arc, Mutex};

use super::cells::{Address, CellId, Store};
use super::cell_reading::{CellReading, is_unheld};
use super::models::wait_for_returned_slots;
use super::pages::{Pages, Purpose};
use crate::{Task, run_threads};

pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "a held handle loses no increment when its series expires and returns",
        held_handle_loses_nothing,
    ),
    (
        "a series whose cells another one reuses loses no increment, and gets none",
        reused_cells_have_one_series,
    ),
    (
        "a page never shows a series with the value of another one",
        page_shows_no_other_series,
    ),
];

/// A registry with a counter of one value, and the cells that it has to give to others.
struct Counters {
    store: Store,
    /// The handle of each of two values.
    handles: Mutex<[Option<Arc<CellId>>; 2]>,
    unused: Mutex<Vec<CellId>>,
    pages: std::sync::Arc<Pages>,
}

impl Counters {
    fn new() -> std::sync::Arc<Self> {
        let store = Store::default();
        let unused = vec![store.reserve_counts(1), store.reserve_counts(1)];
        std::sync::Arc::new(Self {
            store,
            handles: Mutex::default(),
            unused: Mutex::new(unused),
            pages: std::sync::Arc::default(),
        })
    }

    fn handle(&self, value: usize) -> Arc<CellId> {
        let mut handles = self.handles.lock().unwrap();
        let handle = handles[value].get_or_insert_with(|| {
            let cell = self.unused.lock().unwrap().pop().unwrap();
            Arc::new(cell)
        });
        Arc::clone(handle)
    }

    fn add(&self, cell: CellId) {
        self.store.add_count(Address::of(cell), 1);
    }

    fn reading(&self, cell: CellId) -> CellReading {
        CellReading::of(&self.store, [cell], None)
    }

    fn count(&self, value: usize) -> u64 {
        let handles = self.handles.lock().unwrap();
        handles[value]
            .as_ref()
            .map_or(0, |cell| self.store.count(**cell))
    }

    /// Gives the cell of a value to others, if nothing was recorded since `shown` and all handles are dropped, as
    /// `settle_series` does.
    fn free(&self, value: usize, shown: &CellReading) -> bool {
        let mut handles = self.handles.lock().unwrap();
        let Some(handle) = handles[value].as_mut() else {
            return false;
        };
        let is_unheld = is_unheld(handle);
        let reading = self.reading(**handle);
        let frees = is_unheld && !reading.differs_from(shown);
        if frees {
            reading.clear(&self.store);
            let cell = handles[value].take().map(|cell| *cell);
            self.unused.lock().unwrap().extend(cell);
        }
        frees
    }
}

fn held_handle_loses_nothing() {
    let counters = Counters::new();
    let held = counters.handle(0);
    let shown = Arc::new(Mutex::new((0, CellReading::default())));
    let (recorder, scraper) = (counters.clone(), counters.clone());
    let (cell, ended) = (*held, Arc::clone(&shown));
    run_threads(vec![
        Box::new(move || {
            recorder.add(*held);
            recorder.add(*held);
        }),
        Box::new(move || {
            let zero = CellReading::default();
            let shown = scraper.reading(cell).total_since(&zero).count;
            let reading = scraper.reading(cell);
            if reading.total_since(&zero).count == shown {
                *ended.lock().unwrap() = (shown, reading);
            }
        }),
    ]);
    wait_for_returned_slots();
    let (first_life, base) = &*shown.lock().unwrap();
    let second_life = counters.reading(cell).total_since(base).count;
    assert_eq!(first_life + second_life, 2);
}

fn reused_cells_have_one_series() {
    let counters = Counters::new();
    let first = counters.handle(0);
    counters.unused.lock().unwrap().clear();
    let ended = Arc::new(Mutex::new(0));
    let [recorder, scraper] = [(); 2].map(|()| counters.clone());
    let first_life = Arc::clone(&ended);
    let spare = counters.store.reserve_counts(1);
    run_threads(vec![
        Box::new(move || {
            recorder.add(*first);
            drop(first);
            // The steps of a macro that registers a series.
            let mut handles = recorder.handles.lock().unwrap();
            let handle = handles[0].get_or_insert_with(|| Arc::new(spare));
            let handle = Arc::clone(handle);
            drop(handles);
            recorder.add(*handle);
        }),
        Box::new(move || {
            let cell = scraper.handles.lock().unwrap()[0]
                .as_ref()
                .map(|cell| **cell);
            let shown = scraper.reading(cell.unwrap());
            if scraper.free(0, &shown) {
                *first_life.lock().unwrap() = shown.total_since(&CellReading::default()).count;
                let other = scraper.handle(1);
                scraper.add(*other);
            }
        }),
    ]);
    wait_for_returned_slots();
    let first_life = *ended.lock().unwrap();
    assert_eq!(first_life + counters.count(0), 2);
    assert!(counters.count(1) <= 1);
}

fn page_shows_no_other_series() {
    let counters = Counters::new();
    let cell = *counters.handle(0);
    counters.unused.lock().unwrap().clear();
    let recorder = counters.clone();
    run_threads(vec![Box::new(move || recorder.add(cell))]);
    let listed = Arc::new(Mutex::new(true));
    let [reader, expirer] = [(); 2].map(|()| counters.clone());
    let (index, unlisted) = (Arc::clone(&listed), listed);
    let tasks: Vec<Task> = vec![
        Box::new(move || {
            let mut page = reader.pages.start(Purpose::Page);
            let is_listed = *index.lock().unwrap();
            page.has_collected();
            if is_listed {
                // Not 2, the value of the other series.
                assert_eq!(reader.store.count(cell), 1);
            }
            page.complete();
        }),
        Box::new(move || {
            let page = expirer.pages.start(Purpose::Page);
            let pages = expirer.pages.lock();
            if pages.may_expire(Some(&page)) {
                let shown = expirer.reading(cell);
                *unlisted.lock().unwrap() = false;
                assert!(expirer.free(0, &shown));
                let other = expirer.handle(1);
                expirer.add(*other);
                expirer.add(*other);
            }
        }),
    ];
    run_threads(tasks);
    wait_for_returned_slots();
}
