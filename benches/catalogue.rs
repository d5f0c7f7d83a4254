//! The cost of recording a metric of a catalogue, compared with a plain atomic, and the memory of 100 families.
//!
//! ```text
//! cargo bench --bench catalogue
//! ```

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use support::timing::{Variant, measure, rounds};
use tower_prometheus::{
    Counter, FloatCounter, Gauge, Histogram, InProgress, Registry, buckets, catalogue, labels,
};

labels! {
    enum Payment("payment") { Card = "card", Cash = "cash", Voucher = "voucher" }
    struct Country { country: open(100) }
}

catalogue! {
    struct Shop {
        /// An integer counter.
        orders_total: Counter<Payment>,
        /// A fractional counter.
        revenue_total: FloatCounter<Payment>,
        /// A gauge that is incremented.
        stock: Gauge<Payment>,
        /// Operations in progress.
        packing: InProgress<Payment>,
        /// A histogram.
        order_duration_seconds: Histogram<Payment>,
        /// A counter with a free-form label.
        parcels_total: Counter<Country>,
    }
}

/// The same metrics written by hand, with atomics that all threads share.
#[derive(Default)]
struct Atomics {
    orders: [AtomicU64; 3],
    revenue: [AtomicU64; 3],
    stock: [AtomicU64; 3],
    durations: [AtomicHistogram; 3],
    parcels: HashMap<&'static str, AtomicU64, foldhash::fast::RandomState>,
}

#[derive(Default)]
struct AtomicHistogram {
    buckets: [AtomicU64; buckets::DEFAULT.len() + 1],
    sum: AtomicU64,
}

impl AtomicHistogram {
    fn observe(&self, sample: f64) {
        let bounds = buckets::DEFAULT;
        let bucket = bounds.iter().position(|bound| sample <= *bound);
        self.buckets[bucket.unwrap_or(bounds.len())].fetch_add(1, Ordering::Relaxed);
        add(&self.sum, sample);
    }
}

