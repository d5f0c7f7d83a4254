//! [`LabelSpec`]: a label as defined with `labels!`, and the indices of its values.

use std::fmt;

/// The maximum number of open labels in a set.
pub(crate) const MAX_OPEN: usize = 6;

/// A closed label: a type with a fixed set of values, such as an enum from [`labels!`](crate::labels!) or `bool`.
///
/// [`labels!`](crate::labels!) implements it. An implementation by hand must give each value another
/// [`index`](Self::index), less than the number of [`VALUES`](Self::VALUES).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a label type",
    label = "not a closed set of values",
    note = "a label is an enum defined by `tower_prometheus::labels!`, a `bool`, or `open(1000)`: any string, up to 1000 \
            different ones"
)]
pub trait LabelValue: Copy + 'static {
    /// All values as they are exported, in the order of [`index`](Self::index).
    const VALUES: &'static [&'static str];

    /// Returns the index of this value in [`VALUES`](Self::VALUES), starting at 0.
    fn index(self) -> usize;
}

impl LabelValue for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    fn index(self) -> usize {
        usize::from(self)
    }
}

/// A label as defined with `labels!`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelSpec {
    pub name: &'static str,
    pub values: SpecValues,
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecValues {
    Closed(&'static [&'static str]),
    /// Any value, up to this number of different ones.
    Open(usize),
}

impl fmt::Display for SpecValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(values) => write!(f, "the values {values:?}"),
            Self::Open(limit) => write!(f, "`open({limit})`"),
        }
    }
}

impl LabelSpec {
    /// Creates a closed label. `name` may be a raw identifier.
    pub const fn closed<V: LabelValue>(name: &'static str) -> Self {
        Self {
            name: without_raw(name),
            values: SpecValues::Closed(V::VALUES),
        }
    }

    pub const fn open(name: &'static str, at_most: usize) -> Self {
        Self {
            name: without_raw(name),
            values: SpecValues::Open(at_most),
        }
    }
}

/// The number of combinations of closed values: the number of series for each combination of open values.
pub(crate) const fn combinations(labels: &[LabelSpec]) -> usize {
    let (mut product, mut i) = (1, 0);
    while i < labels.len() {
        if let SpecValues::Closed(values) = labels[i].values {
            product *= values.len();
        }
        i += 1;
    }
    product
}

/// The number of open labels in a set.
pub(crate) const fn open_labels(labels: &[LabelSpec]) -> usize {
    let (mut count, mut i) = (0, 0);
    while i < labels.len() {
        if let SpecValues::Open(_) = labels[i].values {
            count += 1;
        }
        i += 1;
    }
    count
}

/// The limits of the open labels of a set.
pub(crate) fn open_limits(labels: &[LabelSpec]) -> impl Iterator<Item = usize> {
    labels.iter().filter_map(|label| match label.values {
        SpecValues::Closed(_) => None,
        SpecValues::Open(at_most) => Some(at_most),
    })
}

/// The names and values of the labels of one series. `closed` is the row-major index of its closed values.
pub(crate) fn pairs<'a>(
    labels: &'a [LabelSpec],
    mut closed: usize,
    open: &[&'a str],
) -> Vec<(&'a str, &'a str)> {
    let mut open = open.iter().rev();
    let value = |label: &'a LabelSpec| match label.values {
        SpecValues::Closed(values) => {
            let value = values[closed % values.len()];
            closed /= values.len();
            value
        }
        SpecValues::Open(_) => open.next().copied().unwrap_or_default(),
    };
    // From the last label, which varies fastest: see `next_digit`.
    let values: Vec<_> = labels.iter().rev().map(value).collect();
    let names = labels.iter().map(|label| label.name);
    names.zip(values.into_iter().rev()).collect()
}

/// The values of the open labels of a series, in the order of definition.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenValues<'a> {
    values: [&'a str; MAX_OPEN],
    len: usize,
}

impl<'a> OpenValues<'a> {
    #[inline]
    #[must_use]
    pub fn of<const N: usize>(given: [&'a str; N]) -> Self {
        let mut values = [""; MAX_OPEN];
        for (value, given) in values.iter_mut().zip(given) {
            *value = given;
        }
        Self {
            values,
            len: N.min(MAX_OPEN),
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[&'a str] {
        &self.values[..self.len]
    }
}

/// Removes the `r#` of a raw identifier.
pub(crate) const fn without_raw(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}
