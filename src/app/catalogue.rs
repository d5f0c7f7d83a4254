//! [`catalogue!`](crate::catalogue!): all families of an application in one place.

/// Defines all metrics of an application in one place, as a struct with a field for each family.
///
/// See the [module](crate::app) for what it makes, with an example. A field is a name, a
/// [kind](crate::app#kinds) and, in braces, what else is to say:
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

        #[allow(non_upper_case_globals, dead_code)]
        impl $name {
            $(
                const $field: &'static $crate::app::definition::Definition =
                    &$crate::app::definition::Definition::new(
                        ::core::concat!($prefix, ::core::stringify!($field)),
                        &[$($doc),*],
                    )$($(.$option(&$value))+)?;
            )+

            /// The families in a registry or another recorder: the same registry, the same series.
            ///
            /// What it makes lives as long as the program.
            ///
            /// # Errors
            ///
            /// When there is a family of the same name with another kind, other labels or other buckets, or a
            /// label is one of the registry's constant ones.
            $vis fn on(
                target: impl ::core::convert::Into<$crate::Target>,
            ) -> ::core::result::Result<Self, $crate::Error> {
                let target = target.into();
                Self::at(&$crate::app::definition::Place::On(&target))
            }

            /// The families in the recorder that is installed globally, now or later.
            ///
            /// What is recorded before there is one goes nowhere. A family that the recorder refuses is
            /// logged as an error and records nothing.
            $vis fn global() -> &'static Self {
                static GLOBAL: ::std::sync::OnceLock<$name> = ::std::sync::OnceLock::new();
                match GLOBAL.get() {
                    ::core::option::Option::Some(catalogue) => catalogue,
                    ::core::option::Option::None => $crate::app::definition::keep(
                        &GLOBAL,
                        $name::at(&$crate::app::definition::Place::Global),
                    ),
                }
            }

            /// The families as they are defined, in that order.
            #[must_use]
            $vis fn families() -> ::std::vec::Vec<$crate::FamilyDescription> {
                ::std::vec![$( <$metric as $crate::app::Metric>::describe(Self::$field) ),+]
            }

            fn at(
                place: &$crate::app::definition::Place<'_>,
            ) -> ::core::result::Result<Self, $crate::Error> {
                ::core::result::Result::Ok(Self {
                    $( $field: $crate::app::Metric::define(Self::$field, place)?, )+
                })
            }
        }

        $(
            const _: () = {
                use $crate::app::definition::Problem;
                match $name::$field.problem(<$metric as $crate::app::Metric>::KIND) {
                    ::core::option::Option::None => {}
                    ::core::option::Option::Some(problem) => match problem {
                        Problem::Name => $crate::catalogue!(@wrong $field
                            "is not a name that Prometheus can read: letters, digits and `_`"),
                        Problem::Help => $crate::catalogue!(@wrong $field
                            "has no documentation, which is its HELP"),
                        Problem::CounterWithoutTotal => $crate::catalogue!(@wrong $field
                            "is a counter, and must end in `_total`"),
                        Problem::InfoWithoutInfo => $crate::catalogue!(@wrong $field
                            "is an info, and must end in `_info`"),
                        Problem::TotalWithoutCounter => $crate::catalogue!(@wrong $field
                            "ends in `_total` and is no counter: say `unconventional: true` if it must"),
                        Problem::PartOfHistogram => $crate::catalogue!(@wrong $field
                            "ends like a part of a histogram: say `unconventional: true` if it must"),
                        Problem::BucketsOfOther => $crate::catalogue!(@wrong $field
                            "has buckets and is no histogram"),
                        Problem::BucketsMissing => $crate::catalogue!(@wrong $field
                            "needs buckets: the default ones are for seconds"),
                        Problem::BucketsWrong => $crate::catalogue!(@wrong $field
                            "has buckets that are not finite and rising"),
                    },
                }
            };
        )+
    };
    (@wrong $field:ident $what:literal) => {
        ::core::panic!(::core::concat!("`", ::core::stringify!($field), "` ", $what))
    };
}
