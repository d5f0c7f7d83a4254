//! [`LabelSet`]: the labels of a metric as a type, and [`labels!`](crate::labels!), the macro that defines them.

use crate::custom::label_spec::{LabelSpec, OpenValues};
use crate::custom::node::SeriesHandle;
use crate::custom::series::{MetricSeries, OpenSeries, Series};

/// A set of labels of a metric: their names and allowed values.
///
/// [`labels!`](crate::labels!) defines such types. `()` is the set without labels.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of labels",
    label = "not defined by `labels!`",
    note = "a set of labels is a struct, or an enum with a label name, defined by `tower_prometheus::labels!`"
)]
pub trait LabelSet {
    #[doc(hidden)]
    const LABELS: &'static [LabelSpec];

    /// The parameter of the type that `with` returns: `()`, or [`Owned`] if there are open labels.
    type Series: NoLabels;
}

/// Values for all labels of a `Set`. They identify one series.
#[diagnostic::on_unimplemented(
    message = "this metric has the labels `{Set}`, not `{Self}`",
    label = "not the labels of this metric",
    note = "the labels of a metric are the type parameter of its field in the catalogue: `Counter<{Set}>`"
)]
pub trait LabelsOf<Set: LabelSet> {
    /// The row-major index of the closed values among all their combinations.
    #[doc(hidden)]
    fn closed(&self) -> usize;

    #[doc(hidden)]
    fn open(&self) -> OpenValues<'_>;
}

/// The parameter of a metric without labels, and of one series of a metric: `()`, or [`Owned`] if a label of the series is
/// open.
///
/// Methods that record need it: a metric with labels has to be asked for a series first, with `with`.
#[diagnostic::on_unimplemented(
    message = "this metric has the labels `{Self}`: call `.with(…)` first, which returns one of its series",
    label = "call `.with(…)` before this method",
    note = "for example, `metric.with(labels).increment()`; the labels of a metric are the type parameter of its field in \
            the catalogue"
)]
pub trait NoLabels: Parameter {}

impl NoLabels for () {}

impl LabelSet for () {
    const LABELS: &'static [LabelSpec] = &[];
    type Series = ();
}

/// The parameter of one series with an open label: if a label of `Labels` is open, `with` of a `Counter<Labels>` returns a
/// `Counter<Owned>`.
///
/// Such a series is `Clone`, but not `Copy`, because it keeps its memory while it exists. It can leave the page meanwhile,
/// see [`idle_timeout`](crate::RegistryBuilder::idle_timeout), and returns when it is recorded:
///
/// ```
/// use tower_prometheus::custom::Owned;
/// use tower_prometheus::{Counter, Registry, catalogue, labels};
///
/// labels! { pub struct Tenant { tenant: open(100) } }
///
/// catalogue! {
///     pub struct Service {
///         /// Total number of jobs, by tenant.
///         pub jobs_total: Counter<Tenant>,
///     }
/// }
///
/// struct Session { jobs: Counter<Owned> }
///
/// let registry = Registry::new();
/// let service = Service::on(&registry)?;
/// let session = Session { jobs: service.jobs_total.with(Tenant { tenant: "acme" }) };
/// session.jobs.increment();
/// assert_eq!(registry.sum("jobs_total", &[("tenant", "acme")]), Some(1.0));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Debug)]
pub enum Owned {}

impl NoLabels for Owned {}

/// A parameter of a metric type: the labels of a metric, `()`, or [`Owned`].
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of labels",
    label = "not defined by `labels!`",
    note = "a set of labels is a struct, or an enum with a label name, defined by `tower_prometheus::labels!`"
)]
pub trait Parameter {
    /// A series with handles of this type.
    type Of<I: SeriesHandle>: MetricSeries<I>;
}

impl<Labels: LabelSet> Parameter for Labels {
    type Of<I: SeriesHandle> = Series<I>;
}

impl Parameter for Owned {
    type Of<I: SeriesHandle> = OpenSeries<I>;
}

impl LabelsOf<()> for () {
    fn closed(&self) -> usize {
        0
    }

    fn open(&self) -> OpenValues<'_> {
        OpenValues::default()
    }
}

