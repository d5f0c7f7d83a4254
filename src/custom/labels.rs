//! [`LabelSet`]: the labels of a family as a type, and [`labels!`](crate::labels!), which makes them.

use crate::custom::label_spec::{LabelSpec, OpenValues};

/// The labels of a family: their names and the values they can have.
///
/// Made by [`labels!`](crate::labels!); `()` is the set without any.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of labels",
    label = "not made by `labels!`",
    note = "a set of labels is a struct, or an enum with a label's name, from `tower_prometheus::labels!`"
)]
pub trait LabelSet: 'static {
    #[doc(hidden)]
    const LABELS: &'static [LabelSpec];
}

/// SpecValues for the labels of a `Set`, which tell one of its series.
#[diagnostic::on_unimplemented(
    message = "this family has the labels `{Set}`, not `{Self}`",
    label = "other labels than those of the family",
    note = "the labels of a family are in its type, where the catalogue defines it"
)]
pub trait LabelsOf<Set: LabelSet> {
    /// The place of the closed values among all their combinations.
    #[doc(hidden)]
    fn closed(&self) -> usize;

    #[doc(hidden)]
    fn open(&self) -> OpenValues<'_>;
}

impl LabelSet for () {
    const LABELS: &'static [LabelSpec] = &[];
}

impl LabelsOf<()> for () {
    fn closed(&self) -> usize {
        0
    }

    fn open(&self) -> OpenValues<'_> {
        OpenValues::default()
    }
}

/// Defines labels as types: closed sets of values as enums, sets of labels as structs.
///
/// ```
/// tower_prometheus::labels! {
///     /// A closed set of values: the words are what the page shows.
///     pub enum Outcome {
///         Success = "success",
///         Failed = "failed",
///     }
///
///     /// With a label's name it is a set of labels by itself.
///     pub enum Reason("reason") {
///         Crash = "crash",
///         Expired = "expired",
///     }
///
///     /// A set of labels: a closed one beside an open one, which takes any text.
///     pub struct Recovery {
///         /// `r#` is for Rust only: the label is called `type`.
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
/// An enum has `ALL` and `as_str`. `open` alone is `open(1000)`: so many values the label can have; any
/// further one is counted as `overflow`. All open labels of a set are of one type, `&str` or whatever else
/// is a text.
///
/// # What does not compile
///
/// A label called as Prometheus does not allow, or `le`, `quantile` or `__…`:
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
            $( $(#[$variant_meta])* #[doc = concat!("`", $value, "` on the page.")] $variant ),+
        }

        #[allow(dead_code)]
        impl $name {
            /// All values in order.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The value as it is on the page.
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
            ::core::concat!("a value of `", ::core::stringify!($name), "` is there twice"),
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

    // An enum that is a set of labels by itself.
    (@one_label $name:ident $label:literal) => {
        impl $crate::custom::LabelSet for $name {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] =
                &[$crate::custom::definition::LabelSpec::closed::<$name>($label)];
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

    // The fields of a struct, one after the other: all, the closed ones, the open ones.
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

    // All closed.
    (@fields [$(#[$meta:meta])* $vis:vis $name:ident]
        [$({ [$($field_meta:tt)*] $field:ident $spec:tt $value:ty })+] [$($closed:ident)*] [] $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis struct $name {
            $( $($field_meta)* #[doc = ::core::concat!("The label `", ::core::stringify!($field), "`.")] $vis $field: $value, )+
        }

        impl $crate::custom::LabelSet for $name {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] = &[$( $spec ),+];
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
    // Some open: their text is a type parameter, so that it can be borrowed.
    (@fields [$(#[$meta:meta])* $vis:vis $name:ident]
        [$({ [$($field_meta:tt)*] $field:ident $spec:tt $value:ty })+] [$($closed:ident)*] [$($open:ident)+] $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis struct $name<OpenValue = &'static str> {
            $( $($field_meta)* #[doc = ::core::concat!("The label `", ::core::stringify!($field), "`.")] $vis $field: $value, )+
        }

        impl $crate::custom::LabelSet for $name {
            const LABELS: &'static [$crate::custom::definition::LabelSpec] = &[$( $spec ),+];
        }
        $crate::labels!(@check $name);

        impl<OpenValue: ::core::convert::AsRef<str>> $crate::custom::LabelsOf<$name> for $name<OpenValue> {
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
            ::core::option::Option::Some(problem) => ::core::panic!("{}", problem),
        };
    };
}
