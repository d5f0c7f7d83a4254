//! [`Settings`]: what a layer was asked to do, and whether that can be.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::{AbortReason, DurationTo};
use crate::Error;
use crate::app::{FamilyDescription, LabelDescription, LabelRole};
use crate::labels::{
    EndpointSource, Family, Label, Method, Naming, OVERFLOW, On, RequestHead, Status, TraceId,
    Values,
};
use crate::registry::{Buckets, Shape, check_constant_label, check_metric_name};
use crate::series::{MAX_LABELS, overflow_spec};

/// What a layer was asked to do; two layers that agree in all of it share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) prefix: Option<String>,
    pub(crate) constant_labels: Vec<(String, String)>,
    pub(crate) duration_buckets: Option<Vec<f64>>,
    pub(crate) size_buckets: Vec<f64>,
    pub(crate) duration_to: DurationTo,
    pub(crate) endpoint_source: EndpointSource,
    pub(crate) warns_of_silence: bool,
    pub(crate) skip: Vec<String>,
    pub(crate) max_endpoints: usize,
    pub(crate) naming: Naming,
    pub(super) measured: [bool; Family::COUNT],
    pub(crate) labels: Vec<Label>,
    pub(crate) status_classes: bool,
    pub(super) status_on_durations: bool,
    pub(crate) routes: Vec<Route>,
    pub(crate) exemplar: Option<ExemplarOf>,
}

/// Which trace a request belongs to.
#[derive(Clone)]
pub(crate) struct ExemplarOf(pub(super) Arc<TraceOf>);

type TraceOf = dyn Fn(RequestHead<'_>) -> Option<TraceId> + Send + Sync;

impl ExemplarOf {
    pub(crate) fn of(&self, request: RequestHead<'_>) -> Option<TraceId> {
        (self.0)(request)
    }
}

impl PartialEq for ExemplarOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for ExemplarOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExemplarOf")
    }
}

/// What a label tells of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Method,
    Endpoint,
    /// One's own, by its number.
    Own(usize),
    Status,
    ErrorType,
}

/// A route that was declared, with the statuses that start at 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) endpoint: String,
    pub(crate) statuses: Vec<StatusCode>,
}

impl Settings {
    pub(crate) fn is_measured(&self, family: Family) -> bool {
        self.measured[family as usize]
    }

    /// Whether anything is measured beside the number of requests and their duration to the end.
    pub(crate) fn measures_more(&self) -> bool {
        let more = [
            Family::HeadDuration,
            Family::ResponseBodySize,
            Family::RequestBodySize,
            Family::RequestBodyDuration,
        ];
        self.exemplar.is_some()
            || self.duration_to == DurationTo::Head
            || more.into_iter().any(|family| self.is_measured(family))
    }

    /// The whole name of a family, if it is measured.
    pub(crate) fn family_name(&self, family: Family) -> Option<String> {
        let name = self.naming.name(family);
        self.is_measured(family).then(|| match &self.prefix {
            Some(prefix) => format!("{prefix}_{name}"),
            None => name.to_owned(),
        })
    }

    /// The labels of a family, without what is its own and without constant labels.
    pub(crate) fn parts(&self, family: Family) -> Vec<Part> {
        let (endpoint, own, status) = match family {
            Family::Requests => (true, On::Requests, true),
            Family::Duration
            | Family::HeadDuration
            | Family::ResponseBodySize
            | Family::RequestBodySize
            | Family::RequestBodyDuration => (true, On::Durations, self.status_on_durations),
            Family::InProgress => (self.naming.endpoint_in_progress, On::Everything, false),
            Family::AbortedBodies => (true, On::Everything, false),
            Family::OpenConnections => return vec![Part::Endpoint],
        };
        let mut parts = vec![Part::Method];
        parts.extend(endpoint.then_some(Part::Endpoint));
        let own = (0..self.labels.len()).filter(|i| self.labels[*i].on >= own);
        parts.extend(own.map(Part::Own));
        if status {
            parts.push(Part::Status);
            parts.extend(self.naming.error_type.is_some().then_some(Part::ErrorType));
        }
        parts
    }

    pub(crate) fn label_name(&self, part: Part) -> &str {
        match part {
            Part::Method => &self.naming.method,
            Part::Endpoint => &self.naming.endpoint,
            Part::Own(i) => &self.labels[i].name,
            Part::Status => &self.naming.status,
            Part::ErrorType => self.naming.error_type.as_deref().unwrap_or_default(),
        }
    }

    pub(crate) fn buckets_of(&self, family: Family) -> Result<Option<Buckets>, Error> {
        let bounds = match family {
            Family::ResponseBodySize | Family::RequestBodySize => Some(&self.size_buckets),
            _ => self.duration_buckets.as_ref(),
        };
        bounds
            .map(|bounds| Buckets::new(bounds.iter().copied()))
            .transpose()
    }