/// Defines label types: enums of label values, and structs that are sets of labels.
///
/// ```
/// tower_prometheus::labels! {
///     /// A closed label: a fixed set of values. The strings are exported.
///     pub enum Outcome {
///         Success = "success",
///         Failed = "failed",
///     }
///
///     /// With a label name, the enum is also a set of one label.
///     pub enum Reason("reason") {
///         Crash = "crash",
///         Expired = "expired",
///     }
///
///     /// A set of labels: an open one, which takes any string, and a closed one.
///     pub struct Recovery {
///         /// A raw identifier: the label is called `type`.
///         r#type: open(20),
///         result: Outcome,
///     }
/// }
///
/// let one = Recovery { r#type: "disk", result: Outcome::Success };
/// let other = Recovery { r#type: String::from("network"), result: Outcome::Failed };
/// assert_eq!(Reason::Crash.as_str(), "crash");
/// # let _ = (one, other);
/// ```
///
/// Each enum has the constant `ALL` and the method `as_str`.
///
/// `open(20)` limits the label to 20 values; `open` is short for `open(1000)`. The values seen first are kept until their
/// series [expire](crate::RegistryBuilder::idle_timeout) or are removed, by default until the process ends. Further values
/// are recorded as `overflow`. `set` of a [`Gauge`](crate::Gauge) or a [`StateSet`](crate::StateSet) is ignored for them.
/// So do not use values that clients choose, such as IDs or paths: they exhaust the limit. The empty string and `overflow`
/// do not count towards the limit.
///
/// The open labels of a set all have the same Rust type, which is `&str` or another `AsRef<str>`.
///
/// # Limits
///
/// | what | limit |
/// |---|---|
/// | open labels of a set | 6 |
/// | combinations of the closed values of a set | 10,000 |
/// | length of an open value | 1024 bytes; longer values are recorded as `overflow` |
///
/// # Compile errors
///
/// A label name that Prometheus does not allow, or `le`, `quantile` or `__…`:
///
/// ```compile_fail
/// tower_prometheus::labels! {
///     pub struct Wrong { le: open }
/// }
/// ```
///
/// The same value twice:
///
/// ```compile_fail
/// tower_prometheus::labels! {
///     pub enum Wrong { One = "same", Two = "same" }
/// }
/// ```
#[macro_export]
macro_rules! labels {
    () => {};
    (
        $(#[$meta:meta])* $vis:vis enum $name:ident $(($label:literal))? {
            $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),+ $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$variant_meta])* #[doc = concat!("Exported as `", $value, "`.")] $variant ),+
        }

        #[allow(dead_code)]
        impl $name {
            /// All values, in the order of definition.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// Returns the label value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $value ),+ }
            }
        }

        impl $crate::custom::LabelValue for $name {
            const VALUES: &'static [&'static str] = &[$( $value ),+];

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }

        const _: () = ::core::assert!(
            $crate::custom::definition::are_distinct(<$name as $crate::custom::LabelValue>::VALUES),
            ::core::concat!("`", ::core::stringify!($name), "`: two variants have the same label value"),
        );

        $( $crate::labels!(@one_label $name $label); )?
        $crate::labels! { $($rest)* }
    };
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)+ }
        $($rest:tt)*
    ) => {
        $crate::labels! { @fields [$(#[$meta])* $vis $name] [] [] [] $($fields)+ , }
        $crate::labels! { $($rest)* }
    };

    // An enum with a label name is a set of one label.
    (@one_label $name:ident $label:literal) => {
        impl $crate::custom::LabelSet for $name {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] =
                &[$crate::custom::definition::LabelSpec::closed::<$name>($label)];
            type Series = ();
        }
        $crate::labels!(@check $name);

        impl $crate::custom::LabelsOf<$name> for $name {
            #[inline]
            fn closed(&self) -> usize {
                $crate::custom::LabelValue::index(*self)
            }

            #[inline]
            fn open(&self) -> $crate::custom::definition::OpenValues<'_> {
                ::core::default::Default::default()
            }
        }
    };

    // Sorts the fields of a struct, one by one, into three lists: all, the closed ones, the open ones.
    (@fields $head:tt [$($all:tt)*] $closed:tt [$($open:ident)*]
        $(#[$meta:meta])* $field:ident : open ( $most:expr ) , $($rest:tt)*) => {
        $crate::labels! { @fields $head
            [$($all)* { [$(#[$meta])*] $field ($crate::custom::definition::LabelSpec::open(::core::stringify!($field), $most)) OpenValue }]
            $closed [$($open)* $field] $($rest)* }
    };
    (@fields $head:tt $all:tt $closed:tt $open:tt
        $(#[$meta:meta])* $field:ident : open , $($rest:tt)*) => {
        $crate::labels! { @fields $head $all $closed $open $(#[$meta])* $field : open(1000) , $($rest)* }
    };
    (@fields $head:tt [$($all:tt)*] [$($closed:ident)*] $open:tt
        $(#[$meta:meta])* $field:ident : $value:ty , $($rest:tt)*) => {
        $crate::labels! { @fields $head
            [$($all)* { [$(#[$meta])*] $field ($crate::custom::definition::LabelSpec::closed::<$value>(::core::stringify!($field))) $value }]
            [$($closed)* $field] $open $($rest)* }
    };

    // All labels are closed.
    (@fields [$(#[$meta:meta])* $vis:vis $name:ident]
        [$({ [$($field_meta:tt)*] $field:ident $spec:tt $value:ty })+] [$($closed:ident)*] [] $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis struct $name {
            $( $($field_meta)* #[doc = ::core::concat!("The label `", ::core::stringify!($field), "`.")] $vis $field: $value, )+
        }

        impl $crate::custom::LabelSet for $name {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] = &[$( $spec ),+];
            type Series = ();
        }
        $crate::labels!(@check $name);

        impl $crate::custom::LabelsOf<$name> for $name {
            #[inline]
            fn closed(&self) -> usize {
                $crate::labels!(@index self $($closed)*)
            }

            #[inline]
            fn open(&self) -> $crate::custom::definition::OpenValues<'_> {
                ::core::default::Default::default()
            }
        }
    };
    // Some labels are open: their type is a parameter, so that values can be borrowed.
    (@fields [$(#[$meta:meta])* $vis:vis $name:ident]
        [$({ [$($field_meta:tt)*] $field:ident $spec:tt $value:ty })+] [$($closed:ident)*] [$($open:ident)+] $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis struct $name<OpenValue = &'static str> {
            $( $($field_meta)* #[doc = ::core::concat!("The label `", ::core::stringify!($field), "`.")] $vis $field: $value, )+
        }

        // For all types of values, not only the default: the compiler checks whether a future is `Send` with any lifetime in
        // place of the `'static` of the default.
        impl<OpenValue> $crate::custom::LabelSet for $name<OpenValue> {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] = &[$( $spec ),+];
            type Series = $crate::custom::Owned;
        }
        $crate::labels!(@check $name);

        impl<Default, OpenValue: ::core::convert::AsRef<str>> $crate::custom::LabelsOf<$name<Default>> for $name<OpenValue> {
            #[inline]
            fn closed(&self) -> usize {
                $crate::labels!(@index self $($closed)*)
            }

            #[inline]
            fn open(&self) -> $crate::custom::definition::OpenValues<'_> {
                $crate::custom::definition::OpenValues::of([
                    $( ::core::convert::AsRef::<str>::as_ref(&self.$open) ),+
                ])
            }
        }
    };

    (@index $self:ident) => { 0 };
    (@index $self:ident $($closed:ident)+) => {{
        let mut index = 0;
        $( index = $crate::custom::definition::next_digit(index, $self.$closed); )+
        index
    }};
    (@check $name:ident) => {
        const _: () = match $crate::custom::definition::label_problem(
            <$name as $crate::custom::LabelSet>::LABELS,
        ) {
            ::core::option::Option::None => {}
            ::core::option::Option::Some(problem) => match problem {
                $crate::custom::definition::LabelProblem::Name => $crate::labels!(@wrong $name
                    "a label name must be letters, digits and `_`, and must not start with a digit"),
                $crate::custom::definition::LabelProblem::ReservedName => $crate::labels!(@wrong $name
                    "a label name must not be `le` or `quantile` and must not start with `__`, because \
                     Prometheus reserves these names"),
                $crate::custom::definition::LabelProblem::NoValues => $crate::labels!(@wrong $name
                    "the limit of an open label must be at least 1, got `open(0)`"),
                $crate::custom::definition::LabelProblem::OpenLabels => $crate::labels!(@wrong $name
                    "a label set can have at most 6 open labels"),
                $crate::custom::definition::LabelProblem::Combinations => $crate::labels!(@wrong $name
                    "the closed labels of a set can have at most 10,000 combinations of values"),
            },
        };
    };
    (@wrong $name:ident $what:literal) => {
        ::core::panic!(::core::concat!("`", ::core::stringify!($name), "`: ", $what))
    };
}
