//! [`LabelValueIds`]: numbers the values of a custom label in the order they are first seen.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::http::config::http_label::{AllowedValues, HttpLabel, MAX_LABELS};
use crate::maps::MAX_NAME_LEN;
use crate::maps::slots::SlotKey;
use crate::maps::table::Table;
use crate::sink::overflow::{OVERFLOW, OverflowCause};
use crate::sync::lock;

/// The ids of all custom label values of one request.
///
/// Packed, four to a word: every request carries and compares them, although few layers have custom labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelIds {
    first: u64,
    last: u64,
}

pub(super) const ABSENT: u16 = 0;
const OVERFLOWED: u16 = 1;
const FIRST: u16 = 2;

impl LabelIds {
    pub(crate) fn get(self, label: usize) -> u16 {
        let word = if label < 4 { self.first } else { self.last };
        (word >> (label % 4 * 16)) as u16
    }

    pub(crate) fn set(&mut self, label: usize, id: u16) {
        let word = match label < 4 {
            true => &mut self.first,
            false => &mut self.last,
        };
        let shift = label % 4 * 16;
        *word = *word & !(0xFFFF << shift) | u64::from(id) << shift;
    }

    /// Whether the value of a label is present.
    pub(crate) fn has(self, label: usize) -> bool {
        self.get(label) != ABSENT
    }

    /// Whether all values are absent.
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Keeps the labels in the mask `kept` and makes the others absent.
    #[inline]
    pub(crate) fn only(self, kept: Self) -> Self {
        Self {
            first: self.first & kept.first,
            last: self.last & kept.last,
        }
    }

    /// A mask for [`LabelIds::only`]: all bits are set for each label that is kept.
    pub(crate) fn mask(is_kept: impl Iterator<Item = bool>) -> Self {
        let mut mask = Self::default();
        for (label, is_kept) in is_kept.enumerate() {
            mask.set(label, if is_kept { u16::MAX } else { ABSENT });
        }
        mask
    }

    /// The indexes of the labels whose value is `overflow`.
    pub(crate) fn overflowed(self) -> impl Iterator<Item = usize> {
        (0..MAX_LABELS).filter(move |label| self.get(*label) == OVERFLOWED)
    }
}

impl SlotKey for LabelIds {
    fn bits(self) -> u64 {
        let mix = |bits: u64, word: u64| (bits ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mix(mix(0, self.first), self.last)
    }
}

/// The known values of one label, and their ids. They are never removed.
pub(crate) struct LabelValueIds {
    ids: Table<u16>,
    /// Values that differ only in ASCII case are one value, in lower case.
    ignores_case: bool,
    /// All values are listed in the configuration: no other becomes known.
    is_listed: bool,
    names: Mutex<Vec<&'static str>>,
}

impl LabelValueIds {
    pub(crate) fn new(label: &HttpLabel) -> Self {
        let (listed, cap) = match &label.values {
            // The limit is the number of listed values, so that all others overflow.
            AllowedValues::Listed(values) => (values.as_slice(), distinct(values)),
            AllowedValues::AtMost(cap) => (&[][..], *cap),
        };
        let known = Self {
            ids: Table::new(cap),
            ignores_case: label.ignores_case,
            is_listed: label.values.listed().is_some(),
            names: Mutex::default(),
        };
        for value in listed.iter().filter(|value| !value.is_empty()) {
            known.add(value);
        }
        known
    }

    /// The id of a value. Known values are found without a lock.
    pub(crate) fn id(&self, value: Option<&str>) -> u16 {
        match value.filter(|value| !value.is_empty()) {
            None => ABSENT,
            Some(value) if self.ignores_case && value.bytes().any(|b| b.is_ascii_uppercase()) => {
                self.id_of_lower_case(value)
            }
            Some(value) => self.id_of(value),
        }
    }

    /// The id of a value in lower case, written on the stack so that a request does not allocate.
    #[cold]
    fn id_of_lower_case(&self, value: &str) -> u16 {
        let mut buffer = [0; MAX_NAME_LEN];
        let Some(lower) = buffer.get_mut(..value.len()) else {
            return OVERFLOWED;
        };
        lower.copy_from_slice(value.as_bytes());
        lower.make_ascii_lowercase();
        str::from_utf8(lower).map_or(OVERFLOWED, |lower| self.id_of(lower))
    }

    fn id_of(&self, value: &str) -> u16 {
        match self.is_listed {
            true => self.ids.get(value).copied().unwrap_or(OVERFLOWED),
            false => self.add(value),
        }
    }

    fn add(&self, value: &str) -> u16 {
        let id = self.ids.get_or_insert(value, |name| {
            let mut names = lock(&self.names);
            names.push(name);
            FIRST - 1 + names.len() as u16
        });
        id.copied().unwrap_or(OVERFLOWED)
    }

    /// Why a value got the id of `overflow`. `label` is the configuration of this label.
    pub(crate) fn overflow_cause(&self, label: &HttpLabel) -> OverflowCause {
        match &label.values {
            AllowedValues::Listed(values) => OverflowCause::NotListed {
                listed: distinct(values),
                advice: match label.is_preset {
                    true => "the list of this label is fixed",
                    false => "add the value to `values`",
                },
            },
            AllowedValues::AtMost(limit) if self.ids.is_full() => full_cause(label, *limit),
            AllowedValues::AtMost(_) => OverflowCause::TooLong,
        }
    }

    pub(crate) fn name(&self, id: u16) -> &'static str {
        match id {
            ABSENT => "",
            OVERFLOWED => OVERFLOW,
            id => lock(&self.names)[usize::from(id - FIRST)],
        }
    }
}

/// Why a value of a label with `limit` values is `overflow`.
pub(super) fn full_cause(label: &HttpLabel, limit: usize) -> OverflowCause {
    let advice = match label.is_preset {
        true => "the limit of this label is fixed",
        false => "raise `max_values`, or list the values with `values`",
    };
    OverflowCause::Full { limit, advice }
}

/// The number of distinct values. The empty string does not count: it is the same as an absent value.
fn distinct(values: &[String]) -> usize {
    let values: BTreeSet<_> = values.iter().filter(|value| !value.is_empty()).collect();
    values.len()
}
