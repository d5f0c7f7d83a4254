//! [`catalogue!`](crate::catalogue!): the macro that defines the metrics of an application.

/// Defines the metrics of an application as a struct with one field per metric.
///
/// The [module](crate::custom) has an example and describes the struct. A field has a name, a
/// [metric type](crate::custom#metric-types) and optionally, in braces:
///
/// | option | sets |
/// |---|---|
/// | `buckets: [0.1, 1.0]` | the upper bounds of a histogram; [`buckets::DEFAULT`](crate::buckets::DEFAULT) by default if the unit is seconds, otherwise required. [Settings of a registry](crate::RegistryBuilder::buckets) do not change them, so that `families` returns the exported ones; another recorder ignores them, with a warning |
/// | `unit: Unit::Seconds` | the unit, if the name does not end with it |
/// | `name: "legacy_name"` | the full name, to which the prefix of the catalogue is not added |
/// | `unconventional: true` | allows the name of a counter without `_total`, of an info without `_info`, and of another metric with `_total`, `_sum`, `_count` or `_bucket` at its end, for dashboards that exist already |
///
/// The first paragraph of a field's doc comment is its HELP text.
///
/// In OpenMetrics, a counter without `_total` has the type `unknown`, and an info without `_info` is a gauge. Prometheus
/// queries them as usual.
///
/// `#[prefix = "shop"]` before the struct adds `shop_` to the names of the metrics, as does `#[prefix = "shop_"]`.
///
/// # Compile errors
///
/// These do not compile:
///
/// - unless it is `unconventional`: a counter whose name does not end in `_total`, an info whose name does not end in
///   `_info`, and another metric whose name ends in `_total`, `_sum`, `_count` or `_bucket`
/// - a name that Prometheus does not allow
/// - a metric without a doc comment
/// - buckets that are not finite and increasing, or buckets of a metric that is not a histogram
/// - a histogram without buckets whose unit is not seconds
/// - a series with the labels of another metric
/// - recording into a metric with labels without `with`
///
/// A counter without `_total`:
///
/// ```compile_fail
/// tower_prometheus::catalogue! {
///     pub struct Shop {
///         /// Orders.
///         pub orders: tower_prometheus::Counter,
///     }
/// }
/// ```
///
/// Labels of another metric:
///
/// ```compile_fail
/// # use tower_prometheus::{Counter, Registry, catalogue, labels};
/// labels! {
///     pub enum Payment("payment") { Card = "card", Cash = "cash" }
///     pub enum Reason("reason") { Broken = "broken", Late = "late" }
/// }
/// catalogue! {
///     pub struct Shop {
///         /// Orders.
///         pub orders_total: Counter<Payment>,
///     }
/// }
/// # let shop = Shop::on(&Registry::new()).unwrap();
/// shop.orders_total.with(Reason::Late).increment();
/// ```
#[macro_export]
macro_rules! catalogue {
    (
        $(#[doc = $doc:expr])* #[prefix = $prefix:literal] $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($fields:tt)* }
    ) => {
        $crate::catalogue! { @catalogue $prefix [$(#[doc = $doc])* $(#[$meta])*] $vis $name $($fields)* }
    };
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* }
    ) => {
        $crate::catalogue! { @catalogue "" [$(#[$meta])*] $vis $name $($fields)* }
    };
    (
        @catalogue $prefix:literal [$(#[$meta:meta])*] $vis:vis $name:ident
        $(
            $(#[doc = $doc:expr])*
            $field_vis:vis $field:ident : $metric:ty $({ $($option:ident : $value:expr),+ $(,)? })?
        ),+ $(,)?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $metric, )+
        }

        // The block keeps these items private, so that the struct has no other associated items. The names
        // start with underscores, and definitions are fields and not constants, so that they cannot collide with
        // the names of the user's types and metrics.
        const _: () = {
            use $crate::custom::definition::{Definition as __Definition, Problem as __Problem};

            struct __Definitions {
                $( $field: __Definition, )+
            }

            const __DEFINITIONS: &__Definitions = &__Definitions {
                $(
                    $field: __Definition::new(
                        $crate::custom::definition::full_name(
                            $prefix,
                            ::core::concat!($prefix, ::core::stringify!($field)),
                            ::core::concat!($prefix, "_", ::core::stringify!($field)),
                        ),
                        &[$($doc),*],
                    )$($(.$option(&$value))+)?,
                )+
            };

            fn __define(
                destination: &$crate::custom::definition::Destination<'_>,
            ) -> ::core::result::Result<$name, $crate::Error> {
                ::core::result::Result::Ok($name {
                    $( $field: $crate::custom::Metric::define(&__DEFINITIONS.$field, destination)?, )+
                })
            }

            #[allow(dead_code)]
            impl $name {
                /// Registers the metrics in a registry or in another recorder, and returns them.
                ///
                /// Calling it again with the same registry returns the same series. With another recorder, each
                /// call allocates new ones, so call it once and copy the struct.
                ///
                /// The memory of a catalogue is never freed: about 9 KiB for two counters, and up to about 750 bytes
                /// for each further series. But it does not keep the registry. When the registry is dropped, the metrics
                /// can still be recorded, but are not exported.
                ///
                /// # Errors
                ///
                /// If the registry has a metric of the same name with another type, other labels, other
                /// label values or other buckets, or a constant label with the name of a label.
                $vis fn on(
                    sink: impl ::core::convert::Into<$crate::Sink>,
                ) -> ::core::result::Result<Self, $crate::Error> {
                    let sink = sink.into();
                    __define(&$crate::custom::definition::Destination::On(&sink))
                }

                /// Returns metrics that record into the global recorder, which may be installed later.
                ///
                /// Until a recorder is installed, nothing is recorded, except that the labels of an `Info` are
                /// kept. If the recorder refuses a metric, an error is logged and the metric records nothing.
                $vis fn global() -> Self {
                    static GLOBAL: ::std::sync::OnceLock<$name> = ::std::sync::OnceLock::new();
                    match GLOBAL.get() {
                        ::core::option::Option::Some(catalogue) => *catalogue,
                        ::core::option::Option::None => *$crate::custom::definition::keep(
                            &GLOBAL,
                            __define(&$crate::custom::definition::Destination::Global),
                        ),
                    }
                }

                /// Returns the descriptions of the metrics, in the order of the fields.
                #[must_use]
                $vis fn families() -> ::std::vec::Vec<$crate::model::FamilyDescription> {
                    ::std::vec![$( <$metric as $crate::custom::Metric>::describe(&__DEFINITIONS.$field) ),+]
                }
            }

            $(
                match __DEFINITIONS.$field.problem(
                    <$metric as $crate::custom::Metric>::KIND,
                    <$metric as $crate::custom::Metric>::LABELS,
                    <$metric as $crate::custom::Metric>::STATES,
                ) {
                    ::core::option::Option::None => {}
                    ::core::option::Option::Some(problem) => match problem {
                        __Problem::Name => $crate::catalogue!(@wrong $field
                            "the metric name must be letters, digits and `_`, and must not start with a digit"),
                        __Problem::Help => $crate::catalogue!(@wrong $field
                            "the doc comment is missing; its first paragraph is the HELP text"),
                        __Problem::CounterWithoutTotal => $crate::catalogue!(@wrong $field
                            "the name of a counter must end in `_total`; rename it, or set `unconventional: true`"),
                        __Problem::InfoWithoutInfo => $crate::catalogue!(@wrong $field
                            "the name of an info metric must end in `_info`; rename it, or set `unconventional: true`"),
                        __Problem::TotalWithoutCounter => $crate::catalogue!(@wrong $field
                            "only the name of a counter may end in `_total`; rename it, or set `unconventional: true`"),
                        __Problem::PartOfHistogram => $crate::catalogue!(@wrong $field
                            "a name that ends in `_bucket`, `_sum` or `_count` looks like a sample of a histogram; rename it, \
                             or set `unconventional: true`"),
                        __Problem::BucketsOfOther => $crate::catalogue!(@wrong $field
                            "only a histogram can have `buckets`"),
                        __Problem::BucketsMissing => $crate::catalogue!(@wrong $field
                            "set `buckets`; the default buckets are only for metrics in seconds"),
                        __Problem::BucketsWrong => $crate::catalogue!(@wrong $field
                            "`buckets` must be finite and in increasing order"),
                        __Problem::StateLabel => $crate::catalogue!(@wrong $field
                            "the name of a state set is also the name of its label for the state, so it must not be the name \
                             of another label, `le` or `quantile`, nor start with `__`"),
                        __Problem::States => $crate::catalogue!(@wrong $field
                            "a state set must have at least one state, and can have at most 10,000 combinations of states \
                             and values of closed labels"),
                    },
                }
            )+
        };
    };
    (@wrong $field:ident $what:literal) => {
        ::core::panic!(::core::concat!("`", ::core::stringify!($field), "`: ", $what))
    };
}