    /// Every family that is measured, as a reader of the page sees it; `rules` gives the bounds that
    /// were left to the registry.
    pub(crate) fn describe(
        &self,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Vec<FamilyDescription>, Error> {
        let mut families = Vec::new();
        for family in Family::ALL {
            families.extend(self.describe_family(family, &rules)?);
        }
        families.push(overflow_spec().describe());
        Ok(families)
    }

    /// One family, if it is measured.
    pub(crate) fn describe_family(
        &self,
        family: Family,
        rules: impl Fn(&str) -> Buckets,
    ) -> Result<Option<FamilyDescription>, Error> {
        let Some(name) = self.family_name(family) else {
            return Ok(None);
        };
        let (shape, unit, help) = family.about();
        let mut description = FamilyDescription::new(name, shape.family_kind());
        description.help = help.to_owned();
        description.unit = unit;
        let parts = self.parts(family).into_iter();
        description.labels = parts.map(|part| self.describe_label(part)).collect();
        description.labels.extend(own_label(family));
        if shape == Shape::Histogram {
            let buckets = self.buckets_of(family)?;
            let buckets = buckets.unwrap_or_else(|| rules(&description.name));
            description.buckets = buckets.bounds().to_vec();
        }
        Ok(Some(description))
    }

    fn describe_label(&self, part: Part) -> LabelDescription {
        let label = LabelDescription::new(self.label_name(part).to_owned());
        match part {
            Part::Method => {
                let other = self.naming.other_method;
                let methods = Method::ALL.iter().map(|method| method.label(other));
                let label = label.role(LabelRole::Method).fallback(other);
                label.values(methods)
            }
            Part::Endpoint => label
                .role(LabelRole::Endpoint)
                .fallback(self.naming.unmatched),
            Part::Own(i) => match &self.labels[i].values {
                Values::Declared(values) => {
                    let values = values.iter().map(|value| value.clone().into());
                    let values = values.chain(["".into(), OVERFLOW.into()]);
                    label.fallback("").values::<Cow<'static, str>>(values)
                }
                Values::AtMost(_) => label.fallback(""),
            },
            Part::Status => self.describe_status(label.role(LabelRole::Status)),
            Part::ErrorType => label.role(LabelRole::ErrorType).fallback(""),
        }
    }

    /// Classes are few enough to list; codes are not.
    fn describe_status(&self, label: LabelDescription) -> LabelDescription {
        if !self.status_classes {
            return label;
        }
        let mut values: Vec<_> = Status::classes()
            .chain([Status::ERROR, Status::CANCELLED, Status::PANICKED])
            .map(|status| self.naming.status_value(status))
            .collect();
        // Under some namings the last three are the empty string.
        values.dedup();
        label.values(values)
    }

    /// Refuses what cannot work anywhere.
    pub(super) fn check(&self) -> Result<(), Error> {
        const MOST_ENDPOINTS: usize = 1_000_000;
        let Self {
            prefix,
            constant_labels,
            duration_buckets,
            size_buckets,
            duration_to: _,
            endpoint_source: _,
            warns_of_silence: _,
            skip: _,
            max_endpoints,
            naming,
            measured: _,
            labels,
            status_classes: _,
            status_on_durations: _,
            routes,
            exemplar: _,
        } = self;
        if let Some(prefix) = prefix {
            check_metric_name(prefix)?;
        }
        check_range("max_endpoints", *max_endpoints, MOST_ENDPOINTS)?;
        let declared: BTreeSet<_> = routes.iter().map(|route| &route.endpoint).collect();
        if declared.len() > *max_endpoints {
            return Err(Error::new(format!(
                "{} endpoints are declared: max_endpoints is {max_endpoints}",
                declared.len()
            )));
        }
        let named = |name, bounds: &[f64]| {
            let checked = Buckets::new(bounds.iter().copied());
            checked.map_err(|error| Error::new(format!("{name}: {error}")))
        };
        if let Some(bounds) = duration_buckets {
            named("duration_buckets", bounds)?;
        }
        named("size_buckets", size_buckets)?;
        naming.check()?;
        let mut taken: Vec<&str> = naming.labels().collect();
        let constant = constant_labels.iter().map(|(name, _)| name.as_str());
        for name in constant.chain(labels.iter().map(|label| label.name.as_str())) {
            check_constant_label(name, taken.iter().copied())?;
            taken.push(name);
        }
        self.check_own_labels()
    }

    fn check_own_labels(&self) -> Result<(), Error> {
        const MOST_VALUES: usize = 10_000;
        const MOST_COMBINATIONS: usize = 10_000;
        if self.labels.len() > MAX_LABELS {
            return Err(Error::new(format!(
                "{} labels of one's own: there may be {MAX_LABELS}",
                self.labels.len()
            )));
        }
        let mut combinations = 1_usize;
        for label in &self.labels {
            let values = match &label.values {
                Values::Declared(values) => values.len(),
                Values::AtMost(values) => *values,
            };
            check_range(
                &format!("values of label {:?}", label.name),
                values,
                MOST_VALUES,
            )?;
            if let Values::Declared(_) = label.values {
                combinations = combinations.saturating_mul(values);
            }
        }
        if !self.routes.is_empty() && combinations > MOST_COMBINATIONS {
            return Err(Error::new(format!(
                "declared routes start at 0 for {combinations} combinations of label values: \
                 there may be {MOST_COMBINATIONS}"
            )));
        }
        Ok(())
    }

    /// Every label of this layer, which a registry may not have as a constant one.
    pub(super) fn own_labels(&self) -> impl Iterator<Item = &str> {
        let constant = self.constant_labels.iter().map(|(name, _)| name.as_str());
        let own = self.labels.iter().map(|label| label.name.as_str());
        constant.chain(own).chain(self.naming.labels())
    }
}

/// The label that a family has beside those of every request.
fn own_label(family: Family) -> Option<LabelDescription> {
    let label = LabelDescription::new(family.own_label()?);
    Some(match family {
        Family::AbortedBodies => label
            .role(LabelRole::Reason)
            .values(AbortReason::ALL.map(AbortReason::label)),
        _ => label.role(LabelRole::ConnectionKind),
    })
}

fn check_range(what: &str, number: usize, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{what} is {number}: it must be from 1 to {most}"
    )))
}