fn add(float: &AtomicU64, x: f64) {
    let add = |bits: u64| Some((f64::from_bits(bits) + x).to_bits());
    let _ = float.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

const COUNTRIES: [&str; 8] = ["AU", "BR", "DE", "FR", "IN", "JP", "NZ", "US"];

/// Hides the label from the optimizer.
fn payment(i: u64) -> Payment {
    Payment::ALL[black_box(i as usize % 3)]
}

fn sample(i: u64) -> f64 {
    black_box((i % 100) as f64 / 50.0)
}

fn main() {
    let (rounds, repeat) = rounds();
    let registry = Registry::new();
    let shop = Shop::on(&registry).expect("no other catalogue is registered");
    let atomics = Atomics {
        parcels: COUNTRIES
            .map(|country| (country, AtomicU64::default()))
            .into_iter()
            .collect(),
        ..Atomics::default()
    };
    let (shop, atomics) = (&shop, &atomics);
    let country = |i: u64| black_box(COUNTRIES[i as usize % COUNTRIES.len()]);

    let variants = vec![
        Variant::new("loop only", move |n| {
            (0..n).for_each(|i| {
                black_box(payment(i));
            });
        }),
        Variant::new("counter: atomic", move |n| {
            (0..n).for_each(|i| {
                atomics.orders[payment(i) as usize].fetch_add(1, Ordering::Relaxed);
            });
        }),
        Variant::new("counter: catalogue", move |n| {
            (0..n).for_each(|i| shop.orders_total.with(payment(i)).increment());
        }),
        Variant::new("fractional counter: atomic", move |n| {
            (0..n).for_each(|i| add(&atomics.revenue[payment(i) as usize], 0.5));
        }),
        Variant::new("fractional counter: catalogue", move |n| {
            (0..n).for_each(|i| shop.revenue_total.with(payment(i)).add(0.5));
        }),
        Variant::new("gauge, incremented: atomic", move |n| {
            (0..n).for_each(|i| add(&atomics.stock[payment(i) as usize], 1.0));
        }),
        Variant::new("gauge, incremented: catalogue", move |n| {
            (0..n).for_each(|i| shop.stock.with(payment(i)).increment());
        }),
        Variant::new(
            "gauge, incremented and decremented: two atomic operations",
            move |n| {
                (0..n).for_each(|i| {
                    let gauge = &atomics.stock[payment(i) as usize];
                    gauge.fetch_add(1, Ordering::Relaxed);
                    gauge.fetch_sub(1, Ordering::Relaxed);
                });
            },
        ),
        Variant::new("in progress: catalogue", move |n| {
            (0..n).for_each(|i| drop(shop.packing.with(payment(i)).start()));
        }),
        Variant::new("histogram: atomics", move |n| {
            (0..n).for_each(|i| atomics.durations[payment(i) as usize].observe(sample(i)));
        }),
        Variant::new("histogram: catalogue", move |n| {
            (0..n).for_each(|i| {
                let histogram = shop.order_duration_seconds.with(payment(i));
                histogram.observe(sample(i));
            });
        }),
        Variant::new("free-form label: hash map of atomics", move |n| {
            (0..n).for_each(|i| {
                atomics.parcels[country(i)].fetch_add(1, Ordering::Relaxed);
            });
        }),
        Variant::new("free-form label: catalogue", move |n| {
            (0..n).for_each(|i| {
                let country = Country {
                    country: country(i),
                };
                shop.parcels_total.with(country).increment();
            });
        }),
    ];

    let one = measure(&variants, 1, rounds, repeat);
    let two = measure(&variants, 2, rounds, repeat);

    let calls = (rounds as u64 + 1) * repeat * 3;
    for name in [
        "orders_total",
        "stock",
        "order_duration_seconds_count",
        "parcels_total",
    ] {
        assert_eq!(registry.sum(name, &[]), Some(calls as f64), "{name}");
    }
    assert_eq!(registry.sum("revenue_total", &[]), Some(calls as f64 * 0.5));
    assert_eq!(registry.sum("packing", &[]), Some(0.0));
    for variant in &variants {
        let allocated = allocation_counter::measure(|| variant.run(100));
        assert_eq!(allocated.count_total, 0, "{} allocates", variant.name);
    }

    println!(
        "| | 1 thread, ns | relative to the atomic | 2 threads, ns | relative to the atomic |"
    );
    println!("|---|---:|---:|---:|---:|");
    let over_loop = |times: &[f64], i: usize| times[i] - times[0];
    for pair in (1..variants.len()).step_by(2) {
        let (atomic, ours) = (pair, pair + 1);
        for i in [atomic, ours] {
            println!(
                "| {} | {:.1} | {:.2} | {:.1} | {:.2} |",
                variants[i].name,
                over_loop(&one, i),
                one[i] / one[atomic],
                over_loop(&two, i),
                two[i] / two[atomic],
            );
        }
    }
    println!("\n(Times exclude the loop; ratios include it.)\n");
    memory();
}

macro_rules! families {
    ($($module:ident $prefix:literal),*) => {
        $(mod $module {
            use tower_prometheus::{Counter, Gauge, Histogram};
            tower_prometheus::labels! {
                pub enum Only { One = "one" }
                pub struct Closed { method: Only, status: Only }
                pub struct Open { method: open(100), status: open(10) }
            }
            tower_prometheus::catalogue! {
                #[prefix = $prefix]
                pub struct OfClosed {
                    /// A counter.
                    a_total: Counter<Closed>,
                    /// A counter.
                    b_total: Counter<Closed>,
                    /// A counter.
                    c_total: Counter<Closed>,
                    /// A counter.
                    d_total: Counter<Closed>,
                    /// A counter.
                    e_total: Counter<Closed>,
                    /// A gauge.
                    f: Gauge<Closed>,
                    /// A gauge.
                    g: Gauge<Closed>,
                    /// A histogram.
                    h_seconds: Histogram<Closed>,
                    /// A histogram.
                    i_seconds: Histogram<Closed>,
                    /// A histogram.
                    j_seconds: Histogram<Closed>,
                }
            }
            tower_prometheus::catalogue! {
                #[prefix = $prefix]
                pub struct OfOpen {
                    /// A counter.
                    a_total: Counter<Open>,
                    /// A counter.
                    b_total: Counter<Open>,
                    /// A counter.
                    c_total: Counter<Open>,
                    /// A counter.
                    d_total: Counter<Open>,
                    /// A counter.
                    e_total: Counter<Open>,
                    /// A gauge.
                    f: Gauge<Open>,
                    /// A gauge.
                    g: Gauge<Open>,
                    /// A histogram.
                    h_seconds: Histogram<Open>,
                    /// A histogram.
                    i_seconds: Histogram<Open>,
                    /// A histogram.
                    j_seconds: Histogram<Open>,
                }
            }

            pub(super) fn closed(registry: &tower_prometheus::Registry) {
                let all = OfClosed::on(registry).expect("no other catalogue is registered");
                let closed = Closed { method: Only::One, status: Only::One };
                for counter in [all.a_total, all.b_total, all.c_total, all.d_total, all.e_total] {
                    counter.with(closed).increment();
                }
                for gauge in [all.f, all.g] {
                    gauge.with(closed).set(1.0);
                }
                for histogram in [all.h_seconds, all.i_seconds, all.j_seconds] {
                    histogram.with(closed).observe(1.0);
                }
            }

            pub(super) fn open(registry: &tower_prometheus::Registry) {
                let all = OfOpen::on(registry).expect("no other catalogue is registered");
                let open = Open { method: "GET", status: "200" };
                for counter in [all.a_total, all.b_total, all.c_total, all.d_total, all.e_total] {
                    counter.with(open).increment();
                }
                for gauge in [all.f, all.g] {
                    gauge.with(open).set(1.0);
                }
                for histogram in [all.h_seconds, all.i_seconds, all.j_seconds] {
                    histogram.with(open).observe(1.0);
                }
            }
        })*

        fn closed(registry: &Registry) {
            $($module::closed(registry);)*
        }

        fn open(registry: &Registry) {
            $($module::open(registry);)*
        }
    };
}

families!(
    a "a_", b "b_", c "c_", d "d_", e "e_", f "f_", g "g_", h "h_", i "i_", j "j_"
);

/// Prints the memory of 100 families with one label set each, including the registry and its first page.
fn memory() {
    const LIMIT_KIB: f64 = 200.0;
    let closed = held_kib(closed);
    println!("100 families with one set of two enum labels: {closed:.0} KiB");
    println!("… of two free-form labels: {:.0} KiB", held_kib(open));
    assert!(closed <= LIMIT_KIB, "{closed} KiB");
}

/// Returns the memory that the families hold, in KiB.
fn held_kib(make: fn(&Registry)) -> f64 {
    let held = allocation_counter::measure(|| {
        let registry = Registry::new();
        make(&registry);
        drop(black_box(registry.render()));
        std::mem::forget(registry);
    });
    held.bytes_current as f64 / 1024.0
}
