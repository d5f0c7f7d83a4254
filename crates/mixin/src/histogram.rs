//! PromQL of histograms: of native buckets, classic ones, or `native or classic`.

use crate::definitions::IndexedFamily;
use crate::error::Error;
use crate::selector::{QueryScope, Selector, aggregated, check_bound, le_matcher};

/// A PromQL expression without its labels.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) text: String,
    /// Whether it is an operation, which needs parentheses as an operand of another one.
    pub(crate) is_operation: bool,
}

impl Term {
    pub(crate) fn operation(text: String) -> Self {
        Self {
            text,
            is_operation: true,
        }
    }

    /// Returns `native or classic`, or one of them.
    fn of(native: Option<String>, classic: Option<String>, or: &str) -> Self {
        match (native, classic) {
            (Some(native), Some(classic)) => Self::operation(format!("{native} {or} {classic}")),
            (native, classic) => Self::from(native.or(classic).unwrap_or_default()),
        }
    }
}

/// A text that is not an operation.
impl From<String> for Term {
    fn from(text: String) -> Self {
        Self {
            text,
            is_operation: false,
        }
    }
}

/// A number that each histogram and each summary has, besides its buckets or quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Count,
    Sum,
}

impl Total {
    fn native_function(self) -> &'static str {
        match self {
            Self::Count => "histogram_count",
            Self::Sum => "histogram_sum",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Count => "_count",
            Self::Sum => "_sum",
        }
    }

    /// Returns the rate or the increase of each series. Series that have native and classic buckets have one result, because
    /// both halves have the same labels.
    pub(crate) fn over_time(
        self,
        function: &str,
        of: &Selector,
        scope: &QueryScope<'_>,
    ) -> Result<Term, Error> {
        let family = scope.index.family(&of.family)?;
        let native = || -> Result<_, Error> {
            let range = of.ranged(scope, "", "")?;
            Ok(format!("{}({function}({range}))", self.native_function()))
        };
        let classic = || -> Result<_, Error> {
            let range = of.ranged(scope, self.suffix(), "")?;
            Ok(format!("{function}({range})"))
        };
        let native = family.reads_native.then(native).transpose()?;
        let classic = family.reads_classic.then(classic).transpose()?;
        Ok(Term::of(native, classic, "or"))
    }

    fn summed_rate(
        self,
        of: &Selector,
        by: &[String],
        scope: &QueryScope<'_>,
    ) -> Result<String, Error> {
        let rate = self.over_time("rate", of, scope)?;
        Ok(aggregated("sum", by, "", &rate.text))
    }
}

/// Returns the mean of the observations of a histogram or a summary.
pub(crate) fn mean(of: &Selector, by: &[String], scope: &QueryScope<'_>) -> Result<Term, Error> {
    let sums = Total::Sum.summed_rate(of, by, scope)?;
    let counts = Total::Count.summed_rate(of, by, scope)?;
    Ok(Term::operation(format!("{sums} / {counts}")))
}

/// Returns a quantile. Native and classic buckets of different instances cannot be added, so each half has its own.
pub(crate) fn quantile(
    quantile: f64,
    (of, family): (&Selector, &IndexedFamily),
    by: &[String],
    scope: &QueryScope<'_>,
) -> Result<Term, Error> {
    let native = || of.summed_rate(scope, ("", ""), by);
    let classic = || {
        let with_le: Vec<_> = ["le".to_owned()].iter().chain(by).cloned().collect();
        of.summed_rate(scope, ("_bucket", ""), &with_le)
    };
    let native = family.reads_native.then(native).transpose()?;
    let classic = family.reads_classic_buckets().then(classic).transpose()?;
    let of = |rates| format!("histogram_quantile({quantile}, {rates})");
    Ok(Term::of(native.map(of), classic.map(of), "or"))
}

/// Returns the fraction of the observations that are at most `bound`.
pub(crate) fn fraction_below(
    bound: f64,
    (of, family): (&Selector, &IndexedFamily),
    by: &[String],
    scope: &QueryScope<'_>,
) -> Result<Term, Error> {
    if !family.reads_classic_buckets() {
        let rates = of.summed_rate(scope, ("", ""), by)?;
        return Ok(format!("histogram_fraction(-Inf, {bound}, {rates})").into());
    }
    check_bound(&of.family, bound, family)?;
    let native = || -> Result<_, Error> {
        let rate = format!("rate({})", of.ranged(scope, "", "")?);
        // Without observations the fraction is NaN, and so would be the sum: `>= 0` removes it.
        Ok(format!(
            "(histogram_fraction(-Inf, {bound}, {rate}) * histogram_count({rate}) >= 0)"
        ))
    };
    let native = family.reads_native.then(native).transpose()?;
    let classic = format!("rate({})", of.ranged(scope, "_bucket", &le_matcher(bound))?);
    let below = Term::of(native, Some(classic), "or ignoring (le)");
    let below = aggregated("sum", by, "", &below.text);
    let all = Total::Count.summed_rate(of, by, scope)?;
    Ok(Term::operation(format!("{below} / {all}")))
}

/// The buckets of a histogram over time.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    pub(crate) promql: String,
    /// Whether the result can be cumulative buckets with the label `le`.
    pub(crate) has_classic: bool,
}

/// Returns the buckets of all series. Classic ones are left out if there are native ones.
pub(crate) fn buckets(
    function: &str,
    (of, family): (&Selector, &IndexedFamily),
    scope: &QueryScope<'_>,
) -> Result<Buckets, Error> {
    let half = |suffix, by: &[String]| -> Result<_, Error> {
        let range = of.ranged(scope, suffix, "")?;
        Ok(aggregated("sum", by, "", &format!("{function}({range})")))
    };
    let has_classic = family.reads_classic_buckets();
    let native = family.reads_native.then(|| half("", &[])).transpose()?;
    let classic = has_classic.then(|| half("_bucket", &["le".to_owned()]));
    let promql = Term::of(native, classic.transpose()?, "or on ()").text;
    Ok(Buckets {
        promql,
        has_classic,
    })
}

/// Returns `absent(…)`.
pub(crate) fn absent(
    (of, family): (&Selector, &IndexedFamily),
    scope: &QueryScope<'_>,
) -> Result<Term, Error> {
    let half = |suffix| -> Result<_, Error> {
        let series = of.instant(scope, suffix, "")?;
        Ok(format!("absent({series})"))
    };
    let native = family.reads_native.then(|| half("")).transpose()?;
    let classic = family.reads_classic.then(|| half("_count")).transpose()?;
    Ok(Term::of(native, classic, "and"))
}

/// Returns a selector of series that exist if the histogram or summary exists, for the values of its labels. `matcher` can
/// be empty.
pub(crate) fn any_series(name: &str, family: &IndexedFamily, matcher: &str) -> String {
    match (family.reads_native, family.reads_classic) {
        (true, true) => {
            let name = format!("__name__=~\"{name}|{name}_count\"");
            let matchers = [&*name, matcher].into_iter().filter(|one| !one.is_empty());
            format!("{{{}}}", matchers.collect::<Vec<_>>().join(","))
        }
        (true, false) => selector(name, matcher),
        _ => selector(&format!("{name}_count"), matcher),
    }
}

/// Returns `name{matcher}`, or the name alone if the matcher is empty.
pub(crate) fn selector(name: &str, matcher: &str) -> String {
    match matcher.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{matcher}}}"),
    }
}
