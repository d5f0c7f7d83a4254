//! [`catalogue!`](crate::catalogue!): all families of an application in one place.

/// Defines all metrics of an application in one place, as a struct with a field for each family.
///
/// See the [module](crate::custom) for what it makes, with an example. A field is a name, a
/// [kind](crate::custom#kinds) and, in braces, what else is to say:
///
/// | | |
/// |---|---|
/// | `buckets: [0.1, 1.0]` | the bounds of a histogram; one in seconds that says nothing has [`buckets::DEFAULT`](crate::buckets::DEFAULT) |
/// | `unit: Unit::Seconds` | the unit, where the name does not end in it |
/// | `name: "legacy_name"` | the whole name, without the prefix of the catalogue |
/// | `unconventional: true` | allows a gauge or a histogram that is called `…_total`, `…_sum` or `…_count` |
///
/// The first paragraph of a field's documentation is its HELP.
///
/// # What does not compile
///
/// A counter whose name does not end in `_total`, nor an info's in `_info`; a name that Prometheus does not
/// allow; a family without documentation; bounds that do not rise, or none for a histogram that is not in
/// seconds:
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
/// Labels of another family:
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

        // Everything below is local to this block, so that the type has no other associated items.
        const _: () = {
            use $crate::custom::definition::{Definition, Destination, Problem};

            $(
                #[allow(non_upper_case_globals)]
                const $field: &Definition = &Definition::new(
                    ::core::concat!($prefix, ::core::stringify!($field)),
                    &[$($doc),*],
                )$($(.$option(&$value))+)?;
            )+

            fn define(
                destination: &Destination<'_>,
            ) -> ::core::result::Result<$name, $crate::Error> {
                ::core::result::Result::Ok($name {
                    $( $field: $crate::custom::Metric::define($field, destination)?, )+
                })
            }

            #[allow(dead_code)]
            impl $name {
                /// Registers the metrics in a registry or in another recorder.
                ///
                /// Calling it again with the same registry returns the same series. What it allocates lives
                /// as long as the program.
                ///
                /// # Errors
                ///
                /// If a metric of the same name exists with another kind, other labels or other buckets, or
                /// a label is a constant label of the registry.
                $vis fn on(
                    sink: impl ::core::convert::Into<$crate::Sink>,
                ) -> ::core::result::Result<Self, $crate::Error> {
                    let sink = sink.into();
                    define(&Destination::On(&sink))
                }

                /// Returns the metrics of the recorder that is installed globally, now or later.
                ///
                /// Until a recorder is installed, nothing is recorded. A metric that the recorder refuses is
                /// logged as an error and records nothing.
                $vis fn global() -> Self {
                    static GLOBAL: ::std::sync::OnceLock<$name> = ::std::sync::OnceLock::new();
                    match GLOBAL.get() {
                        ::core::option::Option::Some(catalogue) => *catalogue,
                        ::core::option::Option::None => *$crate::custom::definition::keep(
                            &GLOBAL,
                            define(&Destination::Global),
                        ),
                    }
                }

                /// Returns the definitions of the metrics, in the order of the fields.
                #[must_use]
                $vis fn families() -> ::std::vec::Vec<$crate::model::FamilyDescription> {
                    ::std::vec![$( <$metric as $crate::custom::Metric>::describe($field) ),+]
                }
            }

            $(
                match $field.problem(<$metric as $crate::custom::Metric>::KIND) {
                    ::core::option::Option::None => {}
                    ::core::option::Option::Some(problem) => match problem {
                        Problem::Name => $crate::catalogue!(@wrong $field
                            "is not a valid metric name: allowed are letters, digits and `_`"),
                        Problem::Help => $crate::catalogue!(@wrong $field
                            "has no documentation comment, which is its HELP text"),
                        Problem::CounterWithoutTotal => $crate::catalogue!(@wrong $field
                            "is a counter, and must end in `_total`"),
                        Problem::InfoWithoutInfo => $crate::catalogue!(@wrong $field
                            "is an info, and must end in `_info`"),
                        Problem::TotalWithoutCounter => $crate::catalogue!(@wrong $field
                            "ends in `_total` and is not a counter: rename it, or set `unconventional: true`"),
                        Problem::PartOfHistogram => $crate::catalogue!(@wrong $field
                            "ends like a sample of a histogram: rename it, or set `unconventional: true`"),
                        Problem::BucketsOfOther => $crate::catalogue!(@wrong $field
                            "has buckets and is not a histogram"),
                        Problem::BucketsMissing => $crate::catalogue!(@wrong $field
                            "needs `buckets`: the default buckets are for seconds"),
                        Problem::BucketsWrong => $crate::catalogue!(@wrong $field
                            "has buckets that are not finite and increasing"),
                    },
                }
            )+
        };
    };
    (@wrong $field:ident $what:literal) => {
        ::core::panic!(::core::concat!("`", ::core::stringify!($field), "` ", $what))
    };
}
