//! [`NameRules`]: settings that apply to metrics by name.

use std::fmt;

use crate::error::Error;
use crate::model::names::{sanitize_metric_name, sanitize_metric_suffix};

/// Which names a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Name(String),
    Prefix(String),
    Suffix(String),
}

/// How closely a rule matches. If several rules match, the greatest applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    Default,
    Unit,
    /// With the length of the suffix.
    Suffix(usize),
    /// With the length of the prefix.
    Prefix(usize),
    Name,
}

impl Pattern {
    fn closeness(&self, name: &str) -> Option<Closeness> {
        let (matches, closeness) = match self {
            Self::Name(whole) => (name == whole, Closeness::Name),
            Self::Prefix(start) => (name.starts_with(start), Closeness::Prefix(start.len())),
            Self::Suffix(end) => (name.ends_with(end), Closeness::Suffix(end.len())),
        };
        matches.then_some(closeness)
    }

    /// Sanitizes the text as the names of macros are sanitized: `db.query` becomes `db_query`.
    fn sanitized(&self) -> Self {
        match self {
            Self::Name(whole) => Self::Name(sanitize_metric_name(whole)),
            Self::Prefix(start) => Self::Prefix(sanitize_metric_name(start)),
            Self::Suffix(end) => Self::Suffix(sanitize_metric_suffix(end)),
        }
    }

    fn is_empty(&self) -> bool {
        let (Self::Name(text) | Self::Prefix(text) | Self::Suffix(text)) = self;
        text.is_empty()
    }
}

/// The end of the name of the setting, with its argument: `_for("db_seconds")`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(whole) => write!(f, "_for({whole:?})"),
            Self::Prefix(start) => write!(f, "_for_prefix({start:?})"),
            Self::Suffix(end) => write!(f, "_for_suffix({end:?})"),
        }
    }
}

/// Values by name, and a default.
#[derive(Clone, Debug)]
pub(crate) struct NameRules<T> {
    pub(crate) by_pattern: Vec<(Pattern, T)>,
    pub(crate) default: Option<T>,
}

impl<T> Default for NameRules<T> {
    fn default() -> Self {
        Self {
            by_pattern: Vec::new(),
            default: None,
        }
    }
}

impl<T> NameRules<T> {
    /// Returns the value of the rule that matches a sanitized name most closely.
    pub(crate) fn find(&self, name: &str) -> Option<(Closeness, &T)> {
        let matching = self.by_pattern.iter();
        let matching =
            matching.filter_map(|(pattern, value)| Some((pattern.closeness(name)?, value)));
        let default = self.default.as_ref();
        let default = default.map(|value| (Closeness::Default, value));
        matching
            .chain(default)
            .max_by_key(|(closeness, _)| *closeness)
    }

    /// Returns all values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        let by_pattern = self.by_pattern.iter().map(|(_, value)| value);
        by_pattern.chain(&self.default)
    }

    /// Sanitizes the patterns and converts the values. `setting` is the setting of the default, for messages.
    pub(crate) fn checked<U>(
        self,
        setting: &str,
        convert: impl Fn(T) -> Result<U, Error>,
    ) -> Result<NameRules<U>, Error> {
        let convert_for = |at: &str, value| convert(value).map_err(|error| error.within(at));
        let mut by_pattern: Vec<(Pattern, U)> = Vec::new();
        for (pattern, value) in self.by_pattern {
            let at = format!("{setting}{pattern}");
            if pattern.is_empty() {
                let all = match setting {
                    "idle_timeout" => "metrics",
                    _ => "histograms",
                };
                return Err(Error::new(format!(
                    "{at}: the name is empty; for all {all}, use `{setting}`"
                )));
            }
            let pattern = pattern.sanitized();
            if by_pattern.iter().any(|(other, _)| *other == pattern) {
                return Err(Error::new(format!("{at} is set twice; remove one of them")));
            }
            by_pattern.push((pattern, convert_for(&at, value)?));
        }
        let default = self.default.map(|value| convert_for(setting, value));
        Ok(NameRules {
            by_pattern,
            default: default.transpose()?,
        })
    }
}
