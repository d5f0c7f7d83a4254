//! [`CustomValues`]: the values of custom labels that have been read for one request.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use crate::http::config::http_label::MAX_LABELS;
use crate::http::series::label_values::LabelIds;
use crate::maps::MAX_NAME_LEN;
use crate::open_labels::rows::MAX_VALUES;

/// The values of custom labels that have been read for one request, in a layer whose open labels have rows.
#[derive(Clone)]
pub(crate) struct CustomValues<'a> {
    /// The ids of listed values. Open labels are absent.
    pub(crate) ids: LabelIds,
    open: [OpenValue<'a>; MAX_LABELS],
    /// The number of open labels.
    len: usize,
}

/// The value of an open label; empty if it is absent.
#[derive(Clone, Default)]
struct OpenValue<'a> {
    text: Cow<'a, str>,
    /// Whether it is to be converted to lower case.
    has_upper_case: bool,
}

/// The values of the open labels of a row.
#[derive(Clone)]
pub(crate) struct OpenTexts<'a> {
    texts: [&'a str; MAX_VALUES],
    len: usize,
}

thread_local! {
    /// Reused for values in lower case, so that a request does not allocate.
    static LOWER_CASE: Cell<String> = const { Cell::new(String::new()) };
}

impl<'a> CustomValues<'a> {
    /// Creates the values of `len` open labels. Those that `open` does not yield are absent.
    pub(super) fn new(ids: LabelIds, len: usize, open: impl Iterator<Item = &'a str>) -> Self {
        let mut values = Self {
            ids,
            open: Default::default(),
            len: len.min(MAX_LABELS),
        };
        for (i, text) in open.enumerate() {
            values.set_open(i, Cow::Borrowed(text), false);
        }
        values
    }

    /// Sets the value of an open label. `index` is its index among the open labels.
    pub(super) fn set_open(&mut self, index: usize, text: Cow<'a, str>, ignores_case: bool) {
        let has_upper_case = ignores_case && text.bytes().any(|byte| byte.is_ascii_uppercase());
        if let Some(value) = self.open.get_mut(index) {
            *value = OpenValue {
                text,
                has_upper_case,
            };
        }
    }

    /// Whether an open label is present.
    #[inline]
    pub(crate) fn has_open(&self) -> bool {
        self.open[..self.len]
            .iter()
            .any(|value| !value.text.is_empty())
    }

    /// Calls `then` with the values of the open labels, in lower case where case is ignored. Does not allocate.
    #[inline]
    pub(crate) fn with_open<R>(&self, then: impl FnOnce(&OpenTexts<'_>) -> R) -> R {
        let open = &self.open[..self.len];
        match open.iter().any(|value| value.has_upper_case) {
            true => self.with_lower_case(then),
            false => then(&OpenTexts::of(open.iter().map(|value| &*value.text))),
        }
    }

    #[cold]
    fn with_lower_case<R>(&self, then: impl FnOnce(&OpenTexts<'_>) -> R) -> R {
        let open = &self.open[..self.len];
        // Taken out while it is used: a subscriber of a warning may start another request on this thread.
        let mut buffer = LOWER_CASE.take();
        buffer.clear();
        let mut lower = [const { 0..0 }; MAX_LABELS];
        for (value, range) in open.iter().zip(&mut lower) {
            // A longer value is recorded as `overflow` anyway.
            if value.has_upper_case && value.text.len() <= MAX_NAME_LEN {
                *range = push_lower_case(&mut buffer, &value.text);
            }
        }
        let texts = open.iter().zip(&lower);
        let texts = texts.map(|(value, range)| match range.is_empty() {
            true => &*value.text,
            false => buffer.get(range.clone()).unwrap_or_default(),
        });
        let result = then(&OpenTexts::of(texts));
        LOWER_CASE.set(buffer);
        result
    }

    pub(crate) fn to_static(&self) -> CustomValues<'static> {
        CustomValues {
            ids: self.ids,
            open: std::array::from_fn(|i| OpenValue {
                text: Cow::Owned(self.open[i].text.clone().into_owned()),
                has_upper_case: self.open[i].has_upper_case,
            }),
            len: self.len,
        }
    }
}

/// Appends a value in lower case. Returns where it is.
fn push_lower_case(buffer: &mut String, value: &str) -> Range<usize> {
    let start = buffer.len();
    buffer.push_str(value);
    let range = start..buffer.len();
    if let Some(added) = buffer.get_mut(range.clone()) {
        added.make_ascii_lowercase();
    }
    range
}

impl<'a> OpenTexts<'a> {
    pub(crate) fn of(given: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts = Self {
            texts: [""; MAX_VALUES],
            len: 0,
        };
        given.into_iter().for_each(|text| texts.push(text));
        texts
    }

    /// Adds the value of a label that is not a custom one: a gRPC method.
    pub(crate) fn push(&mut self, text: &'a str) {
        if let Some(next) = self.texts.get_mut(self.len) {
            *next = text;
            self.len += 1;
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[&'a str] {
        &self.texts[..self.len]
    }
}
